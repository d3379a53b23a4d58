/*
 * The tape: its memory plan, blocks apart and again, counts below capacity,
 * micro-batches, a step that allocates nothing, failures that stick.
 *
 * Memory starts full of NaN here, so what is read before it is written shows.
 */
#include <math.h>
#include <stdlib.h>

#include "../tap.h"
#include "base/rng.h"
#include "model/model.h"
#include "nn/tape_impl.h"

static struct err err;
static struct dev *dev;

/* ---- a device that counts allocations and poisons them ---- */

static struct dev_ops spy;
static const struct dev_ops *real_ops;
static int allocations;
static int64_t allocated;

static dptr
spy_alloc(struct dev *d, int64_t bytes, struct err *e)
{
	dptr p = real_ops->alloc(d, bytes, e);
	void *nan = malloc((size_t)bytes);

	allocations++;
	allocated = bytes;
	memset(nan, 0xff, (size_t)bytes);
	if (p.at != 0)
		dev_upload(d, p, nan, bytes);
	free(nan);
	return p;
}

static void
must(int got)
{
	if (got >= 0)
		return;
	printf("Bail out! %s\n", err.msg);
	exit(1);
}

/* ---- a small model and a batch ---- */

#define TOKENS 24
#define SEQS 4

struct batch {
	int32_t	token[TOKENS], pos[TOKENS], target[TOKENS], cu[SEQS + 1], n, seqs;
	float	dlogp[TOKENS];
};

static struct config
tiny(void)
{
	return (struct config){ .arch = ARCH_LLAMA, .vocab = 50, .width = 16, .layers = 3,
	    .heads = 4, .kv_heads = 2, .head_dim = 4, .ffn = 24, .context = 64,
	    .norm = NORM_RMS, .pos = POS_ROPE, .act = ACT_SILU, .gated = true, .tied = true,
	    .norm_eps = 1e-5, .rope_theta = 10000, .bos = -1, .eos = -1, .init_std = 0.2 };
}

static struct batch
batch_of(const int *len, int seqs, int first)
{
	struct batch b = { .seqs = seqs };

	for (int s = 0; s < seqs; s++) {
		for (int i = 0; i < len[s]; i++, b.n++) {
			b.token[b.n] = (int32_t)rng_below(3, 1, (uint64_t)(first + b.n), 50);
			b.target[b.n] = (int32_t)rng_below(3, 2, (uint64_t)(first + b.n), 50);
			b.pos[b.n] = i;
			b.dlogp[b.n] = -1.0f / 20;
		}
		b.cu[s + 1] = b.n;
	}
	return b;
}

struct run {
	struct model	 m;
	struct tape	*t;
	struct model_io	 io;
};

static struct config
tiny_gpt2(void)
{
	struct config c = tiny();

	c.arch = ARCH_GPT2;
	c.kv_heads = c.heads;
	c.norm = NORM_LAYER;
	c.pos = POS_LEARNED;
	c.act = ACT_GELU_TANH;
	c.gated = false;
	c.qkv_bias = c.out_bias = c.ffn_bias = true;
	return c;
}

static struct run
run_of(struct config c, int64_t tokens, int64_t seqs, unsigned flags)
{
	struct run r = { .t = NULL };
	union dev_args zero = { .fill = { .type = DTYPE_F32 } };

	must(model_init(&r.m, &c, dev, true, 5, &err));
	zero.fill.y = r.m.params.grad;
	zero.fill.n = r.m.params.grad_n;
	dev_launch(dev, K_FILL, &zero);
	r.t = tape_new(dev, tokens, seqs, TAPE_GRAD | flags, &err);
	must(model_record_score(&r.m, r.t, &r.io, 0, &err));
	must(tape_plan(r.t, &err));
	tape_zero(r.t, r.io.loss);
	return r;
}

static struct run
run_new(int64_t tokens, int64_t seqs)
{
	return run_of(tiny(), tokens, seqs, 0);
}

static void
run_free(struct run *r)
{
	must(dev_wait(dev, &err));
	tape_free(r->t);
	model_free(&r->m);
}

static void
give(struct run *r, const struct batch *b)
{
	tape_set_counts(r->t, b->n, b->seqs);
	tape_upload(r->t, r->io.token, b->token, b->n);
	tape_upload(r->t, r->io.pos, b->pos, b->n);
	tape_upload(r->t, r->io.target, b->target, b->n);
	tape_upload(r->t, r->io.dlogp, b->dlogp, b->n);
	tape_upload(r->t, r->io.cu_seqlens, b->cu, b->seqs + 1);
}

