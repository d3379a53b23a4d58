#!/bin/sh
. "$(dirname "$0")/../lib.sh"
shard=$data/shard/good

exits 0 'packing from a file' llm-pack -l 8 -o "$tmp/rows" --stats "$tmp/stats" "$shard/docs.shard"
exits 0 'packing from a pipe' sh -c 'cat "$1" | llm-pack -l 8' sh "$shard/docs.shard"
cmp -s "$tmp/out" "$tmp/rows"
result 'gives the same bytes' $?
tr -d ' ,\n' <"$tmp/stats" >"$tmp/line"
grep -q '"documents":60"empty":0"cut":15' "$tmp/line"
result 'counts are written' $?
grep -q '"source_bytes":5310' "$tmp/line"
result 'and all source bytes are there' $?

exits 0 'a stream' llm-pack -v -t stream -l 8 -o "$tmp/stream" "$shard/docs.shard"
grep -q 'llm-pack: 60 documents (0 empty, [0-9]* cut), 345 tokens in 44 rows of 8: 98.01% full' \
    "$tmp/err"
result 'is full but for the last row' $?
exits 0 'windows of 1' llm-pack --window 1 -l 8 -o "$tmp/one" "$shard/docs.shard"
exits 0 'no documents' llm-pack -l 8 -o "$tmp/none" "$shard/empty.shard"
exits 0 'two files' llm-pack -l 8 -o "$tmp/two" "$shard/tiny.shard" "$shard/tiny.shard"
exits 0 'two files in one' llm-pack --no-provenance -l 8 -o "$tmp/cat" "$shard/joined.shard"
exits 0 'two files again' llm-pack --no-provenance -l 8 -o "$tmp/two" \
    "$shard/tiny.shard" "$shard/tiny.shard"
cmp -s "$tmp/two" "$tmp/cat"
result 'the same as their concatenation' $?
exits 0 'u32 tokens' llm-pack -l 3 -o "$tmp/wide" "$shard/wide.shard"

exits 2 'empty input' llm-pack -l 8 /dev/null
exits 2 'no length' llm-pack "$shard/docs.shard"
exits 2 'rows of no tokens' llm-pack -l 0 "$shard/docs.shard"
exits 2 'unknown method' llm-pack -l 8 -t worst-fit "$shard/docs.shard"
exits 2 'unknown option' llm-pack --best
exits 2 'missing file' llm-pack -l 8 "$tmp/nothing"
grep -q "^llm-pack: $tmp/nothing: cannot open: " "$tmp/err"
result 'which is named' $?
exits 2 'text' llm-pack -l 8 "$data/shard/bad/text.shard"
exits 2 'packed rows' llm-pack -l 8 "$shard/rows.shard"
exits 2 'two vocabularies' llm-pack -l 8 "$shard/tiny.shard" "$shard/docs.shard"
for bad in "$data"/shard/bad/*.shard
do
	exits 2 "$(basename "$bad")" llm-pack -l 8 -o "$tmp/bad" "$bad"
	test ! -e "$tmp/bad" && test -z "$(ls -A "$tmp" | grep tmp)"
	result 'and leaves no file' $?
done
exits 2 'full disk' sh -c 'exec llm-pack -l 8 "$1" >/dev/full' sh "$shard/docs.shard"
exits 0 'closed pipe' sh -c '(llm-pack -l 8 "$1"; echo $? >"$2/status") | :' sh \
    "$shard/docs.shard" "$tmp"
test "$(cat "$tmp/status" 2>/dev/null)" = 141 -o "$(cat "$tmp/status" 2>/dev/null)" = 0
result 'ends it silently' $?

cd "$tmp" || exit 1
for kind in malloc read write fsync open
do
	faults $kind out "no $kind is trusted" llm-pack -l 8 --stats s -o out "$shard/docs.shard"
done

done_testing
