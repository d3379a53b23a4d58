#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "eval/logits.h"
#include "fmt/safetensors.h"
#include "infer/engine.h"
#include "../lib/tiny.h"
#include "../tap.h"

enum { VOCAB = 61, CONTEXT = 64, LONG = 50 };

static const struct config llama = {
	.arch = ARCH_LLAMA, .vocab = VOCAB, .width = 32, .layers = 2, .heads = 4, .kv_heads = 2,
	.head_dim = 8, .ffn = 48, .context = CONTEXT, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.bos = -1, .eos = 0, .init_std = 0.3,
}, gpt2 = {
	.arch = ARCH_GPT2, .vocab = VOCAB, .width = 32, .layers = 2, .heads = 4, .kv_heads = 4,
	.head_dim = 8, .ffn = 64, .context = CONTEXT, .norm = NORM_LAYER, .pos = POS_LEARNED,
	.act = ACT_GELU_TANH, .qkv_bias = true, .out_bias = true, .ffn_bias = true, .tied = true,
	.norm_eps = 1e-5, .bos = -1, .eos = 0, .init_std = 0.3,
}, wide = {	/* heads of whole blocks */
	.arch = ARCH_LLAMA, .vocab = VOCAB, .width = 32, .layers = 2, .heads = 4, .kv_heads = 2,
	.head_dim = 32, .ffn = 48, .context = CONTEXT, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.bos = -1, .eos = 0, .init_std = 0.3,
}, wide_gpt2 = {
	.arch = ARCH_GPT2, .vocab = VOCAB, .width = 64, .layers = 2, .heads = 2, .kv_heads = 2,
	.head_dim = 32, .ffn = 64, .context = CONTEXT, .norm = NORM_LAYER, .pos = POS_LEARNED,
	.act = ACT_GELU_TANH, .qkv_bias = true, .out_bias = true, .ffn_bias = true, .tied = true,
	.norm_eps = 1e-5, .bos = -1, .eos = 0, .init_std = 0.3,
}, jamba = {
	.arch = ARCH_JAMBA, .vocab = VOCAB, .width = 32, .layers = 3, .heads = 4, .kv_heads = 2,
	.head_dim = 8, .ffn = 48, .context = CONTEXT, .norm = NORM_RMS, .pos = POS_NONE,
	.act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5,
	.mixer = { MIXER_SCAN, MIXER_FULL, MIXER_SCAN },
	.scan = { .inner = 64, .states = 7, .taps = 4, .rank = 3, .conv_bias = true, .norms = true },
	.bos = -1, .eos = 0, .init_std = 0.3,
}, latent = {	/* whole blocks too */
	.arch = ARCH_DEEPSEEK_V2, .vocab = VOCAB, .width = 32, .layers = 2, .heads = 4,
	.kv_heads = 4, .head_dim = 36, .rope_dims = 32, .v_dim = 12, .kv_rank = 64, .q_rank = 24,
	.ffn = 48, .context = CONTEXT, .norm = NORM_RMS, .pos = POS_ROPE, .act = ACT_SILU,
	.gated = true, .rope_interleaved = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.mixer = { MIXER_LATENT, MIXER_LATENT }, .bos = -1, .eos = 0, .init_std = 0.2,
};

struct rig {
	struct team	*team;
	struct dev	*dev;
	struct model	 m;
	dtype		 kv;
	int32_t		 text[2][CONTEXT];
};

static void
die(const struct err *err)
{
	printf("Bail out! %s\n", err->msg);
	exit(1);
}

static void
rig_up(struct rig *g, const struct config *c, dtype kv)
{
	struct err err = { 0 };

	*g = (struct rig){ .kv = kv };
	if ((g->team = team_new(2, &err)) == NULL ||
	    (g->dev = dev_open("cpu", g->team, 0, &err)) == NULL ||
	    model_init(&g->m, c, g->dev, false, 7, &err) < 0)
		die(&err);
	for (int i = 0; i < 2 * CONTEXT; i++)
		g->text[i / CONTEXT][i % CONTEXT] = (int32_t)rng_below(1, 2, (uint64_t)i, VOCAB);
}

