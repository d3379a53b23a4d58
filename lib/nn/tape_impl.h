/*
 * tape_impl - the inside of a tape, for tape.c and plan.c alone
 */
#ifndef NN_TAPE_IMPL_H
#define NN_TAPE_IMPL_H

#include "nn/nn_impl.h"

struct tape_tensor {
	struct tensor	 t;
	struct mem	 mem, grad;
	const void	*constant;	/* uploaded at tape_plan() */
	bool		 written;	/* its gradient has its first contribution */
	bool		 shared;	/* its gradient's memory is another's too */
	bool		 done;		/* the op that made it has run backward */
	bool		 output;
	struct tape_tensor *next;
};

/* A piece of the plan's memory, alive from launch first to launch last (lives of plan.c). */
struct slot {
	int64_t		 bytes, at;
	int		 first, last;	/* first < 0: never */
	int		 through;	/* and to the end of this forward block, -1: no */
	int		 inside;	/* the slot whose memory it goes on in, -1: none */
	bool		 pinned;	/* always alive */
};

struct launch {
	int		 kernel;
	int		 block;		/* -1: of a backward pass */
	bool		 cheap, once;	/* its op's */
	bool		 first;		/* a product, the first to write a parameter's gradient */
	bool		 measures;	/* it writes a gradient that can be measured so */
	union dev_args	 a;
};

/* A pointer field of a launch that tape_plan() fills in. */
struct use {
	int		 launch, field;
	struct mem	 m;
};

/* A parameter whose gradient the tape adds to. */
struct grad {
	const struct param *p;
	bool		 overwritten;	/* by a launch that is first */
	bool		 measured;	/* by all that write it, in passes that measure */
};

struct block {
	char		 name[32];
	int		 forward, forward_end, backward, backward_end;	/* launches */
};

/* Lists of launches that come again: passes, twice for fresh ones, each then measuring or not. */
enum { LIST_FORWARD, LIST_BACKWARD = 4, LIST_ZERO = 8, LIST_ZERO_SOON, LISTS };

enum count_of { COUNT_TOKENS, COUNT_SEQS, COUNT_WANTED };

struct count {
	int64_t		 of, row0, cap, times;
};

struct tape {
	struct dev	*dev;
	struct arena	 arena;		/* tensors, ops, constants */
	unsigned	 flags;
	dtype		 type, wide;
	int64_t		 max_tokens, max_seqs, max_wanted;
	int64_t		 tokens, seqs, wanted;
	struct err	 err;		/* the first failure of recording */
	bool		 planned, in_backward;
	struct tensor	 none;
	struct op	 spare;		/* what a failed tape writes to */
	struct tape_tensor *tensors;
	struct op	*ops;		/* the last one */
	struct launch	*launch;
	struct use	*use;
	struct slot	*slot;
	struct block	*block;
	struct count	*count;
	int32_t		*count_host;
	struct grad	*grad;
	int		 n_launches, launches_cap, n_uses, uses_cap, n_slots, slots_cap;
	int		 n_blocks, blocks_cap, n_counts, counts_cap, n_grads, grads_cap;
	bool		 fresh;		/* what is first overwrites gradients */
	dptr		 sumsq;		/* where gradients are measured; 0: they are not */
	dptr		 listed;	/* and where they are in lists */
	struct dev_list	*list[LISTS];
	dptr		 memory;
	int64_t		 bytes;
};

bool tape_grow(struct tape *t, void *array, int n, int *cap, size_t size);
struct mem mem_slot(struct tape *t, int64_t bytes);

/* Put before a block's backward launches those of its forward pass that they need. */
void tape_recompute(struct tape *t, int block);
/* A launch's arguments in the passes that are queued: sumsq is where it measures, 0: nowhere. */
union dev_args tape_args(const struct tape *t, const struct launch *l, dptr sumsq);

int tape_count(struct tape *t, enum count_of of, int64_t row0, int64_t cap, int64_t times);

#endif
