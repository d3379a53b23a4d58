/*
 * sweep - short trials that find a learning rate and a batch size
 *
 * Each trial loads the model anew, and trains it as llm-train(1) would.
 */
#ifndef TRAIN_SWEEP_H
#define TRAIN_SWEEP_H

#include "train/trainer.h"

struct sweep {
	const char	*model;		/* directory */
	struct dev	*dev;
	struct loader	*rows, *valid;	/* valid NULL: none */
	dtype		 compute;	/* of params: nn.h */
	struct train_options o;		/* the schedule's peak, shape and steps are the trial's */
	int64_t		 steps;		/* of one trial */
	void		(*progress)(void *ctx, int64_t trial, int64_t step, double loss);
	void		*ctx;
};

struct sweep_point {
	double	x;			/* rate, or step */
	double	loss;			/* as it is; of a grid, at the end */
	double	smooth;			/* range: mean that decays by 0.9 a step, unbiased */
	double	noise;			/* batch: tr(S) / |G|^2 over the steps so far, tokens */
};

struct sweep_result {
	struct sweep_point *point;	/* malloced; sweep_free() */
	int64_t	n;
	double	best;			/* rate of the least loss: smooth of a range */
	double	steepest, safe;		/* range: see sweep_range() */
	double	noise;			/* batch: the last point's */
	int64_t	memory, micro;		/* memory: bytes predicted for passes of micro tokens */
};
void sweep_free(struct sweep_result *r);

/*
 * Learning-rate range test (arXiv 1506.01186): the rate rises exponentially
 * from..to; it ends early where the smooth loss is over 4 times its least, or
 * not finite.  steepest is the rate where smooth falls most for the logarithm
 * of the rate, safe a tenth of the rate where it is least.
 */
int sweep_range(const struct sweep *s, double from, double to, struct sweep_result *r,
    struct err *err);

/* A run of each rate with its whole schedule; the loss on valid, or else of the last tenth. */
int sweep_grid(const struct sweep *s, const double *rate, int n, struct sweep_result *r,
    struct err *err);

/*
 * The noise scale (arXiv 1812.06162, appendix A): with g_i the mean gradient of
 * pass i over its b_i targets and g that of the step's B, tr(S) is
 * (mean |g_i|^2 - |g|^2) / (mean 1/b_i - 1/B), |G|^2 is |g|^2 - tr(S) / B, and
 * the scale is the quotient of their means over the steps.
 */
int sweep_batch(const struct sweep *s, double rate, struct sweep_result *r, struct err *err);

/* Both estimates from one step: small and big are the squares of the norms. */
void noise_estimate(double small, double small_part, double big, double big_part,
    double *trace, double *square);

/* The largest pass, a multiple of the row length, whose predicted memory fits. */
int sweep_memory(const struct sweep *s, int64_t bytes, struct sweep_result *r,
    struct err *err);

#endif
