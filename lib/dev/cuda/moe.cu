/*
 * Routing to experts: choice, its gradient, sorting, losses, and rows back to
 * tokens.  A warp takes a token, whose scores lie in shared memory: lane l has
 * experts l, l + 32 ...
 */
#include "dev/cuda/common.cuh"

/* A row of numbers for each expert. */
struct row {
	float	p[ROUTE_MAX_EXPERTS];
};

/* Softmax of x is e^(x - top) / sum. */
struct softmax {
	float	top, sum;
};

DEVICE struct softmax
softmax_of(const float *x, int64_t n)
{
	struct softmax s = { -INFINITY, 0 };

	for (int64_t e = lane(); e < n; e += 32)
		s.top = fmaxf(s.top, x[e]);
	s.top = warp_max(s.top);
	for (int64_t e = lane(); e < n; e += 32)
		s.sum += expf(x[e] - s.top);
	s.sum = warp_sum(s.sum);
	return s;
}

DEVICE float
score_of(const struct softmax &s, float x, bool sigmoid)
{
	return sigmoid ? 1 / (1 + expf(-x)) : expf(x - s.top) / s.sum;
}

/* Is id[i] a number below n?  Else it is noted. */
DEVICE bool
number_ok(const int32_t *id, int64_t i, int64_t n, int32_t what, const struct cuda_run &r)
{
	if (id[i] >= 0 && id[i] < n)
		return true;
	note(r, what, i, id[i], n);
	return false;
}

/* ---- choice ---- */

/* The larger, the sooner chosen: by key, a NaN last, the lower number first among equals. */
DEVICE uint64_t
rank_of(float key, int64_t e)
{
	uint32_t u = __float_as_uint(key + 0.0f);	/* of -0: 0 */

	u = key != key ? 0 : u >> 31 ? ~u : u | 1u << 31;
	return (uint64_t)u << 32 | (uint32_t)~e;
}

/* Take the best of key[0..n); bit k of taken: lane + 32 k is already.  Return its number. */
DEVICE int32_t
take_best(const float *key, int64_t n, uint32_t &taken)
{
	uint64_t best = 0;
	int32_t e;

	for (int k = 0; lane() + 32 * k < n; k++)
		if ((taken >> k & 1) == 0)
			best = max(best, rank_of(key[lane() + 32 * k], lane() + 32 * k));
	for (int o = 16; o > 0; o /= 2)
		best = max(best, __shfl_xor_sync(~0u, best, o));
	e = (int32_t)~(uint32_t)best;
	if (e % 32 == lane())
		taken |= 1u << e / 32;
	return e;
}

/* Experts outside the best groups get a key of -inf. */
DEVICE void
limit_groups(const struct k_route &a, float *key, float *best)
{
	int64_t size = a.experts / a.groups;
	uint32_t chosen = 0;

	for (int64_t g = 0; g < a.groups; g++) {
		const float *of = key + g * size;
		uint32_t taken = 0;
		float x = of[take_best(of, size, taken)];

		if (a.pairs && size > 1)
			x += of[take_best(of, size, taken)];
		if (lane() == 0)
			best[g] = x;
	}
	__syncwarp();
	for (int64_t j = 0; j < a.top_groups; j++)
		take_best(best, a.groups, chosen);
	__syncwarp();
	for (int k = 0; lane() + 32 * k < a.groups; k++)
		best[lane() + 32 * k] = (float)(chosen >> k & 1);
	__syncwarp();
	for (int64_t e = lane(); e < a.experts; e += 32)
		if (best[e / size] == 0)
			key[e] = -INFINITY;
	__syncwarp();
}

/* What the chosen scores, of this sum, are multiplied by. */
DEVICE float
weight_scale(const struct k_route &a, float sum)
{
	return a.normalize ? (float)a.scale / (sum + 1e-20f) : (float)a.scale;
}

DEVICE void
choose(const struct k_route &a, const struct softmax &s, const float *x, const float *key,
    int32_t *id, float *w)
{
	uint32_t taken = 0;
	float sum = 0, scale;

	for (int64_t j = 0; j < a.top; j++) {
		int32_t e = take_best(key, a.experts, taken);
		float p = score_of(s, x[e], a.sigmoid);

		sum += p;
		if (lane() == j % 32) {
			id[j] = e;
			w[j] = p;
		}
	}
	scale = weight_scale(a, sum);
	for (int64_t j = lane(); j < a.top; j += 32)
		w[j] *= scale;
}

