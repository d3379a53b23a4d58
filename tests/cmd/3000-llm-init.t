#!/bin/sh
. "$(dirname "$0")/../lib.sh"

# A tokenizer of the 256 bytes and one special token.
mkdir "$tmp/tok"
awk 'BEGIN {
	for (i = 0; i < 40; i++)
		printf "{\"text\":\"the kernel reads %d files and the user writes %d\"}\n", i, i * 7
}' >"$tmp/text.jsonl"
llm-vocab -q -n 300 -o "$tmp/tok" "$tmp/text.jsonl"

small='--layers 2 --width 64 --context 32'
exits 0 'a llama' llm-init -m "$tmp/tok" $small -o "$tmp/llama"
for f in config.json generation_config.json model.safetensors tokenizer.json
do
	test -s "$tmp/llama/$f"
	result "it has $f" $?
done
cmp -s "$tmp/tok/tokenizer.json" "$tmp/llama/tokenizer.json"
result 'the tokenizer is copied' $?
grep -q '^parameters  *117824$' "$tmp/out"
result 'parameters are reported' $?
grep -q '"vocab_size": 300' "$tmp/llama/config.json"
result 'the vocabulary is that of the tokenizer' $?
grep -q '"eos_token_id": [0-9]' "$tmp/llama/config.json"
result 'and so is the end of text' $?
awk '$1 == "trial_loss" { l = $2 } $1 == "trial_gradient_norm" { n = $2 }
    END { exit !(l > 5.5 && l < 6 && n > 0) }' "$tmp/out"
result 'the trial has a loss near ln 300' $?

exits 2 'a directory that exists' llm-init -m "$tmp/tok" $small -o "$tmp/llama"
exits 0 'one thread' llm-init -j 1 -m "$tmp/tok" $small -o "$tmp/one"
exits 0 'four threads' llm-init -j 4 -m "$tmp/tok" $small -o "$tmp/four"
cmp -s "$tmp/one/model.safetensors" "$tmp/four/model.safetensors"
result 'the same bytes for any number of threads' $?
exits 0 'another seed' llm-init -s 2 -m "$tmp/tok" $small -o "$tmp/seed"
! cmp -s "$tmp/one/model.safetensors" "$tmp/seed/model.safetensors"
result 'gives other weights' $?

exits 0 'a gpt2' llm-init -q -a gpt2 --vocab 300 $small -o "$tmp/gpt2"
test ! -s "$tmp/out"
result 'quietly' $?
exits 0 'its twin by -c' llm-init -q -c "$tmp/gpt2/config.json" -o "$tmp/twin"
cmp -s "$tmp/gpt2/model.safetensors" "$tmp/twin/model.safetensors" &&
    cmp -s "$tmp/gpt2/config.json" "$tmp/twin/config.json"
result 'is the same' $?
exits 2 'no such architecture' llm-init -a none --vocab 300 $small -o "$tmp/x"
families=$(sed "s/.*'none': //; s/,//g; 1q" "$tmp/err")
test "$(echo "$families" | wc -w)" -ge 10
result 'the others are named' $?
for a in $families
do
	exits 0 "a $a" llm-init -q -a $a --vocab 300 --width 64 --layers 2 --context 32 -o "$tmp/$a-2"
	exits 0 "a $a by its config" llm-init -q -c "$tmp/$a-2" -o "$tmp/$a-3"
	cmp -s "$tmp/$a-2/model.safetensors" "$tmp/$a-3/model.safetensors" &&
	    cmp -s "$tmp/$a-2/config.json" "$tmp/$a-3/config.json"
	result "$a: is the same" $?
done
exits 0 'a window' llm-init -q -a mistral --window 9 --vocab 300 $small -o "$tmp/window"
grep -q '"sliding_window": 9' "$tmp/window/config.json"
result 'is in the config' $?
exits 2 'a window of no layer' llm-init -a llama --window 9 --vocab 300 $small -o "$tmp/x"
exits 0 'layers that are added' llm-init -q -c "$tmp/gemma2-2" --layers 3 -o "$tmp/more"
test "$(grep -c sliding_attention "$tmp/more/config.json")" -eq 2
result 'are of their kinds' $?
exits 0 'a directory for -c, other sizes' llm-init -q -c "$tmp/llama" --layers 1 -o "$tmp/less"
grep -q '"num_hidden_layers": 1' "$tmp/less/config.json"
result 'what is given stands above the file' $?
exits 0 'transformers'"'"' own config' llm-init -q -c "$data/model/llama" -o "$tmp/theirs"
grep -q '"rope_type": "llama3"' "$tmp/theirs/config.json"
result 'rope scaling is kept' $?

