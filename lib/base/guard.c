#include "base/guard.h"

#include <string.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void
ring(int sig, siginfo_t *info, void *context)
{
	struct guard *g = info->si_code == SI_TIMER ? info->si_value.sival_ptr : NULL;

	(void)sig;
	(void)context;
	if (g == NULL)
		return;
	g->over = 1;
	if (g->inside) {
		g->inside = 0;
		siglongjmp(g->out, 1);
	}
}

int
guard_init(struct guard *g, double seconds, struct err *err)
{
	struct sigaction act = { .sa_sigaction = ring, .sa_flags = SA_SIGINFO | SA_RESTART |
	    SA_NODEFER };
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN,
		.sigev_value.sival_ptr = g,
	};

	event.sigev_notify_thread_id = gettid();
	*g = (struct guard){ .seconds = seconds };
	sigemptyset(&act.sa_mask);
	if (sigaction(SIGRTMIN, &act, NULL) < 0 ||
	    timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &g->timer) < 0)
		return err_sys(err, "a timer");
	g->ready = true;
	return 0;
}

static void
set(struct guard *g, double seconds)
{
	struct itimerspec at = { 0 };

	at.it_value.tv_sec = (time_t)seconds;
	at.it_value.tv_nsec = (long)((seconds - (double)at.it_value.tv_sec) * 1e9);
	timer_settime(g->timer, 0, &at, NULL);
}

void
guard_start(struct guard *g)
{
	/* An alarm that was on its way comes with the call that stops its timer. */
	set(g, 0);
	g->over = 0;
	set(g, g->seconds);
}

void
guard_stop(struct guard *g)
{
	set(g, 0);
}

int
guard_call(struct guard *g, void (*fn)(void *ctx), void *ctx)
{
	if (g == NULL) {
		fn(ctx);
		return 0;
	}
	if (sigsetjmp(g->out, 0) != 0)
		return -1;
	/* In this order: an alarm between the two lines is not lost. */
	g->inside = 1;
	if (g->over) {
		g->inside = 0;
		return -1;
	}
	fn(ctx);
	g->inside = 0;
	return 0;
}

int
guard_fail(const struct guard *g, struct err *err)
{
	return err_set(err, ERR_LIMIT, "takes more than %g seconds (--timeout)", g->seconds);
}

void
guard_free(struct guard *g)
{
	if (g->ready)
		timer_delete(g->timer);
	g->ready = false;
}
