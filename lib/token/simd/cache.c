/*
 * Words are looked up many at a time: while the keys of some are made, the
 * lines of others come from memory, and no branch asks which of two entries a
 * word has, for none could be foretold.
 */
#include "token/cache_impl.h"

#define SEEN	64		/* of words that are new, one for each of so many hashes */

/* 0 when the entry has this key. */
static inline uint64_t
differs(const struct entry *e, struct key k)
{
	return (e->key.lo ^ k.lo) | (e->key.hi ^ k.hi) << 4;
}

static inline void
make_keys(struct cache *c, const char *base, const char *end, const int32_t *cut, int n)
{
	struct tables t = c->t;		/* nothing that is written here is of them */
	int32_t from = 0;

	for (int i = 0; i < n; from = cut[i++]) {
		const char *p = base + from;
		int32_t len = cut[i] - from;

		if (len > SHORT_TEXT) {
			/* No entry has a key like this, whichever it is looked for in. */
			c->key[i] = key_long((str){ p, len <= LONG_TEXT ? len : 0 });
			c->entry[i] = t.shorts[0].e;
			__builtin_prefetch(long_of(&t, c->key[i]));
			continue;
		}
		c->key[i] = end - p >= 16 ? key_at(p, len) : key_copy(p, len);
		c->entry[i] = short_of(&t, c->key[i]);
		if (i < AHEAD)
			__builtin_prefetch(c->entry[i]);
	}
}

/* Words that are not among the short ones.  New ones tend to come again soon. */
static void
look_long(const struct cache *c, const char *base, const int32_t *cut, struct cache_word *rest,
    int n)
{
	const struct cache_word *seen[SEEN] = { NULL };

	for (int i = 0; i < n; i++)
		__builtin_prefetch(long_of(&c->t, c->key[rest[i].word]));
	for (int i = 0; i < n; i++) {
		str word = word_at(base, cut, rest[i].word);
		const struct long_entry *e = long_of(&c->t, c->key[rest[i].word]);
		const struct cache_word **s = &seen[(e - c->t.longs) % SEEN];

		rest[i].id = e->id;
		rest[i].n = e->n;
		rest[i].first = NULL;
		if (e->len == word.n && memcmp(e->text, word.p, (size_t)word.n) == 0)
			continue;
		rest[i].n = -1;
		if (*s != NULL && str_eq(word_at(base, cut, (*s)->word), word))
			rest[i].first = *s;
		else
			*s = &rest[i];
	}
}

static int
look(struct cache *c, const char *base, const char *end, const int32_t *cut, int n,
    struct cache_word *rest)
{
	int nrest = 0;

	make_keys(c, base, end, cut, n);
	for (int i = 0; i < n; i++) {
		const struct entry *e = c->entry[i];
		uint64_t first = differs(e, c->key[i]), second = differs(e + 1, c->key[i]);

		__builtin_prefetch(c->entry[i + AHEAD]);
		c->entry[i] = e + (first != 0);
		rest[nrest].word = i;
		nrest += (first != 0) & (second != 0);
	}
	look_long(c, base, cut, rest, nrest);
	return nrest;
}

static int64_t
write(const struct cache *c, int n, const struct cache_word *rest, int nrest, int32_t *id)
{
	int32_t *at = id;

	for (int k = 0, r = 0; k < n; k++, r++) {
		int stop = r < nrest ? rest[r].word : n;

		for (; k < stop; k++) {
			memcpy(at, c->entry[k]->id, sizeof(c->entry[k]->id));
			at += c->entry[k]->key.hi >> 60;
		}
		if (r == nrest)
			break;
		memcpy(at, rest[r].id, (size_t)(rest[r].n > CACHE_ROOM ? rest[r].n : CACHE_ROOM) *
		    sizeof(*at));
		at += rest[r].n;
	}
	return at - id;
}

const struct cache_simd OF_ISA(cache_simd) = { look, write };
