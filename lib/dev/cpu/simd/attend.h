/*
 * attend - what forward and backward of attention share
 *
 * Queries lie in lanes: a panel is LANES rows, each a query of one head, and
 * products are of keys by lanes.  So softmax needs no sums within a vector,
 * and keys and values are used as they lie.  The heads that read one key head
 * are rows of the same panels: row r is query r / group of head r % group.
 *
 * Keys are taken in blocks of BK at absolute positions, in tiles of KR.  A key
 * that a query does not see has weight 0, which adds nothing to any sum, so
 * tiles may be skipped wherever nothing is seen and rows may share a panel
 * with any others, without changing a bit.
 */
#ifndef DEV_SIMD_ATTEND_H
#define DEV_SIMD_ATTEND_H

#include <math.h>

#include "dev/cpu/simd/tile.h"
#include "dev/cpu/simd/vmath.h"

#if VW == 16 || defined(__ARM_NEON)
#define KR 8
#else
#define KR 6
#endif

enum { LANES = 2 * VW, BK = 48 };	/* BK: a multiple of KR, and part of the result */

/* acc (KR, LANES) += a b: a[i, l] is a[i * rs + l * cs], rows of b are ldb apart. */
INLINE void
product(int64_t k, const float *a, int64_t rs, int64_t cs, const float *b, int64_t ldb,
    vf acc[KR][2])
{
	for (int64_t l = 0; l < k; l++) {
		vf b0 = vload(b), b1 = vload(b + VW);

		UNROLL
		for (int i = 0; i < KR; i++) {
			vf x = vset(a[i * rs]);

			acc[i][0] = vfma(x, b0, acc[i][0]);
			acc[i][1] = vfma(x, b1, acc[i][1]);
		}
		a += cs;
		b += ldb;
	}
}

/* to (d, LANES) += a b, with a[e, l] at a[e + l * ld] and b (n, LANES); to *= scale before. */
INLINE void
add_lanes(float *to, int64_t d, const float *a, int64_t ld, const float *b, int64_t n,
    const vf scale[2])
{
	for (int64_t e = 0; e < d; e += KR) {
		float *c = to + e * LANES;
		vf acc[KR][2];

		UNROLL
		for (int i = 0; i < KR; i++)
			for (int v = 0; v < 2; v++)
				acc[i][v] = vload(c + i * LANES + v * VW) * scale[v];
		product(n, a + e, 1, ld, b, LANES, acc);
		UNROLL
		for (int i = 0; i < KR; i++)
			for (int v = 0; v < 2; v++)
				vstore(c + i * LANES + v * VW, acc[i][v]);
	}
}

/* ---- sequences and masks ---- */

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

/* Do queries at first and on see no key of [j0, j0 + n), because the window has passed? */
static inline bool
passed(const struct k_attention *a, int64_t first, int64_t j0, int64_t n)
{
	return a->window > 0 && j0 >= a->sinks && j0 + n - 1 <= first - a->window;
}

/* The rows of a panel: where each lane's query stands, the first and the last of them. */
struct lanes {
	vi	pos[2];
	int64_t	lo, hi, n;
};

/* n rows from row r on, which stand at pos + r / group; lanes beyond stand with the last. */
static inline struct lanes
lanes_of(int64_t pos, int64_t r, int64_t n, int64_t group)
{
	struct lanes l = { .lo = pos + r / group, .hi = pos + (r + n - 1) / group, .n = n };
	int32_t at[LANES];

	for (int64_t i = 0; i < LANES; i++)
		at[i] = (int32_t)(i < n ? pos + (r + i) / group : l.hi);
	memcpy(l.pos, at, sizeof(at));
	return l;
}

/* The tiles of the n keys from j0 on of which some lane sees some: [*from, *to), in keys. */
static inline void
tiles_seen(const struct k_attention *a, const struct lanes *l, int64_t j0, int64_t n,
    int64_t *from, int64_t *to)
{
	int64_t past = a->window > 0 && j0 >= a->sinks ? l->lo - a->window + 1 - j0 : 0;
	int64_t end = a->causal ? min64(n, l->hi - j0 + 1) : n;

	*from = past > 0 ? past / KR * KR : 0;
	*to = end > 0 ? (end + KR - 1) / KR * KR : 0;
}

/* Do all lanes see all of the tile of keys at j, of nk? */
static inline bool
sees_all(const struct k_attention *a, const struct lanes *l, int64_t j, int64_t nk)
{
	return j + KR <= nk && (!a->causal || j + KR - 1 <= l->lo) &&
	    (a->window == 0 || l->hi - j < a->window);
}

/* Which lanes at pos see key j, of nk? */
INLINE vi
seen(const struct k_attention *a, vi pos, int64_t j, int64_t nk)
{
	vi m = viset(j < nk ? -1 : 0);

	if (a->causal)
		m &= pos >= (int32_t)j;
	if (a->window > 0 && j >= a->sinks)
		m &= pos - (int32_t)j < (int32_t)a->window;
	return m;
}

/* A score of a product: scaled and capped. */
INLINE vf
score(vf x, float scale, float cap)
{
	x *= scale;
	return cap > 0 ? cap * vtanh(x / cap) : x;
}

/* ---- rows to lanes and back ---- */

/* Where rows of (query, head) lie: query i of head h at base + i * ld + h * d. */
struct rows {
	int64_t	base, ld, d, group;
};

static inline int64_t
row_at(const struct rows *w, int64_t r)
{
	return w->base + r / w->group * w->ld + r % w->group * w->d;
}

/* to (d, LANES) = rows [r, r + n) of x as columns; lanes beyond are zeros. */
INLINE void
rows_to_lanes(dtype type, float *to, const void *x, const struct rows *w, int64_t r, int64_t n)
{
	for (int64_t v = 0; v < LANES; v += VW) {
		int64_t at[VW];

		for (int64_t i = 0; i < VW; i++)
			at[i] = v + i < n ? row_at(w, r + v + i) : -1;
		for (int64_t e = 0; e < w->d; e += VW) {
			vf t[VW];

			for (int i = 0; i < VW; i++)
				t[i] = at[i] < 0 ? (vf){ 0 } : vget(type, x, at[i] + e, w->d - e);
			turn(t);
			for (int64_t i = 0; i < VW && e + i < w->d; i++)
				vstore(to + (e + i) * LANES + v, t[i]);
		}
	}
}

/* Rows [r, r + n) of y [+]= scale times the columns of from (d, LANES). */
INLINE void
lanes_to_rows(dtype type, void *y, const struct rows *w, int64_t r, int64_t n, const float *from,
    const vf scale[2], bool add)
{
	for (int64_t v = 0; v < n; v += VW)
		for (int64_t e = 0; e < w->d; e += VW) {
			vf t[VW];

			for (int64_t i = 0; i < VW; i++)
				t[i] = e + i < w->d ? vload(from + (e + i) * LANES + v) *
				    scale[v / VW] : (vf){ 0 };
			turn(t);
			for (int64_t i = 0; i < VW && v + i < n; i++) {
				int64_t at = row_at(w, r + v + i) + e;

				/* Adding 0 turns -0 to 0: no bit tells what was skipped. */
				vput(type, y, at, t[i] + (add ? vget(type, y, at, w->d - e) :
				    (vf){ 0 }), w->d - e);
			}
		}
}

#endif
