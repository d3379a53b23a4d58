/*
 * The gradients of flash attention on tensor cores: one kernel for queries,
 * whose blocks go through keys, and one for keys and values, whose blocks go
 * through the rows of queries that may see them.  Both make the weights anew
 * from lse.  Sums are in the order of positions, and nothing is added twice.
 *
 * As in flash.cu HALVES warps share rows of many elements: each has all
 * weights, and of the gradients a part of the columns.
 */
#include "dev/cuda/attend.cuh"

extern __shared__ uint4 flash_shared[];

/* Columns of rows of d that are a warp's. */
struct part {
	int	from, n;
};

template <int HALVES> DEVICE struct part
part_of(int d)
{
	int each = (d + 16 * HALVES - 1) / (16 * HALVES) * 16;
	struct part p;

	p.from = threadIdx.x / 32 % HALVES * each;
	p.n = min(each, d - p.from);
	return p;
}

/* What a row's weights are made with: lse in powers of two, infinite where there is no row. */
struct stats {
	float	lse, delta;
	int	pos;
};

DEVICE struct stats
stats_of(const struct k_attention_bwd &b, const struct job &j, int row, bool is)
{
	int64_t t = j.s.row + row / j.group, h = j.kh * j.group + row % j.group;
	struct stats s = { INFINITY, 0, j.s.pos + row / j.group };

	if (is) {
		/* sectors: one number a row */
		s.lse = at<float>(b.f.lse)[t * b.f.heads + h] * LOG2E;
		/* sectors: one number a row */
		s.delta = at<float>(b.delta)[t * b.f.heads + h];
	}
	return s;
}

/* A product becomes a weight, and the gradient of that the product's, but for the scale. */
DEVICE void
weigh(float &s, float &grad, const struct scoring &z, const struct stats &r, bool seen)
{
	float x = score(z, s), p = seen ? exp2_of(__fsub_rn(x, r.lse)) : 0;

	grad = seen ? p * (grad - r.delta) : 0;
	if (z.capped)
		grad *= 1 - x / z.out * (x / z.out);
	s = p;
}

/* Rows of a warp's sums, rounded, in shared memory, ld apart. */
template <typename T, int N> DEVICE void
put_sums(T *to, int ld, const struct part &p, const float (&x)[N][4], float scale)
{
#pragma unroll
	for (int i = 0; i < 2; i++)
#pragma unroll
		for (int n = 0; n < N; n++)
			if (8 * n < p.n)
				put_two(to + (lane() / 4 + 8 * i) * ld + p.from + 8 * n +
				    lane() % 4 * 2, x[n][2 * i] * scale, x[n][2 * i + 1] * scale);
}

/* Rows of tokens that no sequence owns have no gradient. */
DEVICE void
clear_rest(dptr x, dtype type, int64_t ld, int64_t n, const struct k_attention &a,
    const struct cuda_run &r)
{
	int64_t from = at<int32_t>(a.cu_seqlens)[rows_of(a.seqs, r)];
	int64_t all = (rows_of(a.t, r) - from) * n;

	for (int64_t i = first_of_all(); i < all; i += step_of_all())
		put_as(type, x, (from + i / n) * ld + i % n, 0);
}

/* ---- queries ---- */

/* Where things are in shared memory, and a warp's first row. */
template <typename T> struct pieces {
	T	*q, *d_o, *k, *v;
	int	row;
};

template <typename T> DEVICE void
load_keys(T *to, const struct k_attention &a, dptr x, int64_t ld, int d, const struct job &b,
    int first, int n)
{
	load_rows(to, rows_at<T>(x, a.kv_type, b.kh * d, ld, d), n, [&](int i) -> int64_t {
		return first + i < b.s.nk ? (b.s.row + first + i) * ld : -1;
	});
}

template <typename T> DEVICE void
store_keys(dptr x, const struct k_attention &a, int64_t ld, const T *from, int d,
    const struct job &b)
{
	store_rows(from, rows_at<T>(x, a.kv_type, b.kh * d, ld, d), b.n,
	    [&](int i) { return (b.s.row + b.first + i) * ld; });
}

