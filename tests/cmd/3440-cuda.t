#!/bin/sh
# The CUDA device on a stand-in for NVIDIA's driver, beside the CPU: kernel by
# kernel, then whole steps of training and of writing.
. "$(dirname "$0")/../lib.sh"
exec </dev/null
on_cuda
cd "$tmp" || exit 1

# Each launch has its blocks, warps and lanes in another order.
for unit in dev kernels matmul blas qmatmul attention optim moe scan fakequant
do
	(cd "${data%/tests/data}" && CUDA_STANDIN_ORDER=shuffle KIT_GPU=1 \
	    exec "$BUILD/tests/unit/t_$unit") >out 2>err
	result "$unit: each kernel beside the CPU's, with no finding" $?
	grep '^not ok' -A 2 out
	head -n 3 err
done

documents 60 >train.jsonl
llm-vocab -n 300 -o tok train.jsonl
llm-tokenize -m tok train.jsonl | llm-pack -q -l 32 -o train.shard

(cd "${data%/tests/data}" && exec "$BUILD/tests/unit/t_cuda") >out 2>err
result 'memory, copies and what orders them' $?
grep '^not ok' -A 2 out

# losses RUN: of its steps
losses () {
	sed -n 's/.*"step":[0-9]*,"loss":\([0-9.]*\).*/\1/p' "$1/log.jsonl"
}

# same_losses RUN RUN TOLERANCE STEPS
same_losses () {
	losses "$1" >one.losses
	losses "$2" | paste one.losses - | awk -v tol="$3" -v steps="$4" \
	    '{ d = $1 - $2 } d > tol || d < -tol { bad = 1 } END { exit bad || NR != steps }'
}
# Memory that is not there costs nothing.
export CUDA_STANDIN_MEMORY=1073741824
for arch in llama gpt2 mamba mixtral deepseek-v3
do
	case $arch in
	mixtral | deepseek-v3)	experts='--ffn 64 --experts 6 --experts-per-token 2' ;;
	*)			experts= ;;
	esac
	# shellcheck disable=SC2086 # options
	llm-init -q -a $arch -m tok --layers 2 --width 32 --heads 2 --context 64 $experts -o $arch
	for device in cpu cuda
	do
		exits 0 "a $arch trained on $device" llm-train -q -d $device -m $arch --steps 5 \
		    --batch 64 --lr 5e-3 -o $arch.$device train.shard
	done
	same_losses $arch.cpu $arch.cuda 1e-4 5
	result 'with the same losses' $?
	exits 0 'it writes on cpu' llm-generate -m $arch.cpu/latest -n 20 -T 0 -p 'the kernel'
	cp out cpu
	exits 0 'it writes on cuda' llm-generate -d cuda -m $arch.cpu/latest -n 20 -T 0 -p 'the kernel'
	prints 'the same tokens' <cpu
done

# Numbers of 8 bits are rounded in other places: losses of about 5 differ in the fifth digit.
for device in cpu cuda
do
	exits 0 "a llama trained in bf16 on $device" llm-train -q -d $device --dtype bf16 -m llama \
	    --steps 5 --batch 64 --lr 5e-3 -o half.$device train.shard
done
same_losses half.cpu half.cuda 1e-3 5
result 'with nearly the same losses' $?

# Weights of blocks: Q4_K and Q6_K in one file.
llm-init -q -a llama -m tok --layers 2 --width 256 --heads 4 --context 64 -o wide
llm-train -q -m wide --steps 20 --batch 64 --lr 2e-3 -o trained train.shard
printf '{"text":"%s"}\n' 'the kernel' 'memory is low when' back >prompts

# texts OPTIONS: of all prompts, without what is rounded in them
texts () {
	llm-generate "$@" -n 20 -T 0.8 prompts >written && sed 's/"mean_logprob.*//' written
}
for type in q4_0 q8_0 q4_k_m
do
	llm-quantize -q -t $type -o $type.gguf trained/latest
	texts -m $type.gguf >cpu
	exits 0 "three texts by $type on cuda" texts -d cuda -m $type.gguf
	prints 'are those of cpu' <cpu
	cp written $type.texts
done
texts -m q4_0.gguf --kv q4 >cpu
exits 0 'with a cache of Q4_0' texts -d cuda -m q4_0.gguf --kv q4
prints 'the same' <cpu
for arch in mixtral deepseek-v3
do
	llm-quantize -q -t q8_0 -o $arch.gguf $arch.cpu/latest
	texts -m $arch.gguf >cpu
	exits 0 "quantized experts of $arch on cuda" texts -d cuda -m $arch.gguf
	prints 'write as those of cpu' <cpu
done
for model in q4_k_m mixtral
do
	for device in cpu cuda
	do
		exits 0 "an adapter of $model on $device" llm-lora -q -d $device -m $model.gguf \
		    --batch 64 --lr 3e-3 --steps 3 -o $model.$device.lora train.shard
	done
	same_losses $model.cpu.lora $model.cuda.lora 1e-4 3
	result 'with the same losses' $?
done
exits 0 'one text at a time' llm-generate -d cuda -m q4_k_m.gguf -n 20 -T 0.8 --parallel 1 prompts
prints 'is the same' <q4_k_m.texts
done_testing