ONE(route, k_route)
{
	__shared__ struct row shared[ROUTE_WARPS][2];
	float *key = shared[threadIdx.x / 32][0].p, *best = shared[threadIdx.x / 32][1].p;
	int64_t rows = rows_of(a.t, r), n = a.experts;

	for (int64_t t = first_warp(); t < rows; t += step_warp()) {
		const float *x = at<float>(a.logits) + t * n;
		struct softmax s = softmax_of(x, n);

		/* Softmax keeps the order: logits tell apart what rounds to one score. */
		for (int64_t e = lane(); e < n; e += 32) {
			float p = score_of(s, x[e], a.sigmoid);

			key[e] = a.bias.at != 0 ? p + at<float>(a.bias)[e] :
			    a.sigmoid || a.pairs ? p : x[e];
		}
		__syncwarp();
		if (a.groups > 1)
			limit_groups(a, key, best);
		choose(a, s, x, key, at<int32_t>(a.id) + t * a.top,
		    at<float>(a.weight) + t * a.top);
		__syncwarp();
	}
}

/* ---- its gradient ---- */

/* Of the balance loss in p, in scratch: one row for all tokens.  One block. */
ONE(balance_grad, k_route_bwd)
{
	int64_t n = a.f.experts, all = 0;
	const int32_t *offset = at<int32_t>(a.offset);

	for (int64_t l = 0; l < a.layers; l++)
		all += offset[l * (n + 1) + n];
	for (int64_t e = threadIdx.x; e < n; e += THREADS) {
		int64_t here = 0;

		for (int64_t l = 0; l < a.layers; l++)
			here += offset[l * (n + 1) + e + 1] - offset[l * (n + 1) + e];
		/* f_e, over the layers again: the mean of p is over them too. */
		at<float>(r.scratch)[e] = all == 0 ? 0 : *at<float>(a.share) *
		    (float)(a.aux * (double)n * (double)here * (double)a.f.top /
		    ((double)all * (double)a.layers));
	}
}

/* g += the gradient of the chosen scores, which are of different experts. */
DEVICE void
weight_grad(const struct k_route &a, const float *p, const int32_t *id, const float *dw, float *g)
{
	float sum = 0, mean = 0, scale;

	for (int64_t j = lane(); j < a.top; j += 32)
		sum += p[id[j]];
	scale = weight_scale(a, warp_sum(sum));
	for (int64_t j = lane(); a.normalize && j < a.top; j += 32)
		mean += dw[j] * scale * p[id[j]] / (float)a.scale;
	mean = warp_sum(mean);
	for (int64_t j = lane(); j < a.top; j += 32)
		g[id[j]] += scale * (dw[j] - mean);
}

/* dx = the gradient of the logits; balance (E) may be NULL */
DEVICE void
through_scores(const struct k_route &a, const float *p, const float *g, const float *balance,
    float *dx)
{
	float sum = 0, dot = 0;

	for (int64_t e = lane(); e < a.experts; e += 32) {
		float b = balance != NULL ? balance[e] : 0;

		sum += p[e];
		dot += p[e] * (a.sigmoid ? b : b + g[e]);
	}
	sum = warp_sum(sum) + 1e-20f;
	dot = warp_sum(dot);
	for (int64_t e = lane(); e < a.experts; e += 32) {
		float b = balance != NULL ? balance[e] : 0;

		dx[e] = a.sigmoid ? (g[e] + (b - dot / sum) / sum) * p[e] * (1 - p[e]) :
		    p[e] * (g[e] + b - dot);
	}
}

/* Are the experts of token t such? */
DEVICE bool
experts_ok(const struct k_route &a, int64_t t, const struct cuda_run &r)
{
	bool good = true;

	for (int64_t j = lane(); j < a.top; j += 32)
		good = good && number_ok(at<int32_t>(a.id), t * a.top + j, a.experts,
		    NOTE_EXPERT, r);
	return __all_sync(~0u, good);
}

