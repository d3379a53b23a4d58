/*
 * engine_impl - what an engine and its sequences are: private to lib/infer
 *
 * A block may be several sequences' that have the same tokens up to its end;
 * whoever goes on otherwise within it gets a copy first.
 */
#ifndef INFER_ENGINE_IMPL_H
#define INFER_ENGINE_IMPL_H

#include "infer/engine.h"
#include "infer/prefix.h"

/* A recorded forward: the model, or its first layers. */
struct graph {
	struct tape	*tape;
	struct model_io	 io;
};

/*
 * Blocks of the cache, numbers that are stride apart: those that nobody has and
 * nobody will find, and of each how many sequences have it.
 */
struct pool {
	int32_t		*unused, *holders;
	int64_t		 blocks, n_unused;
	int32_t		 stride;
	struct prefix	*known;		/* by block / stride; NULL: none is found again */
	struct offload	*below;		/* where those go that are given up; NULL: nowhere */
};

struct engine {
	struct model	*model;
	struct graph	 whole, early;
	struct model_cache cache;
	struct engine_options o;
	int64_t		 max_blocks;	/* of one sequence */
	int64_t		 step;		/* tokens that are dropped at once; 0: none ever */
	struct pool	 pool, local;	/* local: of layers with a window; none: as others */
	int32_t		*unused_slot;	/* of states, a stack */
	int64_t		 n_unused_slot;
	float		*logits;	/* (rows, V) */
	double		 token_seconds;	/* engine_pace() */
	/* one pass's inputs */
	int32_t		*token, *pos, *slot, *cu_seqlens, *key_len, *table, *row;
	int32_t		*state_slot, *local_slot, *local_table;
	void		*rope;			/* rows of a table of positions */
	/* with adapters: tokens of each in a pass, 0 being none; sequences in their order */
	int		 adapters;
	int32_t		*of_adapter, *first;
	struct seq	**ordered;
};

struct seq {
	struct engine	*e;
	int32_t		*token, *block;
	int64_t		 n, done, cap, n_block;	/* tokens, those computed */
	int64_t		 known;			/* of its first blocks, in the pool's */
	uint64_t	 salt;
	bool		 coming;		/* seq_coming() */
	int64_t		 guessed;		/* those that the first layers have computed */
	/* blocks [local_from, local_to) of layers with a window, and -1; NULL: as others */
	int32_t		*local;
	int64_t		 local_from, local_to;
	int32_t		 slot;			/* of its states; -1: none */
	int64_t		 base;			/* of positions that were computed */
	int		 adapter;		/* 0: none */
	int64_t		 dropped;		/* tokens behind the sinks */
	int64_t		 sunk;			/* the position of the first sink */
	int64_t		 want;			/* of how many last tokens to give logits */
	int64_t		 at;			/* row of the last one's; -1: none */
};

/* The pool of a layer's blocks. */
static inline const struct pool *
pool_of(const struct engine *e, int64_t layer)
{
	return e->local.blocks > 0 && e->model->config.mixer[layer] == MIXER_LOCAL ? &e->local :
	    &e->pool;
}

enum { OFFLOAD_LEAST = 128 };	/* blocks of memory before a disk */

int pool_init(struct pool *p, int64_t blocks, int64_t stride, struct err *err);
/* Blocks of e->pool can be found again, beyond the cache too where its options say so. */
int pool_keep(struct engine *e, struct err *err);
void pool_free(struct pool *p);

/* How many sequences have a block. */
static inline int32_t *
pool_holders(const struct pool *p, int32_t block)
{
	return &p->holders[block / p->stride];
}

/* Bytes of so many rows; copy the at-th so many of them to host memory, or back: bytes. */
static inline int64_t
cache_bytes(const struct tensor *x, int64_t rows)
{
	return rows * dtype_bytes(x->type, x->shape[1]);
}

int64_t cache_move(struct engine *e, const struct tensor *x, int64_t at, int64_t rows,
    void *host, bool up);

/* Rows [from, from + n) of a layer's keys, values or states to those from to on. */
void copy_rows(struct engine *e, const struct tensor *x, int64_t to, int64_t from, int64_t n);

/* Give back the blocks beyond the first n tokens; take those for all, own from the first on. */
void seq_release(struct seq *s, int64_t n);
int seq_blocks(struct seq *s, int64_t first, struct err *err);

/* Let others find the full blocks of what was computed, but for tokens that were guessed. */
void seq_tell(struct seq *s);

/*
 * Of layers with a window: does a sequence have what a token at i sees there?  Give
 * back what is beyond n tokens; after a pass, what no token will see.  Is there room
 * for a pass of so many tokens, of these sequences?  Then reserve() takes what is
 * missing to write tokens [from, to).
 */
bool local_has(const struct seq *s, int64_t i);
void local_release(struct seq *s, int64_t n);
void local_pass(struct seq *s);
int local_room(struct seq *const *seq, int n, int64_t tokens, struct err *err);
void local_reserve(struct seq *s, int64_t from, int64_t to);
void local_fork(struct seq *to, const struct seq *s);
/* Blocks for all that is computed and still seen, of a sequence that has none. */
void local_begin(struct seq *s);

/*
 * Cache blocks for all tokens, of which those not computed yet are in blocks
 * of its own, and a slot for states.
 */
int seq_reserve(struct seq *s, struct err *err);

#endif
