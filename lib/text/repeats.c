/*
 * Passes 3 and 4: candidates to passages, and these to places in texts.
 */
#include <pthread.h>
#include <stdlib.h>

#include "text/repeats_impl.h"

#define AHEAD		8		/* items that memory is asked for before their turn */
#define PLACES		2048		/* repeats that a thread gathers */
#define RANGE_BITS	20		/* the least places of a range, as a power of two */
#define PIECE		((int64_t)1 << 20)	/* bytes of cells that are saved at a time */

struct hashes {
	uint64_t	a, b;		/* both 0: empty */
};

struct member {
	struct hashes	*table;
	void		*room;
	uint64_t	 place[PLACES];
	int		 n;
};

struct settling {
	struct repeats	*x;
	struct buckets	*places;	/* uint32_t in ranges of 2^shift */
	int		 shift;
	struct member	*member;
	int		 nmembers;
	uint64_t	 slots;		/* of a member's table, a power of two */
	pthread_mutex_t	 mutex;		/* of places and err */
	struct err	 err;
};

/* ---- buckets to places ---- */

static void
give_places(struct settling *s, struct member *m)
{
	pthread_mutex_lock(&s->mutex);
	for (int i = 0; i < m->n && s->err.code == ERR_NONE; i++) {
		uint32_t low = (uint32_t)(m->place[i] & (((uint64_t)1 << s->shift) - 1));

		buckets_add(s->places, (int)(m->place[i] >> s->shift), &low, &s->err);
	}
	pthread_mutex_unlock(&s->mutex);
	m->n = 0;
}

/* Put it into the table; was it there? */
static inline bool
seen(struct hashes *table, uint64_t mask, const struct window *w, int64_t *n)
{
	struct hashes h = { w->a, w->a == 0 && w->b == 0 ? 1 : w->b };
	uint64_t at = h.a & mask;

	while ((table[at].a | table[at].b) != 0) {
		if (table[at].a == h.a && table[at].b == h.b)
			return true;
		at = (at + 1) & mask;
	}
	table[at] = h;
	++*n;
	return false;
}

/*
 * Those of the bucket's windows whose hash is round mod rounds.  Return 1, 0
 * when the table is too small, or -1.
 */
static int
one_round(struct settling *s, struct member *m, int bucket, uint64_t mask, uint64_t round,
    uint64_t rounds, struct err *err)
{
	const void *items;
	int64_t n, count = 0, most = (int64_t)(mask / 8 * 7);

	memset(m->table, 0, (size_t)(mask + 1) * sizeof(*m->table));
	for (int64_t c = 0; (n = buckets_read(s->x->windows, bucket, c, m->room, &items, err)) > 0;
	    c++) {
		const struct window *w = items;

		for (int64_t i = 0; i < n; i++) {
			if (i + AHEAD < n)
				__builtin_prefetch(&m->table[w[i + AHEAD].a & mask]);
			if (rounds > 1 && w[i].b % rounds != round)
				continue;
			if (!seen(m->table, mask, &w[i], &count)) {
				if (count > most)
					return 0;
				continue;
			}
			m->place[m->n++] = w[i].place;
			if (m->n == PLACES)
				give_places(s, m);
		}
	}
	return n < 0 ? -1 : 1;
}

static void
settle_bucket(void *ctx, int64_t task, int member)
{
	struct settling *s = ctx;
	struct member *m = &s->member[member];
	uint64_t items = (uint64_t)buckets_count(s->x->windows, (int)task), slots = 64, rounds;
	struct err err;
	int ok = 0;

	while (slots < 2 * items && slots < s->slots)
		slots *= 2;
	/* A table is half full after a round; a place that is given twice does no harm. */
	for (rounds = (2 * items + slots - 1) / slots; ok == 0; rounds *= 2) {
		ok = 1;
		for (uint64_t r = 0; r < rounds && ok > 0; r++)
			ok = one_round(s, m, (int)task, slots - 1, r, rounds, &err);
	}
	give_places(s, m);
	buckets_empty(s->x->windows, (int)task);
	if (ok < 0) {
		pthread_mutex_lock(&s->mutex);
		if (s->err.code == ERR_NONE)
			s->err = err;
		pthread_mutex_unlock(&s->mutex);
	}
}

