#!/bin/sh
. "$(dirname "$0")/../lib.sh"
in=$data/tokenizer_json/train.jsonl

# The pairs of a tokenizer.json, however it is laid out.
merges () {
	tr -d ' \n' <"$1" | sed 's/.*"merges":\[\[//; s/\]\].*//; s/\],\[/\n/g'
}

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

# So it did with other patterns.
for pattern in qwen2 smollm2
do
	test $pattern = smollm2 && as=digits || as=$pattern
	llm-vocab -n 400 --pattern $as -o "$tmp/as" "$in" &&
	    merges "$tmp/as/tokenizer.json" >"$tmp/a" &&
	    merges "$data/tokenizer_json/good/$pattern.json" | cmp -s - "$tmp/a" && test -s "$tmp/a"
	result "merges with pattern $pattern are those of Hugging Face" $?
done

# Whatever is spilled, and on however many threads, the files are the same.
awk 'BEGIN { for (i = 1; i < 30000; i++) print "{\"text\":\"w" i * 7919 % 10007 " the a" i % 97 \
    " " i " a word of more than sixteen letters: antidisestablishmentarian" i % 89 "\"}" }' >"$tmp/wide"
exits 0 'many words' llm-vocab -n 600 --stats "$tmp/stats" -o "$tmp/wide.0" "$tmp/wide"
grep -q '"spilled": *0' "$tmp/stats"
result 'nothing is spilled' $?
for j in 1 2
do
	exits 0 "in no memory, -j$j" llm-vocab -n 600 -j$j --memory 0 --work "$tmp" \
	    --stats "$tmp/stats" -o "$tmp/wide.$j" "$tmp/wide"
	diff -r "$tmp/wide.0" "$tmp/wide.$j" >"$tmp/d"
	result 'the same files' $?
	grep -q '"spilled": *[1-9]' "$tmp/stats"
	result 'words were spilled' $?
done
ls -A "$tmp" | grep -q llm-spill
result 'no spilled file is left' $(($? != 1))
exits 2 'nowhere to spill' llm-vocab --memory 0 --work "$tmp/none" -o "$tmp/nowhere" "$tmp/wide"
grep -q 'none/llm-spill' "$tmp/err"
result 'it is named' $?
if can_fault
then
	exits 2 'a full disk' env LD_PRELOAD="$BUILD/tests/lib/fault.so" FAULT_WRITE=3+ \
	    llm-vocab -q --memory 0 -o "$tmp/nowhere" "$tmp/wide"
	grep -q 'cannot spill words: No space left' "$tmp/err"
	result 'it is told' $?
fi
# Killed while it has spilled, it leaves nothing.
mkdir "$tmp/spilled"
mkfifo "$tmp/fifo"
llm-vocab -q --memory 0 --work "$tmp/spilled" -o "$tmp/nowhere" - <"$tmp/fifo" &
pid=$!
exec 3>"$tmp/fifo"
cat "$tmp/wide" "$tmp/wide" >&3
kill $pid
wait $pid 2>/dev/null
exec 3>&-
test -z "$(ls -A "$tmp/spilled")" && ! test -e "$tmp/nowhere"
result 'killed, it leaves nothing' $?
exits 0 'a regular expression' llm-vocab -n 300 --regex '\w+| +|[^\w ]+' -o "$tmp/regex" "$in"
grep -q '"Regex": "\\\\w+| +|' "$tmp/regex/tokenizer.json"
result 'is in the file' $?
exits 2 'two ways to cut' llm-vocab --pattern gpt2 --regex a -o "$tmp/nowhere" "$in"
exits 2 'a broken expression' llm-vocab --regex '(' -o "$tmp/nowhere" "$in"

for pattern in llama3 cl100k qwen2 qwen3.5 o200k tekken deepseek digits none
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

# Unigram
exits 0 'unigram' llm-vocab -t unigram -n 300 -o "$tmp/uni" "$in"
exits 0 'with bytes' llm-vocab -t unigram --byte-fallback --coverage 0.95 -n 500 \
    -o "$tmp/bytes" "$in"
llm-tokenize -m "$tmp/bytes" "$in" | llm-detokenize -m "$tmp/bytes" >"$tmp/back"
llm-tokenize -m "$tmp/bytes" -F ids "$tmp/back" >"$tmp/a"
llm-tokenize -m "$tmp/bytes" -F ids "$in" | cmp -s - "$tmp/a" && test -s "$tmp/a"
result 'texts come back' $?
a=$(llm-tokenize -q -m "$tmp/uni" -F ids "$in" | wc -w)
b=$(wc -c <"$in")
test "$a" -gt 100 -a $((3 * a)) -lt "$b"
result 'in tokens of several characters' $?
exits 0 'unigram of many words' llm-vocab -t unigram -n 500 -o "$tmp/uni.0" "$tmp/wide"
exits 0 'the same on two threads in no memory' llm-vocab -t unigram -n 500 -j2 --memory 0 \
    -o "$tmp/uni.2" "$tmp/wide"
diff -r "$tmp/uni.0" "$tmp/uni.2" >"$tmp/d"
result 'makes the same files' $?
exits 2 'fewer tokens than characters' llm-vocab -t unigram -n 256 --coverage 1 --byte-fallback \
    -o "$tmp/nowhere" "$in"
exits 2 'a pattern of unigram' llm-vocab -t unigram --pattern gpt2 -o "$tmp/nowhere" "$in"
exits 2 'bytes of BPE' llm-vocab --byte-fallback -o "$tmp/nowhere" "$in"
exits 2 'an unknown type' llm-vocab -t wordpiece -o "$tmp/nowhere" "$in"

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
