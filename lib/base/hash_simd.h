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

ISA_TABLE(hash_simd)

#endif
