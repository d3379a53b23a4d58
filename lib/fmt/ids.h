/*
 * ids - copies of token ids that change their width, for each instruction set
 *
 * Each copies n ids and returns the largest, 0 when there is none.
 */
#ifndef FMT_IDS_H
#define FMT_IDS_H

#include <stdint.h>

#include "base/isa.h"

struct ids_simd {
	uint32_t (*narrow)(uint16_t *restrict to, const uint32_t *restrict from, int64_t n);
	uint32_t (*widen)(uint32_t *restrict to, const uint16_t *restrict from, int64_t n);
	uint32_t (*copy)(uint32_t *restrict to, const uint32_t *restrict from, int64_t n);
};

extern const struct ids_simd ids_simd_base;
#ifdef __x86_64__
extern const struct ids_simd ids_simd_avx2, ids_simd_avx512;
#endif

static inline const struct ids_simd *
ids_simd(void)
{
#ifdef __x86_64__
	enum isa best = isa_best();

	if (best >= ISA_LEVEL_AVX512)
		return &ids_simd_avx512;
	if (best == ISA_LEVEL_AVX2)
		return &ids_simd_avx2;
#endif
	return &ids_simd_base;
}

#endif
