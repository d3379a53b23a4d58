/*
 * Unpacking of quantized rows, VW of them at a time: 16 bytes of each are
 * turned, so that a lane is a row and a word has four neighbouring elements.
 * All else is arithmetic of words.  base/quant.c tells the layouts.
 */
#include "dev/cpu/simd/qpanel.h"

#ifdef __SSSE3__
#include <tmmintrin.h>
#endif

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

/* 16 bytes of each fourth row. */
INLINE vu
fourth_rows(const uint8_t *p, int64_t ld)
{
#if VW == 16
	__m512i x = _mm512_castsi128_si512(_mm_loadu_si128((const void *)p));

	x = _mm512_inserti32x4(x, _mm_loadu_si128((const void *)(p + 4 * ld)), 1);
	x = _mm512_inserti32x4(x, _mm_loadu_si128((const void *)(p + 8 * ld)), 2);
	return (vu)_mm512_inserti32x4(x, _mm_loadu_si128((const void *)(p + 12 * ld)), 3);
#elif VW == 8
	__m256i x = _mm256_castsi128_si256(_mm_loadu_si128((const void *)p));

	return (vu)_mm256_inserti128_si256(x, _mm_loadu_si128((const void *)(p + 4 * ld)), 1);
#else
	vu x;

	(void)ld;
	memcpy(&x, p, sizeof(x));
	return x;
#endif
}

/* x[k] = the k-th word of 16 bytes of each row */
INLINE void
take16(const uint8_t *p, int64_t ld, vu x[4])
{
	vu a = fourth_rows(p, ld), b = fourth_rows(p + ld, ld);
	vu c = fourth_rows(p + 2 * ld, ld), d = fourth_rows(p + 3 * ld, ld);
	vu ab = __builtin_shufflevector(a, b, EACH_LANE(LOW));
	vu cd = __builtin_shufflevector(c, d, EACH_LANE(LOW));

	x[0] = __builtin_shufflevector(ab, cd, EACH_LANE(LOW_PAIR));
	x[1] = __builtin_shufflevector(ab, cd, EACH_LANE(HIGH_PAIR));
	ab = __builtin_shufflevector(a, b, EACH_LANE(HIGH));
	cd = __builtin_shufflevector(c, d, EACH_LANE(HIGH));
	x[2] = __builtin_shufflevector(ab, cd, EACH_LANE(LOW_PAIR));
	x[3] = __builtin_shufflevector(ab, cd, EACH_LANE(HIGH_PAIR));
}

