#include "text/hashset.h"

#define FIRST	4096	/* slots */
#define SLOT	24	/* bytes, with a number */

__extension__ typedef unsigned __int128 u128;

static int
map_slots(struct hashset *s, int64_t cap, struct err *err)
{
	s->slots = spill_map(s->spill, cap * (int64_t)sizeof(hash128), err);
	if (s->slots == NULL)
		return -1;
	if (s->numbered) {
		s->numbers = spill_map(s->spill, cap * (int64_t)sizeof(uint64_t), err);
		if (s->numbers == NULL)
			return -1;
	}
	s->cap = cap;
	return 0;
}

int
hashset_init(struct hashset *s, struct spill *spill, bool numbered, struct err *err)
{
	*s = (struct hashset){ .spill = spill, .numbered = numbered };
	return map_slots(s, FIRST, err);
}

int
hashset_reserve(struct hashset *s, int64_t n, struct err *err)
{
	spill_unmap(s->spill, s->slots);
	spill_unmap(s->spill, s->numbers);
	s->slots = s->numbers = NULL;
	return map_slots(s, n / 3 * 4 + 8, err);
}

int64_t
hashset_fits(int64_t memory)
{
	return (memory / SLOT - 8) / 4 * 3;
}

/* The slot of h: the one that has it, or the empty one that would. */
static int64_t
find(const struct hashset *s, hash128 h)
{
	const hash128 *slot = s->slots->p;
	int64_t i = (int64_t)((u128)h.lo * (uint64_t)s->cap >> 64);

	while ((slot[i].lo | slot[i].hi) != 0 && (slot[i].lo != h.lo || slot[i].hi != h.hi))
		if (++i == s->cap)
			i = 0;
	return i;
}

static int
grow(struct hashset *s, struct err *err)
{
	struct hashset was = *s;
	const hash128 *slot = was.slots->p;

	if (map_slots(s, 2 * was.cap, err) < 0)
		return -1;
	for (int64_t i = 0; i < was.cap; i++) {
		int64_t at;

		if ((slot[i].lo | slot[i].hi) == 0)
			continue;
		at = find(s, slot[i]);
		((hash128 *)s->slots->p)[at] = slot[i];
		if (s->numbered)
			((uint64_t *)s->numbers->p)[at] = ((const uint64_t *)was.numbers->p)[i];
	}
	spill_unmap(s->spill, was.slots);
	spill_unmap(s->spill, was.numbers);
	return 0;
}

/* Zeros mean an empty slot. */
static hash128
not_zero(hash128 h)
{
	if ((h.lo | h.hi) == 0)
		h.lo = 1;
	return h;
}

int
hashset_get(const struct hashset *s, hash128 h, uint64_t *was)
{
	const hash128 *slot;
	int64_t i;

	h = not_zero(h);
	i = find(s, h);
	slot = (const hash128 *)s->slots->p + i;
	if ((slot->lo | slot->hi) == 0)
		return 0;
	*was = s->numbered ? ((const uint64_t *)s->numbers->p)[i] : 0;
	return 1;
}

void
hashset_free(struct hashset *s)
{
	if (s->spill == NULL)
		return;
	spill_unmap(s->spill, s->slots);
	spill_unmap(s->spill, s->numbers);
	*s = (struct hashset){ 0 };
}

int
hashset_add(struct hashset *s, hash128 h, uint64_t number, uint64_t *was, struct err *err)
{
	hash128 *slot;
	int64_t i;

	h = not_zero(h);
	if (s->n >= s->cap / 4 * 3 && grow(s, err) < 0)
		return -1;
	i = find(s, h);
	slot = (hash128 *)s->slots->p + i;
	if ((slot->lo | slot->hi) != 0) {
		*was = s->numbered ? ((const uint64_t *)s->numbers->p)[i] : 0;
		return 0;
	}
	*slot = h;
	if (s->numbered)
		((uint64_t *)s->numbers->p)[i] = number;
	s->n++;
	return 1;
}
