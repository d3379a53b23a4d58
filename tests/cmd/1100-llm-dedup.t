#!/bin/sh
# llm-dedup -t exact, and what every filter has: it is the plainest of them
. "$(dirname "$0")/../lib.sh"
cd "$tmp" || exit 2

cat >in.jsonl <<'EOS'
{"id":"a","text":"one two","n":1}
{"n":2,"text":"one"}
{"id":"c","text":" one\n\n two\t"}
{"id":4,"text":"One two"}
{"text":"one"}
EOS

exits 0 'exact' llm-dedup --rest rest --clusters pairs in.jsonl
prints 'the first of each is kept, in order' <<'EOS'
{"id":"a","text":"one two","n":1}
{"n":2,"text":"one"}
{"id":4,"text":"One two"}
EOS
cp rest out
prints 'the rest are the others' <<'EOS'
{"id":"c","text":" one\n\n two\t"}
{"text":"one"}
EOS
cp pairs out
prints 'the clusters' <<'EOS'
{"id":"c","index":2,"kept_id":"a","kept_index":0,"jaccard":1,"method":"exact"}
{"id":"0a1c6d4cf41eb499911faba7321fe1a0","index":4,"kept_id":"0a1c6d4cf41eb499911faba7321fe1a0","kept_index":1,"jaccard":1,"method":"exact"}
EOS

# ---- what every filter has ----

exits 0 'empty input' llm-dedup /dev/null
prints 'nothing is printed' </dev/null
exits 2 'an unknown option' llm-dedup --nonsense
exits 2 'an unknown type' llm-dedup -t fuzzy in.jsonl
exits 2 '-J without -t near' llm-dedup -J 0.5 in.jsonl
exits 2 'a missing file' llm-dedup none.jsonl
grep -q '^llm-dedup: none.jsonl: cannot open: ' err
result 'it is named' $?
exits 2 'a full disk' sh -c 'exec llm-dedup in.jsonl >/dev/full'
exits 2 'a full disk for the rest' llm-dedup --rest /dev/full in.jsonl
exits 0 'the standard input' llm-dedup - <in.jsonl
yes '{"text":"a"}' | head -100000 | llm-dedup -f x --bad /dev/null -q - >/dev/null
result 'another field is missing: exit 1' $(($? != 1))
i=0
while test $i -lt 3000; do echo "{\"text\":\"$i $i $i\"}"; i=$((i + 1)); done >many.jsonl
cat many.jsonl many.jsonl many.jsonl many.jsonl many.jsonl many.jsonl >six.jsonl
llm-dedup six.jsonl 2>err | cmp -s - many.jsonl
result 'six times the same' $?
(
	trap '' PIPE
	llm-sample -n 100% six.jsonl six.jsonl six.jsonl
	echo $? >status
) 2>err | head -1 >/dev/null
test "$(cat status)" -eq 141 && ! test -s err
result 'a closed pipe ends it silently' $?

printf '%s\n' '{"text":"a"}' '{"text":' '{"n":1}' '{"text":"b"}' >bad.jsonl
exits 2 'a bad record' llm-dedup bad.jsonl
prints 'what came before it is written' <<'EOS'
{"text":"a"}
EOS
printf 'llm-dedup: bad.jsonl:2: not JSON at offset 8: unexpected end\n' | cmp -s - err
result 'file, line and offset are told' $?
exits 2 'a bad record and -o' llm-dedup -o o.jsonl --rest r.jsonl bad.jsonl
test "$(echo o.jsonl* r.jsonl* .o* .r*)" = 'o.jsonl* r.jsonl* .o* .r*'
result 'no file is left' $?
exits 1 'a bad record and -k' llm-dedup -k bad.jsonl
prints 'the others are written' <<'EOS'
{"text":"a"}
{"text":"b"}
EOS
test "$(wc -l <err)" -eq 2
result 'each bad one is named' $?
exits 1 '--bad' llm-dedup -q --bad b.jsonl bad.jsonl
cp b.jsonl out
prints 'has them' <<'EOS'
{"text":
{"n":1}
EOS
test -s err
result '-q names none' $(($? == 0))
exits 0 '--max-bad above the rate' llm-dedup --max-bad 50% bad.jsonl
exits 1 '--max-bad below the rate' llm-dedup --max-bad 0.4 bad.jsonl

llm-dedup six.jsonl >one
llm-dedup -j 4 six.jsonl >four
cmp -s one four
result '-j1 equals -j4' $?
gzip -c in.jsonl >in.gz
llm-dedup -z zstd in.gz >in.zst
llm-dedup in.zst >plain
llm-dedup in.jsonl | cmp -s - plain
result 'gzip in, zstd out, read back' $?
cat in.zst in.gz | llm-dedup | cmp -s - plain
result 'joined compressed files are one' $?
head -c 40 in.zst >cut.zst
exits 2 'a compressed file cut short' llm-dedup cut.zst

exits 0 '--stats' llm-dedup --stats s.json in.jsonl
grep -q '"records_in": 5, "records_out": 3, "changed": 0, "dropped": 2, "bad": 0, "bytes_in": 131, "bytes_out": 81, "text_bytes_in": 31, "text_bytes_out": 17, "seconds": ' s.json
result 'counts' $?

exits 0 '--split' llm-dedup --split 64 -o parts many.jsonl
cat parts/*.jsonl | cmp -s - many.jsonl && test "$(ls parts | head -1)" = 00000.jsonl
result 'the parts are the whole' $?
find parts -type f -size +64c | grep -q .
result 'each is of that size at most' $(($? == 0))
exits 2 '--split over what is there' llm-dedup --split 64 -o parts many.jsonl
exits 2 '--split to the standard output' llm-dedup --split 64 many.jsonl

exits 0 'good samples' llm-dedup -f text "$data"/jsonl/good/document.jsonl \
    "$data"/jsonl/good/space.jsonl "$data"/jsonl/good/bom.jsonl \
    "$data"/jsonl/good/escapes.jsonl "$data"/jsonl/good/empty.jsonl \
    "$data"/jsonl/good/unicode.jsonl "$data"/jsonl/good/annotated.jsonl
for f in "$data"/jsonl/bad/*.jsonl
do
	llm-dedup "$f" >out 2>err
	test $? -eq 2 && grep -q "^llm-dedup: $f:[12]: [a-z]" err
	result "bad sample ${f##*/}" $?
