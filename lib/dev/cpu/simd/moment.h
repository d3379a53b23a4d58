/*
 * moment - what an optimizer remembers, in fp32, bf16 or 8 bits
 *
 * An update works on spans of at most MOMENT_BLOCK elements, which start at
 * multiples of it, as floats: in place when the moments are fp32, else in a
 * buffer between moment_get() and moment_put().
 */
#ifndef DEV_SIMD_MOMENT_H
#define DEV_SIMD_MOMENT_H

#include <math.h>

#include "dev/cpu/simd/simd.h"
#include "dev/cpu/simd/typed.h"

/* How moments of one kind are kept; FIRST have a sign. */
enum { FIRST, SECOND };

struct moment_how {
	dtype	 type;
	int	 order;
	uint32_t key;		/* of this step, for rounding */
};

/* A well-mixed function of x: lowbias32 of C. Wellons' hash prospector. */
INLINE vu
vhash(vu x)
{
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ x >> 16;
}

/* table[i] of eight floats */
INLINE vf
vpick(const float *table, vi i)
{
#if VW == 16
	return (vf)_mm512_permutexvar_ps((__m512i)i,
	    _mm512_castps256_ps512(_mm256_loadu_ps(table)));
#elif VW == 8
	return (vf)_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), (__m256i)i);
#else
	vf x;

	for (int j = 0; j < VW; j++)
		x[j] = table[i[j] & 7];
	return x;
#endif
}

/* Whole numbers below 2^16 or 2^8 to arrays of that many bits, and back; n as in vget(). */
INLINE void
vput_u16(uint16_t *to, vu x, int64_t n)
{
#if VW == 8
	vh h = (vh)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)x),
	    _mm256_extracti128_si256((__m256i)x, 1));
#else
	vh h = __builtin_convertvector(x, vh);
#endif

	if (n >= VW)
		*(vh_mem *)to = h;
	else
		memcpy(to, &h, (size_t)n * sizeof(*to));
}

INLINE void
vput_u8(uint8_t *to, vi x, int64_t n)
{
	uint8_t t[VW];

	vstore_u8(n >= VW ? to : t, x);
	if (n < VW)
		memcpy(to, t, (size_t)n);
}

INLINE vi
vget_u8(const uint8_t *from, int64_t n)
{
	vu8 c = { 0 };

	if (n >= VW)
		memcpy(&c, from, VW);
	else
		memcpy(&c, from, (size_t)n);
#if VW == 8
	return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)&c));
#else
	return __builtin_convertvector(c, vi);
#endif
}

/* ---- bf16 ---- */

/* What elements from `at' on are rounded by: the low half first moments, the high one second. */
INLINE vu
bf16_noise(uint32_t key, int64_t at)
{
	return vhash(((vu)viota() + (uint32_t)at) * 0x9e3779b1u ^ key);
}

/* To one of the two neighbours, the nearer one more often: right in the mean. */
INLINE void
bf16_put(uint16_t *to, vf x, int64_t n, vu noise, int order)
{
	vput_u16(to, ((vu)x + (order == FIRST ? noise & 0xffff : noise >> 16)) >> 16, n);
}

/* ---- 8 bits ---- */

/* The largest exponent of a code, and what the largest code is times the scale. */
INLINE int
code_top(int order)
{
	return order == FIRST ? 6 : 7;
}

INLINE float
code_most(int order)
{
	return 1 - 0.45f / (float)(1 << code_top(order));
}

INLINE void
code_get(float *x, const uint8_t *from, int64_t n, float scale, int order)
{
	static const float tens[8] = { 1e-7f, 1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1 };
	const float *ten = order == FIRST ? tens + 1 : tens;
	float table[8] = { 0 };

	memcpy(table, ten, (size_t)(code_top(order) + 1) * sizeof(*ten));
	for (int64_t i = 0; i < n; i += VW) {
		vi code = vget_u8(from + i, n - i), body = order == FIRST ? code & 127 : code, e;
		vf f, y;

		/* body is 2^e + k, and so its mantissa is k / 2^e. */
		f = __builtin_convertvector(body, vf);
		e = ((vi)f >> 23) - 127;
		f = (vf)(((vi)f & 0x7fffff) | 0x3f800000) - 1.0f + (vf)((126 - e) << 23);
		y = vpick(table, e) * (0.1f + 0.9f * f) * scale;
		y = vsel(body == 0, (vf){ 0 }, y);
		if (order == FIRST)
			y = (vf)((vi)y | ((code & 128) << 24));
		vstore_to(x + i, y, n - i);
	}
}

