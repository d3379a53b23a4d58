#include "base/rng.h"

#include <math.h>

#include "base/rng_impl.h"

__extension__ typedef unsigned __int128 wide;

void
rng_u32x4(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4])
{
	philox(seed, stream, index, out);
}

uint64_t
rng_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
	return philox_u64(seed, stream, index);
}

uint64_t
rng_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n)
{
	return (uint64_t)((wide)rng_u64(seed, stream, index) * n >> 64);
}

double
rng_unit(uint64_t seed, uint64_t stream, uint64_t index)
{
	return (double)(rng_u64(seed, stream, index) >> 11) * 0x1p-53;
}

double
rng_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
	uint32_t x[4];
	double u, v;

	rng_u32x4(seed, stream, index, x);
	u = ((double)(((uint64_t)x[1] << 32 | x[0]) >> 11) + 0.5) * 0x1p-53;
	v = (double)(((uint64_t)x[3] << 32 | x[2]) >> 11) * 0x1p-53;
	return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}

uint64_t
rng_permute(uint64_t seed, uint64_t stream, uint64_t i, uint64_t n)
{
	int half = 1;
	uint64_t mask;

	while (half < 32 && (uint64_t)1 << 2 * half < n)
		half++;
	mask = ((uint64_t)1 << half) - 1;
	do {
		uint64_t l = i >> half, r = i & mask;

		for (uint64_t round = 0; round < 6; round++) {
			uint64_t f = rng_u64(seed, stream + round * 0x9e3779b97f4a7c15u, r) & mask;
			uint64_t t = r;

			r = l ^ f;
			l = t;
		}
		i = l << half | r;
	} while (i >= n);
	return i;
}
