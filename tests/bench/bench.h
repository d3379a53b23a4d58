/*
 * bench - what the kernel benchmarks share: time, random floats, best of several
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/rng.h"
#include "dev/kernels.h"

/* With one thread its own time, which other work on the machine disturbs least. */
static inline double
bench_seconds(const struct dev *d)
{
	struct timespec t;

	clock_gettime(team_size(d->team) == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void
bench_must(int rc, const struct err *err)
{
	if (rc == 0)
		return;
	fprintf(stderr, "bench: %s\n", err->msg);
	exit(2);
}

/* n floats in [-1, 1) on the device. */
static inline dptr
bench_floats(struct dev *d, int64_t n, uint64_t seed)
{
	struct err err = { 0 };
	dptr p = dev_alloc(d, n * 4, &err);
	float *x = malloc((size_t)n * sizeof(*x));

	bench_must(p.at == 0 || x == NULL ? -1 : 0, &err);
	for (int64_t i = 0; i < n; i++)
		x[i] = (float)(2 * rng_unit(seed, 0, (uint64_t)i) - 1);
	dev_upload(d, p, x, n * 4);
	bench_must(dev_wait(d, &err), &err);
	free(x);
	return p;
}

/* Seconds of one launch: the best of runs that take about `total' seconds. */
static inline double
bench_launch(struct dev *d, int kernel, const union dev_args *a, double total)
{
	struct err err = { 0 };
	double best = 1e9, start = bench_seconds(d);
	int runs = 0;

	while (runs < 3 || bench_seconds(d) - start < total) {
		double t = bench_seconds(d);

		dev_launch(d, kernel, a);
		bench_must(dev_wait(d, &err), &err);
		t = bench_seconds(d) - t;
		best = t < best ? t : best;
		runs++;
	}
	return best;
}

/* Device and threads from the arguments: [DEVICE [THREADS]]. */
static inline struct dev *
bench_open(int argc, char **argv)
{
	struct err err = { 0 };
	struct team *team = team_new(argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1, &err);
	struct dev *d = team == NULL ? NULL :
	    dev_open(argc > 1 ? argv[1] : "cpu", team, 0, &err);

	bench_must(d == NULL ? -1 : 0, &err);
	return d;
}

#endif