static void
rig_down(struct rig *g)
{
	model_free(&g->m);
	dev_close(g->dev);
	team_free(g->team);
}

static struct engine *
engine_of(struct rig *g, int64_t pass, int64_t seqs, int64_t cache)
{
	struct err err;
	struct engine *e = engine_new(&g->m, &(struct engine_options){ .pass = pass, .seqs = seqs,
	    .cache = cache, .kv = g->kv }, &err);

	if (e == NULL)
		die(&err);
	return e;
}

static struct seq *
seq_of(struct engine *e, const int32_t *token, int64_t n)
{
	struct err err;
	struct seq *s = seq_new(e, &err);

	if (s == NULL || seq_push(s, token, n, &err) < 0)
		die(&err);
	return s;
}

static bool
same(const struct seq *s, const float *want)
{
	return seq_logits(s) != NULL &&
	    memcmp(seq_logits(s), want, VOCAB * sizeof(*want)) == 0;
}

/* Logits after the first n tokens of text 0, in one pass. */
static void
reference(struct rig *g, int64_t n, float *want)
{
	struct engine *e = engine_of(g, CONTEXT, 1, 0);
	struct seq *s = seq_of(e, g->text[0], n);
	struct err err;

	if (engine_run(e, &s, 1, &err) < 0)
		die(&err);
	memcpy(want, seq_logits(s), VOCAB * sizeof(*want));
	seq_free(s);
	engine_free(e);
}

static void
test_passes(struct rig *g)
{
	static const int64_t pass[] = { 1, 3, 7, 16, LONG };
	float want[VOCAB];
	bool cut = true, beside = true;
	struct err err;

	reference(g, LONG, want);
	for (int i = 0; i < 5; i++) {
		struct engine *e = engine_of(g, pass[i], 1, 0);
		struct seq *s = seq_of(e, g->text[0], LONG);

		cut &= engine_run(e, &s, 1, &err) == 0 && same(s, want);
		seq_free(s);
		engine_free(e);
	}
	ok(cut, "passes of 1, 3, 7, 16 and all tokens give the same bits");
	for (int i = 0; i < 5; i++) {
		struct engine *e = engine_of(g, pass[i], 3, 0);
		struct seq *s[3] = { seq_of(e, g->text[1], 11), seq_of(e, g->text[0], LONG),
		    seq_of(e, g->text[1], CONTEXT) };

		beside &= engine_run(e, s, 3, &err) == 0 && same(s[1], want);
		for (int j = 0; j < 3; j++)
			seq_free(s[j]);
		engine_free(e);
	}
	ok(beside, "and so they do beside other sequences");
}

static void
test_single(struct rig *g)
{
	struct engine *e = engine_of(g, 0, 1, 0);
	struct seq *s = seq_of(e, g->text[0], 1);
	float want[VOCAB];
	bool one = true;
	struct err err;

	reference(g, LONG, want);
	for (int64_t i = 1; i <= LONG && one; i++)
		one = engine_run(e, &s, 1, &err) == 0 &&
		    (i == LONG || seq_push(s, &g->text[0][i], 1, &err) == 0);
	ok(one && same(s, want), "and token after token");
	seq_free(s);
	engine_free(e);
}

static void
test_sequences(struct rig *g)
{
	float want[VOCAB], shorter[VOCAB];
	struct engine *e = engine_of(g, 8, 2, 0);
	struct seq *s[2] = { seq_of(e, g->text[0], 40), seq_of(e, g->text[1], 20) };
	struct err err;

	reference(g, LONG, want);
	reference(g, 17, shorter);
	ok(engine_run(e, s, 2, &err) == 0 && seq_push(s[0], g->text[1], 20, &err) == 0 &&
	    engine_run(e, s, 2, &err) == 0 && seq_length(s[0]) == 60, "a text is gone on with");
	seq_truncate(s[0], 17);
	ok(seq_logits(s[0]) == NULL && seq_length(s[0]) == 17, "truncated, it has no logits");
	ok(engine_run(e, s, 2, &err) == 0 && same(s[0], shorter),
	    "until it is run: they are those after its last token");
	ok(seq_push(s[0], g->text[0] + 17, LONG - 17, &err) == 0 && engine_run(e, s, 2, &err) == 0 &&
	    same(s[0], want), "going on from there gives the same bits");
	ok(engine_run(e, &s[0], 1, &err) == 0 && same(s[0], want) &&
	    engine_run(e, s, 2, &err) == 0 && same(s[0], want), "nothing pending, the same logits");
	seq_truncate(s[1], 0);
	ok(engine_run(e, s, 2, &err) == 0 && seq_logits(s[1]) == NULL && same(s[0], want),
	    "an empty sequence has none");
	seq_free(s[0]);
	seq_free(s[1]);
	engine_free(e);
}

