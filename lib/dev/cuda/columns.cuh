/*
 * columns - sums of columns, by chunks of rows
 */
#ifndef DEV_CUDA_COLUMNS_CUH
#define DEV_CUDA_COLUMNS_CUH

#include "dev/cuda/common.cuh"

/*
 * part (chunks, c) of r.scratch = sums of f(row, column) over the rows of each
 * chunk.  Blocks are (columns of 32, chunks): a warp takes each eighth row.
 */
template <typename F> DEVICE void
columns(int64_t rows, int64_t c, const struct cuda_run &r, F f)
{
	__shared__ float shared[WARPS][32];
	int64_t i = (int64_t)blockIdx.x * 32 + lane(), chunk = blockIdx.y;
	int64_t to = min(rows, (chunk + 1) * COLUMN_ROWS);
	float s = 0;

	for (int64_t t = chunk * COLUMN_ROWS + threadIdx.x / 32; t < to && i < c; t += WARPS)
		s += f(t, i);
	shared[threadIdx.x / 32][lane()] = s;
	__syncthreads();
	if (threadIdx.x >= 32 || i >= c)
		return;
	s = 0;
	for (int k = 0; k < WARPS; k++)
		s += shared[k][lane()];
	at<float>(r.scratch)[chunk * c + i] = s;
}

#endif
