#include "infer/prefix.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "infer/engine.h"

enum {
	NONE = -1,
	GONE = TIERS,		/* at home nowhere: it is only waited for */
	READY = 128		/* slots of memory that are to be ready to be filled, at least */
};

enum moving { STILL, WRITING, READING };
enum which { OUT, STAY, SPARE, LISTS };	/* a list of a tier; OUT: none */

struct known {
	struct prefix_root root;	/* of a first one */
	int32_t		 token[CACHE_BLOCK];
	int32_t		 parent, first, before, after;	/* first of its followers; its siblings */
	int32_t		 same;			/* the next one of its bucket, or not used */
	int32_t		 slot[TIERS];
	struct { int32_t before, after; } link[TIERS];	/* in a list */
	uint8_t		 in[TIERS];		/* enum which */
	uint8_t		 home, moving;
};

/* The oldest first. */
struct list {
	int32_t		 oldest, newest;
	int64_t		 n;
};

struct level {
	int64_t		 slots, fresh;	/* fresh: from here on they were never used */
	int64_t		 bad;		/* slots that cannot be written */
	int32_t		*unused;
	int64_t		 n_unused;
	struct list	 list[LISTS];	/* of the cache's STAY: the idle ones */
};

/* Lists are of nodes.  What is large is touched only as it fills. */
struct prefix {
	struct known	*node;
	int32_t		*bucket;	/* a node + 1, or 0 */
	int32_t		*at;		/* by slots of the cache, the same */
	int64_t		 nodes, buckets;	/* buckets: a power of two */
	int64_t		 fresh;
	int32_t		 unused;	/* by known.same */
	struct level	 level[TIERS];
	int64_t		 writing, lost;
};

static int
init_level(struct level *l, int64_t slots)
{
	l->slots = slots;
	for (int i = 0; i < LISTS; i++)
		l->list[i] = (struct list){ NONE, NONE, 0 };
	l->unused = calloc((size_t)slots + 1, sizeof(*l->unused));
	return l->unused == NULL ? -1 : 0;
}

struct prefix *
prefix_new(const int64_t slots[TIERS], struct err *err)
{
	struct prefix *p = calloc(1, sizeof(*p));
	bool good = p != NULL;

	assert(slots[TIER_MEMORY] > 0 || slots[TIER_DISK] == 0);
	for (int i = 0; good && i < TIERS; i++) {
		p->nodes += slots[i];
		good = init_level(&p->level[i], slots[i]) == 0;
	}
	if (good) {
		for (p->buckets = 16; p->buckets < p->nodes;)
			p->buckets *= 2;
		p->unused = NONE;
		p->node = calloc((size_t)p->nodes + 1, sizeof(*p->node));
		p->bucket = calloc((size_t)p->buckets, sizeof(*p->bucket));
		p->at = calloc((size_t)slots[TIER_CACHE] + 1, sizeof(*p->at));
		good = p->node != NULL && p->bucket != NULL && p->at != NULL;
	}
	if (good)
		return p;
	prefix_free(p);
	err_set(err, ERR_NOMEM, "out of memory");
	return NULL;
}

void
prefix_free(struct prefix *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < TIERS; i++)
		free(p->level[i].unused);
	free(p->node);
	free(p->bucket);
	free(p->at);
	free(p);
}

/* ---- lists ---- */

static void
put(struct prefix *p, enum tier tier, enum which which, int32_t node)
{
	struct list *l = &p->level[tier].list[which];
	struct known *k = &p->node[node];

	k->in[tier] = (uint8_t)which;
	if (which == OUT)
		return;
	k->link[tier].before = l->newest;
	k->link[tier].after = NONE;
	*(l->newest >= 0 ? &p->node[l->newest].link[tier].after : &l->oldest) = node;
	l->newest = node;
	l->n++;
}

static void
cut(struct prefix *p, enum tier tier, int32_t node)
{
	struct known *k = &p->node[node];
	struct list *l = &p->level[tier].list[k->in[tier]];
	int32_t before = k->link[tier].before, after = k->link[tier].after;

	if (k->in[tier] == OUT)
		return;
	*(before >= 0 ? &p->node[before].link[tier].after : &l->oldest) = after;
	*(after >= 0 ? &p->node[after].link[tier].before : &l->newest) = before;
	l->n--;
	k->in[tier] = OUT;
}

/* In which list its slot below the cache is to be. */
static enum which
list_of(const struct known *k, enum tier tier)
{
	if (k->slot[tier] < 0 || k->home == GONE)
		return OUT;
	/* What is read stays where it is in the order, until it is there. */
	if (k->moving == READING && tier == TIER_DISK && k->home == TIER_DISK)
		return STAY;
	if (k->moving != STILL)
		return OUT;
	return k->home == tier ? STAY : SPARE;
}

/* Put its slots where they belong, as the newest. */
static void
settle(struct prefix *p, int32_t node)
{
	for (enum tier t = TIER_MEMORY; t < TIERS; t++) {
		enum which to = list_of(&p->node[node], t);

		if (p->node[node].in[t] != to) {
			cut(p, t, node);
			put(p, t, to, node);
		}
	}
}

