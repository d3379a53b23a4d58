/*
 * stages - deduplication in three: sign, decide, drop
 *
 * Each is a run of its own, on one machine or many, or all are one run that
 * reads its inputs twice.  Both drop the same records as the run that keeps
 * everything in memory.  All of these die of failures and return the exit status.
 */
#ifndef TOOL_STAGES_H
#define TOOL_STAGES_H

#include "text/dedup.h"
#include "tool/filter.h"

struct stages {
	const struct tool *tool;
	struct filter_opts *io;
	struct dedup	*d;		/* opened; clusters may be set */
	struct records_job job;		/* its field is set, its ctx is d */
	const char	*work;		/* where what a killed run did is kept, or NULL */
	const char	*index;		/* directory of an index, or NULL */
	const char	*drop;		/* what to drop: a file or directory of stage_merge() */
	int64_t		 memory;
	bool		 keep;		/* of stages_plan(): what is done, in work */
};

/*
 * Can what is done be kept for another run, which goes on after a kill?  Only when all
 * files are such as it will find again.  Return whether they must be deduplicated in
 * stages to keep to the memory.
 */
bool stages_plan(struct stages *s, char *const *files);

/* Records to files of signs. */
int stage_map(struct stages *s, char **files);

/*
 * Files of signs to lists of what to drop: files of lines as in the clusters
 * file, each after a line about the input.  A directory in -o gets one for
 * each input.
 */
int stage_merge(struct stages *s, char **files);

/* Records without what such a list says. */
int stage_apply(struct stages *s, char **files);

/* All of it. */
int stages_run(struct stages *s, char **files);

/* The same for a method that sees all of the input ahead: its passes, one by one. */
int stages_ahead(struct stages *s, char **files);

/* The type, field and similarity that a file of signs was made with, into d; field holds that. */
const struct dedup_method *stages_settings(const char *path, struct dedup *d, struct buf *field);

#endif
