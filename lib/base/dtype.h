/*
 * dtype - the number formats that tensors are stored in
 *
 * Names and sizes are those of safetensors, and of GGUF for the types that
 * store blocks of elements together (base/quant.h).  I4_32 to I4_128 are in no
 * file as they are: compressed-tensors has their scales apart.
 */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

#include <stdint.h>
#include <string.h>

#include "base/str.h"

typedef enum {
	DTYPE_NONE, DTYPE_F64, DTYPE_F32, DTYPE_F16, DTYPE_BF16,
	DTYPE_I64, DTYPE_I32, DTYPE_I16, DTYPE_I8,
	DTYPE_U64, DTYPE_U32, DTYPE_U16, DTYPE_U8, DTYPE_BOOL,
	DTYPE_F8_E4M3, DTYPE_F8_E5M2,
	DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_Q8_0,
	DTYPE_Q2_K, DTYPE_Q3_K, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K,
	DTYPE_IQ4_NL, DTYPE_IQ4_XS, DTYPE_I4_32, DTYPE_I4_64, DTYPE_I4_128, DTYPE_COUNT
} dtype;

/* Bytes of one element; 0 for a type of blocks. */
int dtype_size(dtype t);

/* Elements stored together: 1, or those of a block. */
int dtype_block(dtype t);

/* Bytes of n elements, whole blocks of them. */
int64_t dtype_bytes(dtype t, int64_t n);

/* "F32", and back; DTYPE_NONE for an unknown name. */
const char *dtype_name(dtype t);
dtype dtype_of(str name);

/* The same, letters of any case. */
dtype dtype_parse(str name);

static inline float
bf16_to_f32(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

/* Round to nearest even; a NaN stays one. */
static inline uint16_t
f32_to_bf16(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f);

/* Convert n elements of a float type (F64 F32 F16 BF16) to another. */
void dtype_convert(void *to, dtype to_type, const void *from, dtype from_type, int64_t n);

#endif
