/*
 * trials - kernels one by one, at the shapes that training a small model has
 *
 * Linear layers of GPT-2 124M, attention over sequences of several lengths, the
 * head's chunks, rows of width 768, experts and recurrences; operands are random.
 */
#ifndef DEV_TRIALS_H
#define DEV_TRIALS_H

#include "dev/cost.h"

struct trial {
	const char	*name;		/* of the kernel */
	const char	*shape;
	double		 seconds;	/* the best of several runs */
	struct dev_cost	 cost;
	dtype		 weights;	/* of products: their type, else NONE */
};

struct trials_options {
	dtype	type;			/* of activations */
	int64_t	tokens;			/* rows of activations: a multiple of 128 */
	double	seconds;		/* each kernel runs about so long */
	const char *only;		/* kernels whose names begin so; NULL: all */
	/* Called for each; the trial is good until it returns. */
	void	(*each)(void *ctx, const struct trial *t);
	void	*ctx;
};

/* Return 0, or -1: memory, or a kernel that failed. */
int trials_run(struct dev *dev, const struct trials_options *o, struct err *err);

#endif
