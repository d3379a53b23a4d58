#include "text/minhash.h"

#include <math.h>

#include "base/hash.h"
#include "base/rng.h"
#include "text/minhash_impl.h"

#define FUNCTIONS	192	/* hash functions that a choice may use */
#define MOST_ROWS	16
#define BUF_MAX		((ptrdiff_t)1 << 36)

static double
recall(int bands, int rows, double s)
{
	return 1 - pow(1 - pow(s, rows), bands);
}

double
minhash_recall(const struct minhash *m, double s)
{
	return recall(m->bands, m->rows, s);
}

void
minhash_init(struct minhash *m, double threshold)
{
	double above = threshold < 0.9 ? threshold + 0.1 : 1;
	int bands = 1, rows;

	for (rows = MOST_ROWS; rows > 1; rows--) {
		for (bands = 1; bands < MINHASH_BANDS && bands * rows <= FUNCTIONS; bands++)
			if (recall(bands, rows, threshold) >= 0.9 &&
			    recall(bands, rows, above) >= 0.99)
				break;
		if (bands < MINHASH_BANDS && bands * rows <= FUNCTIONS)
			break;
	}
	if (rows == 1)
		bands = MINHASH_BANDS;
	*m = (struct minhash){ .bands = bands, .rows = rows };
	for (int i = 0; i < MINHASH_MAX; i++) {
		uint64_t x = rng_u64(0, 0x6d696e68617368, (uint64_t)i);

		m->a[i] = (uint32_t)x | 1;
		m->b[i] = (uint32_t)(x >> 32);
	}
}

int
fold_space(struct buf *to, str text, struct err *err)
{
	buf_reset(to);
	if (buf_room(to, text.n + MINHASH_PAD) == NULL)
		return buf_ok(to, err);
	to->n = minhash_simd()->fold(to->p, text.p, text.n);
	return 0;
}

static inline uint64_t
mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	return h != 0 ? h : 1;
}

/* Put h into the set when it is not there. */
static inline void
add(uint64_t *table, uint64_t mask, uint64_t *set, int64_t *n, uint64_t h)
{
	uint64_t i = h & mask;

	while (table[i] != 0 && table[i] != h)
		i = (i + 1) & mask;
	if (table[i] == 0) {
		table[i] = h;
		set[(*n)++] = h;
	}
}

/* Hash each five words by a polynomial that rolls over them. */
static int64_t
roll(const uint64_t *word, ptrdiff_t count, uint64_t *table, uint64_t mask, uint64_t *set)
{
	const uint64_t p = 0x9e3779b97f4a7c15u, p5 = p * p * p * p * p;
	uint64_t h = (uint64_t)(count < SHINGLE_WORDS ? count : 0);
	int64_t n = 0;

	for (ptrdiff_t i = 0; i < count; i++) {
		h = h * p + word[i];
		if (i >= SHINGLE_WORDS)
			h -= word[i - SHINGLE_WORDS] * p5;
		if (i >= SHINGLE_WORDS - 1 || i == count - 1)
			add(table, mask, set, &n, mix(h));
	}
	return n;
}

static uint64_t *
room(struct buf *b, ptrdiff_t n, struct err *err)
{
	b->limit = BUF_MAX;
	buf_reset(b);
	if (buf_room(b, n * (ptrdiff_t)sizeof(uint64_t)) == NULL) {
		buf_ok(b, err);
		return NULL;
	}
	return (uint64_t *)(void *)b->p;
}

int64_t
shingles(struct shingler *s, str text, const uint64_t **out, struct err *err)
{
	ptrdiff_t count, slots = 64;
	const uint64_t *word;
	uint64_t *table, *set;

	if ((count = folded_words(&s->folded, text, &word, err)) < 0)
		return -1;
	while (slots < 2 * count)
		slots *= 2;
	if ((set = room(&s->set, count + 1, err)) == NULL ||
	    (table = room(&s->table, slots, err)) == NULL)
		return -1;
	*out = set;
	if (count == 0) {
		set[0] = mix(hash64(text));
		return 1;
	}
	memset(table, 0, (size_t)slots * sizeof(*table));
	return roll(word, count, table, (uint64_t)slots - 1, set);
}

void
shingler_free(struct shingler *s)
{
	folded_free(&s->folded);
	buf_free(&s->table);
	buf_free(&s->set);
}

void
minhash_keys(const struct minhash *m, const uint64_t *set, int64_t n, uint32_t *key)
{
	uint32_t low[MINHASH_MAX];
	int k = (m->bands * m->rows + 15) & ~15;

	minhash_simd()->minima(low, m->a, m->b, k, set, n);
	for (int i = 0; i < m->bands; i++) {
		const char *row = (const char *)&low[i * m->rows];

		key[i] = (uint32_t)(hash64((str){ row, m->rows *
		    (ptrdiff_t)sizeof(low[0]) }) >> 32);
	}
}
