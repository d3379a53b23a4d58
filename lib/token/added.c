#include "token/added.h"

#include <stdlib.h>

#define NODES_MAX	((int64_t)1 << 23)	/* so that a node and a byte have 31 bits */

static uint64_t
mix(uint32_t key)
{
	return (key * 0x9e3779b97f4a7c15u) >> 20;
}

/* Where the edge is or would go. */
static uint64_t *
probe(const struct added *a, uint32_t key)
{
	uint64_t mask = (uint64_t)a->nslots - 1, i = mix(key) & mask;

	while (a->slot[i] != 0 && a->slot[i] >> 32 != key)
		i = (i + 1) & mask;
	return &a->slot[i];
}

static int
grow(struct added *a, struct err *err)
{
	struct added b = *a;

	if (a->nodes == NODES_MAX)
		return err_set(err, ERR_LIMIT, "more than %lld bytes of added tokens",
		    (long long)NODES_MAX);
	if (a->nodes == a->cap) {
		int64_t cap = a->cap == 0 ? 64 : 2 * a->cap;
		int32_t *id = realloc(a->id, (size_t)cap * sizeof(*id));

		if (id == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		a->id = id;
		a->cap = cap;
	}
	if (2 * a->used < a->nslots)
		return 0;
	b.nslots = a->nslots == 0 ? 256 : 2 * a->nslots;
	if ((b.slot = calloc((size_t)b.nslots, sizeof(*b.slot))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < a->nslots; i++)
		if (a->slot[i] != 0)
			*probe(&b, (uint32_t)(a->slot[i] >> 32)) = a->slot[i];
	free(a->slot);
	a->slot = b.slot;
	a->nslots = b.nslots;
	return 0;
}

int
added_put(struct added *a, str token, int32_t id, struct err *err)
{
	uint32_t node = 0;

	if (a->nodes == 0) {
		if (grow(a, err) < 0)
			return -1;
		a->id[a->nodes++] = -1;
	}
	for (ptrdiff_t i = 0; i < token.n; i++) {
		uint32_t key = node << 8 | (uint8_t)token.p[i];
		uint64_t *slot;

		if (grow(a, err) < 0)
			return -1;
		slot = probe(a, key);
		if (*slot == 0) {
			a->id[a->nodes] = -1;
			*slot = (uint64_t)key << 32 | (uint64_t)a->nodes++;
			a->used++;
		}
		node = (uint32_t)*slot;
	}
	a->id[node] = id;
	if (token.n > 0) {
		a->only = token.p[0];
		a->firsts += !a->first[(uint8_t)a->only];
		a->first[(uint8_t)a->only] = true;
	}
	return 0;
}

void
added_free(struct added *a)
{
	free(a->slot);
	free(a->id);
	*a = (struct added){ 0 };
}

int32_t
added_find(const struct added *a, const char *p, const char *end, const char **start,
    const char **stop)
{
	if (a->nodes == 0)
		return -1;
	for (; p < end; p++) {
		int32_t id = -1;
		uint32_t node = 0;

		/* Most often all begin alike, as <|end|> does. */
		if (a->firsts == 1 && (p = memchr(p, a->only, (size_t)(end - p))) == NULL)
			break;
		if (!a->first[(uint8_t)*p])
			continue;
		for (const char *q = p; q < end; ) {
			uint64_t x = *probe(a, node << 8 | (uint8_t)*q++);

			if (x == 0)
				break;
			node = (uint32_t)x;
			if (a->id[node] >= 0) {
				id = a->id[node];
				*stop = q;
			}
		}
		if (id >= 0) {
			*start = p;
			return id;
		}
	}
	return -1;
}
