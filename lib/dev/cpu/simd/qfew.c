/*
 * Few rows times quantized weights, which are read as they lie: that is as fast
 * as memory is.  Of VW rows QS elements at a time, each row's integer products
 * are summed by parts, then the rows are turned, and their sums go through the
 * same chain of multiply-adds as those of a panel.
 */
#include "dev/cpu/simd/qpanel.h"

#ifdef __AVX512VNNI__

enum { AHEAD = 16384 };		/* bytes that are fetched before they are read */

/* ---- QS elements of one row, as bytes in four vectors ---- */

/*
 * Where the n-th 16 of QS elements are, a form for each family of types: lane l of
 * vector j has the number 4 l + j.  Where a part is 32 elements, its two halves
 * are in one lane of vectors 0 and 1, or 2 and 3.
 */
enum form { FOURS, K45, PLAIN, TWOS };

INLINE int
lane_of(enum form f, int n)
{
	switch (f) {
	case FOURS:	return n % 8 / 2 * 4 + n / 8 * 2 + n % 2;
	case K45:	return n;
	case PLAIN:	return n % 4 * 4 + n / 4;
	default:	return (n / 8 * 2 + n % 2) * 4 + n % 8 / 2;
	}
}

INLINE vu
load64(const uint8_t *p)
{
	vu x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* 32 bytes, twice. */
INLINE vu
load32_twice(const uint8_t *p)
{
	return (vu)_mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)p));
}

/* Four times 16 bytes, step apart. */
INLINE vu
load16s(const uint8_t *p, int64_t step)
{
#define LOAD(i) _mm_loadu_si128((const void *)(p + (i) * step))
	__m512i x = _mm512_inserti32x4(_mm512_castsi128_si512(LOAD(0)), LOAD(1), 1);

	return (vu)_mm512_inserti32x4(_mm512_inserti32x4(x, LOAD(2), 2), LOAD(3), 3);
#undef LOAD
}

/* 16 bytes, four times. */
INLINE vu
load16_all(const uint8_t *p)
{
	return (vu)_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)p));
}

/* Lanes 0, 2 or 1, 3 of a and then of b. */
INLINE vu
even_lanes(vu a, vu b)
{
	return (vu)_mm512_shuffle_i32x4((__m512i)a, (__m512i)b, 0x88);
}

INLINE vu
odd_lanes(vu a, vu b)
{
	return (vu)_mm512_shuffle_i32x4((__m512i)a, (__m512i)b, 0xdd);
}

INLINE vu
shift_halves(vu x, int low, int high)
{
	uint32_t l = (uint32_t)low, h = (uint32_t)high;

	return x >> (vu){ l, l, l, l, l, l, l, l, h, h, h, h, h, h, h, h };
}

INLINE void
bytes_of_fours(const uint8_t *p, int64_t step, vu v[4])
{
	UNROLL
	for (int i = 0; i < 2; i++) {
		vu x = load16s(p + 4 * i * step, step);

		v[2 * i] = x & 0x0f0f0f0f;
		v[2 * i + 1] = x >> 4 & 0x0f0f0f0f;
	}
}

INLINE void
bytes_of_fives(const uint8_t *p, const uint8_t *high, int64_t step, vu v[4])
{
	bytes_of_fours(p, step, v);
	UNROLL
	for (int i = 0; i < 2; i++) {
		uint64_t bits[2] = { 0, 0 };

		UNROLL
		for (int j = 0; j < 4; j++) {
			uint32_t h;

			memcpy(&h, high + (4 * i + j) * step, sizeof(h));
			bits[0] |= (uint64_t)(h & 65535) << 16 * j;
			bits[1] |= (uint64_t)(h >> 16) << 16 * j;
		}
		UNROLL
		for (int j = 0; j < 2; j++)
			v[2 * i + j] = (vu)_mm512_mask_add_epi8((__m512i)v[2 * i + j], bits[j],
			    (__m512i)v[2 * i + j], _mm512_set1_epi8(16));
	}
}

INLINE void
bytes_of_iq4(const uint8_t *p, int64_t step, vu v[4])
{
	bytes_of_fours(p, step, v);
	UNROLL
	for (int i = 0; i < 4; i++)
		v[i] = iq4_values(v[i]);
}

