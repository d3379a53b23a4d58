#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "model/sizes.h"
#include "train/scorer.h"
#include "train/sweep.h"
#include "train/trainer.h"
#include "../tap.h"

static _Atomic long allocations;

/* Sanitizers have allocators of their own; they count nothing. */
#ifndef __SANITIZE_ADDRESS__
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *
malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	allocations++;
	return __libc_realloc(p, n);
}

void *
aligned_alloc(size_t align, size_t n)
{
	allocations++;
	return __libc_memalign(align, n);
}
#endif

enum { VOCAB = 61, ROW = 32, ROWS = 40 };

static char dir[] = "/tmp/t_train.XXXXXX", path[3][64];

static const struct config tiny = {
	.arch = ARCH_LLAMA, .vocab = VOCAB, .width = 32, .layers = 2, .heads = 4, .kv_heads = 2,
	.head_dim = 8, .ffn = 48, .context = ROW, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.bos = -1, .eos = 0, .init_std = 0.05,
};

static const struct train_options usual = {
	.batch = 4 * ROW, .schedule = { .peak = 3e-3, .floor = 0.1, .warmup = 2, .steps = 60 },
	.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .decay = 0.1, .clip = 1, .spike = 20,
};

/* Rows of two or three segments each, in which the next token is 2 * x + 1. */
static void
make_shard(const char *file, int rows, int seed)
{
	struct shard_info info = { .packed = true, .row_len = ROW, .vocab = VOCAB, .eos = 0 };
	uint32_t token[ROW];
	struct err err;
	struct out *out = out_open(file, (struct codec_spec){ 0 }, &err);
	struct shard_writer *w = shard_create(out, &info, (str){ NULL, 0 }, &err);

	for (int r = 0; r < rows; r++) {
		int32_t n = ROW - r % 3;
		int32_t start[] = { 0, 5 + r % 7, 20, n };
		int64_t bytes[] = { 10, 20, 30 };
		struct shard_item item = { .token = token, .n = n, .start = start,
		    .seg_bytes = bytes, .nseg = 3, .source_bytes = 60 };

		for (int s = 0; s < 3; s++) {
			uint32_t x = (uint32_t)rng_below((uint64_t)seed, (uint64_t)r, (uint64_t)s, VOCAB);

			for (int32_t i = start[s]; i < start[s + 1]; i++) {
				token[i] = x;
				x = (2 * x + 1) % VOCAB;
			}
		}
		if (shard_put(w, &item, &err) < 0)
			abort();
	}
	if (shard_finish(w, &err) < 0)
		abort();
}

struct rig {
	struct team	*team;
	struct dev	*dev;
	struct model	 m;
	struct loader	*rows, *valid;
	struct trainer	*t;
};

static void
rig_in(struct rig *g, const struct config *c, int threads, unsigned flags,
    const struct train_options *o, dtype type)
{
	struct err err = { 0 };
	char *train[] = { path[0], path[1] }, *valid[] = { path[2] };

	*g = (struct rig){ .m.params.compute = type };
	if ((g->team = team_new(threads, &err)) == NULL ||
	    (g->dev = dev_open("cpu", g->team, flags, &err)) == NULL ||
	    model_init(&g->m, c, g->dev, true, 7, &err) < 0 ||
	    (g->rows = loader_open(train, 2, &(struct loader_options){ .seed = 3, .shuffle = true },
	    &err)) == NULL ||
	    (g->valid = loader_open(valid, 1, &(struct loader_options){ 0 }, &err)) == NULL ||
	    (g->t = trainer_new(&g->m, g->rows, g->valid, o, &err)) == NULL) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
}

static void
rig_of(struct rig *g, int threads, unsigned flags, const struct train_options *o, dtype type)
{
	rig_in(g, &tiny, threads, flags, o, type);
}

static void
rig_up_with(struct rig *g, const struct config *c, int threads, unsigned flags,
    const struct train_options *o)
{
	rig_in(g, c, threads, flags, o, DTYPE_F32);
}

static void
rig_up(struct rig *g, int threads, unsigned flags, const struct train_options *o)
{
	rig_of(g, threads, flags, o, DTYPE_F32);
}

