#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "infer/logits_impl.h"
#include "infer/sampler.h"
#include "../tap.h"

static void
die(const struct err *err)
{
	printf("Bail out! %s\n", err->msg);
	exit(1);
}

static const float ten[10] = { 2, 1.5f, 1, 1, 0.5f, 0, -0.5f, -1, -2, -20 };

static int32_t
pick_at(const struct sampler *s, int64_t vocab, const struct sampler_at *at)
{
	struct err err;
	struct sampler_space *m = sampler_space_new(vocab, &err);
	int32_t id;

	if (m == NULL)
		die(&err);
	id = sampler_pick(s, m, at);
	sampler_space_free(m);
	return id;
}

static int32_t
pick(struct sampler s, const float *logits, int64_t vocab, uint64_t stream, uint64_t index)
{
	return pick_at(&s, vocab, &(struct sampler_at){ .logits = logits, .stream = stream,
	    .index = index });
}

/* Which tokens 4000 draws take, as bits. */
static unsigned
support(struct sampler s)
{
	unsigned seen = 0;

	for (uint64_t i = 0; i < 4000; i++)
		seen |= 1u << pick(s, ten, 10, 0, i);
	return seen;
}

/*
 * Pearson's chi-square of 20000 draws against exp(logit / t) over the allowed
 * tokens, from 0.  With at most 8 degrees of freedom 40 is passed by chance
 * once in 300000 times; the draws are fixed, so this test fails always or never.
 */
static bool
fits(struct sampler s, int allowed)
{
	double p[10], sum = 0, chi = 0;
	int count[10] = { 0 };

	for (int i = 0; i < allowed; i++)
		sum += p[i] = exp((double)ten[i] / s.temperature);
	for (uint64_t i = 0; i < 20000; i++)
		count[pick(s, ten, 10, 3, i)]++;
	for (int i = 0; i < allowed; i++) {
		double want = 20000 * p[i] / sum;

		if (want > 5)
			chi += (count[i] - want) * (count[i] - want) / want;
	}
	for (int i = allowed; i < 10; i++)
		if (count[i] > 0)
			return false;
	printf("# chi-square %.1f\n", chi);
	return chi < 40;
}

static const struct sampler all = { .temperature = 1, .typical = 1, .top_p = 1, .repeat = 1,
    .window = 64, .seed = 5 };

static void
test_sampler(void)
{
	struct sampler s = all, other = all;
	float ties[4] = { 1, 3, 3, 2 }, nan[3] = { NAN, NAN, NAN };
	int differ = 0;
	bool again = true;

	s.temperature = 0;
	ok(pick(s, ten, 10, 0, 0) == 0 && pick(s, ties, 4, 0, 0) == 1,
	    "temperature 0: the likeliest, the lowest of equal ones");
	s = all;
	s.top_k = 1;
	ok(support(s) == 1, "top-k 1 is greedy");
	s.top_k = 3;
	ok(support(s) == 7, "top-k 3 takes three, the lower of two equal ones");
	s.top_k = 100;
	ok(fits(s, 10), "top-k beyond the vocabulary takes all");
	s = all;
	s.top_p = 0;
	ok(support(s) == 1, "top-p 0 is greedy");
	/* The first has 0.35 of the whole, the first two 0.56. */
	s.top_p = 0.34;
	ok(support(s) == 1, "top-p below the first takes it");
	s.top_p = 0.5;
	ok(support(s) == 3, "top-p takes as many as reach it");
	/* Of the three of top-k the first has 0.51. */
	s.top_k = 3;
	ok(support(s) == 1, "top-p is a part of what top-k left");
	s = all;
	s.min_p = 1;
	ok(support(s) == 1, "min-p 1 is greedy");
	/* exp(-1) is 0.368: tokens 2 and 3 are at least 0.36 of the first. */
	s.min_p = 0.36;
	ok(support(s) == 15, "min-p is a part of the likeliest");
	/*
	 * Of the distribution the entropy is 1.80 nats; the surprises are 1.05, 1.55,
	 * 2.05, 2.05, 2.55 ...: tokens 1, 2 and 3 are nearest and have 0.47 of it.
	 */
	s = all;
	s.typical = 0.45;
	ok(support(s) == 14, "typical takes those whose surprise is near the entropy");
	s.min_p = 1;
	ok(support(s) == 2, "and min-p is a part of the likeliest of them");
	ok(fits(all, 10), "frequencies are the softmax");
	s = all;
	s.temperature = 2;
	ok(fits(s, 10), "at temperature 2, too");
	s.top_k = 4;
	ok(fits(s, 4), "and over what top-k left");
	other.seed = 6;
	for (uint64_t i = 0; i < 100; i++) {
		again &= pick(all, ten, 10, 1, i) == pick(all, ten, 10, 1, i);
		differ += pick(all, ten, 10, 1, i) != pick(all, ten, 10, 2, i);
		differ += pick(all, ten, 10, 1, i) != pick(other, ten, 10, 1, i);
	}
	ok(again, "the same seed, stream and index: the same draw");
	ok(differ > 50, "another stream or seed: others");
	s = all;
	s.temperature = 1e-300;
	ok(support(s) == 1, "the least temperature is greedy");
	ok(pick(all, nan, 3, 0, 0) >= 0 && pick(all, nan, 3, 0, 0) < 3, "NaN: still a token");
}

