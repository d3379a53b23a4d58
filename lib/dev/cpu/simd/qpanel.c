/*
 * Unpacking of quantized rows, VW of them at a time: 16 bytes of each are
 * turned, so that a lane is a row and a word has four neighbouring elements.
 * All else is arithmetic of words.  base/quant.c tells the layouts.
 */
#include "dev/cpu/simd/qpanel.h"

/* ---- rows to lanes ---- */

#if VW == 16
#define EACH_LANE(f) f(0), f(4), f(8), f(12)
#elif VW == 8
#define EACH_LANE(f) f(0), f(4)
#else
#define EACH_LANE(f) f(0)
#endif
#define LOW(i) (i), VW + (i), (i) + 1, VW + (i) + 1
#define HIGH(i) (i) + 2, VW + (i) + 2, (i) + 3, VW + (i) + 3
#define LOW_PAIR(i) (i), (i) + 1, VW + (i), VW + (i) + 1
#define HIGH_PAIR(i) (i) + 2, (i) + 3, VW + (i) + 2, VW + (i) + 3

/*
 * VW rows: the first of each four, and from one to the next.  While they are
 * taken what is needed soon is fetched, some lines at a time: of many at once
 * some would be dropped.
 */
struct rows {
	const uint8_t	*four[VW / 4];
	int64_t		 ld, ld3;	/* ld3: three times ld */
	int		 lines;		/* to fetch each time */
	struct qsoon	 soon;
};

INLINE const uint8_t *
row_at(const uint8_t *four, const struct rows *r, int i)
{
	return i == 0 ? four : i == 1 ? four + r->ld : i == 2 ? four + 2 * r->ld : four + r->ld3;
}

/* Addresses are these and an offset, and are not made anew. */
INLINE struct rows
rows_of(const uint8_t *p, int64_t ld, const struct qsoon *soon)
{
	struct rows r = { .ld = ld, .ld3 = 3 * ld, .soon = *soon };

	for (int i = 0; i < VW / 4; i++) {
		r.four[i] = p + 4 * i * ld;
		__asm__("" : "+r"(r.four[i]));
	}
	__asm__("" : "+r"(r.ld3));
	return r;
}

INLINE void
fetch(struct rows *r)
{
	struct qsoon *s = &r->soon;

	UNROLL
	for (int i = 0; i < r->lines; i++) {
		__builtin_prefetch(s->at);
		s->at += s->step;
		if (s->at >= s->end)
			qsoon_row(s);
	}
}

/* 16 bytes of row i of each four. */
INLINE vu
of_fours(const struct rows *r, int i, int64_t at)
{
#define LOAD(g) _mm_loadu_si128((const void *)(row_at(r->four[g], r, i) + at))
#if VW == 16
	__m512i x = _mm512_castsi128_si512(LOAD(0));

	x = _mm512_inserti32x4(x, LOAD(1), 1);
	x = _mm512_inserti32x4(x, LOAD(2), 2);
	return (vu)_mm512_inserti32x4(x, LOAD(3), 3);
#elif VW == 8
	return (vu)_mm256_inserti128_si256(_mm256_castsi128_si256(LOAD(0)), LOAD(1), 1);
#else
	vu x;

	memcpy(&x, row_at(r->four[0], r, i) + at, sizeof(x));
	return x;
#endif
#undef LOAD
}

/* x[k] = the k-th word of 16 bytes of each row */
INLINE void
take16(struct rows *r, int64_t at, vu x[4])
{
	vu a = of_fours(r, 0, at), b = of_fours(r, 1, at);
	vu c = of_fours(r, 2, at), d = of_fours(r, 3, at);
	vu ab = __builtin_shufflevector(a, b, EACH_LANE(LOW));
	vu cd = __builtin_shufflevector(c, d, EACH_LANE(LOW));

	fetch(r);
	x[0] = __builtin_shufflevector(ab, cd, EACH_LANE(LOW_PAIR));
	x[1] = __builtin_shufflevector(ab, cd, EACH_LANE(HIGH_PAIR));
	ab = __builtin_shufflevector(a, b, EACH_LANE(HIGH));
	cd = __builtin_shufflevector(c, d, EACH_LANE(HIGH));
	x[2] = __builtin_shufflevector(ab, cd, EACH_LANE(LOW_PAIR));
	x[3] = __builtin_shufflevector(ab, cd, EACH_LANE(HIGH_PAIR));
}

