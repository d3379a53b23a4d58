#!/bin/sh
# Kernels that were launched once come again as graphs, and there is one wait a step:
# what that asks of NVIDIA's driver is counted by the stand-in alone.
. "$(dirname "$0")/../lib.sh"
exec </dev/null
on_cuda
cd "$tmp" || exit 1
export CUDA_STANDIN_COUNTS=counts CUDA_STANDIN_MEMORY=67108864

documents 60 >train.jsonl
llm-vocab -n 300 -o tok train.jsonl
llm-tokenize -m tok train.jsonl | llm-pack -q -l 32 -o train.shard
llm-init -q -a llama -m tok --layers 2 --width 32 --heads 2 --context 64 -o llama

# count NAME: of the last program
count () {
	sed -n "s/^$1 //p" counts
}
# now: all of them, to be compared
now () {
	test -z "$GPU" || return
	launches=$(count launches) graphs=$(count graphs) waits=$(count waits)
}
# more WHAT N: what comes after two steps more
more () {
	test -z "$GPU" || return
	test "$(count launches)" -eq "$launches"
	result "two $1 more launch no kernel" $?
	test $(($(count graphs) - graphs)) -eq $((2 * $2))
	result "but as many graphs for each: $2" $?
	test $(($(count waits) - waits)) -eq 2
	result 'with one wait' $?
}
# losses RUN: of its steps
losses () {
	sed -n 's/.*"step":[0-9]*,"loss":\([0-9.]*\).*/\1/p' "$1/log.jsonl"
}
# near RUN RUN N [TOLERANCE]: so many steps, with losses that differ by no more than 1e-4
near () {
	losses "$1" >want
	losses "$2" | paste want - | awk -v n="$3" -v tol="${4:-1e-4}" \
	    '{ d = $1 - $2 } d > tol || d < -tol { bad = 1 } END { exit bad || NR != n }'
}
# train RUN OPTIONS
train () {
	run=$1
	shift
	llm-train -q -m llama --batch 64 --lr 5e-3 "$@" -o "$run" train.shard
}

exits 0 'five steps' train five -d cuda --steps 5
now
exits 0 'seven steps, some with fewer tokens than there is room for' train seven -d cuda --steps 7
more steps 4
# 7 products of a layer and the head's, thrice: the stand-in counts those of graphs too.
test -n "$GPU" || ! test -e "$driver/libcublasLt.so.13" ||
    test "$(count products)" -eq $((7 * 3 * (2 * 7 + 1)))
result 'cuBLASLt makes each product, where it is' $?
exits 0 'five steps, launch by launch for a profile' train apart -d cuda --steps 5 --profile trace
{ test -n "$GPU" || test "$(count graphs)" -eq 0; } && losses five >want && losses apart | cmp - want &&
    test "$(wc -l <want)" -eq 5
result 'have the same losses without a graph' $?

# The first pass of a step clears gradients as it writes them, the last one measures them.
exits 0 'steps of three passes' train cuda.passes -d cuda --steps 4 --batch 96 --micro 32
train cpu.passes --steps 4 --batch 96 --micro 32
near cpu.passes cuda.passes 4
result "have the CPU's losses" $?

# A library that cannot be loaded is none.
train cpu.five --steps 5
near cpu.five five 5
result "five steps have the CPU's losses" $?
# Products are rounded by 8e-4 at most, and losses are of about 5.
if test -z "$GPU" && test -e "$driver/libcublasLt.so.13"
then
	exits 0 'five steps in TF32' train tf32 -d cuda:tf32 --steps 5
	near cpu.five tf32 5 1e-3 && ! near cpu.five tf32 5 1e-6
	result 'have losses that differ a little' $?
	test "$(count products)" -eq $((5 * 3 * (2 * 7 + 1)))
	result 'as many products are made' $?
fi
mkdir none
touch none/libcublasLt.so.11 none/libcublasLt.so.12 none/libcublasLt.so.13
loader=$LD_LIBRARY_PATH
export LD_LIBRARY_PATH="$PWD/none:$loader"
exits 0 'five steps without cuBLASLt' train own -d cuda --steps 5
near cpu.five own 5 && { test -n "$GPU" || test "$(count products)" -eq 0; }
result 'have nearly the same' $?
exits 0 'llm-bench' llm-bench -d cuda -m llama -b 1 -c 8 -n 1 step
grep -q '^products	our own tiles (no libcublasLt.so.13, .12 or .11)' out
result 'says who makes products' $?
exits 2 'TF32 without cuBLASLt' train none.tf32 -d cuda:tf32 --steps 5
grep -q '^llm-train: cuda:tf32: no libcublasLt.so.13, .12 or .11, .*: use -d cuda$' err
result 'says why' $?
export LD_LIBRARY_PATH="$loader"
exits 0 'steps in bf16, saved on the way' train whole -d cuda --dtype bf16 --steps 4 --save-every 2 \
    --keep 0
mkdir half
cp -r whole/run.json whole/log.jsonl whole/step-00000002 half
exits 0 'gone on with' llm-train -q -d cuda -o half --continue
cmp whole/latest/model.safetensors half/latest/model.safetensors &&
    cmp whole/latest/optimizer.safetensors half/latest/optimizer.safetensors
result 'end in the same bytes' $?

# writes N OPTIONS
writes () {
	n=$1
	shift
	llm-generate -d cuda -m five/latest -n "$n" -T 0.8 -p 'the kernel' "$@"
}
exits 0 'twenty tokens' writes 20
now
exits 0 'twenty-two tokens' writes 22
more tokens 1

test -z "$GPU" || { done_testing; exit; }
export CUDA_STANDIN_MEMORY=6400000
exits 2 'a model that there is no memory for' train small -d cuda --steps 5
grep -q '^llm-train: .*no memory for .* bytes on cuda:0: .* are free; take a smaller batch' err
result 'and what to do' $?
! test -e small/latest
result 'nothing is left of it' $?
done_testing
