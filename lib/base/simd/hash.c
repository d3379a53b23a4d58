/* XXH3 of long strings; its own loops are vectors of whatever is compiled for. */
#define XXH_INLINE_ALL
#include "base/hash_simd.h"

#include <xxhash.h>

static uint64_t
hash64_long(const char *s, ptrdiff_t n, uint64_t seed)
{
	return XXH3_64bits_withSeed(s, (size_t)n, seed);
}

const struct hash_simd OF_ISA(hash_simd) = { hash64_long };
