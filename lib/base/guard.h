/*
 * guard - a limit to the processor time of one piece of work
 *
 * A timer of the calling thread's own clock tells when its time is over.  Code
 * asks guard_over() as it goes, or runs in guard_call(), which is left where it
 * stands.  Then it must hold nothing that would have to be given back: no lock,
 * no memory but an arena's.
 *
 * The timer sends SIGRTMIN to its own thread; no other use of that signal is
 * possible beside it.
 */
#ifndef BASE_GUARD_H
#define BASE_GUARD_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "base/err.h"

struct guard {
	bool		ready;
	timer_t		timer;
	double		seconds;
	sigjmp_buf	out;
	volatile sig_atomic_t over, inside;
};

/* For the thread that calls; it alone may use the guard.  Return 0 or -1. */
int guard_init(struct guard *g, double seconds, struct err *err);

/* The time starts now. */
void guard_start(struct guard *g);
void guard_stop(struct guard *g);

/* Is it over?  NULL is a guard without a limit. */
static inline bool
guard_over(const struct guard *g)
{
	return g != NULL && g->over != 0;
}

/* Call fn(ctx).  Return 0, or -1 when it was left because the time was over. */
int guard_call(struct guard *g, void (*fn)(void *ctx), void *ctx);

/* The error of a piece of work that took too long: -1. */
int guard_fail(const struct guard *g, struct err *err);

void guard_free(struct guard *g);

#endif
