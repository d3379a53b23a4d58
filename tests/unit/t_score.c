#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "eval/score.h"
#include "infer/engine.h"
#include "../tap.h"

enum { VOCAB = 61, CONTEXT = 32, LONGEST = 100 };

static const struct config tiny = {
	.arch = ARCH_LLAMA, .vocab = VOCAB, .width = 32, .layers = 2, .heads = 4, .kv_heads = 2,
	.head_dim = 8, .ffn = 48, .context = CONTEXT, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.bos = -1, .eos = 0, .init_std = 0.3,
};

static uint32_t text[LONGEST];

static void
die(const struct err *err)
{
	printf("Bail out! %s\n", err->msg);
	exit(1);
}

/* -log p of token[n] after the n before it, from the engine's logits. */
static double
nats(struct engine *e, const uint32_t *token, int64_t n)
{
	int32_t ids[CONTEXT];
	struct err err;
	struct seq *s = seq_new(e, &err);
	const float *logits;
	double sum = 0, x;

	for (int64_t i = 0; i < n; i++)
		ids[i] = (int32_t)token[i];
	if (s == NULL || seq_push(s, ids, n, &err) < 0 || engine_run(e, &s, 1, &err) < 0)
		die(&err);
	logits = seq_logits(s);
	for (int i = 0; i < VOCAB; i++)
		sum += exp((double)logits[i]);
	x = log(sum) - (double)logits[token[n]];
	seq_free(s);
	return x;
}

/* Token i is predicted in the first window that holds it and one before it. */
static double
brute_force(struct engine *e, int64_t n, int64_t context, int64_t stride)
{
	double sum = 0;

	for (int64_t i = 1; i < n; i++) {
		int64_t from = 0;

		while (i >= from + context)
			from += stride;
		sum += nats(e, text + from, i - from);
	}
	return sum;
}

static void
test_windows(struct model *m, struct engine *e, dtype kv)
{
	static const int64_t shape[][2] = {
		{ 2, 1 }, { 5, 1 }, { 5, 2 }, { 5, 4 }, { 32, 31 }, { 32, 7 }, { 31, 16 }
	};
	static const int64_t length[] = { 0, 1, 2, 5, 6, 31, 32, 33, 63, 64, LONGEST };
	struct err err;
	bool targets = true;
	double worst = 0;

	for (size_t k = 0; k < sizeof(shape) / sizeof(shape[0]); k++)
		for (size_t j = 0; j < sizeof(length) / sizeof(length[0]); j++) {
			int64_t n = length[j];
			struct score *s = score_new(m, shape[k][0], shape[k][1], kv, &err);
			struct score_report r;
			double want;

			if (s == NULL || score_add(s, text, n, 3 * n, &err) < 0 ||
			    score_end(s, &r, &err) < 0)
				die(&err);
			score_free(s);
			targets &= r.targets == (n > 0 ? n - 1 : 0) && r.tokens == n &&
			    r.source_bytes == 3 * n;
			want = brute_force(e, n, shape[k][0], shape[k][1]);
			worst = fmax(worst, fabs(r.loss * (double)r.targets - want) /
			    fmax(want, 1));
		}
	ok(targets, "every token but the first is a target once, whatever the stride");
	printf("# %.1e\n", worst);
	/* fp32 logits summed in another order; the sums themselves are doubles. */
	ok(worst < 1e-5, "in the first window that holds it and one before it");
}

/* Documents do not see each other, however many passes they fill. */
static void
test_documents(struct model *m)
{
	struct err err;
	struct score *s = score_new(m, 0, 0, DTYPE_NONE, &err), *one;
	struct score_report r, part;
	double sum = 0;
	int64_t targets = 0;
	bool good = true;

	for (int i = 0; i < 300 && good; i++) {
		int64_t n = i % 61;

		one = score_new(m, 0, 0, DTYPE_NONE, &err);
		good = score_add(s, text + i % 30, n, 2 * n, &err) == 0 &&
		    score_add(one, text + i % 30, n, 2 * n, &err) == 0 &&
		    score_end(one, &part, &err) == 0;
		score_free(one);
		sum += part.loss * (double)part.targets;
		targets += part.targets;
	}
	ok(good && score_end(s, &r, &err) == 0 && r.targets == targets &&
	    fabs(r.loss * (double)targets - sum) < 1e-9 * sum,
	    "together documents lose what they lose alone");
	ok(fabs(r.bits_per_byte - sum / log(2) / (double)r.source_bytes) < 1e-9,
	    "bits per byte count the bytes of all");
	score_free(s);
}

static void
test_limits(struct model *m)
{
	const uint32_t bad[] = { 1, VOCAB };
	struct err err = { 0 };
	struct score *s = score_new(m, 0, 0, DTYPE_NONE, &err);

	ok(score_add(s, bad, 2, 2, &err) < 0 && err.code == ERR_FORMAT, "an id beyond the model");
	score_free(s);
	ok(score_new(m, CONTEXT + 1, 1, DTYPE_NONE, &err) == NULL && err.code == ERR_ARG,
	    "a long context");
	ok(score_new(m, 8, 8, DTYPE_NONE, &err) == NULL && err.code == ERR_ARG, "a long stride");
	ok(score_new(m, 1, 0, DTYPE_NONE, &err) == NULL && err.code == ERR_ARG, "a context of one");
	ok(score_new(m, 8, -1, DTYPE_NONE, &err) == NULL && err.code == ERR_ARG, "a negative stride");
}

int
main(void)
{
	struct err err;
	struct team *team = team_new(2, &err);
	struct dev *dev = team != NULL ? dev_open("cpu", team, 0, &err) : NULL;
	struct model m = { 0 };
	struct engine *e;

	if (dev == NULL || model_init(&m, &tiny, dev, false, 7, &err) < 0 ||
	    (e = engine_new(&m, &(struct engine_options){ 0 }, &err)) == NULL)
		die(&err);
	for (int i = 0; i < LONGEST; i++)
		text[i] = (uint32_t)rng_below(1, 2, (uint64_t)i, VOCAB);
	test_windows(&m, e, DTYPE_NONE);
	test_windows(&m, e, DTYPE_F32);
	test_documents(&m);
	test_limits(&m);
	engine_free(e);
	model_free(&m);
	dev_close(dev);
	team_free(team);
	return tap_done();
}
