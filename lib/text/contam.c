#include "text/contam_impl.h"

#include <stdlib.h>

#define SEED	5	/* words of a seed, where a question is long enough */
#define GAP	50	/* words that may stand between a question and its answer */

struct contam *
contam_new(const struct contam_opts *o, struct err *err)
{
	struct contam *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	x->opts = *o;
	spill_init(&x->spill, NULL, INT64_MAX);
	if (hashset_init(&x->known, &x->spill, false, err) < 0) {
		contam_free(x);
		return NULL;
	}
	return x;
}

void
contam_free(struct contam *x)
{
	if (x == NULL)
		return;
	for (int64_t i = 0; i < x->items; i++)
		free(x->item[i].text);
	for (int i = 0; i <= CONTAM_NGRAM_MAX; i++) {
		free(x->seeds[i].seed);
		free(x->seeds[i].slot);
		free(x->seeds[i].bits);
	}
	free(x->item);
	free(x->word);
	folded_free(&x->folded);
	buf_free(&x->text);
	spill_free(&x->spill);
	free(x);
}

/* Make room for n more behind n0 elements of a size. */
static int
grow(void *array, int64_t n0, int64_t *cap, int64_t n, int64_t size, struct err *err)
{
	void *p = *(void **)array;
	int64_t want = *cap > 0 ? *cap : 64;

	if (n0 + n <= *cap)
		return 0;
	while (want < n0 + n)
		want *= 2;
	if ((p = realloc(p, (size_t)(want * size))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*(void **)array = p;
	*cap = want;
	return 0;
}

/* ---- seeds ---- */

static uint64_t
seed_hash(const uint64_t *word, int n)
{
	uint64_t h = 0;

	for (int i = 0; i < n; i++)
		h = h * SEED_P + word[i];
	return seed_mix(h);
}

static int
add_seed(struct contam *x, int item, int at, int n, struct err *err)
{
	struct seeds *s = &x->seeds[n];

	if (grow(&s->seed, s->n, &s->cap, 1, sizeof(*s->seed), err) < 0)
		return -1;
	s->seed[s->n++] = (struct seed){
		.hash = seed_hash(x->word + x->item[item].first + at, n), .item = item, .at = at,
	};
	return 0;
}

/* Cut an item: disjoint seeds, spread over all of it, or each n-gram. */
static int
cut_item(struct contam *x, int item, struct err *err)
{
	int n = x->item[item].n;

	if (x->opts.type == CONTAM_NGRAM) {
		int length = n < x->opts.ngram ? n : x->opts.ngram;

		for (int at = 0; at + length <= n; at++)
			if (add_seed(x, item, at, length, err) < 0)
				return -1;
	} else {
		int length = n < 2 * SEED ? n / 2 : SEED, count = n / length;

		for (int i = 0; i < count; i++) {
			int at = (int)((int64_t)i * (n - length) / (count - 1));

			if (add_seed(x, item, at, length, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int
by_hash(const void *a, const void *b)
{
	const struct seed *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->item != y->item)
		return x->item < y->item ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static int
index_seeds(struct seeds *s, struct err *err)
{
	uint64_t mask;

	qsort(s->seed, (size_t)s->n, sizeof(*s->seed), by_hash);
	/* One bit in 32 is set, where that fits the second cache. */
	for (s->bits_log = 12; s->bits_log < 22 && (int64_t)1 << s->bits_log < 32 * s->n; )
		s->bits_log++;
	for (s->slot_log = 6; (int64_t)1 << s->slot_log < 2 * s->n; )
		s->slot_log++;
	mask = ((uint64_t)1 << s->slot_log) - 1;
	s->bits = calloc((size_t)1 << (s->bits_log - 6), sizeof(*s->bits));
	s->slot = calloc((size_t)1 << s->slot_log, sizeof(*s->slot));
	if (s->bits == NULL || s->slot == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < s->n; i++) {
		uint64_t h = s->seed[i].hash, bit = h >> (64 - s->bits_log), at = h & mask;

		if (i > 0 && s->seed[i - 1].hash == h)
			continue;
		s->bits[bit / 64] |= (uint64_t)1 << bit % 64;
		while (s->slot[at] != 0)
			at = (at + 1) & mask;
		s->slot[at] = (uint32_t)i + 1;
	}
	return 0;
}

/* ---- questions ---- */

/* The text until it has enough words; their number, or -1. */
static ptrdiff_t
enough(struct contam *x, str question, const str *answer, int answers, const uint64_t **word,
    int *taken, struct err *err)
{
	ptrdiff_t n;

	buf_reset(&x->text);
	buf_add(&x->text, question);
	for (*taken = 0;; (*taken)++) {
		if (buf_ok(&x->text, err) < 0 ||
		    (n = folded_words(&x->folded, buf_str(&x->text), word, err)) < 0)
			return -1;
		if (n >= x->opts.min_words || *taken == answers)
			return n;
		buf_byte(&x->text, ' ');
		buf_add(&x->text, answer[*taken]);
	}
}

static int
add_item(struct contam *x, struct contam_item *item, const uint64_t *word, struct err *err)
{
	if (grow(&x->item, x->items, &x->item_cap, 1, sizeof(*item), err) < 0 ||
	    grow(&x->word, x->words, &x->word_cap, item->n, sizeof(*word), err) < 0)
		return -1;
	if (x->items == INT32_MAX - 1)
		return err_set(err, ERR_LIMIT, "more than %d questions", INT32_MAX - 1);
	if ((item->text = malloc((size_t)x->text.n + 1)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(item->text, x->text.p, (size_t)x->text.n);
	item->text[x->text.n] = '\0';
	item->first = x->words;
	memcpy(x->word + x->words, word, (size_t)item->n * sizeof(*word));
	x->words += item->n;
	x->item[x->items++] = *item;
	return cut_item(x, (int)x->items - 1, err);
}

int
contam_add(struct contam *x, int eval, int64_t number, str question, const str *answer,
    int answers, struct err *err)
{
	struct contam_item item = { .eval = eval, .number = number };
	const uint64_t *word;
	int taken, parts, new;
	uint64_t was;
	ptrdiff_t n = enough(x, question, answer, answers, &word, &taken, err);

	if (n < 0)
		return -1;
	if (n < x->opts.min_words) {
		x->too_short++;
		return 0;
	}
	new = hashset_add(&x->known, hash128_of((str){ (const char *)word,
	    n * (ptrdiff_t)sizeof(*word) }), 0, &was, err);
	if (new <= 0) {
		x->again += new == 0;
		return new;
	}
	parts = (int)((n + CONTAM_WORDS - 1) / CONTAM_WORDS);
	for (int i = 0; i < parts; i++) {
		ptrdiff_t from = n * i / parts, to = n * (i + 1) / parts;

		item.n = (int)(to - from);
		item.slack = 2 + item.n / 4 + (taken > 0 ? GAP : 0);
		if (add_item(x, &item, word + from, err) < 0)
			return -1;
	}
	return 1;
}

int
contam_ready(struct contam *x, struct err *err)
{
	for (int i = 0; i <= CONTAM_NGRAM_MAX; i++)
		if (x->seeds[i].n > 0 && index_seeds(&x->seeds[i], err) < 0)
			return -1;
	return 0;
}

const struct contam_item *
contam_item(const struct contam *x, int item)
{
	return &x->item[item];
}

int
contam_items(const struct contam *x)
{
	return (int)x->items;
}

int64_t
contam_short(const struct contam *x)
{
	return x->too_short;
}

int64_t
contam_again(const struct contam *x)
{
	return x->again;
}
