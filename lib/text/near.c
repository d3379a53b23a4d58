/*
 * The index: for each band a table from a key of 32 bits to the newest text
 * that has it, and from each text to the one before it in the same list.  Two
 * keys that are equal by chance cost a comparison and nothing else.
 */
#include <stdlib.h>

#include "text/minhash.h"

#define FIRST_SLOTS	((int64_t)1 << 12)
#define FIRST_TEXTS	((int64_t)1 << 12)
#define MOST_TEXTS	((int64_t)UINT32_MAX - 1)

struct slot {
	uint32_t	key;
	uint32_t	head;		/* its text + 1, 0: empty */
};

struct band {
	struct piece	*slots;
	int64_t		 cap, n;
};

struct kept {
	const uint64_t	*set;
	const char	*name;
	int64_t		 n, number;
	int64_t		 name_n;
	uint64_t	 asked;		/* the last question that it was compared for */
};

struct near {
	struct minhash	 shape;
	double		 threshold;
	struct spill	*spill;
	struct band	 band[MINHASH_BANDS];
	struct piece	*kept;		/* struct kept, one a text */
	struct piece	*before;	/* uint32_t, bands of them a text */
	int64_t		 n, cap;
	near_get	*get;		/* of the sets of texts, or NULL: they are kept */
	void		*get_ctx;
	uint32_t	*found;		/* texts that share a band with the one asked for */
	int64_t		 nfound, found_cap;
	uint64_t	 question;
	int64_t		 candidates;
	uint64_t	*table;		/* the set that is asked for */
	uint64_t	 mask;
	int64_t		 table_cap;
};

static int
map_band(struct near *x, struct band *b, int64_t cap, struct err *err)
{
	b->slots = spill_map(x->spill, cap * (int64_t)sizeof(struct slot), err);
	b->cap = cap;
	return b->slots != NULL ? 0 : -1;
}

static int
map_texts(struct near *x, int64_t cap, struct err *err)
{
	struct piece *kept = spill_map(x->spill, cap * (int64_t)sizeof(struct kept), err);
	struct piece *before;

	if (kept == NULL)
		return -1;
	before = spill_map(x->spill, cap * x->shape.bands * (int64_t)sizeof(uint32_t), err);
	if (before == NULL)
		return -1;
	if (x->n > 0) {
		memcpy(kept->p, x->kept->p, (size_t)x->n * sizeof(struct kept));
		memcpy(before->p, x->before->p,
		    (size_t)(x->n * x->shape.bands) * sizeof(uint32_t));
	}
	spill_unmap(x->spill, x->kept);
	spill_unmap(x->spill, x->before);
	x->kept = kept;
	x->before = before;
	x->cap = cap;
	return 0;
}

/* Slots for n keys. */
static int64_t
slots_for(int64_t n)
{
	return n / 3 * 4 + 8;
}

int64_t
near_fits(const struct minhash *m, int64_t memory)
{
	int64_t three = 3 * ((int64_t)sizeof(struct kept) + m->bands * (int64_t)sizeof(uint32_t)) +
	    4 * m->bands * (int64_t)sizeof(struct slot);
	int64_t n = (memory - m->bands * 8 * (int64_t)sizeof(struct slot)) / three * 3;

	return n < MOST_TEXTS ? n : MOST_TEXTS;
}

struct near *
near_new(const struct minhash *m, double threshold, struct spill *spill, int64_t n,
    near_get *get, void *ctx, struct err *err)
{
	struct near *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	x->shape = *m;
	x->threshold = threshold;
	x->spill = spill;
	x->get = get;
	x->get_ctx = ctx;
	for (int i = 0; i < m->bands; i++) {
		if (map_band(x, &x->band[i], n > 0 ? slots_for(n) : FIRST_SLOTS, err) < 0) {
			near_free(x);
			return NULL;
		}
	}
	if (map_texts(x, n > 0 ? n : FIRST_TEXTS, err) < 0) {
		near_free(x);
		return NULL;
	}
	return x;
}

void
near_free(struct near *x)
{
	if (x == NULL)
		return;
	for (int i = 0; i < x->shape.bands; i++)
		spill_unmap(x->spill, x->band[i].slots);
	spill_unmap(x->spill, x->kept);
	spill_unmap(x->spill, x->before);
	free(x->found);
	free(x->table);
	free(x);
}

int64_t
near_candidates(const struct near *x)
{
	return x->candidates;
}

/* Keys are hashes: their high bits are the place, so that it doubles in order. */
static struct slot *
find(const struct band *b, uint32_t key)
{
	struct slot *slot = b->slots->p;
	uint64_t i = (uint64_t)key * (uint64_t)b->cap >> 32;

	while (slot[i].head != 0 && slot[i].key != key)
		if (++i == (uint64_t)b->cap)
			i = 0;
	return &slot[i];
}

static int
grow_band(struct near *x, struct band *b, struct err *err)
{
	struct band was = *b;
	const struct slot *slot = was.slots->p;

	if (map_band(x, b, 2 * was.cap, err) < 0) {
		*b = was;
		return -1;
	}
	for (int64_t i = 0; i < was.cap; i++)
		if (slot[i].head != 0)
			*find(b, slot[i].key) = slot[i];
	spill_unmap(x->spill, was.slots);
	return 0;
}

