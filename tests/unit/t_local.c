/*
 * Layers that attend to a window have blocks of the cache for it alone: the bits
 * are those of an engine that keeps all, whatever is cut, taken back, or beside.
 */
#include <string.h>
#include <unistd.h>

#include "infer/engine_impl.h"
#include "../lib/rig.h"

/* A pass of SMALL gives them blocks of their own; one of LARGE would take more than all. */
enum { WINDOW = 20, CONTEXT = 512, LONG = 400, VOCAB = 61, SMALL = 24, LARGE = 512 };

static const struct config some = {
	.arch = ARCH_QWEN2, .vocab = VOCAB, .width = 128, .layers = 3, .heads = 4, .kv_heads = 2,
	.head_dim = 32, .ffn = 48, .context = CONTEXT, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .qkv_bias = true, .tied = true, .norm_eps = 1e-5,
	.rope_theta = 10000, .window = WINDOW, .mixer = { MIXER_LOCAL, MIXER_FULL, MIXER_LOCAL },
	.bos = -1, .eos = 0, .init_std = 0.2,
}, every = {
	.arch = ARCH_MISTRAL, .vocab = VOCAB, .width = 32, .layers = 2, .heads = 4, .kv_heads = 2,
	.head_dim = 8, .ffn = 48, .context = CONTEXT, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.window = WINDOW, .mixer = { MIXER_LOCAL, MIXER_LOCAL }, .bos = -1, .eos = 0,
	.init_std = 0.2,
};

struct local_rig {
	struct rig	 r;
	int32_t		 text[LONG];
	float		 want[VOCAB];	/* after all of it */
	dtype		 kv;
};

static struct engine *
engine_of(struct local_rig *g, int64_t pass, int64_t seqs, int64_t early)
{
	struct engine *e = engine_new(&g->r.m, &(struct engine_options){ .pass = pass,
	    .seqs = seqs, .early = early, .kv = g->kv }, &err);

	must(e != NULL, "engine");
	must((e->local.blocks > 0) == (pass < LARGE), "blocks of their own");
	return e;
}

static bool
same(const struct local_rig *g, const struct seq *s)
{
	return seq_logits(s) != NULL && memcmp(seq_logits(s), g->want, sizeof(g->want)) == 0;
}

/* The rest of the text, and what is wanted. */
static bool
ends_well(const struct local_rig *g, struct seq *s)
{
	int64_t n = seq_length(s);

	return seq_push(s, g->text + n, LONG - n, &err) == 0 &&
	    engine_run(s->e, &s, 1, &err) == 0 && same(g, s);
}

static void
rig_up(struct local_rig *g, const struct config *c, dtype kv, int threads)
{
	struct engine *e;
	struct seq *s;

	rig_open(&g->r, threads);
	g->kv = kv;
	must(model_init(&g->r.m, c, g->r.dev, false, 7, &err) == 0, "model");
	for (int i = 0; i < LONG; i++)
		g->text[i] = (int32_t)((i * i * 7 + i / 5) % VOCAB);
	e = engine_of(g, LARGE, 1, 0);
	s = rig_seq(e, g->text, LONG);
	must(engine_run(e, &s, 1, &err) == 0, "run");
	memcpy(g->want, seq_logits(s), sizeof(g->want));
	seq_free(s);
	engine_free(e);
}

/* All blocks are back. */
static bool
done(struct engine *e)
{
	bool all = e->local.n_unused == e->local.blocks && e->pool.n_unused == e->pool.blocks;

	engine_free(e);
	return all;
}

static void
test_passes(struct local_rig *g)
{
	static const int64_t pass[] = { 1, 7, 16, SMALL, 100 };
	bool cut = true, beside = true;

	for (int i = 0; i < 5; i++) {
		struct engine *e = engine_of(g, pass[i], 1, 0);
		struct seq *s = rig_seq(e, g->text, LONG);

		cut &= engine_run(e, &s, 1, &err) == 0 && same(g, s);
		cut &= s->local_to - s->local_from <= (WINDOW + LOCAL_SPARE) / CACHE_BLOCK + 2;
		seq_free(s);
		cut &= done(e);
	}
	ok(cut, "passes of 1 to 100 tokens");
	for (int i = 0; i < 4; i++) {
		struct engine *e = engine_of(g, pass[i], 3, 0);
		struct seq *s[3] = { rig_seq(e, g->text + 9, 111), rig_seq(e, g->text, 1),
		    rig_seq(e, g->text + 5, 390) };

		for (int64_t n = 1, k; n < LONG && beside; n += k) {
			k = n % 37 + 1 < LONG - n ? n % 37 + 1 : LONG - n;
			beside = engine_run(e, s, 3, &err) == 0 &&
			    seq_push(s[1], g->text + n, k, &err) == 0 &&
			    (n > 300 || seq_push(s[0], g->text + n, 1, &err) == 0);
		}
		beside = beside && engine_run(e, s, 3, &err) == 0 && same(g, s[1]);
		for (int k = 0; k < 3; k++)
			seq_free(s[k]);
		beside &= done(e);
	}
	ok(beside, "a few tokens at a time, beside others");
}

