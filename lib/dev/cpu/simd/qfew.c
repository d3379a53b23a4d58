/*
 * Few rows times quantized weights, which are read as they lie: that is as fast
 * as memory is.  Of VW rows QS elements at a time, each row's integer products
 * are summed by parts, then the rows are turned, and their sums go through the
 * same chain of multiply-adds as those of a panel.
 */
#include "dev/cpu/simd/qpanel.h"

#if defined(QFOURS)
#include "dev/cpu/simd/qrow512.h"
#elif defined(QPAIRS)
#include "dev/cpu/simd/qrow256.h"
#endif

#if defined(QFOURS) || defined(QPAIRS)

enum { AHEAD = 4096 };		/* bytes that are fetched besides those of the next VW rows */

/* ---- bytes that lie in the same way wherever the vectors are: in halves of blocks ---- */

INLINE void
bytes_of_iq4(const uint8_t *p, int64_t step, vu v[VECTORS])
{
	bytes_of_fours(p, step, v);
	UNROLL
	for (int i = 0; i < VECTORS; i++)
		v[i] = iq4_values(v[i]);
}

INLINE void
bytes_q4_0(const uint8_t *p, vu v[VECTORS])
{
	bytes_of_fours(p + 2, 18, v);
}

INLINE void
bytes_q4_1(const uint8_t *p, vu v[VECTORS])
{
	bytes_of_fours(p + 4, 20, v);
}

INLINE void
bytes_q5_0(const uint8_t *p, vu v[VECTORS])
{
	bytes_of_fives(p + 6, p + 2, 22, v);
}

INLINE void
bytes_q5_1(const uint8_t *p, vu v[VECTORS])
{
	bytes_of_fives(p + 8, p + 4, 24, v);
}

INLINE void
bytes_iq4_nl(const uint8_t *p, vu v[VECTORS])
{
	bytes_of_iq4(p + 2, 18, v);
}

INLINE void
bytes_iq4_xs(const uint8_t *p, vu v[VECTORS])
{
	bytes_of_iq4(p + 8, 16, v);
}

/* ---- sums of VW rows ---- */

/* Where rows end there are lanes of none, with sums of anything. */
INLINE vi
add_words(vi x, vi y)
{
	return (vi)((vu)x + (vu)y);
}

/* What the sums of a part begin with. */
INLINE vi
load_start(const uint32_t *p)
{
#ifdef QPAIRS
	return halves_sum((qhalves)load_word(p));
#else
	return load_word(p);
#endif
}

/* f goes on over parts of up to QS elements; sums are turned, a is a strip of one row. */
INLINE vf
chain(enum form form, bool least, int parts, const vf *sums, struct qpanel b,
    const uint32_t *a, vf f)
{
	UNROLL
	for (int p = 0; p < QS / 32; p++, a += 10) {
		vi sum;

		if (p >= parts)
			break;
		sum = (vi)sums[sum_of(form, 32, 2 * p)];
		if (!least)
			sum = add_words(sum, load_start(a));
		f = vfma(__builtin_convertvector(sum, vf), vload(b.d + p * QW) * load_scale(a + 9),
		    f);
		if (least)
			f = vfma(vload(b.m + p * QW), load_scale(a), f);
	}
	return f;
}

/* The same of parts of 16. */
INLINE vf
chain_of_16(enum form form, bool least, const vf *sums, struct qpanel b,
    const uint32_t *a, vf f)
{
	UNROLL
	for (int i = 0; i < QS / 32; i++, a += 11) {
		vi x = (vi)sums[sum_of(form, 16, 2 * i)];
		vi y = (vi)sums[sum_of(form, 16, 2 * i + 1)];

		if (!least) {
			x = add_words(x, load_start(a));
			y = add_words(y, load_start(a + 5));
		}
		f = halves_fma(x, y, vload(b.d + 2 * i * QW), vload(b.d + (2 * i + 1) * QW),
		    load_scale(a + 10), f);
		if (least) {
			f = vfma(vload(b.m + 2 * i * QW), load_scale(a), f);
			f = vfma(vload(b.m + (2 * i + 1) * QW), load_scale(a + 5), f);
		}
	}
	return f;
}

