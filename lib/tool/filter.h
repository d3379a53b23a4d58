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
 *
 * A tool whose product is not records has the input options only
 * (FILTER_INPUT_OPTIONS), a job with a sink, and begin() and end().
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
	bool		 text;		/* --text, for tools with a sink */
	const char	*separator;	/* --separator */
	struct out	*side;	/* a file of the tool's own, committed at the end, or NULL */
	/*
	 * With a sink, around each run: open what the sink writes to (path NULL:
	 * standard output), and finish it, or with failed throw it away.  suffix
	 * replaces .jsonl in the names of -o DIR/.  All may be NULL.
	 */
	int		(*begin)(void *ctx, const char *path, struct codec_spec codec,
			    struct err *err);
	int		(*end)(void *ctx, bool failed, struct err *err);
	const char	*suffix;
	/* Of the run that goes on or just ended, for these: its counts, and the records before. */
	const struct records_count *run;
	int64_t		 first;
	/* Called when a run is at its end, before its output appears; may be NULL. */
	int		(*check)(void *ctx, struct err *err);
	/* Adds the tool's own numbers to --stats; may be NULL. */
	void		(*more_stats)(void *ctx, json_t *stats);
	void		*ctx;
};

extern const struct opt filter_record_options[];	/* -f -k --bad --max-bad --stats */
extern const struct opt filter_input_options[];		/* these, and -j -q -v */
extern const struct opt filter_text_options[];		/* --text --separator */
extern const struct opt filter_options[];		/* these, and -o --split -z --rest */

/* For the option table: FILTER_OPTIONS(struct dedup, io). */
#define FILTER_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = filter_options }
#define FILTER_RECORD_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = filter_record_options }
#define FILTER_INPUT_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = filter_input_options }
#define FILTER_TEXT_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = filter_text_options }

/* What of the text options changed the result, for a provenance. */
void filter_note(const struct filter_opts *o, json_t *options);

/* The str of -f, "text" without. */
str filter_field(const struct filter_opts *o);

/* Does -o ask for an output for each input? */
bool filter_each_file(const struct filter_opts *o);

/*
 * For verdicts that depend on all records.  filter_again() sees to it that the
 * inputs can be read more than once (tool/reread.h; work: --work, or NULL), and
 * returns their bytes.  Then filter_ahead() runs n jobs with sinks over all of them,
 * but for the first done ones, and after each after() on the same threads, which is
 * told how many were run; ctx is that of all.
 */
int64_t filter_again(char **files, const char *work);
void filter_ahead(const struct tool *t, struct filter_opts *o, char **files,
    const struct records_job *job, int n, int done,
    int (*after)(void *ctx, int done, struct team *team, struct err *err), void *ctx);

/* What -z says, plain without; a codec that is none is a usage error. */
struct codec_spec filter_codec(const struct filter_opts *o);

/* A file beside the output, for side; NULL for NULL.  Dies when it cannot be made. */
struct out *filter_side(const struct filter_opts *o, const char *path);

int filter_main(const struct tool *t, struct filter_opts *o, char **files,
    const struct records_job *job);

#endif
