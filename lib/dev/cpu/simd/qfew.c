/*
 * Few rows times quantized weights, which are read as they lie: that is as fast
 * as memory is.  First each row's integer products are summed by 16 elements,
 * then VW rows are turned, and their sums go through the same chain of
 * multiply-adds as those of a panel.
 */
#include "dev/cpu/simd/qpanel.h"

#ifdef __AVX512VNNI__

enum { AHEAD = 12288 };		/* bytes that are fetched before they are read */

/* ---- QS elements of one row, as bytes in four vectors ---- */

/*
 * Where the n-th 16 of QS elements are: a form of each family of types, and the
 * lane after turn() of what sum_units() makes of four vectors.
 */
enum form { FOURS, K45, PLAIN, TWOS };

INLINE int
lane_of(enum form f, int n)
{
	switch (f) {
	case FOURS:	return n % 8 / 2 * 4 + n / 8 * 2 + n % 2;
	case K45:	return (n % 8 / 4 * 2 + n % 2) * 4 + n / 8 * 2 + n / 2 % 2;
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

INLINE void
bytes_q8_0(const uint8_t *p, vu v[4])
{
	UNROLL
	for (int i = 0; i < 4; i++) {
		__m256i a = _mm256_loadu_si256((const void *)(p + 68 * i + 2));
		__m256i b = _mm256_loadu_si256((const void *)(p + 68 * i + 36));

		v[i] = (vu)_mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1) ^ 0x80808080;
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
	UNROLL
	for (int i = 0; i < 2; i++) {
		vu x = load64(p + 16 + 64 * i);

		v[2 * i] = x & 0x0f0f0f0f;
		v[2 * i + 1] = x >> 4 & 0x0f0f0f0f;
	}
}

INLINE void
bytes_q5_k(const uint8_t *p, vu v[4])
{
	vu high = load32_twice(p + 16);

	UNROLL
	for (int i = 0; i < 2; i++) {
		vu x = load64(p + 48 + 64 * i);

		v[2 * i] = (x & 0x0f0f0f0f) |
		    (shift_halves(high, 4 * i, 4 * i + 2) & 0x01010101) << 4;
		v[2 * i + 1] = (x >> 4 & 0x0f0f0f0f) |
		    (shift_halves(high, 4 * i + 1, 4 * i + 3) & 0x01010101) << 4;
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

/* The sums of all QS of a row of k: for each of n rows of a. */
#define DOTS(id, name, bytes)						\
INLINE void								\
dots_of_##name(const uint8_t *p, int64_t k, const vu *a, int64_t n, vi *sums)	\
{									\
	int64_t steps = (k + QS - 1) / QS;				\
	uint8_t rest[QS / 32 * 34];					\
									\
	for (int64_t s = 0; s < steps; s++, p += bytes) {		\
		vu v[4];						\
									\
		UNROLL							\
		for (int i = 0; i < bytes; i += 64)			\
			__builtin_prefetch(p + AHEAD + i);		\
		if (k - s * QS < QS) {					\
			int64_t have = dtype_bytes(DTYPE_##id, k - s * QS);	\
									\
			memset(rest, 0, sizeof(rest));			\
			memcpy(rest, p, (size_t)have);			\
			p = rest;					\
		}							\
		bytes_##name(p, v);					\
		for (int64_t i = 0; i < n; i++) {			\
			const vu *x = a + (i * steps + s) * 4;		\
			vi sum[4];					\
									\
			UNROLL						\
			for (int j = 0; j < 4; j++)			\
				sum[j] = (vi)_mm512_dpbusd_epi32(	\
				    _mm512_setzero_si512(), (__m512i)v[j],	\
				    (__m512i)x[j]);			\
			sums[(i * steps + s) * VW] = sum_units(sum);	\
		}							\
	}								\
}									\
									\
static void								\
dots_##name(const uint8_t *p, int64_t k, const vu *a, int64_t n, vi *sums)	\
{									\
	if (n == 1)							\
		dots_of_##name(p, k, a, 1, sums);			\
	else								\
		dots_of_##name(p, k, a, n, sums);			\
}

/* Name, bytes of QS elements, form; elements of a part, least values. */
#define ALL_TYPES(f)							\
	f(Q4_0, q4_0, 144, FOURS, 32, false)				\
	f(Q4_1, q4_1, 160, FOURS, 32, true)				\
	f(Q5_0, q5_0, 176, FOURS, 32, false)				\
	f(Q5_1, q5_1, 192, FOURS, 32, true)				\
	f(Q8_0, q8_0, 272, PLAIN, 32, false)				\
	f(Q2_K, q2_k, 84, TWOS, 16, true)				\
	f(Q3_K, q3_k, 110, TWOS, 16, false)				\
	f(Q4_K, q4_k, 144, K45, 32, true)				\
	f(Q5_K, q5_k, 176, K45, 32, true)				\
	f(Q6_K, q6_k, 210, PLAIN, 16, false)				\
	f(IQ4_NL, iq4_nl, 144, FOURS, 32, false)			\
	f(IQ4_XS, iq4_xs, 136, FOURS, 32, false)
#define DOTS_OF(id, name, bytes, how, part, least) DOTS(id, name, bytes)
ALL_TYPES(DOTS_OF)

/* ---- sums of VW rows ---- */

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
chain(enum form form, int part, bool least, int parts, const vf *sums, const float *d,
    const float *m, const uint32_t *a, vf f)
{
	const int each = QB / part, words = 8 + each + 1, most = QS / part;

	UNROLL
	for (int p = 0; p < most; p++) {
		const uint32_t *at = a + p / each * words, *start = at + p % each * (1 + part / 4);
		vi sum;

		if (p >= parts)
			break;
		if (part == 32)
			sum = (vi)sums[lane_of(form, 2 * p)] + (vi)sums[lane_of(form, 2 * p + 1)];
		else
			sum = (vi)sums[lane_of(form, p)];
		if (!least)
			sum += word_of(start);
		f = vfma(__builtin_convertvector(sum, vf),
		    vload(d + p * QW) * float_of(at + words - 1), f);
		if (least)
			f = vfma(vload(m + p * QW), float_of(start), f);
	}
	return f;
}

struct chain {
	const struct qfew *w;
	const uint8_t	*b, *soon;
	int64_t		 ld, rows;
	float		*to;
};

#define CHAINS(id, name, bytes, how, part, least)			\
static void								\
chains_##name(const struct chain *c)					\
{									\
	const struct qfew *w = c->w;					\
	int64_t steps = (w->k + QS - 1) / QS, per = qwords(&w->form, QS);	\
	float d[QS / part * QW], m[QS / part * QW];			\
	const struct qpanel scales = { .d = d, .m = m };		\
	vf f[QFEW] = { { 0 } };						\
									\
	for (int64_t s = 0; s < steps; s++) {				\
		int64_t left = w->k - s * QS, parts = min64(left, QS) / part;	\
									\
		for (int i = 0; i < 8; i++)				\
			__builtin_prefetch(c->soon + AHEAD + (8 * s + i) * 64);	\
		OF_ISA(qscales)(w->type, c->b + s * bytes, c->ld, c->rows,	\
		    min64(left, QS), &scales, w->pad);			\
		for (int64_t i = 0; i < w->n; i++) {			\
			const vi *sums = w->sums + (i * steps + s) * VW;	\
			vf t[VW];					\
									\
			UNROLL						\
			for (int j = 0; j < VW; j++)			\
				t[j] = (vf)sums[j];			\
			turn(t);					\
			f[i] = chain(how, part, least, (int)parts, t, d, m,	\
			    w->strip + i * w->words + s * per, f[i]);	\
		}							\
	}								\
	for (int64_t i = 0; i < w->n; i++)				\
		vstore(c->to + i * QW, f[i]);				\
}
ALL_TYPES(CHAINS)

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
#define FORM(id, name, bytes, how, part, least) [DTYPE_##id] = how,
	static const enum form form[DTYPE_COUNT] = { ALL_TYPES(FORM) };
	int64_t steps = (w->k + QS - 1) / QS;

	for (int64_t i = 0; i < w->n; i++)
		order(form[w->type], w->strip + i * w->words, w->k, QB / w->form.part,
		    w->a + i * steps * 4);
}

void
OF_ISA(qfew)(const struct qfew *w, const uint8_t *b, int64_t ld, int64_t n, float *sums)
{
#define DOTS_NAME(id, name, bytes, how, part, least) [DTYPE_##id] = dots_##name,
#define CHAINS_NAME(id, name, bytes, how, part, least) [DTYPE_##id] = chains_##name,
	static void (*const dots[DTYPE_COUNT])(const uint8_t *p, int64_t k, const vu *a,
	    int64_t n, vi *sums) = { ALL_TYPES(DOTS_NAME) };
	static void (*const chains[DTYPE_COUNT])(const struct chain *c) = {
		ALL_TYPES(CHAINS_NAME)
	};

	for (int64_t i = 0; i < n; i += VW, b += VW * ld) {
		struct chain c = { w, b, b + VW * ld, ld, min64(VW, n - i), sums + i };

		for (int64_t j = 0; j < c.rows; j++)
			dots[w->type](b + j * ld, w->k, w->a, w->n, w->sums + j);
		chains[w->type](&c);
	}
}

#endif
