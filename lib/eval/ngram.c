#include "eval/ngram.h"

#include <math.h>
#include <stdlib.h>

enum { BITS = 21 };

/*
 * The k-grams of one level: keys sorted, the oldest token in the highest bits,
 * so that those of one context lie side by side.
 */
struct level {
	uint64_t	*key;
	int64_t		*sum;		/* n + 1: of the counts of the keys before */
	int64_t		 n;
	double		 discount;
};

struct ngram {
	int		 order;
	int32_t		 vocab;
	uint64_t	*window;	/* every window of order tokens, until built */
	int64_t		 n, cap;
	struct level	 level[NGRAM_ORDER];	/* level[k]: (k + 1)-grams */
};

struct ngram *
ngram_new(int order, int32_t vocab, struct err *err)
{
	struct ngram *g = NULL;

	if (order < 2 || order > NGRAM_ORDER)
		err_set(err, ERR_ARG, "order %d: 2 to %d are known", order, NGRAM_ORDER);
	else if (vocab < 1 || vocab > NGRAM_VOCAB)
		err_set(err, ERR_LIMIT, "a vocabulary of %d: at most %d", vocab, NGRAM_VOCAB);
	else if ((g = calloc(1, sizeof(*g))) == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	if (g != NULL) {
		g->order = order;
		g->vocab = vocab;
	}
	return g;
}

/*
 * The k tokens that end at token[i]; before the segment's first stands the
 * id vocab, which is no token.
 */
static uint64_t
gram(const struct ngram *g, const uint32_t *token, int64_t i, int k)
{
	uint64_t key = 0;

	for (int64_t j = i - k + 1; j <= i; j++)
		key = key << BITS | (j >= 0 ? token[j] : (uint32_t)g->vocab);
	return key;
}

int
ngram_add(struct ngram *g, const uint32_t *token, int64_t n, struct err *err)
{
	for (int64_t i = 0; i < n; i++)
		if (token[i] >= (uint32_t)g->vocab)
			return err_set(err, ERR_FORMAT, "token %u in a vocabulary of %d",
			    token[i], g->vocab);
	if (g->n + n > g->cap) {
		int64_t cap = (g->n + n) * 3 / 2 + 4096;
		uint64_t *p = realloc(g->window, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory for %lld tokens",
			    (long long)cap);
		g->window = p;
		g->cap = cap;
	}
	for (int64_t i = 1; i < n; i++)
		g->window[g->n++] = gram(g, token, i, g->order);
	return 0;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Sort keys (taken over), fold equal ones into counts, and set the discount. */
static int
level_make(struct level *l, uint64_t *key, int64_t n, struct err *err)
{
	double ones = 0, twos = 0;

	l->key = key;
	if ((l->sum = malloc(((size_t)n + 1) * sizeof(*l->sum))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %lld n-grams", (long long)n);
	if (n > 0)
		qsort(key, (size_t)n, sizeof(*key), compare);
	for (int64_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && key[end] == key[i]; end++)
			;
		ones += end - i == 1;
		twos += end - i == 2;
		l->sum[l->n] = i;
		key[l->n++] = key[i];
	}
	l->sum[l->n] = n;
	l->discount = ones > 0 ? ones / (ones + 2 * twos) : 0.5;
	return 0;
}

int
ngram_build(struct ngram *g, struct err *err)
{
	uint64_t *key = g->window;
	int64_t n = g->n;

	g->window = NULL;
	for (int k = g->order - 1; k >= 0; k--) {
		uint64_t mask = ((uint64_t)1 << k * BITS) - 1, *below;
		struct level *l = &g->level[k];

		if (level_make(l, key, n, err) < 0)
			return -1;
		if (k == 0)
			break;
		/* Each different k-gram counts once for the gram that it ends in. */
		n = l->n;
		if ((below = malloc((size_t)n * sizeof(*below) + 1)) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		for (int64_t i = 0; i < n; i++)
			below[i] = l->key[i] & mask;
		key = below;
	}
	return 0;
}

/* The first place whose key is not below this one. */
static int64_t
find(const struct level *l, uint64_t key)
{
	int64_t lo = 0, hi = l->n;

	while (lo < hi) {
		int64_t mid = (lo + hi) / 2;

		if (l->key[mid] < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* p of the last token of a k-gram given those before it. */
static double
p_of(const struct ngram *g, uint64_t key, int k)
{
	const struct level *l;
	uint64_t context = key >> BITS;
	int64_t at, end, found;
	double total, count = 0, below;

	if (k == 0)
		return 1 / (double)g->vocab;
	l = &g->level[k - 1];
	below = p_of(g, key & (((uint64_t)1 << (k - 1) * BITS) - 1), k - 1);
	at = find(l, context << BITS);
	end = find(l, (context + 1) << BITS);
	if (at == end)
		return below;
	total = (double)(l->sum[end] - l->sum[at]);
	found = find(l, key);
	if (found < end && l->key[found] == key)
		count = (double)(l->sum[found + 1] - l->sum[found]) - l->discount;
	return (count + l->discount * (double)(end - at) * below) / total;
}

double
ngram_logp(const struct ngram *g, const uint32_t *token, int64_t i)
{
	return log(p_of(g, gram(g, token, i, g->order), g->order));
}

void
ngram_free(struct ngram *g)
{
	if (g == NULL)
		return;
	free(g->window);
	for (int k = 0; k < NGRAM_ORDER; k++) {
		free(g->level[k].key);
		free(g->level[k].sum);
	}
	free(g);
}
