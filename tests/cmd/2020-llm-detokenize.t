#!/bin/sh
. "$(dirname "$0")/../lib.sh"
tok=$data/tokenizer_json/good/gpt2.json

# As llm-detokenize writes records, so that files can be compared.
cat >"$tmp/in" <<'EOF'
{"text":"it's 12 naïve 漢字\n\n\tcafé\u0000 \"q\" \\ 👍🏽"}
{"text":""}
{"text":"<|endoftext|>"}
{"text":"   "}
EOF
exits 0 'a shard' sh -c 'llm-tokenize -m "$1" "$2" | llm-detokenize -m "$1"' sh "$tok" "$tmp/in"
prints 'texts come back byte for byte' <"$tmp/in"
exits 0 'ids' sh -c 'llm-tokenize -m "$1" -F ids "$2" | llm-detokenize -F ids -m "$1"' sh \
    "$tok" "$tmp/in"
prints 'as well' <"$tmp/in"
exits 0 'from a file to a file' sh -c 'llm-tokenize --bos yes -m "$1" -o "$3/s" "$2" &&
    llm-detokenize -m "$1" -o "$3/out.jsonl" --stats "$3/stats" "$3/s"' sh "$tok" "$tmp/in" "$tmp"
cmp -s "$tmp/in" "$tmp/out.jsonl"
result 'special tokens are dropped' $?
grep -q '"documents": 4' "$tmp/stats"
result 'counts' $?
exits 0 'with special tokens' llm-detokenize --specials -m "$tok" "$tmp/s"
head -n 2 "$tmp/out" | tail -n 1 >"$tmp/line"
echo '{"text":"<|endoftext|><|endoftext|>"}' | cmp -s - "$tmp/line"
result 'they are there' $?
exits 0 'another key' llm-detokenize -m "$tok" -f body "$tmp/s"
grep -q '^{"body":"' "$tmp/out"
result 'is used' $?
exits 0 'compressed' sh -c 'llm-detokenize -z gzip -m "$1" "$2" | gzip -dc' sh "$tok" "$tmp/s"
prints 'the same' <"$tmp/in"

llm-pack -l 8 -o "$tmp/packed" "$tmp/s"
exits 0 'packed rows' llm-detokenize -m "$tok" "$tmp/packed"
test "$(wc -l <"$tmp/out")" -ge 4
result 'a record a piece' $?

exits 2 'another tokenizer' llm-detokenize -m "$data/tokenizer_json/good/llama3.json" "$tmp/s"
grep -q '^llm-detokenize: .*made with another tokenizer' "$tmp/err"
result 'is told' $?
exits 2 'empty input' llm-detokenize -m "$tok" /dev/null
exits 0 'no lines' llm-detokenize -F ids -m "$tok" /dev/null
printf '1 2\n3 x\n4 5x\n999999\n99999999999999999999\n-1\n7 8' >"$tmp/bad"
exits 2 'a bad line' llm-detokenize -F ids -m "$tok" "$tmp/bad"
grep -q "^llm-detokenize: $tmp/bad:2: 'x' is not a token id\$" "$tmp/err"
result 'is named' $?
exits 1 'bad lines with -k' llm-detokenize -k -F ids -m "$tok" "$tmp/bad"
test "$(wc -l <"$tmp/out")" -eq 2 -a "$(wc -l <"$tmp/err")" -eq 5
result 'the others are there' $?
exits 2 'no tokenizer' llm-detokenize "$tmp/s"
exits 2 'unknown format' llm-detokenize -F xml -m "$tok" "$tmp/s"
exits 2 'missing file' llm-detokenize -m "$tok" "$tmp/nothing"
for bad in "$data"/shard/bad/flip.shard "$data"/shard/bad/text.shard
do
	exits 2 "$(basename "$bad")" llm-detokenize -m "$tok" "$bad"
done
exits 2 'full disk' sh -c 'exec llm-detokenize -m "$1" "$2" >/dev/full' sh "$tok" "$tmp/s"
done_testing
