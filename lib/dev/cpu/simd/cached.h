/*
 * cached - vectors of keys and values in the types that a cache has them in
 *
 * Those of activations, and Q8_0 and Q4_0 (base/quant.h): small integers in
 * blocks of 32 with a scale.  What is read are the numbers quant_decode() gives.
 */
#ifndef DEV_SIMD_CACHED_H
#define DEV_SIMD_CACHED_H

#include "dev/cpu/simd/typed.h"

enum { QUANT = 32 };			/* elements of a block */

/* VW bytes as integers. */
INLINE vi
bytes_widen(const uint8_t *p)
{
#if VW == 16
	return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
#elif VW == 8
	return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
#else
	vi x;

	for (int i = 0; i < VW; i++)
		x[i] = (int8_t)p[i];
	return x;
#endif
}

/* A block's scale, in all lanes. */
INLINE vf
block_scale(const uint8_t *block)
{
	uint16_t h;

	memcpy(&h, block, sizeof(h));
#if defined(__F16C__)
	return vset(_cvtsh_ss(h));
#else
	return vset(f16_to_f32(h));
#endif
}

INLINE vf
cget_q8(const uint8_t *block, int64_t at)
{
	return block_scale(block) * __builtin_convertvector(bytes_widen(block + 2 + at), vf);
}

/* Low halves of 16 bytes are elements 0 to 15, high halves the others. */
INLINE vf
cget_q4(const uint8_t *block, int64_t at)
{
	vi q = bytes_widen(block + 2 + at % 16);

	q = (at < 16 ? q & 15 : q >> 4 & 15) - 8;
	return block_scale(block) * __builtin_convertvector(q, vf);
}

/* As vget(); in types of blocks i and n are multiples of VW. */
INLINE vf
cget(dtype type, const void *p, int64_t i, int64_t n)
{
	if (type == DTYPE_Q8_0)
		return cget_q8((const uint8_t *)p + i / QUANT * 34, i % QUANT);
	if (type == DTYPE_Q4_0)
		return cget_q4((const uint8_t *)p + i / QUANT * 18, i % QUANT);
	return vget(type, p, i, n);
}

/* As EACH_TYPE(), of a cache's types. */
#define EACH_CACHED(type, call) do {					\
	switch (type) {							\
	case DTYPE_Q8_0:	call(DTYPE_Q8_0); break;		\
	case DTYPE_Q4_0:	call(DTYPE_Q4_0); break;		\
	default:		EACH_TYPE(type, call); break;		\
	}								\
} while (0)

#endif