INLINE void
take32(struct rows *r, int64_t at, vu x[8])
{
	take16(r, at, x);
	take16(r, at + 16, x + 4);
}

INLINE uint32_t
word(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* A word of each row. */
INLINE vu
take4(struct rows *r, int64_t at)
{
#define ROW(i) word(row_at(r->four[(i) / 4], r, (i) % 4) + at)
#if VW == 16
	return (vu){ ROW(0), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7), ROW(8),
	    ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15) };
#elif VW == 8
	return (vu){ ROW(0), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7) };
#else
	return (vu){ ROW(0), ROW(1), ROW(2), ROW(3) };
#endif
#undef ROW
}

/* ---- words ---- */

INLINE vu
nibbles(vu x)
{
	return x & 0x0f0f0f0f;
}

/* The low two bits of each byte. */
INLINE vu
twos(vu x)
{
	return x & 0x03030303;
}

/* The lowest bit of each byte. */
INLINE vu
ones(vu x)
{
	return x & 0x01010101;
}

/* The lowest four bits of x, each the fifth of a byte. */
INLINE vu
fifths(vu x)
{
	return (x & 15) * 0x02040810 & 0x10101010;
}

INLINE vf
byte_of(vu x, int i)
{
	return __builtin_convertvector((vi)(x >> 8 * i & 255), vf);
}

INLINE void
put(uint32_t *q, int k, vu x)
{
	memcpy(q + k * QW, &x, sizeof(x));
}

INLINE void
put_float(float *d, int part, vf x)
{
	vstore(d + part * QW, x);
}

/* Sixteen bytes in four words, less zero, times d are what parts have. */
INLINE void
put_scales(float *to, vf d, const vu x[4], float zero)
{
	UNROLL
	for (int part = 0; part < 16; part++)
		put_float(to, part, d * (byte_of(x[part / 4], part % 4) - zero));
}

/* ---- types ---- */

/* Elements of 16 bytes: the low halves of all, then the high ones. */
INLINE void
unpack_fours(struct rows *r, int64_t at, uint32_t *q)
{
	vu x[4];

	take16(r, at, x);
	UNROLL
	for (int k = 0; k < 4; k++) {
		put(q, k, nibbles(x[k]));
		put(q, 4 + k, nibbles(x[k] >> 4));
	}
}

INLINE void
unpack_fives(struct rows *r, int64_t at, vu high, uint32_t *q)
{
	vu x[4];

	take16(r, at, x);
	UNROLL
	for (int k = 0; k < 4; k++) {
		put(q, k, nibbles(x[k]) | fifths(high >> 4 * k));
		put(q, 4 + k, nibbles(x[k] >> 4) | fifths(high >> (4 * k + 16)));
	}
}

INLINE void
scales_of_d(struct rows *r, const struct qpanel *to)
{
	put_float(to->d, 0, low_half(take4(r, 0)));
}

INLINE void
scales_of_dm(struct rows *r, const struct qpanel *to)
{
	vu dm = take4(r, 0);

	put_float(to->d, 0, low_half(dm));
	put_float(to->m, 0, high_half(dm));
}

INLINE void
unpack_q4_0(struct rows *r, const struct qpanel *to)
{
	unpack_fours(r, 2, to->q);
}

INLINE void
unpack_q4_1(struct rows *r, const struct qpanel *to)
{
	unpack_fours(r, 4, to->q);
}

INLINE void
unpack_q5_0(struct rows *r, const struct qpanel *to)
{
	unpack_fives(r, 6, take4(r, 2), to->q);
}

INLINE void
unpack_q5_1(struct rows *r, const struct qpanel *to)
{
	unpack_fives(r, 8, take4(r, 4), to->q);
}

