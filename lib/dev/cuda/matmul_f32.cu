/*
 * Matrix products in fp32: of operands in fp32, or of two types.
 */
#include "dev/cuda/tile_f32.cuh"

template <typename S> DEVICE void
matmul(const struct k_matmul &a, const struct cuda_run &r)
{
	__shared__ alignas(128) char memory[S::BYTES];
	int64_t m = rows_of(a.m, r), k = rows_of(a.k, r);
	int64_t i0 = (int64_t)blockIdx.y * S::M, j0 = (int64_t)blockIdx.x * S::N;

	tile_squares(a, r, memory, tile_f32_product<S>(a, memory, m, k, i0, j0));
}

#define MATMUL(size, blocks)							\
ENTRY(matmul_##size##_f32, k_matmul, tile_f32_##size::THREADS, blocks)		\
{ matmul<tile_f32_##size>(a, r); }

MATMUL(large, 2)
MATMUL(middle, 3)
MATMUL(small, 4)