static void
rig_down(struct rig *g)
{
	trainer_free(g->t);
	loader_close(g->rows);
	loader_close(g->valid);
	model_free(&g->m);
	dev_close(g->dev);
	team_free(g->team);
}

static double
steps(struct rig *g, int n)
{
	struct train_report r = { 0 };
	struct err err;

	for (int i = 0; i < n; i++)
		if (trainer_step(g->t, &r, &err) < 0)
			return (double)NAN;
	return r.loss;
}

static void
save(struct rig *g, const char *name)
{
	char to[128];
	struct err err;

	snprintf(to, sizeof(to), "%s/%s", dir, name);
	mkdir(to, 0777);
	if (trainer_save(g->t, to, &err) < 0)
		printf("# %s\n", err.msg);
}

static bool
same(const char *a, const char *b)
{
	static const char *const file[] = { "model.safetensors", "optimizer.safetensors",
	    "state.json" };
	char cmd[512];

	for (int i = 0; i < 3; i++) {
		snprintf(cmd, sizeof(cmd), "cmp %s/%s/%s %s/%s/%s", dir, a, file[i], dir, b, file[i]);
		if (system(cmd) != 0)
			return false;
	}
	return true;
}

static void
test_schedule(void)
{
	struct schedule s = { .shape = SCHEDULE_COSINE, .peak = 2, .floor = 0.5, .decay = 0.2,
	    .warmup = 10, .steps = 100 };

	ok(fabs(schedule_rate(&s, 0) - 0.2) < 1e-12 && fabs(schedule_rate(&s, 9) - 2) < 1e-12,
	    "warm-up rises to the peak");
	ok(fabs(schedule_rate(&s, 10) - 2) < 1e-12 && fabs(schedule_rate(&s, 99) - 1) < 1e-12,
	    "cosine falls from the peak to the floor");
	s.shape = SCHEDULE_WSD;
	ok(schedule_rate(&s, 79) == 2 && schedule_rate(&s, 80) == 2 &&
	    schedule_rate(&s, 81) < 2 && fabs(schedule_rate(&s, 99) - 1) < 1e-12,
	    "wsd stays, then falls");
	s.shape = SCHEDULE_LINEAR;
	ok(fabs(schedule_rate(&s, 99) - 1) < 1e-12 && schedule_rate(&s, 1000) >= 1 - 1e-12,
	    "linear ends at the floor and stays there");
}

static void
test_loader(void)
{
	char *paths[] = { path[0], path[1] };
	double weight[] = { 3, 1 };
	struct loader_options o = { .seed = 9, .shuffle = true, .weight = weight };
	struct err err;
	struct loader *l = loader_open(paths, 2, &o, &err);
	int seen[2] = { 0 }, row_seen[ROWS] = { 0 }, worst = 0, whole = 1;

	for (int64_t i = 0; i < 400; i++) {
		int shard;
		int64_t row;

		loader_sample(l, i, &shard, &row);
		if (shard == 0 && seen[0] < ROWS)
			row_seen[row]++;
		seen[shard]++;
		if (abs(3 * seen[1] - seen[0]) > worst)
			worst = abs(3 * seen[1] - seen[0]);
	}
	for (int i = 0; i < ROWS; i++)
		whole = whole && row_seen[i] == 1;
	ok(seen[0] == 300 && seen[1] == 100, "shards take their shares");
	ok(worst <= 4, "evenly all the way");
	ok(whole, "an epoch has each row once");
	loader_close(l);
	weight[1] = -1;
	ok(loader_open(paths, 2, &o, &err) == NULL, "a negative weight is refused");
}

