/*
 * finish - what becomes of a product's sums: scaled, added to c, a bias, squares
 */
#ifndef DEV_CUDA_FINISH_CUH
#define DEV_CUDA_FINISH_CUH

#include "dev/cuda/common.cuh"

template <typename C, int N> struct alignas(N * sizeof(C)) few {
	C	x[N];
};

/* Does c lie so that N elements are moved at once, and the bias with them? */
template <typename C, int N> DEVICE bool
moves_at_once(const struct k_matmul &a)
{
	return a.c.at % (N * sizeof(C)) == 0 && a.ldc % N == 0 && a.bias.at % (4 * N) == 0;
}

/* c = alpha x [+ c] [+ bias], N elements from (i, j) on; return their squares */
template <typename C, int N> DEVICE float
finish(const struct k_matmul &a, bool wide, int64_t i, int64_t j, const few<float, N> &x)
{
	C *c = at<C>(a.c) + i * a.ldc + j;
	const float *bias = at<float>(a.bias) + j;
	int n = a.n - j < N ? (int)(a.n - j) : N;
	float alpha = (float)a.alpha, squares = 0;
	few<float, N> add;
	few<C, N> p;

	wide = wide && n == N;
	if (wide && a.add)
		p = *(const few<C, N> *)c;
	if (wide && a.bias.at != 0)
		add = *(const few<float, N> *)bias;
#pragma unroll
	for (int q = 0; q < N; q++) {
		float y = alpha * x.x[q];

		if (q >= n)
			continue;
		if (a.add)
			y += get(wide ? &p.x[q] : &c[q]);
		if (a.bias.at != 0)
			y += wide ? add.x[q] : bias[q];
		squares += y * y;
		put(&p.x[q], y);
		if (!wide)
			c[q] = p.x[q];
	}
	if (wide)
		*(few<C, N> *)c = p;
	return squares;
}

/* The sum of a block's squares is one of the parts in scratch. */
DEVICE void
tile_squares(const struct k_matmul &a, const struct cuda_run &r, char *memory, float squares)
{
	float *warps = (float *)memory, sum = 0;

	if (a.sumsq.at == 0)
		return;
	squares = warp_sum(squares);
	__syncthreads();
	if (lane() == 0)
		warps[threadIdx.x / 32] = squares;
	__syncthreads();
	if (threadIdx.x > 0)
		return;
	for (int w = 0; w < blockDim.x / 32; w++)
		sum += warps[w];
	at<double>(r.scratch)[(int64_t)blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

#endif
