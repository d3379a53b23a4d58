#!/bin/sh
# llm-dedup -t near against sets of strings in perl, on planted duplicates
. "$(dirname "$0")/../lib.sh"
lib=$(cd "$(dirname "$0")/../lib" && pwd)
cd "$tmp" || exit 2

perl "$lib/planted.pl" 120 1 >in.jsonl
for J in 0.5 0.8
do
	exits 0 "-J $J" llm-dedup -t near -J $J --clusters pairs --rest rest in.jsonl
	perl "$lib/judge.pl" $J in.jsonl out pairs >judged
	grep -qx 'wrong 0' judged
	result "-J $J: each dropped one is that similar to one that is kept" $?
	grep -qx 'missing 0' judged
	result "-J $J: the clusters name all" $?
	awk '{ n[$1] = $2 } END { exit !(n["high"] >= 40 && n["found"] >= 0.95 * n["high"]) }' judged
	result "-J $J: recall above J + 0.1 ($(grep -E 'high|found' judged | tr '\n' ' '))" $?
	sort out rest >both
	sort in.jsonl | cmp -s - both
	result "-J $J: kept and rest are all" $?
done
cp out want
cp pairs pairs.want
llm-dedup -t near -j 4 --clusters pairs in.jsonl | cmp -s - want && cmp -s pairs pairs.want
result '-j1 equals -j4' $?
llm-dedup -t near --memory 0 --work . --clusters pairs --stats s.json <in.jsonl |
    cmp -s - want && cmp -s pairs pairs.want
result 'the same from a spill file' $?
grep -q '"memory": 0, "spilled": [1-9]' s.json
result 'nothing was remembered in memory' $?
ls -A | grep -q llm-spill
result 'no file is left' $(($? == 0))
exits 2 'no place to spill' llm-dedup -t near --memory 0 --work ./none - <in.jsonl
grep -q 'none/llm-spill' err
result 'it is named' $?

cat >short.jsonl <<'EOS'
{"text":"one two three"}
{"text":"One, two; THREE!"}
{"text":"three two one"}
{"text":""}
{"text":""}
{"text":"..."}
{"text":"!"}
{"text":"Ärger über Öl und Straßen im Süden"}
{"text":"ärger, ÜBER öl und straßen im süden."}
{"text":"日本語の文章です"}
{"text":"日本語の 文章、です。"}
{"text":"日本の文章です"}
EOS
exits 0 'short texts' llm-dedup -t near short.jsonl
prints 'words in order decide, without words the bytes' <<'EOS'
{"text":"one two three"}
{"text":"three two one"}
{"text":""}
{"text":"..."}
{"text":"!"}
{"text":"Ärger über Öl und Straßen im Süden"}
{"text":"日本語の文章です"}
{"text":"日本の文章です"}
EOS
exits 0 'empty input' llm-dedup -t near /dev/null
exits 2 'a threshold of none' llm-dedup -t near -J 0 short.jsonl
exits 2 'a threshold above one' llm-dedup -t near -J 1.1 short.jsonl
exits 0 'a threshold of one' llm-dedup -t near -J 1 short.jsonl
test "$(wc -l <out)" -eq 8
result 'drops what has equal shingles' $?
for kind in malloc mmap write
do
	faults $kind o.jsonl "near: no $kind is trusted" \
	    llm-dedup -t near --clusters pairs -o o.jsonl short.jsonl
done
done_testing
