/*
 * profile - where a device's time goes, launch by launch
 *
 * Between profile_start() and profile_stop() each launch is waited for and
 * timed, under the phase and block that dev_mark() named last.  Launches of one
 * kernel, phase and shape are a row; each of the first PROFILE_EVENTS launches
 * is an event of the trace too.  Nothing is allocated while launches are timed.
 */
#ifndef DEV_PROFILE_H
#define DEV_PROFILE_H

#include <stdio.h>

#include "base/buf.h"
#include "dev/cost.h"

#define PROFILE_ROWS 512
#define PROFILE_EVENTS 200000

struct profile;

struct profile_row {
	int		 kernel;
	const char	*phase;		/* "forward" ... */
	struct dev_cost	 cost;		/* of all calls together */
	int64_t		 calls;
	double		 seconds;
};

/* One device has one profile at most.  NULL without memory. */
struct profile *profile_start(struct dev *dev, struct err *err);

/* Launches are as before; the profile stays.  profile_free() does it too. */
void profile_stop(struct profile *p);
void profile_free(struct profile *p);

/* Rows, the longest first. */
const struct profile_row *profile_rows(struct profile *p, int *n);

/* Seconds in kernels, and from start to stop (or now). */
double profile_busy(const struct profile *p);
double profile_span(const struct profile *p);

/*
 * The least seconds that a launch can take: by its FLOPs or its bytes, each a
 * second by peak and bandwidth.  0 without either.
 */
double profile_limit(const struct dev_cost *cost, double peak, double bandwidth);

/* Tab-separated: phase, op, shape, calls, ms, share, rate, part of the limit; then sums. */
void profile_table(struct profile *p, double peak, double bandwidth, struct buf *out);

/* The events as a trace that chrome://tracing and Perfetto open. */
void profile_trace(const struct profile *p, struct buf *out);

/*
 * Stop; measure the device (its peak is that of products in compute, a matrix's
 * type); write the table, behind two comments, to a stream,
 * and the trace to a file unless its name is NULL.  Frees the profile.
 */
int profile_report(struct profile *p, dtype compute, const char *trace, FILE *table,
    struct err *err);

#endif
