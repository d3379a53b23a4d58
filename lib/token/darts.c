#include "token/darts.h"

#include <stdlib.h>

#define BLOCK	256		/* the children of a node lie in one block */
#define WINDOW	16		/* of blocks, the last, that are searched for room */
#define TRIES	24		/* places in these that are looked at */

/* Of a block: what is free, and which places are no node's yet. */
struct room {
	uint64_t	free[BLOCK / 64], place[BLOCK / 64];
};

/* Keys that begin alike, by depth bytes; their node is the unit. */
struct range {
	int64_t		from, to;
	ptrdiff_t	depth;
	uint32_t	unit;
	int32_t		before;		/* the value of the last key on the way there, or -1 */
};

struct builder {
	struct darts_key *key;
	uint32_t	*unit;
	struct room	*room;
	int64_t		 blocks, cap;
	int64_t		 full;		/* blocks before it have no room */
	struct range	*todo;
	int64_t		 ntodo, todo_cap;
};

static bool
bit(const uint64_t *set, uint32_t i)
{
	return (set[i / 64 % 4] >> i % 64 & 1) != 0;
}

static void
clear(uint64_t *set, uint32_t i)
{
	set[i / 64 % 4] &= ~((uint64_t)1 << i % 64);
}

static int
add_block(struct builder *b, struct err *err)
{
	if (b->blocks == b->cap) {
		int64_t cap = 2 * b->cap + 64;
		uint32_t *unit = realloc(b->unit, (size_t)cap * BLOCK * sizeof(*unit));
		struct room *room = unit == NULL ? NULL :
		    realloc(b->room, (size_t)cap * sizeof(*room));

		if (unit != NULL)
			b->unit = unit;
		if (room == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		b->room = room;
		b->cap = cap;
	}
	if ((b->blocks + 1) * BLOCK > DARTS_MAX)
		return err_set(err, ERR_LIMIT, "more text of tokens than %u bytes", DARTS_MAX);
	memset(&b->room[b->blocks], 0xff, sizeof(*b->room));
	/* No byte is the label of what is free. */
	for (int i = 0; i < BLOCK; i++)
		b->unit[b->blocks * BLOCK + i] = DARTS_VALUE;
	b->blocks++;
	return 0;
}

static bool
is_full(const struct room *r)
{
	return (r->free[0] | r->free[1] | r->free[2] | r->free[3]) == 0;
}

/* Can the children of unit go to place? */
static bool
fits(const struct builder *b, uint32_t unit, uint32_t place, const uint8_t *label, int n)
{
	const struct room *r = &b->room[place / BLOCK];

	if (!bit(r->place, place) || ((unit ^ place) >> 21 != 0 && ((unit ^ place) & 0xff) != 0))
		return false;
	for (int i = 1; i < n; i++)
		if (!bit(r->free, place ^ label[i]))
			return false;
	return true;
}

/* A place for children with these labels: in one of the last blocks, or a new one. */
static int
find_place(struct builder *b, uint32_t unit, const uint8_t *label, int n, uint32_t *place,
    struct err *err)
{
	int tries = 0;

	if (b->full < b->blocks - WINDOW)
		b->full = b->blocks - WINDOW;
	while (b->full < b->blocks && is_full(&b->room[b->full]))
		b->full++;
	for (int64_t block = b->full; block < b->blocks; block++)
		for (int w = 0; w < 4; w++) {
			uint64_t set = b->room[block].free[w];

			for (; set != 0 && tries < TRIES; set &= set - 1, tries += n > 1) {
				*place = ((uint32_t)block * BLOCK + (uint32_t)w * 64 +
				    (uint32_t)__builtin_ctzll(set)) ^ label[0];
				if (fits(b, unit, *place, label, n))
					return 0;
			}
		}
	*place = (uint32_t)b->blocks * BLOCK | (unit & (BLOCK - 1));
	return add_block(b, err);
}

static int
push(struct builder *b, struct range r, struct err *err)
{
	if (b->ntodo == b->todo_cap) {
		int64_t cap = 2 * b->todo_cap + 256;
		struct range *p = realloc(b->todo, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		b->todo = p;
		b->todo_cap = cap;
	}
	b->todo[b->ntodo++] = r;
	return 0;
}

static uint8_t
byte_at(const struct darts_key *k, ptrdiff_t i)
{
	return i < k->key.n ? (uint8_t)k->key.p[i] : 0;
}

/* The children of one node; 0 is the label of a key that ends there. */
static int
put_node(struct builder *b, struct range r, struct err *err)
{
	uint8_t label[BLOCK];
	int64_t first[BLOCK + 1];
	uint32_t place;
	int n = 0;

	for (int64_t i = r.from; i < r.to; i++) {
		uint8_t c = byte_at(&b->key[i], r.depth);

		if (n == 0 || label[n - 1] != c) {
			first[n] = i;
			label[n++] = c;
		}
	}
	first[n] = r.to;
	if (find_place(b, r.unit, label, n, &place, err) < 0)
		return -1;
	clear(b->room[place / BLOCK].place, place);
	b->unit[r.unit] |= (r.unit ^ place) >> 21 == 0 ? (r.unit ^ place) << 10 :
	    (r.unit ^ place) << 2 | DARTS_FAR;
	for (int i = 0; i < n; i++) {
		uint32_t to = place ^ label[i];

		clear(b->room[to / BLOCK].free, to);
		b->unit[to] = label[i];
		if (label[i] != 0) {
			if (push(b, (struct range){ first[i], first[i + 1], r.depth + 1, to,
			    r.before }, err) < 0)
				return -1;
			continue;
		}
		for (int64_t k = first[i]; k < first[i + 1]; k++)
			b->key[k].before = r.before;
		r.before = b->key[first[i + 1] - 1].value;
		b->unit[r.unit] |= DARTS_LEAF;
		b->unit[to] = DARTS_VALUE | (uint32_t)b->key[first[i + 1] - 1].value;
	}
	return 0;
}

static int
by_key(const void *a, const void *b)
{
	const struct darts_key *x = a, *y = b;
	ptrdiff_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
	int order = memcmp(x->key.p, y->key.p, (size_t)n);

	return order != 0 ? order : x->key.n != y->key.n ? (x->key.n < y->key.n ? -1 : 1) :
	    x->value < y->value ? -1 : x->value > y->value;
}

int
darts_build(struct darts *d, struct darts_key *key, int64_t n, struct err *err)
{
	struct builder b = { .key = key };
	int64_t sorted = 1;
	int ret = 0;

	*d = (struct darts){ .n = 0 };
	while (sorted < n && by_key(&key[sorted - 1], &key[sorted]) < 0)
		sorted++;
	if (sorted < n)
		qsort(key, (size_t)n, sizeof(*key), by_key);
	if (add_block(&b, err) < 0 ||
	    (n > 0 && push(&b, (struct range){ 0, n, 0, 0, -1 }, err) < 0))
		ret = -1;
	if (ret == 0) {
		/* From no place does a NUL lead to the root, whose label that is. */
		clear(b.room[0].free, 0);
		clear(b.room[0].place, 0);
		b.unit[0] = n > 0 ? 0 : 1 << 10;
	}
	while (ret == 0 && b.ntodo > 0)
		ret = put_node(&b, b.todo[--b.ntodo], err);
	free(b.room);
	free(b.todo);
	if (ret < 0)
		free(b.unit);
	else
		*d = (struct darts){ b.unit, (uint32_t)(b.blocks * BLOCK) };
	return ret;
}

void
darts_free(struct darts *d)
{
	free(d->unit);
	*d = (struct darts){ .n = 0 };
}
