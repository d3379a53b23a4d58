#!/bin/sh
# llm-merge: adapters that PEFT made, into tiny models; models averaged
. "$(dirname "$0")/../lib.sh"
llama=$data/model/llama adapters=$data/adapter
printf '\1\0\2\0\3\0\4\0\5\0\6\0\7\0\10\0' >"$tmp/ids.bin"
llm-shard -t import -F nanogpt --vocab 40 -o "$tmp/ids.shard" "$tmp/ids.bin"

# logits NAME OPTIONS...: into $tmp/NAME
logits () {
	to=$1
	shift
	exits 0 "logits of $to" llm-eval -t logits "$@" -o "$tmp/$to.logits" "$tmp/ids.shard"
}

# same WHAT A B
same () {
	cmp "$tmp/$2.logits" "$tmp/$3.logits" >/dev/null
	result "$1" $?
}

for name in lora rslora-regex dora dora-gpt2 ia3 ia3-gpt2
do
	case $name in
	lora)	base=llama ;;
	*gpt2)	base=gpt2 ;;
	*)	base=llama-tied ;;
	esac
	exits 0 "$name" llm-merge -m "$data/model/$base" -o "$tmp/$name.model" "$adapters/$name"
	logits "$name.merged" -m "$tmp/$name.model"
	logits "$name.beside" -m "$data/model/$base" --adapter "$adapters/$name"
	same 'equals --adapter' "$name.merged" "$name.beside"
	logits "$base.alone" -m "$data/model/$base"
	! cmp -s "$tmp/$base.alone.logits" "$tmp/$name.merged.logits"
	result 'and not the model alone' $?
done

exits 0 'nothing of it' llm-merge -m "$llama" --weights 0 -o "$tmp/none" "$adapters/lora"
logits none -m "$tmp/none"
same 'is the model alone' none llama.alone
exits 0 'in bf16' llm-merge -m "$llama" --dtype bf16 -o "$tmp/bf16" "$adapters/lora"
test "$(wc -c <"$tmp/bf16/model.safetensors")" -lt 20000
result 'halves the file' $?

exits 0 'a model and itself' llm-merge -o "$tmp/self" "$llama" "$llama"
logits self -m "$tmp/self"
same 'is the model' self llama.alone
exits 0 'all of another' llm-merge --weights 0,1 -o "$tmp/other" "$llama" "$tmp/lora.model"
logits other -m "$tmp/other"
same 'is the other' other lora.merged

exits 2 'models that differ' llm-merge -o "$tmp/no" "$llama" "$data/model/gpt2"
exits 2 'an adapter of another model' llm-merge -m "$data/model/gpt2" -o "$tmp/no" \
    "$adapters/lora"
exits 2 'LoRA and DoRA' llm-merge -m "$data/model/llama-tied" -o "$tmp/no" \
    "$adapters/rslora-regex" "$adapters/dora"
grep -q 'dora: only adapters of plain LoRA' "$tmp/err"
result 'says which is not one' $?
exits 2 'no adapter' llm-merge -m "$llama" -o "$tmp/no"
exits 2 'a model alone' llm-merge -o "$tmp/no" "$llama"
exits 2 'too few weights' llm-merge -m "$llama" --weights 1 -o "$tmp/no" "$adapters/lora" \
    "$adapters/lora"
exits 2 'a directory that exists' llm-merge -m "$llama" -o "$tmp/self" "$adapters/lora"
exits 2 'a model as an adapter' llm-merge -m "$llama" -o "$tmp/no" "$llama"
exits 2 'an adapter as a model' llm-eval -m "$adapters/lora" "$tmp/ids.shard"
grep -q 'lora is an adapter, -m takes its model and --adapter it' "$tmp/err"
result 'says so' $?
test ! -e "$tmp/no" -a -z "$(find "$tmp" -name 'no.*')"
result 'nothing is left' $?
done_testing