done

# ---- file to file ----

mkdir in
for i in 1 2 3
do
	printf '{"id":"%s","text":"text %s"}\n' $i $i 10$i 10$i >in/$i.jsonl
done
gzip in/2.jsonl
exits 0 'file to file' llm-sample -n 100% --stats s.json -o to/ in/*
test "$(echo to/*)" = 'to/1.jsonl to/2.jsonl to/3.jsonl' && cmp -s in/3.jsonl to/3.jsonl &&
    grep -q '"files": 3, "files_skipped": 0' s.json
result 'each to its own, without .gz' $?
touch -d '2001-02-03' to/*
echo >>to/3.jsonl
exits 0 'again' llm-sample -n 100% --stats s.json -o to in/*
grep -q '"records_in": 6,.*"files": 3, "files_skipped": 2' s.json && cmp -s in/3.jsonl to/3.jsonl
result 'only what is not whole is made' $?
echo '{"id":"9","text":"new"}' >>in/1.jsonl
llm-sample -n 100% --stats s.json -o to in/*
grep -q '"files_skipped": 2' s.json && cmp -s in/1.jsonl to/1.jsonl
result 'a changed input is made again' $?
llm-sample -n 100% -s 2 --stats s.json -o to in/*
grep -q '"files_skipped": 0' s.json
result 'other options make all again' $?
llm-sample -n 100% -s 2 -j 2 -q --stats s.json -o to in/*
grep -q '"files_skipped": 3' s.json
result 'threads are no such option' $?
rm to/2.jsonl
llm-sample -n 100% -s 2 --stats s.json -o to in/*
grep -q '"files_skipped": 2' s.json && test -f to/2.jsonl
result 'a missing output is made' $?
exits 2 'file to file from the standard input' llm-sample -n 1% -o to/
exits 2 'an input in the directory of outputs' llm-sample -n 1% -o in/ in/1.jsonl
exits 2 'kept records and rest in one stream' llm-sample -n 1% --rest - in/1.jsonl
mkdir other
cp in/1.jsonl other
exits 2 'two inputs of one name' llm-sample -n 1% -o to/ in/1.jsonl other/1.jsonl
exits 0 'file to file with its rest' llm-sample -n 50% --rest left/ -o half/ in/1.jsonl in/3.jsonl
cat half/1.jsonl left/1.jsonl | sort >both
sort in/1.jsonl | cmp -s - both
result 'the rest is a directory too' $?
printf '{"text":"x"}\n{\n' >in/4.jsonl
exits 1 'a bad record, file to file' llm-sample -k -q -n 100% -o to/ in/4.jsonl
exits 1 'skipped, and still not all good' llm-sample -k -q -n 100% -o to/ in/4.jsonl

printf '{"text":"text 1"}\n{"text":"text 5"}\n' >in/5.jsonl
exits 0 'duplicates across files' llm-dedup -o dd/ in/1.jsonl in/5.jsonl
cat dd/5.jsonl >out
prints 'are dropped' <<'EOS'
{"text":"text 5"}
EOS
rm dd/5.jsonl
llm-dedup -o dd/ in/1.jsonl in/5.jsonl
cat dd/5.jsonl >out
prints 'and again when only one output is left' <<'EOS'
{"text":"text 5"}
EOS

for kind in malloc read write fsync mmap open
do
	faults $kind o.jsonl "exact: no $kind is trusted" \
	    llm-dedup --clusters pairs -o o.jsonl in.jsonl
done

done_testing
