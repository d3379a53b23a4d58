/*
 * metrics - what a server counts, as Prometheus reads it (text format 0.0.4)
 *
 * All of it is one struct under one lock: an update takes some tens of nanoseconds, a scrape
 * holds the lock for a copy alone, so a histogram's buckets, sum and count always agree.
 * Names are fixed; what a client sends never becomes a name or a label.  Values of labels are
 * copied.  Any thread may call any function; none of them fails but metrics_write().
 */
#ifndef SERVE_METRICS_H
#define SERVE_METRICS_H

#include "base/buf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Pairs (route, code) and reasons that are told apart; those beyond are "other". */
#define METRICS_SERIES	256
#define METRICS_LABEL	64	/* bytes of a value of a label, cut there */

enum metric {
	/* counters, for metrics_add() */
	METRIC_PROMPT_TOKENS,	/* llm_prompt_tokens_total: cached ones are among them */
	METRIC_CACHED_TOKENS,
	METRIC_GENERATED_TOKENS,
	METRIC_GUESSED_TOKENS,	/* of a text's next ones, before they were sure */
	METRIC_RIGHT_TOKENS,	/* of those, that came */
	METRIC_PREEMPTIONS,
	METRIC_JOINED,		/* answers that others computed at the same time */
	METRIC_KEPT,		/* answers that were kept */
	METRIC_AUDIT_LOST,	/* lines of the audit log that could not be written */
	METRIC_LOADS,		/* models that were loaded, */
	METRIC_EVICTIONS,	/* and unloaded */
	METRIC_FROM_MEMORY,	/* blocks of the cache that came back from beyond it */
	METRIC_FROM_DISK,
	METRIC_LOST,		/* blocks that there was no room for */
	METRIC_FAULTS,		/* of the disk */
	/* gauges, for metrics_set() and metrics_add() */
	METRIC_RUNNING,
	METRIC_WAITING,
	METRIC_CACHE_TOKENS,
	METRIC_CACHE_USED,
	METRIC_MODELS,		/* that are loaded */
	METRIC_MODEL_BYTES,	/* that they take */
	METRIC_MEMORY_BLOCKS,	/* beyond the cache */
	METRIC_MEMORY_BYTES,
	METRIC_DISK_BLOCKS,
	METRIC_DISK_BYTES,
	METRICS
};

enum metric_histogram {
	METRIC_FIRST_TOKEN,	/* seconds */
	METRIC_PER_TOKEN,	/* seconds from one token to the next */
	METRIC_REQUEST,		/* seconds */
	METRIC_PROMPT,		/* tokens */
	METRIC_LOAD,		/* seconds that a model's loading took */
	METRIC_HISTOGRAMS
};

struct metrics;

/* Labels of llm_build_info; the start time is now.  NULL when memory fails. */
struct metrics *metrics_new(const char *version, const char *model, const char *device,
    struct err *err);
void metrics_free(struct metrics *m);

void metrics_add(struct metrics *m, enum metric which, int64_t n);
void metrics_set(struct metrics *m, enum metric which, int64_t value);
void metrics_observe(struct metrics *m, enum metric_histogram which, double value);

/* A request is over: route is the server's name of it, never a client's path. */
void metrics_request(struct metrics *m, const char *route, int code);

/* A request was not taken; reason is one of a few words. */
void metrics_rejected(struct metrics *m, const char *reason);

/* Append all.  What the system does not tell of the process is left out.  Return 0 or -1. */
int metrics_write(struct metrics *m, struct buf *b, struct err *err);

#endif