/* ---- nodes ---- */

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
	int32_t i = *bucket_of(p, root, parent, token) - 1;

	for (; i >= 0; i = p->node[i].same) {
		const struct known *k = &p->node[i];

		if (k->parent == parent && (parent >= 0 || same_root(&k->root, root)) &&
		    memcmp(k->token, token, sizeof(k->token)) == 0)
			break;
	}
	return i;
}

void
prefix_add(struct prefix *p, int32_t slot, const struct prefix_root *root, int32_t parent,
    const int32_t *token)
{
	int32_t *bucket = bucket_of(p, root, parent, token), i = p->unused;
	struct known *k;

	if (i >= 0)
		p->unused = p->node[i].same;
	else
		i = (int32_t)p->fresh++;
	/* Each node has a slot at least. */
	assert(i < p->nodes && p->at[slot] == 0);
	k = &p->node[i];
	*k = (struct known){ .root = *root, .parent = parent, .first = NONE, .before = NONE,
	    .after = NONE, .same = *bucket - 1, .slot = { slot, NONE, NONE },
	    .home = TIER_CACHE };
	memcpy(k->token, token, sizeof(k->token));
	*bucket = p->at[slot] = i + 1;
	if (parent < 0)
		return;
	if ((k->after = p->node[parent].first) >= 0)
		p->node[k->after].before = i;
	p->node[parent].first = i;
}

int32_t
prefix_at(const struct prefix *p, int32_t slot)
{
	return p->at[slot] - 1;
}

int32_t
prefix_slot(const struct prefix *p, int32_t node, enum tier tier)
{
	const struct known *k = &p->node[node];

	return (tier == TIER_MEMORY && k->moving == READING) ||
	    (tier == TIER_DISK && k->moving == WRITING) ? NONE : k->slot[tier];
}

static void
drop_slot(struct prefix *p, int32_t node, enum tier tier)
{
	struct level *l = &p->level[tier];
	int32_t *slot = &p->node[node].slot[tier];

	cut(p, tier, node);
	if (*slot >= 0)
		l->unused[l->n_unused++] = *slot;
	*slot = NONE;
}

static void
free_node(struct prefix *p, int32_t node)
{
	drop_slot(p, node, TIER_MEMORY);
	drop_slot(p, node, TIER_DISK);
	p->node[node].same = p->unused;
	p->unused = node;
}

/* It is not found any more; its slots are free, once nothing moves there. */
static void
forget_one(struct prefix *p, int32_t node)
{
	struct known *k = &p->node[node];
	int32_t *at = bucket_of(p, &k->root, k->parent, k->token);

	assert(k->first < 0 && k->slot[TIER_CACHE] < 0);
	if (*at - 1 == node) {
		*at = k->same + 1;
	} else {
		int32_t i = *at - 1;

		while (p->node[i].same != node)
			i = p->node[i].same;
		p->node[i].same = k->same;
	}
	if (k->before >= 0)
		p->node[k->before].after = k->after;
	else if (k->parent >= 0)
		p->node[k->parent].first = k->after;
	if (k->after >= 0)
		p->node[k->after].before = k->before;
	k->home = GONE;
	p->lost++;
	settle(p, node);
	if (k->moving == STILL)
		free_node(p, node);
}

/* With all that follow it, which cannot be in the cache. */
static void
forget(struct prefix *p, int32_t node)
{
	for (int32_t i = node, parent;; i = parent) {
		while (p->node[i].first >= 0)
			i = p->node[i].first;
		parent = p->node[i].parent;
		forget_one(p, i);
		if (i == node)
			return;
	}
}

/* ---- slots ---- */

static bool
is_there(const struct prefix *p, enum tier tier)
{
	return p->level[tier].slots > p->level[tier].bad;
}

/* An unused one, or that of the oldest spare copy; or -1. */
static int32_t
unused_slot(struct prefix *p, enum tier tier)
{
	struct level *l = &p->level[tier];

	if (l->n_unused == 0 && l->fresh < l->slots)
		return (int32_t)l->fresh++;
	if (l->n_unused == 0 && l->list[SPARE].n > 0)
		drop_slot(p, l->list[SPARE].oldest, tier);
	return l->n_unused == 0 ? NONE : l->unused[--l->n_unused];
}

/* The same, or where what is at home the longest is forgotten. */
static int32_t
make_slot(struct prefix *p, enum tier tier)
{
	int32_t slot;

	while ((slot = unused_slot(p, tier)) < 0 && p->level[tier].list[STAY].n > 0)
		forget(p, p->level[tier].list[STAY].oldest);
	return slot;
}

/* ---- the cache ---- */

void
prefix_rest(struct prefix *p, int32_t slot)
{
	put(p, TIER_CACHE, STAY, prefix_at(p, slot));
}

void
prefix_wake(struct prefix *p, int32_t slot)
{
	cut(p, TIER_CACHE, prefix_at(p, slot));
}