/* Logits of several tokens of a sequence, and of the same ones when some are taken back. */
static void
test_rows(struct rig *g)
{
	struct err err = { 0 };
	float want[8][VOCAB];
	bool all = true, beside = true;

	for (int i = 0; i < 8; i++)
		reference(g, LONG - 7 + i, want[i]);
	for (int64_t pass = 8; pass <= 64; pass *= 2) {
		struct engine *e = engine_new(&g->m, &(struct engine_options){ .pass = pass,
		    .seqs = 2, .rows = 9 }, &err);
		struct seq *s[2];

		if (e == NULL)
			die(&err);
		s[0] = seq_of(e, g->text[1], 11);
		s[1] = seq_of(e, g->text[0], LONG);
		seq_want(s[1], 8);
		all &= engine_run(e, s, 2, &err) == 0;
		for (int i = 0; i < 8 && all; i++)
			all &= memcmp(seq_logits(s[1]) - (7 - i) * VOCAB, want[i],
			    sizeof(want[i])) == 0;
		/* Three are taken back and others put there; the first is as it was. */
		seq_truncate(s[1], LONG - 3);
		beside &= seq_push(s[1], g->text[1], 2, &err) == 0;
		seq_want(s[1], 3);
		beside &= engine_run(e, s, 2, &err) == 0 &&
		    memcmp(seq_logits(s[1]) - 2 * VOCAB, want[4], sizeof(want[4])) == 0;
		seq_want(s[1], 9);
		all &= engine_run(e, s, 2, &err) < 0 && err.code == ERR_LIMIT;
		seq_want(s[1], 0);
		all &= engine_run(e, s, 2, &err) == 0 && seq_logits(s[1]) == NULL;
		seq_free(s[0]);
		seq_free(s[1]);
		engine_free(e);
	}
	ok(all, "logits of the last 8 tokens are those after each, and of none none");
	ok(beside, "taken back and gone on with, they are too");
}

/* A guess changes nothing, and what it computed is not computed again. */
static void
test_guess(struct rig *g)
{
	struct err err = { 0 };
	struct engine *e = engine_new(&g->m, &(struct engine_options){ .early = 1,
	    .cache = 2 * CONTEXT }, &err);
	struct seq *s = seq_of(e, g->text[0], 40), *other;
	float want[VOCAB], once[VOCAB];

	reference(g, LONG, want);
	ok(engine_run(e, &s, 1, &err) == 0 && seq_push(s, g->text[0] + 40, 5, &err) == 0 &&
	    engine_guess(e, s, &err) == 0 && seq_push(s, g->text[0] + 45, 5, &err) == 0 &&
	    engine_guess(e, s, &err) == 0 && !same(s, want), "guesses by one layer");
	memcpy(once, seq_logits(s), sizeof(once));
	ok(engine_run(e, &s, 1, &err) == 0 && same(s, want), "the logits are as without them");
	other = seq_of(e, g->text[0], LONG);
	ok(engine_guess(e, other, &err) == 0 && same(other, once), "in one piece, the same guess");
	ok(seq_keep(s, g->text[0], 30) == 30 && seq_length(s) == 30 &&
	    seq_push(s, g->text[0] + 30, 20, &err) == 0 && engine_guess(e, s, &err) == 0 &&
	    same(s, once), "and after tokens were taken back");
	ok(seq_keep(s, g->text[1], 30) < 30, "what is another text is not kept");
	seq_free(s);
	seq_free(other);
	engine_free(e);
	ok(engine_new(&g->m, &(struct engine_options){ .early = g->m.config.layers }, &err) == NULL,
	    "all layers are no guess");
}

