/*
 * typed - vectors from and to arrays of F32, BF16 and F16
 *
 * A kernel is written once, as an INLINE function whose dtype is a parameter,
 * and EACH_TYPE calls it with a constant: so each type gets its own loop and
 * the source has one.  Arithmetic is in float; a store rounds to nearest even.
 */
#ifndef DEV_SIMD_TYPED_H
#define DEV_SIMD_TYPED_H

#include <string.h>

#include "base/dtype.h"
#include "base/simd/vec.h"

typedef uint16_t vh __attribute__((vector_size(2 * VW)));
typedef uint16_t vh_mem __attribute__((vector_size(2 * VW), aligned(2), may_alias));

INLINE vf
bf16_widen(vh h)
{
#if VW == 16
	return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)h), 16);
#elif VW == 8
	return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)h), 16);
#else
	return (vf)(__builtin_convertvector(h, vu) << 16);
#endif
}

/* To nearest even; a NaN stays one. */
INLINE vh
bf16_round(vf x)
{
#ifdef __AVX512BF16__
	return (vh)_mm512_cvtneps_pbh((__m512)x);
#else
	vu u = (vu)x, nan = (vu)(x != x);
	vu r = (u + 0x7fff + (u >> 16 & 1)) >> 16;

	r = (nan & (u >> 16 | 0x40)) | (~nan & r);
#if VW == 16
	return (vh)_mm512_cvtepi32_epi16((__m512i)r);
#elif VW == 8
	return (vh)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)r),
	    _mm256_extracti128_si256((__m256i)r, 1));
#else
	return __builtin_convertvector(r, vh);
#endif
#endif
}

INLINE vf
f16_widen(vh h)
{
#if VW == 16
	return (vf)_mm512_cvtph_ps((__m256i)h);
#elif VW == 8
	return (vf)_mm256_cvtph_ps((__m128i)h);
#elif defined(__ARM_NEON)
	return (vf)vcvt_f32_f16((float16x4_t)h);
#else
	vf x;

	for (int i = 0; i < VW; i++)
		x[i] = f16_to_f32(h[i]);
	return x;
#endif
}

INLINE vh
f16_round(vf x)
{
#if VW == 16
	return (vh)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT);
#elif VW == 8
	return (vh)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT);
#elif defined(__ARM_NEON)
	return (vh)vcvt_f16_f32((float32x4_t)x);
#else
	vh h;

	for (int i = 0; i < VW; i++)
		h[i] = f32_to_f16(x[i]);
	return h;
#endif
}

INLINE vf
widen(dtype type, vh h)
{
	return type == DTYPE_BF16 ? bf16_widen(h) : f16_widen(h);
}

INLINE vh
narrow(dtype type, vf x)
{
	return type == DTYPE_BF16 ? bf16_round(x) : f16_round(x);
}

/* Elements [i, i + n) of p, an array of type; n from 1 up: a whole vector or its start. */
INLINE vf
vget(dtype type, const void *p, int64_t i, int64_t n)
{
	const uint16_t *half = (const uint16_t *)p + i;
	vh part = { 0 };

	if (type == DTYPE_F32)
		return vload_to((const float *)p + i, n);
	if (n >= VW)
		return widen(type, *(const vh_mem *)half);
	memcpy(&part, half, (size_t)n * sizeof(*half));
	return widen(type, part);
}

INLINE void
vput(dtype type, void *p, int64_t i, vf x, int64_t n)
{
	uint16_t *half = (uint16_t *)p + i;

	if (type == DTYPE_F32) {
		vstore_to((float *)p + i, x, n);
	} else if (n >= VW) {
		*(vh_mem *)half = narrow(type, x);
	} else {
		vh part = narrow(type, x);

		memcpy(half, &part, (size_t)n * sizeof(*half));
	}
}

/* The same of a whole vector to an aligned place that is not read soon. */
INLINE void
vput_stream(dtype type, void *p, int64_t i, vf x)
{
#if VW == 16
	if (type != DTYPE_F32)
		_mm256_stream_si256((__m256i *)((uint16_t *)p + i), (__m256i)narrow(type, x));
#elif VW == 8
	if (type != DTYPE_F32)
		_mm_stream_si128((__m128i *)((uint16_t *)p + i), (__m128i)narrow(type, x));
#else
	if (type != DTYPE_F32)
		*(vh_mem *)((uint16_t *)p + i) = narrow(type, x);
#endif
	else
		vstream((float *)p + i, x);
}

/* Call a function of a type, call(type), with the type a constant. */
#define EACH_TYPE(type, call) do {					\
	switch (type) {							\
	case DTYPE_BF16:	call(DTYPE_BF16); break;		\
	case DTYPE_F16:		call(DTYPE_F16); break;			\
	default:		call(DTYPE_F32); break;			\
	}								\
} while (0)

#endif
