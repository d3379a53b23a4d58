/*
 * qrow256 - QS elements of a row in eight vectors of 32 bytes: private to qfew.c
 *
 * A vector has two sixteens.  Where a part is 32 elements, its halves are in the same
 * lane of vectors 2 i and 2 i + 1.  Bytes are multiplied by pairs into 16 bits, which
 * have room for the sum of two more such (qpanel.h): so products become words late.
 */
#ifndef DEV_SIMD_QROW256_H
#define DEV_SIMD_QROW256_H

#include "dev/cpu/simd/qpanel.h"

enum {
	VECTORS = 8,
	AT_ONCE = 1,	/* rows whose sums of parts of 32 are one vector */
	OF_16 = 2,	/* vectors of sums of parts of 16 of a row */
};

/* ---- bytes ---- */

/*
 * Parts that share vectors: those of neighbouring blocks, or of the low and the high
 * halves of the same bytes; or elements lie as they come.
 */
enum form { FOURS, K45, PLAIN, TWOS = PLAIN };

/* Where the n-th 16 of QS elements are, of the sixteens of all vectors. */
INLINE int
place_of(enum form f, int n)
{
	switch (f) {
	case FOURS:	return n / 4 * 4 + n % 2 * 2 + n / 2 % 2;
	case K45:	return n / 8 * 8 + n / 2 % 2 * 4 + n % 2 * 2 + n / 4 % 2;
	default:	return n;
	}
}

/* The turned vector of sums that its part has: see sum_lanes(). */
INLINE int
sum_of(enum form f, int part, int n)
{
	int place = place_of(f, n), lane = place % 2, vector = place / 2;

	return part == 32 ? vector / 2 + 4 * lane : vector / 4 * 8 + vector % 4 + 4 * lane;
}

/* Two times 16 bytes, step apart. */
INLINE vu
load16s(const uint8_t *p, int64_t step)
{
	return (vu)_mm256_inserti128_si256(_mm256_castsi128_si256(
	    _mm_loadu_si128((const void *)p)), _mm_loadu_si128((const void *)(p + step)), 1);
}

INLINE void
bytes_of_fours(const uint8_t *p, int64_t step, vu v[VECTORS])
{
	UNROLL
	for (int i = 0; i < 4; i++) {
		vu x = load16s(p + 2 * i * step, step);

		v[2 * i] = x & 0x0f0f0f0f;
		v[2 * i + 1] = x >> 4 & 0x0f0f0f0f;
	}
}

/* 16 for each of the 16 bits of a lane's two bytes at 2 i that is set. */
INLINE vu
fifth_bits(vu x, int i)
{
	const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
	int64_t low = 0x0202020202020202 * i, high = low + 0x0101010101010101;
	__m256i of = _mm256_set_epi64x(high, low, high, low);
	__m256i y = _mm256_and_si256(_mm256_shuffle_epi8((__m256i)x, of), bit);

	return (vu)_mm256_cmpeq_epi8(y, bit) & 0x10101010;
}

INLINE void
bytes_of_fives(const uint8_t *p, const uint8_t *high, int64_t step, vu v[VECTORS])
{
	bytes_of_fours(p, step, v);
	UNROLL
	for (int i = 0; i < 4; i++) {
		uint32_t a, b;
		vu x;

		memcpy(&a, high + 2 * i * step, sizeof(a));
		memcpy(&b, high + (2 * i + 1) * step, sizeof(b));
		x = (vu){ a, a, a, a, b, b, b, b };
		v[2 * i] |= fifth_bits(x, 0);
		v[2 * i + 1] |= fifth_bits(x, 1);
	}
}

INLINE void
bytes_q8_0(const uint8_t *p, vu v[VECTORS])
{
	UNROLL
	for (int i = 0; i < VECTORS; i++)
		v[i] = load16s(p + 2 + i / 2 * 68 + i % 2 * 16, 34);
}

INLINE void
bytes_q4_k(const uint8_t *p, vu v[VECTORS])
{
	UNROLL
	for (int i = 0; i < 4; i++) {
		vu x = load16s(p + 16 + i / 2 * 64 + i % 2 * 16, 32);
		int at = i / 2 * 4 + i % 2;

		v[at] = x & 0x0f0f0f0f;
		v[at + 2] = x >> 4 & 0x0f0f0f0f;
	}
}

INLINE void
bytes_q5_k(const uint8_t *p, vu v[VECTORS])
{
	bytes_q4_k(p + 32, v);
	UNROLL
	for (int i = 0; i < 4; i++) {
		uint32_t bit = (uint32_t)i / 2 * 4;
		vu high = load16s(p + 16 + i % 2 * 16, 0);
		int at = i / 2 * 4 + i % 2;

		high = high >> (vu){ bit, bit, bit, bit, bit + 2, bit + 2, bit + 2, bit + 2 };
		v[at] |= (high & 0x01010101) << 4;
		v[at + 2] |= (high & 0x02020202) << 3;
	}
}

INLINE void
bytes_q6_k(const uint8_t *p, vu v[VECTORS])
{
	UNROLL
	for (int i = 0; i < VECTORS; i++) {
		vu low = load_bytes(p + i / 4 * 64 + i % 2 * 32);
		vu high = load_bytes(p + 128 + i / 4 * 32);

		v[i] = (low >> i % 4 / 2 * 4 & 0x0f0f0f0f) |
		    (high >> 2 * (i % 4) & 0x03030303) << 4;
	}
}

