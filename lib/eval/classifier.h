/*
 * classifier - which of some labels a text has: linear in its features, or fastText's
 *
 * Ours is logistic regression over the features of a text (text/features.h), each
 * weighed by 1 / sqrt(their number): for two labels one weight a feature, else one
 * for each label.  It is trained by AdaGrad, one text after another in an order that
 * the seed gives, so the same texts make the same bytes, whatever the threads that found
 * the features.  Probabilities are calibrated on texts held out (Platt's scaling; of
 * more labels than two, a temperature).
 *
 * A file of ours is one of safetensors, see llm-classify(1).  fastText's own are
 * read too (text/fasttext.h).
 */
#ifndef EVAL_CLASSIFIER_H
#define EVAL_CLASSIFIER_H

#include <stdbool.h>

#include "base/spill.h"
#include "text/fasttext.h"
#include "text/features.h"

#define CLASSIFIER_LABELS 65536
#define CLASSIFIER_FEATURES ((int64_t)1 << 28)	/* of one text; those behind are passed over */

struct classifier {
	struct features_opts features;
	int		 nlabels, columns;	/* columns: 1 for two labels */
	char		**label;		/* in byte order */
	float		*weight;		/* (2^bits, columns) */
	float		*bias;			/* (columns) */
	double		 slope, shift;		/* of calibration: slope * logit + shift */
	struct fasttext	*foreign;		/* instead of all but labels */
};

/* What a thread has: zeroed at first. */
struct classifier_state {
	struct features	 features;
	struct fasttext_state foreign;
	float		*p;			/* probability of each label */
	double		*logit;
};

/* From a file of ours or of fastText. */
struct classifier *classifier_load(const char *path, struct err *err);
int classifier_save(const struct classifier *c, const char *path, const char *note,
    struct err *err);
void classifier_free(struct classifier *c);

/* The probabilities of a text's labels, in s->p.  Return 1, 0 when it has no features, -1. */
int classifier_apply(const struct classifier *c, struct classifier_state *s, str text,
    struct err *err);
void classifier_state_free(struct classifier_state *s);
int classifier_label(const struct classifier *c, str label);	/* its index, or -1 */

/* ---- training ---- */

/* Texts as features: in memory up to a limit, then in a file. */
struct lessons {
	struct spill	 spill;
	struct lesson	**piece;
	int64_t		 n, cap, features;
};

/* Add a text with a label.  Return 0 or -1. */
int lessons_add(struct lessons *l, const struct features *f, int label, struct err *err);
void lessons_free(struct lessons *l);

struct classifier_train {
	struct features_opts features;
	char		*const *label;	/* nlabels, in byte order; borrowed */
	int		 nlabels;
	double		 rate;
	int		 epochs;
	int64_t		 seed;
	/* Called after each epoch; may be NULL. */
	void		(*epoch)(void *ctx, int epoch, double loss);
	void		*ctx;
};

struct classifier *classifier_train(const struct classifier_train *o, const struct lessons *l,
    struct err *err);

/* Texts with label i have label to[i] from now on. */
void lessons_relabel(struct lessons *l, const int *to);

/* Text i of the lessons: its label, and as classifier_apply() its probabilities. */
int classifier_lesson(const struct classifier *c, struct classifier_state *s,
    const struct lessons *l, int64_t i, int *label, struct err *err);

/* The raw scores (columns) of features, before calibration. */
void classifier_logits(const struct classifier *c, const uint32_t *id, int64_t n, double *logit);

/* Set slope and shift to what fits texts held out best. */
int classifier_calibrate(struct classifier *c, const struct lessons *l, struct err *err);

#endif
