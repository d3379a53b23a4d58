/* Matrix products: blocks are (tiles of columns, tiles of rows). */
#include "dev/cuda/product.cuh"

DEVICE void
sum_tile(const struct k_matmul &a, const struct cuda_run &r, float squares)
{
	__shared__ float shared[WARPS];

	if (a.sumsq.at == 0)
		return;
	squares = block_sum(squares, shared);
	if (threadIdx.x == 0)
		at<double>(r.scratch)[(int64_t)blockIdx.y * gridDim.x + blockIdx.x] = squares;
}

#define MATMUL(name, product)							\
ONE(name, k_matmul)								\
{										\
	sum_tile(a, r, product(a, rows_of(a.m, r), rows_of(a.k, r),		\
	    (int64_t)blockIdx.y * TILE, (int64_t)blockIdx.x * TILE));		\
}

MATMUL(matmul, product_f32)
MATMUL(matmul_bf16, product_half<bf16>)
MATMUL(matmul_f16, product_half<f16>)
