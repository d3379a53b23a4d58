/*
 * blocks - types of blocks as arguments of templates, and their elements as floats
 */
#ifndef DEV_CUDA_BLOCKS_CUH
#define DEV_CUDA_BLOCKS_CUH

#include "base/quant_block.h"
#include "dev/cuda/common.cuh"

/* q4_0::word() and so on. */
#define TRAITS(type, name, block, bytes, part, zero, least)			\
struct name {									\
	enum { BLOCK = block, BYTES = bytes, PART = part, LEAST = least };	\
	enum { ZERO = zero };							\
	static __device__ __forceinline__ uint32_t				\
	word(const uint8_t *x, int i) { return quant_word_##name(x, i); }	\
	static __device__ __forceinline__ struct quant_scale			\
	scale(const uint8_t *x, int i) { return quant_scale_##name(x, i); }	\
};
QUANT_BLOCKS(TRAITS)

/* Bytes of n elements, n whole blocks. */
template <typename Q> DEVICE int64_t
bytes_of(int64_t n)
{
	return n / Q::BLOCK * Q::BYTES;
}

/* y[0..4) = scale times elements 4 i to 4 i + 3 of a row */
template <typename Q> DEVICE void
decode_four(float (&y)[4], const uint8_t *row, int64_t i, float scale)
{
	const uint8_t *x = row + i / (Q::BLOCK / 4) * Q::BYTES;
	int word = (int)(i % (Q::BLOCK / 4));
	uint32_t q = Q::word(x, word);
	struct quant_scale s = Q::scale(x, word * 4 / Q::PART);

	for (int e = 0; e < 4; e++) {
		y[e] = __fmul_rn(s.d, (float)((int)(q >> 8 * e & 255) - Q::ZERO));
		if (Q::LEAST)
			y[e] = __fadd_rn(y[e], s.m);
		y[e] = __fmul_rn(y[e], scale);
	}
}

#endif
