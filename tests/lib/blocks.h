/*
 * blocks - random weights in the types of blocks that products take, and what they multiply
 */
#ifndef TESTS_LIB_BLOCKS_H
#define TESTS_LIB_BLOCKS_H

#include <string.h>

#include "base/quant.h"
#include "base/rng.h"
#include "memory.h"

/* Types, and where their fp16 numbers are. */
static const struct { dtype type; int half[2]; } types[] = {
	{ DTYPE_Q4_0, { 0, 0 } }, { DTYPE_Q4_1, { 0, 2 } }, { DTYPE_Q5_0, { 0, 0 } },
	{ DTYPE_Q5_1, { 0, 2 } }, { DTYPE_Q8_0, { 0, 0 } }, { DTYPE_Q2_K, { 80, 82 } },
	{ DTYPE_Q3_K, { 108, 108 } }, { DTYPE_Q4_K, { 0, 2 } }, { DTYPE_Q5_K, { 0, 2 } },
	{ DTYPE_Q6_K, { 208, 208 } }, { DTYPE_IQ4_NL, { 0, 0 } }, { DTYPE_IQ4_XS, { 0, 0 } },
};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

/* One of from to to; drawn counts. */
static inline int64_t
draw_from(uint64_t *drawn, int64_t from, int64_t to)
{
	return from + (int64_t)rng_below(7, 1, (*drawn)++, (uint64_t)(to - from + 1));
}

/* n elements in random blocks of type number t; y is what they mean. */
static inline uint8_t *
random_blocks(uint64_t *drawn, int t, int64_t n, float *y)
{
	dtype type = types[t].type;
	int64_t bytes = dtype_bytes(type, n), each = dtype_bytes(type, dtype_block(type));
	uint8_t *x = must(malloc((size_t)bytes + 1));

	for (int64_t i = 0; i < bytes; i++)
		x[i] = (uint8_t)draw_from(drawn, 0, 255);
	for (int64_t i = 0; i < bytes; i += each)
		for (int h = 0; h < 2; h++) {
			uint16_t d = f32_to_f16((float)draw_from(drawn, -1000, 1000) * 1e-5f);

			memcpy(x + i + types[t].half[h], &d, sizeof(d));
		}
	quant_decode(type, y, x, n);
	return x;
}

/* n random numbers of a type; x is what they are. */
static inline void *
random_floats(uint64_t *drawn, dtype type, int64_t n, float *x)
{
	void *p = must(malloc((size_t)(n * dtype_size(type)) + 1));

	for (int64_t i = 0; i < n; i++)
		x[i] = (float)rng_normal(7, 2, (*drawn)++);
	dtype_convert(p, type, x, DTYPE_F32, n);
	dtype_convert(x, DTYPE_F32, p, type, n);
	return p;
}

#endif
