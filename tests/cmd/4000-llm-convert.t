#!/bin/sh
# llm-convert: the GGUF of llama.cpp's writer gives the model that it was made of
. "$(dirname "$0")/../lib.sh"
gguf=$data/gguf/good/llama.gguf

exits 0 'a GGUF file' llm-convert -o "$tmp/model" "$gguf"
cmp "$tmp/model/model.safetensors" "$data/model/llama-tied/model.safetensors" >"$tmp/d"
result 'gives the tensors that it was made of, byte for byte' $?
(cd "$tmp/model" && echo *) >"$tmp/out"
prints 'and these files' <<'EOF'
config.json generation_config.json model.safetensors special_tokens_map.json tokenizer.json tokenizer_config.json
EOF
grep -q '"num_key_value_heads": 1,' "$tmp/model/config.json" &&
    grep -q '"rms_norm_eps": 1e-06,' "$tmp/model/config.json" &&
    grep -q '"mlp_bias": true,' "$tmp/model/config.json" &&
    grep -q '"tie_word_embeddings": true,' "$tmp/model/config.json"
result 'config.json has its numbers' $?
grep -q '"eos_token_id": 1' "$tmp/model/generation_config.json"
result 'generation_config.json its ends' $?
grep -q '"chat_template": "{% for m in messages' "$tmp/model/tokenizer_config.json"
result 'tokenizer_config.json its chat template' $?
echo '{"text":"user in the"}' >"$tmp/text"
exits 0 'it is a model' llm-generate -m "$tmp/model" -p 'the' -n 2 -T 0
exits 0 'its tokenizer' llm-tokenize -q -F ids -m "$tmp/model" "$tmp/text"
prints 'has its added tokens and its merges' <<'EOF'
38 32 36 35
EOF

for type in bf16 f16
do
	exits 0 "-t $type" llm-convert -t $type -o "$tmp/$type" "$gguf"
	test "$(wc -c <"$tmp/$type/model.safetensors")" -lt 6000
	result 'halves the weights' $?
	exits 0 'they load' llm-generate -m "$tmp/$type" -p 'the' -n 1 -T 0
done
grep -q '"torch_dtype": "bfloat16"' "$tmp/bf16/config.json"
result 'config.json says so' $?

# A directory as a file, and back.
exits 0 'a directory' llm-convert -o "$tmp/back.gguf" "$tmp/model"
exits 0 'the file of it' llm-convert -o "$tmp/again" "$tmp/back.gguf"
cmp "$tmp/model/model.safetensors" "$tmp/again/model.safetensors" >"$tmp/d"
result 'has its tensors, byte for byte' $?
cmp "$tmp/model/tokenizer.json" "$tmp/again/tokenizer.json" >"$tmp/d"
result 'its tokenizer' $?
cmp "$tmp/model/tokenizer_config.json" "$tmp/again/tokenizer_config.json" >"$tmp/d"
result 'and its chat template' $?
llm-generate -m "$tmp/model" -p 'the' -n 4 -T 0 >"$tmp/a" &&
    llm-generate -m "$tmp/back.gguf" -p 'the' -n 4 -T 0 >"$tmp/b" && cmp "$tmp/a" "$tmp/b"
result 'it generates as the directory does' $?
llm-tokenize -q -F ids -m "$tmp/back.gguf" "$tmp/text" >"$tmp/out"
prints 'it tokenizes' <<'EOF'
38 32 36 35
EOF

