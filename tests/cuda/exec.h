/*
 * exec - blocks and warps in execution
 *
 * A warp runs the group of its lanes with the lowest address, so that lanes
 * that parted meet again; an instruction of the whole warp waits until all
 * lanes that it names are there.  Warps of a block run in turn, each until a
 * barrier; blocks run on several host threads.
 */
#ifndef EXEC_H
#define EXEC_H

#include "find.h"
#include "memory.h"
#include "ptx_impl.h"

/*
 * Who last wrote and read a word of shared memory: clock of the warp (16
 * bits), warp (5), lane (6; ANY_LANE), bytes (4).  Two readers of different warps
 * are kept: with one of them no writer agrees.
 */
struct word {
	uint32_t write, read[2];
	uint8_t	valid, init;		/* bytes that exist, that were written */
	uint8_t	flight;			/* a cp.async to them has not ended */
};

#define ANY_LANE 32u

struct group {
	uint32_t pc, mask;
	bool	waits;
};

/* A cp.async that was not waited for yet. */
struct copy {
	uint64_t from;
	uint32_t to, size, bytes, commit;
	int	lane;
	const struct insn *insn;
};

enum warp_state { RUNS, AT_BARRIER, ENDED };

struct warp {
	struct block *b;
	uint8_t	*reg, *local, *local_state;
	uint32_t *pred;
	uint32_t id, exist, live;
	uint32_t pc, mask;
	uint32_t meet;			/* the next address where others are */
	struct group other[LANES];
	int	n_other;
	int	state;
	uint32_t barrier, expect;	/* where it waits */
	uint32_t cc;			/* carry, one bit a lane */
	uint32_t clock[MAX_WARPS];	/* of each warp, as this one knows it */
	struct copy *copy;
	int	n_copy;
	uint32_t commit[LANES];
};

struct launch;

struct block {
	struct launch *l;
	const struct kernel *k;
	struct warp warp[MAX_WARPS];
	int	n_warps;
	uint32_t id[3], number, threads;
	uint8_t	*shared;
	struct word *word, *blank;	/* its state, and that of a new block */
	uint32_t n_static, n_words;	/* words before the dynamic part, and in all */
	struct { uint32_t warps, lanes, clock[MAX_WARPS]; bool used; } arrived[16];
	uint64_t *seen;			/* blocks whose work this one may read */
	uint64_t mine;			/* epoch and block as a shadow has them */
	uint64_t executed;
	struct area *area;		/* the one that was used last */
	bool	stop, fenced;
};

/* A kernel with its grid: one operation of a stream. */
struct launch {
	const struct kernel *k;
	uint32_t grid[3], block[3], dynamic, n_blocks;
	uint8_t	*param;
	uint32_t epoch;
	const struct when *when;	/* by epoch */
	const uint32_t *knows;		/* by stream: how much of it was done before */
	int	order;
	bool	failed;
	int	kind;			/* of a finding that stopped it */
	uint32_t next;
	struct meeting *meeting;	/* of blocks through atomics */
	uint64_t executed;
};

/* Was that operation done before this one, as the program has it? */
static inline bool
launch_follows(const struct launch *l, uint64_t epoch)
{
	return l->when[epoch].at <= l->knows[l->when[epoch].stream];
}

/* The whole grid; true if nothing stopped it. */
bool launch_run(struct launch *l, int threads);

/* flow.c: groups of lanes */
bool warp_regroup(struct warp *w);
void warp_branch(struct warp *w, uint32_t taken, uint32_t target);
/* All of need are in the group that runs; if not, it waits. */
bool warp_gather(struct warp *w, uint32_t need);
void where_lane(struct where *at, const struct warp *w, const struct insn *in, int lane);
/* Report, and stop the block if nothing sensible can follow. */
void fault(struct warp *w, const struct insn *in, int lane, int kind, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void stop(struct warp *w, const struct insn *in, int lane, int kind, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* alu.c */
void alu(struct warp *w, const struct insn *in, uint32_t mask);
void alu_eval(struct warp *w, const struct insn *in, uint32_t mask);
/* One lane's result, and the bytes of it that count. */
uint64_t alu_one(const struct insn *in, uint64_t a, uint64_t b, uint64_t c, uint64_t d);

static inline uint64_t
lane_get(const struct warp *w, const struct insn *in, int src, int lane)
{
	if (in->src_width[src] == 0)
		return (w->pred[in->src[src]] >> lane & 1) ^ (in->src_not >> src & 1);
	if (in->src_width[src] == 8)
		return ((const uint64_t *)(w->reg + in->src[src]))[lane];
	return ((const uint32_t *)(w->reg + in->src[src]))[lane];
}

static inline void
lane_put(struct warp *w, const struct insn *in, int dst, int lane, uint64_t v)
{
	if (in->dst_width[dst] == 0)
		w->pred[in->dst[dst]] = (w->pred[in->dst[dst]] & ~(1u << lane)) |
		    (uint32_t)(v & 1) << lane;
	else if (in->dst_width[dst] == 8)
		((uint64_t *)(w->reg + in->dst[dst]))[lane] = v;
	else
		((uint32_t *)(w->reg + in->dst[dst]))[lane] = (uint32_t)v;
}

/* access.c */
void access_load(struct warp *w, const struct insn *in, uint32_t mask);
void access_store(struct warp *w, const struct insn *in, uint32_t mask);
void access_atomic(struct warp *w, const struct insn *in, uint32_t mask);
void access_copy(struct warp *w, const struct insn *in, uint32_t mask);
void access_copy_wait(struct warp *w, const struct insn *in, uint32_t mask);
void access_matrix(struct warp *w, const struct insn *in, uint32_t mask);
void access_address(struct warp *w, const struct insn *in, uint32_t mask);

/* shadow.c: one word of an access; what went wrong is reported there */
struct touch {
	struct warp *w;
	const struct insn *in;
	int	lane;
	bool	write, sync;
	bool	update;			/* a write that reads first */
	const void *value;		/* what is written to the word, or NULL */
};

/* word counts from the first of all variables, as in block.word */
/* A read of this record by the warp that did no harm. */
void shared_note(const struct warp *w, struct word *x, uint32_t rec);
void shared_touch(const struct touch *t, uint32_t word, unsigned bytes);
void global_touch(const struct touch *t, struct area *a, uint64_t word, unsigned bytes);
void shared_new(struct block *b);
bool shared_in(struct block *b, uint32_t addr, uint32_t size, uint32_t *index);
void warp_clock_tick(struct warp *w);
void clocks_join(struct block *b, uint32_t warps);
void block_meets(struct block *b, uint64_t addr, bool release);
void meetings_free(struct launch *l);

/* collect.c: votes, shuffles, matrices */
void collective(struct warp *w, const struct insn *in, uint32_t mask);
void matrix_multiply(struct warp *w, const struct insn *in);

#endif
