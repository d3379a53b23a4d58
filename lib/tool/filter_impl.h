/*
 * filter_impl - what filter.c and filter_each.c share
 */
#ifndef TOOL_FILTER_IMPL_H
#define TOOL_FILTER_IMPL_H

#include "base/progress.h"
#include "tool/filter.h"

struct filter {
	const struct tool	*tool;
	struct filter_opts	*o;
	const struct records_job *job;
	struct codec_spec	 codec;
	str			 separator;	/* as it is in texts */
	struct buf		 unescaped;	/* where it lies, if it was escaped */
	struct team		*team;
	struct progress		 progress;
	struct records_count	 count;		/* of all files so far */
	struct out		*rest, *bad;	/* of the run that goes on */
	bool			 last;		/* no other run follows */
	double			 started;
	int64_t			 files, skipped;	/* file to file */
};

/* Options that contradict each other end the tool; fills what follows from them. */
void filter_check(struct filter *f);

/* One run over n files, outputs committed; dies on failure. */
void filter_once(struct filter *f, char **files, int n, const char *out, const char *rest,
    const char *bad, struct records_count *c);

/* Each file to its own output in the directory of -o, but for those done. */
void filter_each(struct filter *f, char **files, int n);

void filter_count(struct records_count *sum, const struct records_count *c);
json_t *filter_counts(const struct records_count *c);

#endif
