/*
 * clock - processor time, for tests and benchmarks that measure it
 */
#ifndef TESTS_CLOCK_H
#define TESTS_CLOCK_H

#include <time.h>

static inline double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#endif
