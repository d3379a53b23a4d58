/*
 * ranker - a text's label, its score and its rank: by a classifier or by perplexity
 */
#ifndef EVAL_RANKER_H
#define EVAL_RANKER_H

#include "eval/classifier.h"
#include "eval/surprise.h"

/* Of two, one; both are the caller's. */
struct ranker {
	struct classifier *classifier;
	int		 kept;		/* number of the label that counts; -1: the best one */
	struct surprise	*surprise;
	double		 cut[2];	/* ranks that begin the middle and the head, tail below */
};

/* What a thread has: zeroed at first. */
struct ranker_state {
	struct classifier_state	classifier;
	struct surprise_state	surprise;
};

struct ranked {
	const char	*label;		/* NULL: there is nothing to judge by */
	double		 score;		/* the probability, or the perplexity */
	double		 rank;		/* more is better; one that a float holds */
};

/* Return 0 or -1. */
int ranker_judge(const struct ranker *r, struct ranker_state *s, str text, struct ranked *v,
    struct err *err);
void ranker_state_free(struct ranker_state *s);

#endif
