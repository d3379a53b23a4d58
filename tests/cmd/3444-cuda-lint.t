#!/bin/sh
# How the hot kernels of the CUDA device use memory, as the stand-in driver counts it, and
# that no result depends on the order in which threads run.
. "$(dirname "$0")/../lib.sh"
exec </dev/null
top=${data%/tests/data}
driver=$BUILD/tests/cuda
cd "$tmp" || exit 1

# judge TABLE SOURCE...
judge () {
	table=$1
	shift
	awk -f "$top/tests/cuda/lint.awk" "$@" "$table" | LC_ALL=C sort
}

cat >k.cu <<'EOF'
x = p[8 * i];
x = p[9 * i];	/* sectors: it is a test */
/* banks: another test */
y = s[32 * i];
y = s[33 * i];
EOF
{
	printf 'launch\tk\t1\t1\t32\t0\t10\t0\n'
	for i in 1 2
	do
		printf 'global\tk\tk.cu:%d\t1\t8\t4\n' $i
		printf 'global\tk\tcommon.cuh:7 a.cuh:9 k.cu:%d\t1\t23\t20\n' $i
	done
	printf 'global\tk\tk.cu:4\t10\t44\t40\n'
	for i in 3 4 5
	do
		printf 'shared\tk\tk.cu:%d\t1\t%d\n' $i $i
	done
	printf 'shared\tk\tk.cu:6\t1\t2\n'
} >k.tsv
judge k.tsv k.cu >out
prints 'the lint tells what is too much, but where the source gives a reason' <<'EOF'
k	common.cuh:7 a.cuh:9 k.cu:1	1.15 times the ideal sectors
k	k.cu:1	2.00 times the ideal sectors
k	k.cu:5	a bank conflict of 5 ways
EOF
! awk -f "$top/tests/cuda/lint.awk" k.cu k.tsv >out
result 'and fails' $?

if ! test -e "$driver/libcuda.so.1"
then
	done_testing
	exit 0
fi
LD_LIBRARY_PATH=$driver CUDA_STANDIN_LINT=hot.tsv CUDA_STANDIN_ORDER=each \
    "$BUILD/tests/unit/t_hot" >out 2>err
result 'hot kernels beside the CPU, with no finding, in three orders' $?
grep '^not ok' -A 2 out
head -n 3 err
for entry in rmsnorm_bf16 rmsnorm_dx_f32 glu_bwd_bf16 xent embed_bwd_bf16 adamw flash_64_bf16 \
    matmul_middle_bf16 matmul_middle_f32 flash_64_f32 flash_few_64_bf16 flash_merge \
    flash_dq_64_bf16 flash_dkv_128_bf16 qmatmul_few_q2_k qmatmul_many_q3_k quant_round_bf16 \
    quant_decode_q4_k grouped_middle_bf16 route sort_place combine_bwd_bf16 conv_dw_bf16 \
    scan_back_f32 fake_quant_large hadamard_bf16
do
	grep -q "^launch	$entry	" hot.tsv
	result "$entry was counted" $?
done
# shellcheck disable=SC2046 # no blanks in names
judge hot.tsv $(find "$top/lib/dev" "$top/lib/base" -name '*.cu' -o -name '*.cuh' -o -name '*.h') >out
prints 'no line moves more sectors than it must, or waits for banks' </dev/null
done_testing
