#include "token/bpe_pairs.h"

#include <stdlib.h>

#define COUNTED_BITS	20		/* slots of pairs that are counted at once */

int
pairs_grow(void *p, int64_t n, int64_t *cap, size_t size, struct err *err)
{
	int64_t more = *cap < 1024 ? 1024 : *cap + *cap / 2;
	void *q;

	if (n < *cap)
		return 0;
	memcpy(&q, p, sizeof(q));
	if ((q = realloc(q, (size_t)more * size)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the pairs of the vocabulary");
	memcpy(p, &q, sizeof(q));
	*cap = more;
	return 0;
}

/* ---- places ---- */

int
places_add(struct pairs *p, struct places *l, int64_t at, struct err *err)
{
	uint64_t v = (uint64_t)(at - l->end);

	for (;; v >>= 7) {
		if (l->last == NULL || l->used == (int32_t)sizeof(l->last->byte)) {
			struct place_block *b = p->spare;

			if (b != NULL)
				p->spare = b->next;
			else if ((b = spill_bytes(&p->spill, sizeof(*b), err)) == NULL)
				return -1;
			b->next = NULL;
			*(l->last != NULL ? &l->last->next : &l->first) = b;
			l->last = b;
			l->used = 0;
		}
		l->last->byte[l->used++] = (uint8_t)(v >= 0x80 ? v | 0x80 : v);
		if (v < 0x80)
			break;
	}
	l->end = at;
	return 0;
}

void
places_drop(struct pairs *p, struct places *l)
{
	if (l->last != NULL) {
		l->last->next = p->spare;
		p->spare = l->first;
	}
	*l = (struct places){ 0 };
}

int64_t
places_next(struct place_walk *w)
{
	uint64_t v = 0;

	for (int shift = 0;; shift += 7) {
		uint8_t c;

		if (w->block == NULL || (w->block == w->l->last && w->i == w->l->used))
			return -1;
		c = w->block->byte[w->i++];
		if (w->i == (int32_t)sizeof(w->block->byte) && w->block != w->l->last) {
			w->block = w->block->next;
			w->i = 0;
		}
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			break;
	}
	return w->at += (int64_t)v;
}

/* ---- the set ---- */

static int
grow_slots(struct pairs *p, struct err *err)
{
	int64_t n = p->nslots == 0 ? 1 << 12 : 2 * p->nslots;
	uint32_t *slot = calloc((size_t)n, sizeof(*slot));

	if (slot == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the pairs of the vocabulary");
	for (int64_t i = 0; i < p->n; i++) {
		uint64_t k = pair_hash(p->pair[i].key) & (uint64_t)(n - 1);

		while (slot[k] != 0)
			k = (k + 1) & (uint64_t)(n - 1);
		slot[k] = (uint32_t)i + 1;
	}
	free(p->slot);
	p->slot = slot;
	p->nslots = n;
	return 0;
}

struct pair *
pairs_find(const struct pairs *p, uint64_t key)
{
	uint64_t mask = (uint64_t)p->nslots - 1;

	for (uint64_t k = pair_hash(key) & mask; p->slot[k] != 0; k = (k + 1) & mask)
		if (p->pair[p->slot[k] - 1].key == key)
			return &p->pair[p->slot[k] - 1];
	return NULL;
}

/* Does a come before b? */
static bool
before(const struct pairs *p, const struct queued *a, const struct queued *b)
{
	if (a->count != b->count)
		return a->count > b->count;
	return p->pair[a->pair].key < p->pair[b->pair].key;
}

static int
push(struct pairs *p, struct queued e, struct err *err)
{
	int64_t i = p->nheap;

	if (PAIRS_GROW(p->heap, p->nheap, p->cap_heap, err) < 0)
		return -1;
	p->nheap++;
	for (int64_t up; i > 0 && before(p, &e, &p->heap[up = (i - 1) / 2]); i = up)
		p->heap[i] = p->heap[up];
	p->heap[i] = e;
	return 0;
}

/* Put e in place of the first. */
static void
sift(struct pairs *p, struct queued e)
{
	int64_t i = 0, kid;

	while ((kid = 2 * i + 1) < p->nheap) {
		if (kid + 1 < p->nheap && before(p, &p->heap[kid + 1], &p->heap[kid]))
			kid++;
		if (!before(p, &p->heap[kid], &e))
			break;
		p->heap[i] = p->heap[kid];
		i = kid;
	}
	p->heap[i] = e;
}

int
pairs_add(struct pairs *p, uint64_t key, int64_t count, struct places places, struct err *err)
{
	uint64_t mask, k;

	if ((2 * p->n >= p->nslots && grow_slots(p, err) < 0) ||
	    PAIRS_GROW(p->pair, p->n, p->cap, err) < 0)
		return -1;
	mask = (uint64_t)p->nslots - 1;
	for (k = pair_hash(key) & mask; p->slot[k] != 0; k = (k + 1) & mask)
		;
	p->pair[p->n] = (struct pair){ key, count, places };
	p->slot[k] = (uint32_t)++p->n;
	return push(p, (struct queued){ count, (uint32_t)(p->n - 1) }, err);
}

struct pair *
pairs_pop(struct pairs *p, int64_t threshold)
{
	while (p->nheap > 0 && p->heap[0].count >= threshold) {
		struct queued *top = &p->heap[0];
		struct pair *pair = &p->pair[top->pair];
		bool stale = top->count != pair->count;

		if (stale && pair->count >= threshold) {
			sift(p, (struct queued){ pair->count, top->pair });
			continue;
		}
		if (--p->nheap > 0)
			sift(p, p->heap[p->nheap]);
		if (!stale)
			return pair;
		places_drop(p, &pair->places);
	}
	return NULL;
}

/* ---- from a row ---- */

/* Counts of the pairs of one part, by hash. */
struct counts {
	struct {
		uint64_t	key;
		int64_t		n;
	}		*slot;
	int64_t		 nslots, used;
	uint64_t	 parts, part;
};

/* Count what belongs to the part.  Return 0, or 1 when it is too much. */
static int
count_part(struct counts *c, const struct row *r)
{
	uint64_t mask = (uint64_t)c->nslots - 1;

	memset(c->slot, 0, (size_t)c->nslots * sizeof(*c->slot));
	c->used = 0;
	for (int64_t i = 2; i < r->n; i += 2) {
		int64_t count = row_wall(r, i);

		for (i++; !cell_is_wall(r->cell[i]); i++) {
			uint64_t key = pair_key(r->cell[i - 1], r->cell[i]), h = pair_hash(key), k;

			if ((h >> 56) % c->parts != c->part)
				continue;
			for (k = h & mask; c->slot[k].n != 0 && c->slot[k].key != key;
			    k = (k + 1) & mask)
				;
			if (c->slot[k].n == 0 && 4 * ++c->used > 3 * c->nslots)
				return 1;
			c->slot[k].key = key;
			c->slot[k].n += count;
		}
	}
	return 0;
}

/* More parts, or, where the hash gives no more, a larger table. */
static int
finer(struct counts *c, struct err *err)
{
	if (c->parts < 64) {
		c->parts *= 2;
		return 0;
	}
	free(c->slot);
	c->nslots *= 2;
	if ((c->slot = calloc((size_t)c->nslots, sizeof(*c->slot))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the pairs of the vocabulary");
	return 0;
}

static int
take_part(struct pairs *p, const struct counts *c, int64_t threshold, int64_t *most,
    struct err *err)
{
	for (int64_t k = 0; k < c->nslots; k++) {
		int64_t n = c->slot[k].n;

		if (n > *most)
			*most = n;
		if (n > 0 && n >= threshold &&
		    pairs_add(p, c->slot[k].key, n, (struct places){ 0 }, err) < 0)
			return -1;
	}
	return 0;
}

static int
count_pairs(struct pairs *p, const struct row *r, int64_t threshold, int64_t *most,
    struct err *err)
{
	struct counts c = { .nslots = 1 << COUNTED_BITS, .parts = 1 };
	int ret = 0;

	*most = 0;
	if ((c.slot = calloc((size_t)c.nslots, sizeof(*c.slot))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the pairs of the vocabulary");
	while (c.part < c.parts && ret == 0) {
		if (count_part(&c, r) == 0) {
			ret = take_part(p, &c, threshold, most, err);
			c.part++;
		} else if (c.part > 0) {
			/* Parts of another number are others: begin again. */
			p->n = p->nheap = c.part = 0;
			memset(p->slot, 0, (size_t)p->nslots * sizeof(*p->slot));
			ret = finer(&c, err);
		} else {
			ret = finer(&c, err);
		}
	}
	free(c.slot);
	return ret;
}

int
pairs_init(struct pairs *p, const struct row *row, int64_t threshold, const char *dir,
    int64_t memory, int64_t *most, struct err *err)
{
	*p = (struct pairs){ 0 };
	spill_init(&p->spill, dir, memory);
	if (grow_slots(p, err) < 0 || count_pairs(p, row, threshold, most, err) < 0)
		return -1;
	for (int64_t i = 3; p->n > 0 && i < row->n; i++) {
		struct pair *pair;

		if (cell_is_wall(row->cell[i]) || cell_is_wall(row->cell[i - 1]) ||
		    (pair = pairs_find(p, pair_key(row->cell[i - 1], row->cell[i]))) == NULL)
			continue;
		if (places_add(p, &pair->places, i - 1, err) < 0)
			return -1;
	}
	return 0;
}

void
pairs_free(struct pairs *p)
{
	spill_free(&p->spill);
	free(p->pair);
	free(p->slot);
	free(p->heap);
}
