/* Rows by index: embedding and its gradient, writes to a cache, rotary positions. */
#include "dev/cuda/cached.cuh"

/* One block: the first row that is outside is noted. */
ONE(index_check, cuda_index)
{
	__shared__ int64_t first[THREADS];
	int64_t end = min(rows_of(a.t, r), a.from + a.rows), found = INT64_MAX;

	for (int64_t t = a.from + threadIdx.x; t < end && found == INT64_MAX; t += THREADS) {
		int32_t x = at<int32_t>(a.x)[t];

		if (x < a.least || x >= a.limit)
			found = t;
	}
	first[threadIdx.x] = found;
	__syncthreads();
	if (threadIdx.x != 0)
		return;
	for (int i = 1; i < THREADS; i++)
		found = min(found, first[i]);
	if (found != INT64_MAX)
		note(r, a.what, found, at<int32_t>(a.x)[found], a.limit);
}

/* A block takes a row at a time; one whose id is outside was noted, and is left alone. */
template <typename T> DEVICE void
embed(const struct k_embed &a, const struct cuda_run &r)
{
	int64_t rows = rows_of(a.t, r);
	float scale = (float)a.scale;

	for (int64_t t = blockIdx.x; t < rows; t += gridDim.x) {
		int32_t id = at<int32_t>(a.id)[t];

		if (id < 0 || id >= a.v)
			continue;
		if (a.w_type == DTYPE_NONE || a.w_type == a.type) {
			const T *x[1] = { at<T>(a.w) + id * a.c };

			map(threadIdx.x, blockDim.x, at<T>(a.y) + t * a.c, x, a.c,
			    [&](const float *v, int64_t) { return scale * v[0]; });
			continue;
		}
		for (int64_t i = threadIdx.x; i < a.c; i += blockDim.x)
			put(at<T>(a.y) + t * a.c + i, scale * get_as(a.w_type, a.w, id * a.c + i));
	}
}
TYPED(embed, k_embed)

/* w[0..c) += scale dy[0..c); what the squares of w grow by: (w + d)^2 - w^2 = d (2 w + d). */
template <typename W, typename T> DEVICE double
add_row(W *w, const T *dy, int64_t c, float scale)
{
	double growth = 0;

	for (int64_t i = threadIdx.x; i < c; i += THREADS) {
		float was = get(w + i), d = scale * get(dy + i);

		put(w + i, was + d);
		growth += (double)d * (2 * (double)was + (double)d);
	}
	return growth;
}

/* A block takes a row of w, and looks through all ids for it, so that rows come in order. */
template <typename T> DEVICE void
embed_bwd(const struct k_embed_bwd &a, const struct cuda_run &r)
{
	__shared__ double shared[WARPS];
	__shared__ uint32_t hit[WARPS];
	int64_t rows = rows_of(a.t, r);
	float scale = (float)a.scale;

	for (int64_t v = blockIdx.x; v < a.v; v += gridDim.x) {
		double growth = 0;

		for (int64_t t0 = 0; t0 < rows; t0 += THREADS) {
			int64_t t = t0 + threadIdx.x;
			uint32_t mask = __ballot_sync(~0u, t < rows && at<int32_t>(a.id)[t] == v);

			if (!__syncthreads_or(mask != 0))
				continue;
			if (lane() == 0)
				hit[threadIdx.x / 32] = mask;
			__syncthreads();
			for (int k = 0; k < THREADS; k++) {
				const T *dy = at<T>(a.dy) + (t0 + k) * a.c;

				if ((hit[k / 32] >> k % 32 & 1) == 0)
					continue;
				if (a.dw_type == DTYPE_NONE)
					growth += add_row(at<float>(a.dw) + v * a.c, dy, a.c,
					    scale);
				else
					add_row(at<T>(a.dw) + v * a.c, dy, a.c, scale);
			}
			__syncthreads();
		}
		if (a.sumsq.at == 0)
			continue;
		growth = block_sum(growth, shared);
		if (threadIdx.x == 0)
			at<double>(r.scratch)[v] = growth;
	}
}
TYPED(embed_bwd, k_embed_bwd)

