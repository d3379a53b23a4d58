/*
 * rng_impl - the numbers of base/rng.h, for kernels of a GPU too
 */
#ifndef BASE_RNG_IMPL_H
#define BASE_RNG_IMPL_H

#include <stdint.h>

#include "base/alike.h"

/* rng_u32x4() */
ALIKE void
philox(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4])
{
	uint32_t c[4] = { (uint32_t)index, (uint32_t)(index >> 32),
	    (uint32_t)stream, (uint32_t)(stream >> 32) };
	uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);

	for (int round = 0; round < 10; round++) {
		uint64_t a = (uint64_t)c[0] * 0xd2511f53u, b = (uint64_t)c[2] * 0xcd9e8d57u;

		c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k0;
		c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k1;
		c[1] = (uint32_t)b;
		c[3] = (uint32_t)a;
		k0 += 0x9e3779b9u;
		k1 += 0xbb67ae85u;
	}
	for (int i = 0; i < 4; i++)
		out[i] = c[i];
}

/* rng_u64() */
ALIKE uint64_t
philox_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
	uint32_t x[4];

	philox(seed, stream, index, x);
	return (uint64_t)x[1] << 32 | x[0];
}

#endif
