#include <math.h>

#include "eval/ngram.h"
#include "../tap.h"

enum { V = 7 };

/* Every context's probabilities must sum to one, seen or unseen. */
static double
worst_sum(const struct ngram *g)
{
	double worst = 0;

	for (uint32_t a = 0; a < V; a++) {
		for (uint32_t b = 0; b < V; b++) {
			double sum = 0;

			for (uint32_t c = 0; c < V; c++)
				sum += exp(ngram_logp(g, (uint32_t[]){ a, b, c }, 2));
			worst = fmax(worst, fabs(sum - 1));
		}
	}
	return worst;
}

int
main(void)
{
	const uint32_t text[] = { 0, 1, 2, 0, 1, 3, 0, 1, 2, 4, 5, 0, 1, 2, 2, 2, 3 };
	struct err err;
	struct ngram *g;

	for (int order = 2; order <= 3; order++) {
		g = ngram_new(order, V, &err);
		ok(g != NULL && ngram_add(g, text, 17, &err) == 0 &&
		    ngram_add(g, text + 3, 5, &err) == 0 && ngram_build(g, &err) == 0,
		    "built");
		ok(worst_sum(g) < 1e-12, "each context's probabilities sum to one");
		ok(ngram_logp(g, (uint32_t[]){ 6, 0, 1 }, 2) > log(0.5), "1 follows 0");
		ngram_free(g);
	}

	/*
	 * By hand, order 2, text "0 1 0 2": counts 01 10 02, all once, so D = 1:
	 * p(1|0) = (0 + 1 * 2 * p(1)) / 2, and p(1) = (1 - D1) / 3 + D1 * 3 / 3 / V
	 * with D1 = 1.
	 */
	g = ngram_new(2, V, &err);
	ok(ngram_add(g, (uint32_t[]){ 0, 1, 0, 2 }, 4, &err) == 0 &&
	    ngram_build(g, &err) == 0, "the small text");
	ok(fabs(exp(ngram_logp(g, (uint32_t[]){ 0, 1 }, 1)) - 1.0 / V) < 1e-12,
	    "as counted by hand");
	ngram_free(g);

	g = ngram_new(3, V, &err);
	ok(ngram_build(g, &err) == 0, "no text at all");
	ok(fabs(exp(ngram_logp(g, text, 2)) - 1.0 / V) < 1e-12, "is uniform");
	ok(ngram_add(g, (uint32_t[]){ V }, 1, &err) < 0, "an id outside is refused");
	ngram_free(g);
	ok(ngram_new(4, V, &err) == NULL, "order 4 is refused");
	return tap_done();
}