/* A token that is not trained on is seen, and is nobody's target. */
static void
test_weights(void)
{
	struct shard_info info = { .packed = true, .row_len = 8, .vocab = 9, .eos = -1 };
	const struct shard_item item = { .token = (const uint32_t[]){ 1, 2, 3, 4, 5, 6, 7 }, .n = 7,
	    .start = (const int32_t[]){ 0, 4, 7 }, .seg_bytes = (const int64_t[]){ 1, 1 }, .nseg = 2,
	    .weight = (const uint8_t[]){ 1, 0, 1, 0, 1, 1, 0 } };
	static const int32_t want[] = { -1, 3, -1, -1, 6, -1, -1 };
	struct err err;
	char file[80], *paths[] = { file };
	struct shard_writer *w;
	struct loader *l;
	struct batch b;

	snprintf(file, sizeof(file), "%s/weights.shard", dir);
	w = shard_create(out_open(file, (struct codec_spec){ 0 }, &err), &info,
	    (str){ NULL, 0 }, &err);
	if (shard_put(w, &item, &err) < 0 || shard_finish(w, &err) < 0 ||
	    batch_init(&b, 8, &err) < 0)
		abort();
	l = loader_open(paths, 1, &(struct loader_options){ 0 }, &err);
	ok(l != NULL && loader_rows(l, 0, 1, &b, &err) == 0 && b.tokens == 7 && b.targets == 2 &&
	    memcmp(b.target, want, sizeof(want)) == 0, "what is not trained on is no target");
	batch_free(&b);
	loader_close(l);
	unlink(file);
}

static void
test_training(void)
{
	struct train_options o = usual;
	struct score_report before, after;
	struct train_report r;
	struct rig g, h;
	struct err err;
	double first, a, b, ema;
	char part[128];

	rig_up(&g, 2, 0, &o);
	ok(trainer_validate(g.t, &before, &ema, &err) == 0 && fabs(before.loss - log(VOCAB)) < 0.2,
	    "a new model knows nothing");
	first = steps(&g, 1);
	ok(fabs(first - log(VOCAB)) < 0.2, "nor does its first step");
	a = steps(&g, 59);
	ok(a < 0.5 * first, "the loss falls");
	ok(trainer_validate(g.t, &after, &ema, &err) == 0 && after.loss < 0.6 * before.loss,
	    "on rows not trained on too");
	ok(after.source_bytes == 60 * 8 && after.bits_per_byte > 0, "bytes are counted");
	save(&g, "whole");

	/* One thread, strict memory, stopped and restored: the same bytes. */
	rig_up(&h, 1, DEV_STRICT, &o);
	trainer_validate(h.t, &before, &ema, &err);
	steps(&h, 23);
	save(&h, "part");
	rig_down(&h);
	rig_up(&h, 1, 0, &o);
	snprintf(part, sizeof(part), "%s/part", dir);
	trainer_free(h.t);
	model_free(&h.m);
	h.m = (struct model){ 0 };
	ok(model_load(&h.m, part, h.dev, true, &err) == 0 &&
	    (h.t = trainer_new(&h.m, h.rows, h.valid, &o, &err)) != NULL &&
	    trainer_restore(h.t, part, &err) == 0, "a checkpoint is read back");
	steps(&h, 37);
	trainer_validate(h.t, &after, &ema, &err);
	save(&h, "resumed");
	ok(same("whole", "resumed"), "a resumed run has the bytes of a whole one");
	rig_down(&h);
	rig_down(&g);

	/* Passes of one row, and of four: the same sums, but for their order. */
	o.micro = ROW;
	rig_up(&h, 1, 0, &o);
	o.micro = 0;
	rig_up(&g, 1, 0, &o);
	a = steps(&g, 5);
	b = steps(&h, 5);
	ok(fabs(a - b) < 1e-6 * a, "however the batch is cut, the loss is the same");
	rig_down(&h);

	/* A step that is not finite changes nothing, eight of them end it. */
	save(&g, "good");
	for (int i = 0; i < TRAIN_SKIPS - 1; i++) {
		const float nan = NAN;

		/* What makes it so is put right by the guard's refusal alone. */
		dev_upload(g.dev, g.m.params.p[0].data, &nan, 4);
		if (trainer_step(g.t, &r, &err) < 0 || r.skip != 1)
			break;
	}
	ok(r.skip == 1 && trainer_state(g.t)->skipped == TRAIN_SKIPS - 1 &&
	    trainer_state(g.t)->updates == 5, "steps that are not finite are skipped");
	ok(trainer_step(g.t, &r, &err) < 0 && err.code == ERR_LIMIT, "eight in a row end a run");
	rig_down(&g);

	rig_up(&g, 1, 0, &usual);
	o.batch = ROW + 1;
	ok(trainer_new(&g.m, g.rows, NULL, &o, &err) == NULL,
	    "a batch that is no multiple of the rows is refused");
	rig_down(&g);
}

/* ---- experts ---- */

