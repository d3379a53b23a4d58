/*
 * hash_simd - the inner loop of hash.c, compiled once for each instruction set
 */
#ifndef BASE_HASH_SIMD_H
#define BASE_HASH_SIMD_H

#include <stddef.h>
#include <stdint.h>

#include "base/isa.h"

struct hash_simd {
	uint64_t (*hash64)(const char *s, ptrdiff_t n, uint64_t seed);
};

extern const struct hash_simd hash_simd_base;
#ifdef __x86_64__
extern const struct hash_simd hash_simd_avx2, hash_simd_avx512;
#endif

static inline const struct hash_simd *
hash_simd(void)
{
#ifdef __x86_64__
	enum isa best = isa_best();

	if (best >= ISA_LEVEL_AVX512)
		return &hash_simd_avx512;
	if (best == ISA_LEVEL_AVX2)
		return &hash_simd_avx2;
#endif
	return &hash_simd_base;
}

#endif
