/*
 * engine_impl - what an engine and its sequences are: private to lib/infer
 *
 * A block may be several sequences' that have the same tokens up to its end;
 * whoever goes on otherwise within it gets a copy first.
 */
#ifndef INFER_ENGINE_IMPL_H
#define INFER_ENGINE_IMPL_H

#include "infer/engine.h"
#include "infer/solo.h"

/* A recorded forward: the model, or its first layers. */
struct graph {
	struct tape	*tape;
	struct model_io	 io;
};

struct engine {
	struct model	*model;
	struct graph	 whole, early;
	struct model_cache cache;
	struct engine_options o;
	int64_t		 max_blocks;	/* of one sequence */
	int64_t		 step;		/* tokens that are dropped at once; 0: none ever */
	int32_t		*unused;	/* cache blocks, a stack */
	int64_t		 n_unused;
	int32_t		*holders;	/* of each block: how many sequences have it */
	int32_t		*unused_slot;	/* of states, a stack */
	int64_t		 n_unused_slot;
	float		*logits;	/* (rows, V) */
	/* one pass's inputs */
	int32_t		*token, *pos, *slot, *cu_seqlens, *key_len, *table, *row;
	int32_t		*state_slot;
	void		*rope;			/* rows of a table of positions */
	struct solo	 solo;			/* of passes of few tokens */
	/* with adapters: tokens of each in a pass, 0 being none; sequences in their order */
	int		 adapters;
	int32_t		*of_adapter, *first;
	struct seq	**ordered;
};

struct seq {
	struct engine	*e;
	int32_t		*token, *block;
	int64_t		 n, done, cap, n_block;	/* tokens, those computed */
	int64_t		 guessed;		/* those that the first layers have computed */
	int32_t		 slot;			/* of its states; -1: none */
	int64_t		 base;			/* of positions that were computed */
	int		 adapter;		/* 0: none */
	int64_t		 dropped;		/* tokens behind the sinks */
	int64_t		 sunk;			/* the position of the first sink */
	int64_t		 want;			/* of how many last tokens to give logits */
	int64_t		 at;			/* row of the last one's; -1: none */
};

/*
 * Cache blocks for all tokens, of which those not computed yet are in blocks
 * of its own, and a slot for states.
 */
int seq_reserve(struct seq *s, struct err *err);

#endif
