#include "infer/prefix.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "infer/engine.h"

enum { NONE = -1 };

/* A block.  Lists are of numbers. */
struct known {
	struct prefix_root root;	/* of a first one */
	int32_t		 token[CACHE_BLOCK];
	int32_t		 parent, followers;
	int32_t		 same;		/* the next one of its bucket */
	int32_t		 before, after;	/* idle ones, the oldest first */
	bool		 is;
};

struct prefix {
	struct known	*block;
	int32_t		*bucket;
	int64_t		 blocks, buckets;	/* buckets: a power of two */
	int32_t		 oldest, newest;
	int64_t		 n_idle;
};

struct prefix *
prefix_new(int64_t blocks, struct err *err)
{
	struct prefix *p = calloc(1, sizeof(*p));

	if (p == NULL)
		goto failed;
	for (p->buckets = 16; p->buckets < blocks;)
		p->buckets *= 2;
	p->blocks = blocks;
	p->oldest = p->newest = NONE;
	p->block = calloc((size_t)blocks + 1, sizeof(*p->block));
	p->bucket = calloc((size_t)p->buckets, sizeof(*p->bucket));
	if (p->block == NULL || p->bucket == NULL)
		goto failed;
	for (int64_t i = 0; i < p->buckets; i++)
		p->bucket[i] = NONE;
	return p;
failed:
	prefix_free(p);
	err_set(err, ERR_NOMEM, "out of memory");
	return NULL;
}

void
prefix_free(struct prefix *p)
{
	if (p == NULL)
		return;
	free(p->block);
	free(p->bucket);
	free(p);
}

static int32_t *
bucket_of(const struct prefix *p, const struct prefix_root *root, int32_t parent,
    const int32_t *token)
{
	uint64_t seed = parent >= 0 ? (uint64_t)parent :
	    hash64((str){ (const char *)root, sizeof(*root) });
	uint64_t h = hash64_seed((str){ (const char *)token,
	    CACHE_BLOCK * (ptrdiff_t)sizeof(*token) }, seed);

	return &p->bucket[h & (uint64_t)(p->buckets - 1)];
}

static bool
same_root(const struct prefix_root *a, const struct prefix_root *b)
{
	return a->salt == b->salt && a->base == b->base && a->adapter == b->adapter;
}

int32_t
prefix_find(const struct prefix *p, const struct prefix_root *root, int32_t parent,
    const int32_t *token)
{
	int32_t i = *bucket_of(p, root, parent, token);

	for (; i >= 0; i = p->block[i].same) {
		const struct known *k = &p->block[i];

		if (k->parent == parent && (parent >= 0 || same_root(&k->root, root)) &&
		    memcmp(k->token, token, sizeof(k->token)) == 0)
			break;
	}
	return i;
}

void
prefix_add(struct prefix *p, int32_t block, const struct prefix_root *root, int32_t parent,
    const int32_t *token)
{
	int32_t *bucket = bucket_of(p, root, parent, token);
	struct known *k = &p->block[block];

	assert(!k->is && (parent < 0 || p->block[parent].is));
	*k = (struct known){ .root = *root, .parent = parent, .same = *bucket,
	    .before = NONE, .after = NONE, .is = true };
	memcpy(k->token, token, sizeof(k->token));
	*bucket = block;
	if (parent >= 0)
		p->block[parent].followers++;
}

bool
prefix_has(const struct prefix *p, int32_t block)
{
	return p->block[block].is;
}

void
prefix_rest(struct prefix *p, int32_t block)
{
	struct known *k = &p->block[block];

	k->before = p->newest;
	k->after = NONE;
	*(p->newest >= 0 ? &p->block[p->newest].after : &p->oldest) = block;
	p->newest = block;
	p->n_idle++;
}

void
prefix_wake(struct prefix *p, int32_t block)
{
	struct known *k = &p->block[block];

	*(k->before >= 0 ? &p->block[k->before].after : &p->oldest) = k->after;
	*(k->after >= 0 ? &p->block[k->after].before : &p->newest) = k->before;
	k->before = k->after = NONE;
	p->n_idle--;
}

int32_t
prefix_give_up(struct prefix *p)
{
	int32_t block = p->oldest, *at;
	struct known *k;

	if (block < 0)
		return NONE;
	k = &p->block[block];
	assert(k->followers == 0);
	prefix_wake(p, block);
	at = bucket_of(p, &k->root, k->parent, k->token);
	while (*at != block)
		at = &p->block[*at].same;
	*at = k->same;
	if (k->parent >= 0)
		p->block[k->parent].followers--;
	k->is = false;
	return block;
}

int64_t
prefix_idle(const struct prefix *p)
{
	return p->n_idle;
}
