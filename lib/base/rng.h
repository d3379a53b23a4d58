/*
 * rng - counter-based random numbers: Philox 4x32, 10 rounds
 *
 * A number is a function of (seed, stream, index) and nothing else, so any
 * thread, rank or resumed run draws the same ones.  stream names what the
 * numbers are for: a hash of a tensor's name, a step, a purpose.
 *
 * Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (2011).
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

/* Four independent 32-bit numbers for counter index. */
void rng_u32x4(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]);

/* One 64-bit number. */
uint64_t rng_u64(uint64_t seed, uint64_t stream, uint64_t index);

/* Uniform in [0, n), without bias that matters: n < 2^48. */
uint64_t rng_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n);

/* Uniform in [0, 1) with 53 bits. */
double rng_unit(uint64_t seed, uint64_t stream, uint64_t index);

/* Standard normal (Box-Muller on one counter's numbers). */
double rng_normal(uint64_t seed, uint64_t stream, uint64_t index);

/*
 * A permutation of [0, n) as a function: where does sample i go?  A keyed
 * Feistel network with cycle walking, so no table is ever held.
 */
uint64_t rng_permute(uint64_t seed, uint64_t stream, uint64_t i, uint64_t n);

#endif
