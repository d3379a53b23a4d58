/*
 * quant_block - what the bytes of a block mean, for processors and GPUs
 *
 * An element is d (q - zero) + m: q is an integer of 0 to 255, and d and m are
 * those of its part of the block.  quant_word_TYPE() has the q of elements 4 i
 * to 4 i + 3, the first in the lowest byte, and quant_scale_TYPE() d and m of
 * a part.  Blocks are aligned as their sizes are, to 2 bytes or to 4.
 */
#ifndef BASE_QUANT_BLOCK_H
#define BASE_QUANT_BLOCK_H

#include "base/quant_bytes.h"

/* Name, elements and bytes of a block; elements of a part, zero, and is there an m? */
#define QUANT_BLOCKS(X)								\
	X(Q4_0, q4_0, 32, 18, 32, 8, false)					\
	X(Q4_1, q4_1, 32, 20, 32, 0, true)					\
	X(Q5_0, q5_0, 32, 22, 32, 16, false)					\
	X(Q5_1, q5_1, 32, 24, 32, 0, true)					\
	X(Q8_0, q8_0, 32, 34, 32, 128, false)					\
	X(Q2_K, q2_k, 256, 84, 16, 0, true)					\
	X(Q3_K, q3_k, 256, 110, 16, 4, false)					\
	X(Q4_K, q4_k, 256, 144, 32, 0, true)					\
	X(Q5_K, q5_k, 256, 176, 32, 0, true)					\
	X(Q6_K, q6_k, 256, 210, 16, 32, false)					\
	X(IQ4_NL, iq4_nl, 32, 18, 32, 128, false)				\
	X(IQ4_XS, iq4_xs, 256, 136, 32, 128, false)

struct quant_scale {
	float	d, m;
};

/* ---- blocks of 32: elements 0 to 15 are low halves, the others high ones ---- */

ALIKE uint32_t
quant_word_q4_0(const uint8_t *x, int i)
{
	return quant_nibbles(quant_load2(x + 2 + i % 4 * 4) >> i / 4 * 4);
}

ALIKE uint32_t
quant_word_q4_1(const uint8_t *x, int i)
{
	return quant_nibbles(quant_load4(x + 4 + i % 4 * 4) >> i / 4 * 4);
}

ALIKE uint32_t
quant_word_q5_0(const uint8_t *x, int i)
{
	return quant_nibbles(quant_load2(x + 6 + i % 4 * 4) >> i / 4 * 4) |
	    quant_fifths(quant_load2(x + 2) >> 4 * i);
}

ALIKE uint32_t
quant_word_q5_1(const uint8_t *x, int i)
{
	return quant_nibbles(quant_load4(x + 8 + i % 4 * 4) >> i / 4 * 4) |
	    quant_fifths(quant_load4(x + 4) >> 4 * i);
}

ALIKE uint32_t
quant_word_q8_0(const uint8_t *x, int i)
{
	return quant_load2(x + 2 + 4 * i) ^ 0x80808080;
}

ALIKE uint32_t
quant_word_iq4_nl(const uint8_t *x, int i)
{
	return quant_iq4(quant_word_q4_0(x, i));
}

/* d alone, or d and m, at the beginning. */
ALIKE struct quant_scale
quant_scale_q4_0(const uint8_t *x, int part)
{
	struct quant_scale s = { quant_half(x), 0 };

	(void)part;
	return s;
}

ALIKE struct quant_scale
quant_scale_q4_1(const uint8_t *x, int part)
{
	struct quant_scale s = { quant_half(x), quant_half(x + 2) };

	(void)part;
	return s;
}

#define quant_scale_q5_0 quant_scale_q4_0
#define quant_scale_q5_1 quant_scale_q4_1
#define quant_scale_q8_0 quant_scale_q4_0
#define quant_scale_iq4_nl quant_scale_q4_0

/* ---- blocks of 256 ---- */

/* Two bits of each element in 64 bytes: those of elements 32 apart side by side. */
ALIKE uint32_t
quant_two_bits(uint32_t bytes, int i)
{
	return quant_twos(bytes >> i % 32 / 8 * 2);
}

