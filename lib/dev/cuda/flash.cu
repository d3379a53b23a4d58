/*
 * Flash attention (arXiv 2205.14135, 2307.08691).  Tensor cores compute it where
 * activations, keys and values are all bf16, or all fp16, or keys and values are of
 * blocks, which become that on their way; else it is fp32, from whatever types there are.
 *
 * A block takes rows of a sequence and a key head, ROWS a warp, and goes
 * through tiles of keys: while scores are made of keys, values come into
 * shared memory; while values are added, the next keys come.  Each SEGMENT of
 * keys has sums of its own, which are merged in order.  So where there are few
 * rows, segments may be blocks' own: the same sums, by the same instructions.
 * A row's bits depend on its sequence alone, however that comes in pieces.
 *
 * HALVES warps share rows of many elements: each has all scores, and a part of
 * the values' columns.
 */
#include "dev/cuda/attend.cuh"

enum { SEGMENT = FLASH_SEGMENT };

extern __shared__ uint4 flash_shared[];

/* Where keys of a tile are, in rows of keys and of values; what their scores get. */
template <int KEYS> struct places {
	int64_t	at[KEYS];
	float	bias[KEYS];
};

/* What is known of a warp's rows: lanes of a quad have two, eight apart. */
template <int N> struct sums {
	float	o[N][4], top[2], sum[2];
};

/* ---- jobs ---- */

/* A sequence of few rows is a warp's alone. */
template <int TALL> DEVICE int
tiles_of(const struct k_attention &a, int group, int n)
{
	bool few = a.block_table.at != 0 && n * group <= ROWS;

	return few != (TALL == ROWS) ? 0 : (n * group + TALL - 1) / TALL;
}

/* Segments of a sequence that are summed apart, [*from, *to), or none. */
DEVICE bool
is_split(const struct cuda_flash &c, const struct span &s, int *from, int *to)
{
	const struct k_attention &a = c.a;

	*from = a.window > 0 && a.sinks == 0 ? max(0, s.pos - (int)a.window + 1) / SEGMENT : 0;
	*to = (s.nk + SEGMENT - 1) / SEGMENT;
	return s.row + s.nq <= c.tokens && s.nq * (a.heads / a.kv_heads) <= FLASH_SPLIT &&
	    *to - *from > 1;
}

/* ---- keys and values ---- */

template <int KEYS> DEVICE void
find_places(struct places<KEYS> *p, const struct k_attention &a, const struct job &b, int j0)
{
	for (int i = threadIdx.x; i < KEYS; i += blockDim.x) {
		int64_t j = j0 + i, at_row = -1;

		if (j >= b.s.nk)
			at_row = -1;
		else if (a.block_table.at == 0)
			at_row = b.s.row + j;
		else {
			int bs = (int)a.block_size;
			int64_t block = at<int32_t>(a.block_table)[b.s.seq * a.max_blocks +
			    (int)j / bs];

			if (block >= 0)
				at_row = (block * a.kv_heads + b.kh) * bs + (int)j % bs;
		}
		p->at[i] = at_row;
		p->bias[i] = a.bias.at != 0 && at_row >= 0 ? at<float>(a.bias)[at_row] : 0;
	}
}

/* Rows of keys or values of a tile, of ld, of which a head has d. */
template <typename T, int KEYS> DEVICE void
load_tile(T *to, const struct k_attention &a, const struct job &b, const struct places<KEYS> *p,
    dptr x, int64_t ld, int d)
{
	bool paged = a.block_table.at != 0;
	int64_t step = paged ? ld / a.kv_heads : ld;
	struct rows rows = rows_at<T>(x, a.kv_type, paged ? 0 : b.kh * d, step, d);

	load_rows(to, rows, KEYS, [&](int i) { return p->at[i] < 0 ? -1 : p->at[i] * step; });
}

/* ---- sums ---- */

template <int N> DEVICE void
start(struct sums<N> &x)
{
	zero(x.o);
	x.top[0] = x.top[1] = -INFINITY;
	x.sum[0] = x.sum[1] = 0;
}

/* Of a row that has seen nothing yet, any number will do. */
DEVICE float
base_of(float top)
{
	return top == -INFINITY ? 0 : top;
}

DEVICE float
quad_max(float x)
{
	x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
	return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}

DEVICE float
quad_sum(float x)
{
	x = __fadd_rn(x, __shfl_xor_sync(~0u, x, 1));
	return __fadd_rn(x, __shfl_xor_sync(~0u, x, 2));
}

