/*
 * vec - vectors of VW floats, whatever VW is on this instruction set
 *
 * GCC's vector types do most of it; here is what C operators cannot say.
 * Every function means the same for each width, except that vfma() rounds
 * twice where there is no fused multiply-add.
 */
#ifndef BASE_SIMD_VEC_H
#define BASE_SIMD_VEC_H

#include <stdint.h>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define VW 16
#elif defined(__AVX2__)
#define VW 8
#else
#define VW 4
#endif

typedef float vf __attribute__((vector_size(4 * VW)));
typedef int32_t vi __attribute__((vector_size(4 * VW)));
typedef uint32_t vu __attribute__((vector_size(4 * VW)));
typedef float vf_mem __attribute__((vector_size(4 * VW), aligned(4), may_alias));

typedef double vd __attribute__((vector_size(4 * VW)));	/* half as many */

#define INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/*
 * Sums of integers to be made as they are written: of a long one compilers make a tree,
 * and keep it in memory where there are no registers for it.
 */
#if defined(__x86_64__)
#define IN_PLACE(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define IN_PLACE(x) __asm__("" : "+w"(x))
#else
#define IN_PLACE(x) ((void)(x))
#endif

INLINE vf
vload(const float *p)
{
	return *(const vf_mem *)p;
}

INLINE void
vstore(float *p, vf x)
{
	*(vf_mem *)p = x;
}

/* A store to an aligned p that is not read soon: past the caches, where there is such a one. */
INLINE void
vstream(float *p, vf x)
{
#if VW == 16
	_mm512_stream_ps(p, (__m512)x);
#elif VW == 8
	_mm256_stream_ps(p, (__m256)x);
#else
	vstore(p, x);
#endif
}

/* What was streamed is seen by others from here on. */
INLINE void
vstream_end(void)
{
#if VW >= 8
	_mm_sfence();
#endif
}

INLINE vf
vset(float x)
{
	return x - (vf){ 0 };
}

INLINE vi
viset(int32_t x)
{
	return x - (vi){ 0 };
}

/* 0, 1, 2 ... */
INLINE vi
viota(void)
{
#if VW == 16
	return (vi){ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
#elif VW == 8
	return (vi){ 0, 1, 2, 3, 4, 5, 6, 7 };
#else
	return (vi){ 0, 1, 2, 3 };
#endif
}

/* The first n < VW elements, the rest zeros; nothing beyond them is touched. */
INLINE vf
vload_n(const float *p, int64_t n)
{
#if VW == 16
	return (vf)_mm512_maskz_loadu_ps((__mmask16)((1 << n) - 1), p);
#elif VW == 8
	return (vf)_mm256_maskload_ps(p, (__m256i)(viota() < (int32_t)n));
#else
	vf x = { 0 };

	for (int64_t i = 0; i < n; i++)
		x[i] = p[i];
	return x;
#endif
}

INLINE void
vstore_n(float *p, vf x, int64_t n)
{
#if VW == 16
	_mm512_mask_storeu_ps(p, (__mmask16)((1 << n) - 1), (__m512)x);
#elif VW == 8
	_mm256_maskstore_ps(p, (__m256i)(viota() < (int32_t)n), (__m256)x);
#else
	for (int64_t i = 0; i < n; i++)
		p[i] = x[i];
#endif
}

typedef uint8_t vu8 __attribute__((vector_size(VW)));

/* Whole numbers below 256 as bytes. */
INLINE void
vstore_u8(uint8_t *p, vi x)
{
#if VW == 8
	__m128i h = _mm_packus_epi32(_mm256_castsi256_si128((__m256i)x),
	    _mm256_extracti128_si256((__m256i)x, 1));

	_mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(h, h));
#else
	vu8 h = __builtin_convertvector(x, vu8);

	__builtin_memcpy(p, &h, sizeof(h));
#endif
}

/* The first n elements, n of any size from 1 up: a whole vector or its start. */
INLINE vf
vload_to(const float *p, int64_t n)
{
	return n >= VW ? vload(p) : vload_n(p, n);
}

INLINE void
vstore_to(float *p, vf x, int64_t n)
{
	if (n >= VW)
		vstore(p, x);
	else
		vstore_n(p, x, n);
}

