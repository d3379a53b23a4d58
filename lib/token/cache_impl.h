/*
 * cache_impl - where words are remembered, and looking them up, once for each
 * instruction set
 */
#ifndef TOKEN_CACHE_IMPL_H
#define TOKEN_CACHE_IMPL_H

#include <endian.h>
#include <string.h>

#include "base/hash.h"
#include "base/isa.h"
#include "token/cache.h"

#define LEAST_BITS	16		/* of the number of buckets */
#define MOST_BITS	18
#define STEP_BITS	2		/* by which they grow */
#define LONG_BITS(bits)	((bits) - 2)	/* of that of long entries */
#define SHORT_TEXT	15
#define SHORT_IDS	4
#define LONG_TEXT	62
#define LONG_IDS	CACHE_ROOM
#define AHEAD		32		/* words whose lines are on their way */

/* The bytes of a word of up to 15, and its length as hi's last. */
struct key {
	uint64_t	lo, hi;
};

/* Half a line; a bucket is a line. */
struct entry {
	struct key	key;		/* the upper half of the length is how many ids */
	int32_t		id[SHORT_IDS];
};

struct bucket {
	_Alignas(64) struct entry e[2];
};

struct long_entry {
	_Alignas(128) uint8_t len;	/* 0: empty */
	uint8_t		n;
	char		text[LONG_TEXT];
	int32_t		id[LONG_IDS];
};

struct tables {
	struct bucket	*shorts;
	struct long_entry *longs;
	int		bits;
};

struct cache {
	struct tables	t;
	uint32_t	puts;
	/* Of the words that are looked up; a long one has its hash as lo and no length. */
	struct key	key[CACHE_WORDS];
	const struct entry *entry[CACHE_WORDS + AHEAD];
};

/* The key of a word; 16 bytes can be read. */
static inline struct key
key_at(const char *p, int32_t n)
{
#define ONES(n) ((n) >= 8 ? ~(uint64_t)0 : ((uint64_t)1 << 8 * ((n) & 7)) - 1)
#define MASK(n) { ONES(n), (n) < 8 ? 0 : ONES((n) - 8) }
	static const struct key mask[16] = { MASK(0), MASK(1), MASK(2), MASK(3), MASK(4), MASK(5),
	    MASK(6), MASK(7), MASK(8), MASK(9), MASK(10), MASK(11), MASK(12), MASK(13), MASK(14),
	    MASK(15) };
	uint64_t lo, hi;

	memcpy(&lo, p, 8);
	memcpy(&hi, p + 8, 8);
	return (struct key){ le64toh(lo) & mask[n].lo,
	    (le64toh(hi) & mask[n].hi) | (uint64_t)n << 56 };
}

/* The same where less may be left of the text. */
static inline struct key
key_copy(const char *p, int32_t n)
{
	char tmp[16] = { 0 };

	memcpy(tmp, p, (size_t)n);
	return key_at(tmp, n);
}

static inline uint64_t
hash_of(struct key k)
{
	return (k.lo ^ k.hi * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
}

static inline struct entry *
short_of(const struct tables *t, struct key k)
{
	return t->shorts[hash_of(k) >> (64 - t->bits)].e;
}

/* Where a word would be among the long ones; k is its key, or has its hash. */
static inline struct long_entry *
long_of(const struct tables *t, struct key k)
{
	uint64_t hash = k.hi == 0 ? k.lo : hash_of(k) << MOST_BITS;

	return &t->longs[hash >> (64 - LONG_BITS(t->bits))];
}

/* What long_of() takes for a word without a key. */
static inline struct key
key_long(str word)
{
	return (struct key){ hash64(word) | 1, 0 };
}

struct cache_simd {
	int (*look)(struct cache *c, const char *base, const char *end, const int32_t *cut, int n,
	    struct cache_word *rest);
	int64_t (*write)(const struct cache *c, int n, const struct cache_word *rest, int nrest,
	    int32_t *id);
};

ISA_TABLE(cache_simd)

#endif
