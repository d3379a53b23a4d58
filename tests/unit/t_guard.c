/* A limit of time that what runs under it cannot escape. */
#include <pthread.h>

#include "../tap.h"
#include "base/guard.h"
#include "base/progress.h"

static void
spin(void *ctx)
{
	volatile long *n = ctx;

	for (;;)
		++*n;
}

static void
nothing(void *ctx)
{
	*(int *)ctx += 1;
}

static bool
stops(void)
{
	struct err err = { 0 };
	struct guard g;
	long n = 0;
	int calls = 0;
	double start = progress_now();
	bool good = guard_init(&g, 0.05, &err) == 0;

	for (int i = 0; i < 3 && good; i++) {
		guard_start(&g);
		good = guard_call(&g, spin, (void *)&n) == -1 && guard_over(&g) &&
		    guard_call(&g, nothing, &calls) == -1;
		guard_stop(&g);
	}
	good = good && calls == 0 && guard_fail(&g, &err) == -1 && err.code == ERR_LIMIT;
	guard_start(&g);
	good = good && guard_call(&g, nothing, &calls) == 0 && calls == 1 && !guard_over(&g);
	guard_stop(&g);
	guard_free(&g);
	return good && progress_now() - start < 30;
}

static void *
in_thread(void *ctx)
{
	*(bool *)ctx = stops();
	return NULL;
}

int
main(void)
{
	pthread_t t[4];
	bool good[4] = { false };
	int calls = 0, all = 0;

	ok(stops(), "a loop without end is left, again and again");
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, in_thread, &good[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		all += good[i];
	}
	ok(all == 4, "each thread has its own time");
	ok(guard_call(NULL, nothing, &calls) == 0 && calls == 1 && !guard_over(NULL),
	    "no guard is no limit");
	return tap_done();
}
