#include "text/sketch.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"

/* ---- spread ---- */

#define SLOTS	128		/* of a page */
#define SHIFT	(64 - 12 - 7)	/* sign, exponent and seven bits are left */

/* Bits that are in the order of the values. */
static uint64_t
bits_of(double x)
{
	uint64_t b;

	memcpy(&b, &x, sizeof(b));
	return b >> 63 != 0 ? ~b : b | (uint64_t)1 << 63;
}

static double
value_of(uint64_t b)
{
	double x;

	b = b >> 63 != 0 ? b & ~((uint64_t)1 << 63) : ~b;
	memcpy(&x, &b, sizeof(x));
	return x;
}

int
spread_add(struct spread *s, double x, struct err *err)
{
	uint64_t at = bits_of(x + 0.0) >> SHIFT;	/* -0 is 0 */
	int64_t **page = &s->page[at / SLOTS];

	if (*page == NULL && (*page = calloc(SLOTS, sizeof(**page))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(*page)[at % SLOTS]++;
	s->min = s->n == 0 || x < s->min ? x : s->min;
	s->max = s->n == 0 || x > s->max ? x : s->max;
	s->sum += x;
	s->n++;
	return 0;
}

double
spread_quantile(const struct spread *s, double q)
{
	int64_t rank = (int64_t)ceil(q * (double)s->n), sum = 0;

	if (rank <= 1)
		return s->min;
	if (rank >= s->n)
		return s->max;
	for (uint64_t at = 0; at < (uint64_t)SPREAD_PAGES * SLOTS; at++) {
		if (s->page[at / SLOTS] == NULL) {
			at += SLOTS - 1;
			continue;
		}
		if ((sum += s->page[at / SLOTS][at % SLOTS]) >= rank) {
			/* A negative value's slot begins at its far end. */
			uint64_t low = at << SHIFT;
			double x = value_of(low >> 63 != 0 ? low :
			    low | (((uint64_t)1 << SHIFT) - 1));

			return fmin(fmax(x, s->min), s->max);
		}
	}
	return s->max;
}

int64_t
spread_below(const struct spread *s, double x, bool equal)
{
	uint64_t end = (bits_of(x + 0.0) >> SHIFT) + equal;
	int64_t sum = 0;

	for (uint64_t at = 0; at < end; at++) {
		if (s->page[at / SLOTS] == NULL)
			at += SLOTS - 1;
		else
			sum += s->page[at / SLOTS][at % SLOTS];
	}
	return sum;
}

void
spread_free(struct spread *s)
{
	for (int i = 0; i < SPREAD_PAGES; i++)
		free(s->page[i]);
}

/* ---- tally ---- */

#define TALLY_FIRST	1024
#define TALLY_SLOTS	((int64_t)1 << 20)

static struct tally_slot *
find_slot(struct tally_slot *slot, int64_t cap, uint64_t hash)
{
	uint64_t at = hash >> 20 & (uint64_t)(cap - 1);

	while (slot[at].n > 0 && slot[at].hash != hash)
		at = (at + 1) & (uint64_t)(cap - 1);
	return &slot[at];
}

/* Put all that level holds into a table of so many slots. */
static int
rehash(struct tally *t, int64_t cap, struct err *err)
{
	struct tally_slot *slot = calloc((size_t)cap, sizeof(*slot));

	if (slot == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	t->held = 0;
	for (int64_t i = 0; i < t->cap; i++) {
		if (t->slot[i].n == 0 || (t->slot[i].hash & (((uint64_t)1 << t->level) - 1)) != 0)
			continue;
		*find_slot(slot, cap, t->slot[i].hash) = t->slot[i];
		t->held++;
	}
	free(t->slot);
	t->slot = slot;
	t->cap = cap;
	return 0;
}

int
tally_add(struct tally *t, uint64_t hash, int64_t weight, struct err *err)
{
	struct tally_slot *s;

	t->total++;
	if ((hash & (((uint64_t)1 << t->level) - 1)) != 0)
		return 0;
	if (t->cap == 0 && rehash(t, TALLY_FIRST, err) < 0)
		return -1;
	s = find_slot(t->slot, t->cap, hash);
	if (s->n > 0) {
		s->n += s->n < UINT32_MAX;
		return 0;
	}
	*s = (struct tally_slot){ hash, 1, weight > UINT32_MAX ? UINT32_MAX : (uint32_t)weight };
	t->held++;
	if (t->held <= t->cap / 4 * 3)
		return 0;
	if (t->cap < TALLY_SLOTS)
		return rehash(t, 2 * t->cap, err);
	while (t->held > TALLY_MOST) {
		t->level++;
		if (rehash(t, t->cap, err) < 0)
			return -1;
	}
	return 0;
}

int64_t
tally_distinct(const struct tally *t)
{
	return t->held << t->level;
}

void
tally_repeats(const struct tally *t, int64_t *n, int64_t *weight)
{
	*n = *weight = 0;
	for (int64_t i = 0; i < t->cap; i++)
		if (t->slot[i].n > 1) {
			*n += t->slot[i].n - 1;
			*weight += (int64_t)(t->slot[i].n - 1) * t->slot[i].weight;
		}
	*n <<= t->level;
	*weight <<= t->level;
}

void
tally_free(struct tally *t)
{
	free(t->slot);
}

/* ---- leaders ---- */

#define CHAINS	(2 * LEADERS_MOST)

static int
leaders_init(struct leaders *l, struct err *err)
{
	l->leader = malloc(LEADERS_MOST * sizeof(*l->leader));
	l->heap = malloc(LEADERS_MOST * sizeof(*l->heap));
	l->chain = malloc(CHAINS * sizeof(*l->chain));
	if (l->leader == NULL || l->heap == NULL || l->chain == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < CHAINS; i++)
		l->chain[i] = -1;
	return 0;
}

static void
put(struct leaders *l, int place, int i)
{
	l->heap[place] = i;
	l->leader[i].place = place;
}

static void
sift_down(struct leaders *l, int i)
{
	int place = l->leader[i].place;

	for (;;) {
		int child = 2 * place + 1;

		if (child + 1 < l->count &&
		    l->leader[l->heap[child + 1]].n < l->leader[l->heap[child]].n)
			child++;
		if (child >= l->count || l->leader[l->heap[child]].n >= l->leader[i].n)
			break;
		put(l, place, l->heap[child]);
		place = child;
	}
	put(l, place, i);
}

/* A new one has the least count. */
static void
sift_up(struct leaders *l, int i)
{
	int place = l->leader[i].place;

	while (place > 0 && l->leader[l->heap[(place - 1) / 2]].n > l->leader[i].n) {
		put(l, place, l->heap[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	put(l, place, i);
}

static void
unchain(struct leaders *l, int i)
{
	int *at = &l->chain[l->leader[i].hash % CHAINS];

	while (*at != i)
		at = &l->leader[*at].next;
	*at = l->leader[i].next;
}

/* A key that is cut ends with a whole character. */
static str
cut_key(str key)
{
	if (key.n <= LEADERS_KEY)
		return key;
	key.n = LEADERS_KEY;
	while (key.n > 0 && ((unsigned char)key.p[key.n] & 0xc0) == 0x80)
		key.n--;
	return key;
}

int
leaders_add(struct leaders *l, str key, struct err *err)
{
	uint64_t hash;
	int i, *chain;

	if (l->chain == NULL && leaders_init(l, err) < 0)
		return -1;
	l->total++;
	key = cut_key(key);
	hash = hash64(key);
	chain = &l->chain[hash % CHAINS];
	for (i = *chain; i >= 0; i = l->leader[i].next)
		if (l->leader[i].hash == hash &&
		    str_eq((str){ l->leader[i].key, l->leader[i].len }, key)) {
			l->leader[i].n++;
			sift_down(l, i);
			return 0;
		}
	if (l->count < LEADERS_MOST) {
		i = l->count++;
		l->leader[i] = (struct leader){ .place = i };
		l->heap[i] = i;
	} else {
		i = l->heap[0];
		unchain(l, i);
		l->leader[i].error = l->leader[i].n;
	}
	memcpy(l->leader[i].key, key.p, (size_t)key.n);
	l->leader[i].len = (int)key.n;
	l->leader[i].hash = hash;
	l->leader[i].n++;
	l->leader[i].next = *chain;
	*chain = i;
	if (l->leader[i].error == 0)
		sift_up(l, i);
	else
		sift_down(l, i);
	return 0;
}

static int
by_count(const void *a, const void *b)
{
	const struct leader *x = a, *y = b;
	int n = x->len < y->len ? x->len : y->len, c;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	c = memcmp(x->key, y->key, (size_t)n);
	return c != 0 ? c : x->len - y->len;
}

void
leaders_sort(struct leaders *l)
{
	if (l->count > 0)
		qsort(l->leader, (size_t)l->count, sizeof(*l->leader), by_count);
}

void
leaders_free(struct leaders *l)
{
	free(l->leader);
	free(l->heap);
	free(l->chain);
}
