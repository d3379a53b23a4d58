#!/bin/sh
# Model directories as people have them: what is not read is said, by name
. "$(dirname "$0")/../lib.sh"

echo '{"text":"it is there: it was there"}' >"$tmp/text.jsonl"
good=$tmp/good
llm-vocab -q -n 300 -o "$tmp/tok" "$data/tokenizer_json/train.jsonl"
llm-init -q -m "$tmp/tok" --layers 1 --width 16 --heads 2 --context 64 -o "$good"
llm-tokenize -q -m "$tmp/tok" "$data/tokenizer_json/train.jsonl" |
    llm-pack -q -l 32 -o "$tmp/train.shard"
llm-train -q -m "$good" -o "$tmp/run" --steps 2 --batch 64 --save-every 2 "$tmp/train.shard"

# like NAME: a copy of the good model to spoil
like () {
	rm -rf "${tmp:?}/$1"
	cp -r "$good" "$tmp/$1"
	dir=$tmp/$1
}

# with KEY VALUE: the copy's config has this
with () {
	like other
	sed -e "/\"$1\":/d" -e "1s|{|{ \"$1\": $2,|" "$good/config.json" >"$dir/config.json"
}

# refused DESCRIPTION WORDS...: by eval and generate, in one line with the words
refused () {
	case=$1
	shift
	exits 2 "$case: llm-eval" llm-eval -m "$dir" "$tmp/text.jsonl"
	cp "$tmp/err" "$tmp/both"
	exits 2 "$case: llm-generate" llm-generate -m "$dir" -p x
	bad=0
	for word
	do
		test "$(grep -cF -e "$word" "$tmp/err" "$tmp/both" | grep -c ':1$')" -eq 2 || bad=1
	done
	result "$case: said in a line each" $bad
	test $bad -eq 0 || sed 's/^/# /' "$tmp/both" "$tmp/err"
}

exits 0 'a model' llm-eval -m "$good" -o "$tmp/good.json" "$tmp/text.jsonl"
exits 0 'with a slash' llm-eval -m "$good/" "$tmp/text.jsonl"
prints 'the same of it' <"$tmp/good.json"
ln -s good "$tmp/link"
exits 0 'a link' llm-eval -m "$tmp/link" "$tmp/text.jsonl"
prints 'the same of that' <"$tmp/good.json"
exits 0 'the newest of a run' llm-generate -m "$tmp/run/latest" -p it -n 3 -T 0
exits 0 'with a slash too' llm-eval -m "$tmp/run/latest/" "$tmp/text.jsonl"
dir=$tmp/run
refused 'the run itself' "$tmp/run is a run, its model is $tmp/run/latest"
exits 2 'its tokenizer' llm-tokenize -m "$tmp/run" "$tmp/text.jsonl"
grep -qF "$tmp/run/latest" "$tmp/err"
result 'its tokenizer: where to look' $?

like bin
mv "$dir/model.safetensors" "$dir/pytorch_model.bin"
refused 'pytorch_model.bin' "$dir" pytorch_model.bin 'safetensors are needed'
exits 2 'pytorch_model.bin: llm-train' llm-train -m "$dir" -o "$tmp/no" --steps 1 "$tmp/train.shard"
grep -q 'pytorch_model.bin is not read' "$tmp/err"
result 'pytorch_model.bin: llm-train says so' $?
mv "$dir/pytorch_model.bin" "$dir/pytorch_model.bin.index.json"
refused 'pytorch_model.bin in parts' pytorch_model.bin.index.json 'safetensors are needed'
rm "$dir"/pytorch*
refused 'no weights' "$dir/model.safetensors: No such file"
rm "$dir/config.json"
refused 'no config' "$dir/config.json: No such file"
dir=$good/model.safetensors
refused 'a file' "$dir: not a directory"
dir=$tmp/nothing
refused 'nothing there' "$dir: cannot open"

like notok
rm "$dir"/tokenizer* "$dir"/special*
exits 0 'no tokenizer, but a shard' llm-eval -m "$dir" "$tmp/train.shard"
exits 2 'no tokenizer, but text' llm-eval -m "$dir" "$tmp/text.jsonl"
exits 2 'no tokenizer' llm-generate -m "$dir" -p x
grep -qF "$dir/tokenizer.json: No such file" "$tmp/err"
result 'no tokenizer: named' $?
: >"$dir/tokenizer.model"
exits 2 'an empty tokenizer.model' llm-generate -m "$dir" -p x
grep -qF "$dir/tokenizer.model: neither a tokenizer.json" "$tmp/err"
result 'an empty tokenizer.model: said so' $?

with my_own_key '{"deep": [1, null]}'
exits 0 'a key that nobody knows' llm-eval -m "$dir" "$tmp/text.jsonl"
prints 'which changes nothing' <"$tmp/good.json"
with model_type '"t5"'
refused 'an architecture' config.json "model_type 't5' is not supported"
with sliding_window 128
refused 'a window' config.json "'sliding_window' is not supported"
with quantization_config '{"bits": 4}'
refused 'quantized weights' config.json "'quantization_config': this quant_method is not supported"
with rope_scaling '{"type": "dynamic"}'
refused 'rope scaling' config.json "'rope_scaling': type 'dynamic' is not supported"
with hidden_act '"mish"'
refused 'an activation' config.json "activation 'mish' is not supported"
with num_hidden_layers 2
refused 'more layers than weights' "no tensor 'model.layers.1."
with hidden_size 32
refused 'other sizes than the weights' 'model.embed_tokens.weight' '(300, 16), not (300, 32)'
done_testing