INLINE void
unpack_q8_0(struct rows *r, const struct qpanel *to)
{
	vu x[8];

	take32(r, 2, x);
	UNROLL
	for (int k = 0; k < 8; k++)
		put(to->q, k, x[k] ^ QMIDDLE * 0x01010101u);
}

INLINE void
unpack_iq4(struct rows *r, int64_t at, uint32_t *q)
{
	vu x[4];

	take16(r, at, x);
	UNROLL
	for (int k = 0; k < 4; k++) {
		put(q, k, iq4_values(nibbles(x[k])));
		put(q, 4 + k, iq4_values(nibbles(x[k] >> 4)));
	}
}

INLINE void
unpack_iq4_nl(struct rows *r, const struct qpanel *to)
{
	unpack_iq4(r, 2, to->q);
}

INLINE void
scales_of_iq4_xs(struct rows *r, const struct qpanel *to)
{
	vu head = take4(r, 0), low = take4(r, 4);
	vf d = low_half(head);

	UNROLL
	for (int part = 0; part < 8; part++) {
		vu scale = (low >> 4 * part & 15) | (head >> (16 + 2 * part) & 3) << 4;

		put_float(to->d, part, d * (byte_of(scale, 0) - 32));
	}
}

INLINE void
unpack_iq4_xs(struct rows *r, const struct qpanel *to)
{
	UNROLL
	for (int part = 0; part < 8; part++)
		unpack_iq4(r, 8 + 16 * part, to->q + 8 * part * QW);
}

/* The d and m of eight parts, from the first 16 bytes of a block. */
INLINE void
scales_of_k45(struct rows *r, const struct qpanel *to)
{
	vu x[4], scale[2], least[2];
	vf d, m;

	take16(r, 0, x);
	d = low_half(x[0]);
	m = -high_half(x[0]);
	scale[0] = x[1] & 0x3f3f3f3f;
	least[0] = x[2] & 0x3f3f3f3f;
	scale[1] = nibbles(x[3]) | twos(x[1] >> 6) << 4;
	least[1] = nibbles(x[3] >> 4) | twos(x[2] >> 6) << 4;
	UNROLL
	for (int part = 0; part < 8; part++) {
		put_float(to->d, part, d * byte_of(scale[part / 4], part % 4));
		put_float(to->m, part, m * byte_of(least[part / 4], part % 4));
	}
}

INLINE void
unpack_q4_k(struct rows *r, const struct qpanel *to)
{
	UNROLL
	for (int two = 0; two < 4; two++) {
		uint32_t *q = to->q + 16 * two * QW;
		vu x[8];

		take32(r, 16 + 32 * two, x);
		UNROLL
		for (int k = 0; k < 8; k++) {
			put(q, k, nibbles(x[k]));
			put(q, 8 + k, nibbles(x[k] >> 4));
		}
	}
}

INLINE void
unpack_q5_k(struct rows *r, const struct qpanel *to)
{
	vu high[8];

	take32(r, 16, high);
	UNROLL
	for (int two = 0; two < 4; two++) {
		uint32_t *q = to->q + 16 * two * QW;
		vu x[8];

		take32(r, 48 + 32 * two, x);
		UNROLL
		for (int k = 0; k < 8; k++) {
			put(q, k, nibbles(x[k]) | ones(high[k] >> 2 * two) << 4);
			put(q, 8 + k, nibbles(x[k] >> 4) | ones(high[k] >> (2 * two + 1)) << 4);
		}
	}
}

INLINE void
scales_of_q6_k(struct rows *r, const struct qpanel *to)
{
	vf d = high_half(take4(r, 206));
	vu x[4];

	take16(r, 192, x);
	for (int i = 0; i < 4; i++)
		x[i] ^= 0x80808080;
	put_scales(to->d, d, x, 128);
}

