/*
 * bpe_pairs - the pairs of neighbours in a row that are frequent enough
 *
 * Each with its count and where it occurs, in ascending order; the most
 * frequent first.  Of equally frequent ones that with the lower left id, then
 * the lower right id.
 *
 * A pair gets all its occurrences when the younger of its two tokens is made;
 * from then on they get fewer.  So those below a threshold can be left out as
 * long as one above it is to be merged.
 */
#ifndef TOKEN_BPE_PAIRS_H
#define TOKEN_BPE_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/spill.h"
#include "token/bpe_row.h"

/* Ascending places in a row, as differences of 7 bits a byte. */
struct places {
	struct place_block {
		struct place_block	*next;
		uint8_t			 byte[56];
	}		*first, *last;
	int32_t		 used;		/* bytes in last */
	int64_t		 end;		/* the last place */
};

struct pair {
	uint64_t	key;		/* left << 32 | right */
	int64_t		count;
	struct places	places;
};

struct pairs {
	struct spill	 spill;		/* blocks of places */
	struct place_block *spare;
	struct pair	*pair;
	int64_t		 n, cap;
	uint32_t	*slot;		/* pair + 1, 0: empty */
	int64_t		 nslots;
	/* Pairs, with their counts when they came in. */
	struct queued {
		int64_t		count;
		uint32_t	pair;
	}		*heap;
	int64_t		 nheap, cap_heap;
};

static inline uint64_t
pair_key(uint32_t left, uint32_t right)
{
	return (uint64_t)left << 32 | right;
}

static inline uint64_t
pair_hash(uint64_t key)
{
	key *= 0x9e3779b97f4a7c15u;
	return key ^ key >> 29;
}

/* Make room for one more element of *p. */
int pairs_grow(void *p, int64_t n, int64_t *cap, size_t size, struct err *err);
#define PAIRS_GROW(array, n, cap, err) \
	pairs_grow(&(array), (n), &(cap), sizeof(*(array)), (err))

/*
 * All pairs of the row that occur at least so often; memory is for their
 * places, which are in a file beyond it.  *most is the highest count of all
 * pairs.  pairs_free() in any case.
 */
int pairs_init(struct pairs *p, const struct row *row, int64_t threshold, const char *dir,
    int64_t memory, int64_t *most, struct err *err);
void pairs_free(struct pairs *p);

/* A pair of the set, or NULL. */
struct pair *pairs_find(const struct pairs *p, uint64_t key);

/* Add and queue a pair with its places, which are taken. */
int pairs_add(struct pairs *p, uint64_t key, int64_t count, struct places places,
    struct err *err);

/*
 * The most frequent pair that occurs at least so often, which leaves the
 * queue; NULL: there is none.
 */
struct pair *pairs_pop(struct pairs *p, int64_t threshold);

int places_add(struct pairs *p, struct places *l, int64_t at, struct err *err);
void places_drop(struct pairs *p, struct places *l);

/* Walk: begins as { first, 0, 0 }; -1 at the end. */
struct place_walk {
	const struct places		*l;
	const struct place_block	*block;
	int32_t				 i;
	int64_t				 at;
};
int64_t places_next(struct place_walk *w);

#endif
