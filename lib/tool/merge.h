/*
 * merge - which of the records that files of signs stand for are repeats?
 *
 * What does not fit into memory is done in passes: each fills the memory with
 * the next records that are kept, and drops of all later ones those that
 * repeat them.  A record is dropped, as when all is remembered, if one that is
 * kept before it is like it, and the first of these is the one that is told.
 * Time is that of reading the signs once for each memory full of kept ones.
 * Verdicts are in a nameless file, 24 bytes a record, read and written in
 * order; sets of shingles are read where they lie.
 */
#ifndef TOOL_MERGE_H
#define TOOL_MERGE_H

#include "fmt/signs.h"
#include "text/dedup.h"

struct merge_source {
	const char	*path;		/* borrowed */
	bool		 old;		/* of an index: all are kept */
	struct signs_sums sums;
	int64_t		 first;		/* number of its first record among all new ones */
	int64_t		 dropped;	/* of its records */
	int		 fd;		/* for signs_fetch(), or -1 */
};

/* Not dropped: source is 0. */
struct judged {
	int64_t	at;		/* where the sign of the kept record is */
	int32_t	source;		/* in which source + 1 */
	int32_t	unused;
	double	jaccard;
};

struct merge;

/*
 * Sources: those of an index first.  d has its settings and, after this, the
 * method's state of the last pass; dir is where verdicts go.
 */
struct merge *merge_new(struct dedup *d, struct merge_source *source, int n, const char *dir,
    struct err *err);

/* Decide, with so much memory for what is remembered. */
int merge_run(struct merge *m, int64_t memory, struct err *err);

/* The verdict about the next new sign, in order; first goes back to the first one. */
int merge_next(struct merge *m, struct judged *v, struct err *err);
int merge_first(struct merge *m, struct err *err);

/* The kept record: its name, good until the next call, and number, or -1 for one of an index. */
int merge_kept(struct merge *m, const struct judged *v, str *name, int64_t *number,
    struct err *err);

int64_t merge_dropped(const struct merge *m);
void merge_free(struct merge *m);

#endif