/* A tiny model of this family, of the same sizes. */
static struct config
with_experts(enum arch arch)
{
	struct config c;
	struct err err;

	config_default(&c, arch);
	c.vocab = VOCAB;
	c.width = 32;
	c.layers = 3;
	c.heads = 4;
	c.ffn = 48;
	c.context = ROW;
	c.eos = 0;
	c.init_std = 0.05;
	c.router.experts = 6;
	c.router.top = 2;
	config_layers(&c);
	if (config_complete(&c, 0, &err) < 0)
		printf("# %s\n", err.msg);
	return c;
}

/* The bias of each expert of the last router. */
static void
biases(struct rig *g, float bias[6])
{
	struct err err;

	for (int i = 0; i < g->m.params.n; i++)
		if (strstr(g->m.params.p[i].name, "correction_bias") != NULL)
			param_download(&g->m.params, &g->m.params.p[i], 0, 6, bias, DTYPE_F32, &err);
}

static void
test_experts(enum arch arch, const char *what)
{
	struct train_options o = usual;
	struct config c = with_experts(arch);
	struct rig g, h;
	double a, b;
	char line[96];

	o.router_aux = o.balance_rate = -1;
	o.router_z = 1e-3;
	rig_up_with(&g, &c, 3, 0, &o);
	steps(&g, 60);
	a = steps(&g, 1);
	snprintf(line, sizeof(line), "%s: the loss falls", what);
	printf("# %s: loss %g after 61 steps\n", what, a);
	ok(a < 2.5, line);
	save(&g, "three");
	rig_up_with(&h, &c, 1, DEV_STRICT, &o);
	steps(&h, 61);
	save(&h, "one");
	snprintf(line, sizeof(line), "%s: one thread gives the bytes of three", what);
	ok(same("three", "one"), line);
	rig_down(&h);
	rig_down(&g);

	/* Experts chosen again are the same, and counted once. */
	for (int i = 0; i < 2; i++) {
		o.recompute = i == 0 ? TAPE_RECOMPUTE_CHEAP : TAPE_RECOMPUTE_BLOCK;
		rig_up_with(&h, &c, 2, DEV_STRICT, &o);
		steps(&h, 61);
		save(&h, "again");
		snprintf(line, sizeof(line), "%s: recomputing %s gives them too", what,
		    i == 0 ? "what is cheap" : "blocks");
		ok(same("three", "again"), line);
		rig_down(&h);
	}
	o.recompute = 0;

	/* Counts are of a step, not of a pass: so are biases, and the other loss. */
	o.router_aux = 0;
	o.micro = ROW;
	rig_up_with(&h, &c, 1, 0, &o);
	o.micro = 0;
	rig_up_with(&g, &c, 1, 0, &o);
	a = steps(&g, 4);
	b = steps(&h, 4);
	snprintf(line, sizeof(line), "%s: however the batch is cut, the loss is the same", what);
	ok(fabs(a - b) < 1e-5 * a, line);
	if (c.router_bias) {
		float x[6], y[6], sum = 0;

		biases(&g, x);
		biases(&h, y);
		for (int i = 0; i < 6; i++)
			sum += fabsf(x[i]);
		ok(sum > 2e-3f && sum < 2.5e-2f, "biases move by the rate");
		ok(memcmp(x, y, sizeof(x)) == 0, "and alike");
	}
	rig_down(&h);
	rig_down(&g);
}

