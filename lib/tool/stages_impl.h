/*
 * stages_impl - what the files of stages share
 */
#ifndef TOOL_STAGES_IMPL_H
#define TOOL_STAGES_IMPL_H

#include "tool/merge.h"
#include "tool/stages.h"

/*
 * stages.c: the file in work of what is done of these inputs as they are now: who finds
 * it need not do it.  The caller's to free.
 */
char *stage_path(const struct stages *s, char *const *input, int n, const char *suffix);

/* stage_map.c: a sink that writes signs.  The job's ctx is the dedup, whose user this is. */
struct mapper {
	struct stages	*s;
	struct signs_writer writer;
	struct out	*out;
};

struct records_job mapper_job(const struct stages *s);

/* Write to out, which is the mapper's from now on; it may be a failure to open it. */
int mapper_begin(struct mapper *m, struct out *out, struct err *err);

/* Finish the file, or throw it away when failed. */
int mapper_end(struct mapper *m, const struct records_count *c, bool failed, struct err *err);

/* stage_index.c: an index, locked while it is open. */
struct index {
	char		 dir[4096];
	int		 lock;
	json_t		*doc;
	struct merge_source *source;	/* its segments, paths owned */
	int		 n;
	int64_t		 next;		/* number of the next segment */
};

/* Make it if need be. */
int index_open(struct index *x, const char *dir, const struct dedup *d, struct err *err);

/* Add the records of these sources that m keeps as a segment, and appear with it. */
int index_add(struct index *x, const struct dedup *d, struct merge *m,
    const struct merge_source *source, int n, struct err *err);
void index_close(struct index *x);

/* stage_merge.c: a file's name without directories and suffixes of records and signs. */
str stage_name(const char *path);

/* The segments of the index, then n files of signs.  The array is the caller's. */
struct merge_source *stage_sources(const struct index *x, char **paths, int n);

#endif
