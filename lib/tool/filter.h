/*
 * filter - the main() of a tool that reads records: options, run, counts, exit
 *
 * A filter's cmd file is its own options, one function, and
 *
 *	return filter_main(&tool, &o.io, files, &job);
 *
 * It does -o (a file, or DIR/ for file to file with skipping of outputs that
 * are done), --split, -z, -j, -k, --bad, --max-bad, --rest, --stats, -q, -v.
 * With -o DIR/ the names of --rest and --bad are directories too.
 */
#ifndef TOOL_FILTER_H
#define TOOL_FILTER_H

#include "text/records.h"
#include "tool/tool.h"

struct filter_opts {
	const char	*field;		/* -f, default "text" */
	const char	*output;	/* -o */
	int64_t		 threads;	/* -j, default 1 */
	int64_t		 split;		/* --split */
	const char	*codec;		/* -z */
	const char	*rest, *bad, *stats;
	bool		 keep_going, quiet, verbose;
	double		 max_bad;
	/* The tool's: verdicts depend on earlier records, so -o DIR/ skips nothing. */
	bool		 across;
	/* Adds the tool's own numbers to --stats; may be NULL. */
	void		(*more_stats)(void *ctx, json_t *stats);
	void		*ctx;
};

extern const struct opt filter_options[];

/* For the option table: FILTER_OPTIONS(struct dedup, io). */
#define FILTER_OPTIONS(type, member) \
	{ .type = OPT_GROUP, .at = offsetof(type, member), .group = filter_options }

/* The str of -f, "text" without. */
str filter_field(const struct filter_opts *o);

int filter_main(const struct tool *t, struct filter_opts *o, char **files,
    const struct records_job *job);

#endif