static float *
gradients(struct run *r, double *loss)
{
	float *g = calloc((size_t)r->m.params.grad_n, sizeof(*g)), *all;
	int64_t n = 0;

	tape_download(r->t, r->io.loss, loss, 1);
	dev_download(dev, g, r->m.params.grad, r->m.params.grad_n * 4);
	must(dev_wait(dev, &err));
	/* Without the padding between parameters. */
	all = calloc((size_t)r->m.params.grad_n, sizeof(*all));
	for (int i = 0; i < r->m.params.n; n += r->m.params.p[i++].n)
		memcpy(all + n, g + r->m.params.p[i].grad_at, (size_t)r->m.params.p[i].n * 4);
	free(g);
	return all;
}

static bool
all_finite(const float *g, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(g[i]))
			return false;
	return true;
}

static double
difference(const float *a, const float *b, int64_t n)
{
	double d = 0, most = 0;

	for (int64_t i = 0; i < n; i++) {
		d = fmax(d, fabs((double)a[i] - (double)b[i]));
		most = fmax(most, fabs((double)b[i]));
	}
	return d / most;
}

/* ---- tests ---- */

static bool
overlap(const struct slot *a, const struct slot *b)
{
	return a->first >= 0 && b->first >= 0 && a->inside < 0 && b->inside < 0 &&
	    a->first <= b->last && b->first <= a->last &&
	    a->at < b->at + b->bytes && b->at < a->at + a->bytes;
}

static void
test_plan(void)
{
	struct run r = run_new(TOKENS, SEQS);
	struct tape_cost cost;
	int64_t sum = 0;
	int bad = 0, odd = 0;

	tape_cost(r.t, &cost);
	ok(cost.memory == allocated, "the plan's bytes are what is allocated");
	for (int i = 0; i < r.t->n_slots; i++) {
		const struct slot *s = &r.t->slot[i];

		odd += s->at % 64 != 0 || s->at + s->bytes > cost.memory;
		sum += s->first >= 0 ? s->bytes : 0;
		for (int j = 0; j < i; j++)
			bad += overlap(s, &r.t->slot[j]);
	}
	ok(bad == 0, "nothing alive at the same time shares memory");
	ok(odd == 0, "all is aligned and inside");
	printf("# %lld bytes for %lld bytes of tensors\n", (long long)cost.memory, (long long)sum);
	ok(cost.memory < sum * 3 / 4, "memory is used again");
	ok(cost.blocks == 5 && cost.flops > 0 && cost.flops_backward > cost.flops,
	    "cost: blocks and FLOPs");
	run_free(&r);
}

static void
test_layout_alone(void)
{
	struct config c = tiny();
	struct model m = { .dev = NULL };
	struct tape *t = tape_new(NULL, TOKENS, SEQS, TAPE_GRAD, &err);
	struct model_io io;
	struct tape_cost cost;
	int before = allocations;

	must(model_declare(&m, &c, &err));
	must(model_record_score(&m, t, &io, 0, &err));
	must(tape_layout(t, &err));
	tape_cost(t, &cost);
	ok(allocations == before, "a layout allocates nothing");
	tape_free(t);
	model_free(&m);
	{
		struct run r = run_new(TOKENS, SEQS);

		ok(cost.memory == allocated, "and foretells the plan's bytes");
		run_free(&r);
	}
}

