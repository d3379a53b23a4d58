/*
 * sizes - a config from a few numbers, what it costs, and whether it works
 */
#ifndef MODEL_SIZES_H
#define MODEL_SIZES_H

#include "model/model.h"

/* Tokens of a pass that the cost of serving is for, as llm-generate has them. */
#define COST_SERVE_TOKENS 512

/*
 * Fill in the sizes that are 0.  params > 0 chooses width and layers so that
 * about so many parameters come out: for each width (32, 64, 128, 192, 256,
 * and on in steps of 128) the number of layers that comes nearest; among the
 * pairs within a tenth of params the one whose width is nearest to 64 times
 * its layers; without such a pair the nearest one, and an error when that is
 * off by more than a quarter.  Heads are of 64 (32 below a width of 256), keys
 * have at most half as many; ffn is 8/3 of the width rounded up to a multiple
 * of 64 (gpt2: 4 times); the context is 1024.
 */
int config_complete(struct config *c, int64_t params, struct err *err);

struct model_cost {
	int64_t	params, embedding;	/* of them in tables of tokens and positions */
	double	flops_forward, flops_train;	/* of one token, in full contexts */
	/* bytes, of fp32: */
	int64_t	weights;
	int64_t	cache;			/* keys and values of one full context */
	int64_t	serve_pass;		/* activations of COST_SERVE_TOKENS */
};
int model_cost(const struct config *c, struct model_cost *cost, struct err *err);

/* One forward and backward pass on random tokens by seed.  The model has gradients. */
struct model_trial {
	int64_t	tokens;
	double	loss, expected, least, most;	/* nats a token */
	double	norm;				/* of the gradient */
	bool	good;	/* loss from least to most, norm finite and not 0 */
};

/*
 * With random weights of deviation s the logits' is s sqrt(width), as the final
 * norm leaves rows of mean square 1; so the loss is near ln V + s^2 width / 2.
 * It may be off by 0.1, half of that term, and four deviations of the mean.  A
 * scaled embedding that is the head too drowns what layers add: each token then
 * expects itself, with a logit near s width.
 */
int model_try(struct model *m, uint64_t seed, struct model_trial *r, struct err *err);

#endif
