/* Cross-entropy of rows of logits and its gradient, and sums to one double. */
#include "dev/cuda/common.cuh"

DEVICE float
cap(float x, float c)
{
	return c > 0 ? c * tanhf(x / c) : x;
}

/* The rows of this chunk that there are. */
DEVICE int64_t
chunk_rows(const struct k_xent &a, const struct cuda_run &r)
{
	int64_t n = rows_of(a.t, r) - a.row0;

	return n < a.rows ? n : a.rows;
}

/* A block takes a row. */
ONE(xent, k_xent)
{
	__shared__ float shared[WARPS];
	int64_t rows = chunk_rows(a, r);
	float c = (float)a.softcap;

	for (int64_t k = blockIdx.x; k < rows; k += gridDim.x) {
		const float *x = at<float>(a.logits) + k * a.ld;
		int64_t t = a.row0 + k;
		int32_t target = a.target.at != 0 ? at<int32_t>(a.target)[t] : -1;
		float top = -INFINITY, sum = 0, weighted = 0, lse;

		for (int64_t i = threadIdx.x; i < a.v; i += THREADS)
			top = fmaxf(top, cap(x[i], c));
		top = block_max(top, shared);
		for (int64_t i = threadIdx.x; i < a.v; i += THREADS) {
			float d = cap(x[i], c) - top, e = expf(d);

			sum += e;
			weighted += d * e;
		}
		sum = block_sum(sum, shared);
		weighted = block_sum(weighted, shared);
		if (threadIdx.x != 0)
			continue;
		lse = top + logf(sum);
		if (a.lse.at != 0)
			at<float>(a.lse)[t] = lse;
		if (a.logp.at != 0)
			at<float>(a.logp)[t] = target < 0 || target >= a.v ? 0 :
			    cap(x[target], c) - lse;
		if (a.entropy.at != 0)
			at<float>(a.entropy)[t] = logf(sum) - weighted / sum;
	}
}

/* dlogits may lie over logits, as wide or narrower: all of a piece is read before any is written */
template <typename T> DEVICE void
xent_bwd_row(const struct k_xent_bwd &a, int64_t k)
{
	const float *x = at<float>(a.f.logits) + k * a.f.ld;
	T *y = at<T>(a.dlogits) + k * a.ld;
	int64_t t = a.f.row0 + k;
	int32_t target = a.f.target.at != 0 ? at<int32_t>(a.f.target)[t] : -1;
	float c = (float)a.f.softcap, lse = at<float>(a.f.lse)[t];
	float dlogp = a.dlogp.at != 0 && target >= 0 ? at<float>(a.dlogp)[t] : 0;
	float g = (a.dlse.at != 0 ? at<float>(a.dlse)[t] : 0) - dlogp * (1 + 2 * (float)a.z * lse);

	for (int64_t i0 = 0; i0 < a.f.v; i0 += THREADS) {
		int64_t i = i0 + threadIdx.x;
		float s = i < a.f.v ? cap(x[i], c) : 0, d = expf(s - lse) * g;

		if (i == target)
			d += dlogp;
		if (c > 0)
			d *= 1 - s / c * (s / c);
		__syncthreads();
		if (i < a.f.v)
			put(y + i, d);
	}
}

ONE(xent_bwd, k_xent_bwd)
{
	int64_t rows = chunk_rows(a.f, r);

	for (int64_t k = blockIdx.x; k < rows; k += gridDim.x) {
		if (a.type == DTYPE_F32)
			xent_bwd_row<float>(a, k);
		else if (a.type == DTYPE_BF16)
			xent_bwd_row<bf16>(a, k);
		else
			xent_bwd_row<f16>(a, k);
	}
}

/* ---- sums to one double: of parts of SUM_PART elements, and then of parts ---- */

template <typename T> DEVICE void
dot_part(const struct k_dot &a, const struct cuda_run &r)
{
	__shared__ double shared[WARPS];
	int64_t n = rows_of(a.n, r), parts = (n + SUM_PART - 1) / SUM_PART;

	for (int64_t k = blockIdx.x; k < parts; k += gridDim.x) {
		int64_t to = min(n, (k + 1) * SUM_PART);
		double s = 0;

		for (int64_t i = k * SUM_PART + threadIdx.x; i < to; i += THREADS)
			s += (double)get(at<T>(a.a) + i) *
			    (double)(a.b.at != 0 ? get(at<T>(a.b) + i) : 1);
		s = block_sum(s, shared);
		if (threadIdx.x == 0)
			at<double>(r.scratch)[k] = s;
	}
}
TYPED(dot_part, k_dot)

/* One block. */
ONE(parts_add, cuda_parts)
{
	__shared__ double shared[WARPS];
	int64_t n = (rows_of(a.n, r) + a.each - 1) / a.each;
	double s = 0;

	for (int64_t i = threadIdx.x; i < n; i += THREADS)
		s += at<double>(a.part)[i];
	s = block_sum(s, shared);
	if (threadIdx.x == 0)
		*at<double>(a.out) = (a.add ? *at<double>(a.out) : 0) + s;
}