INLINE void
bytes_q4_0(const uint8_t *p, vu v[4])
{
	bytes_of_fours(p + 2, 18, v);
}

INLINE void
bytes_q4_1(const uint8_t *p, vu v[4])
{
	bytes_of_fours(p + 4, 20, v);
}

INLINE void
bytes_q5_0(const uint8_t *p, vu v[4])
{
	bytes_of_fives(p + 6, p + 2, 22, v);
}

INLINE void
bytes_q5_1(const uint8_t *p, vu v[4])
{
	bytes_of_fives(p + 8, p + 4, 24, v);
}

/* Two blocks of Q8_0. */
INLINE vu
load_q8_0(const uint8_t *p)
{
	__m256i a = _mm256_loadu_si256((const void *)(p + 2));
	__m256i b = _mm256_loadu_si256((const void *)(p + 36));

	return (vu)_mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1) ^ 0x80808080;
}

INLINE void
bytes_q8_0(const uint8_t *p, vu v[4])
{
	UNROLL
	for (int i = 0; i < 2; i++, p += 4 * 34) {
		vu a = load_q8_0(p), b = load_q8_0(p + 2 * 34);

		v[2 * i] = even_lanes(a, b);
		v[2 * i + 1] = odd_lanes(a, b);
	}
}

INLINE void
bytes_iq4_nl(const uint8_t *p, vu v[4])
{
	bytes_of_iq4(p + 2, 18, v);
}

INLINE void
bytes_iq4_xs(const uint8_t *p, vu v[4])
{
	bytes_of_iq4(p + 8, 16, v);
}

INLINE void
bytes_q4_k(const uint8_t *p, vu v[4])
{
	vu a = load64(p + 16), b = load64(p + 80), x[2] = { even_lanes(a, b), odd_lanes(a, b) };

	UNROLL
	for (int i = 0; i < 2; i++) {
		v[i] = x[i] & 0x0f0f0f0f;
		v[2 + i] = x[i] >> 4 & 0x0f0f0f0f;
	}
}

INLINE void
bytes_q5_k(const uint8_t *p, vu v[4])
{
	const vu bit = { 0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6 };

	bytes_q4_k(p + 32, v);
	UNROLL
	for (int i = 0; i < 2; i++) {
		vu high = load16_all(p + 16 + 16 * i) >> bit;

		v[i] |= (high & 0x01010101) << 4;
		v[2 + i] |= (high & 0x02020202) << 3;
	}
}

INLINE void
bytes_q6_k(const uint8_t *p, vu v[4])
{
	UNROLL
	for (int i = 0; i < 2; i++) {
		vu x = load64(p + 64 * i), high = load32_twice(p + 128 + 32 * i);

		v[2 * i] = (x & 0x0f0f0f0f) | (shift_halves(high, 0, 2) & 0x03030303) << 4;
		v[2 * i + 1] = (x >> 4 & 0x0f0f0f0f) |
		    (shift_halves(high, 4, 6) & 0x03030303) << 4;
	}
}

INLINE void
bytes_q2_k(const uint8_t *p, vu v[4])
{
	vu x = load64(p + 16);

	UNROLL
	for (int i = 0; i < 4; i++)
		v[i] = x >> 2 * i & 0x03030303;
}

INLINE void
bytes_q3_k(const uint8_t *p, vu v[4])
{
	vu x = load64(p + 32), high = load32_twice(p);

	UNROLL
	for (int i = 0; i < 4; i++)
		v[i] = (x >> 2 * i & 0x03030303) |
		    (shift_halves(high, i, 4 + i) & 0x01010101) << 2;
}

/* ---- sums of one row ---- */

/* Word 4 l + j of the result is the sum of lane l, four words, of x[j]. */
INLINE vi
sum_units(const vi x[4])
{
#define UNPACK(how, a, b) ((vi)_mm512_unpack##how((__m512i)(a), (__m512i)(b)))
	vi a = UNPACK(lo_epi32, x[0], x[1]) + UNPACK(hi_epi32, x[0], x[1]);
	vi b = UNPACK(lo_epi32, x[2], x[3]) + UNPACK(hi_epi32, x[2], x[3]);

	return UNPACK(lo_epi64, a, b) + UNPACK(hi_epi64, a, b);
#undef UNPACK
}