/* Forked after n tokens, of which `done' were computed, both go on, each with a text of its own. */
static bool
fork_agrees(struct rig *g, int64_t n, bool computed)
{
	struct engine *e = engine_of(g, 8, 2, 0);
	struct seq *s[2] = { seq_of(e, g->text[0], n) };
	float want[2][VOCAB];
	struct err err;
	bool good = !computed || engine_run(e, s, 1, &err) == 0;

	if ((s[1] = seq_fork(s[0], &err)) == NULL)
		die(&err);
	good = good && seq_push(s[0], g->text[1] + n, LONG - n, &err) == 0 &&
	    seq_push(s[1], g->text[0] + n, LONG - n, &err) == 0 && engine_run(e, s, 2, &err) == 0;
	reference(g, LONG, want[1]);
	good = good && same(s[1], want[1]);
	seq_free(s[1]);
	s[1] = seq_of(e, g->text[0], n);
	good = good && seq_push(s[1], g->text[1] + n, LONG - n, &err) == 0 &&
	    engine_run(e, &s[1], 1, &err) == 0;
	memcpy(want[0], seq_logits(s[1]), sizeof(want[0]));
	good = good && engine_run(e, &s[0], 1, &err) == 0 && same(s[0], want[0]);
	seq_free(s[0]);
	seq_free(s[1]);
	engine_free(e);
	return good;
}

static void
test_fork(struct rig *g)
{
	struct engine *e = engine_of(g, 16, 2, 48);
	struct seq *s[2] = { seq_of(e, g->text[0], 40) };
	float want[VOCAB];
	struct err err;
	bool all = true;

	for (int64_t n = 1; n <= 33; n += 4)
		all &= fork_agrees(g, n, true) && fork_agrees(g, n, false);
	ok(all, "a forked sequence and its source go on each on its own");
	/* Of 5 blocks 3 are the one's; the other needs one more, and a copy of the third. */
	reference(g, LONG, want);
	ok(engine_run(e, s, 1, &err) == 0 && (s[1] = seq_fork(s[0], &err)) != NULL &&
	    seq_push(s[1], g->text[0] + 40, LONG - 40, &err) == 0 &&
	    engine_run(e, &s[1], 1, &err) == 0 && same(s[1], want),
	    "they share blocks where a cache has no room for both");
	seq_free(s[0]);
	seq_truncate(s[1], 20);
	ok(seq_push(s[1], g->text[0] + 20, LONG - 20, &err) == 0 &&
	    engine_run(e, &s[1], 1, &err) == 0 && same(s[1], want),
	    "and what was shared stays when the source goes");
	seq_free(s[1]);
	engine_free(e);
}

/* A file of a sequence, and one gone on with from it; n tokens of which some are pending. */
static void
test_saved(struct rig *g)
{
	char name[] = "/tmp/t_infer_cache.XXXXXX";
	int fd = mkstemp(name);
	struct engine *e = engine_of(g, 16, 2, 0), *other;
	struct seq *s = seq_of(e, g->text[0], 37), *t;
	struct rig h;
	float want[VOCAB];
	struct err err;

	reference(g, LONG, want);
	ok(engine_run(e, &s, 1, &err) == 0 && seq_push(s, g->text[0] + 37, 4, &err) == 0 &&
	    seq_save(s, name, &err) == 0, "a sequence is saved");
	t = seq_load(e, name, &err);
	ok(t != NULL && seq_length(t) == 41 && seq_tokens(t)[40] == g->text[0][40] &&
	    seq_push(t, g->text[0] + 41, LONG - 41, &err) == 0 &&
	    engine_run(e, &t, 1, &err) == 0 && same(t, want), "what is loaded goes on alike");
	seq_free(t);
	seq_free(s);
	engine_free(e);
	other = engine_new(&g->m, &(struct engine_options){ .kv = g->kv == DTYPE_BF16 ? DTYPE_F16 :
	    DTYPE_BF16 }, &err);
	if (other == NULL)
		die(&err);
	ok(seq_load(other, name, &err) == NULL && err.code == ERR_FORMAT &&
	    strstr(err.msg, "is asked for") != NULL, "a cache of another type");
	engine_free(other);
	rig_up(&h, &g->m.config, g->kv);
	model_free(&h.m);
	h.m = (struct model){ 0 };
	if (model_init(&h.m, &g->m.config, h.dev, false, 8, &err) < 0)
		die(&err);
	e = engine_of(&h, 16, 2, 0);
	ok(seq_load(e, name, &err) == NULL && strstr(err.msg, "another model") != NULL,
	    "that of another model");
	engine_free(e);
	rig_down(&h);
	close(fd);
	unlink(name);
}