ONE(route_bwd, k_route_bwd)
{
	__shared__ struct row shared[ROUTE_WARPS][2];
	float *p = shared[threadIdx.x / 32][0].p, *g = shared[threadIdx.x / 32][1].p;
	const float *balance = a.share.at != 0 ? at<float>(r.scratch) : NULL;
	float z = a.share.at != 0 ? 2 * *at<float>(a.share) * (float)a.z : 0;
	int64_t rows = rows_of(a.f.t, r), n = a.f.experts;

	for (int64_t t = first_warp(); t < rows; t += step_warp()) {
		const float *x = at<float>(a.f.logits) + t * n;
		const int32_t *id = at<int32_t>(a.f.id) + t * a.f.top;
		float *dx = at<float>(a.dlogits) + t * n;
		struct softmax s = softmax_of(x, n);

		for (int64_t e = lane(); e < n; e += 32) {
			p[e] = score_of(s, x[e], a.f.sigmoid);
			g[e] = 0;
		}
		__syncwarp();
		if (a.dweight.at != 0 && experts_ok(a.f, t, r))
			weight_grad(a.f, p, id, at<float>(a.dweight) + t * a.f.top, g);
		__syncwarp();
		through_scores(a.f, p, g, balance, dx);
		for (int64_t e = lane(); z != 0 && e < n; e += 32)
			dx[e] += z * (s.top + logf(s.sum)) * score_of(s, x[e], false);
		__syncwarp();
	}
}

/* ---- sorting ---- */

/*
 * Of the chunk that is this warp's, f(i, e, k): assignment i is of expert e, and
 * count[e] were with those of e before it in the chunk.
 */
template <typename F> DEVICE void
walk(const struct k_route_sort &a, const struct cuda_run &r, int32_t *count, F f)
{
	int64_t chunk = sort_chunk(a.t.cap * a.top), from = first_warp() * chunk;
	int64_t to = min(rows_of(a.t, r) * a.top, from + chunk);

	for (int64_t i0 = from; i0 < to; i0 += 32) {
		int64_t i = i0 + lane();
		int32_t e = i < to ? at<int32_t>(a.id)[i] : -1;
		bool good = i < to && number_ok(at<int32_t>(a.id), i, a.experts, NOTE_EXPERT, r);
		uint32_t same = __match_any_sync(~0u, e);

		if (good)
			f(i, e, count[e] + __popc(same & ((1u << lane()) - 1)));
		__syncwarp();
		if (good && lane() == 31 - __clz(same))
			count[e] += __popc(same);
		__syncwarp();
	}
}

/* Scratch (chunks, E) = how many each chunk has of an expert. */
ONE(sort_count, k_route_sort)
{
	__shared__ int32_t shared[WARPS][ROUTE_MAX_EXPERTS];
	int32_t *count = shared[threadIdx.x / 32];
	int64_t n = a.t.cap * a.top, chunk = first_warp();

	for (int64_t e = lane(); e < a.experts; e += 32)
		count[e] = 0;
	__syncwarp();
	walk(a, r, count, [](int64_t, int32_t, int32_t) { });
	for (int64_t e = lane(); chunk * sort_chunk(n) < n && e < a.experts; e += 32)
		at<int32_t>(r.scratch)[chunk * a.experts + e] = count[e];
}

/* Scratch becomes how many the chunks before have, and offset is made.  One block. */
ONE(sort_scan, k_route_sort)
{
	__shared__ int32_t total[ROUTE_MAX_EXPERTS];
	int64_t n = a.t.cap * a.top, each = sort_chunk(n), chunks = (n + each - 1) / each;
	int32_t *part = at<int32_t>(r.scratch), carry = 0;

	for (int64_t e = threadIdx.x; e < a.experts; e += THREADS) {
		int32_t sum = 0;

		for (int64_t k = 0; k < chunks; k++) {
			int32_t here = part[k * a.experts + e];

			part[k * a.experts + e] = sum;
			sum += here;
		}
		total[e] = sum;
	}
	__syncthreads();
	if (threadIdx.x >= 32)
		return;
	for (int64_t e0 = 0; e0 < a.experts; e0 += 32) {
		int64_t e = e0 + lane();
		int32_t x = e < a.experts ? total[e] : 0, upto = warp_upto(x);

		if (e < a.experts)
			at<int32_t>(a.offset)[e] = carry + upto - x;
		carry += __shfl_sync(~0u, upto, 31);
	}
	if (lane() == 0)
		at<int32_t>(a.offset)[a.experts] = carry;
}