static void
test_step(void)
{
	const int len[] = { 9, 5, 7 };
	struct batch b = batch_of(len, 3, 0);
	struct run r = run_new(TOKENS, SEQS), wide = run_new(TOKENS + 13, SEQS + 2);
	struct run apart = run_new(TOKENS, SEQS);
	int64_t n = config_params(&r.m.config);
	double loss, loss2, loss3;
	float *g, *g2, *g3;
	int before = allocations;

	give(&r, &b);
	tape_forward(r.t, 0, -1);
	tape_backward(r.t, 0, -1);
	g = gradients(&r, &loss);
	ok(allocations == before, "a step allocates nothing");
	ok(isfinite(loss) && all_finite(g, n), "nothing is read before it is written");

	give(&wide, &b);
	tape_forward(wide.t, 0, -1);
	tape_backward(wide.t, 0, -1);
	g2 = gradients(&wide, &loss2);
	ok(loss == loss2 && memcmp(g, g2, (size_t)n * 4) == 0,
	    "a larger capacity: the same bits");

	give(&apart, &b);
	tape_forward(apart.t, 0, 2);
	tape_forward(apart.t, 1, 2);	/* again */
	tape_forward(apart.t, 2, 4);
	tape_forward(apart.t, 4, -1);
	tape_backward(apart.t, 3, -1);
	tape_backward(apart.t, 1, 3);
	tape_backward(apart.t, 0, 1);
	g3 = gradients(&apart, &loss3);
	ok(loss == loss3 && memcmp(g, g3, (size_t)n * 4) == 0,
	    "blocks apart, and one again: the same bits");
	free(g);
	free(g2);
	free(g3);
	run_free(&r);
	run_free(&wide);
	run_free(&apart);
}

/* What begins with zeroed gradients, at once or soon, whatever they held. */
static void
test_zero_grads(void)
{
	const int len[] = { 6, 4, 7, 5 };
	struct batch one = batch_of(len, 2, 0), two = batch_of(len + 2, 2, 10);
	struct run now = run_new(TOKENS, SEQS), soon = run_new(TOKENS, SEQS);
	struct run *of[] = { &now, &soon };
	int64_t n = config_params(&now.m.config);
	float *g[2];
	int first = 0;

	for (int i = 0; i < soon.t->n_launches; i++)
		first += soon.t->launch[i].first;
	ok(first == 7 * (int)soon.m.config.layers + soon.m.config.tied, "products write "
	    "the gradients of a layer's matrices first, the head's that of tied embeddings");
	for (int k = 0; k < 2; k++) {
		struct run *r = of[k];
		float *old = calloc((size_t)r->m.params.grad_n, sizeof(*old));
		double loss;

		for (int64_t i = 0; i < r->m.params.grad_n; i++)
			old[i] = (float)NAN;
		dev_upload(dev, r->m.params.grad, old, r->m.params.grad_n * 4);
		tape_zero_grads(r->t, k == 1);
		for (int pass = 0; pass < 2; pass++) {
			give(r, pass == 0 ? &one : &two);
			tape_forward(r->t, 0, -1);
			tape_backward(r->t, 0, -1);
		}
		g[k] = gradients(r, &loss);
		free(old);
	}
	ok(all_finite(g[0], n) && memcmp(g[0], g[1], (size_t)n * 4) == 0,
	    "gradients that are zeroed, or overwritten and added to: the same bits");
	free(g[0]);
	free(g[1]);
	run_free(&now);
	run_free(&soon);
}

/* The squares of two passes' gradients, measured in the last; *whole: of all at once. */
static double
measured(struct config c, unsigned flags, bool soon, double *whole)
{
	const int len[] = { 6, 4, 7, 5 };
	struct batch one = batch_of(len, 2, 0), two = batch_of(len + 2, 2, 10);
	struct run r = run_of(c, TOKENS, SEQS, flags);
	dptr sum = dev_alloc(dev, 2 * sizeof(double), &err), all = dptr_add(sum, sizeof(double));
	double got[2] = { 3, 3 };

	dev_upload(dev, sum, got, sizeof(got));
	tape_zero_grads(r.t, soon);
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1)
			tape_measure_grads(r.t, sum);
		give(&r, pass == 0 ? &one : &two);
		tape_forward(r.t, 0, -1);
		tape_backward(r.t, 0, -1);
	}
	dev_launch(dev, K_SUMSQ, &(union dev_args){ .sumsq = {
	    all, r.m.params.grad, DTYPE_F32, r.m.params.grad_n } });
	/* What is not asked for is not measured. */
	tape_forward(r.t, 0, -1);
	tape_backward(r.t, 0, -1);
	dev_download(dev, got, sum, sizeof(got));
	must(dev_wait(dev, &err));
	dev_free(dev, sum);
	run_free(&r);
	*whole = got[1] - 3;
	return got[0] - 3;
}

