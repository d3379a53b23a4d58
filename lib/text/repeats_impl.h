/*
 * repeats_impl - what the parts of repeats share
 */
#ifndef TEXT_REPEATS_IMPL_H
#define TEXT_REPEATS_IMPL_H

#include "base/buckets.h"
#include "text/repeats.h"

#define REPEATS_BUCKETS	256
#define PRIME61		(((uint64_t)1 << 61) - 1)

/* A candidate: its hashes, and its number among the windows of all texts. */
struct window {
	uint64_t	a, b, place;
};

/* A text with windows. */
struct passed {
	uint64_t	number, windows;
};

/* A passage: units [from, to) of a text. */
struct passage {
	uint64_t	number;
	uint32_t	from, to;
};

struct repeats {
	enum unit_kind	 kind;
	int64_t		 n;		/* units of a window */
	int64_t		 k, w;		/* units of a k-gram, k-grams of a window */
	int64_t		 memory;
	const char	*dir;
	uint64_t	 gram_out;	/* what takes the first unit out of a k-gram's hash */
	uint64_t	 a_out, b_out;	/* ... and of a window's */
	uint8_t		*cells;		/* pass 1: two bits each; NULL after pass 3 */
	uint64_t	 ncells;
	int64_t		 loaded;	/* bytes by repeats_load() */
	struct buckets	*windows;	/* struct window, by hash */
	struct buckets	*passed;	/* struct passed, one bucket */
	struct buckets	*passages;	/* struct passage, one bucket */
	struct repeats_scan hashing;	/* of repeats_add() */

	void		*room;		/* pass 4: a chunk of passages */
	const struct passage *next;
	int64_t		 chunk, left;
	struct span	*span;
	ptrdiff_t	 cap;
	struct units	 units;

	struct repeats_stats stats;
};

#endif
