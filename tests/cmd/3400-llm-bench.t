#!/bin/sh
. "$(dirname "$0")/../lib.sh"
exec </dev/null
cd "$tmp" || exit 1

llm-init -q --vocab 300 --layers 2 --width 64 --context 32 -o m
exits 0 'a step' llm-bench -m m -b 2 -c 16 -n 3 step
awk -F '\t' 'NR == 1 { exit !($0 == "name\tvalue\tunit") }' out
result 'a header' $?
awk -F '\t' '{ v[$1] = $2 } END { exit !(v["step"] > 0 && v["rate"] > 0 && v["peak"] > v["rate"] &&
    v["loss"] > 5 && v["loss"] < 6.2) }' out
result 'values that can be' $?

printf '\n\n' >two
exits 0 'in turn' sh -c 'llm-bench -m m -b 2 -c 16 --turns step <two'
head -n 1 out | grep -q '^ready	[0-9]'
result 'it says when it is ready' $?
test "$(wc -l <out)" -eq 3
result 'a line for each step' $?
awk -F '\t' 'NR > 1 { exit !($1 > 0 && $2 < 6.2) }' out
result 'milliseconds and loss' $?
cut -f 2 out | sed 1d >first
llm-bench -m m -b 2 -c 16 --turns -j 1 step <two | cut -f 2 | sed 1d | cmp -s - first
result 'the loss is the same for any threads' $?

exits 0 'inference' llm-bench -m m --prompt 20 --tokens 5 -n 3 infer
awk -F '\t' '{ v[$1] = $2 } END { exit !(v["prompt"] > 0 && v["tokens"] > 0 && v["weights"] > 0 &&
    v["read"] > 0) }' out
result 'values that can be' $?
exits 0 'a prompt alone' llm-bench -m m --prompt 20 --tokens 0 -n 1 infer
! grep -q '^tokens' out
result 'has no speed of tokens' $?
exits 0 'in turn' sh -c 'llm-bench -m m --prompt 20 --tokens 5 --turns infer <two'
awk -F '\t' 'NR == 1 { ready = $0 } NR > 1 { n += $1 > 0 && $2 > 0 } END {
    exit !(ready == "ready" && n == 2) }' out
result 'milliseconds of both, for each line' $?
exits 2 'more than the context' llm-bench -m m --prompt 20 --tokens 13 infer
grep -q '33 tokens in a context of 32' err
result 'is told' $?

exits 0 'the peak' llm-bench -j 1 peak
awk -F '\t' '$1 == "fp32" { exit !($2 == 1 && $3 > 0.1 && $4 == "GFLOP/s") }' out
result 'is a rate' $?

# Products: three each of four layers, and three each of four quantized types.
exits 0 'kernels' llm-bench --quick kernels
awk -F '\t' 'NR > 1 { n[$1]++; if (!($3 > 0 && $4 > 0)) bad = 1 } END {
    exit bad || n["matmul"] != 24 || n["grouped"] != 3 || n["attention_bwd"] < 2 || n["scan"] != 1 }' out
result 'products, attention, recurrences, at some speed' $?
exits 0 'some, in bf16' llm-bench --quick --dtype bf16 kernels rms
test "$(cut -f 1 out | tr '\n' ' ')" = 'kernel rmsnorm rmsnorm_bwd '
result 'only these' $?

# On the stand-in driver, whose speed says nothing and which frees nothing; of 64 MB, to
# have little to read.
if test -z "$GPU" && test -e "$BUILD/tests/cuda/libcuda.so.1"
then
	export LD_LIBRARY_PATH="$BUILD/tests/cuda" CUDA_STANDIN_MEMORY=67108864 \
	    ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"
	exits 0 'inference on a GPU' llm-bench -d cuda -m m --prompt 20 --tokens 5 -n 1 infer
	awk -F '\t' '{ v[$1] = $2 } END { exit !(v["prompt"] > 0 && v["tokens"] > 0) }' out
	result 'has both speeds' $?
	exits 0 'kernels on a GPU' llm-bench -d cuda --quick kernels rms
	test "$(cut -f 1 out | tr '\n' ' ')" = 'kernel rmsnorm rmsnorm_bwd '
	result 'are measured too' $?
	unset LD_LIBRARY_PATH CUDA_STANDIN_MEMORY
fi

exits 2 'rows longer than the context' llm-bench -m m -c 64 step
exits 2 'nothing named' llm-bench
exits 2 'something unknown' llm-bench speed
exits 2 'no model' llm-bench -m none step
done_testing
