/*
 * sketch - what a stream of values was like, in memory that has a limit
 *
 * A spread has counts of values by the first eight bits of their significand: a
 * quantile is at most 1/128 below the true one, and whole numbers up to 256 are exact.
 * A tally of hashes has how many are distinct and how many come again: exactly up
 * to TALLY_MOST of them, and then from those whose last bits are zero, all counts
 * of which it has (P. Gibbons, 2001).  Neither depends on the order of values.
 * Leaders are the most frequent strings, each with how much its count may be too
 * high (space-saving; A. Metwally et al., 2005).
 *
 * All begin as zero bytes and own their memory.
 */
#ifndef TEXT_SKETCH_H
#define TEXT_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define SPREAD_PAGES	4096
#define TALLY_MOST	(int64_t)786432	/* in 16 MiB */
#define LEADERS_MOST	4096
#define LEADERS_KEY	160		/* bytes of a string; what is longer is cut */

struct spread {
	int64_t	 n;
	double	 min, max, sum;
	int64_t	*page[SPREAD_PAGES];	/* by sign and exponent: 1 KiB each */
};

/* Add a value that is no NaN.  Return 0, or -1 when memory fails. */
int spread_add(struct spread *s, double x, struct err *err);
double spread_quantile(const struct spread *s, double q);	/* q from 0 to 1; n > 0 */

/* How many are less than x, which is taken to 1/128; equal: or the same. */
int64_t spread_below(const struct spread *s, double x, bool equal);
void spread_free(struct spread *s);

struct tally {
	struct tally_slot {
		uint64_t hash;
		uint32_t n, weight;
	}	*slot;
	int64_t	 cap, held;
	int	 level;		/* hashes that end in so many zeros are held */
	int64_t	 total;		/* hashes added */
};

/* weight: of one of these, as its bytes. */
int tally_add(struct tally *t, uint64_t hash, int64_t weight, struct err *err);
int64_t tally_distinct(const struct tally *t);

/* How many were there before, and the sum of their weights. */
void tally_repeats(const struct tally *t, int64_t *n, int64_t *weight);
void tally_free(struct tally *t);

struct leaders {
	struct leader {
		char	 key[LEADERS_KEY];
		int	 len;
		int64_t	 n, error;	/* between n - error and n */
		uint64_t hash;
		int	 next;		/* in its chain, -1 */
		int	 place;		/* in the heap */
	}	*leader;
	int	*heap;			/* least first */
	int	*chain;
	int	 count;
	int64_t	 total;
};

int leaders_add(struct leaders *l, str key, struct err *err);

/* Sort them, the most frequent first; nothing is added after that. */
void leaders_sort(struct leaders *l);
void leaders_free(struct leaders *l);

#endif