/* Bytes: 16 of scales (d low, m high), 64 of q, d, m. */
ALIKE uint32_t
quant_word_q2_k(const uint8_t *x, int i)
{
	return quant_two_bits(quant_load4(x + 16 + i / 32 * 32 + i % 8 * 4), i);
}

ALIKE struct quant_scale
quant_scale_q2_k(const uint8_t *x, int part)
{
	struct quant_scale s = { quant_half(x + 80) * (float)(x[part] & 15),
		-(quant_half(x + 82) * (float)(x[part] >> 4)) };

	return s;
}

/* Bytes: 32 of highest bits, 64 of q, 12 of scales (16 of 6 bits), d. */
ALIKE uint32_t
quant_word_q3_k(const uint8_t *x, int i)
{
	return quant_two_bits(quant_load2(x + 32 + i / 32 * 32 + i % 8 * 4), i) |
	    quant_ones(quant_load2(x + i % 8 * 4) >> i / 8) << 2;
}

ALIKE struct quant_scale
quant_scale_q3_k(const uint8_t *x, int part)
{
	const uint8_t *p = x + 96;
	int low = p[part % 8] >> part / 8 * 4 & 15, high = p[8 + part % 4] >> part / 4 * 2 & 3;
	struct quant_scale s = { quant_half(x + 108) * (float)((low | high << 4) - 32), 0 };

	return s;
}

/* Four bits of each element in 128 bytes: those of elements 32 apart in one. */
ALIKE uint32_t
quant_word_q4_k(const uint8_t *x, int i)
{
	return quant_nibbles(quant_load4(x + 16 + i / 16 * 32 + i % 8 * 4) >> i / 8 % 2 * 4);
}

/* A fifth bit of each before that. */
ALIKE uint32_t
quant_word_q5_k(const uint8_t *x, int i)
{
	return quant_nibbles(quant_load4(x + 48 + i / 16 * 32 + i % 8 * 4) >> i / 8 % 2 * 4) |
	    quant_ones(quant_load4(x + 16 + i % 8 * 4) >> i / 8) << 4;
}

/* d, m, and those of eight parts, 6 bits each, in 12 bytes. */
ALIKE struct quant_scale
quant_scale_q4_k(const uint8_t *x, int part)
{
	const uint8_t *p = x + 4 + part % 4;
	int d = part < 4 ? p[0] & 63 : (p[8] & 15) | p[0] >> 6 << 4;
	int m = part < 4 ? p[4] & 63 : p[8] >> 4 | p[4] >> 6 << 4;
	struct quant_scale s = { quant_half(x) * (float)d, -(quant_half(x + 2) * (float)m) };

	return s;
}

#define quant_scale_q5_k quant_scale_q4_k

/* Bytes: 128 of the low four bits, 64 of the high two, 16 of scales, d. */
ALIKE uint32_t
quant_word_q6_k(const uint8_t *x, int i)
{
	const uint8_t *low = x + i / 32 * 64 + i % 16 * 4, *high = x + 128 + i / 32 * 32;

	return quant_nibbles(quant_load2(low) >> i / 16 % 2 * 4) |
	    quant_two_bits(quant_load2(high + i % 8 * 4), i) << 4;
}

ALIKE struct quant_scale
quant_scale_q6_k(const uint8_t *x, int part)
{
	struct quant_scale s = { quant_half(x + 208) * (float)(int8_t)x[192 + part], 0 };

	return s;
}

/* Bytes: d, 2 of the high bits of eight scales, 4 of their low four, 128 of q. */
ALIKE uint32_t
quant_word_iq4_xs(const uint8_t *x, int i)
{
	return quant_iq4(quant_nibbles(quant_load4(x + 8 + i / 8 * 16 + i % 4 * 4) >>
	    i / 4 % 2 * 4));
}

ALIKE struct quant_scale
quant_scale_iq4_xs(const uint8_t *x, int part)
{
	int low = x[4 + part / 2] >> part % 2 * 4 & 15, high = x[2 + part / 4] >> part % 4 * 2 & 3;
	struct quant_scale s = { quant_half(x) * (float)((low | high << 4) - 32), 0 };

	return s;
}

#endif