/* Up to VW rows of b, ld bytes apart, and where the sums go. */
struct rows {
	const uint8_t	*b;
	int64_t		 ld, n;
	float		*to;
};

/* What is the same for all rows of a type. */
struct kind {
	dtype	 type;
	int	 bytes;			/* of QS elements */
	int	 block;			/* bytes of a block of 32, scales first; or 0 */
	enum form form;
	int	 part;			/* elements that share a scale: 16 or 32 */
	bool	 least;			/* there are least values */
	bool	 wide;			/* a byte has eight bits */
};

typedef void bytes_fn(const uint8_t *p, vu v[VECTORS]);

/*
 * The sums of the s-th QS of k, some rows at a time, and what their blocks begin
 * with.  Activations end in zeros, so what follows a row that ends sooner may be
 * anything that can be read.  What lies ahead is fetched as it lies, which memory likes
 * better than row by row.
 */
INLINE void
sum_rows(struct kind kind, bytes_fn *bytes, const struct qfew *w, const struct rows *r, int64_t n,
    int64_t s, uint32_t heads[QS / 32][VW])
{
	int64_t steps = (w->k + QS - 1) / QS, left = w->k - s * QS;
	const uint8_t *first = r->b + s * kind.bytes, *p = first;
	const uint8_t *soon = r->b + (steps + s) * VW * r->ld / steps + AHEAD;
	int64_t there = left < QS ? dtype_bytes(kind.type, left) : kind.bytes;
	int64_t last = (r->n - 1) * r->ld + there - kind.bytes;
	const vu *a = w->a + s * VECTORS;
	vi *sums = w->sums;
	uint8_t rest[QS / 32 * 34];

	for (int64_t j = 0; j < r->n; j += AT_ONCE, p += AT_ONCE * r->ld) {
		vu v[AT_ONCE][VECTORS];

		UNROLL
		for (int i = 0; i < AT_ONCE; i++) {
			const uint8_t *q = p + (j + i < r->n ? i * r->ld : 0);

			UNROLL
			for (int at = 0; at < kind.bytes; at += 64)
				__builtin_prefetch(soon + at);
			soon += kind.bytes;
			if (q - first > last)
				q = memcpy(rest, q, (size_t)there);
			if (kind.block > 0)
				take_heads(q, kind.block, kind.least, (int)j + i, heads);
			bytes(q, v[i]);
		}
		if (kind.part == 32)
			dots_of_32(kind.wide, v, a, steps * VECTORS, n, sums + j / AT_ONCE);
		else
			dots_of_16(v, a, steps * VECTORS, n, sums + j * OF_16);
	}
}

/* All of k goes through the first cache once: scales are read while a unit is there. */
INLINE void
few_rows(struct kind kind, bytes_fn *bytes, const struct qfew *w, const struct rows *r, int64_t n)
{
	int64_t steps = (w->k + QS - 1) / QS, per = qwords(&w->form, QS);
	_Alignas(64) float d[QS / 16 * QW], m[QS / 16 * QW];
	const struct qpanel scales = { .d = d, .m = m };
	_Alignas(64) uint32_t heads[QS / 32][VW];
	vf f[QFEW] = { { 0 } };

	for (int64_t s = 0; s < steps; s++) {
		int64_t left = min64(w->k - s * QS, QS);

		sum_rows(kind, bytes, w, r, n, s, heads);
		if (kind.block > 0)
			scales_of_heads(heads, kind.least, d, m);
		else
			OF_ISA(qscales)(kind.type, r->b + s * kind.bytes, r->ld, r->n, left,
			    &scales, w->pad);
		for (int64_t i = 0; i < n; i++) {
			const uint32_t *a = w->strip + i * w->words + s * per;
			vf t[QSUMS];

			if (kind.part == 32) {
				turn_of_32(w->sums + i * QSUMS, t);
				f[i] = chain(kind.form, kind.least, (int)(left / 32), t, scales, a,
				    f[i]);
			} else {
				turn_of_16(w->sums + i * QSUMS, t);
				f[i] = chain_of_16(kind.form, kind.least, t, scales, a, f[i]);
			}
		}
	}
	for (int64_t i = 0; i < n; i++)
		vstore(r->to + i * QW, f[i]);
}

