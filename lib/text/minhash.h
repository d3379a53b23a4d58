/*
 * minhash - which texts are nearly the same?
 *
 * A text is taken as the set of its shingles: the hashes (64 bits) of each
 * five words in a row (text/folded.h says what a word is).  A text of
 * fewer than five words is one shingle, all its words; one without words is
 * one too, its bytes.
 *
 * MinHash signatures (Broder 1997) are cut into bands of rows (Indyk and
 * Motwani 1998; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4):
 * sets of Jaccard similarity s agree in a band with probability
 * 1 - (1 - s^rows)^bands.  Who agrees is a candidate, and near_find() says
 * yes only by the true similarity of the sets.
 */
#ifndef TEXT_MINHASH_H
#define TEXT_MINHASH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/spill.h"
#include "base/str.h"
#include "text/folded.h"

#define SHINGLE_WORDS	5
#define MINHASH_BANDS	64
#define MINHASH_MAX	256	/* hash functions */

struct minhash {
	int		 bands, rows;
	uint32_t	 a[MINHASH_MAX], b[MINHASH_MAX];
};

/*
 * Bands and rows for a threshold in [0.1, 1]: as many rows as can be, so that
 * candidates are few, with a recall of 0.9 at the threshold and of 0.99 a
 * tenth above it, of at most 192 functions.
 */
void minhash_init(struct minhash *m, double threshold);

/* 1 - (1 - s^rows)^bands */
double minhash_recall(const struct minhash *m, double s);

/*
 * The text with each run of ASCII white space as one space, and none at its
 * ends, into to, which is emptied first.  Return 0 or -1.
 */
int fold_space(struct buf *to, str text, struct err *err);

/* A thread's room.  Zeroed at first; the set is good until the next text. */
struct shingler {
	struct folded	 folded;
	struct buf	 table, set;
};

/* The distinct shingles of text (none is 0).  Return their number or -1. */
int64_t shingles(struct shingler *s, str text, const uint64_t **set, struct err *err);
void shingler_free(struct shingler *s);

/* A key for each band of the set's signature. */
void minhash_keys(const struct minhash *m, const uint64_t *set, int64_t n, uint32_t *key);

/* ---- an index of the texts that were kept ---- */

struct near_doc {
	const uint64_t	*set;
	int64_t		 n;
	const uint32_t	*key;	/* a band each */
};

struct near_hit {
	int64_t		 number;	/* as given to near_add() */
	str		 name;
	double		 jaccard;
};

/*
 * The set of n shingles of the text that was added with this number, good until
 * the next call; NULL after a failure.
 */
typedef const uint64_t *near_get(void *ctx, int64_t number, int64_t n, struct err *err);

/*
 * Memory: 8 bytes a shingle, about 20 a band and 48 a text, all of it from the
 * spill.  With get the sets and names stay with the caller.  With n there is
 * room for so many texts from the first, and it does not grow; 0: it grows.
 * For one thread at a time.
 */
struct near;
struct near *near_new(const struct minhash *m, double threshold, struct spill *spill, int64_t n,
    near_get *get, void *ctx, struct err *err);

/* For how many texts so much memory is room, with get. */
int64_t near_fits(const struct minhash *m, int64_t memory);

/*
 * Is there a text with the threshold's similarity or more?  1 with the first
 * that was added of them in *hit, 0, or -1.
 */
int near_find(struct near *x, const struct near_doc *d, struct near_hit *hit, struct err *err);
int near_add(struct near *x, const struct near_doc *d, int64_t number, str name,
    struct err *err);
int64_t near_candidates(const struct near *x);	/* sets compared so far */
void near_free(struct near *x);			/* NULL is allowed */

#endif