/* Products become weights; what was summed before counts less. */
template <int N, int EIGHTS> DEVICE void
weigh(float (&s)[EIGHTS][4], struct sums<N> &x, const struct scoring &z, const float *bias,
    const int (&pos)[2], int j0, int nk, bool all)
{
	float high[2] = { x.top[0], x.top[1] };

#pragma unroll
	for (int j = 0; j < EIGHTS; j++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			int key = 8 * j + lane() % 4 * 2 + e % 2;

			s[j][e] = score(z, s[j][e]);
			if (bias != NULL)
				s[j][e] = __fmaf_rn(bias[key], LOG2E, s[j][e]);
			if (!all && (j0 + key >= nk || !sees(z, pos[e / 2], j0 + key)))
				s[j][e] = -INFINITY;
			high[e / 2] = fmaxf(high[e / 2], s[j][e]);
		}
#pragma unroll
	for (int h = 0; h < 2; h++) {
		float base, less;

		high[h] = quad_max(high[h]);
		base = base_of(high[h]);
		less = exp2_of(__fsub_rn(x.top[h], base));
		x.top[h] = high[h];
		x.sum[h] = __fmul_rn(x.sum[h], less);
#pragma unroll
		for (int j = 0; j < EIGHTS; j++)
#pragma unroll
			for (int e = 2 * h; e < 2 * h + 2; e++) {
				s[j][e] = exp2_of(__fsub_rn(s[j][e], base));
				x.sum[h] = __fadd_rn(x.sum[h], s[j][e]);
			}
#pragma unroll
		for (int n = 0; n < N; n++) {
			x.o[n][2 * h] = __fmul_rn(x.o[n][2 * h], less);
			x.o[n][2 * h + 1] = __fmul_rn(x.o[n][2 * h + 1], less);
		}
	}
}

/* By how much two parts count when they are one, whose top is the larger. */
DEVICE void
shares(float top, float other, float *less, float *share)
{
	float base = base_of(fmaxf(top, other));

	*less = exp2_of(__fsub_rn(top, base));
	*share = exp2_of(__fsub_rn(other, base));
}

DEVICE float
join(float x, float less, float y, float share)
{
	return __fmaf_rn(y, share, __fmul_rn(x, less));
}

/* all += a segment, which is empty then. */
template <int N> DEVICE void
merge(struct sums<N> &all, struct sums<N> &x)
{
#pragma unroll
	for (int h = 0; h < 2; h++) {
		float less, share;

		shares(all.top[h], x.top[h], &less, &share);
		all.top[h] = fmaxf(all.top[h], x.top[h]);
		all.sum[h] = join(all.sum[h], less, quad_sum(x.sum[h]), share);
#pragma unroll
		for (int n = 0; n < N; n++)
#pragma unroll
			for (int e = 2 * h; e < 2 * h + 2; e++)
				all.o[n][e] = join(all.o[n][e], less, x.o[n][e], share);
	}
	start(x);
}

/* ---- a block ---- */

/* What is where in shared memory, and which part of it is a warp's. */
template <typename T> struct parts {
	T	*q, *k, *v;
	struct places<keys_of<T>()> *p;
	int	row, from, columns;	/* the warp's first row; columns of values */
};

template <typename T, int TALL, int HALVES> DEVICE struct parts<T>
parts_of(const struct k_attention &a)
{
	int each = ((int)a.d_v + 16 * HALVES - 1) / (16 * HALVES) * 16;
	int half = threadIdx.x / 32 % HALVES;
	struct parts<T> m;

	m.p = (struct places<keys_of<T>()> *)flash_shared;
	m.q = (T *)(m.p + 2);
	m.k = m.q + TALL * padded<T>((int)a.d_qk);
	m.v = m.k + keys_of<T>() * padded<T>((int)a.d_qk);
	m.row = threadIdx.x / 32 / HALVES * ROWS;
	m.from = half * each;
	m.columns = min(each, (int)a.d_v - m.from);
	return m;
}