/* Layers that predict ahead are trained with the rest, or left as they are. */
static void
test_ahead(void)
{
	struct config c = with_experts(ARCH_DEEPSEEK_V3);
	struct train_options o = usual;
	struct train_report r = { 0 };
	double first = 0, last = 0;
	float x[32], y[32];
	const struct param *p;
	struct rig g, h;
	struct err err;

	c.ahead = 2;
	o.ahead = 0.1;
	rig_up_with(&g, &c, 3, 0, &o);
	for (int i = 0; i < 60; i++) {
		trainer_step(g.t, &r, &err);
		first = i == 0 ? r.ahead : first;
	}
	last = r.ahead;
	printf("# loss %g, of tokens ahead %g at first, %g then\n", r.loss, first, last);
	ok(fabs(first - log(VOCAB)) < 0.5 && last < 0.8 * first && r.loss < 2.5,
	    "the loss of tokens ahead falls, too");
	save(&g, "three");
	rig_down(&g);
	rig_up_with(&g, &c, 1, DEV_STRICT, &o);
	steps(&g, 60);
	save(&g, "one");
	ok(same("three", "one"), "one thread gives the bytes of three");
	rig_down(&g);

	/* Not trained, and passes of one row. */
	o.ahead = 0;
	rig_up_with(&g, &c, 1, 0, &o);
	p = params_find(&g.m.params, "model.layers.4.eh_proj.weight");
	param_download(&g.m.params, p, 0, 32, x, DTYPE_F32, &err);
	steps(&g, 3);
	param_download(&g.m.params, p, 0, 32, y, DTYPE_F32, &err);
	ok(memcmp(x, y, sizeof(x)) == 0, "without the loss its layers stay");
	rig_down(&g);
	o.ahead = 0.1;
	rig_up_with(&g, &c, 1, 0, &o);
	o.micro = ROW;
	rig_up_with(&h, &c, 1, 0, &o);
	first = steps(&g, 4);
	last = steps(&h, 4);
	ok(fabs(first - last) < 1e-5 * first, "however the batch is cut, the loss is the same");
	rig_down(&h);
	rig_down(&g);
}

/* Routers with weights of such size send most tokens to few experts. */
static void
sharpen(struct model *m)
{
	float x[6 * 32];
	struct err err;

	for (int i = 0; i < m->params.n; i++) {
		struct param *p = &m->params.p[i];

		if (strstr(p->name, "gate.weight") == NULL)
			continue;
		param_download(&m->params, p, 0, p->n, x, DTYPE_F32, &err);
		for (int64_t k = 0; k < p->n; k++)
			x[k] *= k < 64 ? 20 : 1;
		param_upload(&m->params, p, 0, p->n, x, DTYPE_F32, &err);
	}
}

static double
balance_after(const struct config *c, double factor)
{
	struct train_options o = usual;
	struct train_report r = { 0 };
	struct rig g;
	struct err err;

	o.router_aux = factor;
	rig_up_with(&g, c, 1, 0, &o);
	sharpen(&g.m);
	for (int i = 0; i < 60; i++)
		trainer_step(g.t, &r, &err);
	rig_down(&g);
	return r.balance;
}

static void
test_balance(void)
{
	struct config c = with_experts(ARCH_MIXTRAL);
	struct train_options o = usual;
	struct rig g;
	struct err err;
	double with, without;

	with = balance_after(&c, 0.1);
	without = balance_after(&c, 0);
	printf("# balance %g with the loss, %g without, 2 when even\n", with, without);
	ok(with < 2.1 && without > with + 0.05, "the balance loss evens experts out");
	o.router_z = 1;
	rig_up(&g, 1, 0, &usual);
	ok(trainer_new(&g.m, g.rows, NULL, &o, &err) == NULL,
	    "no losses of routers without experts");
	rig_down(&g);
}

/*
 * Each target's log-probability in a packed batch is, bit for bit, that of its
 * document alone; so the packed loss is the token-weighted mean of theirs.
 */
