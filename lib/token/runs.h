/*
 * runs - counted words on disk, in sorted runs that are merged as they get many
 *
 * A run is a file without a name, so nothing is left behind.  Its words ascend
 * by hash, then by length, then by bytes, and none is there twice.  Any number
 * of threads add runs; no more than RUNS_MOST are open.
 */
#ifndef TOKEN_RUNS_H
#define TOKEN_RUNS_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define RUNS_MOST	128

struct counted {
	str		word;
	int64_t		count;
	uint64_t	hash;		/* word_hash() of word */
};

/* Owns its files. */
struct runs;
struct runs *runs_new(const char *dir, struct err *err);
void runs_free(struct runs *r);

/* Add a run of what next() gives: 1, 0 at the end, or -1.  Return 0 or -1. */
int runs_add(struct runs *r, int (*next)(void *from, struct counted *w, struct err *err),
    void *from, struct err *err);

int64_t runs_bytes(const struct runs *r);	/* written in all */

/*
 * When all are added: merge them into one and tell how many words it has and
 * how many bytes those.  Then runs_next() gives them: 1, 0 at the end, which
 * begins again, or -1.
 */
int runs_settle(struct runs *r, int64_t *words, int64_t *bytes, struct err *err);
int runs_next(struct runs *r, struct counted *w, struct err *err);

#endif
