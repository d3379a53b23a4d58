/*
 * divergence - how far a model's predictions are from those of another
 *
 * For every token of some documents the Kullback-Leibler divergence of the
 * model's distribution over the next one from the reference's, whether both
 * have the same most likely token, and the losses of both.  Documents are cut
 * into pieces of a context.  Memory: the logits of a piece, twice.
 */
#ifndef EVAL_DIVERGENCE_H
#define EVAL_DIVERGENCE_H

#include "model/model.h"

struct divergence_report {
	int64_t	tokens, targets;	/* targets: tokens whose next one is known */
	double	kl, kl_99, kl_max;	/* nats: mean, 99th percentile, largest */
	double	same_top;		/* share of tokens */
	double	loss, reference_loss;	/* nats a target */
};

struct divergence;

/* Of models of one vocabulary on one device; pieces of context tokens, 0: 512 at most. */
struct divergence *divergence_new(struct model *m, struct model *reference, int64_t context,
    struct err *err);
int divergence_add(struct divergence *d, const uint32_t *token, int64_t n, struct err *err);
int divergence_end(struct divergence *d, struct divergence_report *r, struct err *err);
void divergence_free(struct divergence *d);

#endif