static void
test_packed(void)
{
	struct train_options o = usual;
	struct batch all = { 0 }, one = { 0 };
	struct model_io io;
	struct tape *t;
	struct rig g;
	struct err err;
	float packed[4 * ROW], alone[4 * ROW];
	bool same = true;

	rig_up(&g, 2, 0, &o);
	steps(&g, 10);
	if ((t = tape_new(g.dev, 4 * ROW, 4 * ROW, 0, &err)) == NULL ||
	    model_record_score(&g.m, t, &io, 0, &err) < 0 || tape_plan(t, &err) < 0 ||
	    batch_init(&all, 4 * ROW, &err) < 0 || batch_init(&one, ROW, &err) < 0 ||
	    loader_batch(g.rows, 0, 4, &all, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(1);
	}
	batch_upload(t, &io, &all);
	tape_forward(t, 0, -1);
	tape_download(t, io.head.logp, packed, all.tokens);
	dev_wait(g.dev, &err);
	for (int64_t s = 0; s < all.seqs; s++) {
		int32_t from = all.cu_seqlens[s], n = all.cu_seqlens[s + 1] - from;

		one.tokens = n;
		one.seqs = 1;
		one.cu_seqlens[0] = 0;
		one.cu_seqlens[1] = n;
		for (int32_t i = 0; i < n; i++) {
			one.token[i] = all.token[from + i];
			one.pos[i] = i;
			one.target[i] = all.target[from + i];
		}
		batch_upload(t, &io, &one);
		tape_forward(t, 0, -1);
		tape_download(t, io.head.logp, alone, n);
		dev_wait(g.dev, &err);
		same = same && memcmp(alone, packed + from, (size_t)n * sizeof(*alone)) == 0;
	}
	ok(all.seqs >= 8 && same, "packed documents have the bits of each alone");
	tape_free(t);
	batch_free(&all);
	batch_free(&one);
	rig_down(&g);
}

/* Gradients of known mean and covariance, as the passes of steps would give them. */
static void
test_noise(void)
{
	enum { WIDTH = 40, PASSES = 8, EACH = 16, STEPS = 300 };
	double traces = 0, squares = 0, trace, square;

	for (int s = 0; s < STEPS; s++) {
		double small = 0, big = 0, all[WIDTH] = { 0 };

		for (int p = 0; p < PASSES; p++)
			for (int i = 0; i < WIDTH; i++) {
				/* A mean of EACH numbers of mean 0.1 and deviation 2. */
				double x = 0.1 + 2 / sqrt(EACH) * rng_normal(7, (uint64_t)s,
				    (uint64_t)(p * WIDTH + i));

				small += x * x / PASSES;
				all[i] += x / PASSES;
			}
		for (int i = 0; i < WIDTH; i++)
			big += all[i] * all[i];
		noise_estimate(small, 1.0 / EACH, big, 1.0 / (EACH * PASSES), &trace, &square);
		traces += trace / STEPS;
		squares += square / STEPS;
	}
	/* 84,000 squares: 0.5 percent; the other has a deviation of 0.016. */
	ok(fabs(traces / (4 * WIDTH) - 1) < 0.02, "the trace of the covariance");
	ok(fabs(squares - 0.01 * WIDTH) < 0.06, "the square of the mean gradient");
}

/* The squares of the passes' gradients, one by one, against steps of one pass. */
static void
test_norms(void)
{
	struct train_options o = usual;
	double square, part, want = 0, targets = 0;
	struct train_report r;
	struct err err;
	struct rig g, h;

	o.micro = ROW;
	rig_up(&g, 1, 0, &o);
	ok(trainer_norms(g.t, &square, &part, &err) == 0, "norms of passes");
	o.schedule.peak = 0;
	o.decay = 0;
	o.batch = ROW;
	rig_up(&h, 1, 0, &o);
	for (int i = 0; i < 4; i++) {
		if (trainer_step(h.t, &r, &err) < 0)
			break;
		want += r.norm * r.norm / 4;
		targets += 0.25 / (double)r.targets;
	}
	ok(fabs(square / want - 1) < 1e-5 && fabs(part / targets - 1) < 1e-12,
	    "are those of steps of one pass");
	rig_down(&h);
	rig_up(&h, 1, 0, &usual);
	ok(trainer_step(g.t, &r, &err) == 0 && fabs(steps(&h, 1) / r.loss - 1) < 1e-6,
	    "and leave the step as it was");
	rig_down(&h);
	rig_down(&g);
}

/* Losses of n steps in a type, into loss; the rig stays up. */
static bool
curve(struct rig *g, dtype type, double *loss, int n)
{
	rig_of(g, 1, 0, &usual, type);
	for (int i = 0; i < n; i++)
		if (isnan(loss[i] = steps(g, 1)))
			return false;
	return true;
}

static void
resume(struct rig *g, dtype type, const char *from)
{
	char from_dir[128];
	struct err err;

	snprintf(from_dir, sizeof(from_dir), "%s/%s", dir, from);
	trainer_free(g->t);
	model_free(&g->m);
	g->m = (struct model){ .params.compute = type };
	g->t = NULL;
	if (model_load(&g->m, from_dir, g->dev, true, &err) < 0 ||
	    (g->t = trainer_new(&g->m, g->rows, g->valid, &usual, &err)) == NULL ||
	    trainer_restore(g->t, from_dir, &err) < 0)
		printf("# %s\n", err.msg);
}

/* Types of low precision learn what fp32 does, and resume to the same bytes. */
static void
test_types(void)
{
	static const struct { dtype type; const char *name; } of[] = {
		{ DTYPE_BF16, "bf16" }, { DTYPE_F16, "fp16" } };
	enum { STEPS = 60 };
	double wide[STEPS], loss[STEPS];
	struct rig g, h;
	char text[80];

	curve(&g, DTYPE_F32, wide, STEPS);
	rig_down(&g);
	for (int i = 0; i < 2; i++) {
		double mean = 0, off = 0;

		snprintf(text, sizeof(text), "%s: every step is finite", of[i].name);
		ok(curve(&g, of[i].type, loss, STEPS), text);
		for (int s = 0; s < STEPS; s++) {
			mean += wide[s];
			off += fabs(loss[s] - wide[s]);
		}
		printf("# %s: mean difference of losses %.3g of them, last %.4f and %.4f\n",
		    of[i].name, off / mean, loss[STEPS - 1], wide[STEPS - 1]);
		snprintf(text, sizeof(text), "%s: the curve is fp32's within one percent",
		    of[i].name);
		ok(off < 0.01 * mean, text);
		save(&g, "whole");

		rig_of(&h, 2, DEV_STRICT, &usual, of[i].type);
		steps(&h, 25);
		save(&h, "part");
		resume(&h, of[i].type, "part");
		steps(&h, STEPS - 25);
		save(&h, "resumed");
		snprintf(text, sizeof(text), "%s: a resumed run has the bytes of a whole one",
		    of[i].name);
		ok(same("whole", "resumed"), text);
		rig_down(&h);
		rig_down(&g);
	}
}

/* A loss scale that is far too large comes down, and no step is lost for it. */
static void
test_loss_scale(void)
{
	struct train_state *s;
	struct train_report r = { 0 };
	struct rig g;
	struct err err;
	int overflows = 0;

	rig_of(&g, 1, 0, &usual, DTYPE_F16);
	s = trainer_state(g.t);
	ok(s->loss_scale == LOSS_SCALE_FIRST, "fp16 begins with a loss scale");
	s->loss_scale = LOSS_SCALE_MAX;
	for (int i = 0; i < 30 && trainer_step(g.t, &r, &err) == 0; i++)
		overflows += r.skip == SKIP_OVERFLOW;
	printf("# %d overflows, then a scale of %g\n", overflows, s->loss_scale);
	ok(overflows > 0 && overflows < 24 && s->updates == 30 - overflows && r.skip == 0 &&
	    isfinite(r.norm), "which comes down until nothing overflows");
	rig_down(&g);
}

/* A step, the first one too, takes no memory: the plan has set it all aside. */
static void
test_no_malloc(dtype type, int64_t micro)
{
	struct train_options o = usual;
	struct rig g;
	char text[80];
	long before;
	bool good;

	o.batch = 24 * ROW;
	o.micro = micro;
	rig_of(&g, 2, 0, &o, type);
	before = allocations;
	good = !isnan(steps(&g, 3));
	printf("# %ld allocations\n", allocations - before);
	snprintf(text, sizeof(text), "%s: a step allocates nothing", dtype_name(type));
	ok(good && allocations == before, text);
	rig_down(&g);
}

int
main(void)
{
	char cmd[64];

	if (mkdtemp(dir) == NULL)
		return 1;
	for (int i = 0; i < 3; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%d.shard", dir, i);
		make_shard(path[i], i == 2 ? 8 : ROWS, i);
	}
	test_schedule();
	test_loader();
	test_weights();
	test_training();
	test_types();
	test_no_malloc(DTYPE_F32, 0);
	test_no_malloc(DTYPE_BF16, ROW);
	test_loss_scale();
	test_packed();
	test_noise();
	test_norms();
	test_experts(ARCH_MIXTRAL, "mixtral");
	test_experts(ARCH_QWEN3_MOE, "qwen3-moe");
	test_experts(ARCH_DEEPSEEK_V2, "deepseek-v2");
	test_experts(ARCH_DEEPSEEK_V3, "deepseek-v3");
	test_balance();
	test_ahead();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0)
		return 1;
	return tap_done();
}