/* Codes of 0 <= x <= code_most(), 1 at least. */
INLINE vi
code_of(vf x, int order)
{
	static const float table[8] = { 1, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f };
	vi below = { 0 };
	vf cells, k;
	float edge = 0.1f;

	for (int i = 0; i < code_top(order); i++, edge *= 0.1f)
		below -= (vi)(x < edge);
	cells = (vf)((code_top(order) - below + 127) << 23);
	k = (x * vpick(table, below) - 0.1f) * (cells / 0.9f);
	k = vmax(vmin(k, cells - 1), (vf){ 0 });
	return __builtin_convertvector(cells, vi) + __builtin_convertvector(k, vi);
}

INLINE void
code_put(uint8_t *to, float *scale, const float *x, int64_t n, int order)
{
	vf most = { 0 };
	float inverse;

	for (int64_t i = 0; i < n; i += VW)
		most = vmax(vabs(vload_to(x + i, n - i)), most);
	*scale = vtop(most) / code_most(order);
	inverse = *scale > 0 ? 1 / *scale : 0;
	for (int64_t i = 0; i < n; i += VW) {
		vf y = vload_to(x + i, n - i), a = vabs(y) * inverse;
		vi code = code_of(a, order);

		/* A second moment that is not 0 stays so: it is divided by. */
		if (order == FIRST) {
			code &= (vi)(a >= 2.75e-7f);
			code |= (vi)((vu)y >> 24 & 128);
		} else {
			code &= (vi)(a > 0);
		}
		vput_u8(to + i, code, n - i);
	}
}

/* ---- all of them ---- */

static inline float *
moment_get(const struct moment_how *how, const struct moment *m, int64_t at, int64_t n,
    float *buf)
{
	if (how->type == DTYPE_F32)
		return cpu_f32(m->at) + at;
	if (how->type == DTYPE_BF16) {
		for (int64_t i = 0; i < n; i += VW)
			vstore_to(buf + i, vget(DTYPE_BF16, cpu_ptr(m->at), at + i, n - i), n - i);
	} else {
		code_get(buf, (const uint8_t *)cpu_ptr(m->at) + at, n,
		    cpu_f32(m->scale)[at / MOMENT_BLOCK], how->order);
	}
	return buf;
}

static inline void
moment_put(const struct moment_how *how, const struct moment *m, int64_t at, int64_t n,
    const float *buf)
{
	if (how->type == DTYPE_BF16)
		for (int64_t i = 0; i < n; i += VW)
			bf16_put((uint16_t *)cpu_ptr(m->at) + at + i, vload_to(buf + i, n - i),
			    n - i, bf16_noise(how->key, at + i), how->order);
	else if (how->type == DTYPE_U8)
		code_put((uint8_t *)cpu_ptr(m->at) + at, cpu_f32(m->scale) + at / MOMENT_BLOCK,
		    buf, n, how->order);
}

/* p_out of a span, while p is in the cache; a task ends with vstream_end(). */
static inline void
copy_out(dptr p_out, dtype p_type, const float *p, int64_t at, int64_t n)
{
	bool aligned = p_out.at % (4 * VW) == 0 && at % VW == 0;
	int64_t i = 0;

	if (p_out.at == 0)
		return;
	for (; aligned && i + VW <= n; i += VW)
		vput_stream(p_type, cpu_ptr(p_out), at + i, vload(p + at + i));
	for (; i < n; i += VW)
		vput(p_type, cpu_ptr(p_out), at + i, vload_to(p + at + i, n - i), n - i);
}

#endif