INLINE void
unpack_q6_k(struct rows *r, const struct qpanel *to)
{
	UNROLL
	for (int half = 0; half < 2; half++) {
		uint32_t *q = to->q + 32 * half * QW;
		vu low[2][8], high[8];

		take32(r, 64 * half, low[0]);
		take32(r, 64 * half + 32, low[1]);
		take32(r, 128 + 32 * half, high);
		UNROLL
		for (int k = 0; k < 8; k++) {
			put(q, k, nibbles(low[0][k]) | twos(high[k]) << 4);
			put(q, 8 + k, nibbles(low[1][k]) | twos(high[k] >> 2) << 4);
			put(q, 16 + k, nibbles(low[0][k] >> 4) | twos(high[k] >> 4) << 4);
			put(q, 24 + k, nibbles(low[1][k] >> 4) | twos(high[k] >> 6) << 4);
		}
	}
}

/* Two bits of each of 256 elements in 64 bytes; a third in 32 bytes at high, or -1. */
INLINE void
unpack_twos(struct rows *r, int64_t at, int64_t high, uint32_t *to)
{
	vu third[8];

	if (high >= 0)
		take32(r, high, third);
	UNROLL
	for (int half = 0; half < 2; half++) {
		vu x[8];

		take32(r, at + 32 * half, x);
		UNROLL
		for (int part = 0; part < 4; part++)
			UNROLL
			for (int k = 0; k < 8; k++) {
				vu q = twos(x[k] >> 2 * part);

				if (high >= 0)
					q |= ones(third[k] >> (4 * half + part)) << 2;
				put(to, 32 * half + 8 * part + k, q);
			}
	}
}

INLINE void
scales_of_q2_k(struct rows *r, const struct qpanel *to)
{
	vu x[4], dm = take4(r, 80);
	vf m = -high_half(dm);

	take16(r, 0, x);
	UNROLL
	for (int part = 0; part < 16; part++)
		put_float(to->m, part, m * byte_of(nibbles(x[part / 4] >> 4), part % 4));
	for (int i = 0; i < 4; i++)
		x[i] = nibbles(x[i]);
	put_scales(to->d, low_half(dm), x, 0);
}

INLINE void
unpack_q2_k(struct rows *r, const struct qpanel *to)
{
	unpack_twos(r, 16, -1, to->q);
}

INLINE void
scales_of_q3_k(struct rows *r, const struct qpanel *to)
{
	vu x[4], s[3], scale[4];

	/* The last 14 of these are 12 of scales and d. */
	take16(r, 94, x);
	for (int i = 0; i < 3; i++)
		s[i] = x[i] >> 16 | x[i + 1] << 16;
	UNROLL
	for (int i = 0; i < 4; i++)
		scale[i] = nibbles(s[i % 2] >> i / 2 * 4) | twos(s[2] >> i * 2) << 4;
	put_scales(to->d, high_half(x[3]), scale, 32);
}

INLINE void
unpack_q3_k(struct rows *r, const struct qpanel *to)
{
	unpack_twos(r, 32, 0, to->q);
}

/* ---- all types ---- */

/* Name, elements and bytes of a block, how often 16 bytes are taken; scales; and its form. */
#define ALL_TYPES(f)							\
	f(Q4_0, q4_0, 32, 18, 1, d, 8, 4, 32, false)			\
	f(Q4_1, q4_1, 32, 20, 1, dm, 0, 4, 32, true)			\
	f(Q5_0, q5_0, 32, 22, 1, d, 16, 5, 32, false)			\
	f(Q5_1, q5_1, 32, 24, 1, dm, 0, 5, 32, true)			\
	f(Q8_0, q8_0, 32, 34, 2, d, QMIDDLE, 8, 32, false)		\
	f(Q2_K, q2_k, 256, 84, 5, q2_k, 0, 2, 16, true)			\
	f(Q3_K, q3_k, 256, 110, 7, q3_k, 4, 3, 16, false)		\
	f(Q4_K, q4_k, 256, 144, 9, k45, 0, 4, 32, true)			\
	f(Q5_K, q5_k, 256, 176, 11, k45, 0, 5, 32, true)		\
	f(Q6_K, q6_k, 256, 210, 13, q6_k, 32, 6, 16, false)		\
	f(IQ4_NL, iq4_nl, 32, 18, 1, d, QMIDDLE, 8, 32, false)		\
	f(IQ4_XS, iq4_xs, 256, 136, 8, iq4_xs, QMIDDLE, 8, 32, false)