/* What changes logits before anything is kept or drawn. */
static void
test_adjusted(void)
{
	const struct token_bias bias[] = { { 0, -INFINITY }, { 9, 23 } };
	const int32_t text[] = { 0, 0, 9, 1, 1, 1, 0, 2 };
	const uint64_t none = 0, some = 0x3f8, one = 1 << 9;
	struct sampler s = all;
	struct sampler_at at = { .logits = ten, .before = text, .n_before = 8, .allowed = &some };

	s.temperature = 0;
	ok(pick_at(&s, 10, &at) == 3, "only what the mask allows");
	s.temperature = 1;
	at.allowed = &one;
	ok(pick_at(&s, 10, &at) == 9, "though it is all but impossible");
	at.allowed = &none;
	ok(pick_at(&s, 10, &at) == -1, "and nothing when it allows nothing");
	at.allowed = NULL;
	s.temperature = 0;
	s.bias = bias;
	s.n_bias = 1;
	ok(pick_at(&s, 10, &at) == 1, "a token that is banned");
	s.n_bias = 2;
	ok(pick_at(&s, 10, &at) == 9, "one that is made likelier");
	s.n_bias = 0;
	s.presence = 0.6;
	/* 1.4, 0.9, 0.4, 1: once each, and the third is taken off too. */
	ok(pick_at(&s, 10, &at) == 0, "presence is taken off once");
	s.presence = 0;
	s.frequency = 0.45;
	/* 2 - 3 * 0.45, 1.5 - 3 * 0.45, 1 - 0.45, 1 */
	ok(pick_at(&s, 10, &at) == 3, "frequency as often as it was there");
	s.window = 1;
	ok(pick_at(&s, 10, &at) == 0, "of the window alone");
	s.window = 64;
	s.frequency = 0;
	s.repeat = 2.5;
	ok(pick_at(&s, 10, &at) == 3, "repetition divides logits above 0");
	at.logits = (const float[]){ -1, -2, -2.4f, -2.4f, -9, -9, -9, -9, -9, -9 };
	ok(pick_at(&s, 10, &at) == 3, "and multiplies those below");
}

static int
by_weight(const void *a, const void *b)
{
	const struct token_logp *x = a, *y = b;

	return x->logp != y->logp ? (x->logp < y->logp) - (x->logp > y->logp) :
	    (x->id > y->id) - (x->id < y->id);
}

/*
 * A large vocabulary against what sorting it gives: the same set for each
 * limit, log-probabilities, and the likeliest.
 */
static void
test_large(double spread)
{
	enum { V = 50001, TOP = 40 };
	struct token_logp *p = calloc(V, sizeof(*p)), top[TOP];
	float *logits = calloc(V, sizeof(*logits));
	struct err err;
	struct sampler_space *m = sampler_space_new(V, &err);
	struct sampler s = all;
	double sum = 0, most = 0, mass = 0;
	bool in = true, likeliest = true;
	int n = 0, seen = 0;

	for (int i = 0; i < V; i++) {
		logits[i] = (float)(spread * rng_normal(3, 4, (uint64_t)i));
		sum += exp((double)logits[i]);
	}
	for (int i = 0; i < V; i++)
		p[i] = (struct token_logp){ i, (double)logits[i] - log(sum) };
	qsort(p, V, sizeof(*p), by_weight);
	for (int i = 0; i < V; i += 999)
		most = fmax(most, fabs(logits_logp(logits, V, p[i].id) - p[i].logp));
	/* Exponentials to 2e-7, and logarithms of floats. */
	printf("# spread %g: %.1e\n", spread, most);
	ok(most < 3e-6, "log-probabilities of 50001 tokens");
	logits_top(m, logits, TOP, top);
	for (int i = 0; i < TOP; i++)
		likeliest &= top[i].id == p[i].id;
	ok(likeliest, "the likeliest of them, in order");
	while (mass < 0.8)
		mass += exp(p[n++].logp);
	s.top_p = 0.8;
	for (uint64_t i = 0; i < 300; i++) {
		int32_t id = sampler_pick(&s, m, &(struct sampler_at){ .logits = logits,
		    .index = i });
		int at = 0;

		while (p[at].id != id)
			at++;
		in &= at < n;
		seen += at >= n / 2;
	}
	printf("# %d tokens\n", n);
	ok(in && (seen > 0 || n < 4), "top-p of them: the first, and not the best alone");
	sampler_space_free(m);
	free(logits);
	free(p);
}

/* All instruction sets of the machine give the same numbers. */
static void
test_simd(void)
{
	enum { V = 3001 };
	static float x[V], w[2][V];
	static int32_t at[2][V];
	const struct logits_simd *best = logits_simd(), *base = &logits_simd_base;
	bool same_race = true;

	for (int i = 0; i < V; i++)
		x[i] = (float)(4 * rng_normal(5, 6, (uint64_t)i));
	ok(best->max(x, V) == base->max(x, V) &&
	    best->weights(w[0], x, V, 9, 1) == base->weights(w[1], x, V, 9, 1) &&
	    memcmp(w[0], w[1], sizeof(w[0])) == 0 &&
	    best->sum(x, V, 9, 1) == base->sum(x, V, 9, 1) &&
	    best->at_least(at[0], w[0], V, 0.1f) == base->at_least(at[1], w[1], V, 0.1f) &&
	    memcmp(at[0], at[1], sizeof(at[0])) == 0, "sums are those of every instruction set");
	for (uint64_t key = 0; key < 50; key++)
		same_race &= best->race(w[0], NULL, V, key << 30) ==
		    base->race(w[0], NULL, V, key << 30);
	ok(same_race, "and so are draws");
}

int
main(void)
{
	test_sampler();
	test_adjusted();
	test_large(1);
	test_large(3);
	test_large(10);
	test_simd();
	return tap_done();
}