static void
test_measure(void)
{
	static const unsigned flags[] = { 0, TAPE_RECOMPUTE_BLOCK };
	struct config c[] = { tiny(), tiny(), tiny_gpt2() };
	double worst = 0;
	bool same = true;

	c[1].tied = false;
	for (int i = 0; i < 3; i++) {
		struct run r = run_of(c[i], TOKENS, SEQS, 0);
		int n = 0, want = (i == 2 ? 4 : 7) * (int)c[i].layers + 1;

		for (int k = 0; k < r.t->n_grads; k++)
			n += r.t->grad[k].measured;
		same = same && n == want;
		run_free(&r);
	}
	ok(same, "all that products write is measured as it is written");
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 4; k++) {
			double whole, got = measured(c[i], flags[k / 2], k % 2, &whole);

			worst = fmax(worst, fabs(got - whole) / whole);
		}
	printf("# squares of gradients: %.1e off\n", worst);
	ok(worst < 1e-6, "squares of gradients, measured as they are written");
}

/* Computed again instead of kept: the same bits from less memory. */
static void
test_recompute(struct config c, const char *what)
{
	static const unsigned flags[] = { 0, TAPE_RECOMPUTE_CHEAP, TAPE_RECOMPUTE_BLOCK };
	const int len[] = { 9, 5, 7 };
	struct batch b = batch_of(len, 3, 0);
	int64_t memory[3], n = config_params(&c);
	double loss[3];
	float *g[3];
	char text[80];

	c.layers = 6;
	n = config_params(&c);
	for (int i = 0; i < 3; i++) {
		struct run r = run_of(c, TOKENS, SEQS, flags[i]);
		struct tape_cost cost;

		tape_cost(r.t, &cost);
		memory[i] = cost.memory;
		give(&r, &b);
		tape_forward(r.t, 0, -1);
		tape_backward(r.t, 0, -1);
		g[i] = gradients(&r, &loss[i]);
		run_free(&r);
	}
	printf("# %s: %lld bytes, cheap %lld, block %lld\n", what, (long long)memory[0],
	    (long long)memory[1], (long long)memory[2]);
	snprintf(text, sizeof(text), "%s: recomputed results are the same bits", what);
	ok(all_finite(g[0], n) && loss[0] == loss[1] && loss[0] == loss[2] &&
	    memcmp(g[0], g[1], (size_t)n * 4) == 0 && memcmp(g[0], g[2], (size_t)n * 4) == 0, text);
	snprintf(text, sizeof(text), "%s: and take less memory", what);
	ok(memory[1] < memory[0] * 9 / 10 && memory[2] < memory[0] * 6 / 10, text);
	for (int i = 0; i < 3; i++)
		free(g[i]);
}

static void
test_micro_batches(void)
{
	const int len[] = { 6, 4, 7, 5 };
	struct batch all = batch_of(len, 4, 0), one = batch_of(len, 2, 0),
	    two = batch_of(len + 2, 2, 10);
	struct run r = run_new(TOKENS, SEQS), k = run_new(TOKENS, SEQS);
	int64_t n = config_params(&r.m.config);
	double loss, loss2, d;
	float *g, *g2;

	give(&r, &all);
	tape_forward(r.t, 0, -1);
	tape_backward(r.t, 0, -1);
	g = gradients(&r, &loss);
	give(&k, &one);
	tape_forward(k.t, 0, -1);
	tape_backward(k.t, 0, -1);
	give(&k, &two);
	tape_forward(k.t, 0, -1);
	tape_backward(k.t, 0, -1);
	g2 = gradients(&k, &loss2);
	d = difference(g2, g, n);
	printf("# two micro-batches: gradients differ by %g, losses by %g\n", d,
	    fabs(loss - loss2));
	/* Sums of 22 fp32 terms in another order. */
	ok(d < 22 * 0x1p-23 && fabs(loss - loss2) < 1e-5 * loss,
	    "two micro-batches add up to one batch");
	free(g);
	free(g2);
	run_free(&r);
	run_free(&k);
}

