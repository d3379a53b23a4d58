/*
 * cost - what a launch asks of the machine: multiply-adds and bytes
 *
 * FLOPs are those of matrix products, attention and recurrences: other kernels
 * are held up by memory alone.  Bytes are the least that must pass: each
 * operand read once and each result written once, as if caches were endless.
 */
#ifndef DEV_COST_H
#define DEV_COST_H

#include "dev/kernels.h"

struct dev_cost {
	double	flops, bytes;
	char	shape[48];	/* what tells launches of one kernel apart: "768x3072", or "" */
};

/*
 * Counts are read from the device, which waits for it; with dev NULL they are
 * the capacities, sequences equally long, and a paged cache full.
 */
void dev_cost(struct dev *dev, int kernel, const union dev_args *a, struct dev_cost *cost);

#endif
