/* Sequences with a window: what is dropped, and that nothing else changes. */
#include <string.h>
#include <unistd.h>

#include "fmt/safetensors.h"
#include "infer/engine_impl.h"
#include "../lib/rig.h"

/* As tests/golden/window.py has them; the step is a block. */
enum { SINKS = 16, WINDOW = 32, STEP = CACHE_BLOCK, HOLDS = SINKS + WINDOW + STEP, LONG = 300 };

/* A rig, and a text for its model. */
struct long_rig {
	struct rig	 r;
	int64_t		 vocab;
	int32_t		 text[LONG];
};

/* A model of tests/data, its weights in fp32, or a random one. */
static void
rig_up(struct long_rig *g, const char *name, int threads, const struct config *c)
{
	char path[256];

	rig_open(&g->r, threads);
	snprintf(path, sizeof(path), "tests/data/model/%s", name);
	must((c != NULL ? model_init(&g->r.m, c, g->r.dev, false, 7, &err) :
	    model_load(&g->r.m, path, g->r.dev, true, &err)) == 0, name);
	g->vocab = g->r.m.config.vocab;
	for (int i = 0; i < LONG; i++)
		g->text[i] = (int32_t)((i * i * 7 + i / 5) % g->vocab);
}

static struct engine *
engine_of(struct long_rig *g, struct engine_options o)
{
	struct engine *e;

	o.window = o.window != 0 ? o.window : WINDOW;
	e = engine_new(&g->r.m, &o, &err);
	must(e != NULL, "engine");
	return e;
}

/* Logits after the first n tokens of the text, read as o has it; the caller frees them. */
static float *
logits_after(struct long_rig *g, struct engine_options o, int64_t n)
{
	struct engine *e = engine_of(g, o);
	struct seq *s = rig_seq(e, g->text, n);
	size_t bytes = (size_t)g->vocab * sizeof(float);
	float *y = malloc(bytes);

	must(y != NULL && engine_run(e, &s, 1, &err) == 0, "run");
	memcpy(y, seq_logits(s), bytes);
	seq_free(s);
	engine_free(e);
	return y;
}

/* ---- what is right ---- */

static void
test_golden(const char *name)
{
	struct long_rig g;
	char path[256];
	struct st_file *f;
	const struct st_tensor *token = NULL, *logits = NULL;
	struct engine *e;
	struct seq *s;
	double worst = 0;

	rig_up(&g, name, 1, NULL);
	snprintf(path, sizeof(path), "tests/data/window/%s.safetensors", name);
	must((f = st_open(path, &err)) != NULL && (token = st_find(f, "token")) != NULL &&
	    (logits = st_find(f, "logits")) != NULL, path);
	e = engine_of(&g, (struct engine_options){ .sinks = SINKS, .kv = DTYPE_F32 });
	s = rig_seq(e, NULL, 0);
	for (int64_t i = 0; i < token->shape[0]; i++) {
		must(seq_push(s, (const int32_t *)token->data + i, 1, &err) == 0 &&
		    engine_run(e, &s, 1, &err) == 0, "run");
		worst = fmax(worst, relative(seq_logits(s), (const float *)logits->data + i * g.vocab,
		    g.vocab));
	}
	printf("# %s: distance %g\n", name, worst);
	/* fp32 through a few layers against float64, as in t_model. */
	ok(token->shape[0] > HOLDS + 4 * STEP && worst < 1e-4, name);
	seq_free(s);
	engine_free(e);
	st_close(f);
	rig_close(&g.r);
}

