/*
 * words - distinct words and how often each was seen, in bounded memory
 *
 * A table of 32 bytes a word, at most three quarters full, and the bytes of
 * words longer than 16.  One that has grown to its share of the memory is
 * written out as a run (runs.h) and begins again.  Each thread counts in a
 * table of its own; all of them may spill into the same runs.
 */
#ifndef TOKEN_WORDS_H
#define TOKEN_WORDS_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "token/pretoken.h"
#include "token/runs.h"

struct words;

/* memory: bytes that the table may have; it has 128 KiB and one word always. */
struct words *words_new(int64_t memory, struct runs *runs, struct err *err);
void words_free(struct words *w);

/* Count a word n times more.  Return 0 or -1. */
int words_add(struct words *w, str word, int64_t n, struct err *err);

/* Cut text into words and count each. */
int words_add_text(struct words *w, struct pretoken_walk *walk, str text, struct err *err);

/* Add all counts of from, which is empty then. */
int words_merge(struct words *w, struct words *from, struct err *err);

/* When all is counted: bring together what was spilled. */
int words_settle(struct words *w, struct err *err);

/*
 * Then these are known, and the words are given: 1, 0 at the end, -1.  Their
 * order means nothing.
 */
int64_t words_distinct(const struct words *w);
int64_t words_bytes(const struct words *w);	/* of the distinct words */
int64_t words_total(const struct words *w);	/* bytes of all words seen */
int words_next(struct words *w, str *word, int64_t *count, struct err *err);

#endif