INLINE vi
dot(vi sum, vu w, vu a)
{
	return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, (__m512i)a);
}

/*
 * QS elements of two rows of w times n rows of a, `words' vectors apart.  Of
 * parts of 32: two words of a vector are the sums of one part, one word a row.
 */
INLINE void
dots_of_32(vu w[2][4], const vu *a, int64_t words, int64_t n, vi *sums)
{
	for (int64_t i = 0; i < n; i++, a += words, sums += VW) {
		vi x[4] = { { 0 } };

		UNROLL
		for (int j = 0; j < 4; j++) {
			x[j / 2 * 2] = dot(x[j / 2 * 2], w[0][j], a[j]);
			x[j / 2 * 2 + 1] = dot(x[j / 2 * 2 + 1], w[1][j], a[j]);
		}
		sums[0] = sum_units(x);
	}
}

/* Of parts of 16: a vector for each of the two rows. */
INLINE void
dots_of_16(vu w[2][4], const vu *a, int64_t words, int64_t n, vi *sums)
{
	for (int64_t i = 0; i < n; i++, a += words, sums += VW)
		UNROLL
		for (int k = 0; k < 2; k++) {
			vi x[4] = { { 0 } };

			UNROLL
			for (int j = 0; j < 4; j++)
				x[j] = dot(x[j], w[k][j], a[j]);
			sums[k] = sum_units(x);
		}
}

/* ---- sums of VW rows ---- */

/*
 * Eight vectors of two rows, whose n-th two words are neighbours, turned: word i
 * of the n-th is row i.
 */