int32_t
prefix_give_up(struct prefix *p, int32_t *to)
{
	int32_t node = p->level[TIER_CACHE].list[STAY].oldest, slot;
	struct known *k;

	*to = NONE;
	if (node < 0)
		return NONE;
	k = &p->node[node];
	slot = k->slot[TIER_CACHE];
	cut(p, TIER_CACHE, node);
	k->slot[TIER_CACHE] = NONE;
	p->at[slot] = 0;
	if (k->slot[TIER_MEMORY] < 0)
		k->slot[TIER_MEMORY] = *to = is_there(p, TIER_DISK) ?
		    unused_slot(p, TIER_MEMORY) : make_slot(p, TIER_MEMORY);
	if (prefix_slot(p, node, TIER_MEMORY) >= 0) {
		k->home = TIER_MEMORY;
		settle(p, node);
	} else if (prefix_slot(p, node, TIER_DISK) >= 0) {
		k->home = TIER_DISK;
		settle(p, node);
	} else {
		forget(p, node);
	}
	return slot;
}

void
prefix_come_back(struct prefix *p, int32_t node, int32_t slot)
{
	struct known *k = &p->node[node];

	assert(k->home != TIER_CACHE && p->at[slot] == 0);
	k->home = TIER_CACHE;
	k->slot[TIER_CACHE] = slot;
	p->at[slot] = node + 1;
	settle(p, node);
}

/* ---- memory and disk ---- */

int64_t
prefix_ready(const struct prefix *p)
{
	const struct level *l = &p->level[TIER_MEMORY];

	return l->slots - l->fresh + l->n_unused + l->list[SPARE].n;
}

/* Can a quarter of memory, but of a small one up to a half, be filled now, or soon? */
static bool
is_ready(const struct prefix *p)
{
	const struct level *l = &p->level[TIER_MEMORY];
	int64_t want = l->slots / 4 > READY ? l->slots / 4 : READY;

	return prefix_ready(p) + p->writing >=
	    (want < l->slots / 2 ? want : l->slots / 2);
}

bool
prefix_write(struct prefix *p, struct prefix_move *m)
{
	const struct list *memory = &p->level[TIER_MEMORY].list[STAY];
	struct level *disk = &p->level[TIER_DISK];
	int32_t slot = NONE;

	while (is_there(p, TIER_DISK) && memory->n > 0 && !is_ready(p)) {
		int32_t node = memory->oldest;
		struct known *k = &p->node[node];

		if (k->slot[TIER_DISK] >= 0) {
			/* What came from there unchanged is there. */
			k->home = TIER_DISK;
			settle(p, node);
		} else if (slot < 0) {
			/* Others are forgotten for it, or this one. */
			if ((slot = make_slot(p, TIER_DISK)) < 0)
				return false;
		} else {
			*m = (struct prefix_move){ node, k->slot[TIER_MEMORY], slot };
			k->slot[TIER_DISK] = slot;
			k->moving = WRITING;
			p->writing++;
			settle(p, node);
			return true;
		}
	}
	if (slot >= 0)
		disk->unused[disk->n_unused++] = slot;
	return false;
}

bool
prefix_read(struct prefix *p, int32_t node, struct prefix_move *m)
{
	struct known *k = &p->node[node];

	assert(k->home == TIER_DISK && k->slot[TIER_MEMORY] < 0 && k->moving == STILL);
	if ((k->slot[TIER_MEMORY] = unused_slot(p, TIER_MEMORY)) < 0)
		return false;
	k->moving = READING;
	settle(p, node);
	*m = (struct prefix_move){ node, k->slot[TIER_MEMORY], k->slot[TIER_DISK] };
	return true;
}

bool
prefix_moving(const struct prefix *p, int32_t node)
{
	return p->node[node].moving != STILL;
}

void
prefix_moved(struct prefix *p, int32_t node, bool well)
{
	struct known *k = &p->node[node];
	bool written = k->moving == WRITING;
	enum tier from = written ? TIER_MEMORY : TIER_DISK;

	p->writing -= written;
	k->moving = STILL;
	/* A full disk has this slot no more, and room for fewer. */
	if (written && !well) {
		k->slot[TIER_DISK] = NONE;
		p->level[TIER_DISK].bad++;
	}
	if (k->home == GONE) {
		free_node(p, node);
		return;
	}
	if (!well) {
		if (!written) {
			drop_slot(p, node, TIER_DISK);
			drop_slot(p, node, TIER_MEMORY);
		}
		if (k->home == from) {
			forget(p, node);
			return;
		}
	} else if (written && k->home == TIER_MEMORY) {
		k->home = TIER_DISK;
	}
	settle(p, node);
}

int64_t
prefix_idle(const struct prefix *p)
{
	return p->level[TIER_CACHE].list[STAY].n;
}

int64_t
prefix_used(const struct prefix *p, enum tier tier)
{
	return p->level[tier].fresh - p->level[tier].n_unused - p->level[tier].bad;
}

int64_t
prefix_lost(const struct prefix *p)
{
	return p->lost;
}