/* Name, bytes of QS elements, of a block of 32; form; of a part; least values, eight bits. */
#define ALL_TYPES(f)							\
	f(Q4_0, q4_0, 144, 18, FOURS, 32, false, false)			\
	f(Q4_1, q4_1, 160, 20, FOURS, 32, true, false)			\
	f(Q5_0, q5_0, 176, 22, FOURS, 32, false, false)			\
	f(Q5_1, q5_1, 192, 24, FOURS, 32, true, false)			\
	f(Q8_0, q8_0, 272, 34, FOURS, 32, false, true)			\
	f(Q2_K, q2_k, 84, 0, TWOS, 16, true, false)			\
	f(Q3_K, q3_k, 110, 0, TWOS, 16, false, false)			\
	f(Q4_K, q4_k, 144, 0, K45, 32, true, false)			\
	f(Q5_K, q5_k, 176, 0, K45, 32, true, false)			\
	f(Q6_K, q6_k, 210, 0, PLAIN, 16, false, false)			\
	f(IQ4_NL, iq4_nl, 144, 18, FOURS, 32, false, true)			\
	f(IQ4_XS, iq4_xs, 136, 0, FOURS, 32, false, true)

#define FEW(id, name, bytes, block, how, part, least, wide)			\
static void								\
few_##name(const struct qfew *w, const struct rows *r)			\
{									\
	const struct kind kind = { DTYPE_##id, bytes, block, how, part, least,	\
		wide };	\
									\
	if (w->n == 1)							\
		few_rows(kind, bytes_##name, w, r, 1);			\
	else								\
		few_rows(kind, bytes_##name, w, r, w->n);		\
}
ALL_TYPES(FEW)

/* The 16 elements that a vector has at its lanes, for a form. */
static void
order(enum form form, const uint32_t *strip, int64_t k, int each, vu *to)
{
	uint32_t *out = (uint32_t *)(void *)to;
	int words = 8 + each + 1;

	for (int64_t at = 0; at < k; at += QS, out += QS / 4)
		for (int n = 0; n < QS / 16; n++) {
			const uint32_t *q = strip + (at / QB + n / 2) * words +
			    (each == 2 ? n % 2 * 5 + 1 : 1 + n % 2 * 4);
			uint32_t *u = out + place_of(form, n) * 4;

			if (at + n * 16 < k)
				memcpy(u, q, 16);
			else
				memset(u, 0, 16);
		}
}

void
OF_ISA(qfew_order)(const struct qfew *w)
{
#define FORM(id, name, bytes, block, how, part, least, wide) [DTYPE_##id] = how,
	static const enum form form[DTYPE_COUNT] = { ALL_TYPES(FORM) };
	int64_t steps = (w->k + QS - 1) / QS;

	for (int64_t i = 0; i < w->n; i++)
		order(form[w->type], w->strip + i * w->words, w->k, QB / w->form.part,
		    w->a + i * steps * VECTORS);
}

void
OF_ISA(qfew)(const struct qfew *w, const uint8_t *b, int64_t ld, int64_t n, float *sums)
{
#define NAME(id, name, bytes, block, how, part, least, wide) [DTYPE_##id] = few_##name,
	static void (*const few[DTYPE_COUNT])(const struct qfew *w, const struct rows *r) = {
		ALL_TYPES(NAME)
	};

	for (int64_t i = 0; i < n; i += VW, b += VW * ld) {
		struct rows r = { b, ld, min64(VW, n - i), sums + i };

		few[w->type](w, &r);
	}
}

#endif
