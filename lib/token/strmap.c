#include "token/strmap.h"

#include <stdlib.h>

#include "base/hash.h"

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

/* The slot where s is or would go. */
static uint64_t *
probe(const struct strmap *m, str s, uint64_t hash)
{
	uint64_t mask = (uint64_t)m->nslots - 1, i = hash & mask;

	for (; m->slot[i] != 0; i = (i + 1) & mask)
		if (m->slot[i] >> 32 == hash >> 32 &&
		    str_eq(m->key[(uint32_t)m->slot[i] - 1], s))
			break;
	return &m->slot[i];
}

int32_t
strmap_find(const struct strmap *m, str s)
{
	uint64_t x = *probe(m, s, hash64(s));

	return (int32_t)((uint32_t)x - 1);
}

int32_t
strmap_add(struct strmap *m, int32_t i)
{
	uint64_t hash = hash64(m->key[i]), *slot = probe(m, m->key[i], hash);

	if (*slot == 0)
		*slot = hash >> 32 << 32 | ((uint32_t)i + 1);
	return (int32_t)((uint32_t)*slot - 1);
}
