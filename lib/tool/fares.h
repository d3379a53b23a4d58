/*
 * fares - the report of llm-vocab: how tokenizers fare with texts
 */
#ifndef TOOL_FARES_H
#define TOOL_FARES_H

#include "token/tallies.h"
#include "tool/filter.h"

struct fares_opts {
	bool		 on, json;
	const char	*model[TALLIES_MOST];	/* -m, n of them */
	int		 n;
	const char	*language;		/* key of a record; NULL: "language" */
};

extern const struct opt fares_options[];	/* --report -m -F --language */

#define FARES_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = fares_options }

/* Read the files and write the report to out (NULL: standard output).  Return the exit status. */
int fares_main(const struct tool *t, struct fares_opts *o, struct filter_opts *io,
    const char *out, char **files);

#endif