/* Which of the samples in a directory are read, and are not: all or none. */
static void
samples(struct engine *e, const char *dir, bool good)
{
	DIR *d = opendir(dir);
	struct dirent *f;
	int n = 0, bad = 0;

	while (d != NULL && (f = readdir(d)) != NULL) {
		char path[512];
		struct err err = { 0 };
		struct seq *s;

		if (f->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, f->d_name);
		s = seq_load(e, path, &err);
		n++;
		if ((s != NULL && engine_run(e, &s, 1, &err) == 0) != good) {
			printf("# %s: %s\n", path, good ? err.msg : "is read");
			bad++;
		}
		seq_free(s);
	}
	if (d != NULL)
		closedir(d);
	ok(n > 2 && bad == 0, dir);
}

static void
test_samples(void)
{
	struct tiny t;
	struct err err = { 0 };
	char name[] = "/tmp/t_infer_tiny.XXXXXX", head[256] = "";
	struct seq *s;
	FILE *f;
	bool good;

	close(mkstemp(name));
	good = tiny_open(&t, &err) == 0;

	s = seq_of(t.e, (const int32_t[]){ 3, 1, 4 }, 3);
	good = good && engine_run(t.e, &s, 1, &err) == 0 && seq_save(s, name, &err) == 0 &&
	    (f = fopen(name, "rb")) != NULL && fread(head, 1, sizeof(head), f) == sizeof(head) &&
	    fclose(f) == 0;
	printf("# for tests/golden/cache.py: ");
	for (int i = 15; i >= 0; i--)
		printf("%02x", (unsigned char)head[128 + i]);
	printf("\n");
	ok(good, "a cache of the samples' model");
	seq_free(s);
	samples(t.e, "tests/data/cache/good", true);
	samples(t.e, "tests/data/cache/bad", false);
	tiny_close(&t);
	unlink(name);
}

static void
test_limits(struct rig *g)
{
	struct engine *e = engine_of(g, 8, 2, 48);
	struct seq *s[3] = { seq_of(e, g->text[0], LONG), seq_of(e, g->text[1], LONG),
	    seq_of(e, g->text[1], 1) };
	float want[VOCAB];
	struct err err = { 0 };

	ok(seq_push(s[0], g->text[1], CONTEXT - LONG + 1, &err) < 0 && err.code == ERR_LIMIT &&
	    seq_length(s[0]) == LONG, "a token beyond the context");
	ok(engine_run(e, s, 3, &err) < 0 && err.code == ERR_LIMIT, "a sequence beyond the engine");
	/* 48 tokens and a block a sequence: 5 blocks, of which each needs 4. */
	err.code = ERR_NONE;
	ok(engine_run(e, s, 2, &err) < 0 && err.code == ERR_LIMIT &&
	    strstr(err.msg, "the cache of 80 tokens is full") != NULL, "a full cache");
	seq_truncate(s[1], 10);
	reference(g, LONG, want);
	ok(engine_run(e, s, 2, &err) == 0 && same(s[0], want),
	    "once there is room, nothing was lost by it");
	for (int i = 0; i < 3; i++)
		seq_free(s[i]);
	/* All blocks are back: a whole context again. */
	s[0] = seq_of(e, g->text[0], CONTEXT);
	ok(engine_run(e, s, 1, &err) == 0, "freed sequences give their blocks back");
	seq_free(s[0]);
	engine_free(e);
}

