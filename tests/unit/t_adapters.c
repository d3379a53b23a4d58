/*
 * Several adapters beside a model: logits of each as PyTorch's with PEFT
 * (tests/golden/adapter.py) or as with the adapter merged, whatever is computed
 * at once, and those of a text without one as of the model alone.
 */
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "fmt/safetensors.h"
#include "model/adapter.h"
#include "model/adapters.h"
#include "model/merge.h"
#include "../lib/rig.h"

#define BASE "tests/data/model/llama"
#define LATENT "tests/data/model/deepseek-v2"
#define LORA "tests/data/adapter/lora"
enum { LENGTH = 30, REQUESTS = 7, MOST = 64, VOCAB = 64, LATENT_VOCAB = 48 };

static char own[] = "/tmp/t_adapters.XXXXXX";
static int32_t text[REQUESTS][LENGTH];

/* A model with the adapters, or without: free them by end(). */
static void
begin(struct rig *g, int threads, bool adapters)
{
	const struct adapter_named named[] = { { S("lora"), LORA }, { S("own"), own } };

	rig_open(g, threads);
	if (adapters)
		must((g->m.adapters = adapters_open(named, 2, &err)) != NULL, "adapters");
	g->m.writable = true;
	must(model_load(&g->m, BASE, g->dev, false, &err) == 0 && g->m.config.vocab <= VOCAB, BASE);
}

static void
end(struct rig *g)
{
	struct adapters *a = g->m.adapters;

	rig_close(g);
	adapters_free(a);
}

/* A new adapter of base in a directory of that template, its numbers random. */
static void
make(char *dir, const char *base, const struct adapter_options *o)
{
	struct adapter *a = adapter_new(o, &err);
	struct rig g;
	float *x;

	rig_open(&g, 1);
	g.m.adapter = a;
	must(a != NULL && mkdtemp(dir) != NULL &&
	    model_load(&g.m, base, g.dev, true, &err) == 0, "an adapter");
	for (int i = 0; i < g.m.params.n; i++) {
		const struct param *p = &g.m.params.p[i];

		if (!p->trainable)
			continue;
		must((x = malloc((size_t)p->n * sizeof(*x))) != NULL, "memory");
		for (int64_t k = 0; k < p->n; k++)
			x[k] = 0.3f * (float)rng_normal(5, (uint64_t)i, (uint64_t)k);
		must(param_upload(&g.m.params, p, 0, p->n, x, DTYPE_F32, &err) == 0, "upload");
		free(x);
	}
	must(dev_wait(g.dev, &err) == 0 && model_save(&g.m, dir, DTYPE_NONE, 0, &err) == 0,
	    "save");
	rig_close(&g);
	adapter_free(a);
}

static void
remove_own(const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/adapter_model.safetensors", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/adapter_config.json", dir);
	unlink(path);
	rmdir(dir);
}

static struct seq *
seq_of(struct engine *e, const int32_t *token, int64_t n, int adapter)
{
	struct seq *s = seq_new(e, &err);

	must(s != NULL, "sequence");
	seq_adapt(s, adapter);
	must(seq_push(s, token, n, &err) == 0, "tokens");
	return s;
}

/* ---- what is right ---- */

/* Sequences of PEFT's file, among others without an adapter and with the other one. */
static void
test_golden(void)
{
	struct st_file *f = st_open(LORA "/expected.safetensors", &err);
	const struct st_tensor *token, *cu, *logits;
	struct rig g;
	struct engine *e;
	double worst = 0;

	must(f != NULL && (token = st_find(f, "token")) != NULL &&
	    (cu = st_find(f, "cu_seqlens")) != NULL && (logits = st_find(f, "logits")) != NULL,
	    LORA);
	begin(&g, 1, true);
	e = engine_new(&g.m, &(struct engine_options){ .seqs = 3, .rows = MOST,
	    .kv = DTYPE_F32 }, &err);
	must(e != NULL, "engine");
	for (int64_t i = 0; i + 1 < cu->shape[0]; i++) {
		const int32_t *at = (const int32_t *)cu->data + i;
		const float *want = (const float *)logits->data + at[0] * g.m.config.vocab;
		int64_t n = at[1] - at[0];
		struct seq *s[3];

		if (n == 0)
			continue;
		s[0] = seq_of(e, text[0], 9, 2);
		s[1] = seq_of(e, (const int32_t *)token->data + at[0], n, 1);
		s[2] = seq_of(e, text[1], 5, 0);
		seq_want(s[1], n);
		must(engine_run(e, s, 3, &err) == 0, "run");
		worst = fmax(worst, relative(seq_logits(s[1]) - (n - 1) * g.m.config.vocab, want,
		    n * g.m.config.vocab));
		for (int k = 0; k < 3; k++)
			seq_free(s[k]);
	}
	printf("# distance %g\n", worst);
	ok(worst < 1e-4 && worst > 0, "logits as PyTorch's with PEFT");
	engine_free(e);
	end(&g);
	st_close(f);
}