INLINE void
turn_pairs(const vi from[VW / 2], vf to[VW / 2])
{
#define SHUFFLE __builtin_shufflevector
	vd a[8], b[8];

	UNROLL
	for (int i = 0; i < 8; i++)
		a[i] = (vd)from[i];
	UNROLL
	for (int i = 0; i < 8; i += 2) {
		b[i] = SHUFFLE(a[i], a[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
		b[i + 1] = SHUFFLE(a[i], a[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
	}
	/* b[2 g + k]: rows of g, of n = k, k + 2, k + 4, k + 6. */
	UNROLL
	for (int k = 0; k < 2; k++) {
		vd x = b[k], y = b[2 + k], z = b[4 + k], w = b[6 + k];
		vd xy[2] = { SHUFFLE(x, y, 0, 1, 4, 5, 8, 9, 12, 13),
			SHUFFLE(x, y, 2, 3, 6, 7, 10, 11, 14, 15) };
		vd zw[2] = { SHUFFLE(z, w, 0, 1, 4, 5, 8, 9, 12, 13),
			SHUFFLE(z, w, 2, 3, 6, 7, 10, 11, 14, 15) };

		UNROLL
		for (int h = 0; h < 2; h++) {
			to[k + 2 * h] = (vf)SHUFFLE(xy[h], zw[h], 0, 1, 4, 5, 8, 9, 12, 13);
			to[k + 2 * h + 4] = (vf)SHUFFLE(xy[h], zw[h], 2, 3, 6, 7, 10, 11, 14, 15);
		}
	}
#undef SHUFFLE
}

/* VW vectors of a row each. */
INLINE void
turn_all(const vi from[VW], vf to[VW])
{
	UNROLL
	for (int i = 0; i < VW; i++)
		to[i] = (vf)from[i];
	turn(to);
}

INLINE vi
word_of(const uint32_t *p)
{
	return viset((int32_t)*p);
}

INLINE vf
float_of(const uint32_t *p)
{
	float x;

	memcpy(&x, p, sizeof(x));
	return vset(x);
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
		sum = (vi)sums[lane_of(form, 2 * p) / 2];
		if (!least)
			sum += word_of(a);
		f = vfma(__builtin_convertvector(sum, vf), vload(b.d + p * QW) * float_of(a + 9),
		    f);
		if (least)
			f = vfma(vload(b.m + p * QW), float_of(a), f);
	}
	return f;
}

/* The same of parts of 16. */
INLINE vf
chain_of_16(enum form form, int drop, bool least, const vf *sums, struct qpanel b,
    const uint32_t *a, vf f)
{
	vf g = { 0 };

	UNROLL
	for (int i = 0; i < QS / 32; i++, a += 11) {
		vi x = (vi)sums[lane_of(form, 2 * i)], y = (vi)sums[lane_of(form, 2 * i + 1)];

		if (!least) {
			x += word_of(a);
			y += word_of(a + 5);
		}
		g = pair_fma(x, y, drop, (vi)load64((const uint8_t *)(b.pair + i * QW)),
		    float_of(a + 10), g);
		if (least) {
			f = vfma(vload(b.m + 2 * i * QW), float_of(a), f);
			f = vfma(vload(b.m + (2 * i + 1) * QW), float_of(a + 5), f);
		}
	}
	return vfma(g, vload(b.d), f);
}

/* Up to VW rows of b, ld bytes apart, and where the sums go. */
struct rows {
	const uint8_t	*b;
	int64_t		 ld, n;
	float		*to;
};

/* Of blocks of 32: d is the first half of a head, m the second. */
INLINE void
scales_of_heads(uint32_t head[QS / 32][VW], bool least, float *d, float *m)
{
	UNROLL
	for (int i = 0; i < QS / 32; i++) {
		vu x = load64((const uint8_t *)head[i]);

		vstore(d + i * QW, low_half(x));
		if (least)
			vstore(m + i * QW, high_half(x));
	}
}

/* What is the same for all rows of a type. */
struct kind {
	dtype	 type;
	int	 bytes;			/* of QS elements */
	int	 block;			/* bytes of a block of 32, scales first; or 0 */
	enum form form;
	int	 part;			/* elements that share a scale: 16 or 32 */
	bool	 least;			/* there are least values */
};

typedef void bytes_fn(const uint8_t *p, vu v[4]);

/*
 * The sums of the s-th QS of k, two rows at a time, and the first word of each
 * block.  What lies AHEAD is fetched, in the next rows where these end.
 */
INLINE void
sum_rows(struct kind kind, bytes_fn *bytes, const struct qfew *w, const struct rows *r, int64_t n,
    int64_t s, uint32_t head[QS / 32][VW])
{
	int64_t steps = (w->k + QS - 1) / QS, left = w->k - s * QS;
	int64_t ahead = s + AHEAD / (VW * kind.bytes);
	const uint8_t *p = r->b + s * kind.bytes, *soon = r->b + ahead * kind.bytes;
	uint8_t rest[QS / 32 * 34] = { 0 };

	if (ahead >= steps)
		soon += VW * r->ld - steps * kind.bytes;
	for (int64_t j = 0; j < r->n; j += 2, p += 2 * r->ld, soon += 2 * r->ld) {
		vu v[2][4];

		UNROLL
		for (int i = 0; i < 2; i++) {
			const uint8_t *q = p + (j + i < r->n ? i * r->ld : 0);

			UNROLL
			for (int at = 0; at < kind.bytes; at += 64)
				__builtin_prefetch(soon + i * r->ld + at);
			if (left < QS)
				q = memcpy(rest, q, (size_t)dtype_bytes(kind.type, left));
			for (int b = 0; kind.block > 0 && b < QS / 32; b++)
				memcpy(&head[b][j + i], q + b * kind.block, 4);
			bytes(q, v[i]);
		}
		if (kind.part == 32)
			dots_of_32(v, w->a + s * 4, steps * 4, n, w->sums + j / 2);
		else
			dots_of_16(v, w->a + s * 4, steps * 4, n, w->sums + j);
	}
}

/* All of k goes through the first cache once: scales are read while a unit is there. */
INLINE void
few_rows(struct kind kind, bytes_fn *bytes, const struct qfew *w, const struct rows *r, int64_t n)
{
	int64_t steps = (w->k + QS - 1) / QS, per = qwords(&w->form, QS);
	_Alignas(64) float d[QS / 16 * QW], m[QS / 16 * QW];
	_Alignas(64) uint32_t pair[QS / QB * QW];
	const struct qpanel scales = { .d = d, .m = m, .pair = pair };
	uint32_t head[QS / 32][VW];
	vf f[QFEW] = { { 0 } };

	for (int64_t s = 0; s < steps; s++) {
		int64_t left = min64(w->k - s * QS, QS);

		sum_rows(kind, bytes, w, r, n, s, head);
		if (kind.block > 0)
			scales_of_heads(head, kind.least, d, m);
		else
			OF_ISA(qscales)(kind.type, r->b + s * kind.bytes, r->ld, r->n, left,
			    &scales, w->pad);
		for (int64_t i = 0; i < n; i++) {
			const uint32_t *a = w->strip + i * w->words + s * per;
			vf t[VW];

			if (kind.part == 32) {
				turn_pairs(w->sums + i * VW, t);
				f[i] = chain(kind.form, kind.least, (int)(left / 32), t,
				    (struct qpanel){ .d = d, .m = m }, a, f[i]);
			} else {
				turn_all(w->sums + i * VW, t);
				f[i] = chain_of_16(kind.form, qdrop(kind.type), kind.least, t,
				    (struct qpanel){ .d = d, .m = m, .pair = pair }, a, f[i]);
			}
		}
	}
	for (int64_t i = 0; i < n; i++)
		vstore(r->to + i * QW, f[i]);
}

/* Name, bytes of QS elements, of a block of 32; form; elements of a part, least values. */
#define ALL_TYPES(f)							\
	f(Q4_0, q4_0, 144, 18, FOURS, 32, false)			\
	f(Q4_1, q4_1, 160, 20, FOURS, 32, true)				\
	f(Q5_0, q5_0, 176, 22, FOURS, 32, false)			\
	f(Q5_1, q5_1, 192, 24, FOURS, 32, true)				\
	f(Q8_0, q8_0, 272, 34, FOURS, 32, false)			\
	f(Q2_K, q2_k, 84, 0, TWOS, 16, true)				\
	f(Q3_K, q3_k, 110, 0, TWOS, 16, false)				\
	f(Q4_K, q4_k, 144, 0, K45, 32, true)				\
	f(Q5_K, q5_k, 176, 0, K45, 32, true)				\
	f(Q6_K, q6_k, 210, 0, PLAIN, 16, false)				\
	f(IQ4_NL, iq4_nl, 144, 18, FOURS, 32, false)			\
	f(IQ4_XS, iq4_xs, 136, 0, FOURS, 32, false)

#define FEW(id, name, bytes, block, how, part, least)			\
static void								\
few_##name(const struct qfew *w, const struct rows *r)			\
{									\
	const struct kind kind = { DTYPE_##id, bytes, block, how, part, least };	\
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
			int lane = lane_of(form, n);
			const uint32_t *q = strip + (at / QB + n / 2) * words +
			    (each == 2 ? n % 2 * 5 + 1 : 1 + n % 2 * 4);
			uint32_t *u = out + lane % 4 * VW + lane / 4 * 4;

			if (at + n * 16 < k)
				memcpy(u, q, 16);
			else
				memset(u, 0, 16);
		}
}

void
OF_ISA(qfew_order)(const struct qfew *w)
{
#define FORM(id, name, bytes, block, how, part, least) [DTYPE_##id] = how,
	static const enum form form[DTYPE_COUNT] = { ALL_TYPES(FORM) };
	int64_t steps = (w->k + QS - 1) / QS;

	for (int64_t i = 0; i < w->n; i++)
		order(form[w->type], w->strip + i * w->words, w->k, QB / w->form.part,
		    w->a + i * steps * 4);
}

void
OF_ISA(qfew)(const struct qfew *w, const uint8_t *b, int64_t ld, int64_t n, float *sums)
{
#define NAME(id, name, bytes, block, how, part, least) [DTYPE_##id] = few_##name,
	static void (*const few[DTYPE_COUNT])(const struct qfew *w, const struct rows *r) = {
		ALL_TYPES(NAME)
	};

	for (int64_t i = 0; i < n; i += VW, b += VW * ld) {
		struct rows r = { b, ld, min64(VW, n - i), sums + i };

		few[w->type](w, &r);
	}
}

#endif