/* A head of several chunks against one of a single chunk, row by row. */
static void
test_chunks(void)
{
	enum { V = 33000, C = 4, T = 580, PART = 140 };
	struct params ps = { 0 };
	struct tape *t, *part;
	struct tensor *target, *ptarget, *x, *px, *dlogp;
	struct op_head h, ph;
	static int32_t id[T], at[T];
	static float d[T], logp[T], alone[T], dw[V * C], dw2[V * C];
	union dev_args zero = { .fill = { .type = DTYPE_F32 } };
	double most;

	for (int i = 0; i < T; i++) {
		id[i] = (int32_t)rng_below(1, 1, (uint64_t)i, V);
		at[i] = i;
		d[i] = -1.0f / T;
	}
	must(params_add(&ps, "x", 2, (int64_t[]){ T, C }, INIT_NORMAL, 1, true, &err) ? 0 : -1);
	must(params_add(&ps, "w", 2, (int64_t[]){ V, C }, INIT_NORMAL, 1, true, &err) ? 0 : -1);
	must(params_place(&ps, dev, true, &err));
	must(params_init(&ps, 1, &err));
	zero.fill.y = ps.grad;
	zero.fill.n = ps.grad_n;
	dev_launch(dev, K_FILL, &zero);

	t = tape_new(dev, T, 1, TAPE_GRAD, &err);
	x = op_embed(t, &ps.p[0].t, tape_input(t, "at", DTYPE_I32, ROWS_TOKENS, 1,
	    (int64_t[]){ T }), 1);
	target = tape_input(t, "target", DTYPE_I32, ROWS_TOKENS, 1, (int64_t[]){ T });
	dlogp = tape_input(t, "dlogp", DTYPE_F32, ROWS_TOKENS, 1, (int64_t[]){ T });
	h = op_head(t, x, &ps.p[1].t, target, dlogp, 0, 0, 0);
	must(tape_plan(t, &err));
	ok(t->n_launches > 10, "a large head has several chunks");
	tape_upload(t, (struct tensor *)(void *)t->ops->prev->in[1], at, T);
	tape_upload(t, target, id, T);
	tape_upload(t, dlogp, d, T);
	tape_set_counts(t, T - 20, 1);	/* the last chunk is not full */
	tape_forward(t, 0, -1);
	tape_download(t, h.logp, logp, T - 20);
	dev_download(dev, dw, ps.p[1].grad, sizeof(dw));
	must(dev_wait(dev, &err));

	dev_launch(dev, K_FILL, &zero);
	part = tape_new(dev, PART, 1, TAPE_GRAD, &err);
	px = op_embed(part, &ps.p[0].t, tape_input(part, "at", DTYPE_I32, ROWS_TOKENS, 1,
	    (int64_t[]){ PART }), 1);
	ptarget = tape_input(part, "target", DTYPE_I32, ROWS_TOKENS, 1, (int64_t[]){ PART });
	ph = op_head(part, px, &ps.p[1].t, ptarget, NULL, 0, 0, 0);
	tape_seed(part, ph.logp);
	must(tape_plan(part, &err));
	for (int i = 0; i < T - 20; i += PART) {
		int n = T - 20 - i < PART ? T - 20 - i : PART;

		tape_upload(part, (struct tensor *)(void *)part->ops->prev->in[1], at + i, n);
		tape_upload(part, ptarget, id + i, n);
		tape_upload_grad(part, ph.logp, d + i, n);
		tape_set_counts(part, n, 1);
		tape_forward(part, 0, -1);
		tape_backward(part, 0, -1);
		tape_download(part, ph.logp, alone + i, n);
	}
	dev_download(dev, dw2, ps.p[1].grad, sizeof(dw2));
	must(dev_wait(dev, &err));
	ok(memcmp(logp, alone, (T - 20) * sizeof(float)) == 0,
	    "log-probabilities do not depend on chunks");
	most = difference(dw, dw2, (int64_t)V * C);
	printf("# gradients of chunks: %g\n", most);
	ok(most < 1e-5, "one pass and recomputed: the same gradient of the head");
	tape_free(t);
	tape_free(part);
	params_free(&ps);
}

