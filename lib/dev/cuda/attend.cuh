/*
 * attend - what the kernels of attention share: sequences, masks, tiles
 *
 * Rows are the queries of a sequence for one key head: row r is query r / group
 * of the r % group'th of the heads that read it.  A warp has ROWS of them,
 * and takes keys in tiles at absolute positions; what it finds of a row depends
 * on nothing but that row.
 */
#ifndef DEV_CUDA_ATTEND_CUH
#define DEV_CUDA_ATTEND_CUH

#include "dev/cuda/tiles.cuh"

enum { ROWS = 16 };

/* Keys of a tile: as many as have room. */
template <typename T> DEVICE constexpr int
keys_of(void)
{
	return sizeof(T) == 4 ? 32 : 64;
}

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

/*
 * The b'th tile of all sequences, of which one of n queries has tiles(n).  What
 * is left of b is its number in the sequence, -1 the answer if there is none.
 */
template <typename F> DEVICE int64_t
find_tile(const int32_t *cu, int64_t seqs, int64_t &b, F tiles)
{
	for (int64_t s = 0; s < seqs; s += 32) {
		int64_t i = s + lane();
		int n = i < seqs ? tiles(cu[i + 1] - cu[i]) : 0, upto = warp_upto(n);
		unsigned hit = __ballot_sync(~0u, b < upto);

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

/* ---- rows of a job ---- */

/* Rows [first, first + n) of a job's heads, of d elements each, and zeros up to tall. */
template <typename T> DEVICE void
load_heads(T *to, dptr x, dtype type, int64_t ld, int d, const struct job &b, int first, int n,
    int tall)
{
	struct rows rows = rows_at<T>(x, type, b.kh * b.group * d, ld, d);

	load_rows(to, rows, tall, [&](int i) -> int64_t {
		int row = first + i;

		return i >= n ? -1 : (b.s.row + row / b.group) * ld + row % b.group * d;
	});
}

/* The job's rows, from shared memory. */
template <typename T> DEVICE void
store_heads(dptr x, dtype type, int64_t ld, const T *from, int d, const struct job &b)
{
	struct rows rows = rows_at<T>(x, type, b.kh * b.group * d, ld, d);

	store_rows(from, rows, b.n, [&](int i) -> int64_t {
		int row = b.first + i;

		return (b.s.row + row / b.group) * ld + row % b.group * d;
	});
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

/* The first tile, of so many keys, from j on of which some row sees some. */
DEVICE int
next_tile(const struct scoring &z, const struct job &b, int j, int keys)
{
	if (z.window > 0 && j >= z.sinks && b.lo - (j + keys - 1) >= z.window)
		return (b.lo - z.window + 1) / keys * keys;
	return j;
}

#endif
