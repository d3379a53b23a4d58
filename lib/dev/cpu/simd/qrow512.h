/*
 * qrow512 - QS elements of a row in four vectors of 64 bytes: private to qfew.c
 *
 * A part's sum is of words, by an instruction that multiplies bytes four at a time.
 */
#ifndef DEV_SIMD_QROW512_H
#define DEV_SIMD_QROW512_H

#include "dev/cpu/simd/qpanel.h"

enum {
	VECTORS = 4,
	AT_ONCE = 2,	/* rows whose sums of parts of 32 are one vector */
	OF_16 = 1,	/* vectors of sums of parts of 16 of a row */
};

/* ---- bytes ---- */

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

/* That, of the sixteens of all vectors. */
INLINE int
place_of(enum form f, int n)
{
	int lane = lane_of(f, n);

	return lane % 4 * 4 + lane / 4;
}

/* The turned vector of sums that its part has. */
INLINE int
sum_of(enum form f, int part, int n)
{
	return lane_of(f, n) / (part / 16);
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
bytes_of_fours(const uint8_t *p, int64_t step, vu v[VECTORS])
{
	UNROLL
	for (int i = 0; i < 2; i++) {
		vu x = load16s(p + 4 * i * step, step);

		v[2 * i] = x & 0x0f0f0f0f;
		v[2 * i + 1] = x >> 4 & 0x0f0f0f0f;
	}
}

INLINE void
bytes_of_fives(const uint8_t *p, const uint8_t *high, int64_t step, vu v[VECTORS])
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

/* Two blocks of Q8_0. */
INLINE vu
load_q8_0(const uint8_t *p)
{
	__m256i a = _mm256_loadu_si256((const void *)(p + 2));
	__m256i b = _mm256_loadu_si256((const void *)(p + 36));

	return (vu)_mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1) ^ 0x80808080;
}

INLINE void
bytes_q8_0(const uint8_t *p, vu v[VECTORS])
{
	UNROLL
	for (int i = 0; i < 2; i++, p += 4 * 34) {
		vu a = load_q8_0(p), b = load_q8_0(p + 2 * 34);

		v[2 * i] = even_lanes(a, b);
		v[2 * i + 1] = odd_lanes(a, b);
	}
}

INLINE void
bytes_q4_k(const uint8_t *p, vu v[VECTORS])
{
	vu a = load_bytes(p + 16), b = load_bytes(p + 80);
	vu x[2] = { even_lanes(a, b), odd_lanes(a, b) };

	UNROLL
	for (int i = 0; i < 2; i++) {
		v[i] = x[i] & 0x0f0f0f0f;
		v[2 + i] = x[i] >> 4 & 0x0f0f0f0f;
	}
}

INLINE void
bytes_q5_k(const uint8_t *p, vu v[VECTORS])
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
bytes_q6_k(const uint8_t *p, vu v[VECTORS])
{
	UNROLL
	for (int i = 0; i < 2; i++) {
		vu x = load_bytes(p + 64 * i), high = load32_twice(p + 128 + 32 * i);

		v[2 * i] = (x & 0x0f0f0f0f) | (shift_halves(high, 0, 2) & 0x03030303) << 4;
		v[2 * i + 1] = (x >> 4 & 0x0f0f0f0f) |
		    (shift_halves(high, 4, 6) & 0x03030303) << 4;
	}
}

INLINE void
bytes_q2_k(const uint8_t *p, vu v[VECTORS])
{
	vu x = load_bytes(p + 16);

	UNROLL
	for (int i = 0; i < 4; i++)
		v[i] = x >> 2 * i & 0x03030303;
}

INLINE void
bytes_q3_k(const uint8_t *p, vu v[VECTORS])
{
	vu x = load_bytes(p + 32), high = load32_twice(p);

	UNROLL
	for (int i = 0; i < 4; i++)
		v[i] = (x >> 2 * i & 0x03030303) |
		    (shift_halves(high, i, 4 + i) & 0x01010101) << 2;
}

/* ---- what blocks of 32 begin with: d, and where there are least values m ---- */

/* Of one of VW rows: a word of each of its blocks. */
INLINE void
take_heads(const uint8_t *p, int block, bool least, int row, uint32_t heads[QS / 32][VW])
{
	(void)least;
	for (int b = 0; b < QS / 32; b++)
		memcpy(&heads[b][row], p + b * block, 4);
}

INLINE void
scales_of_heads(uint32_t heads[QS / 32][VW], bool least, float *d, float *m)
{
	UNROLL
	for (int b = 0; b < QS / 32; b++) {
		vu x = load_bytes(heads[b]);

		vstore(d + b * QW, low_half(x));
		if (least)
			vstore(m + b * QW, high_half(x));
	}
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
dots_of_32(bool wide, vu w[AT_ONCE][VECTORS], const vu *a, int64_t words, int64_t n, vi *sums)
{
	(void)wide;
	for (int64_t i = 0; i < n; i++, a += words, sums += QSUMS) {
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
dots_of_16(vu w[AT_ONCE][VECTORS], const vu *a, int64_t words, int64_t n, vi *sums)
{
	for (int64_t i = 0; i < n; i++, a += words, sums += QSUMS)
		UNROLL
		for (int k = 0; k < 2; k++) {
			vi x[4] = { { 0 } };

			UNROLL
			for (int j = 0; j < 4; j++)
				x[j] = dot(x[j], w[k][j], a[j]);
			sums[k] = sum_units(x);
		}
}

/* ---- turning ---- */

/*
 * Eight vectors of two rows, whose n-th two words are neighbours, turned: word i
 * of the n-th is row i.
 */
INLINE void
turn_of_32(const vi from[QSUMS], vf to[QSUMS])
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
turn_of_16(const vi from[QSUMS], vf to[QSUMS])
{
	UNROLL
	for (int i = 0; i < VW; i++)
		to[i] = (vf)from[i];
	turn(to);
}

#endif
