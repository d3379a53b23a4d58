/*
 * stream - work that waits until something asks for it
 *
 * A stream is a queue of operations.  Nothing runs when it is queued, but when the
 * program waits for it, so a program that forgets to wait reads old bytes.  Who is
 * ordered before whom is kept in vector clocks, one entry a stream and one
 * for the host; what two operations without an order do to the same word is
 * reported.
 */
#ifndef STREAM_H
#define STREAM_H

#include <cuda.h>

#include "find.h"
#include "memory.h"

struct clock {
	uint32_t at[MAX_STREAMS];	/* 0 is the host */
};

/* The place in a stream where an event was recorded. */
struct mark {
	struct stream *s;
	struct graph *graph;		/* recorded while captured: not one that runs */
	uint64_t position;
	struct clock clock;
	bool	done;
	double	ms;
	int	users;
};

enum op_kind { OP_LAUNCH, OP_COPY, OP_SET, OP_MARK, OP_WAIT, OP_CALL, OP_FREE, OP_WORK };

struct op_copy {
	CUdeviceptr dst, src;		/* 0: the host's, below */
	void	*host_dst;
	const void *host_src;
	uint8_t	*staged;		/* the source as it was, when it may change */
	uint64_t sum;			/* of a pinned source, which must not */
	size_t	size;
};

/* Another library's work, which is asked again and again until it is done. */
enum work_state { WORK_WAITS, WORK_DONE, WORK_DROPPED };

/* n pieces of so many bytes, each step behind the one before. */
struct stream_range {
	CUdeviceptr at;
	size_t	bytes, step, n;
};

struct stream_work {
	struct stream_range reads[4], writes[2];	/* n 0: none */
	size_t	bytes;			/* of what it keeps */
	const char *what;
	enum work_state (*fn)(void *keeps);
};

struct op_set {
	CUdeviceptr dst;
	uint32_t value;
	int	width;
	size_t	n;
};

struct op {
	struct op *next;
	int	kind;
	struct clock host;		/* what the host knew when it was queued */
	const struct kernel *kernel;
	uint32_t grid[3], block[3], dynamic;
	uint8_t	*param;
	struct op_copy copy;
	struct op_set set;
	struct mark *mark;
	struct stream_work work;
	bool	begun;
	CUhostFn fn;
	void	*data;
	int	branch;			/* of a graph: the stream it was captured on */
};

struct graph;

struct stream {
	int	id;			/* in clocks */
	bool	used, blocking;
	struct op *head, **tail;
	uint64_t queued, done;
	struct clock clock;
	struct graph *capture;		/* that it is being recorded into */
	int	branch;
};

/* What is counted of the calls that succeed, and of products done, for standin_count(). */
enum count { COUNT_ALLOCATIONS, COUNT_LAUNCHES, COUNT_GRAPHS, COUNT_WAITS, COUNT_EVENTS,
	COUNT_PRODUCTS, COUNTS };

/* All state of the driver but memory and findings. */
struct driver {
	struct stream stream[MAX_STREAMS];	/* 0 is not used, 1 is the default one */
	struct clock host;
	uint32_t epoch;
	struct when when[1 << 16];	/* of each epoch */
	const struct clock *clock;	/* of the operation that runs */
	CUresult sticky;
	int	devices, device;	/* how many, the one that is used */
	bool	asking;			/* is it done?  Else: until it is */
	int	sm, order, threads;
	bool	started;
	int	contexts;
	uint64_t executed;
	uint64_t count[COUNTS];
	uint64_t deaf;			/* the wait for an event that is left out, by its number */
};

extern struct driver driver;

struct stream *stream_get(CUstream h);		/* NULL if it is none */
struct stream *stream_new(bool blocking);
/* Takes the operation, or copies it into the graph that is captured. */
CUresult stream_put(struct stream *s, struct op *op);
CUresult stream_work(CUstream h, const struct stream_work *w, const void *keeps);
void stream_run(struct stream *s, uint64_t upto);
void stream_sync(struct stream *s);
void stream_sync_all(void);
void stream_drop(struct stream *s);
struct mark *mark_put(struct stream *s);
void mark_release(struct mark *m);
CUresult stream_wait(struct stream *s, struct mark *m);
/* At once, on the host's account. */
CUresult host_copy(struct op_copy *c);
CUresult host_set(struct op_set *set);
struct op *op_new(int kind);
struct op *op_clone(const struct op *op);
void op_free(struct op *op);
/* All that a launch needs is legal. */
CUresult launch_check(const struct kernel *k, const uint32_t grid[3], const uint32_t block[3],
    uint32_t dynamic);
uint32_t device_shared_most(void);

/* To the end of the queue, as it is; legacy_order() before it where it is the program's. */
void stream_append(struct stream *s, struct op *op);
void legacy_order(struct stream *s);

/* graph.c */
void graph_add(struct graph *g, struct op *op);
/* What is captured, by this thread or where others may not either, is not to be had any more. */
bool graph_break(bool allocates);
struct mark *graph_mark(struct stream *s);
CUresult graph_wait(struct stream *s, struct mark *m);

#endif