/* In one layer a token is what it is wherever it stands: as if nothing else had been there. */
static void
test_kept(void)
{
	static const struct config c = {
		.arch = ARCH_LLAMA, .vocab = 61, .width = 32, .layers = 1, .heads = 4,
		.kv_heads = 2, .head_dim = 8, .ffn = 48, .context = HOLDS, .norm = NORM_RMS,
		.pos = POS_ROPE, .act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5,
		.rope_theta = 10000, .bos = -1, .eos = 0, .init_std = 0.3,
	};
	int64_t dropped = (LONG - 1 - SINKS - WINDOW) / STEP * STEP;
	struct long_rig g, kept;
	float *want, *got, *less;

	rig_up(&g, "one layer", 1, &c);
	kept = g;
	memmove(kept.text + SINKS, kept.text + SINKS + dropped,
	    (size_t)(LONG - SINKS - dropped) * sizeof(*kept.text));
	got = logits_after(&g, (struct engine_options){ .sinks = SINKS }, LONG);
	want = logits_after(&kept, (struct engine_options){ .sinks = SINKS }, LONG - dropped);
	less = logits_after(&g, (struct engine_options){ .window = SINKS + WINDOW }, LONG);
	printf("# %g; without sinks %g\n", relative(got, want, g.vocab),
	    relative(less, want, g.vocab));
	/* Positions of 300 in place of 60 are other roundings of angles; sinks are more. */
	ok(LONG - dropped <= HOLDS && relative(got, want, g.vocab) < 1e-5,
	    "one layer: the logits of the tokens that are kept, and no others");
	ok(relative(less, want, g.vocab) > 1e-3, "and the sinks are among them");
	free(got);
	free(want);
	free(less);
	rig_close(&g.r);
}

/* ---- what never changes a bit ---- */

static bool
after_is(struct long_rig *g, struct engine_options o, int64_t n, const float *want)
{
	float *got = logits_after(g, o, n);
	bool same = memcmp(got, want, (size_t)g->vocab * sizeof(*got)) == 0;

	free(got);
	return same;
}

/* Some tokens at a time, beside another sequence that is at another place. */
static bool
in_turns(struct long_rig *g, struct engine_options o, const float *want)
{
	struct engine *e;
	struct seq *s[2];
	bool good = true;

	o.seqs = 2;
	e = engine_of(g, o);
	s[0] = rig_seq(e, g->text + 20, 40);
	s[1] = rig_seq(e, g->text, 1);
	for (int64_t i = 1, n; i < LONG && good; i += n) {
		n = i % 7 + 1 < LONG - i ? i % 7 + 1 : LONG - i;
		good = seq_push(s[1], g->text + i, n, &err) == 0 &&
		    seq_push(s[0], g->text + i, 1, &err) == 0 && engine_run(e, s, 2, &err) == 0;
	}
	good = good && memcmp(seq_logits(s[1]), want, (size_t)g->vocab * sizeof(*want)) == 0;
	seq_free(s[0]);
	seq_free(s[1]);
	engine_free(e);
	return good;
}

static void
test_bits(const char *name, const struct config *c, dtype kv)
{
	static const int64_t pass[] = { 17, 24, 33, 512 };
	struct engine_options o = { .sinks = SINKS, .kv = kv };
	struct long_rig g, two;
	float *want;
	bool same = true;

	rig_up(&g, name, 1, c);
	rig_up(&two, name, 2, c);
	want = logits_after(&g, o, LONG);
	for (int i = 0; i < 4; i++) {
		o.pass = pass[i];
		same &= after_is(&g, o, LONG, want) && after_is(&two, o, LONG, want);
	}
	printf("# %s, %s\n", name, dtype_name(kv));
	ok(same, "passes and threads give the same bits");
	ok(in_turns(&two, o, want), "and a few tokens at a time, beside others");
	free(want);
	rig_close(&g.r);
	rig_close(&two.r);
}

/* ---- going on otherwise ---- */

static bool
run_is(struct engine *e, struct seq *s, int64_t n, const float *want)
{
	return engine_run(e, &s, 1, &err) == 0 &&
	    memcmp(seq_logits(s), want, (size_t)n * sizeof(*want)) == 0;
}

