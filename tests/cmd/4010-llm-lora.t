#!/bin/sh
# llm-lora: adapters of a tiny model, runs that stop and go on, files
. "$(dirname "$0")/../lib.sh"
cd "$tmp" || exit 1
llm-vocab -q -n 300 -o tok "$data/tokenizer_json/train.jsonl"
llm-init -q -m tok --layers 2 --width 32 --heads 2 --kv-heads 1 --context 64 -o model
llm-tokenize -q -m tok "$data/tokenizer_json/train.jsonl" | llm-pack -q -l 32 -o train.shard
cp train.shard valid.shard
train="llm-lora -q -m model --batch 256 --lr 1e-2 --save-every 4"

# loss RUN: the last validation's
loss () {
	grep valid_loss "$1/log.jsonl" | tail -n 1 | sed 's/.*"valid_loss":\([0-9.]*\).*/\1/'
}

# below A B: is number A below number B?
below () {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a + 0 > 0 && a + 0 < b + 0) }'
}

before=$(llm-eval -t perplexity -m model valid.shard | sed -n 's/.*"loss": *\([0-9.]*\).*/\1/p')
for type in lora dora ia3
do
	exits 0 "$type" $train -t $type --steps 8 --valid valid.shard -o $type train.shard
	below "$(loss $type)" "$before"
	result 'the loss falls' $?
	(cd $type/latest && echo *) >out
	cat >want <<-'EOF'
	adapter_config.json adapter_model.safetensors checksums.json optimizer.safetensors special_tokens_map.json state.json tokenizer.json tokenizer_config.json
	EOF
	cmp -s out want
	result 'a checkpoint has the adapter alone' $?
	test "$(wc -c <$type/latest/adapter_model.safetensors)" -lt \
	    "$(wc -c <model/model.safetensors)"
	result 'which is small' $?
	exits 0 'merged' llm-merge -m model -o $type.merged $type/latest
	llm-eval -t perplexity -m $type.merged valid.shard >merged.json
	exits 0 'beside the model' llm-eval -t perplexity -m model --adapter $type/latest \
	    valid.shard
	cmp -s merged.json "$tmp/out"
	result 'measures the same' $?
	# What training measured, by ops; sums in another order.
	awk -v a="$(loss $type)" -v b="$(sed -n 's/.*"loss": *\([0-9.]*\).*/\1/p' merged.json)" \
	    'BEGIN { d = a - b; exit !(d * d < 1e-10 * a * a) }'
	result 'as it was trained' $?
	exits 0 'and writes' llm-generate -m model --adapter $type/latest -n 4 -T 0 -p the
done

exits 0 'the first half' $train --steps 4 --schedule constant --warmup 0 -o half train.shard
exits 0 'the other' $train --steps 8 --schedule constant --warmup 0 --continue --override \
    -o half train.shard
exits 0 'all at once' $train --steps 8 --schedule constant --warmup 0 -o whole train.shard
diff -r half/step-00000008 whole/step-00000008 >d
result 'end in the same bytes' $?
exits 0 'one thread' $train --steps 8 --schedule constant --warmup 0 -j 1 -o one train.shard
diff -r one/step-00000008 whole/step-00000008 >d
result 'the same too' $?

exits 0 'bf16' $train --dtype bf16 --steps 8 --valid valid.shard -o bf16 train.shard
awk -v a="$(loss bf16)" -v b="$(loss lora)" 'BEGIN { d = a / b - 1; exit !(d * d < 1e-4) }'
result 'as good within a percent' $?
exits 0 'rsLoRA of some layers' $train --rslora --rank 3 --targets q_proj,up_proj \
    --rank-pattern up_proj=2 --steps 4 -o some train.shard
grep -q '"use_rslora": true' some/latest/adapter_config.json &&
    grep -q '"up_proj": 2' some/latest/adapter_config.json
result 'says so' $?
exits 0 'by pattern' $train --targets '/.*layers\.1\..*_proj/' --steps 4 -o pattern train.shard
exits 0 'dry run' llm-lora -m model --steps 4 --dry-run -o dry train.shard

# The model must be the one of the run.
llm-init -q -c model/config.json -m tok -s 2 -o other
mv model moved && mv other model
exits 2 'another model' $train --steps 8 --schedule constant --warmup 0 --continue \
    -o whole train.shard