# What ends a text is said in another place there; no name helps to guess this one.
cp -r "$tmp/model" "$tmp/ends"
sed -i 's,"</s>","<|x|>",' "$tmp/ends"/[ts]*_*.json
sed -i 's/"eos_token_id": 1/"eos_token_id": 0/' "$tmp/ends"/*config.json
llm-convert -o "$tmp/ends.gguf" "$tmp/ends" &&
    llm-eval -t perplexity -m "$tmp/ends" "$tmp/text" >"$tmp/want" &&
    llm-eval -t perplexity -m "$tmp/ends.gguf" "$tmp/text" | cmp - "$tmp/want" &&
    ! llm-eval -t perplexity -m "$tmp/model" "$tmp/text" | cmp -s - "$tmp/want"
result 'texts end with the same token in a directory and its file' $?

# SentencePiece's tokenizers have scores there, and merges in tokenizer.json.
for kind in llama2 gemma t5
do
	llm-init -q -m "$data/tokenizer_json/good/$kind.json" --layers 1 --width 32 --heads 2 \
	    --context 64 -o "$tmp/$kind"
	exits 0 "a tokenizer as ${kind}'s" llm-convert -o "$tmp/$kind.gguf" "$tmp/$kind"
	exits 0 'and back' llm-convert -o "$tmp/$kind.back" "$tmp/$kind.gguf"
	for m in $kind $kind.gguf $kind.back
	do
		llm-tokenize -q -F ids -m "$tmp/$m" "$data/tokenizer_json/train.jsonl" >"$tmp/$m.ids"
	done
	test -s "$tmp/$kind.ids" && cmp "$tmp/$kind.ids" "$tmp/$kind.gguf.ids" &&
	    cmp "$tmp/$kind.ids" "$tmp/$kind.back.ids"
	result 'give the same tokens' $?
done
# Files of SentencePiece go there as they are; but that behind a piece of the user's, as
# is the end of a line in these, llama.cpp puts a space.
grep -v '\\n' "$data/tokenizer_json/train.jsonl" >"$tmp/lines"
for kind in bpe-bytes unigram-bytes
do
	llm-init -q -m "$data/spm/good/$kind.model" --layers 1 --width 32 --heads 2 \
	    --context 64 -o "$tmp/$kind"
	exits 0 "SentencePiece's $kind" llm-convert -o "$tmp/$kind.gguf" "$tmp/$kind"
	for m in $kind $kind.gguf
	do
		llm-tokenize -q -F ids -m "$tmp/$m" "$tmp/lines" >"$tmp/$m.ids"
	done
	test -s "$tmp/$kind.ids" && cmp "$tmp/$kind.ids" "$tmp/$kind.gguf.ids"
	result 'gives the same tokens' $?
done
exits 0 'a file of another type' llm-convert -t bf16 -o "$tmp/half.gguf" "$tmp/back.gguf"
test "$(wc -c <"$tmp/half.gguf")" -lt "$(wc -c <"$tmp/back.gguf")"
result 'is smaller' $?
exits 2 'a directory without a model' llm-convert -o "$tmp/none.gguf" "$tmp"
test ! -e "$tmp/none.gguf"
result 'nothing is left' $?

exits 2 'a directory that exists' llm-convert -o "$tmp/model" "$gguf"
exits 2 'no directory' llm-convert "$gguf"
exits 2 'no file' llm-convert -o "$tmp/none"
exits 2 'two files' llm-convert -o "$tmp/none" "$gguf" "$gguf"
exits 2 'another type' llm-convert -t int3 -o "$tmp/none" "$gguf"
exits 2 'another architecture' llm-convert -o "$tmp/none" "$data/gguf/good/types.gguf"
grep -q "types.gguf: architecture 'test' is not supported" "$tmp/err"
result 'is named' $?

# The same with one word changed, all of the same length.
for change in 's/smollm/smellm/:pre-tokenizer .smellm. is not supported' \
    's/tokenizer.ggml.model/tokenizer.ggml.nodel/:no tokenizer' \
    's/llama.rope.freq_base/llama.rope.freq_case/:llama.rope.freq_case. is not supported' \
    's/llama.block_count/llama.black_count/:llama.black_count. is not supported' \
    's/blk.0.attn_q.weight/blk.0.attn_x.weight/:no tensor .blk.0.attn_q.weight' \
    's/output_norm.weight/output_morn.weight/:no tensor .output_norm.weight'
do
	sed "${change%%:*}" "$gguf" >"$tmp/changed.gguf"
	exits 2 "${change%%:*}" llm-convert -o "$tmp/none" "$tmp/changed.gguf"
	grep -q "changed.gguf: .*${change#*:}" "$tmp/err" || { sed 's/^/# /' "$tmp/err"; false; }
	result 'is named' $?
	test ! -e "$tmp/none" -a -z "$(find "$tmp" -name 'none.*')"
	result 'and nothing is left' $?
done
head -c 5000 "$gguf" >"$tmp/cut.gguf"
exits 2 'a file that is cut short' llm-convert -o "$tmp/none" "$tmp/cut.gguf"
faults malloc "$tmp/none" 'out of memory' llm-convert -o "$tmp/none" "$gguf"
faults write "$tmp/none" 'a write that fails' llm-convert -o "$tmp/none" "$gguf"
done_testing
