/* Rows of a byte an element, with one scale. */
#include <math.h>

#include "model/packing_impl.h"
#include "model/save_impl.h"

#define F8_MOST	448.0f
#define I8_MOST	127.0f

int
channel_scale(dtype t)
{
	return t == DTYPE_F8_E4M3 ? 4 : t == DTYPE_I8 ? 2 : 0;
}

bool
save_quantizes(dtype t)
{
	return dtype_block(t) > 1 || channel_scale(t) > 0;
}

static uint32_t
bits(float x)
{
	uint32_t u;

	memcpy(&u, &x, sizeof(u));
	return u;
}

/* To the nearest FP8 (e4m3fn), ties to even; below 2^-6 it has steps of 2^-9, as fp32 at 2^14. */
static uint8_t
f8_from_f32(float x)
{
	uint8_t sign = bits(x) >> 24 & 0x80;
	float most = fabsf(x) < F8_MOST ? fabsf(x) : F8_MOST;
	uint32_t u = bits(most), small = bits(most + 0x1p14f) - bits(0x1p14f);

	u = ((u + 0x7ffff + (u >> 20 & 1)) >> 20) - ((127 - 7) << 3);
	return sign | (uint8_t)(most < 0x1p-6f ? small : u);
}

static uint8_t
i8_from_f32(float x)
{
	x = x > -I8_MOST ? x : -I8_MOST;
	return (uint8_t)(int8_t)__builtin_rintf(x < I8_MOST ? x : I8_MOST);
}

/* No number where an element is none, or infinite: then so are all that is decoded. */
static float
largest(const float *x, int64_t n)
{
	float most = 0;

	for (int64_t k = 0; k < n; k++)
		most = fabsf(x[k]) <= most ? most : fabsf(x[k]);
	return most > 0 || isnan(most) ? most : 1;
}

void
channel_encode(dtype t, void *row, const float *x, int64_t n)
{
	uint8_t *to = (uint8_t *)row + channel_scale(t);
	float scale = largest(x, n) / (t == DTYPE_I8 ? I8_MOST : F8_MOST);
	uint16_t h = f32_to_bf16(scale);

	if (t == DTYPE_I8) {
		scale = bf16_to_f32(h);
		memcpy(row, &h, sizeof(h));
		for (int64_t k = 0; k < n; k++)
			to[k] = i8_from_f32(x[k] / scale);
	} else {
		memcpy(row, &scale, sizeof(scale));
		for (int64_t k = 0; k < n; k++)
			to[k] = f8_from_f32(x[k] / scale);
	}
}

void
channel_decode(dtype t, float *x, const void *row, int64_t n)
{
	const uint8_t *from = (const uint8_t *)row + channel_scale(t);
	float scale;
	uint16_t h;

	if (t == DTYPE_I8) {
		memcpy(&h, row, sizeof(h));
		for (int64_t k = 0; k < n; k++)
			x[k] = bf16_to_f32(h) * (float)(int8_t)from[k];
	} else {
		memcpy(&scale, row, sizeof(scale));
		for (int64_t k = 0; k < n; k++)
			x[k] = scale * f8_to_f32(from[k], false);
	}
}
