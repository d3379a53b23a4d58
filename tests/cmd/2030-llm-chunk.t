#!/bin/sh
. "$(dirname "$0")/../lib.sh"
in=$data/tokenizer_json/train.jsonl
tok=$data/tokenizer_json/good/gpt2.json

# value KEY: of each record of the last output, numbers only
value () {
	grep -o "\"$1\":[0-9]*" "$tmp/out" | cut -d: -f2
}

exits 0 'chunks' llm-chunk -m "$tok" -n 40 "$in"
value token_count >"$tmp/counts"
test "$(sort -n "$tmp/counts" | tail -1)" -le 40 && test "$(wc -l <"$tmp/counts")" -gt 10
result 'have at most so many tokens' $?
cp "$tmp/out" "$tmp/a"
exits 0 'counted by llm-tokenize' llm-tokenize -m "$tok" -F count "$tmp/a"
prints 'they are as many' <"$tmp/counts"
cp "$tmp/a" "$tmp/out"
# Each starts where the one before ends, or at 0.
value start >"$tmp/start"
value end >"$tmp/end"
paste "$tmp/start" "$tmp/end" | awk '$1 != 0 && $1 != last { bad = 1 } { last = $2 } END { exit bad }'
result 'nothing is left out or there twice' $?

exits 0 'four threads' llm-chunk -j4 -m "$tok" -n 40 "$in"
prints 'the same' <"$tmp/a"
exits 0 'with overlap' llm-chunk -m "$tok" -n 40 --overlap 15 --stats "$tmp/stats" "$in"
value start >"$tmp/start"
value end >"$tmp/end"
paste "$tmp/start" "$tmp/end" | awk '$1 != 0 && $1 > last { bad = 1 } $1 != 0 && $1 < last { some = 1 }
    { last = $2 } END { exit bad || !some }'
result 'ends are there again' $?
grep -q "\"chunks\": $(wc -l <"$tmp/out")" "$tmp/stats"
result 'and counted' $?

cat >"$tmp/md" <<'EOF'
{"id":"x","n":1,"text":"# One\n\nText.\n\n# Two\n\nMore.","llm":{"a":2}}
EOF
exits 0 'markdown' llm-chunk -m "$tok" -n 20 -t markdown "$tmp/md"
prints 'is cut at headings, other keys stay' <<'EOF'
{"id":"x#0","n":1,"text":"# One\n\nText.\n\n","llm":{"a":2,"chunk":{"of":"x","index":0,"start":0,"end":14}},"token_count":14}
{"id":"x#1","n":1,"text":"# Two\n\nMore.","llm":{"a":2,"chunk":{"of":"x","index":1,"start":14,"end":26}},"token_count":11}
EOF
echo '{"text":""}' >"$tmp/empty"
exits 0 'nothing' llm-chunk -m "$tok" "$tmp/empty"
prints 'has no chunk' </dev/null
echo '{"body":"a b"}' >"$tmp/body"
exits 0 'another field' llm-chunk -m "$tok" -f body "$tmp/body"
grep -q '"body":"a b","id":"[0-9a-f]*#0"' "$tmp/out"
result 'is cut, and named by its hash' $?
mkdir "$tmp/d"
cp "$in" "$tmp/x.jsonl"
exits 0 'file to file' llm-chunk -m "$tok" -n 40 -o "$tmp/d/" "$tmp/x.jsonl"
cmp -s "$tmp/d/x.jsonl" "$tmp/a"
result 'the same' $?
exits 0 'compressed' sh -c 'llm-chunk -m "$1" -n 40 -z gzip "$2" | gzip -dc | cmp - "$3"' sh "$tok" "$in" "$tmp/a"

exits 2 'no tokenizer' llm-chunk "$in"
exits 2 'too few tokens' llm-chunk -m "$tok" -n 7 "$in"
exits 2 'too much overlap' llm-chunk -m "$tok" -n 40 --overlap 21 "$in"
exits 2 'a type that is none' llm-chunk -m "$tok" -t html "$in"
exits 2 'no text' llm-chunk -m "$tok" "$tmp/body"
cat "$tmp/body" "$tmp/md" >"$tmp/both"
exits 1 'is passed over' llm-chunk -k -q -m "$tok" "$tmp/both"
test "$(wc -l <"$tmp/out")" -eq 1
result 'but not the good one' $?
done_testing