exits 0 '124M of gpt2' llm-init -a gpt2 -n 124M --vocab 50257 --dry-run -F json
tr ',{}' '\n\n\n' <"$tmp/out" >"$tmp/lines"
grep -q '^"parameters":124439808$' "$tmp/lines" && grep -q '^"layers":12$' "$tmp/lines" &&
    grep -q '^"width":768$' "$tmp/lines"
result 'is GPT-2 small' $?
for n in 1M 5M 30M 135M 1G 8G
do
	exits 0 "$n" llm-init -n $n --vocab 4096 --dry-run
	awk -v "n=$n" 'BEGIN { m = n * (n ~ /G/ ? 1e9 : 1e6) }
	    $1 == "parameters" { ok = $2 > 0.9 * m && $2 < 1.1 * m } END { exit !ok }' "$tmp/out"
	result "$n is near" $?
done
exits 2 'a vocabulary too large' llm-init -n 1M --vocab 128256 --dry-run
exits 0 '--dry-run writes nothing' llm-init -n 5M --vocab 4096 --dry-run -o "$tmp/none"
test ! -e "$tmp/none"
result 'indeed' $?

exits 1 'weights that blow up fail the trial' \
    llm-init --vocab 300 --layers 1 --width 64 --init-std 10 --context 64 -o "$tmp/wild"
test ! -e "$tmp/wild" && ! ls "$tmp" | grep -q 'wild'
result 'and nothing is left' $?

exits 2 'no output' llm-init --vocab 300 $small
exits 2 'no vocabulary' llm-init $small -o "$tmp/x"
exits 2 'no sizes' llm-init --vocab 300 -o "$tmp/x"
exits 2 'unknown option' llm-init --depth 3
exits 2 'unknown architecture' llm-init -a bert --vocab 300 $small -o "$tmp/x"
exits 2 'unknown format' llm-init --vocab 300 $small --dry-run -F xml
exits 2 'an operand' llm-init --vocab 300 $small --dry-run file
exits 2 'missing config' llm-init -c "$tmp/nothing" -o "$tmp/x"
exits 2 'missing tokenizer' llm-init -m "$tmp/nothing" $small -o "$tmp/x"
exits 2 'a vocabulary below the tokenizer' llm-init -m "$tmp/tok" --vocab 100 $small -o "$tmp/x"
exits 2 'heads that do not divide' llm-init --vocab 300 $small --heads 3 --kv-heads 2 -o "$tmp/x"
exits 2 'a place that is not there' llm-init --vocab 300 $small -o "$tmp/no/where"
exits 2 '-c and -n' llm-init -c "$tmp/llama" -n 5M -o "$tmp/x"
exits 2 'sizes past all limits' \
    llm-init --vocab 2147483647 --layers 4096 --width 2147483647 --dry-run
: >"$tmp/empty.json"
exits 2 'an empty config' llm-init -c "$tmp/empty.json" -o "$tmp/x"
sed 's/"llama"/"t5"/' "$tmp/llama/config.json" >"$tmp/bad.json"
exits 2 'a config of another kind' llm-init -c "$tmp/bad.json" -o "$tmp/x"
grep -q "bad.json: model_type 't5' is not supported" "$tmp/err"
result 'which is named' $?
exits 2 'a full disk for the report' sh -c 'llm-init -n 5M --vocab 4096 --dry-run >/dev/full'
test ! -e "$tmp/x"
result 'failures leave nothing' $?

# Calls that fail, one by one: the directory is whole or not there.
faulty () {
	kind=$1 bad=0 n=1
	calls=$(FAULT_COUNT="$tmp/n" LD_PRELOAD="$BUILD/tests/lib/fault.so" \
	    llm-init -q -j 1 -m "$tmp/tok" $small -o "$tmp/f" && sed -n "s/^$kind //p" "$tmp/n")
	rm -rf "$tmp/f"
	while test "$n" -le "${calls:-0}" && test "$bad" -eq 0
	do
		env "FAULT_$kind=$n" LD_PRELOAD="$BUILD/tests/lib/fault.so" \
		    llm-init -q -j 1 -m "$tmp/tok" $small -o "$tmp/f" 2>"$tmp/err"
		case $? in
		0)	cmp -s "$tmp/one/model.safetensors" "$tmp/f/model.safetensors" || bad=$n ;;
		2)	test -s "$tmp/err" && ! test -e "$tmp/f" || bad=$n ;;
		*)	bad=$n ;;
		esac
		test "$bad" -eq 0 || sed "s/^/# $kind $n: /" "$tmp/err"
		rm -rf "$tmp/f" "$tmp"/f.*
		n=$((n + 1 + n / 20))
	done
	result "no $kind is trusted (${calls:-0})" "$bad"
}
if can_fault
then
	for kind in MALLOC READ WRITE FSYNC MMAP OPEN THREAD
	do
		faulty $kind
	done
fi
done_testing
