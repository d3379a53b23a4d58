/* divergence_impl - several models against one reference: private to lib/eval */
#ifndef EVAL_DIVERGENCE_IMPL_H
#define EVAL_DIVERGENCE_IMPL_H

#include "base/buf.h"
#include "eval/divergence.h"

struct side {
	struct model	*model;
	struct tape	*tape;
	struct model_io	 io;
	float		*logits;	/* (context, V) */
};

/* Sums over the tokens that one model was compared at. */
struct tally {
	int64_t		 targets, same;
	double		 loss[2];
	struct buf	 all;		/* divergences, double */
};

struct divergence {
	struct side	 side[2];	/* the model, the reference */
	int64_t		 context, vocab;
	int32_t		*index;		/* 0, 1, 2 ... */
	const uint32_t	*token;		/* of the piece, */
	int64_t		 n;		/* and how many */
	double		*row;		/* of each token: divergence, both losses, same top */
	struct tally	 tally;
};

/* Record the model again, whose parameters are others now. */
int divergence_record(struct divergence *d, struct err *err);

/*
 * For each piece of some tokens: the reference's logits, then each(), which may
 * compare the model, as it is recorded, any number of times.
 */
typedef int divergence_each(void *ctx, struct err *err);
int divergence_pieces(struct divergence *d, const uint32_t *token, int64_t n,
    divergence_each *each, void *ctx, struct err *err);
int divergence_compare(struct divergence *d, struct tally *t, struct err *err);
int tally_report(const struct tally *t, struct divergence_report *r, struct err *err);

#endif
