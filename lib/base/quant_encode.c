#include "base/quant_impl.h"
#include "base/quant_pack_impl.h"

void
quant_encode(dtype t, void *x, const float *y, int64_t n, const float *weight)
{
	const int block = dtype_block(t);
	const int64_t bytes = dtype_bytes(t, block);
	const bool plain = weight == NULL && block < 256 && t != DTYPE_IQ4_NL;
	const struct quant_simd *simd = quant_simd();
	uint8_t *to = x;
	float w[QUANT_BLOCK_MAX];

	for (int64_t i = 0; i < n; i += block, to += bytes) {
		if (!plain)
			simd->weigh(w, y + i, weight != NULL ? weight + i : NULL, block);
		simd->encode[t](to, y + i, plain ? NULL : w);
	}
}

void
quant_lost(double sum[2], const float *y, const float *back, const float *w, int64_t n)
{
	quant_simd()->lost(sum, y, back, w, n);
}

int
quant_levels(dtype t)
{
	switch (t) {
	case DTYPE_Q2_K:
		return 4;
	case DTYPE_Q3_K:
		return 8;
	case DTYPE_Q4_0: case DTYPE_Q4_1: case DTYPE_Q4_K: case DTYPE_IQ4_NL: case DTYPE_IQ4_XS:
	case DTYPE_I4_32: case DTYPE_I4_64: case DTYPE_I4_128:
		return 16;
	case DTYPE_Q5_0: case DTYPE_Q5_1: case DTYPE_Q5_K:
		return 32;
	case DTYPE_Q6_K:
		return 64;
	default:
		return 256;
	}
}

bool
quant_even(dtype t)
{
	return dtype_block(t) > 1 && t != DTYPE_IQ4_NL && t != DTYPE_IQ4_XS;
}

static void (*const pack[DTYPE_COUNT])(uint8_t *x, const uint8_t *q) = {
	[DTYPE_Q4_0] = pack_q4_0, [DTYPE_Q4_1] = pack_q4_1, [DTYPE_Q5_0] = pack_q5_0,
	[DTYPE_Q5_1] = pack_q5_1, [DTYPE_Q8_0] = pack_q8_0, [DTYPE_Q2_K] = pack_q2_k,
	[DTYPE_Q3_K] = pack_q3_k, [DTYPE_Q4_K] = pack_q4_k, [DTYPE_Q5_K] = pack_q5_k,
	[DTYPE_Q6_K] = pack_q6_k, [DTYPE_IQ4_NL] = pack_q4_0, [DTYPE_IQ4_XS] = pack_iq4_xs,
	[DTYPE_I4_32] = pack_i4_32, [DTYPE_I4_64] = pack_i4_64, [DTYPE_I4_128] = pack_i4_128,
};

void
quant_pack(dtype t, void *x, const uint8_t *q, int64_t n)
{
	const int block = dtype_block(t);
	uint8_t *to = x;

	for (int64_t i = 0; i < n; i += block, to += dtype_bytes(t, block))
		pack[t](to, q + i);
}
