/*
 * cache - the ids of words that came before, of one thread
 *
 * Bounded: 8 MiB of words of up to 15 bytes and 4 ids, which are nearly all
 * words of a text, and 4 MiB of those of up to 62 bytes and 16 ids.  A newer
 * word takes the place of an older one.
 */
#ifndef TOKEN_CACHE_H
#define TOKEN_CACHE_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define CACHE_ROOM	16		/* ids that may be written beyond those that count */

struct cache;
struct cache *cache_new(struct err *err);
void cache_free(struct cache *c);

#define CACHE_WORDS	512		/* at a time */

/*
 * Look words of a text that ends at end up, at most CACHE_WORDS: word i ends at
 * base + cut[i].  What is remembered comes on its way from memory meanwhile.
 */
void cache_look(struct cache *c, const char *base, const char *end, const int32_t *cut, int n);

/*
 * Write the ids of these words from *i on, up to the first that is not known;
 * *i is that one then, or n.  Return how many ids; there is room for CACHE_ROOM
 * more.
 */
int64_t cache_find(const struct cache *c, const char *base, const int32_t *cut, int n, int *i,
    int32_t *id);

/* Remember the n ids of a word; one with too many of either is left out. */
void cache_put(struct cache *c, str word, const int32_t *id, int64_t n);

#endif
