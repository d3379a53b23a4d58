/*
 * labelled - records with labels: those of a key, or the same for all of a file
 *
 * Operands are files whose records have a label in a key, or "label=" and
 * the files that follow it.  Each text is given as features, in input order, with
 * the number of its label and whether it is held out, which depends on its id, or on
 * the text without one, and on the seed.
 */
#ifndef TOOL_LABELLED_H
#define TOOL_LABELLED_H

#include "eval/classifier.h"
#include "tool/filter.h"

struct labelled {
	/* The caller's to set. */
	const struct filter_opts *io;
	str		 key;		/* of the label */
	double		 held_out;	/* this rate of the records */
	int64_t		 seed;
	/* What a text is given as: its features, or all labels' probabilities. */
	struct features_opts features;
	const struct classifier *classifier;
	/* text: features, or NULL with a classifier, and then p. */
	int		(*each)(void *ctx, int label, bool held_out, const struct features *f,
			    const float *p, struct err *err);
	void		*ctx;
	/* From labelled_read() on. */
	char		**label;	/* in the order they were met, or the classifier's */
	int		 nlabels, cap;
	int		*sorted;	/* numbers in byte order of labels */
	struct records_count count;
};

/*
 * Read all; words end with NULL.  With a classifier, a label that it does not have
 * is a bad record.  Return 0 or -1.
 */
int labelled_read(struct labelled *l, char **words, struct err *err);
void labelled_free(struct labelled *l);

#endif
