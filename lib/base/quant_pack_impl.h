/*
 * quant_pack_impl - where the levels of a block's elements are stored
 *
 * A level is counted from the lowest, 0.  Scales are not touched.
 */
#ifndef BASE_QUANT_PACK_IMPL_H
#define BASE_QUANT_PACK_IMPL_H

#include <stdint.h>
#include <string.h>

static inline void
put_nibbles(uint8_t *x, const uint8_t q[32])
{
	for (int i = 0; i < 16; i++)
		x[i] = (uint8_t)((q[i] & 15) | q[i + 16] << 4);
}

/* Bit shift of 32 elements. */
static inline void
put_bits(uint8_t *x, const uint8_t q[32], int shift)
{
	uint32_t bits = 0;

	for (int i = 0; i < 32; i++)
		bits |= (uint32_t)(q[i] >> shift & 1) << i;
	memcpy(x, &bits, sizeof(bits));
}

/* Two bits of 256: those of elements 32 apart side by side. */
static inline void
put_twos(uint8_t *x, const uint8_t *q, int shift)
{
	for (int i = 0; i < 64; i++) {
		const uint8_t *p = q + i / 32 * 128 + i % 32;

		x[i] = (uint8_t)((p[0] >> shift & 3) | (p[32] >> shift & 3) << 2 |
		    (p[64] >> shift & 3) << 4 | (p[96] >> shift & 3) << 6);
	}
}

static inline void
put_pairs(uint8_t *x, const uint8_t *q)
{
	for (int i = 0; i < 128; i++) {
		const uint8_t *p = q + i / 32 * 64 + i % 32;

		x[i] = (uint8_t)((p[0] & 15) | p[32] << 4);
	}
}

static inline void
pack_q4_0(uint8_t *x, const uint8_t *q)
{
	put_nibbles(x + 2, q);
}

static inline void
pack_q4_1(uint8_t *x, const uint8_t *q)
{
	put_nibbles(x + 4, q);
}

static inline void
pack_q5_0(uint8_t *x, const uint8_t *q)
{
	put_bits(x + 2, q, 4);
	put_nibbles(x + 6, q);
}

static inline void
pack_q5_1(uint8_t *x, const uint8_t *q)
{
	put_bits(x + 4, q, 4);
	put_nibbles(x + 8, q);
}

static inline void
pack_q8_0(uint8_t *x, const uint8_t *q)
{
	for (int i = 0; i < 32; i++)
		x[2 + i] = (uint8_t)(q[i] - 128);
}

static inline void
pack_q2_k(uint8_t *x, const uint8_t *q)
{
	put_twos(x + 16, q, 0);
}

static inline void
pack_q3_k(uint8_t *x, const uint8_t *q)
{
	for (int part = 0; part < 8; part++)
		for (int i = 0; i < 32; i++)
			x[i] = (uint8_t)((part > 0 ? x[i] : 0) | q[part * 32 + i] >> 2 << part);
	put_twos(x + 32, q, 0);
}

static inline void
pack_q4_k(uint8_t *x, const uint8_t *q)
{
	put_pairs(x + 16, q);
}

static inline void
pack_q5_k(uint8_t *x, const uint8_t *q)
{
	for (int part = 0; part < 8; part++)
		for (int i = 0; i < 32; i++)
			x[16 + i] = (uint8_t)((part > 0 ? x[16 + i] : 0) |
			    q[part * 32 + i] >> 4 << part);
	put_pairs(x + 48, q);
}

static inline void
pack_q6_k(uint8_t *x, const uint8_t *q)
{
	for (int i = 0; i < 128; i++) {
		const uint8_t *p = q + i / 64 * 128 + i % 64;

		x[i] = (uint8_t)((p[0] & 15) | p[64] << 4);
	}
	put_twos(x + 128, q, 4);
}

static inline void
pack_iq4_xs(uint8_t *x, const uint8_t *q)
{
	for (int part = 0; part < 8; part++)
		put_nibbles(x + 8 + part * 16, q + part * 32);
}

static inline void
pack_i4(uint8_t *x, const uint8_t *q, int n)
{
	for (int i = 0; i < n / 2; i++)
		x[2 + i] = (uint8_t)((q[2 * i] & 15) | q[2 * i + 1] << 4);
}

static inline void
pack_i4_32(uint8_t *x, const uint8_t *q)
{
	pack_i4(x, q, 32);
}

static inline void
pack_i4_64(uint8_t *x, const uint8_t *q)
{
	pack_i4(x, q, 64);
}

static inline void
pack_i4_128(uint8_t *x, const uint8_t *q)
{
	pack_i4(x, q, 128);
}

#endif
