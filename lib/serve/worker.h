/*
 * worker - the engine's thread: it begins jobs, and goes on with all that run
 *
 * Of several models each goes on by a step in turn.  A job whose model is not in memory
 * (house.h) waits until it is.  Jobs are read here, for grammars are one thread's; who
 * asked reads of the generation what became of it.
 */
#ifndef SERVE_WORKER_H
#define SERVE_WORKER_H

#include "infer/request.h"
#include "serve/generation.h"
#include "serve/house.h"

struct job {
	struct served	*model;
	struct request	 request;	/* as options and the caller have it; prompt is ids' */
	struct ids	 ids;		/* of the prompt, the job's */
	struct buf	 body;		/* the object whose keys change the request, the job's */
	struct buf	 calls;		/* GBNF of the calls it may write, the job's; or empty */
	bool		 formed;	/* and of all else that it may: no other format counts */
	int64_t		 most;		/* tokens, where the object names none */
	bool		 draws;		/* it draws anew where the object has no seed */
	struct generation *g;		/* held by the job */
	/*
	 * Where the model makes vectors: of texts whose ids are [cu[i], cu[i + 1]), and
	 * the generation's text are their floats.
	 */
	int32_t		*cu;		/* the job's */
	int64_t		 texts, made;
	/* the worker's */
	struct worker	*worker;
	uint64_t	 number;	/* of the worker's jobs */
	struct arena	 arena;
	struct job	*next, **at;
	bool		 waits, in;	/* for its model to be loaded; it is in its model */
};

/* g is a new generation. */
struct job *job_new(struct served *model, struct err *err);
void job_free(struct job *j);

struct worker;

/*
 * The models, in their house, and metrics are borrowed.  failed() is told when a device
 * fails, once; then nothing more is begun.
 */
struct worker *worker_new(struct served *const *model, int n, struct house *house,
    struct metrics *metrics, void (*failed)(void *ctx, const struct err *err), void *ctx,
    struct err *err);

/* Take a job on; it is the worker's. */
void worker_give(struct worker *w, struct job *j);

/* How many are not over; of those, how many were not begun. */
int worker_jobs(struct worker *w);
int worker_waiting(struct worker *w);

/* Tell of each, under a lock that holds the engine up. */
void worker_each(struct worker *w, void (*tell)(void *ctx, const struct job *j), void *ctx);

/* What runs is broken off. */
void worker_free(struct worker *w);

#endif
