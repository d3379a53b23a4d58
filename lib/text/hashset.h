/*
 * hashset - a set of 128-bit hashes, each with a number if that is wanted
 *
 * Open addressing, at most 3/4 full, 16 bytes a slot (24 with numbers), so 21
 * to 43 (32 to 64) bytes an entry; while it grows, half as much again.  The
 * hashes must be good ones: their high bits are the place in the table.
 */
#ifndef TEXT_HASHSET_H
#define TEXT_HASHSET_H

#include "base/hash.h"
#include "base/spill.h"

struct hashset {
	struct spill	*spill;		/* borrowed */
	struct piece	*slots, *numbers;
	int64_t		 cap, n;
	bool		 numbered;
};

int hashset_init(struct hashset *s, struct spill *spill, bool numbered, struct err *err);

/* While it is empty: room for n, below which it does not grow. */
int hashset_reserve(struct hashset *s, int64_t n, struct err *err);

/* How many entries with numbers fit into so many bytes. */
int64_t hashset_fits(int64_t memory);

/*
 * Return 1 when h is new, and it is kept with number; 0 when it was there, with
 * its number in *was (0 without numbers); -1 when memory fails.
 */
int hashset_add(struct hashset *s, hash128 h, uint64_t number, uint64_t *was, struct err *err);

/* 1 when h is there, with its number, else 0. */
int hashset_get(const struct hashset *s, hash128 h, uint64_t *was);

/* Give its memory back; one that is all zero is allowed. */
void hashset_free(struct hashset *s);

#endif