/* Make the table of the set that candidates are compared with. */
static int
make_table(struct near *x, const struct near_doc *d, struct err *err)
{
	int64_t cap = 64;

	while (cap < 2 * d->n)
		cap *= 2;
	if (cap > x->table_cap) {
		uint64_t *p = realloc(x->table, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		x->table = p;
		x->table_cap = cap;
	}
	memset(x->table, 0, (size_t)cap * sizeof(*x->table));
	x->mask = (uint64_t)cap - 1;
	for (int64_t i = 0; i < d->n; i++) {
		uint64_t at = d->set[i] & x->mask;

		while (x->table[at] != 0)
			at = (at + 1) & x->mask;
		x->table[at] = d->set[i];
	}
	return 0;
}

static double
jaccard(const struct near *x, const struct near_doc *d, const uint64_t *set, int64_t n)
{
	int64_t both = 0;

	for (int64_t i = 0; i < n; i++) {
		uint64_t h = set[i], at = h & x->mask;

		while (x->table[at] != 0 && x->table[at] != h)
			at = (at + 1) & x->mask;
		both += x->table[at] == h;
	}
	return (double)both / (double)(d->n + n - both);
}

/* The best that two sets of these sizes can do. */
static double
bound(int64_t a, int64_t b)
{
	return a < b ? (double)a / (double)b : (double)b / (double)a;
}

static int
push_found(struct near *x, uint32_t text, struct err *err)
{
	if (x->nfound == x->found_cap) {
		int64_t cap = x->found_cap > 0 ? 2 * x->found_cap : 64;
		uint32_t *p = realloc(x->found, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		x->found = p;
		x->found_cap = cap;
	}
	x->found[x->nfound++] = text;
	return 0;
}

/* Gather the texts that share a band and are not too long or short, each once. */
static int
gather(struct near *x, const struct near_doc *d, struct err *err)
{
	struct kept *kept = x->kept->p;
	const uint32_t *before = x->before->p;
	const struct slot *slot[MINHASH_BANDS];
	int bands = x->shape.bands;

	x->question++;
	x->nfound = 0;
	/* Ask memory for all slots before the first is waited for. */
	for (int i = 0; i < bands; i++)
		__builtin_prefetch((const struct slot *)x->band[i].slots->p +
		    ((uint64_t)d->key[i] * (uint64_t)x->band[i].cap >> 32));
	for (int i = 0; i < bands; i++)
		slot[i] = find(&x->band[i], d->key[i]);
	for (int i = 0; i < bands; i++) {
		for (uint32_t t = slot[i]->head; t != 0; t = before[(int64_t)(t - 1) * bands + i]) {
			struct kept *k = &kept[t - 1];

			if (k->asked == x->question || bound(d->n, k->n) < x->threshold)
				continue;
			k->asked = x->question;
			if (push_found(x, t - 1, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int
near_find(struct near *x, const struct near_doc *d, struct near_hit *hit, struct err *err)
{
	if (gather(x, d, err) < 0)
		return -1;
	if (x->nfound == 0)
		return 0;
	qsort(x->found, (size_t)x->nfound, sizeof(*x->found), by_number);
	if (make_table(x, d, err) < 0)
		return -1;
	for (int64_t i = 0; i < x->nfound; i++) {
		const struct kept *k = (const struct kept *)x->kept->p + x->found[i];
		const uint64_t *set = k->set;
		double s;

		if (set == NULL && (set = x->get(x->get_ctx, k->number, k->n, err)) == NULL)
			return -1;
		x->candidates++;
		if ((s = jaccard(x, d, set, k->n)) < x->threshold)
			continue;
		*hit = (struct near_hit){ k->number, { k->name, k->name_n }, s };
		return 1;
	}
	return 0;
}

static int
add_key(struct near *x, int i, uint32_t key, struct err *err)
{
	struct band *b = &x->band[i];
	struct slot *slot;

	if (b->n >= b->cap / 4 * 3 && grow_band(x, b, err) < 0)
		return -1;
	slot = find(b, key);
	b->n += slot->head == 0;
	((uint32_t *)x->before->p)[x->n * x->shape.bands + i] = slot->head;
	*slot = (struct slot){ key, (uint32_t)x->n + 1 };
	return 0;
}

/* Keep the set and the name of the next text. */
static int
keep(struct near *x, const struct near_doc *d, str name, struct kept *k, struct err *err)
{
	int64_t size = d->n * (int64_t)sizeof(uint64_t);
	char *p;

	if (x->get != NULL)
		return 0;
	if ((p = spill_bytes(x->spill, size + name.n, err)) == NULL)
		return -1;
	memcpy(p, d->set, (size_t)size);
	if (name.n > 0)
		memcpy(p + size, name.p, (size_t)name.n);
	k->set = (const uint64_t *)(void *)p;
	k->name = p + size;
	k->name_n = name.n;
	return 0;
}

int
near_add(struct near *x, const struct near_doc *d, int64_t number, str name, struct err *err)
{
	struct kept k = { .n = d->n, .number = number };

	if (x->n == MOST_TEXTS)
		return err_set(err, ERR_LIMIT, "more than %lld texts", (long long)MOST_TEXTS);
	if (x->n == x->cap && map_texts(x, 2 * x->cap, err) < 0)
		return -1;
	if (keep(x, d, name, &k, err) < 0)
		return -1;
	((struct kept *)x->kept->p)[x->n] = k;
	for (int i = 0; i < x->shape.bands; i++)
		if (add_key(x, i, d->key[i], err) < 0)
			return -1;
	x->n++;
	return 0;
}
