/*
 * cached - keys and values in the types that a cache has them in
 *
 * Those of activations, and Q8_0 and Q4_0, whose rows are whole blocks.
 */
#ifndef DEV_CUDA_CACHED_CUH
#define DEV_CUDA_CACHED_CUH

#include "dev/cuda/blocks.cuh"

DEVICE bool
is_of_blocks(dtype type)
{
	return type == DTYPE_Q8_0 || type == DTYPE_Q4_0;
}

template <typename Q> DEVICE float
element_of(const uint8_t *x, int64_t i)
{
	int at = (int)(i % Q::BLOCK);

	x += i / Q::BLOCK * Q::BYTES;
	return Q::scale(x, 0).d * (float)((int)(Q::word(x, at / 4) >> at % 4 * 8 & 255) - Q::ZERO);
}

/* As get_as(). */
DEVICE float
get_cached(dtype type, dptr p, int64_t i)
{
	return type == DTYPE_Q8_0 ? element_of<q8_0>(at<const uint8_t>(p), i) :
	    type == DTYPE_Q4_0 ? element_of<q4_0>(at<const uint8_t>(p), i) : get_as(type, p, i);
}

/* Four of blocks, from i on. */
DEVICE void
get_four(float (&y)[4], dtype type, dptr p, int64_t i)
{
	if (type == DTYPE_Q8_0)
		decode_four<q8_0>(y, at<const uint8_t>(p), i / 4, 1);
	else
		decode_four<q4_0>(y, at<const uint8_t>(p), i / 4, 1);
}

/* A block of the elements that a warp's lanes have: the bytes of quant_encode(). */
DEVICE void
put_block(dtype type, dptr p, int64_t block, float x)
{
	float top = warp_max(fabsf(x)), d, inverse;
	int first = __ffs(__ballot_sync(~0u, fabsf(x) == top)) - 1, q, other;
	bool eight = type == DTYPE_Q8_0;
	uint8_t *y = at<uint8_t>(p) + block * (eight ? q8_0::BYTES : q4_0::BYTES);

	d = eight ? top / 127 : __shfl_sync(~0u, x, first) / -8;
	inverse = d != 0 ? 1 / d : 0;
	x = __fmul_rn(x, inverse);
	q = eight ? (int)__fadd_rn(x, copysignf(0.5f, x)) : (int)fminf(__fadd_rn(x, 8.5f), 15);
	other = __shfl_down_sync(~0u, q, 16);
	if (lane() == 0)
		*(f16 *)y = __float2half_rn(d);
	if (eight || lane() < 16)
		/* sectors: blocks are of 18 bytes, or of 34 */
		y[2 + lane()] = (uint8_t)(eight ? q : q | other << 4);
}

#endif
