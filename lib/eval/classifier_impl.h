/*
 * classifier_impl - what applying, training and the file of a classifier share
 */
#ifndef EVAL_CLASSIFIER_IMPL_H
#define EVAL_CLASSIFIER_IMPL_H

#include "eval/classifier.h"

#define LESSONS	((int64_t)4096)		/* of one piece */

struct lesson {
	uint32_t	*id;
	int32_t		 n;
	int32_t		 label;
};

static inline const struct lesson *
lesson_at(const struct lessons *l, int64_t i)
{
	return &l->piece[i / LESSONS][i % LESSONS];
}

/* One without weights but zeros: room for them, and copies of the labels. */
struct classifier *classifier_new(const struct features_opts *o, char *const *label, int nlabels,
    struct err *err);

#endif
