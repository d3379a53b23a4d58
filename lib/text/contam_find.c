#include <math.h>
#include <stdlib.h>

#include "text/contam_impl.h"

#define MASKS	(CONTAM_WORDS / 64)

/* Where an item was last looked for, and what was found. */
struct contam_seen {
	int64_t		 text;
	ptrdiff_t	 start;
	ptrdiff_t	 hit;		/* in contam_search.hit, or -1 */
};

/* The first seed with this hash, or NULL. */
static const struct seed *
find_seed(const struct seeds *s, uint64_t h)
{
	uint64_t mask = ((uint64_t)1 << s->slot_log) - 1;

	for (uint64_t at = h & mask; s->slot[at] != 0; at = (at + 1) & mask)
		if (s->seed[s->slot[at] - 1].hash == h)
			return &s->seed[s->slot[at] - 1];
	return NULL;
}

/*
 * The longest common subsequence of a[0..n) and b[0], b[step] .. (count of
 * them); *last is where in b it is complete.  Bit-parallel: a zero in v is a
 * word of a that made it longer (Crochemore et al. 2001).
 */
static int
common(const uint64_t *a, int n, const uint64_t *b, ptrdiff_t count, ptrdiff_t step,
    ptrdiff_t *last)
{
	uint64_t v[MASKS];
	int masks = (n + 63) / 64, best = 0;

	memset(v, -1, sizeof(v));
	for (ptrdiff_t i = 0; i < count; i++) {
		uint64_t m[MASKS] = { 0 }, carry = 0;
		int zeros = 0;

		for (int k = 0; k < n; k++)
			m[k / 64] |= (uint64_t)(a[k] == b[i * step]) << k % 64;
		for (int k = 0; k < masks; k++) {
			uint64_t u = v[k] & m[k], sum = v[k] + u, more = sum < u;

			sum += carry;
			carry = more | (sum < carry);
			v[k] = sum | (v[k] & ~m[k]);
			zeros += __builtin_popcountll(~v[k]);
		}
		if (zeros > best) {
			best = zeros;
			*last = i;
		}
	}
	return best;
}

/* Compare an item with the words about start, where it would begin. */
static bool
compare(const struct contam *x, const struct contam_item *item, const uint64_t *word,
    ptrdiff_t words, ptrdiff_t start, struct contam_hit *hit)
{
	const uint64_t *a = x->word + item->first;
	uint64_t back[CONTAM_WORDS];
	ptrdiff_t from = start - item->slack, to = start + item->n + item->slack, last = 0;
	int need = (int)ceil(x->opts.score * item->n - 1e-9);

	if (from < 0)
		from = 0;
	if (to > words)
		to = words;
	hit->same = common(a, item->n, word + from, to - from, 1, &last);
	if (hit->same < need)
		return false;
	hit->to = from + last + 1;
	for (int i = 0; i < item->n; i++)
		back[i] = a[item->n - 1 - i];
	common(back, item->n, word + hit->to - 1, hit->to - from, -1, &last);
	hit->from = hit->to - 1 - last;
	return true;
}

/* Keep a hit; one that overlaps the item's last one is the same place. */
static int
keep(struct contam_search *s, const struct contam_hit *hit, bool join, struct err *err)
{
	struct contam_seen *seen = &s->seen[hit->item];
	struct contam_hit *was = seen->hit >= 0 ? &s->hit[seen->hit] : NULL;

	if (was != NULL && hit->from < was->to && was->from < hit->to) {
		if (join) {
			was->same += (int)(hit->to - was->to);
			was->to = hit->to;
		} else if (hit->same > was->same) {
			*was = *hit;
		}
		return 0;
	}
	if (s->n == CONTAM_HITS)
		return 0;
	if (s->n == s->cap) {
		ptrdiff_t cap = s->cap > 0 ? 2 * s->cap : 64;
		struct contam_hit *p = realloc(s->hit, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		s->hit = p;
		s->cap = cap;
	}
	seen->hit = s->n;
	s->hit[s->n++] = *hit;
	return 0;
}

/* A seed is whole at a word of the text: look at all items that have it. */
static int
follow(const struct contam *x, struct contam_search *s, const struct seeds *of,
    const struct seed *seed, int length, const uint64_t *word, ptrdiff_t words, ptrdiff_t at,
    struct err *err)
{
	uint64_t hash = seed->hash;

	for (; seed < of->seed + of->n && seed->hash == hash; seed++) {
		const struct contam_item *item = &x->item[seed->item];
		struct contam_seen *seen = &s->seen[seed->item];
		ptrdiff_t start = at - seed->at;
		struct contam_hit hit = { .item = seed->item, .same = length, .from = at,
		    .to = at + length };
		bool join = x->opts.type == CONTAM_NGRAM;

		if (seen->text != s->text) {
			*seen = (struct contam_seen){ s->text, start, -1 };
		} else if (!join) {
			if (llabs(start - seen->start) <= item->slack / 2)
				continue;
			seen->start = start;
		}
		if ((join || compare(x, item, word, words, start, &hit)) &&
		    keep(s, &hit, join, err) < 0)
			return -1;
	}
	return 0;
}

static int
search_length(const struct contam *x, struct contam_search *s, int length, const uint64_t *word,
    ptrdiff_t words, struct err *err)
{
	const struct seeds *of = &x->seeds[length];
	int shift = 64 - of->bits_log;
	uint64_t h = 0, first = 1;

	for (int i = 0; i < length; i++)
		first *= SEED_P;
	for (ptrdiff_t i = 0; i < words; i++) {
		const struct seed *seed;
		uint64_t mixed, bit;

		h = h * SEED_P + word[i];
		if (i >= length)
			h -= word[i - length] * first;
		mixed = seed_mix(h);
		bit = mixed >> shift;
		if ((of->bits[bit / 64] >> bit % 64 & 1) == 0 || i < length - 1 ||
		    (seed = find_seed(of, mixed)) == NULL)
			continue;
		if (follow(x, s, of, seed, length, word, words, i + 1 - length, err) < 0)
			return -1;
	}
	return 0;
}

static int
by_place(const void *a, const void *b)
{
	const struct contam_hit *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

int
contam_find(const struct contam *x, struct contam_search *s, str text, struct err *err)
{
	const uint64_t *word;
	ptrdiff_t words = folded_words(&s->folded, text, &word, err);

	s->n = 0;
	if (words < 0)
		return -1;
	if (s->seen == NULL && (s->seen = calloc((size_t)x->items + 1, sizeof(*s->seen))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->text++;
	for (int i = 1; i <= CONTAM_NGRAM_MAX; i++)
		if (x->seeds[i].n > 0 && search_length(x, s, i, word, words, err) < 0)
			return -1;
	if (s->n > 1)
		qsort(s->hit, (size_t)s->n, sizeof(*s->hit), by_place);
	return 0;
}

void
contam_search_free(struct contam_search *s)
{
	folded_free(&s->folded);
	free(s->hit);
	free(s->seen);
}
