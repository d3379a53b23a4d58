/*
 * sampler - from logits to a token
 *
 * Temperature first, then the top_k most likely, then as many of those as
 * reach top_p, then those of at least min_p of the best.  The draw is a
 * function of (seed, stream, index), so a text never depends on what else is
 * generated with it.  Temperature 0 takes the most likely, the lowest id of
 * equal ones.
 */
#ifndef INFER_SAMPLER_H
#define INFER_SAMPLER_H

#include <stdint.h>

#include "base/err.h"

struct sampler {
	double		 temperature;
	int64_t		 top_k;		/* 0: all */
	double		 top_p, min_p;	/* 1 and 0: all */
	uint64_t	 seed;
	/* scratch, from sampler_init() */
	int64_t		 vocab;
	int32_t		*heap;
};

/* The first five fields are set by the caller. */
int sampler_init(struct sampler *s, int64_t vocab, struct err *err);
int32_t sampler_pick(struct sampler *s, const float *logits, uint64_t stream, uint64_t index);
void sampler_free(struct sampler *s);

#endif
