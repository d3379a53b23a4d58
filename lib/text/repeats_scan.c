/*
 * Passes 1 and 2: texts to k-grams and windows.
 *
 * The least of each w hashes in a row (van Herk 1992): of the block that ends
 * in the window its suffix minima are known, of the one that the window ends
 * in a running minimum; both carry the place in their low bits, so that the
 * leftmost of equals is taken.
 */
#include <stdlib.h>

#include "text/repeats_impl.h"

#define BATCH		256			/* units at a time */
#define PLACE		((uint64_t)0x1ffff)	/* low bits: two blocks of REPEATS_MOST */
#define GRAM_BASE	0x9e3779b97f4a7c15u
#define A_BASE		0x0c9d3b5a7e1f2463u	/* below 2^61 - 1 */
#define B_BASE		0x15f6e8a1c2d4937bu

__extension__ typedef unsigned __int128 wide;

static inline uint64_t
mul61(uint64_t x, uint64_t y)
{
	wide t = (wide)x * y;
	uint64_t r = ((uint64_t)t & PRIME61) + (uint64_t)(t >> 61);

	return r >= PRIME61 ? r - PRIME61 : r;
}

/* A hash of 64 bits as a number below the prime. */
static inline uint64_t
number61(uint64_t h)
{
	return h >> 3 == PRIME61 ? 0 : h >> 3;
}

/* h * base + in - out * base^n */
static inline uint64_t
roll61(uint64_t h, uint64_t base, uint64_t in, uint64_t out)
{
	uint64_t r = mul61(h, base) + in + (PRIME61 - out);

	r = (r & PRIME61) + (r >> 61);
	return r >= PRIME61 ? r - PRIME61 : r;
}

static inline uint64_t
mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ h >> 29;
}

static uint64_t
power61(uint64_t base, int64_t n)
{
	uint64_t r = 1;

	while (n-- > 0)
		r = mul61(r, base);
	return r;
}

static void
free_parts(struct repeats *x)
{
	buckets_free(x->windows);
	buckets_free(x->passed);
	buckets_free(x->passages);
	free(x->cells);
}

