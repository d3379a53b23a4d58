/*
 * The types of tensors in GGUF files.  A quantized block has a scale d, perhaps
 * a least value m, both fp16, and small integers q: y = d q + m.  The K types
 * have 256 elements in 8 or 16 parts, whose own d and m are small integers too.
 */
#include "fmt/gguf.h"

#include "base/dtype.h"

static float
half(const uint8_t *x)
{
	uint16_t h;

	memcpy(&h, x, sizeof(h));
	return f16_to_f32(h);
}

static void
decode_f32(float *y, const uint8_t *x)
{
	memcpy(y, x, sizeof(*y));
}

static void
decode_f64(float *y, const uint8_t *x)
{
	double d;

	memcpy(&d, x, sizeof(d));
	*y = (float)d;
}

static void
decode_f16(float *y, const uint8_t *x)
{
	*y = half(x);
}

static void
decode_bf16(float *y, const uint8_t *x)
{
	uint16_t h;

	memcpy(&h, x, sizeof(h));
	*y = bf16_to_f32(h);
}

static void
decode_q4_0(float *y, const uint8_t *x)
{
	float d = half(x);

	for (int i = 0; i < 16; i++) {
		y[i] = d * (float)((x[2 + i] & 15) - 8);
		y[i + 16] = d * (float)((x[2 + i] >> 4) - 8);
	}
}

static void
decode_q4_1(float *y, const uint8_t *x)
{
	float d = half(x), m = half(x + 2);

	for (int i = 0; i < 16; i++) {
		y[i] = d * (float)(x[4 + i] & 15) + m;
		y[i + 16] = d * (float)(x[4 + i] >> 4) + m;
	}
}

/* Five bits: four in q, the highest one of element i in bit i of high. */
static void
decode_q5(float *y, float d, float m, int zero, const uint8_t *high, const uint8_t *q)
{
	uint32_t h;

	memcpy(&h, high, sizeof(h));
	for (int i = 0; i < 16; i++) {
		int a = (q[i] & 15) | (int)(h >> i & 1) << 4;
		int b = q[i] >> 4 | (int)(h >> (i + 16) & 1) << 4;

		y[i] = d * (float)(a - zero) + m;
		y[i + 16] = d * (float)(b - zero) + m;
	}
}

static void
decode_q5_0(float *y, const uint8_t *x)
{
	decode_q5(y, half(x), 0, 16, x + 2, x + 6);
}

static void
decode_q5_1(float *y, const uint8_t *x)
{
	decode_q5(y, half(x), half(x + 2), 0, x + 4, x + 8);
}

static void
decode_q8_0(float *y, const uint8_t *x)
{
	float d = half(x);

	for (int i = 0; i < 32; i++)
		y[i] = d * (float)(int8_t)x[2 + i];
}

/* Bytes: 16 of scales (d low, m high), 64 of q, d, m. */
static void
decode_q2_k(float *y, const uint8_t *x)
{
	const uint8_t *q = x + 16;
	float d = half(x + 80), m = half(x + 82);

	for (int i = 0; i < 256; i++) {
		int part = i / 16, at = i / 128 * 32 + i % 32, shift = i % 128 / 32 * 2;

		y[i] = d * (float)(x[part] & 15) * (float)(q[at] >> shift & 3) -
		    m * (float)(x[part] >> 4);
	}
}

/* Bytes: 32 of highest bits, 64 of q, 12 of scales (16 of 6 bits), d. */
static void
decode_q3_k(float *y, const uint8_t *x)
{
	const uint8_t *q = x + 32, *s = x + 96;
	float d = half(x + 108);

	for (int i = 0; i < 256; i++) {
		int part = i / 16, at = i / 128 * 32 + i % 32, shift = i % 128 / 32 * 2;
		int low = part < 8 ? s[part] & 15 : s[part - 8] >> 4;
		int scale = low | (s[8 + part % 4] >> part / 4 * 2 & 3) << 4;
		int v = q[at] >> shift & 3;

		v -= x[i % 32] >> i / 32 & 1 ? 0 : 4;
		y[i] = d * (float)(scale - 32) * (float)v;
	}
}

