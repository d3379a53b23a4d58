#!/bin/sh
# Each family: a tiny model learns, is evaluated and writes
. "$(dirname "$0")/../lib.sh"
cd "$tmp" || exit 1

documents 120 >train.jsonl
llm-vocab -q -n 300 -o tok train.jsonl
llm-tokenize -q -m tok train.jsonl | llm-pack -q -l 32 -o train.shard
llm-init -a none --vocab 300 -o no 2>err
families=$(sed "s/.*'none': //; s/,//g; 1q" err)

# loss STEP: of a step of the run
loss () {
	sed -n "s/.*\"step\":$1,\"loss\":\([0-9.]*\).*/\1/p" run/log.jsonl
}

for a in $families
do
	case $a in
	mistral | mixtral | phi3 | gemma2 | gemma3)	window='--window 12' ;;
	*)						window= ;;
	esac
	exits 0 "$a: a model" llm-init -q -a "$a" -m tok --layers 2 --width 32 --context 64 \
	    $window -o "$a"
	rm -rf run
	exits 0 "$a: 20 steps" llm-train -q -m "$a" -o run --steps 20 --batch 256 --lr 3e-3 \
	    --save-every 20 train.shard
	awk "BEGIN { exit !($(loss 20) < 0.9 * $(loss 1)) }"
	result "$a: the loss falls ($(loss 1) to $(loss 20))" $?
	exits 0 "$a: evaluated" llm-eval -m run/latest -o eval.json train.jsonl
	exits 0 "$a: writes" llm-generate -m run/latest -n 8 -T 0 -p 'the kernel'
	test -s "$tmp/out"
	result "$a: something" $?
done
done_testing