struct repeats *
repeats_new(enum unit_kind kind, int64_t n, int64_t memory, int64_t bytes, const char *dir,
    struct err *err)
{
	struct repeats *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (memory < REPEATS_MEMORY)
		memory = REPEATS_MEMORY;
	*x = (struct repeats){
		.kind = kind, .n = n, .k = (n + 1) / 2, .memory = memory, .dir = dir,
		.gram_out = 1, .a_out = power61(A_BASE, n), .b_out = power61(B_BASE, n),
	};
	x->w = n - x->k + 1;
	for (int64_t i = 0; i < x->k; i++)
		x->gram_out *= GRAM_BASE;
	/* A k-gram for each two dozen bytes or fewer: a cell for each two bytes is plenty. */
	bytes = bytes / 8 < memory / 8 * 3 ? bytes / 8 : memory / 8 * 3;
	bytes = bytes < 4096 ? 4096 : bytes;
	x->ncells = (uint64_t)bytes * 4;
	x->cells = calloc(1, (size_t)bytes);
	x->windows = buckets_new(dir, REPEATS_BUCKETS, (int64_t)sizeof(struct window), memory / 4,
	    err);
	if (x->windows != NULL)
		x->passed = buckets_new(dir, 1, (int64_t)sizeof(struct passed), memory / 16, err);
	if (x->passed != NULL)
		x->passages = buckets_new(dir, 1, (int64_t)sizeof(struct passage), memory / 16,
		    err);
	if (x->cells != NULL && x->passages != NULL)
		return x;
	if (x->cells == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	repeats_free(x);
	return NULL;
}

void
repeats_free(struct repeats *x)
{
	if (x == NULL)
		return;
	free_parts(x);
	repeats_scan_free(&x->hashing);
	units_free(&x->units);
	free(x->room);
	free(x->span);
	free(x);
}

void
repeats_scan_free(struct repeats_scan *s)
{
	units_free(&s->units);
	free(s->room);
}

/* Four numbers for each unit of a window are room for either pass. */
static int
make_room(const struct repeats *x, struct repeats_scan *s, struct err *err)
{
	if (s->room == NULL && (s->room = malloc((size_t)(4 * x->n) * sizeof(*s->room))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

/* ---- k-grams ---- */

struct grams {
	uint64_t	*unit, *block, *suffix;	/* n, w, w */
	uint32_t	*at;			/* n: where units begin */
	uint64_t	 hash, least;
	int64_t		 i;			/* units so far */
	int64_t		 slot, out;		/* of unit[]: i mod n, i - k mod n */
	int64_t		 b;			/* place in the block */
};

static struct grams
grams_start(const struct repeats *x, struct repeats_scan *s)
{
	return (struct grams){
		.unit = s->room, .block = s->room + x->n, .suffix = s->room + x->n + x->w,
		.at = (uint32_t *)(void *)(s->room + x->n + 2 * x->w), .least = ~(uint64_t)0,
	};
}

/*
 * One unit on.  Return the number of the k-gram that stands for the window which
 * ends here, with its hash in *hash, or -1 while there is no window.
 */
static inline int64_t
grams_step(const struct repeats *x, struct grams *g, const struct unit *u, uint64_t *hash)
{
	uint64_t h = u->hash.lo, v, least;
	int64_t gram = g->i - x->k + 1, place;

	g->hash = g->hash * GRAM_BASE + h;
	if (gram > 0) {
		g->hash -= g->unit[g->out] * x->gram_out;
		g->out = g->out + 1 == x->n ? 0 : g->out + 1;
	}
	g->unit[g->slot] = h;
	g->at[g->slot] = u->from;
	g->slot = g->slot + 1 == x->n ? 0 : g->slot + 1;
	g->i++;
	if (gram < 0)
		return -1;
	if (g->b == x->w) {
		uint64_t m = ~(uint64_t)0;

		for (int64_t i = x->w - 1; i >= 0; i--)
			g->suffix[i] = m = g->block[i] < m ? g->block[i] : m;
		g->least = ~(uint64_t)0;
		g->b = 0;
	}
	v = mix(g->hash) & ~PLACE;
	g->block[g->b] = v | (uint64_t)g->b;
	v |= (uint64_t)(g->b + x->w);
	least = g->least = v < g->least ? v : g->least;
	g->b++;
	if (gram < x->w - 1)
		return -1;
	if (g->b < x->w && g->suffix[g->b] < least)
		least = g->suffix[g->b];
	place = gram - (g->b - 1) - x->w + (int64_t)(least & PLACE);
	*hash = least & ~PLACE;
	return place;
}

/* Where a k-gram is counted; the least of many hashes is mixed once more. */
static inline uint64_t
cell_of(const struct repeats *x, uint64_t hash)
{
	return (uint64_t)((wide)(hash * 0xc2b2ae3d27d4eb4fu) * x->ncells >> 64);
}

static void
count(struct repeats *x, uint64_t hash)
{
	uint64_t cell = cell_of(x, hash);
	uint8_t *byte = &x->cells[cell / 4], once = (uint8_t)(1 << cell % 4 * 2);
	uint8_t was = __atomic_load_n(byte, __ATOMIC_RELAXED);

	if ((was & once) == 0)
		was = __atomic_fetch_or(byte, once, __ATOMIC_RELAXED);
	if ((was & once) != 0 && (was & once << 1) == 0)
		__atomic_fetch_or(byte, (uint8_t)(once << 1), __ATOMIC_RELAXED);
}

static bool
is_twice(const struct repeats *x, uint64_t hash)
{
	uint64_t cell = cell_of(x, hash);

	return (x->cells[cell / 4] >> cell % 4 * 2 & 2) != 0;
}

int
repeats_count(struct repeats *x, struct repeats_scan *s, str text, struct err *err)
{
	struct unit unit[BATCH];
	struct grams g;
	int64_t last = -1;
	uint64_t hash;
	int n;

	if (make_room(x, s, err) < 0)
		return -1;
	g = grams_start(x, s);
	units_start(&s->units, x->kind, text, 0);
	while ((n = units_next(&s->units, unit, BATCH, err)) > 0) {
		for (int i = 0; i < n; i++) {
			int64_t gram = grams_step(x, &g, &unit[i], &hash);

			if (gram == last || gram < 0)
				continue;
			last = gram;
			count(x, hash);
		}
	}
	return n;
}

/* ---- windows ---- */

static int
add_run(struct repeats_found *f, int64_t *cap, struct repeats_run run, struct arena *arena,
    struct err *err)
{
	if (f->n == *cap) {
		int64_t more = *cap > 0 ? 2 * *cap : 8;
		struct repeats_run *p = arena_new(arena, struct repeats_run, more, err);

		if (p == NULL)
			return -1;
		if (f->n > 0)
			memcpy(p, f->run, (size_t)f->n * sizeof(*p));
		f->run = p;
		*cap = more;
	}
	f->run[f->n++] = run;
	return 0;
}

int
repeats_find(const struct repeats *x, struct repeats_scan *s, str text, struct arena *arena,
    struct repeats_found *f, struct err *err)
{
	struct unit unit[BATCH];
	struct grams g;
	int64_t last = -1, cap = 0;
	uint64_t hash;
	bool twice = false;
	int n;

	*f = (struct repeats_found){ 0 };
	if (make_room(x, s, err) < 0)
		return -1;
	g = grams_start(x, s);
	units_start(&s->units, x->kind, text, 0);
	while ((n = units_next(&s->units, unit, BATCH, err)) > 0) {
		for (int i = 0; i < n; i++) {
			int64_t gram = grams_step(x, &g, &unit[i], &hash), window;

			if (gram < 0)
				continue;
			if (gram != last)
				twice = is_twice(x, hash);
			last = gram;
			window = f->windows++;
			if (!twice)
				continue;
			if (f->n > 0 && f->run[f->n - 1].last + 1 == window)
				f->run[f->n - 1].last++;
			else if (add_run(f, &cap, (struct repeats_run){ (uint32_t)window,
			    (uint32_t)window, g.at[g.slot] }, arena, err) < 0)
				return -1;
		}
	}
	return n;
}

/* Hash the windows of one run.  place: of window 0 of the text. */
static int
hash_run(struct repeats *x, const struct repeats_run *run, str text, uint64_t place,
    struct err *err)
{
	struct repeats_scan *s = &x->hashing;
	uint64_t *a_out = s->room, *b_out = a_out + x->n, a = 0, b = 0;
	int64_t i = 0, slot = 0, left = (int64_t)run->last - run->first + x->n;
	struct unit unit[BATCH];
	int n = 0;

	units_start(&s->units, x->kind, text, run->at);
	while (left > 0 && (n = units_next(&s->units, unit, left < BATCH ? (int)left : BATCH,
	    err)) > 0) {
		left -= n;
		for (int j = 0; j < n; j++, i++) {
			uint64_t in_a = number61(unit[j].hash.lo), in_b = number61(unit[j].hash.hi);
			struct window w;

			a = roll61(a, A_BASE, in_a, i < x->n ? 0 : a_out[slot]);
			b = roll61(b, B_BASE, in_b, i < x->n ? 0 : b_out[slot]);
			a_out[slot] = mul61(in_a, x->a_out);
			b_out[slot] = mul61(in_b, x->b_out);
			slot = slot + 1 == x->n ? 0 : slot + 1;
			if (i < x->n - 1)
				continue;
			w = (struct window){ a, b, place + run->first + (uint64_t)(i - x->n + 1) };
			if (buckets_add(x->windows, (int)(a >> 53), &w, err) < 0)
				return -1;
			x->stats.candidates++;
		}
	}
	return n < 0 ? -1 : 0;
}

int
repeats_add(struct repeats *x, int64_t number, str text, const struct repeats_found *found,
    struct err *err)
{
	struct passed p = { (uint64_t)number, (uint64_t)found->windows };

	if (found->windows == 0)
		return 0;
	if (make_room(x, &x->hashing, err) < 0 || buckets_add(x->passed, 0, &p, err) < 0)
		return -1;
	for (int64_t i = 0; i < found->n; i++)
		if (hash_run(x, &found->run[i], text, (uint64_t)x->stats.windows, err) < 0)
			return -1;
	x->stats.windows += found->windows;
	return 0;
}