/* The d and m of part i (0 to 7), 6 bits each, of 12 bytes. */
static void
scale_and_least(const uint8_t *s, int i, int *d, int *m)
{
	if (i < 4) {
		*d = s[i] & 63;
		*m = s[i + 4] & 63;
	} else {
		*d = (s[i + 4] & 15) | s[i - 4] >> 6 << 4;
		*m = s[i + 4] >> 4 | s[i] >> 6 << 4;
	}
}

/* Four bits of 256 elements in 128 bytes; high has a fifth, or is NULL. */
static void
decode_k45(float *y, const uint8_t *x, const uint8_t *high, const uint8_t *q)
{
	float d = half(x), m = half(x + 2);
	int scale, least;

	for (int part = 0; part < 8; part++) {
		scale_and_least(x + 4, part, &scale, &least);
		for (int i = 0; i < 32; i++) {
			int v = q[part / 2 * 32 + i] >> part % 2 * 4 & 15;

			if (high != NULL)
				v |= (high[i] >> part & 1) << 4;
			y[part * 32 + i] = d * (float)scale * (float)v - m * (float)least;
		}
	}
}

static void
decode_q4_k(float *y, const uint8_t *x)
{
	decode_k45(y, x, NULL, x + 16);
}

static void
decode_q5_k(float *y, const uint8_t *x)
{
	decode_k45(y, x, x + 16, x + 48);
}

/* Bytes: 128 of the low four bits, 64 of the high two, 16 of scales, d. */
static void
decode_q6_k(float *y, const uint8_t *x)
{
	const uint8_t *high = x + 128;
	const int8_t *scale = (const int8_t *)x + 192;
	float d = half(x + 208);

	for (int i = 0; i < 256; i++) {
		int h = i / 128, k = i % 128 / 32, j = i % 32;
		int low = x[h * 64 + k % 2 * 32 + j] >> k / 2 * 4 & 15;
		int v = low | (high[h * 32 + j] >> k * 2 & 3) << 4;

		y[i] = d * (float)scale[i / 16] * (float)(v - 32);
	}
}

static const struct gguf_block blocks[] = {
	[0] = { "F32", 1, 4, decode_f32 }, [1] = { "F16", 1, 2, decode_f16 },
	[2] = { "Q4_0", 32, 18, decode_q4_0 }, [3] = { "Q4_1", 32, 20, decode_q4_1 },
	[6] = { "Q5_0", 32, 22, decode_q5_0 }, [7] = { "Q5_1", 32, 24, decode_q5_1 },
	[8] = { "Q8_0", 32, 34, decode_q8_0 }, [9] = { "Q8_1", 32, 36, NULL },
	[10] = { "Q2_K", 256, 84, decode_q2_k }, [11] = { "Q3_K", 256, 110, decode_q3_k },
	[12] = { "Q4_K", 256, 144, decode_q4_k }, [13] = { "Q5_K", 256, 176, decode_q5_k },
	[14] = { "Q6_K", 256, 210, decode_q6_k }, [15] = { "Q8_K", 256, 292, NULL },
	[16] = { "IQ2_XXS", 256, 66, NULL }, [17] = { "IQ2_XS", 256, 74, NULL },
	[18] = { "IQ3_XXS", 256, 98, NULL }, [19] = { "IQ1_S", 256, 50, NULL },
	[20] = { "IQ4_NL", 32, 18, NULL }, [21] = { "IQ3_S", 256, 110, NULL },
	[22] = { "IQ2_S", 256, 82, NULL }, [23] = { "IQ4_XS", 256, 136, NULL },
	[24] = { "I8", 1, 1, NULL }, [25] = { "I16", 1, 2, NULL }, [26] = { "I32", 1, 4, NULL },
	[27] = { "I64", 1, 8, NULL }, [28] = { "F64", 1, 8, decode_f64 },
	[29] = { "IQ1_M", 256, 56, NULL }, [30] = { "BF16", 1, 2, decode_bf16 },
	[34] = { "TQ1_0", 256, 54, NULL }, [35] = { "TQ2_0", 256, 66, NULL },
	[39] = { "MXFP4", 32, 17, NULL }, [40] = { "NVFP4", 64, 36, NULL },
	[41] = { "Q1_0", 128, 18, NULL },
};

const struct gguf_block *
gguf_block(uint32_t type)
{
	if (type >= sizeof(blocks) / sizeof(*blocks) || blocks[type].name == NULL)
		return NULL;
	return &blocks[type];
}