static void
test_taken_back(void)
{
	const struct engine_options o = { .sinks = SINKS, .seqs = 2 };
	struct long_rig g;
	struct engine *e;
	struct seq *s, *fork = NULL;
	float *want;
	bool good = true, forked = true;

	rig_up(&g, "llama", 1, NULL);
	want = logits_after(&g, o, LONG);
	e = engine_of(&g, o);
	s = rig_seq(e, g.text, LONG - 20);
	for (int64_t n = LONG - 1; n > 0; n -= 37) {
		good &= engine_run(e, &s, 1, &err) == 0;
		seq_truncate(s, n);
		good &= seq_push(s, g.text + n, 1, &err) == 0 && engine_run(e, &s, 1, &err) == 0 &&
		    seq_push(s, g.text + 5, 30, &err) == 0 && engine_run(e, &s, 1, &err) == 0;
		seq_truncate(s, n < LONG - 20 ? n : LONG - 20);
		good &= seq_push(s, g.text + seq_length(s), LONG - seq_length(s), &err) == 0 &&
		    run_is(e, s, g.vocab, want);
	}
	ok(good, "tokens are taken back, from before what was dropped too");
	for (int64_t n = 10; n < LONG; n += 29) {
		seq_truncate(s, 0);
		forked &= seq_push(s, g.text, n, &err) == 0 && engine_run(e, &s, 1, &err) == 0 &&
		    (fork = seq_fork(s, &err)) != NULL &&
		    seq_push(fork, g.text + n, LONG - n, &err) == 0 &&
		    seq_push(s, g.text + n, LONG - n, &err) == 0;
		/* The first that writes to what both have gets a copy, and the other keeps it. */
		forked = forked && run_is(e, fork, g.vocab, want) && run_is(e, s, g.vocab, want);
		seq_free(fork);
	}
	ok(forked, "a forked sequence goes on on its own");
	seq_free(s);
	engine_free(e);
	free(want);
	rig_close(&g.r);
}

/* What was dropped, or would have been, begins anew. */
static void
test_saved(void)
{
	char name[] = "/tmp/t_window.XXXXXX";
	int fd = mkstemp(name);
	const struct engine_options o = { .sinks = SINKS };
	struct long_rig g;
	struct engine *e;
	struct seq *s, *t = NULL;
	float *want;

	rig_up(&g, "llama", 1, NULL);
	want = logits_after(&g, o, LONG);
	e = engine_of(&g, (struct engine_options){ .sinks = SINKS, .seqs = 2 });
	s = rig_seq(e, g.text, HOLDS);
	must(engine_run(e, &s, 1, &err) == 0 && seq_save(s, name, &err) == 0 &&
	    (t = seq_load(e, name, &err)) != NULL, "save and load");
	ok(seq_length(t) == HOLDS && seq_push(t, g.text + HOLDS, LONG - HOLDS, &err) == 0 &&
	    run_is(e, t, g.vocab, want), "saved before anything was dropped");
	must(seq_save(t, name, &err) == 0, "save");
	seq_free(s);
	s = seq_load(e, name, &err);
	ok(s != NULL && seq_length(s) == 0, "and after: empty");
	seq_free(s);
	seq_free(t);
	engine_free(e);
	e = engine_new(&g.r.m, &(struct engine_options){ .cache = 0 }, &err);
	must(e != NULL, "engine");
	s = rig_seq(e, g.text, HOLDS + 1);
	must(engine_run(e, &s, 1, &err) == 0 && seq_save(s, name, &err) == 0, "save");
	seq_free(s);
	engine_free(e);
	e = engine_of(&g, o);
	ok(seq_load(e, name, &err) == NULL && err.code == ERR_FORMAT &&
	    strstr(err.msg, "more than the window's 64") != NULL, "more than a window holds");
	engine_free(e);
	free(want);
	rig_close(&g.r);
	close(fd);
	unlink(name);
}

