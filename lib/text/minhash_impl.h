/*
 * minhash_impl - the inner loops of minhash.c, once for each instruction set
 */
#ifndef TEXT_MINHASH_IMPL_H
#define TEXT_MINHASH_IMPL_H

#include <stddef.h>
#include <stdint.h>

#include "base/isa.h"

#define MINHASH_PAD 64		/* bytes behind a text that words() may read */

struct minhash_simd {
	/* Copy with A-Z in lower case; return whether all of it is ASCII. */
	int (*lower)(char *to, const char *s, ptrdiff_t n);
	/*
	 * Hash the runs of a-z, 0-9 and bytes from 0x80 on in s, n bytes and
	 * MINHASH_PAD more; hash has room for n / 2 + 1.  Return how many.
	 */
	ptrdiff_t (*words)(const char *s, ptrdiff_t n, uint64_t *hash);
	/* low[j] = min over the set of a[j] * x + b[j] mod 2^32, j below k. */
	void (*minima)(uint32_t *low, const uint32_t *a, const uint32_t *b, int k,
	    const uint64_t *set, ptrdiff_t n);
	/*
	 * Copy with runs of ASCII white space as one space, none at the ends; to
	 * has room for n + MINHASH_PAD.  Return the length.
	 */
	ptrdiff_t (*fold)(char *to, const char *s, ptrdiff_t n);
};

ISA_TABLE(minhash_simd)

#endif