static int
start_members(struct settling *s, int n, struct err *err)
{
	int64_t memory = s->x->memory / 4 / n;

	if ((s->member = calloc((size_t)n, sizeof(*s->member))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->nmembers = n;
	for (s->slots = 64; (int64_t)(2 * s->slots * sizeof(struct hashes)) <= memory;)
		s->slots *= 2;
	for (int i = 0; i < n; i++) {
		s->member[i].table = malloc((size_t)s->slots * sizeof(struct hashes));
		s->member[i].room = malloc((size_t)buckets_chunk(s->x->windows));
		if (s->member[i].table == NULL || s->member[i].room == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	return 0;
}

static void
end_members(struct settling *s)
{
	for (int i = 0; i < s->nmembers; i++) {
		free(s->member[i].table);
		free(s->member[i].room);
	}
	free(s->member);
}

static int
settle_buckets(struct settling *s, struct team *team, struct err *err)
{
	int ret = start_members(s, team_size(team), err);

	if (ret == 0) {
		team_run(team, REPEATS_BUCKETS, settle_bucket, s);
		if (s->err.code != ERR_NONE) {
			*err = s->err;
			ret = -1;
		}
	}
	end_members(s);
	return ret;
}

/* ---- places to passages ---- */

/* One bit for each window of a range; ranges are read one after the other. */
struct bits {
	struct settling	*s;
	uint64_t	*bit;
	void		*room;
	int64_t		 range;
};

static int
load_range(struct bits *b, int64_t range, struct err *err)
{
	struct buckets *places = b->s->places;
	const void *items;
	int64_t n;

	memset(b->bit, 0, (size_t)1 << b->s->shift >> 3);
	for (int64_t c = 0;
	    (n = buckets_read(places, (int)range, c, b->room, &items, err)) > 0; c++) {
		const uint32_t *low = items;

		for (int64_t i = 0; i < n; i++)
			b->bit[low[i] / 64] |= (uint64_t)1 << low[i] % 64;
	}
	for (uint64_t i = 0; i < (uint64_t)1 << b->s->shift >> 6; i++)
		b->s->x->stats.repeats += __builtin_popcountll(b->bit[i]);
	buckets_empty(places, (int)range);
	b->range = range;
	return n < 0 ? -1 : 0;
}

/* The first bit of this value in [at, end), or end. */
static uint64_t
find_bit(const uint64_t *bit, uint64_t at, uint64_t end, bool value)
{
	while (at < end) {
		uint64_t x = bit[at / 64] ^ (value ? 0 : ~(uint64_t)0);

		x &= ~(uint64_t)0 << at % 64;
		if (x != 0) {
			at = (at & ~(uint64_t)63) + (uint64_t)__builtin_ctzll(x);
			return at < end ? at : end;
		}
		at = (at | 63) + 1;
	}
	return end;
}

/* The passages of one text, whose first window is at place. */
static int
find_passages(struct bits *b, const struct passed *p, uint64_t place, struct err *err)
{
	struct repeats *x = b->s->x;
	uint64_t size = (uint64_t)1 << b->s->shift, end = place + p->windows;
	struct passage now = { .number = p->number };

	for (uint64_t at = place; at < end;) {
		uint64_t base = at & ~(size - 1), first;
		uint64_t last = end < base + size ? end : base + size;

		if ((int64_t)(at >> b->s->shift) != b->range &&
		    load_range(b, (int64_t)(at >> b->s->shift), err) < 0)
			return -1;
		first = base + find_bit(b->bit, at - base, last - base, true);
		at = base + find_bit(b->bit, first - base, last - base, false);
		if (first == at)
			continue;
		if (now.to > 0 && first - place > now.to) {
			if (buckets_add(x->passages, 0, &now, err) < 0)
				return -1;
			now.to = 0;
		}
		if (now.to == 0)
			now.from = (uint32_t)(first - place);
		now.to = (uint32_t)(at - place - 1 + (uint64_t)x->n);
	}
	return now.to > 0 ? buckets_add(x->passages, 0, &now, err) : 0;
}

static int
list_passages(struct settling *s, struct err *err)
{
	struct repeats *x = s->x;
	struct bits b = { .s = s, .range = -1 };
	void *room = malloc((size_t)buckets_chunk(x->passed));
	const void *items;
	uint64_t place = 0;
	int64_t n = 0;
	int ret = 0;

	b.bit = malloc((size_t)1 << s->shift >> 3);
	b.room = malloc((size_t)buckets_chunk(s->places));
	if (room == NULL || b.bit == NULL || b.room == NULL)
		ret = err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t c = 0; ret == 0 &&
	    (n = buckets_read(x->passed, 0, c, room, &items, err)) > 0; c++) {
		const struct passed *p = items;

		for (int64_t i = 0; i < n && ret == 0; place += p[i++].windows)
			ret = find_passages(&b, &p[i], place, err);
	}
	free(room);
	free(b.bit);
	free(b.room);
	return n < 0 ? -1 : ret;
}

int
repeats_settle(struct repeats *x, struct team *team, struct err *err)
{
	struct settling s = { .x = x, .shift = RANGE_BITS, .mutex = PTHREAD_MUTEX_INITIALIZER };
	int ret;

	free(x->cells);
	x->cells = NULL;
	while (x->stats.windows >> s.shift >= REPEATS_BUCKETS)
		s.shift++;
	if (s.shift > 32)
		return err_set(err, ERR_LIMIT, "more than 2^40 units");
	s.places = buckets_new(x->dir, REPEATS_BUCKETS, (int64_t)sizeof(uint32_t), x->memory / 16,
	    err);
	if (s.places == NULL)
		return -1;
	x->stats.spilled += buckets_spilled(x->windows);
	ret = settle_buckets(&s, team, err);
	buckets_free(x->windows);
	x->windows = NULL;
	if (ret == 0)
		ret = list_passages(&s, err);
	x->stats.spilled += buckets_spilled(s.places) + buckets_spilled(x->passed);
	buckets_free(s.places);
	buckets_empty(x->passed, 0);
	return ret;
}

struct repeats_stats
repeats_stats(const struct repeats *x)
{
	return x->stats;
}

/* ---- what was found, to a file and back ---- */

static int
save_passages(const struct repeats *x, repeats_put *put, void *ctx, struct err *err)
{
	void *room = malloc((size_t)buckets_chunk(x->passages));
	str piece = { (const char *)&x->stats, sizeof(x->stats) };
	const void *items;
	int64_t n = 1;
	int ret = room != NULL ? put(ctx, piece, err) :
	    err_set(err, ERR_NOMEM, "out of memory");

	for (int64_t c = 0; ret == 0 &&
	    (n = buckets_read(x->passages, 0, c, room, &items, err)) > 0; c++) {
		piece = (str){ items, n * (int64_t)sizeof(struct passage) };
		ret = put(ctx, piece, err);
	}
	free(room);
	return n < 0 ? -1 : ret;
}

int
repeats_save(const struct repeats *x, repeats_put *put, void *ctx, struct err *err)
{
	int64_t bytes = (int64_t)x->ncells / 4;

	if (x->cells == NULL)
		return save_passages(x, put, ctx, err);
	for (int64_t at = 0; at < bytes; at += PIECE) {
		int64_t n = bytes - at < PIECE ? bytes - at : PIECE;

		if (put(ctx, (str){ (const char *)x->cells + at, n }, err) < 0)
			return -1;
	}
	return 0;
}

static int
load_passages(struct repeats *x, str piece, struct err *err)
{
	if (x->loaded == 0) {
		if (piece.n != sizeof(x->stats))
			return err_set(err, ERR_FORMAT, "not what was found before");
		memcpy(&x->stats, piece.p, sizeof(x->stats));
		free(x->cells);
		x->cells = NULL;
		return 0;
	}
	for (ptrdiff_t at = 0; at < piece.n; at += (ptrdiff_t)sizeof(struct passage)) {
		struct passage p;

		if (piece.n - at < (ptrdiff_t)sizeof(p))
			return err_set(err, ERR_FORMAT, "not whole passages");
		memcpy(&p, piece.p + at, sizeof(p));
		if (p.from >= p.to)
			return err_set(err, ERR_FORMAT, "a passage that is none");
		if (buckets_add(x->passages, 0, &p, err) < 0)
			return -1;
	}
	return 0;
}

int
repeats_load(struct repeats *x, bool settled, str piece, struct err *err)
{
	int ret = 0;

	if (settled)
		ret = load_passages(x, piece, err);
	else if (piece.n > (int64_t)x->ncells / 4 - x->loaded)
		ret = err_set(err, ERR_FORMAT, "more than was counted");
	else
		memcpy(x->cells + x->loaded, piece.p, (size_t)piece.n);
	x->loaded += piece.n;
	return ret;
}

/* ---- passages of a text ---- */

/* Is there a next passage?  1, with x->next at it; 0; or -1. */
static int
look(struct repeats *x, struct err *err)
{
	const void *items;

	if (x->left > 0)
		return 1;
	if (x->room == NULL && (x->room = malloc((size_t)buckets_chunk(x->passages))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	x->left = buckets_read(x->passages, 0, x->chunk, x->room, &items, err);
	x->next = items;
	x->chunk += x->left > 0;
	return x->left > 0 ? 1 : (int)x->left;
}

static int
add_span(struct repeats *x, ptrdiff_t n, struct err *err)
{
	if (n == x->cap) {
		ptrdiff_t cap = n > 0 ? 2 * n : 16;
		struct span *p = realloc(x->span, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		x->span = p;
		x->cap = cap;
	}
	x->span[n] = (struct span){ -1, -1 };
	return 0;
}

ptrdiff_t
repeats_next(struct repeats *x, int64_t number, str text, struct span **span, struct err *err)
{
	struct unit unit[256];
	int64_t base = 0;		/* the number of unit[0] */
	ptrdiff_t n = 0;
	int got = 0, have;

	*span = NULL;
	while ((have = look(x, err)) > 0 && x->next->number == (uint64_t)number) {
		const struct passage p = *x->next;

		if (n == 0)
			units_start(&x->units, x->kind, text, 0);
		if (add_span(x, n, err) < 0)
			return -1;
		while (x->span[n].to == -1) {
			if (p.from >= base && p.from < base + got)
				x->span[n].from = unit[p.from - base].from;
			if (p.to - 1 >= base && p.to - 1 < base + got) {
				x->span[n].to = unit[p.to - 1 - base].to;
				break;
			}
			base += got;
			if ((got = units_next(&x->units, unit, 256, err)) < 0)
				return -1;
			if (got == 0)
				return err_set(err, ERR_FORMAT, "changed while it was read");
		}
		n++;
		x->next++;
		x->left--;
	}
	if (have < 0)
		return -1;
	if (have > 0 && x->next->number < (uint64_t)number)
		return err_set(err, ERR_FORMAT, "changed while it was read");
	*span = x->span;
	return n;
}
