/*
 * roc - how well scores tell texts with a label from those without
 *
 * Holds 8 bytes a text.
 */
#ifndef EVAL_ROC_H
#define EVAL_ROC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct roc {
	struct roc_text {
		float	score;
		bool	has;		/* the label */
	}		*text;
	int64_t		 n, cap, nhas;
	double		 loss, square;	/* sums: of logarithms, of squares */
};

/* What a threshold keeps: texts with that score or more. */
struct roc_at {
	double	threshold, kept, precision, recall;
};

int roc_add(struct roc *r, float score, bool has, struct err *err);

/* Sort, when all are added: before what follows. */
void roc_end(struct roc *r);

/* The chance that a text with the label has more than one without, ties half; NAN: of no pairs. */
double roc_auc(const struct roc *r);
struct roc_at roc_at(const struct roc *r, double threshold);

/* The highest threshold that keeps this rate of the texts, or more. */
double roc_threshold(const struct roc *r, double rate);

/* Mean difference of score and truth, over ten ranges of scores (expected calibration error). */
double roc_calibration(const struct roc *r);

/* All of it as an object; NULL without memory. */
json_t *roc_report(const struct roc *r);
void roc_free(struct roc *r);

/* The same of all labels of a classifier, up to OUTCOME_LABELS one by one. */
#define OUTCOME_LABELS 64

struct outcome {
	char		*const *label;	/* borrowed */
	int		 nlabels;
	struct roc	*roc;
	int64_t		 n, right;	/* texts; labelled rightly by the most probable one */
};

int outcome_begin(struct outcome *o, char *const *label, int nlabels, struct err *err);

/* p: of each label; NULL: there was nothing to judge by. */
int outcome_add(struct outcome *o, int label, const float *p, struct err *err);

/* An object, or NULL without memory; frees what the outcome holds. */
json_t *outcome_end(struct outcome *o);

#endif
