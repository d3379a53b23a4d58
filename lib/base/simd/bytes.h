/*
 * bytes - vectors of VEC bytes, and masks of one bit a byte, on each
 * instruction set
 *
 * A mask of 64 bytes is made by MASK64() from tests of one vector; bit i is
 * that of byte i.
 */
#ifndef BASE_SIMD_BYTES_H
#define BASE_SIMD_BYTES_H

#include <stdint.h>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define BLOCK 64

#if defined(__AVX512BW__)

#define VEC 64
typedef __m512i vec;
#define load(p)		_mm512_loadu_si512(p)
#define store(p, v)	_mm512_storeu_si512(p, v)
#define set1(c)		_mm512_set1_epi8((char)(c))
#define or8(a, b)	_mm512_or_si512((a), (b))

/* Bits of the bytes from lo to hi, which are unsigned. */
static inline uint64_t
between(vec v, int lo, int hi)
{
	return _mm512_cmple_epu8_mask(_mm512_sub_epi8(v, set1(lo)), set1(hi - lo));
}

static inline uint64_t
equal(vec v, int c)
{
	return _mm512_cmpeq_epi8_mask(v, set1(c));
}

static inline uint64_t
high(vec v)
{
	return (uint64_t)_mm512_movepi8_mask(v);
}

/* The bytes from lo to hi get d added, or become c. */
static inline vec
add_between(vec v, int lo, int hi, int d)
{
	return _mm512_mask_add_epi8(v, between(v, lo, hi), v, set1(d));
}

static inline vec
set_between(vec v, int lo, int hi, int c)
{
	return _mm512_mask_mov_epi8(v, between(v, lo, hi), set1(c));
}

#elif defined(__AVX2__)

#define VEC 32
typedef __m256i vec;
#define load(p)		_mm256_loadu_si256((const __m256i *)(const void *)(p))
#define store(p, v)	_mm256_storeu_si256((__m256i *)(void *)(p), v)
#define set1(c)		_mm256_set1_epi8((char)(c))
#define or8(a, b)	_mm256_or_si256((a), (b))
#define and8(a, b)	_mm256_and_si256((a), (b))
#define andnot8(a, b)	_mm256_andnot_si256((a), (b))
#define add8(a, b)	_mm256_add_epi8((a), (b))

static inline vec
range(vec v, int lo, int hi)
{
	vec x = _mm256_sub_epi8(v, set1(lo));

	return _mm256_cmpeq_epi8(x, _mm256_min_epu8(x, set1(hi - lo)));
}

static inline uint64_t
high(vec v)
{
	return (uint32_t)_mm256_movemask_epi8(v);
}

static inline uint64_t
equal(vec v, int c)
{
	return high(_mm256_cmpeq_epi8(v, set1(c)));
}

#elif defined(__SSE2__)

#define VEC 16
typedef __m128i vec;
#define load(p)		_mm_loadu_si128((const __m128i *)(const void *)(p))
#define store(p, v)	_mm_storeu_si128((__m128i *)(void *)(p), v)
#define set1(c)		_mm_set1_epi8((char)(c))
#define or8(a, b)	_mm_or_si128((a), (b))
#define and8(a, b)	_mm_and_si128((a), (b))
#define andnot8(a, b)	_mm_andnot_si128((a), (b))
#define add8(a, b)	_mm_add_epi8((a), (b))

static inline vec
range(vec v, int lo, int hi)
{
	vec x = _mm_sub_epi8(v, set1(lo));

	return _mm_cmpeq_epi8(x, _mm_min_epu8(x, set1(hi - lo)));
}

static inline uint64_t
high(vec v)
{
	return (uint32_t)_mm_movemask_epi8(v);
}

static inline uint64_t
equal(vec v, int c)
{
	return high(_mm_cmpeq_epi8(v, set1(c)));
}

#elif defined(__ARM_NEON)

#define VEC 16
typedef uint8x16_t vec;
#define load(p)		vld1q_u8((const uint8_t *)(p))
#define store(p, v)	vst1q_u8((uint8_t *)(p), v)
#define set1(c)		vdupq_n_u8((uint8_t)(c))
#define or8(a, b)	vorrq_u8((a), (b))
#define and8(a, b)	vandq_u8((a), (b))
#define andnot8(a, b)	vbicq_u8((b), (a))
#define add8(a, b)	vaddq_u8((a), (b))

static inline vec
range(vec v, int lo, int hi)
{
	return vcleq_u8(vsubq_u8(v, set1(lo)), set1(hi - lo));
}

/* The top bits, each at its place in its half, summed. */
static inline uint64_t
high(vec v)
{
	static const uint8_t place[16] = { 1, 2, 4, 8, 16, 32, 64, 128,
	    1, 2, 4, 8, 16, 32, 64, 128 };
	vec bit = vandq_u8(vcltzq_s8(vreinterpretq_s8_u8(v)), vld1q_u8(place));

	return (uint64_t)vaddv_u8(vget_low_u8(bit)) | (uint64_t)vaddv_u8(vget_high_u8(bit)) << 8;
}

static inline uint64_t
equal(vec v, int c)
{
	return high(vceqq_u8(v, set1(c)));
}

#else

#define VEC 1
typedef unsigned char vec;
#define load(p)		(*(const unsigned char *)(p))
#define store(p, v)	(*(p) = (char)(v))
#define or8(a, b)	((vec)((a) | (b)))
#define and8(a, b)	((vec)((a) & (b)))
#define andnot8(a, b)	((vec)(~(a) & (b)))
#define add8(a, b)	((vec)((a) + (b)))
#define set1(c)		((vec)(c))

static inline vec
range(vec v, int lo, int hi)
{
	return v >= lo && v <= hi ? 0xff : 0;
}

static inline uint64_t
high(vec v)
{
	return v >> 7;
}

static inline uint64_t
equal(vec v, int c)
{
	return v == c;
}

#endif

#ifndef __AVX512BW__
static inline uint64_t
between(vec v, int lo, int hi)
{
	return high(range(v, lo, hi));
}

static inline vec
add_between(vec v, int lo, int hi, int d)
{
	return add8(v, and8(range(v, lo, hi), set1(d)));
}

static inline vec
set_between(vec v, int lo, int hi, int c)
{
	vec m = range(v, lo, hi);

	return or8(andnot8(m, v), and8(m, set1(c)));
}
#endif

/* One bit a byte for the 64 bytes at p; the loop is unrolled away. */
#define MASK64(name, test)						\
static inline uint64_t							\
name(const char *p)							\
{									\
	uint64_t m = 0;							\
									\
	for (int i = 0; i < BLOCK; i += VEC) {				\
		vec v = load(p + i);					\
		m |= (uint64_t)(test) << i;				\
	}								\
	return m;							\
}

#endif
