/*
 * schedule - the learning rate as a function of the step
 *
 * Warm-up rises linearly to the peak at step warmup; then one of the shapes
 * falls to peak * floor at the last step.  WSD (arXiv 2405.18392) is constant
 * until the last decay part of the steps, then falls by 1 - sqrt.
 */
#ifndef TRAIN_SCHEDULE_H
#define TRAIN_SCHEDULE_H

#include <stdint.h>

#include "base/err.h"

enum schedule_shape {
	SCHEDULE_COSINE, SCHEDULE_LINEAR, SCHEDULE_WSD, SCHEDULE_CONSTANT,
	SCHEDULE_RISING,	/* exponentially from floor * peak; has no name */
};

struct schedule {
	enum schedule_shape shape;
	double	peak;		/* learning rate */
	double	floor;		/* of the peak, at the end */
	double	decay;		/* WSD: the part of all steps that falls */
	int64_t	warmup, steps;
};

/* "cosine", "linear", "wsd", "constant".  Return 0 or -1. */
int schedule_parse(const char *name, enum schedule_shape *shape, struct err *err);
const char *schedule_name(enum schedule_shape shape);

/* The rate of step, counted from 0. */
double schedule_rate(const struct schedule *s, int64_t step);

/*
 * A batch that grows: so many tokens a step for so many steps, part after
 * part, and then the full batch.  What a step takes and what was taken before
 * it are functions of the step.
 */
#define RAMP_PARTS 16

struct ramp {
	int	n;
	struct ramp_part { int64_t tokens, steps; } part[RAMP_PARTS];
};

/* "2048:500,4096:1000"; NULL: none.  Return 0 or -1. */
int ramp_parse(const char *text, struct ramp *r, struct err *err);

/* Tokens of a step counted from 0, and of all steps before it; batch is the full one. */
int64_t ramp_tokens(const struct ramp *r, int64_t batch, int64_t step);
int64_t ramp_before(const struct ramp *r, int64_t batch, int64_t step);

/* Steps that take at least so many tokens. */
int64_t ramp_steps(const struct ramp *r, int64_t batch, double tokens);

#endif