/* Logits after a text; merged: an adapter that is put into the model, or NULL. */
static void
logits_of(const char *merged, const int32_t *token, float *to)
{
	struct rig g;
	struct engine *e;
	struct seq *s;

	begin(&g, 1, false);
	must(merged == NULL || adapter_merge(&g.m, merged, 1, &err) == 0, "merge");
	must((e = engine_new(&g.m, &(struct engine_options){ .seqs = 1 }, &err)) != NULL, "engine");
	s = seq_of(e, token, LENGTH, 0);
	must(engine_run(e, &s, 1, &err) == 0, "run");
	memcpy(to, seq_logits(s), (size_t)g.m.config.vocab * sizeof(*to));
	seq_free(s);
	engine_free(e);
	end(&g);
}

/* Request i has adapter i % 3; some at once, in passes of so many tokens. */
static void
run(int threads, int64_t pass, int together, float to[REQUESTS][VOCAB])
{
	struct rig g;
	struct engine *e;
	struct seq *s[REQUESTS];

	begin(&g, threads, true);
	e = engine_new(&g.m, &(struct engine_options){ .seqs = together, .pass = pass }, &err);
	must(e != NULL, "engine");
	memset(to, 0, sizeof(float[REQUESTS][VOCAB]));
	for (int i = 0; i < REQUESTS; i += together) {
		for (int k = 0; k < together; k++)
			s[k] = seq_of(e, text[i + k], LENGTH, (i + k) % 3);
		must(engine_run(e, s, together, &err) == 0, "run");
		for (int k = 0; k < together; k++) {
			memcpy(to[i + k], seq_logits(s[k]),
			    (size_t)g.m.config.vocab * sizeof(float));
			seq_free(s[k]);
		}
	}
	engine_free(e);
	end(&g);
}

static void
test_together(void)
{
	static const char *const merged[] = { NULL, LORA, own };
	static float alone[REQUESTS][VOCAB], got[REQUESTS][VOCAB], want[VOCAB];

	run(1, 512, 1, alone);
	for (int i = 0; i < 3; i++) {
		logits_of(merged[i], text[i], want);
		printf("# %d: distance %g\n", i, relative(alone[i], want, VOCAB));
		/* Merging rounds matrices, and sums are others. */
		ok(i == 0 ? memcmp(alone[0], want, sizeof(want)) == 0 :
		    relative(alone[i], want, VOCAB) < 1e-5, i == 0 ? "without one: the model" :
		    "with one: as if it were merged");
	}
	logits_of(NULL, text[1], want);
	ok(relative(alone[1], want, VOCAB) > 1e-3, "which is not the model");
	run(1, 512, REQUESTS, got);
	ok(memcmp(got, alone, sizeof(got)) == 0, "all at once, the same bits");
	run(2, 8, REQUESTS, got);
	ok(memcmp(got, alone, sizeof(got)) == 0, "by two threads, in small passes");
}

static void
test_changed(void)
{
	struct rig g;
	struct engine *e;
	struct seq *s, *fork;
	float want[VOCAB];
	size_t bytes;

	begin(&g, 1, true);
	bytes = (size_t)g.m.config.vocab * sizeof(float);
	must((e = engine_new(&g.m, &(struct engine_options){ .seqs = 2 }, &err)) != NULL, "engine");
	s = seq_of(e, text[0], LENGTH, 2);
	must(engine_run(e, &s, 1, &err) == 0, "run");
	memcpy(want, seq_logits(s), bytes);
	seq_adapt(s, 1);
	ok(seq_length(s) == 0, "another adapter: nothing is left");
	must(seq_push(s, text[0], LENGTH, &err) == 0 && engine_run(e, &s, 1, &err) == 0, "run");
	ok(memcmp(want, seq_logits(s), bytes) != 0, "and other logits");
	seq_adapt(s, 2);
	must(seq_push(s, text[0], LENGTH - 1, &err) == 0 && engine_run(e, &s, 1, &err) == 0 &&
	    (fork = seq_fork(s, &err)) != NULL &&
	    seq_push(fork, text[0] + LENGTH - 1, 1, &err) == 0 &&
	    engine_run(e, &fork, 1, &err) == 0, "fork");
	ok(memcmp(want, seq_logits(fork), bytes) == 0, "a forked sequence has it too");
	seq_free(s);
	seq_free(fork);
	engine_free(e);
	end(&g);
}

