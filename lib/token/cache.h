/*
 * cache - the ids of words that came before, of one thread
 *
 * Words of up to 15 bytes and 4 ids, which are nearly all words of a text, have
 * two thirds of it; the rest is of those of up to 62 bytes and 16 ids.  It grows
 * with what it has seen, from 6 to 24 MiB; then a newer word takes the
 * place of an older one.
 */
#ifndef TOKEN_CACHE_H
#define TOKEN_CACHE_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define CACHE_WORDS	512		/* at a time */
#define CACHE_ROOM	16		/* ids that may be read and written beyond their end */

struct cache;
struct cache *cache_new(struct err *err);
void cache_free(struct cache *c);

/* Word i of some of which each ends at base + cut[i]. */
static inline str
word_at(const char *base, const int32_t *cut, int i)
{
	int32_t from = i > 0 ? cut[i - 1] : 0;

	return (str){ base + from, cut[i] - from };
}

/* One of the words that were looked up. */
struct cache_word {
	int32_t		word;		/* which */
	int32_t		n;		/* of ids; -1: they are not known */
	const int32_t	*id;
	const struct cache_word *first;	/* then: the one before that is the same, or NULL */
};

/*
 * Look words of a text that ends at end up, at most CACHE_WORDS, cut as
 * word_at() has it.  Those that are not known are listed in rest, in their order,
 * among others; return how many there are.
 */
int cache_look(struct cache *c, const char *base, const char *end, const int32_t *cut, int n,
    struct cache_word *rest);

/* Write the ids of these words, given all of rest.  Return how many. */
int64_t cache_write(const struct cache *c, int n, const struct cache_word *rest, int nrest,
    int32_t *id);

/* Remember the n ids of word i of these; one with too many of either is left out. */
void cache_put(struct cache *c, int i, str word, const int32_t *id, int64_t n);

#endif
