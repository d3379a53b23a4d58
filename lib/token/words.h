/*
 * words - distinct words and how often each was seen
 *
 * Words shorter than two bytes hold no pair and are not kept.  Memory: the
 * bytes of the distinct words and about 60 for each; at most WORDS_MAX bytes.
 */
#ifndef TOKEN_WORDS_H
#define TOKEN_WORDS_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "token/scan.h"

#define WORDS_MAX	((int64_t)1 << 30)

struct words;

struct words *words_new(struct err *err);
void words_free(struct words *w);

/* Count a word n times more.  Return 0 or -1 (ERR_NOMEM, ERR_LIMIT). */
int words_add(struct words *w, str word, int64_t n, struct err *err);

/* Cut text into words by a pattern (scan.h) and count each; class as there. */
int words_add_text(struct words *w, enum scan kind, const uint8_t *class, str text,
    struct err *err);

/* Add all counts of from. */
int words_merge(struct words *w, const struct words *from, struct err *err);

int64_t words_distinct(const struct words *w);
int64_t words_bytes(const struct words *w);	/* of the distinct words */
int64_t words_total(const struct words *w);	/* bytes of all words seen */
int64_t words_short(const struct words *w);	/* how many had one byte */

/* Walk: *at starts at 0.  Return false at the end.  The order means nothing. */
bool words_next(const struct words *w, int64_t *at, str *word, int64_t *count);

#endif
