/*
 * teach - train a classifier on records with labels, and try one on them
 */
#ifndef TOOL_TEACH_H
#define TOOL_TEACH_H

#include "eval/classifier.h"
#include "tool/filter.h"

struct teach {
	const struct filter_opts *io;
	const char	*model;		/* where the classifier goes */
	const char	*label_key, *work;
	struct classifier_train train;	/* features, rate, epochs, seed */
	double		 held_out;
	int64_t		 memory;
};

/*
 * Read the records that words say (tool/labelled.h).  Return the exit status; a failure
 * ends the tool.  The report goes to --stats, that of teach_test() to the standard output
 * without.
 */
int teach_train(struct teach *t, const struct tool *tool, char **words);
int teach_test(struct teach *t, const struct tool *tool, const struct classifier *c, char **words);

#endif