grep -q 'not the model that the run was started with' "$tmp/err"
result 'is refused' $?
rm -r model && mv moved model

# The same model in a file of llama.cpp, whose heads lie in another order.
llm-convert -o model.gguf model
exits 0 'an adapter of a GGUF' llm-lora -q -m model.gguf --batch 256 --lr 1e-2 --steps 8 \
    --valid valid.shard -o gguf train.shard
below "$(loss gguf)" "$before"
result 'the loss falls' $?
for m in model model.gguf
do
	llm-eval -t perplexity -m $m --adapter gguf/latest valid.shard |
	    sed -n 's/.*"loss": *\([0-9.]*\).*/\1/p'
done | awk '{ x[NR] = $1 } END { d = x[1] - x[2]; exit !(x[1] > 0 && d * d < 1e-10) }'
result 'it is one of the directory too' $?

# Several beside one model, each record by one of them or none; of a quantized one too.
llm-quantize -q -t q8_0 -o model.q8.gguf model
cat >asked <<-'EOF'
{"text":"the","adapter":"a"}
{"text":"the"}
{"text":"the","adapter":"b"}
{"text":"the","adapter":null}
EOF
write="llm-generate -n 12 -T 0 --ignore-eos"

# completions: of the records that were written
completions () {
	sed 's/.*"completion":"\(.*\)","token_count".*/\1/' "$tmp/out"
}

for m in model model.q8.gguf
do
	beside="$write -m $m --adapter a=lora/latest --adapter b=some/latest"
	exits 0 'adapters beside the model' $beside asked
	completions >beside
	cp "$tmp/out" together
	for adapter in lora some
	do
		$write -m $m --adapter $adapter/latest -p the
		$write -m $m -p the
	done >alone
	if test $m = model
	then
		cmp -s alone beside
		result 'each as with its own, or without one' $?
	fi
	test "$(sed -n 2p beside)" = "$(sed -n 2p alone)" &&
	    test "$(sed -n 4p beside)" = "$(sed -n 4p alone)" &&
	    test "$(sed -n 1p beside)" != "$(sed -n 2p beside)"
	result 'and some are others' $?
	exits 0 'one at once' $beside --parallel 1 -j 1 asked
	cmp -s "$tmp/out" together
	result 'the same' $?
done
exits 0 'beyond the context' $beside -n 150 --window 16 asked
cp "$tmp/out" together
exits 0 'one at once' $beside -n 150 --window 16 --parallel 1 asked
cmp -s "$tmp/out" together && test "$(completions | sort -u | wc -l)" -gt 1
result 'the same' $?
exits 2 'no such adapter' llm-generate -m model --adapter a=lora/latest -n 2 asked
grep -q "asked:3: key 'adapter': no adapter is named 'b'" "$tmp/err"
result 'says which, and where' $?
exits 1 'or goes on' llm-generate -k -m model --adapter a=lora/latest -n 2 asked
exits 2 'an adapter that cannot' llm-generate -m model --adapter a=dora/latest -n 2 asked
grep -q 'dora/latest: only plain LoRA stands beside the model' "$tmp/err"
result 'says why' $?
exits 2 'names without records' llm-generate -m model --adapter a=lora/latest -p the
exits 2 'with and without a name' llm-generate -m model --adapter a=lora/latest \
    --adapter lora/latest asked
exits 2 'two without' llm-generate -m model --adapter lora/latest --adapter some/latest -p the
exits 2 'the same name' llm-generate -m model --adapter a=lora/latest --adapter a=some/latest asked
exits 2 'no name' llm-generate -m model --adapter =lora/latest asked
exits 2 'nowhere' llm-generate -m model --adapter a=nowhere asked
faults malloc - 'no malloc is trusted' llm-generate -m model --adapter a=lora/latest \
    --adapter b=some/latest -n 2 asked

exits 2 'another type' llm-lora -m model -t prefix --steps 1 -o no train.shard
exits 2 'no such layer' $train --targets nothing --steps 1 -o no1 train.shard
grep -q 'no linear layer of the model is a target' "$tmp/err"
result 'says so' $?
exits 2 'the embedding' $train --targets embed_tokens --steps 1 -o no2 train.shard
exits 2 'a rank of 0' $train --rank 0 --steps 1 -o no3 train.shard
exits 2 'no model' llm-lora --steps 1 -o no4 train.shard
done_testing
