/*
 * quant_bytes - words, bits and numbers that blocks are made of (base/quant_block.h)
 */
#ifndef BASE_QUANT_BYTES_H
#define BASE_QUANT_BYTES_H

#include "base/alike.h"
#include "base/dtype.h"

#ifdef __CUDACC__
#include <cuda_fp16.h>
#endif

/* Four bytes aligned to 2. */
ALIKE uint32_t
quant_load2(const uint8_t *x)
{
#ifdef __CUDA_ARCH__
	const uint16_t *p = (const uint16_t *)x;

	return p[0] | (uint32_t)p[1] << 16;
#else
	uint32_t w;

	memcpy(&w, x, sizeof(w));
	return w;
#endif
}

/* Four bytes aligned to 4. */
ALIKE uint32_t
quant_load4(const uint8_t *x)
{
#ifdef __CUDA_ARCH__
	return *(const uint32_t *)x;
#else
	return quant_load2(x);
#endif
}

/* An fp16 number. */
ALIKE float
quant_half(const uint8_t *x)
{
#ifdef __CUDA_ARCH__
	return __half2float(*(const __half *)x);
#else
	uint16_t h;

	memcpy(&h, x, sizeof(h));
	return f16_to_f32(h);
#endif
}

ALIKE uint32_t
quant_nibbles(uint32_t x)
{
	return x & 0x0f0f0f0f;
}

/* The low two bits of each byte. */
ALIKE uint32_t
quant_twos(uint32_t x)
{
	return x & 0x03030303;
}

/* The lowest bit of each byte. */
ALIKE uint32_t
quant_ones(uint32_t x)
{
	return x & 0x01010101;
}

/* The lowest four bits of x, each the fifth of a byte. */
ALIKE uint32_t
quant_fifths(uint32_t x)
{
	return (x & 15) * 0x02040810 & 0x10101010;
}

/* The values of four nibbles, plus 128: the steps of IQ4 grow with distance from zero. */
ALIKE uint32_t
quant_iq4(uint32_t x)
{
#ifdef __CUDA_ARCH__
	uint32_t pick = (x | x >> 4) & 0x00ff00ff, low, high, upper;

	pick = pick | pick >> 8;
	low = __byte_perm(0x3f2d1801, 0x766a5d4f, pick & 0x7777);
	high = __byte_perm(0xa6998d81, 0xf1d9c5b5, pick & 0x7777);
	upper = (x >> 3 & 0x01010101) * 255;
	return (high & upper) | (low & ~upper);
#else
	static const uint8_t value[16] = { 1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166,
		181, 197, 217, 241 };

	return value[x & 15] | (uint32_t)value[x >> 8 & 15] << 8 |
	    (uint32_t)value[x >> 16 & 15] << 16 | (uint32_t)value[x >> 24 & 15] << 24;
#endif
}

#endif