template <typename T, int N> DEVICE void
add_queries(float (&dq)[N][4], const struct k_attention_bwd &b, const struct job &w,
    const struct pieces<T> &m, const struct part &columns)
{
	enum { KEYS = keys_of<T>() };
	const struct k_attention &a = b.f;
	struct scoring z = scoring_of(a);
	int d_qk = (int)a.d_qk, d_v = (int)a.d_v, row = m.row + lane() / 4;
	struct stats r[2] = { stats_of(b, w, w.first + row, row < w.n),
		stats_of(b, w, w.first + row + 8, row + 8 < w.n) };
	int j = next_tile(z, w, 0, KEYS);

	if (j < w.end)
		load_keys(m.v, a, a.v, a.ldv, d_v, w, j, KEYS);
	for (int next; j < w.end; j = next) {
		bool all = j + KEYS <= w.s.nk && see_all(z, w.lo, w.hi, j, KEYS);
		float s[KEYS / 8][4], grad[KEYS / 8][4];

		next = next_tile(z, w, j + KEYS, KEYS);
		copies_end();
		copies_wait<0>();
		__syncthreads();
		load_keys(m.k, a, a.k, a.ldk, d_qk, w, j, KEYS);
		copies_end();
		products(grad, m.d_o, m.row, m.v, d_v);
		copies_wait<0>();
		__syncthreads();
		if (next < w.end)
			load_keys(m.v, a, a.v, a.ldv, d_v, w, next, KEYS);
		products(s, m.q, m.row, m.k, d_qk);
#pragma unroll
		for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
			for (int e = 0; e < 4; e++) {
				int key = j + 8 * i + lane() % 4 * 2 + e % 2;

				weigh(s[i][e], grad[i][e], z, r[e / 2],
				    all || (key < w.s.nk && sees(z, r[e / 2].pos, key)));
			}
		add_products(dq, grad, m.k, d_qk, columns.from, columns.n);
	}
}

template <typename T, int COLUMNS, int HALVES, int GROUPS> DEVICE void
flash_dq(const struct k_attention_bwd &b, const struct cuda_run &r)
{
	enum { TALL = ROWS * GROUPS };
	const struct k_attention &a = b.f;
	int group = (int)(a.heads / a.kv_heads), d_qk = (int)a.d_qk, d_v = (int)a.d_v;
	struct part columns = part_of<HALVES>(d_qk);
	struct pieces<T> m;
	struct job w;
	float dq[COLUMNS / 8][4];

	clear_rest(b.dq, a.type, a.ldq, a.heads * a.d_qk, a, r);
	if (!find_job(&w, a, r, TALL, group, true,
	    [&](int n) { return (n * group + TALL - 1) / TALL; }))
		return;
	m.q = (T *)flash_shared;
	m.d_o = m.q + TALL * padded<T>(d_qk);
	m.k = m.d_o + TALL * padded<T>(d_v);
	m.v = m.k + keys_of<T>() * padded<T>(d_qk);
	m.row = threadIdx.x / 32 / HALVES * ROWS;
	load_heads(m.q, a.q, a.type, a.ldq, d_qk, w, w.first, w.n, TALL);
	load_heads(m.d_o, b.d_o, a.type, a.ldo, d_v, w, w.first, w.n, TALL);
	zero(dq);
	add_queries(dq, b, w, m, columns);
	__syncthreads();
	put_sums(m.q + m.row * padded<T>(d_qk), padded<T>(d_qk), columns, dq, (float)a.scale);
	__syncthreads();
	store_heads(b.dq, a.type, a.ldq, m.q, d_qk, w);
}

/* ---- keys and values ---- */

/* A tile of rows of queries, of two that are used in turn: these come first, then keys. */
template <typename T> struct tile {
	T	*q, *d_o;
	struct stats *r;
};

template <typename T, int TALL> DEVICE struct tile<T>
tile_of(const struct k_attention &a, int odd)
{
	int of_q = TALL * padded<T>((int)a.d_qk), of_v = TALL * padded<T>((int)a.d_v);
	struct stats *r = (struct stats *)flash_shared;
	T *q = (T *)(r + 2 * TALL) + odd * (of_q + of_v);

	return { q, q + of_q, r + odd * TALL };
}

template <typename T> DEVICE void
load_tile(const struct tile<T> &t, const struct k_attention_bwd &b, const struct job &w, int first,
    int n, int tall)
{
	load_heads(t.q, b.f.q, b.f.type, b.f.ldq, (int)b.f.d_qk, w, first, n - first, tall);
	load_heads(t.d_o, b.d_o, b.f.type, b.f.ldo, (int)b.f.d_v, w, first, n - first, tall);
	for (int i = threadIdx.x; i < tall; i += blockDim.x)
		t.r[i] = stats_of(b, w, first + i, first + i < n);
}

/* The rows that may see one of the job's keys: [*from, *to). */
DEVICE void
rows_seeing(const struct scoring &z, const struct job &w, int *from, int *to)
{
	int end = w.s.nq;

	if (z.window > 0 && w.first >= z.sinks)
		end = min(end, w.first + w.n - 1 + z.window);
	*from = z.causal ? w.first * w.group : 0;
	*to = end * w.group;
}

