/*
 * attend - what the kernels of attention share: sequences, masks, tiles
 *
 * Rows are the queries of a sequence for one key head: row r is query r / group
 * of the r % group'th of the heads that read it.  A warp of a tensor core's
 * kernel has ROWS of them, and takes keys in tiles of KEYS at absolute
 * positions; what it finds of a row depends on nothing but that row.
 */
#ifndef DEV_CUDA_ATTEND_CUH
#define DEV_CUDA_ATTEND_CUH

#include "dev/cuda/mma.cuh"

enum { ROWS = 16, KEYS = 64 };

/* ---- sequences and masks ---- */

/* A sequence: its first token, queries, keys, and the position of its first query. */
struct span {
	int64_t	seq, row;
	int	nq, nk, pos;
};

DEVICE struct span
span_of(const struct k_attention &a, int64_t seq)
{
	const int32_t *cu = at<int32_t>(a.cu_seqlens);
	struct span s;

	s.seq = seq;
	s.row = cu[seq];
	s.nq = cu[seq + 1] - cu[seq];
	s.nk = a.key_len.at != 0 ? at<int32_t>(a.key_len)[seq] : s.nq;
	s.pos = s.nk - s.nq;
	return s;
}

/* The sequence of token t: the last that begins at it or before; or -1. */
DEVICE int64_t
sequence_of(const int32_t *cu, int64_t seqs, int64_t t)
{
	int64_t low = 0, high = seqs;

	if (seqs == 0 || t >= cu[seqs])
		return -1;
	while (high - low > 1) {
		int64_t mid = (low + high) / 2;

		if (cu[mid] <= t)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/*
 * The b'th tile of all sequences, of which one of n queries has tiles(n).  What
 * is left of b is its number in the sequence, -1 the answer if there is none.
 */
template <typename F> DEVICE int64_t
find_tile(const int32_t *cu, int64_t seqs, int64_t &b, F tiles)
{
	for (int64_t s = 0; s < seqs; s += 32) {
		int64_t i = s + lane();
		int n = i < seqs ? tiles(cu[i + 1] - cu[i]) : 0, upto = n;
		unsigned hit;

		for (int o = 1; o < 32; o *= 2) {
			int x = __shfl_up_sync(~0u, upto, o);

			upto += lane() >= o ? x : 0;
		}
		hit = __ballot_sync(~0u, b < upto);
		if (hit != 0) {
			b -= __shfl_sync(~0u, upto - n, __ffs(hit) - 1);
			return s + __ffs(hit) - 1;
		}
		b -= __shfl_sync(~0u, upto, 31);
	}
	return -1;
}

/*
 * A block's work: rows [first, first + n) of a sequence for a key head, or as many
 * of its keys.
 */
struct job {
	struct span s;
	int64_t	kh;
	int	group, first, n;
	int	lo, hi, end;	/* positions of its first and last row, keys up to there */
};

/*
 * The block's tile of tall rows, each so many a token, where n tokens have
 * tiles(n).  Last first: the last rows see most, and begin soonest.
 */
template <typename F> DEVICE bool
find_job(struct job *b, const struct k_attention &a, const struct cuda_run &r, int tall, int each,
    bool last_first, F tiles)
{
	int64_t tile = blockIdx.x / a.kv_heads;
	int64_t seq = find_tile(at<int32_t>(a.cu_seqlens), rows_of(a.seqs, r), tile, tiles);
	int number = (int)tile;

	if (seq < 0)
		return false;
	b->s = span_of(a, seq);
	b->kh = blockIdx.x % a.kv_heads;
	b->group = (int)(a.heads / a.kv_heads);
	if (last_first)
		number = (b->s.nq * each + tall - 1) / tall - 1 - number;
	b->first = number * tall;
	b->n = min(tall, b->s.nq * each - b->first);
	b->lo = b->s.pos + b->first / each;
	b->hi = b->s.pos + (b->first + b->n - 1) / each;
	b->end = a.causal ? min(b->s.nk, b->hi + 1) : b->s.nk;
	return true;
}

/* ---- pieces in shared memory ---- */

/* Elements of a row of d: zeros make it whole mma, and a pad keeps ldmatrix from conflicts. */
DEVICE int
padded(int d)
{
	return (d + 15) / 16 * 16 + 8;
}

/* Do all pieces of 8 elements, of rows step apart, begin at 16 bytes? */
template <typename T> DEVICE bool
lies_wide(const T *x, int64_t step, int d)
{
	return (uint64_t)x % 16 == 0 && step % 8 == 0 && d % 8 == 0;
}

/* 8 elements, of which n are there; the rest is 0.  They come by themselves if all lies wide. */
template <typename T> DEVICE void
load_piece(T *to, const T *from, int n, bool wide)
{
	if (wide) {
		copy16(to, from, n > 0);
		return;
	}
#pragma unroll 1
	for (int i = 0; i < 8; i++) {
		if (i < n)
			to[i] = from[i];
		else
			put(to + i, 0);
	}
}

/*
 * to (n, padded(d)) = rows of x, row r from element where(r) on; zeros where
 * that is negative.  They are there after copies_wait() and a barrier.
 */
template <typename T, typename F> DEVICE void
load_rows(T *to, const T *x, int n, int d, bool wide, F where)
{
	int ld = padded(d);

#pragma unroll 1
	for (int r = threadIdx.x / 8; r < n; r += blockDim.x / 8) {
		int64_t from = where(r);

#pragma unroll 1
		for (int c = threadIdx.x % 8 * 8; c < ld - 8; c += 64)
			load_piece(to + r * ld + c, x + (from < 0 || c >= d ? 0 : from + c),
			    from < 0 ? 0 : d - c, wide);
	}
}

/* The reverse, of what all threads see in shared memory. */
template <typename T, typename F> DEVICE void
store_rows(T *x, const T *from, int n, int d, bool wide, F where)
{
	int ld = padded(d);

	for (int r = threadIdx.x / 8; r < n; r += blockDim.x / 8) {
		int64_t to = where(r);

		for (int c = threadIdx.x % 8 * 8; to >= 0 && c < d; c += 64) {
			if (wide)
				*(pack<T> *)(x + to + c) = *(const pack<T> *)(from + r * ld + c);
			else
				for (int i = 0; i < 8 && c + i < d; i++)
					x[to + c + i] = from[r * ld + c + i];
		}
	}
}

/* Rows [first, first + n) of a job's heads, of d elements each, and zeros up to tall. */
template <typename T> DEVICE void
load_heads(T *to, dptr x, int64_t ld, int d, const struct job &b, int first, int n, int tall)
{
	const T *from = at<T>(x) + b.kh * b.group * d;

	load_rows(to, from, tall, d, lies_wide(from, ld, d), [&](int r) -> int64_t {
		int row = first + r;

		return r >= n ? -1 : (b.s.row + row / b.group) * ld + row % b.group * d;
	});
}

/* The job's rows, from shared memory. */
template <typename T> DEVICE void
store_heads(dptr x, int64_t ld, const T *from, int d, const struct job &b)
{
	T *to = at<T>(x) + b.kh * b.group * d;

	store_rows(to, from, b.n, d, lies_wide(to, ld, d), [&](int r) -> int64_t {
		int row = b.first + r;

		return (b.s.row + row / b.group) * ld + row % b.group * d;
	});
}

/* ---- fragments ---- */

/*
 * Of an operand that lies by rows of k: rows [i, i + 16), k [l, l + 16).  As a
 * it is whole; as b the first eight rows are x[0], x[2], the others x[1], x[3].
 */
template <typename T> DEVICE void
by_rows(uint32_t (&x)[4], const T *piece, int ld, int i, int l)
{
	ldmatrix(x, piece + (i + lane() % 16) * ld + l + lane() / 16 * 8, false);
}

/* Of one whose rows are k, as b: columns [i, i + 8) are x[0], x[1], the next x[2], x[3]. */
template <typename T> DEVICE void
by_columns(uint32_t (&x)[4], const T *piece, int ld, int i, int l)
{
	ldmatrix(x, piece + (l + lane() % 16) * ld + i + lane() / 16 * 8, true);
}

DEVICE uint32_t
two(float x, float y, const bf16 *)
{
	__nv_bfloat162 p = __floats2bfloat162_rn(x, y);

	return *(uint32_t *)&p;
}

DEVICE uint32_t
two(float x, float y, const f16 *)
{
	__half2 p = __floats2half2_rn(x, y);

	return *(uint32_t *)&p;
}

/* Sums of 16 rows by 16, as an operand a of the next product. */
template <typename T> DEVICE void
as_operand(uint32_t (&x)[4], const float (&low)[4], const float (&high)[4])
{
	x[0] = two(low[0], low[1], (const T *)0);
	x[1] = two(low[2], low[3], (const T *)0);
	x[2] = two(high[0], high[1], (const T *)0);
	x[3] = two(high[2], high[3], (const T *)0);
}

/* s (16, 8 N) = rows [i, i + 16) of x times rows of y, over d elements of both. */
template <typename T, int N> DEVICE void
products(float (&s)[N][4], const T *x, int i, const T *y, int d)
{
	int ld = padded(d);

#pragma unroll
	for (int j = 0; j < N; j++)
		s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0;
#pragma unroll 1
	for (int l = 0; l < ld - 8; l += 16) {
		uint32_t u[4], v[4];

		by_rows(u, x, ld, i, l);
#pragma unroll
		for (int j = 0; j < N / 2; j++) {
			by_rows(v, y, ld, 16 * j, l);
			mma(s[2 * j], u, v[0], v[2], x);
			mma(s[2 * j + 1], u, v[1], v[3], x);
		}
	}
}

/* o (16, 8 N) += s, rounded, times columns from c on of y (8 M, d), of which there are some. */
template <typename T, int N, int M> DEVICE void
add_products(float (&o)[N][4], const float (&s)[M][4], const T *y, int d, int c, int columns)
{
	uint32_t u[M / 2][4], v[4];

#pragma unroll
	for (int k = 0; k < M / 2; k++)
		as_operand<T>(u[k], s[2 * k], s[2 * k + 1]);
#pragma unroll
	for (int n = 0; n < N / 2; n++) {
		if (16 * n >= columns)
			continue;
#pragma unroll
		for (int k = 0; k < M / 2; k++) {
			by_columns(v, y, padded(d), c + 16 * n, 16 * k);
			mma(o[2 * n], u[k], v[0], v[1], y);
			mma(o[2 * n + 1], u[k], v[2], v[3], y);
		}
	}
}

/* ---- scores ---- */

/* Powers of two, in which all is counted here. */
#define LOG2E 1.44269504088896340736f
#define LN2 0.69314718055994530942f

DEVICE float
exp2_of(float x)
{
	float y;

	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}

/* How products become scores, and who sees what, in numbers of the kernel's own. */
struct scoring {
	float	in, out;	/* x in, or out tanh(x in) */
	bool	capped, causal;
	int	window, sinks;
};

DEVICE struct scoring
scoring_of(const struct k_attention &a)
{
	float cap = (float)a.softcap;
	struct scoring s = { (float)a.scale * LOG2E, cap * LOG2E, cap > 0, a.causal,
		(int)a.window, (int)a.sinks };

	if (s.capped)
		s.in = (float)a.scale / cap;
	return s;
}

DEVICE float
score(const struct scoring &s, float x)
{
	x = __fmul_rn(x, s.in);
	return s.capped ? __fmul_rn(s.out, tanhf(x)) : x;
}

DEVICE bool
sees(const struct scoring &s, int pos, int j)
{
	return (!s.causal || j <= pos) && (s.window == 0 || pos - j < s.window || j < s.sinks);
}

/* Do all of [lo, hi] see all n keys from j on? */
DEVICE bool
see_all(const struct scoring &s, int lo, int hi, int j, int n)
{
	return (!s.causal || j + n - 1 <= lo) && (s.window == 0 || hi - j < s.window);
}

/* The first tile from j on of which some row sees some. */
DEVICE int
next_tile(const struct scoring &z, const struct job &b, int j)
{
	if (z.window > 0 && j >= z.sinks && b.lo - (j + KEYS - 1) >= z.window)
		return (b.lo - z.window + 1) / KEYS * KEYS;
	return j;
}

#endif
