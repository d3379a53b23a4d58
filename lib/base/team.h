/*
 * team - the threads of a program: one team, for kernels and pipelines alike
 *
 * The caller is member 0 and works too, so a team of one starts no thread.
 * Idle members spin briefly, then sleep.  The count follows the affinity mask
 * and the cgroup quota unless it is given.
 *
 * How work is cut into tasks is the caller's business and never depends on the
 * number of threads; that is what keeps results equal for every -j.
 */
#ifndef BASE_TEAM_H
#define BASE_TEAM_H

#include <stdint.h>

#include "base/err.h"

#define TEAM_MAX 256		/* threads in a team */

struct team;

/* Processors this process may use: affinity and quota, at least 1. */
int team_cpus(void);

/* n threads, 0 for team_cpus(). */
struct team *team_new(int n, struct err *err);
int team_size(const struct team *t);

/*
 * Call fn(ctx, task, member) for each task in [0, n), each once, in parallel;
 * tasks are handed out in order.  Returns when all are done.  Not reentrant:
 * fn must not call team_run() on the same team.
 */
void team_run(struct team *t, int64_t n, void (*fn)(void *ctx, int64_t task, int member),
    void *ctx);

/*
 * Keep each thread on a processor of its own until team_free(), if the team has
 * as many as the process may use.  Beside another program the kernel otherwise
 * puts two of them on one processor now and then, and a job's end awaits the
 * slowest.  Whoever calls team_run() is the first of them, and stays there, and so do
 * threads that it starts from then on.
 */
void team_pin(struct team *t);

void team_free(struct team *t);

/*
 * An ordered pipeline over the team's threads.  One thread at a time runs
 * read(), which fills an item and returns 1, 0 at the end, -1 on failure; any
 * number run work(); one at a time runs write(), in the order of reading.
 * Items are the caller's structs, size bytes each, zeroed at first and reused:
 * at most 2 * threads + 2 are alive, so memory is bounded by what one holds, and
 * some more of those that bytes() tells are small.
 * The first failure (by item order for work and write) ends the pipeline, after
 * the items before it were written, and is returned.
 */
struct pipeline {
	void	*ctx;
	int64_t	 size;
	int	(*read)(void *ctx, void *item, struct err *err);
	int	(*work)(void *ctx, void *item, int member, struct err *err);
	int	(*write)(void *ctx, void *item, struct err *err);
	void	(*done)(void *ctx, void *item);		/* free what an item owns */
	/* What an item holds from read() to write(), always the same; NULL: much. */
	int64_t	(*bytes)(const void *item);
};

int team_pipe(struct team *t, const struct pipeline *p, struct err *err);

#endif
