#!/bin/sh
# llm-train --fake-quant: a model trained for the blocks that it is stored in
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../samples.sh"
cd "$tmp" || exit 1
make_samples

# train RUN OPTION...
train () {
	llm-train -q -m model -o "$@" --steps 12 --batch 256 --lr 1e-2 --valid valid.shard train.shard
}

# loss MODEL: its loss on what the run was validated on
loss () {
	llm-eval -t perplexity -m "$1" valid.shard | sed 's/.*"loss": \([0-9.]*\),.*/\1/'
}

# stored RUN TYPE: its last checkpoint with matrices of layers in such blocks
stored () {
	if test "$2" = i4_32
	then
		llm-quantize -q -t w4a16 --group 32 -o "$1.stored" "$1/latest"
		return
	fi
	llm-quantize -q -t "$2" --pure --tensor embd=f32 -o "$1.gguf" "$1/latest" &&
	    llm-convert -o "$1.stored" "$1.gguf"
}

exits 0 'a plain run' train plain
for type in q4_0 iq4_nl i4_32
do
	exits 0 "for $type" train $type --fake-quant $type
	exits 0 'is stored so' stored $type $type
	sed -n 's/.*"valid_loss": *\([0-9.]*\).*/\1/p' $type/log.jsonl | tail -n 1 >out
	echo "$(cat out) $(loss $type.stored)" >>out
	# The log has six digits.
	awk 'NR > 1 { print "# " $0; d = $1 - $2; exit !($1 > 0 && d < 1e-4 && d > -1e-4) }' out
	result 'and the loss is what the run was validated with' $?
	cmp -s plain/latest/model.safetensors $type/latest/model.safetensors
	result 'training was another' $((! $?))
done
exits 0 'with checkpoints between' llm-train -q -m model -o again --steps 12 --batch 256 --lr 1e-2 --valid valid.shard \
    --fake-quant q4_0 --save-every 5 train.shard
cmp again/latest/model.safetensors q4_0/latest/model.safetensors
result 'the same bytes' $?
ln -sfn step-00000005 again/latest
rm -rf again/step-00000010 again/step-00000012
exits 0 'going on from one' llm-train -q -o again --continue
cmp again/latest/model.safetensors q4_0/latest/model.safetensors
result 'too' $?
exits 2 'in bf16' train x --fake-quant q4_0 --dtype bf16
exits 2 'no type of blocks' train x --fake-quant f16
exits 2 'no type' train x --fake-quant q9
done_testing