static void
test_init(struct team *team)
{
	struct config c = tiny();
	struct model a = { .dev = NULL }, b = a;
	struct dev *one = dev_open("cpu", NULL, 0, &err);
	float *x, *y;
	int64_t n, dif = 0;
	double sum = 0, sq = 0;
	const struct param *p;

	(void)team;
	c.vocab = 5000;
	must(one == NULL ? -1 : 0);
	must(model_init(&a, &c, dev, false, 5, &err));
	must(model_init(&b, &c, one, false, 5, &err));
	n = a.params.p[0].n;
	x = calloc((size_t)n, 4);
	y = calloc((size_t)n, 4);
	dev_download(dev, x, a.params.p[0].data, n * 4);
	dev_download(one, y, b.params.p[0].data, n * 4);
	must(dev_wait(dev, &err));
	must(dev_wait(one, &err));
	ok(memcmp(x, y, (size_t)n * 4) == 0, "initial weights: the same bits for any team");
	for (int64_t i = 0; i < n; i++) {
		sum += (double)x[i];
		sq += (double)x[i] * (double)x[i];
	}
	/* 80000 draws: the deviation of their deviation is 1/400 of it. */
	ok(fabs(sqrt(sq / (double)n) / c.init_std - 1) < 0.02 &&
	    fabs(sum / (double)n) < 0.02 * c.init_std, "their mean and deviation");
	model_free(&b);
	must(model_init(&b, &c, one, false, 6, &err));
	dev_download(one, y, b.params.p[0].data, n * 4);
	must(dev_wait(one, &err));
	for (int64_t i = 0; i < n; i++)
		dif += x[i] != y[i];
	ok(dif > n * 9 / 10, "another seed: other weights");
	ok((p = params_find(&a.params, "model.norm.weight")) != NULL && p->n == c.width,
	    "parameters have Hugging Face's names");
	ok(params_find(&a.params, "nothing") == NULL, "and only those");
	free(x);
	free(y);
	model_free(&a);
	model_free(&b);
	dev_close(one);
}

static void
test_failures(void)
{
	struct params ps = { 0 };
	struct tape *t;
	struct tensor *x, *y;

	must(params_add(&ps, "x", 2, (int64_t[]){ 4, 6 }, INIT_NORMAL, 1, true, &err) ? 0 : -1);
	must(params_add(&ps, "w", 2, (int64_t[]){ 5, 7 }, INIT_NORMAL, 1, true, &err) ? 0 : -1);
	must(params_place(&ps, dev, false, &err));
	t = tape_new(dev, 4, 1, 0, &err);
	x = op_act(t, &ps.p[0].t, ACT_SILU);
	y = op_linear(t, x, &ps.p[1].t, NULL);
	y = op_add(t, y, op_rmsnorm(t, y, NULL, 1, 0));
	op_dot(t, y, NULL);
	ok(tape_plan(t, &err) < 0 && strstr(err.msg, "linear: x (4, 6) and w (5, 7)") != NULL,
	    "the first failure is told, with shapes");
	tape_free(t);

	t = tape_new(dev, 4, 1, TAPE_GRAD, &err);
	tape_seed(t, op_act(t, op_linear(t, &ps.p[0].t, &ps.p[0].t, NULL), ACT_SILU));
	ok(tape_plan(t, &err) < 0 && strstr(err.msg, "'x' has no memory for its gradient"),
	    "gradients without memory for them");
	tape_free(t);

	t = tape_new(dev, 4, 1, 0, &err);
	ok(tape_plan(t, &err) < 0, "an empty tape");
	tape_free(t);

	t = tape_new(dev, 4, 1, TAPE_F64, &err);
	op_act(t, op_embed(t, &ps.p[1].t, tape_input(t, "id", DTYPE_I32, ROWS_TOKENS, 1,
	    (int64_t[]){ 4 }), 1), ACT_SILU);
	ok(tape_plan(t, &err) < 0, "parameters of another type");
	tape_free(t);
	ok(tape_new(dev, 0, 1, 0, &err) == NULL, "no tokens");
	ok(params_add(&ps, "y", 2, (int64_t[]){ INT64_MAX / 2, 4 }, INIT_ZEROS, 0, false,
	    &err) == NULL, "a parameter too large to count");
	params_free(&ps);
}

int
main(void)
{
	struct team *team = team_new(2, &err);

	must(team == NULL ? -1 : 0);
	dev = dev_open("cpu", team, DEV_STRICT, &err);
	must(dev == NULL ? -1 : 0);
	real_ops = dev->ops;
	spy = *real_ops;
	spy.alloc = spy_alloc;
	dev->ops = &spy;
	test_plan();
	test_layout_alone();
	test_step();
	test_recompute(tiny(), "llama");
	test_recompute(tiny_gpt2(), "gpt2");
	test_micro_batches();
	test_zero_grads();
	test_measure();
	test_chunks();
	test_init(team);
	test_failures();
	dev_close(dev);
	team_free(team);
	return tap_done();
}