/* dk, dv += what the rows of a tile give them. */
template <typename T, int N, int TALL> DEVICE void
add_tile(float (&dk)[N][4], float (&dv)[N][4], const struct k_attention &a,
    const struct scoring &z, const struct tile<T> &t, const T *k, const T *v, int row, int key,
    bool all, const struct part &of_k, const struct part &of_v)
{
	int d_qk = (int)a.d_qk, d_v = (int)a.d_v;
	float s[TALL / 8][4], grad[TALL / 8][4];

	products(s, k, row, t.q, d_qk);
	products(grad, v, row, t.d_o, d_v);
#pragma unroll
	for (int i = 0; i < TALL / 8; i++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			const struct stats &r = t.r[8 * i + lane() % 4 * 2 + e % 2];

			weigh(s[i][e], grad[i][e], z, r,
			    all || sees(z, r.pos, key + e / 2 * 8));
		}
	add_products(dv, s, t.d_o, d_v, of_v.from, of_v.n);
	add_products(dk, grad, t.q, d_qk, of_k.from, of_k.n);
}

template <typename T, int COLUMNS, int HALVES, int GROUPS, int TALL> DEVICE void
flash_dkv(const struct k_attention_bwd &b, const struct cuda_run &r)
{
	enum { WIDE = ROWS * GROUPS };	/* keys */
	const struct k_attention &a = b.f;
	struct scoring z = scoring_of(a);
	int d_qk = (int)a.d_qk, d_v = (int)a.d_v, row = threadIdx.x / 32 / HALVES * ROWS;
	struct part of_k = part_of<HALVES>(d_qk), of_v = part_of<HALVES>(d_v);
	T *k = tile_of<T, TALL>(a, 2).q, *v = k + WIDE * padded<T>(d_qk);
	int odd = 0, u, to;
	float dk[COLUMNS / 8][4], dv[COLUMNS / 8][4];
	struct job w;

	clear_rest(b.dk, a.kv_type, a.ldk, a.kv_heads * a.d_qk, a, r);
	clear_rest(b.dv, a.kv_type, a.ldv, a.kv_heads * a.d_v, a, r);
	if (!find_job(&w, a, r, WIDE, 1, false, [](int n) { return (n + WIDE - 1) / WIDE; }))
		return;
	rows_seeing(z, w, &u, &to);
	u = u / TALL * TALL;
	load_keys(k, a, a.k, a.ldk, d_qk, w, w.first, WIDE);
	load_keys(v, a, a.v, a.ldv, d_v, w, w.first, WIDE);
	zero(dk);
	zero(dv);
	if (u < to)
		load_tile(tile_of<T, TALL>(a, 0), b, w, u, to, TALL);
	for (; u < to; u += TALL, odd ^= 1) {
		int lo = u / w.group, hi = min(u + TALL - 1, to - 1) / w.group;

		copies_end();
		copies_wait<0>();
		__syncthreads();
		if (u + TALL < to)
			load_tile(tile_of<T, TALL>(a, odd ^ 1), b, w, u + TALL, to, TALL);
		add_tile<T, COLUMNS / 8, TALL>(dk, dv, a, z, tile_of<T, TALL>(a, odd), k, v, row,
		    w.first + row + lane() / 4, see_all(z, lo, hi, w.first, WIDE), of_k, of_v);
	}
	__syncthreads();
	put_sums(k + row * padded<T>(d_qk), padded<T>(d_qk), of_k, dk, (float)a.scale);
	put_sums(v + row * padded<T>(d_v), padded<T>(d_v), of_v, dv, 1);
	__syncthreads();
	store_keys(b.dk, a, a.ldk, k, d_qk, w);
	store_keys(b.dv, a, a.ldv, v, d_v, w);
}

/* Columns of a warp, warps that share rows, and the others; rows of a tile. */
#define FLASH(name, size, suffix, T, columns, halves, groups, ...)			\
extern "C" __global__ void __launch_bounds__(32 * halves * groups, 1)			\
name##_##size##_##suffix(const struct k_attention_bwd b, const struct cuda_run r)	\
{ name<T, columns, halves, groups, ##__VA_ARGS__>(b, r); }

#define HALF(name, size, ...)								\
FLASH(name, size, bf16, bf16, __VA_ARGS__)						\
FLASH(name, size, f16, f16, __VA_ARGS__)

HALF(flash_dq, 64, 64, 1, 4)
HALF(flash_dq, 128, 128, 1, 4)
HALF(flash_dq, 256, 128, 2, 2)
HALF(flash_dkv, 64, 64, 1, 4, 32)
HALF(flash_dkv, 128, 128, 1, 4, 32)
HALF(flash_dkv, 256, 128, 2, 2, 16)

/* What is twice as wide has half the room. */
FLASH(flash_dq, 64, f32, float, 64, 1, 4)
FLASH(flash_dq, 128, f32, float, 128, 1, 2)
FLASH(flash_dq, 256, f32, float, 128, 2, 1)
FLASH(flash_dkv, 64, f32, float, 64, 1, 4, 16)
FLASH(flash_dkv, 128, f32, float, 128, 1, 2, 16)
FLASH(flash_dkv, 256, f32, float, 128, 2, 1, 16)
