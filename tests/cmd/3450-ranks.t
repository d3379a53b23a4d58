#!/bin/sh
# Several processes that train one model, on the CPU and, where there is a
# stand-in for it, on CUDA.
. "$(dirname "$0")/../lib.sh"
cd "$tmp" || exit 1
export MASTER_ADDR=127.0.0.1

documents 120 >all.jsonl
llm-sample -n 20% --rest train.jsonl all.jsonl >valid.jsonl
llm-vocab -n 300 -o tok train.jsonl
for s in train valid
do
	llm-tokenize -m tok $s.jsonl | llm-pack -q -l 32 -o $s.shard
done
llm-init -q -a llama -m tok --layers 2 --width 32 --heads 2 --context 32 -o llama
llm-init -q -a deepseek-v3 -m tok --mtp 1 --layers 2 --width 32 --heads 2 --context 32 -o experts

# A port that this test has to itself: below those that a system gives out.
MASTER_PORT=$((20000 + $$ % 9000))
export MASTER_PORT

# start N COMMAND...: as so many ranks; their messages are in err.0 and on, statuses in status
start () {
	size=$1 r=0
	shift
	rm -f pids err.*
	while test $r -lt "$size"
	do
		RANK=$r WORLD_SIZE=$size "$@" >out.$r 2>err.$r </dev/null &
		echo $! >>pids
		r=$((r + 1))
	done
}
finish () {
	status=
	for pid in $(cat pids)
	do
		wait "$pid" 2>/dev/null
		status="$status $?"
	done
}
# ranks STATUSES DESCRIPTION N COMMAND...
ranks () {
	want=$1 what=$2
	shift 2
	start "$@"
	finish
	test "$status" = " $want"
	result "$what exits $want" $?
	test "$status" = " $want" || sed 's/^/# /' err.*
}
# near RUN RUN: losses of all kinds, step by step, no further apart than 1e-4
near () {
	for run in "$1" "$2"
	do
		grep -o '"[a-z_]*loss":[0-9.]*' "$run/log.jsonl" | tr -d '"' | tr : ' ' >"$run.losses"
	done
	paste "$1.losses" "$2.losses" | awk '
	    { d = $2 - $4 } $1 != $3 || d > 1e-4 || d < -1e-4 { bad = 1 } END { exit bad || NR < 5 }'
}
# same RUN RUN: the newest checkpoints have the same bytes
same () {
	for f in model.safetensors optimizer.safetensors state.json
	do
		cmp "$1/latest/$f" "$2/latest/$f" || return 1
	done
}

train="llm-train -q -j1 -m llama --steps 8 --batch 224 --micro 64 --lr 5e-3 --save-every 4
    --keep 0 --valid valid.shard"
exits 0 'one process' $train -o one train.shard
for n in 2 3
do
	ranks "$(yes 0 | head -n $n | tr '\n' ' ' | sed 's/ $//')" "$n ranks" \
	    $n $train -o of$n train.shard
	near one of$n
	result 'with the losses of one' $?
	test "$(grep -c '"norm"' of$n/log.jsonl)" -eq 8 && ! test -s out.1
	result 'and one log' $?
done
exits 0 'a model with experts and a token ahead' llm-train -q -j1 -m experts --steps 5 \
    --batch 128 --micro 32 --lr 5e-3 -o experts1 train.shard
ranks '0 0' 'on two ranks' 2 llm-train -q -j1 -m experts --steps 5 --batch 128 --micro 32 \
    --lr 5e-3 -o experts2 train.shard
near experts1 experts2
result 'with the losses of one' $?

# Starting and stopping.
mkdir half
cp -r of2/run.json of2/log.jsonl of2/step-00000004 half
ranks '0 0' 'going on' 2 llm-train -q -j1 -o half --continue
same half of2
result 'to the same bytes' $?
long="llm-train -q -j1 -m llama --steps 100000 --batch 64 --save-time 1h train.shard"
start 2 $long -o term
while ! grep -q '"step":3,' term/log.jsonl 2>/dev/null; do sleep 0.01; done
kill -TERM "$(sed -n 2p pids)"
finish
test "$status" = ' 143 143' && test -L term/latest
result 'a signal to one rank saves, and ends both by that signal' $?
start 2 $long -o died
while ! grep -q '"step":3,' died/log.jsonl 2>/dev/null; do sleep 0.01; done
kill -KILL "$(sed -n 2p pids)"
finish
test "$status" = ' 2 137' && grep -q 'rank 0: rank 1 is gone' err.0
result 'when one rank dies, the other says so and exits 2' $?
RANK=0 WORLD_SIZE=2 exits 2 'a rank without the other' $train --wait 1 -o alone train.shard
grep -q '1 of the other 1 ranks did not come to 127.0.0.1' err
result 'says that it did not come' $?
test ! -e alone
result 'and begins no run' $?
RANK=1 WORLD_SIZE=2 exits 2 'a rank without the first' $train --wait 1 -o alone train.shard
grep -q 'rank 1: no rank 0 at 127.0.0.1' err
result 'says where it is not' $?
RANK=2 WORLD_SIZE=2 exits 2 'a rank that cannot be' $train -o alone train.shard
ranks '2 2' 'an error of the first' 2 llm-train -q -o none --continue
grep -q 'no run to go on with' err.0 && grep -q 'rank 0 is gone' err.1
result 'is told there' $?

# On GPUs, by NCCL.
driver=$BUILD/tests/cuda
if ! test -e "$driver/libnccl.so.2"
then
	result 'ranks on CUDA # SKIP no nvcc, or no NCCL' 0
	done_testing
	exit 0
fi
export LD_LIBRARY_PATH="$driver" CUDA_STANDIN_DEVICES=3
(cd "${data%/tests/data}" && exec "$BUILD/tests/unit/t_comm" cuda) >out 2>err
result 'collectives of several GPUs, with their sums' $?
grep '^not ok' -A 2 out
gpu="llm-train -q -d cuda -m llama --steps 5 --batch 96 --lr 5e-3 --valid valid.shard"
exits 0 'one process on a GPU' $gpu -o gpu1 train.shard
ranks '0 0' 'two' 2 $gpu -o gpu2 train.shard
near gpu1 gpu2
result 'with the losses of one' $?
! grep 'stand-in' err.0 err.1
result 'and no finding' $?
start 2 $gpu --override --continue --steps 100000 -o gpu2
while ! grep -q '"step":7,' gpu2/log.jsonl 2>/dev/null; do sleep 0.01; done
kill -KILL "$(sed -n 2p pids)"
finish
test "$status" = ' 2 137' && grep -q 'rank 0: rank 1 is gone' err.0
result 'when one rank dies, the other does not wait for it' $?
CUDA_STANDIN_DEVICES=1
ranks '2 2' 'two ranks on one GPU' 2 $gpu -o gpu3 train.shard
grep -q 'Duplicate GPU' err.0
result 'are told' $?
mkdir without
ln -s "$driver/libcuda.so.1" without
: >without/libnccl.so.2
LD_LIBRARY_PATH=$tmp/without CUDA_STANDIN_DEVICES=2
ranks '2 2' 'without NCCL' 2 $gpu -o gpu4 train.shard
grep -q 'no libnccl.so.2 on this machine' err.0
result 'the message says what is missing' $?
done_testing