/* all = sums of keys [j, end) of the job, whose queries are on their way. */
template <typename T, int N> DEVICE void
attend(struct sums<N> &all, const struct k_attention &a, const struct job &b,
    const struct parts<T> &m, int j, int end)
{
	enum { KEYS = keys_of<T>() };
	struct scoring z = scoring_of(a);
	int lo = b.s.pos + (b.first + m.row) / b.group;
	int hi = b.s.pos + (b.first + min(b.n, m.row + ROWS) - 1) / b.group;
	int pos[2] = { b.s.pos + (b.first + m.row + lane() / 4) / b.group,
		b.s.pos + (b.first + m.row + lane() / 4 + 8) / b.group };
	struct sums<N> x;
	int odd = 0;

	start(all);
	start(x);
	j = next_tile(z, b, j, KEYS);
	if (j < end)
		find_places(m.p, a, b, j);
	__syncthreads();
	if (j < end)
		load_tile(m.k, a, b, m.p, a.k, a.ldk, (int)a.d_qk);
	for (int next; j < end; j = next, odd ^= 1) {
		float s[KEYS / 8][4];

		next = next_tile(z, b, j + KEYS, KEYS);
		copies_end();
		copies_wait<0>();
		__syncthreads();
		load_tile(m.v, a, b, m.p + odd, a.v, a.ldv, (int)a.d_v);
		copies_end();
		if (next < end)
			find_places(m.p + (odd ^ 1), a, b, next);
		products(s, m.q, m.row, m.k, (int)a.d_qk);
		weigh(s, x, z, a.bias.at != 0 ? m.p[odd].bias : NULL, pos, j, b.s.nk,
		    j + KEYS <= b.s.nk && see_all(z, lo, hi, j, KEYS));
		copies_wait<0>();
		__syncthreads();
		if (next < end)
			load_tile(m.k, a, b, m.p + (odd ^ 1), a.k, a.ldk, (int)a.d_qk);
		add_products(x.o, s, m.v, (int)a.d_v, m.from, m.columns);
		if (next >= end || next / SEGMENT != j / SEGMENT)
			merge(all, x);
	}
}

/* Where a row's sums of a segment are: elements, then all tops and sums. */
DEVICE float *
part_of(const struct cuda_flash &c, const struct cuda_run &r, int64_t t, int64_t h, int segment)
{
	return at<float>(r.scratch) +
	    ((t * c.a.heads + h) * c.segments + segment) * flash_row(c.a.d_v);
}

DEVICE float *
part_sums(const struct cuda_flash &c, const struct cuda_run &r, int64_t t, int64_t h, int segment)
{
	return at<float>(r.scratch) + c.tokens * c.a.heads * c.segments * flash_row(c.a.d_v) +
	    ((t * c.a.heads + h) * c.segments + segment) * 2;
}

template <typename T, int N> DEVICE void
put_part(const struct cuda_flash &c, const struct cuda_run &r, const struct job &b,
    const struct parts<T> &m, const struct sums<N> &x, int segment)
{
#pragma unroll
	for (int i = 0; i < 2; i++) {
		int row = b.first + m.row + lane() / 4 + 8 * i;
		int64_t t = b.s.row + row / b.group, h = b.kh * b.group + row % b.group;
		float *o = part_of(c, r, t, h, segment), *s = part_sums(c, r, t, h, segment);

		if (row >= b.first + b.n)
			continue;
		if (lane() % 4 == 0 && m.from == 0)
			put_two(s, x.top[i], x.sum[i]);
#pragma unroll
		for (int n = 0; n < N; n++) {
			int at = 8 * n + lane() % 4 * 2;

			if (at < m.columns)
				/* sectors: the compiler has top and sum, two numbers a row, here too */
				put_two(o + m.from + at, x.o[n][2 * i], x.o[n][2 * i + 1]);
		}
	}
}

DEVICE float
inverse_of(float sum)
{
	return sum > 0 ? 1 / sum : 0;
}

DEVICE void
put_lse(const struct k_attention &a, int64_t t, int64_t h, float top, float sum)
{
	if (a.lse.at != 0)
		/* sectors: one number a row */
		at<float>(a.lse)[t * a.heads + h] = __fmaf_rn(top, LN2, logf(sum));
}

/* Through shared memory, for rows to be written in wide pieces.  Adding 0 makes -0 0. */
template <typename T, int N> DEVICE void
put_rows(const struct k_attention &a, const struct job &b, const struct parts<T> &m,
    const struct sums<N> &x)
{
	int ld = padded<T>((int)a.d_v);

	__syncthreads();
#pragma unroll
	for (int i = 0; i < 2; i++) {
		int row = m.row + lane() / 4 + 8 * i, of = b.first + row;
		float scale = inverse_of(x.sum[i]);

#pragma unroll
		for (int n = 0; n < N; n++)
			if (8 * n < m.columns)
				put_two(m.q + row * ld + m.from + 8 * n + lane() % 4 * 2,
				    __fmaf_rn(x.o[n][2 * i], scale, 0),
				    __fmaf_rn(x.o[n][2 * i + 1], scale, 0));
		if (row < b.n && lane() % 4 == 0 && m.from == 0)
			put_lse(a, b.s.row + of / b.group, b.kh * b.group + of % b.group,
			    x.top[i], x.sum[i]);
	}
	__syncthreads();
	store_heads(a.o, a.type, a.ldo, m.q, (int)a.d_v, b);
}

