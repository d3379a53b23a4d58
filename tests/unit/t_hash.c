/*
 * Hashes are those of libxxhash, for every instruction set and length, whole
 * and in pieces.
 */
#include <xxhash.h>

#include "base/hash.h"
#include "base/hash_simd.h"
#include "../tap.h"

static char data[5000];

static bool
same(uint64_t (*hash)(const char *s, ptrdiff_t n, uint64_t seed))
{
	for (ptrdiff_t n = 0; n <= (ptrdiff_t)sizeof(data) - 3; n += n < 300 ? 1 : 37)
		for (uint64_t seed = 0; seed < 3; seed++)
			if (hash(data + seed, n, seed << 40) !=
			    XXH3_64bits_withSeed(data + seed, (size_t)n, seed << 40))
				return false;
	return true;
}

static uint64_t
by_hash64_seed(const char *s, ptrdiff_t n, uint64_t seed)
{
	return hash64_seed((str){ s, n }, seed);
}

static void
pieces(void)
{
	struct err err;
	struct hasher *h = hasher_new(&err);
	hash128 whole = hash128_of((str){ data, sizeof(data) }), got;

	for (ptrdiff_t at = 0, n = 1; at < (ptrdiff_t)sizeof(data); at += n, n = n * 3 % 701) {
		if (n > (ptrdiff_t)sizeof(data) - at)
			n = (ptrdiff_t)sizeof(data) - at;
		hasher_add(h, (str){ data + at, n });
	}
	got = hasher_end(h);
	ok(got.lo == whole.lo && got.hi == whole.hi, "128 bits of pieces");
	ok(hasher_end64(h) == hash64((str){ data, sizeof(data) }), "64 bits of pieces");
	hasher_free(h);
}

int
main(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)((x = x * 1103515245 + 12345) >> 16);
	ok(same(by_hash64_seed), "64 bits with a seed");
	ok(hash64((str){ data, 4000 }) == XXH3_64bits(data, 4000), "and without");
	ok(same(hash_simd_base.hash64), "base");
#ifdef __x86_64__
	if (isa_best() >= ISA_LEVEL_AVX2)
		ok(same(hash_simd_avx2.hash64), "avx2");
	if (isa_best() >= ISA_LEVEL_AVX512)
		ok(same(hash_simd_avx512.hash64), "avx512");
#endif
	pieces();
	return tap_done();
}
