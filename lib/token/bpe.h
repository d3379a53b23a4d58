/*
 * bpe - byte pair encoding of one word
 *
 * The merges are a list in order of rank, and found by a hash table of pairs of
 * ids.  The pair of lowest rank is merged first, of equal ones the leftmost, as
 * the reference does.  A short word is merged by scanning; a long one with a
 * heap, so that the time is O(n log n) whatever the bytes, and the memory 28 n.
 *
 * Sennrich et al., Neural Machine Translation of Rare Words with Subword
 * Units (2016).
 */
#ifndef TOKEN_BPE_H
#define TOKEN_BPE_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct bpe_merge {
	uint64_t	pair;		/* left << 32 | right; all ones: a later one is the same */
	uint32_t	rank;
	int32_t		id;		/* what the pair becomes */
};

struct bpe {
	struct bpe_merge *merge;	/* in order of rank */
	int64_t		 nmerges;
	uint32_t	*slot;		/* 1 + which of them, by the hash of the pair; 0: empty */
	int64_t		 nslots;	/* a power of two */
	uint32_t	*rank;		/* of each token that merges were made of; or NULL */
	int32_t		 byte_id[256];	/* -1: this byte has no token */
};

/* Room for n merges.  Return 0 or -1. */
int bpe_init(struct bpe *b, int64_t n, struct err *err);
void bpe_free(struct bpe *b);

/* Add a merge, of no lower rank than the last; one that is there already takes it. */
void bpe_add(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t id);

/* When all are added: make them findable.  Return 0 or -1. */
int bpe_index(struct bpe *b, struct err *err);

static inline uint64_t
bpe_slot(const struct bpe *b, uint64_t pair)
{
	return (pair * 0x9e3779b97f4a7c15u >> 24 ^ pair) & ((uint64_t)b->nslots - 1);
}

/* The merge of two tokens, or NULL. */
static inline const struct bpe_merge *
bpe_find(const struct bpe *b, int32_t left, int32_t right)
{
	uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
	uint64_t i = bpe_slot(b, pair);

	for (; b->slot[i] != 0; i = (i + 1) & ((uint64_t)b->nslots - 1))
		if (b->merge[b->slot[i] - 1].pair == pair)
			return &b->merge[b->slot[i] - 1];
	return NULL;
}

/* A thread's memory for long words; zeroed at first. */
struct bpe_scratch {
	void	*p;
	int64_t	 size;
};

/* size bytes of it, or NULL; what was there before is lost. */
void *bpe_scratch(struct bpe_scratch *s, int64_t size, struct err *err);

/*
 * Write the ids of word to id, which has room for word.n.  Return how many, or
 * -1 with ERR_FORMAT for a byte that has no token, or ERR_NOMEM.
 */
int64_t bpe_word(const struct bpe *b, struct bpe_scratch *s, str word, int32_t *id,
    struct err *err);

/* Merge the n ids that a word begins as, in place.  Return how many are left, or -1. */
int64_t bpe_merge_ids(const struct bpe *b, struct bpe_scratch *s, int32_t *id, int64_t n,
    struct err *err);
void bpe_scratch_free(struct bpe_scratch *s);

#endif