static void
test_taken_back(struct local_rig *g)
{
	struct engine *e = engine_of(g, SMALL, 2, 0);
	struct seq *s = rig_seq(e, g->text, 300), *fork;
	bool few, many = true, forked = true;

	must(engine_run(e, &s, 1, &err) == 0, "run");
	few = seq_steady(s) == LOCAL_SPARE;
	seq_truncate(s, 300 - LOCAL_SPARE);
	few &= seq_computed(s) == 300 - LOCAL_SPARE && ends_well(g, s);
	ok(few, "a few tokens are taken back, and others need not be computed again");
	for (int64_t n = 10; n < LONG; n += 60) {
		seq_truncate(s, n);
		many &= seq_push(s, g->text + 3, 5, &err) == 0 && engine_run(e, &s, 1, &err) == 0;
		seq_truncate(s, n);
		many &= ends_well(g, s);
	}
	ok(many, "and many");
	for (int64_t n = 40; n < LONG; n += 57) {
		seq_truncate(s, 0);
		forked &= seq_push(s, g->text, n, &err) == 0 && engine_run(e, &s, 1, &err) == 0;
		fork = seq_fork(s, &err);
		forked = forked && fork != NULL && ends_well(g, fork) && ends_well(g, s);
		seq_free(fork);
	}
	ok(forked, "a forked sequence goes on on its own, and so does the other");
	seq_free(s);
	ok(done(e), "and all blocks come back");
}

/* From an engine that keeps so much to another one. */
static bool
loads(struct local_rig *g, const char *name, int64_t from, int64_t to, int64_t computed)
{
	struct engine *e = engine_of(g, from, 1, 0);
	struct seq *s = rig_seq(e, g->text, 290);
	bool good = engine_run(e, &s, 1, &err) == 0 && seq_save(s, name, &err) == 0;

	seq_free(s);
	good &= done(e);
	e = engine_of(g, to, 1, 0);
	s = seq_load(e, name, &err);
	good = good && s != NULL && seq_length(s) == 290 && seq_computed(s) == computed &&
	    ends_well(g, s);
	seq_free(s);
	return done(e) && good;
}

static void
test_saved(struct local_rig *g)
{
	char name[] = "/tmp/t_local.XXXXXX";
	int fd = mkstemp(name);

	ok(loads(g, name, SMALL, SMALL, 290) && loads(g, name, SMALL, 50, 290),
	    "saved and loaded");
	ok(loads(g, name, LARGE, SMALL, 290), "from a cache of all");
	ok(loads(g, name, SMALL, LARGE, 0), "into one: to be computed again");
	close(fd);
	unlink(name);
}

static void
test_guesses(struct local_rig *g)
{
	struct engine *e = engine_of(g, SMALL, 1, 1);
	struct seq *s = rig_seq(e, g->text, 1);
	bool good = engine_run(e, &s, 1, &err) == 0;

	for (int64_t i = 1; i < LONG && good; i++) {
		good = seq_push(s, g->text + i, 1, &err) == 0;
		for (int k = 0; k < 16 && seq_steady(s) > 0 && good; k++)
			good = engine_guess(e, s, &err) == 0 &&
			    seq_push(s, &(int32_t){ 3 }, 1, &err) == 0;
		seq_truncate(s, i + 1);
		good = good && engine_run(e, &s, 1, &err) == 0;
	}
	ok(good && same(g, s), "guesses change nothing");
	seq_free(s);
	ok(done(e), "and give back what they took");
}

/* More sequences than the engine is for have no room; what there was goes on. */
static void
test_full(struct local_rig *g)
{
	struct engine *e = engine_of(g, SMALL, 1, 0);
	struct seq *s[8];
	int n = 0;
	bool good;

	for (; n < 8; n++) {
		s[n] = rig_seq(e, g->text, 100);
		if (engine_run(e, &s[n], 1, &err) < 0)
			break;
	}
	good = n > 0 && n < 8 && err.code == ERR_LIMIT &&
	    strstr(err.msg, "for layers with a window is full") != NULL;
	ok(good && seq_computed(s[n]) == 0, "a full cache, and nothing was computed");
	for (int i = 1; i <= n; i++)
		seq_free(s[i]);
	ok(ends_well(g, s[0]), "with room again it goes on");
	seq_free(s[0]);
	ok(done(e), "and all blocks come back");
}

static void
test_all(const struct config *c, dtype kv)
{
	struct local_rig g;

	printf("# %s, %s\n", arch_name(c->arch), dtype_name(kv));
	rig_up(&g, c, kv, 2);
	test_passes(&g);
	test_taken_back(&g);
	test_saved(&g);
	test_guesses(&g);
	test_full(&g);
	rig_close(&g.r);
}

/* The largest part of a long context's cache goes. */
static void
test_bytes(void)
{
	struct config c = some;
	struct rig g;
	struct engine *all, *less;

	c.context = 8192;
	rig_open(&g, 1);
	must(model_init(&g.m, &c, g.dev, false, 7, &err) == 0, "model");
	less = engine_new(&g.m, &(struct engine_options){ 0 }, &err);
	all = engine_new(&g.m, &(struct engine_options){ .pass = 8192 }, &err);
	must(less != NULL && all != NULL, "engines");
	printf("# %lld and %lld bytes\n", (long long)less->cache.bytes, (long long)all->cache.bytes);
	/* Two of three layers have a pass, a window and what is spared. */
	ok(less->cache.bytes < all->cache.bytes * (8192 + 2 * 1024) / (3 * 8192),
	    "a cache of one layer, and little more");
	engine_free(less);
	engine_free(all);
	rig_close(&g);
}

int
main(void)
{
	test_all(&some, DTYPE_F32);
	test_all(&every, DTYPE_F16);
	test_all(&some, DTYPE_Q8_0);
	test_bytes();
	return tap_done();
}
