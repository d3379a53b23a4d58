/*
 * errand - work for calls that wait, which may take seconds, in a thread of its own
 *
 * Errands are run one after the other.  Each lies in a struct of its owner's, who
 * either finds it done, or leaves it; then it is dropped, at once or when it was run.
 */
#ifndef SERVE_ERRAND_H
#define SERVE_ERRAND_H

#include "serve/http.h"

struct errand {
	void		(*run)(struct errand *e);	/* in the thread */
	void		(*drop)(struct errand *e);	/* free it */
	struct http_call *call;				/* woken when it is done */
	/* private */
	struct errand	*next;
	enum { ERRAND_NEW, ERRAND_WAITS, ERRAND_RUNS, ERRAND_DONE } state;
};

struct errands;

struct errands *errands_new(struct err *err);
void errands_free(struct errands *t);		/* nobody waits any more; NULL: nothing */

/* From here on it is done, or left. */
void errand_give(struct errands *t, struct errand *e);
bool errand_done(struct errands *t, const struct errand *e);

/* Its call ends: one that was given is dropped. */
void errand_leave(struct errands *t, struct errand *e);

/* How many are not done. */
int errands_waiting(struct errands *t);

#endif
