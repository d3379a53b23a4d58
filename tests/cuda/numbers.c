/*
 * numbers - fp16, bf16, fp8 and tf32, rounded as the PTX manual says
 */
#include <math.h>

#include "standin.h"

const struct type_info type_info[TYPES] = {
	[PRED] = { 0 }, [B8] = { 1 }, [B16] = { 2 }, [B32] = { 4 }, [B64] = { 8 }, [U8] = { 1 },
	[U16] = { 2 }, [U32] = { 4 }, [U64] = { 8 }, [S8] = { 1, true }, [S16] = { 2, true },
	[S32] = { 4, true }, [S64] = { 8, true }, [F16] = { 2 }, [F16X2] = { 4 }, [BF16] = { 2 },
	[BF16X2] = { 4 }, [F32] = { 4 }, [F64] = { 8 }, [TF32] = { 4 }, [E4M3] = { 1 },
	[E5M2] = { 1 }, [E4M3X2] = { 2 }, [E5M2X2] = { 2 }, [B128] = { 16 },
};

float
bf16_to_float(uint16_t h)
{
	return f32((uint32_t)h << 16);
}

uint16_t
float_to_bf16(float f, int round)
{
	uint32_t u = (uint32_t)of_f32(f);

	if (isnan(f))
		return 0x7fff;
	if (round != ROUND_Z)
		u += 0x7fff + (u >> 16 & 1);
	return (uint16_t)(u >> 16);
}

float
half_to_float(uint16_t h)
{
	/* The exponent's bias differs by 112; a product makes small ones right too. */
	float f = f32((uint32_t)(h & 0x7fff) << 13) * 0x1p112f;

	if ((h & 0x7c00) == 0x7c00)
		f = h & 0x3ff ? NAN : INFINITY;
	return h & 0x8000 ? -f : f;
}

/*
 * A small float of these exponent and fraction bits from a float, to nearest
 * even or towards zero; what is too large is limit's code.
 */
static uint32_t
shrink(float f, int ebits, int mbits, int round, uint32_t limit)
{
	int bias = (1 << (ebits - 1)) - 1, e;
	float a = fabsf(f), scaled, whole;

	if (a == 0)
		return 0;
	frexpf(a, &e);
	e = e - 1 < 1 - bias ? 1 - bias : e - 1;
	scaled = ldexpf(a, mbits - e);
	whole = round == ROUND_Z ? truncf(scaled) : nearbyintf(scaled);
	/* A carry into the exponent comes out right by itself. */
	uint32_t code = (uint32_t)whole + ((uint32_t)(e + bias - 1) << mbits);

	return isinf(f) || code > limit ? limit : code;
}

uint16_t
float_to_half(float f, int round)
{
	uint32_t sign = (uint32_t)of_f32(f) >> 16 & 0x8000;
	uint32_t limit = round == ROUND_Z && !isinf(f) ? 0x7bff : 0x7c00;

	if (isnan(f))
		return 0x7fff;
	if (round != ROUND_Z && fabsf(f) >= 0x1p-14f && fabsf(f) < 65504) {
		uint32_t u = (uint32_t)of_f32(fabsf(f)) - (112u << 23);

		return (uint16_t)(sign | (u + 0xfff + (u >> 13 & 1)) >> 13);
	}
	return (uint16_t)(sign | shrink(f, 5, 10, round, limit));
}

/* e4m3 has no infinity and one NaN; both saturate, as .satfinite has it. */
uint8_t
float_to_fp8(float f, bool e5m2)
{
	uint32_t sign = (uint32_t)of_f32(f) >> 24 & 0x80;

	if (isnan(f))
		return 0x7f;
	return (uint8_t)(sign | (e5m2 ? shrink(f, 5, 2, ROUND_N, 0x7b) :
	    shrink(f, 4, 3, ROUND_N, 0x7e)));
}

float
fp8_to_float(uint8_t b, bool e5m2)
{
	int e, m;
	float f;

	if (e5m2)
		return half_to_float((uint16_t)(b << 8));
	e = b >> 3 & 15;
	m = b & 7;
	f = e == 15 && m == 7 ? NAN : e == 0 ? ldexpf((float)m, -9) :
	    ldexpf((float)(m | 8), e - 10);
	return b & 0x80 ? -f : f;
}

/* cvt.rna: ties away from zero. */
float
float_to_tf32(float f)
{
	if (isnan(f) || isinf(f))
		return f;
	return f32(((uint32_t)of_f32(f) + 0x1000) & ~UINT32_C(0x1fff));
}