ONE(sort_place, k_route_sort)
{
	__shared__ int32_t shared[WARPS][ROUTE_MAX_EXPERTS];
	int32_t *next = shared[threadIdx.x / 32];
	int64_t n = a.t.cap * a.top, chunk = first_warp();

	for (int64_t e = lane(); chunk * sort_chunk(n) < n && e < a.experts; e += 32)
		next[e] = at<int32_t>(a.offset)[e] +
		    at<int32_t>(r.scratch)[chunk * a.experts + e];
	__syncwarp();
	walk(a, r, next, [&](int64_t i, int32_t, int32_t row) {
		at<int32_t>(a.row)[i] = row;
		/* sectors: rows are of any expert */
		at<int32_t>(a.token)[row] = (int32_t)(i / a.top);
	});
}

/* ---- losses and balance ---- */

/* Scratch (chunks, E + 1) = the sums of ROUTE_ROWS tokens, a warp's first. */
ONE(route_part, k_route_sum)
{
	__shared__ double shared[ROUTE_WARPS][ROUTE_MAX_EXPERTS], squares[ROUTE_WARPS];
	double *sum = shared[threadIdx.x / 32], of_lse = 0;
	int64_t n = a.experts, t0 = (int64_t)blockIdx.x * ROUTE_ROWS;
	int64_t to = min(rows_of(a.t, r), t0 + ROUTE_ROWS);

	for (int64_t e = lane(); e < n; e += 32)
		sum[e] = 0;
	for (int64_t t = t0 + threadIdx.x / 32; t < to; t += ROUTE_WARPS) {
		const float *x = at<float>(a.logits) + t * n;
		struct softmax s = softmax_of(x, n);
		double lse = (double)(s.top + logf(s.sum)), all = 0;

		for (int64_t e = lane(); e < n; e += 32)
			all += (double)score_of(s, x[e], a.sigmoid);
		all = warp_sum(all) + 1e-20;
		for (int64_t e = lane(); e < n; e += 32)
			sum[e] += (double)score_of(s, x[e], a.sigmoid) / all;
		of_lse += lse * lse;
	}
	if (lane() == 0)
		squares[threadIdx.x / 32] = of_lse;
	__syncthreads();
	for (int64_t e = threadIdx.x; e <= n; e += blockDim.x) {
		double s = 0;

		for (int w = 0; w < ROUTE_WARPS; w++)
			s += e < n ? shared[w][e] : squares[w];
		at<double>(r.scratch)[blockIdx.x * (n + 1) + e] = s;
	}
}

ONE(route_add, k_route_sum)
{
	int64_t n = a.experts + 1, chunks = (rows_of(a.t, r) + ROUTE_ROWS - 1) / ROUTE_ROWS;

	for (int64_t e = first_of_all(); e < n; e += step_of_all()) {
		double s = 0;

		for (int64_t k = 0; k < chunks; k++)
			s += at<double>(r.scratch)[k * n + e];
		at<double>(a.sum)[e] = s;
	}
}

/* One block. */
ONE(balance, k_balance)
{
	__shared__ double shared[WARPS];
	int64_t t = rows_of(a.t, r), n = a.experts;
	const int32_t *offset = at<int32_t>(a.offset);
	const double *sum = at<double>(a.sum);
	double layers = (double)a.layers, loss = 0, squares = 0;

	if (t <= 0)
		return;
	for (int64_t e = threadIdx.x; e < n; e += THREADS) {
		double here = 0, p = 0;

		for (int64_t l = 0; l < a.layers; l++) {
			int64_t i = l * (n + 1) + e;

			at<int32_t>(a.count)[l * n + e] += offset[i + 1] - offset[i];
			here += offset[i + 1] - offset[i];
			p += sum[i];
		}
		/* T E (here / (layers T)) (p / (layers T)) */
		loss += (double)n * here * p / (layers * layers * (double)t);
	}
	for (int64_t l = threadIdx.x; l < a.layers; l += THREADS)
		squares += sum[l * (n + 1) + n];
	loss = block_sum(loss, shared);
	squares = block_sum(squares, shared);
	if (threadIdx.x == 0) {
		at<double>(a.loss)[0] += loss;
		at<double>(a.loss)[1] += squares;
	}
}

