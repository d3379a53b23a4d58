#!/bin/sh
. "$(dirname "$0")/../lib.sh"
in=$data/tokenizer_json/train.jsonl

exits 0 'training' llm-vocab -n 400 -o "$tmp/tok" --stats "$tmp/stats" "$in"
test -s "$tmp/tok/tokenizer.json" -a -s "$tmp/tok/tokenizer_config.json" \
    -a -s "$tmp/tok/special_tokens_map.json"
result 'writes three files' $?
exits 0 'four threads' llm-vocab -n 400 -j4 -o "$tmp/tok4" "$in"
diff -r "$tmp/tok" "$tmp/tok4" >"$tmp/d"
result 'make the same files' $?
exits 0 'from a pipe, compressed' sh -c 'gzip -c "$1" | llm-vocab -n 400 -o "$2/piped" -' sh "$in" "$tmp"
diff -r "$tmp/tok" "$tmp/piped" >"$tmp/d"
result 'the same files' $?
grep -q '"vocab": *400' "$tmp/stats" && grep -q '"merges": *143' "$tmp/stats"
result 'counts' $?

# Hugging Face's trainer made this one from the same texts.
llm-tokenize -m "$tmp/tok" -F ids "$in" >"$tmp/ours"
llm-tokenize -m "$data/tokenizer_json/good/gpt2.json" -F ids "$in" >"$tmp/theirs"
cmp -s "$tmp/ours" "$tmp/theirs"
result 'the vocabulary is the one that Hugging Face trains' $?

for pattern in llama3 cl100k qwen2 none
do
	exits 0 "pattern $pattern" llm-vocab -n 300 --pattern $pattern -o "$tmp/$pattern" "$in"
	llm-tokenize -m "$tmp/$pattern" "$in" | llm-detokenize -m "$tmp/$pattern" >"$tmp/back"
	llm-tokenize -m "$tmp/$pattern" -F ids "$tmp/back" >"$tmp/a"
	llm-tokenize -m "$tmp/$pattern" -F ids "$in" | cmp -s - "$tmp/a"
	result 'texts come back' $?
done
exits 0 'special tokens' llm-vocab -n 300 --special '<|x|>' --special '</s>' -o "$tmp/special" "$in"
grep -q '"eos_token": "</s>"' "$tmp/special/tokenizer_config.json"
result 'a well-known name ends a text' $?
grep -q '"</s>": 1,' "$tmp/special/tokenizer.json"
result 'ids in order' $?

# A text full of a special token's name makes no such token.
awk 'BEGIN { for (i = 0; i < 99; i++) print "{\"text\":\"<|endoftext|>\"}" }' >"$tmp/full"
exits 0 'a text of special names' llm-vocab -q --pattern none -n 300 -o "$tmp/inject" "$tmp/full"
llm-tokenize -m "$tmp/inject" -F ids "$tmp/full" | head -n 1 >"$tmp/out"
grep -qw 0 "$tmp/out"
test $? -eq 1
result 'never becomes the special token' $?

echo '{"text":"aaaa"}' >"$tmp/tiny"
exits 0 'a tiny text' llm-vocab -n 1000 -o "$tmp/small" "$tmp/tiny"
grep -q '^llm-vocab: the text gives 259 tokens, not 1000$' "$tmp/err"
result 'says that it gives fewer tokens' $?

exits 2 'empty input' llm-vocab -o "$tmp/nowhere" /dev/null
grep -q '^llm-vocab: .*no text' "$tmp/err"
result 'says so' $?
test ! -e "$tmp/nowhere"
result 'and writes nothing' $?
exits 2 'no directory' llm-vocab "$in"
exits 2 'too small a vocabulary' llm-vocab -n 256 -o "$tmp/nowhere" "$in"
exits 2 'unknown pattern' llm-vocab --pattern gpt9 -o "$tmp/nowhere" "$in"
exits 2 'a special token twice' llm-vocab --special '<x>' --special '<x>' -o "$tmp/nowhere" "$in"
{ cat "$in"; echo bad; } >"$tmp/bad"
exits 2 'a bad record' llm-vocab -o "$tmp/nowhere" "$tmp/bad"
exits 1 'a bad record with -k' llm-vocab -n 400 -k -o "$tmp/kept" "$tmp/bad"
diff -r "$tmp/tok" "$tmp/kept" >"$tmp/d"
result 'is passed over' $?
: >"$tmp/file"
exits 2 'an output that is a file' llm-vocab -n 300 -o "$tmp/file" "$in"
exits 2 'an output that cannot be' llm-vocab -n 300 -o "$tmp/no/such" "$in"
done_testing