/* a * b + c */
INLINE vf
vfma(vf a, vf b, vf c)
{
#if VW == 16
	return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VW == 8
	return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__ARM_NEON)
	return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
	return a * b + c;
#endif
}

/* m ? a : b, m from a comparison */
INLINE vf
vsel(vi m, vf a, vf b)
{
#if VW == 8
	return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m);
#else
	return (vf)(((vi)a & m) | ((vi)b & ~m));
#endif
}

/* The larger; where either is a NaN, b. */
INLINE vf
vmax(vf a, vf b)
{
#if VW == 16
	return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif VW == 8
	return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
	return vsel(a > b, a, b);
#endif
}

INLINE vf
vmin(vf a, vf b)
{
#if VW == 16
	return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif VW == 8
	return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
	return vsel(a < b, a, b);
#endif
}

INLINE vf
vsqrt(vf a)
{
#if VW == 16
	return (vf)_mm512_sqrt_ps((__m512)a);
#elif VW == 8
	return (vf)_mm256_sqrt_ps((__m256)a);
#elif defined(__SSE2__)
	return (vf)_mm_sqrt_ps((__m128)a);
#elif defined(__ARM_NEON)
	return (vf)vsqrtq_f32((float32x4_t)a);
#else
	for (int i = 0; i < VW; i++)
		a[i] = __builtin_sqrtf(a[i]);
	return a;
#endif
}

INLINE vf
vabs(vf a)
{
	return (vf)((vi)a & INT32_MAX);
}

/* b's sign on a, which is not negative */
INLINE vf
vsign(vf a, vf b)
{
	return (vf)((vi)a | ((vi)b & INT32_MIN));
}

/* x with lanes i and i ^ w exchanged, w a power of two below VW. */
INLINE vf
vswap(vf x, int w)
{
#if VW == 16
	switch (w) {
	case 8:		return (vf)_mm512_shuffle_f32x4((__m512)x, (__m512)x, 0x4e);
	case 4:		return (vf)_mm512_shuffle_f32x4((__m512)x, (__m512)x, 0xb1);
	case 2:		return (vf)_mm512_permute_ps((__m512)x, 0x4e);
	default:	return (vf)_mm512_permute_ps((__m512)x, 0xb1);
	}
#elif VW == 8
	switch (w) {
	case 4:		return (vf)_mm256_permute2f128_ps((__m256)x, (__m256)x, 1);
	case 2:		return (vf)_mm256_permute_ps((__m256)x, 0x4e);
	default:	return (vf)_mm256_permute_ps((__m256)x, 0xb1);
	}
#else
	vf y;

	for (int i = 0; i < VW; i++)
		y[i] = x[i ^ w];
	return y;
#endif
}

/* The sum of all elements: of halves, of their halves, and so on. */
INLINE float
vsum(vf x)
{
	if (VW > 8)
		x += vswap(x, VW / 2);
	if (VW > 4)
		x += vswap(x, 4);
	x += vswap(x, 2);
	x += vswap(x, 1);
	return x[0];
}

/* The first and the last half of a vector as doubles. */
INLINE vd
vlow(vf x)
{
#if VW == 16
	return (vd)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)x));
#elif VW == 8
	return (vd)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x));
#elif defined(__SSE2__)
	return (vd)_mm_cvtps_pd((__m128)x);
#else
	return (vd){ (double)x[0], (double)x[1] };
#endif
}

INLINE vd
vhigh(vf x)
{
#if VW == 16
	return vlow((vf)_mm512_shuffle_f32x4((__m512)x, (__m512)x, 0xee));
#elif VW == 8
	return (vd)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1));
#elif defined(__SSE2__)
	return (vd)_mm_cvtps_pd(_mm_movehl_ps((__m128)x, (__m128)x));
#else
	return (vd){ (double)x[2], (double)x[3] };
#endif
}

/* The largest element; a NaN among them may be lost. */
INLINE float
vtop(vf x)
{
	if (VW > 8)
		x = vmax(x, vswap(x, VW / 2));
	if (VW > 4)
		x = vmax(x, vswap(x, 4));
	x = vmax(x, vswap(x, 2));
	x = vmax(x, vswap(x, 1));
	return x[0];
}

#endif
