#include "infer/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/rng.h"

int
sampler_init(struct sampler *s, int64_t vocab, struct err *err)
{
	s->vocab = vocab;
	if ((s->heap = malloc((size_t)vocab * sizeof(*s->heap))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

void
sampler_free(struct sampler *s)
{
	free(s->heap);
	s->heap = NULL;
}

static int32_t
greedy(const float *logits, int64_t n)
{
	int64_t best = 0;

	for (int64_t i = 1; i < n; i++)
		if (logits[i] > logits[best])
			best = i;
	return (int32_t)best;
}

/* a comes out of the heap before b. */
static bool
before(const float *logits, int32_t a, int32_t b)
{
	return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}

static void
sink(int32_t *heap, int64_t n, int64_t i, const float *logits)
{
	int32_t x = heap[i];

	for (int64_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && before(logits, heap[child + 1], heap[child]))
			child++;
		if (!before(logits, heap[child], x))
			break;
		heap[i] = heap[child];
	}
	heap[i] = x;
}

/*
 * Take candidates off the heap, best first, to its end, which they fill from
 * the back, until a limit is met.  Return how many, and the sum of their
 * weights exp((logit - best) / temperature).
 */
static int64_t
candidates(struct sampler *s, const float *logits, double all, double *sum)
{
	int64_t n = s->vocab, taken = 0;
	double best = (double)logits[s->heap[0]];

	for (*sum = 0; n > 0; taken++) {
		int32_t id = s->heap[0];
		double w = exp(((double)logits[id] - best) / s->temperature);

		if ((s->top_k > 0 && taken == s->top_k) || w < s->min_p ||
		    (taken > 0 && *sum >= s->top_p * all))
			break;
		*sum += w;
		s->heap[0] = s->heap[--n];
		s->heap[n] = id;
		sink(s->heap, n, 0, logits);
	}
	return taken;
}

int32_t
sampler_pick(struct sampler *s, const float *logits, uint64_t stream, uint64_t index)
{
	double all = 0, sum, draw, best;
	int64_t taken;

	if (s->temperature <= 0)
		return greedy(logits, s->vocab);
	for (int64_t i = 0; i < s->vocab; i++)
		s->heap[i] = (int32_t)i;
	for (int64_t i = s->vocab / 2 - 1; i >= 0; i--)
		sink(s->heap, s->vocab, i, logits);
	best = (double)logits[s->heap[0]];
	for (int64_t i = 0; i < s->vocab; i++)
		all += exp(((double)logits[i] - best) / s->temperature);
	/* What top_p is a part of: all, or the top_k when there are fewer. */
	if (s->top_k > 0 && s->top_k < s->vocab && s->top_p < 1) {
		struct sampler k = *s;

		k.top_p = 2;
		k.min_p = 0;
		taken = candidates(&k, logits, all, &sum);
		all = sum;
		for (int64_t i = s->vocab / 2 - 1; i >= 0; i--)
			sink(s->heap, s->vocab, i, logits);
	}
	taken = candidates(s, logits, all, &sum);
	draw = rng_unit(s->seed, stream, index) * sum;
	for (int64_t i = 0; i < taken; i++) {
		int32_t id = s->heap[s->vocab - 1 - i];

		draw -= exp(((double)logits[id] - best) / s->temperature);
		if (draw < 0)
			return id;
	}
	return s->heap[s->vocab - taken];
}
