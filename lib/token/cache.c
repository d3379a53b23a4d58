#include "token/cache.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"

#define HUGE		((size_t)2 << 20)	/* a page that large needs one entry of the TLB */

#define SHORT_BITS	17
#define SHORT_TEXT	15
#define SHORT_IDS	4
#define LONG_BITS	14
#define LONG_TEXT	62
#define LONG_IDS	16

/* Half a line; a bucket is a line, the newer word first. */
struct entry {
	uint64_t	lo, hi;		/* the bytes; hi's last: ids << 4 | length */
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

struct cache {
	struct long_entry longs[1 << LONG_BITS];
	struct bucket	shorts[1 << SHORT_BITS];
};

struct cache *
cache_new(struct err *err)
{
	struct cache *c = aligned_alloc(HUGE, sizeof(*c));

	if (c == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	madvise(c, sizeof(*c), MADV_HUGEPAGE);
	memset(c, 0, sizeof(*c));
	return c;
}

void
cache_free(struct cache *c)
{
	free(c);
}

struct key {
	uint64_t	lo, hi;
};

/* The bytes of a word of 1 to 15, and its length; 16 can be read. */
static inline struct key
key_at(const char *p, int32_t n)
{
#define ONES(n) ((n) >= 8 ? ~(uint64_t)0 : ((uint64_t)1 << 8 * ((n) & 7)) - 1)
#define MASK(n) { ONES(n), (n) < 8 ? 0 : ONES((n) - 8) }
	static const struct key mask[16] = { MASK(0), MASK(1), MASK(2), MASK(3), MASK(4), MASK(5),
	    MASK(6), MASK(7), MASK(8), MASK(9), MASK(10), MASK(11), MASK(12), MASK(13), MASK(14),
	    MASK(15) };
	struct key k;

	memcpy(&k, p, sizeof(k));
	k.lo = le64toh(k.lo) & mask[n].lo;
	k.hi = (le64toh(k.hi) & mask[n].hi) | (uint64_t)n << 56;
	return k;
}

/* The same where less may be left of the text. */
static struct key
key_copy(const char *p, int32_t n)
{
	char tmp[16] = { 0 };

	memcpy(tmp, p, (size_t)n);
	return key_at(tmp, n);
}

static inline uint64_t
bucket_of(struct key k)
{
	return ((k.lo ^ (k.hi << 23 | k.hi >> 41) * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u) >>
	    (64 - SHORT_BITS);
}

/* 0 when the entry has this key. */
static inline uint64_t
differs(const struct entry *e, struct key k)
{
	return (e->lo ^ k.lo) | (e->hi ^ k.hi) << 4;
}

static inline uint64_t
long_of(str word)
{
	return hash64(word) >> (64 - LONG_BITS);
}

/* Return how many ids, or -1. */
static int64_t
find_long(const struct cache *c, str word, int32_t *id)
{
	const struct long_entry *e;

	if (word.n > LONG_TEXT)
		return -1;
	e = &c->longs[long_of(word)];
	if (e->len != word.n || memcmp(e->text, word.p, (size_t)word.n) != 0)
		return -1;
	memcpy(id, e->id, sizeof(e->id));
	return e->n;
}

int64_t
cache_find(const struct cache *c, const char *base, const char *end, const int32_t *cut, int n,
    int *i, int32_t *id)
{
	int32_t from = *i > 0 ? cut[*i - 1] : 0;
	int32_t *at = id;
	int k;

	for (k = *i; k < n; k++) {
		const char *p = base + from;
		int32_t len = cut[k] - from;
		int64_t got;

		if (len <= SHORT_TEXT) {
			struct key key = end - p >= 16 ? key_at(p, len) : key_copy(p, len);
			const struct entry *e = c->shorts[bucket_of(key)].e;

			/* Without a branch: which of the two it is cannot be foreseen. */
			e += differs(e, key) != 0;
			if (differs(e, key) == 0) {
				memcpy(at, e->id, sizeof(e->id));
				at += e->hi >> 60;
				from = cut[k];
				continue;
			}
		}
		if ((got = find_long(c, (str){ p, len }, at)) < 0)
			break;
		at += got;
		from = cut[k];
	}
	*i = k;
	return at - id;
}

void
cache_put(struct cache *c, str word, const int32_t *id, int64_t n)
{
	if (word.n <= SHORT_TEXT && n <= SHORT_IDS && n > 0) {
		struct key key = key_copy(word.p, (int32_t)word.n);
		struct entry *e = c->shorts[bucket_of(key)].e;

		e[1] = e[0];
		e[0] = (struct entry){ .lo = key.lo, .hi = key.hi | (uint64_t)n << 60 };
		memcpy(e[0].id, id, (size_t)n * sizeof(*id));
	} else if (word.n <= LONG_TEXT && n <= LONG_IDS) {
		struct long_entry *e = &c->longs[long_of(word)];

		e->len = (uint8_t)word.n;
		e->n = (uint8_t)n;
		memcpy(e->text, word.p, (size_t)word.n);
		memcpy(e->id, id, (size_t)n * sizeof(*id));
	}
}
