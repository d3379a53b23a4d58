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

enum schedule_shape { SCHEDULE_COSINE, SCHEDULE_LINEAR, SCHEDULE_WSD, SCHEDULE_CONSTANT };

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

#endif
