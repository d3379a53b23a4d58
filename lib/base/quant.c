/* Blocks become floats, by what base/quant_block.h tells of their bytes. */
#include "base/quant_block.h"
#include "base/quant_impl.h"

#define INLINE static inline __attribute__((always_inline))

/* A block of the same elements, by the functions of its type. */
INLINE void
decode_block(float *y, const uint8_t *x, int block, int part, int zero, bool least,
    uint32_t (*word)(const uint8_t *, int), struct quant_scale (*scale)(const uint8_t *, int))
{
	for (int i = 0; i < block; i += part) {
		struct quant_scale s = scale(x, i / part);
		uint32_t words[8];
		uint8_t q[32];

		for (int j = 0; j < part / 4; j++)
			words[j] = word(x, i / 4 + j);
		memcpy(q, words, (size_t)part);
		for (int j = 0; j < part; j++) {
			float v = s.d * (float)(q[j] - zero);

			y[i + j] = least ? v + s.m : v;
		}
	}
}

#define DECODE(type, name, block, bytes, part, zero, least)			\
static void									\
decode_##name(float *y, const uint8_t *x)					\
{										\
	decode_block(y, x, block, part, zero, least, quant_word_##name,	\
	    quant_scale_##name);						\
}
QUANT_BLOCKS(DECODE)

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

#define NAME(type, name, block, bytes, part, zero, least) [DTYPE_##type] = decode_##name,
static void (*const decode[DTYPE_COUNT])(float *y, const uint8_t *x) = {
	QUANT_BLOCKS(NAME)
	[DTYPE_I4_32] = decode_i4_32, [DTYPE_I4_64] = decode_i4_64,
	[DTYPE_I4_128] = decode_i4_128,
};

void
quant_decode(dtype t, float *y, const void *x, int64_t n)
{
	const int64_t block = dtype_block(t), bytes = dtype_bytes(t, block);
	const uint8_t *from = x;

	for (int64_t i = 0; i < n; i += block, from += bytes)
		decode[t](y + i, from);
}