/* Paged attention against whole sequences, as llm-eval -t logits computes them. */
static void
test_plain(struct rig *g)
{
	static char path[] = "/tmp/t_infer.XXXXXX";
	int fd = mkstemp(path);
	struct err err;
	struct logits *l = logits_new(&g->m, &err);
	uint32_t token[LONG];
	float got[VOCAB];
	double worst = 0, scale = 0;
	struct st_file *st = NULL;
	const struct st_tensor *t = NULL;

	for (int i = 0; i < LONG; i++)
		token[i] = (uint32_t)g->text[0][i];
	if (l == NULL || logits_add(l, token, LONG, &err) < 0 || logits_save(l, path, &err) < 0 ||
	    (st = st_open(path, &err)) == NULL || (t = st_find(st, "logits")) == NULL)
		die(&err);
	for (int n = 1; n <= LONG; n += 7) {
		const float *want = (const float *)t->data + (n - 1) * (int64_t)VOCAB;

		reference(g, n, got);
		for (int i = 0; i < VOCAB; i++) {
			worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
			scale = fmax(scale, fabs((double)want[i]));
		}
	}
	printf("# %.1e of %.1f\n", worst, scale);
	/* fp32 sums of at most 64 terms in another order, through two layers. */
	ok(worst < 1e-5 * scale, "the cache gives the logits of whole sequences");
	st_close(st);
	logits_free(l);
	close(fd);
	unlink(path);
}

/* How far logits after n tokens are from those over a cache of floats: the largest of them 1. */
static double
distance(struct rig *g, int64_t n)
{
	dtype kv = g->kv;
	float got[VOCAB], want[VOCAB];
	double worst = 0, scale = 0;

	reference(g, n, got);
	g->kv = DTYPE_F32;
	reference(g, n, want);
	g->kv = kv;
	for (int i = 0; i < VOCAB; i++) {
		worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
		scale = fmax(scale, fabs((double)want[i]));
	}
	return worst / scale;
}

static void
test_types(void)
{
	/* Halves of what is rounded, 2^-12, 2^-9, and 2^-8 and 2^-4 of the largest of 32, 16 times. */
	static const struct { dtype type; double tol; } types[] = {
		{ DTYPE_F16, 0x1p-8 }, { DTYPE_BF16, 0x1p-5 }, { DTYPE_Q8_0, 0x1p-3 },
		{ DTYPE_Q4_0, 1 },
	};
	static const struct config *const configs[] = { &wide, &wide_gpt2, &latent };
	struct rig g;
	struct err err = { 0 };

	for (int i = 0; i < 12; i++) {
		double worst = 0;

		rig_up(&g, configs[i / 4], types[i % 4].type);
		printf("# %s\n", dtype_name(g.kv));
		test_passes(&g);
		test_single(&g);
		test_sequences(&g);
		test_limits(&g);
		test_fork(&g);
		test_saved(&g);
		for (int64_t n = 1; n <= LONG; n += 7)
			worst = fmax(worst, distance(&g, n));
		printf("# %.1e\n", worst);
		ok(worst > 0 && worst < types[i % 4].tol, "logits are near those over floats");
		rig_down(&g);
	}
	rig_up(&g, &llama, DTYPE_Q8_0);
	ok(engine_new(&g.m, &(struct engine_options){ .kv = DTYPE_Q8_0 }, &err) == NULL &&
	    strstr(err.msg, "not of 8") != NULL, "heads that are no whole blocks");
	rig_down(&g);
}

int
main(void)
{
	const struct config *configs[] = { &llama, &gpt2, &jamba, &latent };

	for (int i = 0; i < 4; i++) {
		struct rig g;

		rig_up(&g, configs[i], DTYPE_NONE);
		test_passes(&g);
		test_single(&g);
		test_sequences(&g);
		test_rows(&g);
		if (!config_recurrent(configs[i]))
			test_guess(&g);
		test_limits(&g);
		test_fork(&g);
		test_saved(&g);
		test_plain(&g);
		rig_down(&g);
	}
	test_types();
	test_samples();
	return tap_done();
}
