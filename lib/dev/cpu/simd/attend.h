/*
 * attend - what forward and backward of attention share
 *
 * Keys are taken in blocks of BK at absolute positions and queries in panels
 * of MR.  A key that a query does not see has weight 0, which adds nothing to
 * any sum, so blocks and panels may be cut or skipped wherever nothing is
 * seen without changing a bit.
 */
#ifndef DEV_SIMD_ATTEND_H
#define DEV_SIMD_ATTEND_H

#include <math.h>

#include "dev/cpu/simd/tile.h"
#include "dev/cpu/simd/vmath.h"

enum { BK = VW == 8 ? 48 : 64 };	/* a multiple of NR: part of the result */

/* One sequence: its first row, queries, keys, and the position of its first query. */
struct span {
	int64_t	seq, row, nq, nk, pos;
};

static inline struct span
span_of(const struct k_attention *a, int64_t s)
{
	const int32_t *cu = cpu_i32(a->cu_seqlens);
	struct span p = { .seq = s, .row = cu[s], .nq = cu[s + 1] - cu[s] };

	p.nk = a->key_len.at != 0 ? cpu_i32(a->key_len)[s] : p.nq;
	p.pos = p.nk - p.nq;
	return p;
}

/* How many of the nk keys from j0 on can a query at pos see, at most? */
static inline int64_t
reach(const struct k_attention *a, int64_t pos, int64_t j0, int64_t nk)
{
	int64_t n = a->causal ? min64(nk, pos - j0 + 1) : nk;

	return n > 0 ? n : 0;
}

/* Is no key of [j0, j0 + nk) seen by queries at first and on, because the window has passed? */
static inline bool
passed(const struct k_attention *a, int64_t first, int64_t j0, int64_t nk)
{
	return a->window > 0 && j0 >= a->sinks && j0 + nk - 1 <= first - a->window;
}

/* Which of the keys j are seen from pos?  j < nk besides. */
INLINE vi
seen(const struct k_attention *a, int64_t pos, vi j, int64_t nk)
{
	vi m = j < (int32_t)nk;

	if (a->causal)
		m &= j <= (int32_t)pos;
	if (a->window > 0)
		m &= ((int32_t)pos - j < (int32_t)a->window) | (j < (int32_t)a->sinks);
	return m;
}

/* Does the query at pos see all of [j0, j0 + n)? */
static inline bool
sees_all(const struct k_attention *a, int64_t pos, int64_t j0, int64_t n, int64_t nk)
{
	return j0 + n <= nk && (!a->causal || j0 + n - 1 <= pos) &&
	    (a->window == 0 || pos - j0 < a->window);
}

static inline int64_t
round_nr(int64_t n)
{
	return (n + NR - 1) / NR * NR;
}

/* n rows of k columns, all packed as columns: panels of (k, NR). */
INLINE void
pack_block_columns(float *to, const float *from, int64_t ld, int64_t n, int64_t k)
{
	for (int64_t j = 0; j < n; j += NR)
		pack_columns(to + j * k, from + j * ld, ld, min64(NR, n - j), k, 0);
}

/* n rows of k columns packed as rows: panels of (n, NR), each BK * NR or `each' floats. */
INLINE void
pack_block_rows(float *to, int64_t each, const float *from, int64_t ld, int64_t n, int64_t k)
{
	for (int64_t j = 0; j < k; j += NR, to += each)
		pack_rows(to, from + j, ld, k - j, n);
}

#endif
