/*
 * A quantized block has a scale d, perhaps a least value m, both fp16, and
 * small integers q: y = d q + m.  The K types have 256 elements in 8 or 16
 * parts, whose own d and m are small integers too.
 */
#include "base/quant_impl.h"

static float
half(const uint8_t *x)
{
	uint16_t h;

	memcpy(&h, x, sizeof(h));
	return f16_to_f32(h);
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

static const int8_t iq4_value[16] = IQ4_VALUES;

static void
decode_iq4(float *y, float d, const uint8_t *q)
{
	for (int i = 0; i < 16; i++) {
		y[i] = d * (float)iq4_value[q[i] & 15];
		y[i + 16] = d * (float)iq4_value[q[i] >> 4];
	}
}

static void
decode_iq4_nl(float *y, const uint8_t *x)
{
	decode_iq4(y, half(x), x + 2);
}

/* Bytes: d, 2 of the high bits of eight scales, 4 of their low four, 128 of q. */
static void
decode_iq4_xs(float *y, const uint8_t *x)
{
	float d = half(x);

	for (int part = 0; part < 8; part++) {
		int low = x[4 + part / 2] >> part % 2 * 4 & 15;
		int high = x[2 + part / 4] >> part % 4 * 2 & 3;

		decode_iq4(y + part * 32, d * (float)((low | high << 4) - 32), x + 8 + part * 16);
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

/* bf16 scale, then nibbles in order. */
static void
decode_i4(float *y, const uint8_t *x, int n)
{
	uint16_t h;
	float d;

	memcpy(&h, x, sizeof(h));
	d = bf16_to_f32(h);
	for (int i = 0; i < n; i++)
		y[i] = d * (float)((x[2 + i / 2] >> i % 2 * 4 & 15) - 8);
}

static void
decode_i4_32(float *y, const uint8_t *x)
{
	decode_i4(y, x, 32);
}

static void
decode_i4_64(float *y, const uint8_t *x)
{
	decode_i4(y, x, 64);
}

static void
decode_i4_128(float *y, const uint8_t *x)
{
	decode_i4(y, x, 128);
}

static void (*const decode[DTYPE_COUNT])(float *y, const uint8_t *x) = {
	[DTYPE_Q4_0] = decode_q4_0, [DTYPE_Q4_1] = decode_q4_1, [DTYPE_Q5_0] = decode_q5_0,
	[DTYPE_Q5_1] = decode_q5_1, [DTYPE_Q8_0] = decode_q8_0, [DTYPE_Q2_K] = decode_q2_k,
	[DTYPE_Q3_K] = decode_q3_k, [DTYPE_Q4_K] = decode_q4_k, [DTYPE_Q5_K] = decode_q5_k,
	[DTYPE_Q6_K] = decode_q6_k, [DTYPE_IQ4_NL] = decode_iq4_nl,
	[DTYPE_IQ4_XS] = decode_iq4_xs, [DTYPE_I4_32] = decode_i4_32,
	[DTYPE_I4_64] = decode_i4_64, [DTYPE_I4_128] = decode_i4_128,
};

void
quant_decode(dtype t, float *y, const void *x, int64_t n)
{
	const int64_t block = dtype_block(t), bytes = dtype_bytes(t, block);
	const uint8_t *from = x;

	for (int64_t i = 0; i < n; i += block, from += bytes)
		decode[t](y + i, from);
}