/* A guess of three tokens before each pass, as far as it is allowed. */
static void
test_guesses(void)
{
	struct engine_options o = { .sinks = SINKS };
	struct long_rig g;
	struct engine *e;
	struct seq *s;
	float *want;
	int64_t guessed = 0, moved = 0;
	bool good = true;

	rig_up(&g, "llama", 1, NULL);
	want = logits_after(&g, o, LONG);
	o.early = 1;
	e = engine_of(&g, o);
	s = rig_seq(e, g.text, 1);
	good &= engine_run(e, &s, 1, &err) == 0;
	for (int64_t i = 1; i < LONG; i++) {
		good &= seq_push(s, g.text + i, 1, &err) == 0;
		for (int64_t k = 0; k < 3 && seq_steady(s) > 0 && good; k++, guessed++)
			good = engine_guess(e, s, &err) == 0 && seq_push(s, &(int32_t){ 3 }, 1, &err) == 0;
		moved += seq_steady(s) == 0;
		seq_truncate(s, i + 1);
		good &= engine_run(e, &s, 1, &err) == 0;
	}
	ok(good && guessed > 2 * LONG && moved > 10 &&
	    memcmp(seq_logits(s), want, (size_t)g.vocab * sizeof(*want)) == 0,
	    "guesses by a layer change nothing");
	seq_free(s);
	engine_free(e);
	free(want);
	rig_close(&g.r);
}

/* ---- limits ---- */

/* In a cache of one sequence's blocks, far beyond the context. */
static void
test_bounded(void)
{
	struct long_rig g;
	struct engine *e;
	struct seq *s;
	int64_t n = 20000;
	bool good = true;

	rig_up(&g, "llama-tied", 1, NULL);
	e = engine_of(&g, (struct engine_options){ .sinks = SINKS });
	ok(engine_holds(e) == HOLDS && engine_settings(e)->cache == HOLDS &&
	    engine_context(e) > n && g.r.m.config.context < HOLDS + STEP + 1,
	    "a cache of what a sequence holds");
	s = rig_seq(e, NULL, 0);
	for (int64_t i = 0; i < n && good; i++)
		good = seq_push(s, g.text + i % LONG, 1, &err) == 0 && engine_run(e, &s, 1, &err) == 0;
	for (int64_t i = 0; i < g.vocab && good; i++)
		good = isfinite(seq_logits(s)[i]);
	ok(good && seq_length(s) == n && s->dropped == (n - 1 - SINKS - WINDOW) / STEP * STEP,
	    "20000 tokens of a context of 80 are written in it");
	seq_free(s);
	engine_free(e);
	rig_close(&g.r);
}

static void
test_refused(void)
{
	static const struct { const char *name, *why; } models[] = {
		{ "gpt2", "learned" }, { "mamba", "states" }, { "jamba", "states" },
		{ "phi3", "longrope" },
	};
	struct long_rig g;

	for (int i = 0; i < 4; i++) {
		rig_up(&g, models[i].name, 1, NULL);
		ok(engine_new(&g.r.m, &(struct engine_options){ .window = WINDOW }, &err) == NULL &&
		    err.code == ERR_ARG && strstr(err.msg, models[i].why) != NULL &&
		    engine_window_most(&g.r.m.config, SINKS) == 0, models[i].name);
		rig_close(&g.r);
	}
	rig_up(&g, "llama", 1, NULL);
	ok(engine_new(&g.r.m, &(struct engine_options){ .window = 64, .sinks = 1 }, &err) == NULL &&
	    strstr(err.msg, "takes a context of 96, and the model's is 80") != NULL,
	    "a window beyond the context");
	ok(engine_window_most(&g.r.m.config, 1) == 48 && engine_window_most(&g.r.m.config, 64) == 0,
	    "the largest window");
	rig_close(&g.r);
}

int
main(void)
{
	static const struct config wide = {	/* heads of whole blocks */
		.arch = ARCH_LLAMA, .vocab = 61, .width = 32, .layers = 2, .heads = 4,
		.kv_heads = 2, .head_dim = 32, .ffn = 48, .context = HOLDS, .norm = NORM_RMS,
		.pos = POS_ROPE, .act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5,
		.rope_theta = 10000, .bos = -1, .eos = 0, .init_std = 0.3,
	};
	static const dtype kv[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0 };

	test_golden("llama");
	test_golden("mistral");
	test_golden("gemma3");
	test_kept();
	for (int i = 0; i < 5; i++)
		test_bits("llama of wide heads", &wide, kv[i]);
	test_bits("gemma3", NULL, DTYPE_F16);
	test_bits("deepseek-v2", NULL, DTYPE_F32);
	test_taken_back();
	test_saved();
	test_guesses();
	test_bounded();
	test_refused();
	return tap_done();
}
