#include "token/cache_impl.h"

#include <sys/mman.h>

struct cache *
cache_new(struct err *err)
{
	/* Pages that are large, for the TLB, and there when they are first written. */
	struct cache *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	madvise(c, sizeof(*c), MADV_HUGEPAGE);
	for (int i = 0; i < CACHE_WORDS + AHEAD; i++)
		c->bucket[i] = c->shorts;
	return c;
}

void
cache_free(struct cache *c)
{
	if (c != NULL)
		munmap(c, sizeof(*c));
}

void
cache_look(struct cache *c, const char *base, const char *end, const int32_t *cut, int n)
{
	cache_simd()->look(c, base, end, cut, n);
}

int64_t
cache_find(const struct cache *c, const char *base, const int32_t *cut, int n, int *i,
    int32_t *id)
{
	return cache_simd()->find(c, base, cut, n, i, id);
}

static void
put_long(struct cache *c, str word, const int32_t *id, int64_t n)
{
	struct long_entry *e = &c->longs[long_of(word)];

	e->len = (uint8_t)word.n;
	e->n = (uint8_t)n;
	memcpy(e->text, word.p, (size_t)word.n);
	memcpy(e->id, id, (size_t)n * sizeof(*id));
}

/* An entry whose place another takes is remembered among the long ones. */
static void
move_long(struct cache *c, const struct entry *e)
{
	uint64_t bytes[2] = { htole64(e->key.lo), htole64(e->key.hi) };

	put_long(c, (str){ (const char *)bytes, (ptrdiff_t)(e->key.hi >> 56 & 15) }, e->id,
	    (int64_t)(e->key.hi >> 60));
}

void
cache_put(struct cache *c, str word, const int32_t *id, int64_t n)
{
	if (word.n <= SHORT_TEXT && n <= SHORT_IDS && n > 0) {
		struct key key = key_copy(word.p, (int32_t)word.n);
		struct entry *e = c->shorts[bucket_of(key)].e;

		/* Words that come first are the frequent ones: they stay, most of the time. */
		if (e[0].key.hi != 0 && ++c->puts % 16 != 0)
			e++;
		if (e->key.hi != 0)
			move_long(c, e);
		*e = (struct entry){ .key = { key.lo, key.hi | (uint64_t)n << 60 } };
		memcpy(e->id, id, (size_t)n * sizeof(*id));
	} else if (word.n <= LONG_TEXT && n <= LONG_IDS) {
		put_long(c, word, id, n);
	}
}