/* A block takes a row; of several that go to one slot, the last alone is written. */
template <typename T> DEVICE void
scatter(const struct k_scatter &a, const struct cuda_run &r)
{
	int64_t rows = rows_of(a.t, r), parts = a.parts > 0 ? a.parts : 1, each = a.c / parts;
	int64_t block = a.block_size > 0 ? a.block_size : 1;
	const int32_t *slot = at<int32_t>(a.slot);
	dtype to = a.y_type == DTYPE_NONE ? a.type : a.y_type;

	for (int64_t t = blockIdx.x; t < rows; t += gridDim.x) {
		int64_t s = slot[t], later = 0;

		if (s < 0 || s >= a.rows)
			continue;
		/* From where a warp's loads are whole sectors. */
		for (int64_t u = t / 32 * 32 + threadIdx.x; u < rows; u += THREADS)
			later |= u > t && slot[u] == s;
		if (__syncthreads_or(later != 0))
			continue;
		for (int64_t i = threadIdx.x; i < a.c; i += THREADS) {
			int64_t row = (s / block * parts + i / each) * block + s % block;

			if (is_of_blocks(to)) {
				put_block(to, a.y, (row * each + i % each) / 32,
				    get(at<T>(a.x) + t * a.ldx + i));
				continue;
			}
			put_as(to, a.y, row * each + i % each, get(at<T>(a.x) + t * a.ldx + i));
		}
	}
}
TYPED(scatter, k_scatter)

/* ---- rotary positions ---- */

enum { ROPE_PAIRS = 1024 / 2 / 32 };	/* of a lane, where elements change places */

template <typename T> DEVICE void
turn(const struct k_rope &a, const T *x, T *y, const float *cs)
{
	int64_t half = a.rot / 2;
	bool pairs = a.interleaved;

	for (int64_t i = lane(); i < half; i += 32) {
		int64_t p = pairs ? 2 * i : i, q = pairs ? p + 1 : i + half;
		float u = get(x + p), v = get(x + q);
		float c = cs[i], s = a.inverse ? -cs[half + i] : cs[half + i];

		put(y + p, u * c - v * s);
		put(y + q, u * s + v * c);
	}
}

/* All of a head is read before any is written, for y may be x. */
template <typename T> DEVICE void
turn_to_halves(const struct k_rope &a, const T *x, T *y, const float *cs)
{
	int64_t half = a.rot / 2;
	float u[ROPE_PAIRS], v[ROPE_PAIRS];

#pragma unroll
	for (int k = 0; k < ROPE_PAIRS; k++) {
		int64_t i = lane() + 32 * k, p = a.inverse ? i : 2 * i;
		int64_t q = a.inverse ? i + half : p + 1;

		if (i < half) {
			u[k] = get(x + p);
			v[k] = get(x + q);
		}
	}
	__syncwarp();
#pragma unroll
	for (int k = 0; k < ROPE_PAIRS; k++) {
		int64_t i = lane() + 32 * k, p = a.inverse ? 2 * i : i;
		int64_t q = a.inverse ? p + 1 : i + half;

		if (i < half) {
			float c = cs[i], s = a.inverse ? -cs[half + i] : cs[half + i];

			put(y + p, u[k] * c - v[k] * s);
			put(y + q, u[k] * s + v[k] * c);
		}
	}
}

/* A warp takes a head of a row. */
template <typename T> DEVICE void
rope(const struct k_rope &a, const struct cuda_run &r)
{
	int64_t n = rows_of(a.t, r) * a.heads;

	for (int64_t k = first_warp(); k < n; k += step_warp()) {
		int64_t t = k / a.heads, h = k % a.heads;
		int64_t pos = a.pos.at != 0 ? at<int32_t>(a.pos)[t] : t;
		const T *x = at<T>(a.x) + t * a.ldx + h * a.d;
		T *y = at<T>(a.y) + t * a.ldy + h * a.d;

		if (pos < 0 || pos >= a.positions)
			continue;
		if (a.to_halves)
			turn_to_halves(a, x, y, at<float>(a.table) + pos * a.rot);
		else
			turn(a, x, y, at<float>(a.table) + pos * a.rot);
		for (int64_t i = a.rot + lane(); a.y.at != a.x.at && i < a.d; i += 32)
			y[i] = x[i];
	}
}
TYPED(rope, k_rope)