INLINE void
next_scales(struct qpanel *to, int block, int part, bool least)
{
	to->d += block / part * QW;
	to->m += least ? block / part * QW : 0;
}

#define ROWS(type, name, block, bytes, takes, scales, zero, bits, part, least)	\
static void								\
rows_##name(const uint8_t *p, int64_t ld, int64_t k, struct qpanel to,	\
    struct qsoon *soon)							\
{									\
	struct rows r = rows_of(p, ld, soon);				\
									\
	r.lines = (bytes * VW + 64 * takes - 1) / (64 * takes);		\
	for (; k > 0; k -= block) {					\
		scales_of_##scales(&r, &to);				\
		unpack_##name(&r, &to);					\
		for (int i = 0; i < VW / 4; i++)			\
			r.four[i] += bytes;				\
		to.q += block / 4 * QW;					\
		next_scales(&to, block, part, least);			\
	}								\
	*soon = r.soon;							\
}
ALL_TYPES(ROWS)

#define SCALES(type, name, block, bytes, takes, scales, zero, bits, part, least)	\
static void								\
scales_##name(const uint8_t *p, int64_t ld, int64_t k, struct qpanel to)	\
{									\
	struct qsoon none = { .at = p, .end = p + 1 };			\
	struct rows r = rows_of(p, ld, &none);				\
									\
	for (; k > 0; k -= block) {					\
		scales_of_##scales(&r, &to);				\
		for (int i = 0; i < VW / 4; i++)			\
			r.four[i] += bytes;				\
		next_scales(&to, block, part, least);			\
	}								\
}
ALL_TYPES(SCALES)

struct qform
OF_ISA(qform)(dtype t)
{
#define FORM(type, name, block, bytes, takes, scales, zero, bits, part, least)	\
	[DTYPE_##type] = { zero, bits, part, part == 16 ? QT_16 : QT, least },
	static const struct qform form[DTYPE_COUNT] = { ALL_TYPES(FORM) };

	return form[t];
}

/* VW rows of k at p, or n < VW of them in pad, the others zeros. */
static const uint8_t *
whole_rows(const uint8_t *p, int64_t *ld, int64_t n, int64_t bytes, uint8_t *pad)
{
	if (n >= VW)
		return p;
	memset(pad, 0, (size_t)(VW * bytes));
	for (int64_t i = 0; i < n; i++)
		memcpy(pad + i * bytes, p + i * *ld, (size_t)bytes);
	*ld = bytes;
	return pad;
}

void
OF_ISA(qunpack)(dtype t, const uint8_t *p, int64_t ld, int64_t n, int64_t k,
    const struct qpanel *to, uint8_t *pad, struct qsoon *soon)
{
	typedef void rows_fn(const uint8_t *p, int64_t ld, int64_t k, struct qpanel to,
	    struct qsoon *soon);
#define NAME(type, name, block, bytes, takes, scales, zero, bits, part, least)	\
	[DTYPE_##type] = rows_##name,
	static rows_fn *const rows[DTYPE_COUNT] = { ALL_TYPES(NAME) };
	struct qpanel at = *to;

	for (int64_t i = 0; i < n; i += VW) {
		p = whole_rows(p, &ld, n - i, dtype_bytes(t, k), pad);
		rows[t](p, ld, k, at, soon);
		p += VW * ld;
		at.q += VW;
		at.d += VW;
		at.m += VW;
	}
}

void
OF_ISA(qscales)(dtype t, const uint8_t *p, int64_t ld, int64_t n, int64_t k,
    const struct qpanel *to, uint8_t *pad)
{
#define SCALES_NAME(type, name, block, bytes, takes, scales, zero, bits, part, least)	\
	[DTYPE_##type] = scales_##name,
	static void (*const scales[DTYPE_COUNT])(const uint8_t *p, int64_t ld, int64_t k,
	    struct qpanel to) = { ALL_TYPES(SCALES_NAME) };

	p = whole_rows(p, &ld, n, dtype_bytes(t, k), pad);
	scales[t](p, ld, k, *to);
}
