#include "base/quant_impl.h"

#include <strings.h>

static const struct {
	const char	*name;
	int		 size;		/* of an element, or of a block */
	int		 block;		/* elements of one; 0: no blocks */
} types[DTYPE_COUNT] = {
	[DTYPE_NONE] = { "NONE", 0 },
	[DTYPE_F64] = { "F64", 8 }, [DTYPE_F32] = { "F32", 4 },
	[DTYPE_F16] = { "F16", 2 }, [DTYPE_BF16] = { "BF16", 2 },
	[DTYPE_I64] = { "I64", 8 }, [DTYPE_I32] = { "I32", 4 },
	[DTYPE_I16] = { "I16", 2 }, [DTYPE_I8] = { "I8", 1 },
	[DTYPE_U64] = { "U64", 8 }, [DTYPE_U32] = { "U32", 4 },
	[DTYPE_U16] = { "U16", 2 }, [DTYPE_U8] = { "U8", 1 },
	[DTYPE_BOOL] = { "BOOL", 1 },
	[DTYPE_F8_E4M3] = { "F8_E4M3", 1 }, [DTYPE_F8_E5M2] = { "F8_E5M2", 1 },
	[DTYPE_Q4_0] = { "Q4_0", 18, 32 }, [DTYPE_Q4_1] = { "Q4_1", 20, 32 },
	[DTYPE_Q5_0] = { "Q5_0", 22, 32 }, [DTYPE_Q5_1] = { "Q5_1", 24, 32 },
	[DTYPE_Q8_0] = { "Q8_0", 34, 32 }, [DTYPE_Q2_K] = { "Q2_K", 84, 256 },
	[DTYPE_Q3_K] = { "Q3_K", 110, 256 }, [DTYPE_Q4_K] = { "Q4_K", 144, 256 },
	[DTYPE_Q5_K] = { "Q5_K", 176, 256 }, [DTYPE_Q6_K] = { "Q6_K", 210, 256 },
	[DTYPE_IQ4_NL] = { "IQ4_NL", 18, 32 }, [DTYPE_IQ4_XS] = { "IQ4_XS", 136, 256 },
	[DTYPE_I4_32] = { "I4_32", 18, 32 }, [DTYPE_I4_64] = { "I4_64", 34, 64 },
	[DTYPE_I4_128] = { "I4_128", 66, 128 },
};

int
dtype_size(dtype t)
{
	return types[t].block > 0 ? 0 : types[t].size;
}

int
dtype_block(dtype t)
{
	return types[t].block > 0 ? types[t].block : 1;
}

int64_t
dtype_bytes(dtype t, int64_t n)
{
	return n / dtype_block(t) * types[t].size;
}

const char *
dtype_name(dtype t)
{
	return types[t].name;
}

dtype
dtype_of(str name)
{
	for (int t = DTYPE_F64; t < DTYPE_COUNT; t++)
		if (str_eq(name, str_of(types[t].name)))
			return (dtype)t;
	return DTYPE_NONE;
}

dtype
dtype_parse(str name)
{
	for (int t = DTYPE_F64; t < DTYPE_COUNT; t++)
		if ((ptrdiff_t)strlen(types[t].name) == name.n &&
		    strncasecmp(name.p, types[t].name, (size_t)name.n) == 0)
			return (dtype)t;
	return DTYPE_NONE;
}

float
f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 1023, u;
	float f;

	if (exp == 31) {
		u = sign | 0x7f800000 | man << 13;
	} else if (exp > 0) {
		u = sign | (exp + 112) << 23 | man << 13;
	} else {
		f = (float)man * 0x1p-24f;
		memcpy(&u, &f, sizeof(u));
		u |= sign;
	}
	memcpy(&f, &u, sizeof(f));
	return f;
}

uint16_t
f32_to_f16(float f)
{
	uint32_t u, man, half;
	uint16_t sign;
	int exp, shift;

	memcpy(&u, &f, sizeof(u));
	sign = (uint16_t)(u >> 16 & 0x8000);
	u &= 0x7fffffff;
	if (u > 0x7f800000)
		return (uint16_t)(sign | 0x7e00);
	exp = (int)(u >> 23) - 112;
	if (exp >= 31)
		return (uint16_t)(sign | 0x7c00);
	man = (u & 0x7fffff) | (exp > -112 ? 0x800000 : 0);
	shift = exp > 0 ? 13 : 14 - exp;
	if (shift > 24)
		return sign;
	half = man >> shift;
	man &= ((uint32_t)1 << shift) - 1;
	half += man > (uint32_t)1 << (shift - 1) ||
	    (man == (uint32_t)1 << (shift - 1) && (half & 1));
	/* A carry out of the mantissa is the next exponent, as it should be. */
	return (uint16_t)(sign | ((exp > 0 ? (uint32_t)(exp - 1) << 10 : 0) + half));
}

static double
load(const void *p, dtype t, int64_t i)
{
	switch (t) {
	case DTYPE_F64:
		return ((const double *)p)[i];
	case DTYPE_F32:
		return (double)((const float *)p)[i];
	case DTYPE_F16:
		return (double)f16_to_f32(((const uint16_t *)p)[i]);
	default:
		return (double)bf16_to_f32(((const uint16_t *)p)[i]);
	}
}

static void
store(void *p, dtype t, int64_t i, double v)
{
	switch (t) {
	case DTYPE_F64:
		((double *)p)[i] = v;
		break;
	case DTYPE_F32:
		((float *)p)[i] = (float)v;
		break;
	case DTYPE_F16:
		((uint16_t *)p)[i] = f32_to_f16((float)v);
		break;
	default:
		((uint16_t *)p)[i] = f32_to_bf16((float)v);
		break;
	}
}

void
dtype_convert(void *to, dtype to_type, const void *from, dtype from_type, int64_t n)
{
	if (to_type == from_type) {
		memmove(to, from, (size_t)(n * dtype_size(to_type)));
		return;
	}
	if (from_type == DTYPE_F16 && to_type == DTYPE_F32)
		quant_simd()->widen_f16(to, from, n);
	else if (from_type == DTYPE_BF16 && to_type == DTYPE_F32)
		for (int64_t i = 0; i < n; i++)
			((float *)to)[i] = bf16_to_f32(((const uint16_t *)from)[i]);
	else
		for (int64_t i = 0; i < n; i++)
			store(to, to_type, i, load(from, from_type, i));
}