template <typename T, int COLUMNS, int HALVES, int GROUPS> DEVICE void
flash(const struct cuda_flash &c, const struct cuda_run &r)
{
	enum { TALL = ROWS * GROUPS };
	const struct k_attention &a = c.a;
	struct parts<T> m = parts_of<T, TALL, HALVES>(a);
	struct sums<COLUMNS / 8> x;
	int group = (int)(a.heads / a.kv_heads), from, to;
	struct job b;
	bool split;

	if (!find_job(&b, a, r, TALL, group, true,
	    [&](int n) { return tiles_of<TALL>(a, group, n); }))
		return;
	split = is_split(c, b.s, &from, &to);
	if (!split) {
		from = 0;
		to = 1;
	}
	if (from + (int)blockIdx.y >= to)
		return;
	load_heads(m.q, a.q, a.type, a.ldq, (int)a.d_qk, b, b.first, b.n, TALL);
	for (int i = from + blockIdx.y; i < to; i += gridDim.y) {
		attend(x, a, b, m, split ? i * SEGMENT : 0,
		    split ? min((i + 1) * SEGMENT, b.end) : b.end);
		if (split)
			put_part(c, r, b, m, x, i);
	}
	copies_end();
	copies_wait<0>();
	if (!split)
		put_rows(a, b, m, x);
}

#define FLASH_OF(name, suffix, T, columns, halves, groups)				\
extern "C" __global__ void __launch_bounds__(32 * halves * groups, 1)			\
name##_##suffix(const struct cuda_flash c, const struct cuda_run r)			\
{ flash<T, columns, halves, groups>(c, r); }

#define FLASH(name, columns, halves, groups)						\
FLASH_OF(name, f32, float, columns, halves, groups)					\
FLASH_OF(name, bf16, bf16, columns, halves, groups)					\
FLASH_OF(name, f16, f16, columns, halves, groups)

FLASH(flash_64, 64, 1, 4)
FLASH(flash_128, 128, 1, 4)
FLASH(flash_256, 128, 2, 2)
FLASH(flash_few_64, 64, 1, 1)
FLASH(flash_few_128, 128, 1, 1)
FLASH(flash_few_256, 128, 2, 1)

/* ---- segments that were summed apart ---- */

enum { MERGE = 256 / 32 };	/* elements of a row in a lane */

/* A row's sums as they are merged: elements lane + 32 i. */
struct row_sums {
	float	o[MERGE], top, sum;
};

/* Segments [i, i + 32), lane by lane: how the sums before count, and how it does. */
DEVICE void
merge_segments(struct row_sums *x, const struct cuda_flash &c, const struct cuda_run &r,
    int64_t t, int64_t h, int from, int n)
{
	const float *part = part_of(c, r, t, h, from);
	bool is = lane() < n;
	float top = is ? part_sums(c, r, t, h, from + lane())[0] : -INFINITY;
	float sum = is ? part_sums(c, r, t, h, from + lane())[1] : 0, high = top, before, less, share;

	for (int o = 1; o < 32; o *= 2) {
		float y = __shfl_up_sync(~0u, high, o);

		high = lane() >= o ? fmaxf(high, y) : high;
	}
	before = __shfl_up_sync(~0u, high, 1);
	before = fmaxf(x->top, lane() == 0 ? -INFINITY : before);
	shares(before, top, &less, &share);
	x->top = fmaxf(x->top, __shfl_sync(~0u, high, 31));
#pragma unroll 4
	for (int i = 0; i < n; i++) {
		float a = __shfl_sync(~0u, less, i), b = __shfl_sync(~0u, share, i);

		x->sum = join(x->sum, a, __shfl_sync(~0u, sum, i), b);
#pragma unroll
		for (int k = 0; k < MERGE; k++)
			if (lane() + 32 * k < c.a.d_v)
				x->o[k] = join(x->o[k], a,
				    part[i * flash_row(c.a.d_v) + lane() + 32 * k], b);
	}
}

ONE(flash_merge, cuda_flash)
{
	const struct k_attention &f = a.a;
	int64_t n = min(rows_of(f.t, r), a.tokens) * f.heads, seqs = rows_of(f.seqs, r);

	for (int64_t k = first_warp(); k < n; k += step_warp()) {
		int64_t t = k / f.heads, h = k % f.heads;
		int64_t seq = sequence_of(at<int32_t>(f.cu_seqlens), seqs, t);
		struct row_sums x = { { 0 }, -INFINITY, 0 };
		int from, to;

		if (seq < 0 || !is_split(a, span_of(f, seq), &from, &to))
			continue;
		for (int i = from; i < to; i += 32)
			merge_segments(&x, a, r, t, h, i, min(32, to - i));
		for (int i = 0; i < MERGE; i++)
			if (lane() + 32 * i < f.d_v)
				put_as(f.type, f.o, t * f.ldo + h * f.d_v + lane() + 32 * i,
				    __fmaf_rn(x.o[i], inverse_of(x.sum), 0));
		if (lane() == 0)
			put_lse(f, t, h, x.top, x.sum);
	}
}
