/*
 * Logits do not depend on what is computed at once: for weights of each type, 32
 * requests of different lengths together or each alone, in passes of 64 tokens
 * or 512, by one thread or two, have the same bits, as prompts are read and
 * while they are gone on with.
 */
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "model/quantize.h"
#include "../lib/rig.h"

enum { VOCAB = 300, CONTEXT = 640, REQUESTS = 32, STEPS = 3 };

/* Rows of whole blocks of 256, and of 512; heads of whole blocks of 32. */
static const struct config llama = {
	.arch = ARCH_LLAMA, .vocab = VOCAB, .width = 256, .layers = 2, .heads = 4, .kv_heads = 2,
	.head_dim = 64, .ffn = 512, .context = CONTEXT, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.bos = -1, .eos = 0, .init_std = 0.1,
};

struct logits { float of[1 + STEPS][REQUESTS][VOCAB]; };

static char dir[] = "/tmp/t_batch.XXXXXX", path[64];
static int32_t text[REQUESTS][CONTEXT];

/* One is longer than a pass; the others end at every place in a block of the cache. */
static int64_t
length(int request)
{
	return request == 0 ? 600 : 1 + 5 * request;
}

static void
run_steps(struct engine *e, int first, int n, struct logits *l)
{
	struct seq *s[REQUESTS];

	for (int i = 0; i < n; i++)
		must((s[i] = seq_new(e, &err)) != NULL &&
		    seq_push(s[i], text[first + i], length(first + i), &err) == 0, "text");
	for (int step = 0; step <= STEPS; step++) {
		must(engine_run(e, s, n, &err) == 0, "run");
		for (int i = 0; i < n; i++) {
			int at = first + i;

			memcpy(l->of[step][at], seq_logits(s[i]), sizeof(l->of[step][at]));
			must(seq_push(s[i], text[at] + length(at) + step, 1, &err) == 0, "step");
		}
	}
	for (int i = 0; i < n; i++)
		seq_free(s[i]);
}

static void
run(int threads, int64_t pass, int together, struct logits *l)
{
	struct rig g;
	struct engine *e;

	rig_open(&g, threads);
	must(model_load(&g.m, path, g.dev, false, &err) == 0, "load");
	e = engine_new(&g.m, &(struct engine_options){ .pass = pass, .seqs = together }, &err);
	must(e != NULL, "engine");
	memset(l, 0, sizeof(*l));
	for (int i = 0; i < REQUESTS; i += together)
		run_steps(e, i, together, l);
	engine_free(e);
	rig_close(&g);
}

/* A model of random weights, in a directory. */
static void
make(void)
{
	struct rig g;

	rig_open(&g, 1);
	must(model_init(&g.m, &llama, g.dev, false, 7, &err) == 0 &&
	    model_save(&g.m, dir, DTYPE_F32, 0, &err) == 0, "model");
	rig_close(&g);
	for (int i = 0; i < REQUESTS; i++)
		for (int j = 0; j < CONTEXT; j++)
			text[i][j] = (int32_t)rng_below(1, 2, (uint64_t)(i * CONTEXT + j), VOCAB);
}

static void
quantize(const char *type)
{
	struct team *team = team_new(2, &err);
	struct export x = { .n = 0 };
	struct quantize *q = NULL;

	must(team != NULL && export_open(&x, dir, &err) == 0 && (q = quantize_plan(&x,
	    &(struct quantize_options){ .type = type }, team, &err)) != NULL &&
	    quantize_save(q, path, NULL, NULL, &err) == 0, type);
	quantize_free(q);
	export_close(&x);
	team_free(team);
}

static void
test_type(const char *type)
{
	static const struct { int threads, pass, together; const char *what; } ways[] = {
		{ 1, 64, 1, "passes of 64 tokens" }, { 2, 512, 1, "two threads" },
		{ 1, 512, REQUESTS, "32 requests at once" },
		{ 2, 64, REQUESTS, "all of that" },
	};
	static struct logits want, got;

	quantize(type);
	printf("# %s\n", type);
	run(1, 512, 1, &want);
	ok(memcmp(want.of[0][1], want.of[0][2], sizeof(want.of[0][1])) != 0 &&
	    memcmp(want.of[0][1], want.of[1][1], sizeof(want.of[0][1])) != 0,
	    "logits are of their text");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		run(ways[i].threads, ways[i].pass, ways[i].together, &got);
		ok(memcmp(&got, &want, sizeof(got)) == 0, ways[i].what);
	}
}

int
main(void)
{
	static const char *const type[] = { "f32", "bf16", "f16", "q4_0", "q4_k_m", "q6_k", "q8_0" };

	must(mkdtemp(dir) != NULL, "mkdtemp");
	snprintf(path, sizeof(path), "%s/model.gguf", dir);
	make();
	for (size_t i = 0; i < sizeof(type) / sizeof(type[0]); i++)
		test_type(type[i]);
	unlink(path);
	model_remove(dir, &err);
	return tap_done();
}