/* ---- latent attention ---- */

/* Logits of a DeepSeek with an adapter beside it or in it, and what its cache takes. */
static int64_t
latent_logits(const char *beside, const char *merged, float *to)
{
	const struct adapter_named named = { S("own"), beside };
	struct adapters *a = beside == NULL ? NULL : adapters_open(&named, 1, &err);
	struct model_cache cache;
	struct engine *e;
	struct seq *s;
	struct rig g;
	int64_t bytes;

	rig_open(&g, 1);
	g.m.adapters = a;
	g.m.writable = true;
	must(model_load(&g.m, LATENT, g.dev, false, &err) == 0 && (merged == NULL ||
	    adapter_merge(&g.m, merged, 1, &err) == 0), LATENT);
	e = engine_new(&g.m, &(struct engine_options){ .kv = DTYPE_F32 }, &err);
	must(e != NULL && model_cache_init(&cache, &g.m, NULL, &(struct cache_sizes){
	    .blocks = 1, .block_size = 16, .slots = 1, .type = DTYPE_F32 }, &err) == 0, "engine");
	bytes = cache.bytes;
	model_cache_free(&cache);
	s = seq_of(e, text[0], LENGTH, beside != NULL);
	must(engine_run(e, &s, 1, &err) == 0, "run");
	memcpy(to, seq_logits(s), (size_t)g.m.config.vocab * sizeof(*to));
	seq_free(s);
	engine_free(e);
	rig_close(&g);
	adapters_free(a);
	return bytes;
}

/* One on what makes keys and values of latents: that layer keeps those. */
static void
test_latent(void)
{
	/* 4 heads of 10 and 5, or a latent of 8 and 4, of 16 tokens in fp32. */
	enum { HEADS = 4 * (10 + 5) * 16 * 4, ONE = (8 + 4) * 16 * 4 };
	char on[] = "/tmp/t_adapters.XXXXXX", off[] = "/tmp/t_adapters.XXXXXX";
	static float got[VOCAB], want[VOCAB], base[VOCAB];

	make(on, LATENT, &(struct adapter_options){ .rank = 3, .alpha = 5,
	    .targets = "/.*layers\\.1\\..*(kv_b|o)_proj/" });
	make(off, LATENT, &(struct adapter_options){ .rank = 3, .alpha = 5,
	    .targets = "q_proj,kv_a_proj_with_mqa,o_proj" });
	ok(latent_logits(NULL, NULL, base) == 2 * ONE && latent_logits(off, NULL, got) == 2 * ONE &&
	    latent_logits(NULL, off, want) == 2 * ONE, "a cache of latents");
	ok(relative(got, want, LATENT_VOCAB) < 1e-5 &&
	    relative(got, base, LATENT_VOCAB) > 1e-3, "with adapters beside them");
	ok(latent_logits(on, NULL, got) == ONE + HEADS && latent_logits(NULL, on, want) == 2 * ONE,
	    "of heads, where one is on what makes them");
	ok(relative(got, want, LATENT_VOCAB) < 1e-5 &&
	    relative(got, base, LATENT_VOCAB) > 1e-3, "and the logits as if it were merged");
	remove_own(on);
	remove_own(off);
}

/* ---- what is not ---- */

static void
test_refused(void)
{
	const struct {
		struct adapter_named one[2];
		const char *why;
	} bad[] = {
		{ { { S("a"), LORA }, { S("a"), LORA } }, "two adapters are named 'a'" },
		{ { { S("a"), LORA }, { S("b"), "tests/data/adapter/ia3" } }, "only plain LoRA" },
		{ { { S("a"), LORA }, { S("b"), "tests/data/adapter/dora" } }, "only plain LoRA" },
		{ { { S("a"), "tests/data/adapter/none" }, { S("b"), LORA } }, "none" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		err.msg[0] = '\0';
		ok(adapters_open(bad[i].one, 2, &err) == NULL &&
		    strstr(err.msg, bad[i].why) != NULL, bad[i].why);
	}
}

int
main(void)
{
	make(own, BASE, &(struct adapter_options){ .rank = 7, .alpha = 11, .seed = 3,
	    .targets = "q_proj,o_proj,down_proj", .rank_pattern = "o_proj=2" });
	for (int i = 0; i < REQUESTS; i++)
		for (int k = 0; k < LENGTH; k++)
			text[i][k] = (int32_t)rng_below(1, (uint64_t)i, (uint64_t)k, 48);
	test_golden();
	test_together();
	test_changed();
	test_latent();
	test_refused();
	remove_own(own);
	return tap_done();
}
