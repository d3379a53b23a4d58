/*
 * Matrix products by tensor cores, of two operands in bf16 or in fp16, with
 * sums in fp32.  There are tiles for many rows, some, and the few of decoding,
 * whose time is that of reading b.
 */
#include "dev/cuda/tile.cuh"

template <typename T, typename S> DEVICE void
matmul(const struct k_matmul &a, const struct cuda_run &r)
{
	__shared__ alignas(128) char memory[S::BYTES];
	int64_t m = rows_of(a.m, r), k = rows_of(a.k, r);
	int64_t i0 = (int64_t)blockIdx.y * S::M, j0 = (int64_t)blockIdx.x * S::N;

	tile_squares(a, r, memory, tile_product<T, S>(a, memory, m, k, i0, j0));
}

#define MATMUL(size, blocks)							\
ENTRY(matmul_##size##_bf16, k_matmul, tile_##size::THREADS, blocks)		\
{ matmul<bf16, tile_##size>(a, r); }						\
ENTRY(matmul_##size##_f16, k_matmul, tile_##size::THREADS, blocks)		\
{ matmul<f16, tile_##size>(a, r); }

MATMUL(large, 2)
MATMUL(middle, 4)
MATMUL(small, 4)