INLINE void
bytes_q2_k(const uint8_t *p, vu v[VECTORS])
{
	UNROLL
	for (int i = 0; i < VECTORS; i++)
		v[i] = load_bytes(p + 16 + i / 4 * 32) >> 2 * (i % 4) & 0x03030303;
}

INLINE void
bytes_q3_k(const uint8_t *p, vu v[VECTORS])
{
	vu high = load_bytes(p);

	UNROLL
	for (int i = 0; i < VECTORS; i++)
		v[i] = (load_bytes(p + 32 + i / 4 * 32) >> 2 * (i % 4) & 0x03030303) |
		    (high >> i & 0x01010101) << 2;
}

/* ---- what blocks of 32 begin with: d, and where there are least values m ---- */

/*
 * Of one of VW rows, its blocks side by side: d as floats, or words of both.  Each is loaded
 * to its place, from before it, and what is beside it dropped.
 */
INLINE void
take_heads(const uint8_t *p, int block, bool least, int row, uint32_t heads[VW][QS / 32])
{
#define TAKE_HALF(b) x = _mm_blend_epi16(x,						\
	_mm_loadu_si128((const void *)(p + (b) * (block - 2))), 1 << (b));
#define TAKE_WORD(b) y = _mm256_blend_epi32(y,						\
	_mm256_loadu_si256((const void *)(p + (b) * (block - 4))), 1 << (b));
#define TAKE_REST(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7)
	if (least) {
		__m256i y = _mm256_loadu_si256((const void *)p);

		TAKE_REST(TAKE_WORD)
		_mm256_store_si256((void *)heads[row], y);
	} else {
		__m128i x = _mm_loadu_si128((const void *)p);

		TAKE_REST(TAKE_HALF)
		_mm256_store_ps((void *)heads[row], _mm256_cvtph_ps(x));
	}
}

INLINE void
scales_of_heads(uint32_t heads[VW][QS / 32], bool least, float *d, float *m)
{
	vf x[VW];

	UNROLL
	for (int i = 0; i < VW; i++)
		x[i] = (vf)load_bytes(heads[i]);
	turn(x);
	UNROLL
	for (int b = 0; b < QS / 32; b++) {
		vstore(d + b * QW, least ? low_half((vu)x[b]) : x[b]);
		if (least)
			vstore(m + b * QW, high_half((vu)x[b]));
	}
}

/* ---- sums of one row ---- */

#define UNPACK(how, a, b) _mm256_unpack##how((__m256i)(a), (__m256i)(b))

/* Word 4 l + j of the result is the sum of lane l, four words, of x[j]. */
INLINE vi
sum_words(const vi x[4])
{
	vi a = (vi)UNPACK(lo_epi32, x[0], x[1]) + (vi)UNPACK(hi_epi32, x[0], x[1]);
	vi b = (vi)UNPACK(lo_epi32, x[2], x[3]) + (vi)UNPACK(hi_epi32, x[2], x[3]);

	return (vi)UNPACK(lo_epi64, a, b) + (vi)UNPACK(hi_epi64, a, b);
}

/* The same of lanes of eight halves. */
INLINE vi
sum_halves(const qhalves x[4])
{
	qhalves a = (qhalves)UNPACK(lo_epi32, x[0], x[1]) + (qhalves)UNPACK(hi_epi32, x[0], x[1]);
	qhalves b = (qhalves)UNPACK(lo_epi32, x[2], x[3]) + (qhalves)UNPACK(hi_epi32, x[2], x[3]);
	vi c = halves_sum(a), d = halves_sum(b);

	return (vi)UNPACK(lo_epi64, c, d) + (vi)UNPACK(hi_epi64, c, d);
}
#undef UNPACK

/* QS elements of a row of w times n rows of a, `words' vectors apart. */
INLINE void
dots_of_32(bool wide, vu w[AT_ONCE][VECTORS], const vu *a, int64_t words, int64_t n, vi *sums)
{
	for (int64_t i = 0; i < n; i++, a += words, sums += QSUMS) {
		qhalves x[4];
		vi y[4];

		UNROLL
		for (int j = 0; j < 4; j++) {
			qhalves first = bytes_multiply(wide, w[0][2 * j], a[2 * j]);
			qhalves second = bytes_multiply(wide, w[0][2 * j + 1], a[2 * j + 1]);

			if (wide)
				y[j] = halves_sum(first) + halves_sum(second);
			else
				x[j] = first + second;
		}
		sums[0] = wide ? sum_words(y) : sum_halves(x);
	}
}

/* Of parts of 16: two vectors. */
INLINE void
dots_of_16(vu w[AT_ONCE][VECTORS], const vu *a, int64_t words, int64_t n, vi *sums)
{
	for (int64_t i = 0; i < n; i++, a += words, sums += QSUMS)
		UNROLL
		for (int k = 0; k < 2; k++) {
			qhalves x[4];

			UNROLL
			for (int j = 0; j < 4; j++)
				x[j] = bytes_multiply(false, w[0][4 * k + j], a[4 * k + j]);
			sums[k] = sum_halves(x);
		}
}

/* ---- turning ---- */

/* Vectors of a row each, step apart. */
INLINE void
turn_rows(const vi *from, int step, vf to[VW])
{
	UNROLL
	for (int i = 0; i < VW; i++)
		to[i] = (vf)from[i * step];
	turn(to);
}

INLINE void
turn_of_32(const vi from[QSUMS], vf to[QSUMS])
{
	turn_rows(from, 1, to);
}

INLINE void
turn_of_16(const vi from[QSUMS], vf to[QSUMS])
{
	turn_rows(from, 2, to);
	turn_rows(from + 1, 2, to + VW);
}

#endif
