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
		c->entry[i] = c->shorts[0].e;
	return c;
}

void
cache_free(struct cache *c)
{
	if (c != NULL)
		munmap(c, sizeof(*c));
}

int
cache_look(struct cache *c, const char *base, const char *end, const int32_t *cut, int n,
    struct cache_word *rest)
{
	return cache_simd()->look(c, base, end, cut, n, rest);
}

int64_t
cache_write(const struct cache *c, int n, const struct cache_word *rest, int nrest, int32_t *id)
{
	return cache_simd()->write(c, n, rest, nrest, id);
}

static void
put_long(struct long_entry *e, str word, const int32_t *id, int64_t n)
{
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
	struct key k = { e->key.lo, e->key.hi & ~((uint64_t)15 << 60) };

	put_long(long_of(c, k), (str){ (const char *)bytes, (ptrdiff_t)(k.hi >> 56) }, e->id,
	    (int64_t)(e->key.hi >> 60));
}

void
cache_put(struct cache *c, str word, const int32_t *id, int64_t n)
{
	bool is_short = word.n <= SHORT_TEXT;
	struct key key = is_short ? key_copy(word.p, (int32_t)word.n) : key_long(word);

	if (is_short && n <= SHORT_IDS && n > 0) {
		struct entry *e = short_of(c, key);

		/* Words that come first are the frequent ones: they stay, most of the time. */
		if (e[0].key.hi != 0 && ++c->puts % 16 != 0)
			e++;
		if (e->key.hi != 0)
			move_long(c, e);
		*e = (struct entry){ .key = { key.lo, key.hi | (uint64_t)n << 60 } };
		memcpy(e->id, id, (size_t)n * sizeof(*id));
	} else if (word.n <= LONG_TEXT && n <= LONG_IDS) {
		put_long(long_of(c, key), word, id, n);
	}
}
