#include "token/strmap.h"

#include <stdlib.h>

#include "token/wordkey.h"

#define HEAD	((ptrdiff_t)sizeof(uint64_t))

/*
 * A string of up to 8 bytes is all in its slot; of others their bytes are looked
 * at where the first 8, the length and some of the hash are the same.
 */
struct strmap_slot {
	uint64_t	head;		/* the first 8 bytes, or zeros behind fewer */
	uint32_t	tag;		/* of the hash, and of the length */
	uint32_t	index;		/* + 1; 0: empty */
};

int
strmap_init(struct strmap *m, int64_t n, const str *key, struct err *err)
{
	*m = (struct strmap){ .nslots = 64, .key = key };
	while (m->nslots < 2 * n)
		m->nslots *= 2;
	if ((m->slot = calloc((size_t)m->nslots, sizeof(*m->slot))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %lld strings", (long long)n);
	return 0;
}

void
strmap_free(struct strmap *m)
{
	free(m->slot);
	*m = (struct strmap){ 0 };
}

void
strmap_soon(const struct strmap *m, str s)
{
	uint64_t hash = word_hash(word_key(s), s.n);

	__builtin_prefetch(&m->slot[hash & ((uint64_t)m->nslots - 1)]);
}

/* The slot where s is or would go: with all of it but the index if that is 0. */
static struct strmap_slot *
probe(const struct strmap *m, str s, struct strmap_slot *want)
{
	struct word_key k = word_key(s);
	uint64_t mask = (uint64_t)m->nslots - 1, hash = word_hash(k, s.n), i = hash & mask;

	want->head = s.n > WORD_SHORT ? word_load8(s.p) : k.a;
	want->tag = (uint32_t)(hash >> 40) << 8 | (uint32_t)(s.n < 255 ? s.n : 255);
	for (; m->slot[i].index != 0; i = (i + 1) & mask)
		if (m->slot[i].tag == want->tag && m->slot[i].head == want->head &&
		    (s.n <= HEAD || str_eq(m->key[m->slot[i].index - 1], s)))
			break;
	return &m->slot[i];
}

int32_t
strmap_find(const struct strmap *m, str s)
{
	struct strmap_slot want;

	return (int32_t)(probe(m, s, &want)->index - 1);
}

int32_t
strmap_add(struct strmap *m, int32_t i)
{
	struct strmap_slot want, *slot = probe(m, m->key[i], &want);

	if (slot->index == 0) {
		want.index = (uint32_t)i + 1;
		*slot = want;
	}
	return (int32_t)(slot->index - 1);
}
