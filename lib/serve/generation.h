/*
 * generation - a text while it is written, and the calls that read it
 *
 * The engine's thread adds to it, and wakes the calls that watch.  Each of them
 * reads all of it from its start, at its own pace, so that any number can share
 * one.  When none is left before it is over, it is dropped: nobody wants it.
 */
#ifndef SERVE_GENERATION_H
#define SERVE_GENERATION_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "infer/scheduler.h"
#include "serve/http.h"

struct generation_token {
	int32_t	id;
	double	logp;
	int64_t	text;		/* bytes of text that were there before it */
	int64_t	top, n_top;	/* its alternatives, in generation.top */
};

/* NEW: it waits to be looked at.  REFUSED: not begun, its request is wrong. */
enum generation_state { GENERATION_NEW, GENERATION_REFUSED, GENERATION_ACCEPTED, GENERATION_OVER };

struct generation {
	pthread_mutex_t	lock;			/* of all below */
	int		refs;
	enum generation_state state;
	struct buf	text;			/* whole characters */
	struct generation_token *token;		/* kept when log-probabilities are wanted */
	int64_t		n_token, cap_token;
	struct token_logp *top;
	int64_t		n_top, cap_top;
	int32_t		*begins;		/* of each token: bytes of text before it */
	int64_t		n_begins, cap_begins;
	struct text_report report;		/* its counts grow; all of it once it is over */
	struct err	failure;		/* REFUSED, or OVER by failure or broken off */
	double		asked, first, last;	/* by progress_now(): asked for; tokens came; 0 */
	struct generation_watch *watch;
	atomic_bool	dropped;		/* not under the lock */
};

/* A call that watches; the caller's memory. */
struct generation_watch {
	struct http_call *call;
	struct generation_watch *next;
};

struct generation *generation_new(struct err *err);
struct generation *generation_hold(struct generation *g);
void generation_release(struct generation *g);		/* NULL: nothing */

void generation_watch(struct generation *g, struct generation_watch *w, struct http_call *call);
/* Not its last holder: generation_release() follows. */
void generation_unwatch(struct generation *g, struct generation_watch *w);

/* Of the engine's thread.  The text and tokens return 0 or -1. */
void generation_accept(struct generation *g);
void generation_refuse(struct generation *g, const struct err *why);
int generation_token(struct generation *g, const struct text_token *t, struct err *err);
int generation_text(struct generation *g, str text, struct err *err);
void generation_end(struct generation *g, const struct text_report *r);

/* Tokens that begin before so many bytes of text; under the lock. */
int64_t generation_tokens(const struct generation *g, int64_t bytes);

#endif
