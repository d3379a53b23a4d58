/*
 * worker - the engine's thread: it begins jobs, and goes on with all that run
 *
 * Of several models each goes on by a step in turn.  Jobs are read here, for
 * grammars are one thread's; who asked reads of the generation what became of it.
 */
#ifndef SERVE_WORKER_H
#define SERVE_WORKER_H

#include "infer/request.h"
#include "serve/generation.h"
#include "serve/served.h"

struct job {
	struct served	*model;
	struct request	 request;	/* as options and the caller have it; prompt is ids' */
	struct ids	 ids;		/* of the prompt, the job's */
	struct buf	 body;		/* the object whose keys change the request, the job's */
	int64_t		 most;		/* tokens, where the object names none */
	bool		 draws;		/* it draws anew where the object has no seed */
	struct generation *g;		/* held by the job */
	/* the worker's */
	struct worker	*worker;
	struct arena	 arena;
	struct job	*next;
};

/* g is a new generation. */
struct job *job_new(struct served *model, struct err *err);
void job_free(struct job *j);

struct worker;

struct worker_counts {
	int		running, waiting;
	int64_t		cache, cache_used;	/* tokens */
	int64_t		prompt, cached, drawn;	/* tokens since the start */
};

/* The models are borrowed.  failed() is told when a device fails, once, and all jobs are over. */
struct worker *worker_new(struct served *const *model, int n,
    void (*failed)(void *ctx, const struct err *err), void *ctx, struct err *err);

/* Take a job on; it is the worker's. */
void worker_give(struct worker *w, struct job *j);
void worker_counts(struct worker *w, struct worker_counts *c);

/* What runs is broken off. */
void worker_free(struct worker *w);

#endif
