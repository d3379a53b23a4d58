#include "infer/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "infer/logits_impl.h"

struct candidate {
	float	key;		/* who has more is taken first; of equals the lower id */
	float	w;
	int32_t	id;
};

struct sampler_space {
	int64_t		 vocab;
	float		*logit;		/* (V) with biases and penalties */
	float		*weight;	/* (V) */
	int32_t		*count, *id;	/* (V) zeros between calls; ids */
	struct candidate *c;		/* (V) */
};

struct sampler_space *
sampler_space_new(int64_t vocab, struct err *err)
{
	struct sampler_space *m = calloc(1, sizeof(*m));
	size_t n = (size_t)vocab;

	if (m == NULL || (m->logit = calloc(n, sizeof(*m->logit))) == NULL ||
	    (m->weight = calloc(n, sizeof(*m->weight))) == NULL ||
	    (m->count = calloc(n, sizeof(*m->count))) == NULL ||
	    (m->id = calloc(n, sizeof(*m->id))) == NULL ||
	    (m->c = calloc(n, sizeof(*m->c))) == NULL) {
		sampler_space_free(m);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	m->vocab = vocab;
	return m;
}

void
sampler_space_free(struct sampler_space *m)
{
	if (m == NULL)
		return;
	free(m->logit);
	free(m->weight);
	free(m->count);
	free(m->id);
	free(m->c);
	free(m);
}

/* ---- logits ---- */

/* The lowest id of the greatest, or of those allowed when no number is. */
static int32_t
greedy(const struct sampler_space *m, const float *logits, const uint64_t *allowed)
{
	float max = logits_simd()->max(logits, m->vocab);

	for (int32_t i = 0; max > -INFINITY && i < m->vocab; i++)
		if (logits[i] == max)
			return i;
	for (int32_t i = 0; allowed != NULL && i < m->vocab; i++)
		if (allowed[i / 64] >> i % 64 & 1)
			return i;
	return allowed == NULL ? 0 : -1;
}

static void
mask(float *logits, int64_t n, const uint64_t *allowed)
{
	for (int64_t i = 0; i < n; i += 64) {
		uint64_t word = allowed[i / 64];
		int64_t end = n - i < 64 ? n - i : 64;

		if (word == UINT64_MAX)
			continue;
		for (int64_t k = 0; k < end; k++)
			if (!(word >> k & 1))
				logits[i + k] = -INFINITY;
	}
}

static bool
penalizes(const struct sampler *s)
{
	return s->window > 0 && (s->repeat != 1 || s->presence != 0 || s->frequency != 0);
}

static void
penalize(const struct sampler *s, struct sampler_space *m, const struct sampler_at *x)
{
	int64_t n = x->n_before < s->window ? x->n_before : s->window;
	const int32_t *last = x->before + x->n_before - n;

	for (int64_t i = 0; i < n; i++)
		m->count[last[i]]++;
	for (int64_t i = 0; i < n; i++) {
		float *l = &m->logit[last[i]];
		double y = *l > 0 ? (double)*l / s->repeat : (double)*l * s->repeat;

		if (m->count[last[i]] > 0)
			*l = (float)(y - s->presence - s->frequency * m->count[last[i]]);
		m->count[last[i]] = 0;
	}
}

/* Logits as biases, bans and penalties make them: where nothing changes, as they are. */
static const float *
adjusted(const struct sampler *s, struct sampler_space *m, const struct sampler_at *x)
{
	if (s->n_bias == 0 && x->allowed == NULL && !penalizes(s))
		return x->logits;
	memcpy(m->logit, x->logits, (size_t)m->vocab * sizeof(*m->logit));
	for (int64_t i = 0; i < s->n_bias; i++)
		m->logit[s->bias[i].id] += s->bias[i].bias;
	if (x->allowed != NULL)
		mask(m->logit, m->vocab, x->allowed);
	if (penalizes(s))
		penalize(s, m, x);
	return m->logit;
}

/* ---- which of them ---- */

static bool
before(const struct candidate *a, const struct candidate *b)
{
	return a->key > b->key || (a->key == b->key && a->id < b->id);
}

static void
swap(struct candidate *a, struct candidate *b)
{
	struct candidate t = *a;

	*a = *b;
	*b = t;
}

/* Part n > 1 of them into two parts, neither empty; the size of the first. */
static int64_t
part(struct candidate *c, int64_t n)
{
	struct candidate *mid = &c[n / 2], *last = &c[n - 1], pivot;
	int64_t i = -1, j = n;

	if (before(mid, c))
		swap(mid, c);
	if (before(last, mid))
		swap(last, mid);
	if (before(mid, c))
		swap(mid, c);
	pivot = c[(n - 1) / 2];
	for (;;) {
		do
			i++;
		while (before(&c[i], &pivot));
		do
			j--;
		while (before(&pivot, &c[j]));
		if (i >= j)
			return j + 1;
		swap(&c[i], &c[j]);
	}
}

/*
 * Bring the first ones to the front: as few as weigh mass, at most most, at
 * least one.  Return how many.  A quickselect, so that no vocabulary is sorted.
 */
static int64_t
cut(struct candidate *c, int64_t n, int64_t most, double mass)
{
	int64_t lo = 0, hi = n;		/* lo are too few, hi are enough */
	double sum = 0;

	while (hi - lo > 1) {
		int64_t mid = lo + part(c + lo, hi - lo);
		double more = 0;

		for (int64_t i = lo; i < mid; i++)
			more += (double)c[i].w;
		if (mid >= most || sum + more >= mass) {
			hi = mid;
		} else {
			lo = mid;
			sum += more;
		}
	}
	return hi;
}

static double
weigh(const struct candidate *c, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += (double)c[i].w;
	return sum;
}

/* Keep those whose surprise is nearest to the entropy. */
static int64_t
typical(struct candidate *c, int64_t n, const float *logits, double mass)
{
	double sum = weigh(c, n), entropy = 0;

	for (int64_t i = 0; i < n; i++)
		if (c[i].w > 0)
			entropy -= (double)c[i].w / sum * log((double)c[i].w / sum);
	for (int64_t i = 0; i < n; i++)
		c[i].key = -(float)fabs(-log((double)c[i].w / sum) - entropy);
	n = cut(c, n, n, mass * sum);
	for (int64_t i = 0; i < n; i++)
		c[i].key = logits[c[i].id];
	return n;
}

/* The tokens that may be enough to choose from: mostly a few hundred. */
static int64_t
candidates(const struct sampler *s, struct sampler_space *m, const float *logits, double all)
{
	static const float lows[] = { 1e-4f, 1e-37f };
	int64_t n = 0;

	for (int i = 0; i < 2; i++) {
		double sum = 0;

		n = logits_simd()->at_least(m->id, m->weight, m->vocab, lows[i]);
		for (int64_t k = 0; k < n; k++)
			sum += (double)m->weight[m->id[k]];
		if (s->top_k > 0 ? n >= s->top_k : s->typical == 1 &&
		    (s->top_p < 1 ? sum >= s->top_p * all : s->min_p >= (double)lows[i]))
			break;
	}
	for (int64_t k = 0; k < n; k++) {
		int32_t id = m->id[k];

		m->c[k] = (struct candidate){ logits[id], m->weight[id], id };
	}
	return n;
}

/* A draw from those that the limits leave; the weights are in m->weight. */
static int32_t
draw_limited(const struct sampler *s, struct sampler_space *m, const float *logits, double all,
    uint64_t key)
{
	int64_t n = candidates(s, m, logits, all), kept = 0, first;
	double best = 0;

	if (s->top_k > 0 && s->top_k < n) {
		n = cut(m->c, n, s->top_k, HUGE_VAL);
		all = weigh(m->c, n);
	}
	if (s->typical < 1) {
		n = typical(m->c, n, logits, s->typical);
		all = weigh(m->c, n);
	}
	if (s->top_p < 1)
		n = cut(m->c, n, n, s->top_p * all);
	/* It has 1, but where the likeliest was not typical. */
	for (int64_t i = 0; i < n; i++)
		best = fmax(best, (double)m->c[i].w);
	for (int64_t i = 0; i < n; i++) {
		if ((double)m->c[i].w < s->min_p * best)
			continue;
		m->weight[kept] = m->c[i].w;
		m->id[kept++] = m->c[i].id;
	}
	first = logits_simd()->race(m->weight, m->id, kept, key);
	return first < 0 ? -1 : m->id[first];
}

int32_t
sampler_pick(const struct sampler *s, struct sampler_space *m, const struct sampler_at *x)
{
	const struct logits_simd *simd = logits_simd();
	const float *l = adjusted(s, m, x);
	float scale = (float)(1 / s->temperature), max;
	uint64_t key;
	int32_t id = greedy(m, l, x->allowed);
	double all;

	/* What is colder than floats can tell is greedy too. */
	if (s->temperature <= 0 || !isfinite(scale) || id < 0 || !isfinite(l[id]))
		return id;
	max = l[id];
	key = rng_u64(s->seed, x->stream, x->index);
	all = simd->weights(m->weight, l, m->vocab, max, scale);
	if (s->top_k > 0 || s->typical < 1 || s->top_p < 1 || s->min_p > 0) {
		int32_t drawn = draw_limited(s, m, l, all, key);

		return drawn < 0 ? id : drawn;
	}
	return (int32_t)simd->race(m->weight, NULL, m->vocab, key);
}

/* ---- log-probabilities ---- */

static double
log_sum(const float *logits, int64_t vocab)
{
	const struct logits_simd *simd = logits_simd();
	float max = simd->max(logits, vocab);

	return (double)max + log(simd->sum(logits, vocab, max, 1));
}

double
logits_logp(const float *logits, int64_t vocab, int32_t id)
{
	return (double)logits[id] - log_sum(logits, vocab);
}

void
logits_top(struct sampler_space *m, const float *logits, int64_t n, struct token_logp *top)
{
	double all = log_sum(logits, m->vocab);
	int64_t have = 0;

	for (int32_t i = 0; i < m->vocab; i++) {
		int64_t k = have < n ? have++ : n;

		if (k == n && (n == 0 || !(logits[i] > logits[top[n - 1].id])))
			continue;
		for (k = k < n ? k : n - 1; k > 0 && logits[i] > logits[top[k - 1].id]; k--)
			top[k] = top[k - 1];
		top[k].id = i;
	}
	for (int64_t k = 0; k < have; k++)
		top[k].logp = (double)logits[top[k].id] - all;
}
