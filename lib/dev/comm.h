/*
 * comm - processes that compute together, each with a device of its own
 *
 * The ranks stand in a ring: each has a connection (TCP) to the next one and
 * one from the one before.  Over it go numbers of the host (the functions
 * below), and on a CPU the data of collectives; GPUs send that by NCCL, which
 * the ring helps to start.  All ranks call the same functions, and launch the
 * same collectives, in the same order.
 *
 * What is added is added in an order of ranks, so all have the same bits,
 * whatever comes first.  A rank that ends, however it does, breaks its two
 * connections: its neighbours fail with a message, and so on around the ring.
 * Nothing that is sent is kept secret or proved: it is a network of one's own.
 *
 * A NULL comm is a process alone, for which there is nothing to do.
 */
#ifndef DEV_COMM_H
#define DEV_COMM_H

#include "dev/dev.h"
#include "dev/ranks.h"

struct comm;

enum { COMM_VALUES = 8 };	/* numbers at a time */

/*
 * Meet the others, waiting for seconds at most.  NULL with err filled: who did
 * not come, or where nobody is.
 */
struct comm *comm_open(const struct ranks *r, double seconds, struct err *err);

/* After comm_barrier(), where all went well: to leave is to fail the others. */
void comm_close(struct comm *c);

int comm_rank(const struct comm *c);
int comm_size(const struct comm *c);

/* all gets the bytes of mine of each rank, in order.  0, or -1 and what broke. */
int comm_gather(struct comm *c, const void *mine, void *all, int64_t bytes, struct err *err);

int comm_barrier(struct comm *c, struct err *err);

/* n numbers, or one, each the sum over ranks, in their order; one number, the largest. */
int comm_sum(struct comm *c, int64_t *x, int n, struct err *err);
int comm_sum_f64(struct comm *c, double *x, struct err *err);
int comm_max(struct comm *c, int64_t *x, struct err *err);

/* An error where this (a hash of what, "settings") is not the same on all ranks. */
int comm_same(struct comm *c, uint64_t x, const char *what, struct err *err);

/*
 * K_COLLECTIVE, on a device that has joined (dev_join()).  Each rank launches the
 * same, with the same type (F64, F32, F16, BF16, I32), n and root:
 * SUM		y (n) = the sum over ranks of x (n); y may be x
 * SCATTER	y (n) = rows `rank' of the sum over ranks of x (size, n)
 * GATHER	y (size, n) = x (n) of each rank
 * SEND		y (n) = x (n) of rank root, where y may be x
 */
enum collective { COLLECTIVE_SUM, COLLECTIVE_SCATTER, COLLECTIVE_GATHER, COLLECTIVE_SEND };
struct k_collective {
	struct comm *comm; enum collective what; dptr y, x; dtype type; int64_t n; int root;
};

/* ---- for backends ---- */

/* Send bytes to the next rank and receive others from the one before, at once. */
int comm_exchange(struct comm *c, const void *out, int64_t n_out, void *in, int64_t n_in,
    struct err *err);

/* Are both neighbours still there?  Asked while a device is waited for. */
int comm_alive(struct comm *c, struct err *err);

#endif