INLINE void
take32(const uint8_t *p, int64_t ld, vu x[8])
{
	take16(p, ld, x);
	take16(p + 16, ld, x + 4);
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
take4(const uint8_t *p, int64_t ld)
{
#define ROW(i) word(p + (i) * ld)
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

INLINE vf
signed_byte_of(vu x, int i)
{
	return __builtin_convertvector((vi)(x << (24 - 8 * i)) >> 24, vf);
}

/* fp16 in the low half of each lane, or the high one. */
INLINE vf
low_half(vu x)
{
	return f16_widen(__builtin_convertvector(x & 0xffff, vh));
}

INLINE vf
high_half(vu x)
{
	return f16_widen(__builtin_convertvector(x >> 16, vh));
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

/* ---- types ---- */

/* Elements of 16 bytes: the low halves of all, then the high ones. */
INLINE void
unpack_fours(const uint8_t *p, int64_t ld, uint32_t *q)
{
	vu x[4];

	take16(p, ld, x);
	UNROLL
	for (int k = 0; k < 4; k++) {
		put(q, k, nibbles(x[k]));
		put(q, 4 + k, nibbles(x[k] >> 4));
	}
}

INLINE void
unpack_fives(const uint8_t *p, int64_t ld, vu high, uint32_t *q)
{
	vu x[4];

	take16(p, ld, x);
	UNROLL
	for (int k = 0; k < 4; k++) {
		put(q, k, nibbles(x[k]) | fifths(high >> 4 * k));
		put(q, 4 + k, nibbles(x[k] >> 4) | fifths(high >> (4 * k + 16)));
	}
}

INLINE void
unpack_q4_0(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	put_float(to->d, 0, low_half(take4(p, ld)));
	unpack_fours(p + 2, ld, to->q);
}

INLINE void
unpack_q4_1(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	vu dm = take4(p, ld);

	put_float(to->d, 0, low_half(dm));
	put_float(to->m, 0, high_half(dm));
	unpack_fours(p + 4, ld, to->q);
}

INLINE void
unpack_q5_0(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	put_float(to->d, 0, low_half(take4(p, ld)));
	unpack_fives(p + 6, ld, take4(p + 2, ld), to->q);
}

INLINE void
unpack_q5_1(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	vu dm = take4(p, ld);

	put_float(to->d, 0, low_half(dm));
	put_float(to->m, 0, high_half(dm));
	unpack_fives(p + 8, ld, take4(p + 4, ld), to->q);
}

INLINE void
unpack_q8_0(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	vu x[8];

	put_float(to->d, 0, low_half(take4(p, ld)));
	take32(p + 2, ld, x);
	UNROLL
	for (int k = 0; k < 8; k++)
		put(to->q, k, x[k] ^ 0x80808080);
}

/* The 16 values of IQ4, plus 128. */
static const uint8_t iq4_value[16] = {
	1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241
};

/* The value of each byte of x, 0 to 15. */
INLINE vu
iq4_values(vu x)
{
#if VW == 16
	return (vu)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(
	    _mm_loadu_si128((const void *)iq4_value)), (__m512i)x);
#elif VW == 8
	return (vu)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(
	    _mm_loadu_si128((const void *)iq4_value)), (__m256i)x);
#elif defined(__SSSE3__)
	return (vu)_mm_shuffle_epi8(_mm_loadu_si128((const void *)iq4_value), (__m128i)x);
#elif defined(__ARM_NEON)
	return (vu)vqtbl1q_u8(vld1q_u8(iq4_value), (uint8x16_t)x);
#else
	uint8_t b[4 * VW];

	memcpy(b, &x, sizeof(b));
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = iq4_value[b[i]];
	memcpy(&x, b, sizeof(b));
	return x;
#endif
}

INLINE void
unpack_iq4(const uint8_t *p, int64_t ld, uint32_t *q)
{
	vu x[4];

	take16(p, ld, x);
	UNROLL
	for (int k = 0; k < 4; k++) {
		put(q, k, iq4_values(nibbles(x[k])));
		put(q, 4 + k, iq4_values(nibbles(x[k] >> 4)));
	}
}

INLINE void
unpack_iq4_nl(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	put_float(to->d, 0, low_half(take4(p, ld)));
	unpack_iq4(p + 2, ld, to->q);
}

INLINE void
unpack_iq4_xs(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	vu head = take4(p, ld), low = take4(p + 4, ld);
	vf d = low_half(head);

	UNROLL
	for (int part = 0; part < 8; part++) {
		vu scale = (low >> 4 * part & 15) | (head >> (16 + 2 * part) & 3) << 4;

		put_float(to->d, part, d * (byte_of(scale, 0) - 32));
		unpack_iq4(p + 8 + 16 * part, ld, to->q + 8 * part * QW);
	}
}

/* The d and m of eight parts, from the first 16 bytes of a block. */
INLINE void
scales_of_k45(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	vu x[4], scale[2], least[2];
	vf d, m;

	take16(p, ld, x);
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
unpack_q4_k(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	scales_of_k45(p, ld, to);
	UNROLL
	for (int two = 0; two < 4; two++) {
		uint32_t *q = to->q + 16 * two * QW;
		vu x[8];

		take32(p + 16 + 32 * two, ld, x);
		UNROLL
		for (int k = 0; k < 8; k++) {
			put(q, k, nibbles(x[k]));
			put(q, 8 + k, nibbles(x[k] >> 4));
		}
	}
}

INLINE void
unpack_q5_k(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	vu high[8];

	scales_of_k45(p, ld, to);
	take32(p + 16, ld, high);
	UNROLL
	for (int two = 0; two < 4; two++) {
		uint32_t *q = to->q + 16 * two * QW;
		vu x[8];

		take32(p + 48 + 32 * two, ld, x);
		UNROLL
		for (int k = 0; k < 8; k++) {
			put(q, k, nibbles(x[k]) | ones(high[k] >> 2 * two) << 4);
			put(q, 8 + k, nibbles(x[k] >> 4) | ones(high[k] >> (2 * two + 1)) << 4);
		}
	}
}

INLINE void
unpack_q6_k(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	vu scale[4];
	vf d = low_half(take4(p + 206, ld) >> 16);

	take16(p + 192, ld, scale);
	UNROLL
	for (int part = 0; part < 16; part++)
		put_float(to->d, part, d * signed_byte_of(scale[part / 4], part % 4));
	UNROLL
	for (int half = 0; half < 2; half++) {
		uint32_t *q = to->q + 32 * half * QW;
		vu low[2][8], high[8];

		take32(p + 64 * half, ld, low[0]);
		take32(p + 64 * half + 32, ld, low[1]);
		take32(p + 128 + 32 * half, ld, high);
		UNROLL
		for (int k = 0; k < 8; k++) {
			put(q, k, nibbles(low[0][k]) | twos(high[k]) << 4);
			put(q, 8 + k, nibbles(low[1][k]) | twos(high[k] >> 2) << 4);
			put(q, 16 + k, nibbles(low[0][k] >> 4) | twos(high[k] >> 4) << 4);
			put(q, 24 + k, nibbles(low[1][k] >> 4) | twos(high[k] >> 6) << 4);
		}
	}
}

/* Two bits of each of 256 elements in 64 bytes; a third in 32 bytes at high, or NULL. */
INLINE void
unpack_twos(const uint8_t *p, const uint8_t *high, int64_t ld, uint32_t *to)
{
	vu third[8];

	if (high != NULL)
		take32(high, ld, third);
	UNROLL
	for (int half = 0; half < 2; half++) {
		vu x[8];

		take32(p + 32 * half, ld, x);
		UNROLL
		for (int part = 0; part < 4; part++)
			UNROLL
			for (int k = 0; k < 8; k++) {
				vu q = twos(x[k] >> 2 * part);

				if (high != NULL)
					q |= ones(third[k] >> (4 * half + part)) << 2;
				put(to, 32 * half + 8 * part + k, q);
			}
	}
}

INLINE void
unpack_q2_k(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	vu scale[4], dm = take4(p + 80, ld);
	vf d = low_half(dm), m = -high_half(dm);

	take16(p, ld, scale);
	UNROLL
	for (int part = 0; part < 16; part++) {
		put_float(to->d, part, d * byte_of(nibbles(scale[part / 4]), part % 4));
		put_float(to->m, part, m * byte_of(nibbles(scale[part / 4] >> 4), part % 4));
	}
	unpack_twos(p + 16, NULL, ld, to->q);
}

INLINE void
unpack_q3_k(const uint8_t *p, int64_t ld, const struct qpanel *to)
{
	vu x[4], s[3];
	vf d;

	/* The last 14 of these are 12 of scales and d. */
	take16(p + 94, ld, x);
	d = high_half(x[3]);
	for (int i = 0; i < 3; i++)
		s[i] = x[i] >> 16 | x[i + 1] << 16;
	UNROLL
	for (int part = 0; part < 16; part++) {
		vu scale = nibbles(s[part / 4 % 2] >> part / 8 * 4) |
		    twos(s[2] >> part / 4 * 2) << 4;

		put_float(to->d, part, d * (byte_of(scale, part % 4) - 32));
	}
	unpack_twos(p + 32, p, ld, to->q);
}

/* ---- all types ---- */

/* k elements of VW rows */
struct some_rows {
	const uint8_t	*p, *ahead;
	int64_t		 ld, k, fetch;	/* fetch: bytes of ahead for a block */
	struct qpanel	 to;
};

#define ALL_TYPES(f)							\
	f(Q4_0, q4_0, 32, 18, 8, 32, false)				\
	f(Q4_1, q4_1, 32, 20, 0, 32, true)				\
	f(Q5_0, q5_0, 32, 22, 16, 32, false)				\
	f(Q5_1, q5_1, 32, 24, 0, 32, true)				\
	f(Q8_0, q8_0, 32, 34, 128, 32, false)				\
	f(Q2_K, q2_k, 256, 84, 0, 16, true)				\
	f(Q3_K, q3_k, 256, 110, 4, 16, false)				\
	f(Q4_K, q4_k, 256, 144, 0, 32, true)				\
	f(Q5_K, q5_k, 256, 176, 0, 32, true)				\
	f(Q6_K, q6_k, 256, 210, 32, 16, false)				\
	f(IQ4_NL, iq4_nl, 32, 18, 128, 32, false)			\
	f(IQ4_XS, iq4_xs, 256, 136, 128, 32, false)

#define ROWS(type, name, block, bytes, zero, part, least)		\
static void								\
rows_##name(const struct some_rows *r)					\
{									\
	struct qpanel to = r->to;					\
	const uint8_t *p = r->p, *ahead = r->ahead;			\
									\
	for (int64_t k = 0; k < r->k; k += block) {			\
		for (int64_t i = 0; i < r->fetch; i += 64)		\
			__builtin_prefetch(ahead + i, 0, 2);		\
		unpack_##name(p, r->ld, &to);				\
		p += bytes;						\
		ahead += r->fetch;					\
		to.q += block / 4 * QW;					\
		to.d += block / part * QW;				\
		to.m += least ? block / part * QW : 0;			\
	}								\
}
ALL_TYPES(ROWS)

struct qform
OF_ISA(qform)(dtype t)
{
#define FORM(type, name, block, bytes, zero, part, least)		\
	[DTYPE_##type] = { zero, part, least },
	static const struct qform form[DTYPE_COUNT] = { ALL_TYPES(FORM) };

	return form[t];
}

void
OF_ISA(qunpack)(dtype t, const uint8_t *p, int64_t ld, int64_t n, int64_t k,
    const struct qpanel *to, uint8_t *pad, const uint8_t *ahead)
{
#define NAME(type, name, block, bytes, zero, part, least)		\
	[DTYPE_##type] = rows_##name,
	static void (*const rows[DTYPE_COUNT])(const struct some_rows *) = { ALL_TYPES(NAME) };
	int64_t bytes = dtype_bytes(t, k);
	struct some_rows r = { p, ahead, ld, k, VW * dtype_bytes(t, dtype_block(t)), *to };

	for (int64_t i = 0; i < n; i += VW) {
		if (n - i < VW) {
			/* A whole group of rows, of which some are zeros. */
			memset(pad, 0, (size_t)(VW * bytes));
			for (int64_t j = 0; j < n - i; j++)
				memcpy(pad + j * bytes, r.p + j * ld, (size_t)bytes);
			r.p = pad;
			r.ld = bytes;
		}
		rows[t](&r);
		r.p += VW * ld;
		r.ahead += VW * bytes;
		r.to.q += VW;
		r.to.d += VW;
		r.to.m += VW;
	}
}
