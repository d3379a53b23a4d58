/*
 * logits_impl - passes over a vocabulary, compiled once for each instruction set
 *
 * All of them give the same numbers: sums are those of LOGITS_LANES lanes, and
 * nothing is contracted.  NaN counts as minus infinity.
 */
#ifndef INFER_LOGITS_IMPL_H
#define INFER_LOGITS_IMPL_H

#include <stdint.h>

#include "base/isa.h"

enum { LOGITS_LANES = 16 };

struct logits_simd {
	/* The greatest, or minus infinity. */
	float	(*max)(const float *x, int64_t n);
	/* w = exp((x - max) scale), to 2e-7 of it, 0 below 1e-37; the sum.  w may be x. */
	double	(*weights)(float *w, const float *x, int64_t n, float max, float scale);
	/* Their sum alone. */
	double	(*sum)(const float *x, int64_t n, float max, float scale);
	/* Write the places of those of at least low; how many. */
	int64_t	(*at_least)(int32_t *at, const float *w, int64_t n, float low);
	/*
	 * Each of n runs a time that is exponential with rate w and a function of
	 * its id and the key alone: who arrives first?  i is drawn with the
	 * probability w[i] / sum.  id NULL: 0, 1, 2 ...; -1 when all are 0.
	 */
	int64_t	(*race)(const float *w, const int32_t *id, int64_t n, uint64_t key);
};

ISA_TABLE(logits_simd)

#endif
