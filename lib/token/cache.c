#include "token/cache_impl.h"

#include <stdlib.h>
#include <sys/mman.h>

static size_t
shorts_size(int bits)
{
	return sizeof(struct bucket) << bits;
}

static size_t
tables_size(int bits)
{
	return shorts_size(bits) + (sizeof(struct long_entry) << LONG_BITS(bits));
}

/* Empty tables. */
static bool
take_tables(struct tables *t, int bits)
{
	/* Pages that are large, for the TLB, and there when they are first written. */
	char *p = mmap(NULL, tables_size(bits), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return false;
	madvise(p, tables_size(bits), MADV_HUGEPAGE);
	t->shorts = (struct bucket *)(void *)p;
	t->longs = (struct long_entry *)(void *)(p + shorts_size(bits));
	t->bits = bits;
	return true;
}

static void
drop_tables(const struct tables *t)
{
	munmap(t->shorts, tables_size(t->bits));
}

struct cache *
cache_new(struct err *err)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (c == NULL || !take_tables(&c->t, LEAST_BITS)) {
		free(c);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return c;
}

void
cache_free(struct cache *c)
{
	if (c == NULL)
		return;
	drop_tables(&c->t);
	free(c);
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

/* The key of an entry's word. */
static struct key
key_of_entry(const struct entry *e)
{
	return (struct key){ e->key.lo, e->key.hi & ~((uint64_t)15 << 60) };
}

/* An entry whose place another takes is remembered among the long ones. */
static void
move_long(struct cache *c, const struct entry *e)
{
	struct key k = key_of_entry(e);
	uint64_t bytes[2] = { htole64(k.lo), htole64(k.hi) };

	put_long(long_of(&c->t, k), (str){ (const char *)bytes, (ptrdiff_t)(k.hi >> 56) }, e->id,
	    (int64_t)(e->key.hi >> 60));
}

static struct key
key_of_word(str word)
{
	return word.n <= SHORT_TEXT ? key_copy(word.p, (int32_t)word.n) : key_long(word);
}

/* Larger tables, if there is memory; each place becomes several. */
static void
grow(struct cache *c)
{
	struct tables was = c->t;

	c->puts = 0;
	if (!take_tables(&c->t, was.bits + STEP_BITS))
		return;
	for (int64_t i = 0; i < (int64_t)2 << was.bits; i++) {
		const struct entry *e = &was.shorts[i / 2].e[i % 2];
		struct entry *to;

		if (e->key.hi == 0)
			continue;
		to = short_of(&c->t, key_of_entry(e));
		to[to->key.hi != 0] = *e;
	}
	for (int64_t i = 0; i < (int64_t)1 << LONG_BITS(was.bits); i++) {
		const struct long_entry *e = &was.longs[i];

		if (e->len > 0)
			*long_of(&c->t, key_of_word((str){ e->text, e->len })) = *e;
	}
	drop_tables(&was);
}

void
cache_put(struct cache *c, int i, str word, const int32_t *id, int64_t n)
{
	struct key key = c->key[i];

	if (c->puts >> c->t.bits != 0 && c->t.bits < MOST_BITS)
		grow(c);
	c->puts++;
	if (word.n <= SHORT_TEXT && n <= SHORT_IDS && n > 0) {
		struct entry *e = short_of(&c->t, key);

		/* Words that come first are the frequent ones: they stay, most of the time. */
		if (e[0].key.hi != 0 && c->puts % 16 != 0)
			e++;
		if (e->key.hi != 0)
			move_long(c, e);
		*e = (struct entry){ .key = { key.lo, key.hi | (uint64_t)n << 60 } };
		memcpy(e->id, id, (size_t)n * sizeof(*id));
	} else if (word.n <= LONG_TEXT && n <= LONG_IDS) {
		put_long(long_of(&c->t, key), word, id, n);
	}
}
