/*
 * Words are looked up many at a time: while the keys of some are made, the
 * lines of others come from memory.
 */
#include "token/cache_impl.h"

/* 0 when the entry has this key. */
static inline uint64_t
differs(const struct entry *e, struct key k)
{
	return (e->key.lo ^ k.lo) | (e->key.hi ^ k.hi) << 4;
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

static void
look(struct cache *c, const char *base, const char *end, const int32_t *cut, int n)
{
	int32_t from = 0;

	for (int i = 0; i < n; from = cut[i++]) {
		const char *p = base + from;
		int32_t len = cut[i] - from;

		if (len > SHORT_TEXT)
			continue;
		c->key[i] = end - p >= 16 ? key_at(p, len) : key_copy(p, len);
		c->bucket[i] = &c->shorts[bucket_of(c->key[i])];
		if (i < AHEAD)
			__builtin_prefetch(c->bucket[i]);
	}
}

static int64_t
find(const struct cache *c, const char *base, const int32_t *cut, int n, int *i,
    int32_t *id)
{
	int32_t from = *i > 0 ? cut[*i - 1] : 0;
	int32_t *at = id;
	int k;

	for (k = *i; k < n; from = cut[k++]) {
		int32_t len = cut[k] - from;
		int64_t got;

		__builtin_prefetch(c->bucket[k + AHEAD]);
		if (len <= SHORT_TEXT) {
			const struct entry *e = c->bucket[k]->e;

			if (differs(e, c->key[k]) == 0 || differs(++e, c->key[k]) == 0) {
				memcpy(at, e->id, sizeof(e->id));
				at += e->key.hi >> 60;
				continue;
			}
		}
		if ((got = find_long(c, (str){ base + from, len }, at)) < 0)
			break;
		at += got;
	}
	*i = k;
	return at - id;
}

const struct cache_simd OF_ISA(cache_simd) = { look, find };