/* One block. */
ONE(balance_bias, k_balance_bias)
{
	__shared__ int64_t shared[WARPS];
	int32_t *count = at<int32_t>(a.count);
	int64_t all = 0;

	for (int64_t e = threadIdx.x; e < a.experts; e += THREADS)
		all += count[e];
	all = block_sum(all, shared);
	for (int64_t e = threadIdx.x; e < a.experts; e += THREADS) {
		int64_t more = count[e] * a.experts - all;

		if (at<struct dev_step>(a.step)->skip == 0)
			at<float>(a.bias)[e] += (float)a.rate *
			    (float)((more < 0) - (more > 0));
		count[e] = 0;
	}
}

/* ---- rows of experts back to tokens ---- */

template <typename T, int N> struct alignas(N * sizeof(T)) few {
	T	x[N];
};

/* N elements of token t from i on. */
template <int N, typename T> DEVICE void
combine_few(const struct k_combine &a, int64_t rows, int64_t t, int64_t i,
    const struct cuda_run &r)
{
	few<T, N> *y = (few<T, N> *)(at<T>(a.y) + t * a.c + i), p;
	float s[N] = { 0 };

	for (int64_t j = t * a.top; j < (t + 1) * a.top; j++) {
		int64_t row = at<int32_t>(a.row)[j];
		float w = a.weight.at != 0 ? at<float>(a.weight)[j] : 1;

		if (!number_ok(at<int32_t>(a.row), j, rows, NOTE_ROW, r))
			continue;
		p = *(const few<T, N> *)(at<T>(a.x) + row * a.c + i);
#pragma unroll
		for (int k = 0; k < N; k++)
			s[k] = fmaf(w, get(&p.x[k]), s[k]);
	}
	if (a.add)
		p = *y;
#pragma unroll
	for (int k = 0; k < N; k++)
		put(&p.x[k], a.add ? s[k] + get(&p.x[k]) : s[k]);
	*y = p;
}

/* A block takes a token. */
template <typename T> DEVICE void
combine(const struct k_combine &a, const struct cuda_run &r)
{
	constexpr int EACH = 16 / sizeof(T);
	int64_t n = rows_of(a.t, r);
	bool well = (a.x.at | a.y.at) % 16 == 0 && a.c % EACH == 0;

	for (int64_t t = blockIdx.x; t < n; t += gridDim.x) {
		for (int64_t i = threadIdx.x * EACH; well && i < a.c; i += THREADS * EACH)
			combine_few<EACH, T>(a, n * a.top, t, i, r);
		for (int64_t i = threadIdx.x; !well && i < a.c; i += THREADS)
			combine_few<1, T>(a, n * a.top, t, i, r);
	}
}
TYPED(combine, k_combine)

/* dx[0..n) = w dy; return this lane's part of dy . x */
template <int N, typename T> DEVICE float
share_out(T *dx, const T *dy, const T *x, float w, int64_t n)
{
	float s = 0;

	for (int64_t i = lane() * N; i < n; i += 32 * N) {
		few<T, N> d = *(const few<T, N> *)(dy + i), v = *(const few<T, N> *)(x + i);

#pragma unroll
		for (int k = 0; k < N; k++) {
			s = fmaf(get(&d.x[k]), get(&v.x[k]), s);
			put(&d.x[k], w * get(&d.x[k]));
		}
		*(few<T, N> *)(dx + i) = d;
	}
	return s;
}

/* A warp takes an assignment. */
template <typename T> DEVICE void
combine_bwd(const struct k_combine_bwd &a, const struct cuda_run &r)
{
	constexpr int EACH = 16 / sizeof(T);
	int64_t n = rows_of(a.t, r) * a.top;
	bool well = (a.x.at | a.dx.at | a.dy.at) % 16 == 0 && a.c % EACH == 0;

	for (int64_t i = first_warp(); i < n; i += step_warp()) {
		int64_t row = at<int32_t>(a.row)[i];
		const T *dy = at<T>(a.dy) + i / a.top * a.c, *x = at<T>(a.x) + row * a.c;
		T *dx = at<T>(a.dx) + row * a.c;
		float w = at<float>(a.weight)[i], s;

		if (!number_ok(at<int32_t>(a.row), i, n, NOTE_ROW, r))
			continue;
		s = warp_sum(well ? share_out<EACH>(dx, dy, x, w, a.c) :
		    share_out<1>(dx, dy, x, w, a.c));
		if (a.dweight.at != 0 && lane() == 0)
			at<float>(a.dweight)[i] = s;
	}
}
TYPED(combine_bwd, k_combine_bwd)
