/*
 * The Walsh-Hadamard transform of parts of rows.  Lane l of a warp has elements
 * l, l + 32 ... of a part, or of several that are shorter: pairs within 32 are
 * in two lanes, others in one.
 */
#include "dev/cuda/common.cuh"

/* 32 K elements: a part, or, of K = 1, 32 / n. */
template <int K, typename T> DEVICE void
transform(T *y, const T *x, int64_t total, int64_t n)
{
	float scale = 1 / sqrtf((float)n), v[K];
	int64_t step = step_warp() * 32 * K;

	for (int64_t i = first_warp() * 32 * K; i < total; i += step) {
#pragma unroll
		for (int k = 0; k < K; k++) {
			int64_t from = i + lane() + 32 * k;

			v[k] = from < total ? get(x + from) * scale : 0;
#pragma unroll
			for (int h = 1; h < 32; h *= 2) {
				float other = __shfl_xor_sync(~0u, v[k], h);

				if (h < n)
					v[k] = lane() & h ? other - v[k] : v[k] + other;
			}
		}
#pragma unroll
		for (int h = 1; h < K; h *= 2)
#pragma unroll
			for (int k = 0; k < K; k++)
				if ((k & h) == 0) {
					float a = v[k], b = v[k + h];

					v[k] = a + b;
					v[k + h] = a - b;
				}
#pragma unroll
		for (int k = 0; k < K; k++)
			if (i + lane() + 32 * k < total)
				put(y + i + lane() + 32 * k, v[k]);
	}
}

template <typename T> DEVICE void
hadamard(const struct k_hadamard &a, const struct cuda_run &r)
{
	int64_t total = rows_of(a.t, r) * a.c;
	const T *x = at<T>(a.x);
	T *y = at<T>(a.y);

	switch (a.n / 32) {
	case 2:		transform<2>(y, x, total, a.n); break;
	case 4:		transform<4>(y, x, total, a.n); break;
	case 8:		transform<8>(y, x, total, a.n); break;
	case 16:	transform<16>(y, x, total, a.n); break;
	case 32:	transform<32>(y, x, total, a.n); break;
	default:	transform<1>(y, x, total, a.n);
	}
}
TYPED(hadamard, k_hadamard)
