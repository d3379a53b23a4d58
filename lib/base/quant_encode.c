#include "base/quant_impl.h"

static const struct quant_simd *
encoders(void)
{
#ifdef __x86_64__
	enum isa best = isa_best();

	if (best >= ISA_LEVEL_AVX512)
		return &quant_simd_avx512;
	if (best == ISA_LEVEL_AVX2)
		return &quant_simd_avx2;
#endif
	return &quant_simd_base;
}

void
quant_encode(dtype t, void *x, const float *y, int64_t n, const float *weight)
{
	const int block = dtype_block(t);
	const int64_t bytes = dtype_bytes(t, block);
	const bool plain = weight == NULL && block == 32 && t != DTYPE_IQ4_NL;
	const struct quant_simd *simd = encoders();
	uint8_t *to = x;
	float w[QUANT_BLOCK_MAX];

	for (int64_t i = 0; i < n; i += block, to += bytes) {
		if (!plain)
			simd->weigh(w, y + i, weight != NULL ? weight + i : NULL, block);
		simd->encode[t](to, y + i, plain ? NULL : w);
	}
}
