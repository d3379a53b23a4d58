/*
 * Blocks that are found again: what is found is what a plain list says, under any
 * sequences that come and go in a small cache; the bits are those of an engine that
 * keeps nothing; and salts and adapters are worlds apart.
 */
#include "infer/engine_impl.h"
#include "infer/prefix.h"
#include "model/adapters.h"
#include "../lib/texts.h"

/* ---- against a list ---- */

enum {
	BLOCKS = 14, SEQS = 4, MOST = 6,	/* blocks in all; of one sequence */
	ROUNDS = 4000
};

/* A known block: all tokens up to its end, of a salt. */
struct path {
	int32_t	token[MOST * CACHE_BLOCK];
	int64_t	n;
	uint64_t salt;
	int	holders;
	int64_t	since;		/* idle; by a clock */
};

struct plain {
	struct path path[BLOCKS];
	int	n;
	int64_t	clock;
	/* of each sequence: its known blocks are paths; and how many blocks it has */
	struct seq *seq[SEQS];
	int64_t	known[SEQS], blocks[SEQS];
};

static struct path *
path_of(struct plain *m, uint64_t salt, const int32_t *token, int64_t n)
{
	for (int i = 0; i < m->n; i++)
		if (m->path[i].salt == salt && m->path[i].n == n &&
		    memcmp(m->path[i].token, token, (size_t)n * sizeof(*token)) == 0)
			return &m->path[i];
	return NULL;
}

/* How many blocks nobody has and nobody finds. */
static int64_t
unused(const struct plain *m)
{
	int64_t n = BLOCKS - m->n;

	for (int i = 0; i < SEQS; i++)
		n -= m->blocks[i] - m->known[i];
	return n;
}

static int64_t
idle(const struct plain *m)
{
	int64_t n = 0;

	for (int i = 0; i < m->n; i++)
		n += m->path[i].holders == 0;
	return n;
}

static void
give_up_oldest(struct plain *m)
{
	int oldest = -1;

	for (int i = 0; i < m->n; i++)
		if (m->path[i].holders == 0 &&
		    (oldest < 0 || m->path[i].since < m->path[oldest].since))
			oldest = i;
	must(oldest >= 0, "the list has an idle one");
	m->path[oldest] = m->path[--m->n];
}

/* Give back blocks beyond the first so many, the last first. */
static void
plain_release(struct plain *m, int i, int64_t blocks)
{
	const struct seq *s = m->seq[i];

	for (; m->blocks[i] > blocks; m->blocks[i]--) {
		struct path *p;

		if (m->blocks[i] > m->known[i])
			continue;
		p = path_of(m, s->salt, s->token, m->blocks[i] * CACHE_BLOCK);
		must(p != NULL, "known");
		if (--p->holders == 0)
			p->since = m->clock++;
		m->known[i]--;
	}
}

/* What was computed is known. */
static void
plain_tell(struct plain *m, int i)
{
	const struct seq *s = m->seq[i];

	for (; (m->known[i] + 1) * CACHE_BLOCK <= s->n; m->known[i]++) {
		int64_t n = (m->known[i] + 1) * CACHE_BLOCK;
		struct path *p = path_of(m, s->salt, s->token, n);

		if (p == NULL) {
			p = &m->path[m->n++];
			*p = (struct path){ .n = n, .salt = s->salt };
			memcpy(p->token, s->token, (size_t)n * sizeof(*p->token));
		}
		p->holders++;
	}
}

static int64_t
plain_find(struct plain *m, int i, const int32_t *token, int64_t n)
{
	int64_t at = 0;

	while ((at + 1) * CACHE_BLOCK < n) {
		struct path *p = path_of(m, m->seq[i]->salt, token, (at + 1) * CACHE_BLOCK);

		if (p == NULL)
			break;
		p->holders++;
		m->known[i] = m->blocks[i] = ++at;
	}
	return at * CACHE_BLOCK;
}

/* Texts begin alike: one of few, with one other block. */
static void
make_text(uint64_t seed, uint64_t round, int32_t *token, int64_t n)
{
	uint64_t kind = rng_below(seed, 5, round, 3), other = rng_below(seed, 6, round, 12);

	for (int64_t i = 0; i < n; i++)
		token[i] = (int32_t)(1 + (kind * 7 + (uint64_t)i * 5 +
		    ((uint64_t)i / CACHE_BLOCK == other) * 3) % (LETTERS - 1));
}

/* The logits that an engine without others has. */
static bool
same_bits(struct engine *bare, const struct seq *s)
{
	struct seq *x = rig_seq(bare, s->token, s->n);
	bool same;

	must(engine_run(bare, &x, 1, &err) == 0, "bare");
	same = memcmp(seq_logits(x), seq_logits(s), LETTERS * sizeof(float)) == 0;
	seq_free(x);
	return same;
}

struct counts { int64_t found, evicted, full; bool right, bits, blocks; };

static void
begin_one(struct plain *m, struct engine *e, int i, uint64_t seed, uint64_t round,
    struct counts *c)
{
	int64_t n = 1 + (int64_t)rng_below(seed, 7, round, (MOST - 1) * CACHE_BLOCK), got;
	int32_t token[MOST * CACHE_BLOCK];

	make_text(seed, round, token, n);
	must((m->seq[i] = seq_new(e, &err)) != NULL, "sequence");
	seq_salt(m->seq[i], rng_below(seed, 8, round, 4) == 0);
	got = seq_find(m->seq[i], token, n, &err);
	c->right &= got == plain_find(m, i, token, n);
	c->found += got;
	must(seq_push(m->seq[i], token + got, n - got, &err) == 0, "push");
}

static void
end_one(struct plain *m, int i)
{
	plain_release(m, i, 0);
	seq_free(m->seq[i]);
	m->seq[i] = NULL;
}

/* Compute what is pending; where there is no room, one ends. */
static void
run_all(struct plain *m, struct engine *e, struct engine *bare, struct counts *c)
{
	struct seq *s[SEQS];
	int of[SEQS], n = 0;
	int64_t need = 0;

	for (int i = 0; i < SEQS; i++)
		if (m->seq[i] != NULL && m->seq[i]->done < m->seq[i]->n) {
			of[n] = i;
			s[n++] = m->seq[i];
			need += (m->seq[i]->n + CACHE_BLOCK - 1) / CACHE_BLOCK - m->blocks[i];
		}
	if (need > unused(m) + idle(m)) {
		c->full++;
		c->right &= engine_run(e, s, n, &err) == -1 && err.code == ERR_LIMIT;
		/* As many idle ones as were needed are gone all the same. */
		while (idle(m) > engine_kept(e) / CACHE_BLOCK)
			give_up_oldest(m);
		end_one(m, of[n - 1]);
		return;
	}
	while (need > unused(m)) {
		give_up_oldest(m);
		c->evicted++;
	}
	must(engine_run(e, s, n, &err) == 0, "run");
	for (int k = 0; k < n; k++) {
		m->blocks[of[k]] = (s[k]->n + CACHE_BLOCK - 1) / CACHE_BLOCK;
		plain_tell(m, of[k]);
		c->bits &= same_bits(bare, s[k]);
	}
}

static void
go_on(struct plain *m, int i, uint64_t seed, uint64_t round)
{
	struct seq *s = m->seq[i];
	int64_t n = 1 + (int64_t)rng_below(seed, 9, round, CACHE_BLOCK + 4);
	int32_t token[2 * CACHE_BLOCK];

	if (s->n + n > MOST * CACHE_BLOCK) {
		end_one(m, i);
		return;
	}
	for (int64_t k = 0; k < n; k++)
		token[k] = 1 + (int32_t)((s->n + k) % 3);
	must(seq_push(s, token, n, &err) == 0, "push");
}

static void
test_list(struct rig *g, uint64_t seed)
{
	struct engine *e = engine_new(&g->m, &(struct engine_options){ .pass = 40, .seqs = SEQS,
	    .cache = (BLOCKS - SEQS) * CACHE_BLOCK, .keep = true }, &err);
	struct engine *bare = engine_new(&g->m, &(struct engine_options){ .pass = 64 }, &err);
	struct plain m = { .n = 0 };
	struct counts c = { .right = true, .bits = true, .blocks = true };

	must(e != NULL && bare != NULL && engine_cache(e) == BLOCKS * CACHE_BLOCK, "engines");
	for (uint64_t round = 0; round < ROUNDS; round++) {
		int i = (int)rng_below(seed, 10, round, SEQS);

		if (m.seq[i] == NULL) {
			begin_one(&m, e, i, seed, round, &c);
		} else if (rng_below(seed, 11, round, 3) == 0) {
			end_one(&m, i);
		} else if (rng_below(seed, 11, round, 3) == 1 && m.seq[i]->done == m.seq[i]->n) {
			int64_t keep = m.seq[i]->n / CACHE_BLOCK * CACHE_BLOCK / 2;

			keep -= keep % CACHE_BLOCK;
			plain_release(&m, i, keep / CACHE_BLOCK);
			seq_truncate(m.seq[i], keep);
			if (keep == 0)
				end_one(&m, i);
			else
				go_on(&m, i, seed, round);
		} else {
			go_on(&m, i, seed, round);
		}
		run_all(&m, e, bare, &c);
		c.blocks &= engine_unused(e) == (unused(&m) + idle(&m)) * CACHE_BLOCK &&
		    engine_kept(e) == idle(&m) * CACHE_BLOCK;
		if (!c.right || !c.bits || !c.blocks) {
			printf("# seed %llu, round %llu\n", (unsigned long long)seed,
			    (unsigned long long)round);
			break;
		}
	}
	printf("# %lld tokens found, %lld blocks given up, %lld times full\n",
	    (long long)c.found, (long long)c.evicted, (long long)c.full);
	ok(c.found > 1000 && c.evicted > 100 && c.full > 10, "much is found and given up");
	ok(c.right, "what is found is what the list has");
	ok(c.bits, "with the bits of an engine that keeps nothing");
	ok(c.blocks, "and no block is lost");
	for (int i = 0; i < SEQS; i++)
		if (m.seq[i] != NULL)
			end_one(&m, i);
	ok(engine_unused(e) == engine_cache(e), "all are free in the end");
	engine_free(e);
	engine_free(bare);
}

/* ---- models of all kinds ---- */

/* Heads of whole blocks, for keys and values in 8 and 4 bits. */
static const struct config wide = {
	.arch = ARCH_LLAMA, .vocab = LETTERS, .width = 64, .layers = 2, .heads = 4, .kv_heads = 2,
	.head_dim = 32, .ffn = 48, .context = 64, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.bos = -1, .eos = 0, .init_std = 0.3,
};

struct pair {
	struct engine	*keep, *bare;
	struct seq	*first, *want;	/* of keep; of bare, computed */
	int32_t		 token[56];
	int64_t		 n, vocab;
};

/* The second text of the same beginning, in the midst of the first or after it. */
static void
second(struct pair *p, bool after, int adapter, int64_t found, const char *what)
{
	struct seq *both[2] = { p->first, seq_new(p->keep, &err) };
	int64_t had;
	char line[96];

	must(both[1] != NULL, "sequence");
	seq_adapt(both[1], adapter);
	if (after)
		seq_free(p->first);
	had = seq_find(both[1], p->token, p->n, &err);
	snprintf(line, sizeof(line), "%s: %lld tokens are found", what, (long long)had);
	ok(had == found, line);
	must(seq_push(both[1], p->token + had, p->n - had, &err) == 0 &&
	    (after || seq_push(p->first, p->token, 1, &err) == 0) &&
	    engine_run(p->keep, both + after, 2 - after, &err) == 0, "run");
	ok((memcmp(seq_logits(both[1]), seq_logits(p->want),
	    (size_t)p->vocab * sizeof(float)) == 0) == (adapter == p->want->adapter),
	    "with the same bits");
	seq_free(both[1]);
}

static void
test_model(struct rig *g, const char *what, bool none, dtype kv, int adapter)
{
	struct pair p = { .n = 56, .vocab = g->m.config.vocab };
	int64_t found;

	p.n = g->m.config.context < p.n ? g->m.config.context : p.n;
	for (int i = 0; i < p.n; i++)
		p.token[i] = (int32_t)rng_below(3, 1, (uint64_t)i, (uint64_t)p.vocab);
	p.keep = engine_new(&g->m, &(struct engine_options){ .pass = 20, .seqs = 2,
	    .keep = true, .kv = kv }, &err);
	p.bare = engine_new(&g->m, &(struct engine_options){ .pass = 64, .kv = kv }, &err);
	must(p.keep != NULL && p.bare != NULL, "engines");
	ok(engine_settings(p.keep)->keep == !none, what);
	must((p.first = seq_new(p.keep, &err)) != NULL &&
	    (p.want = seq_new(p.bare, &err)) != NULL, "sequences");
	seq_adapt(p.first, adapter);
	seq_adapt(p.want, adapter);
	must(seq_push(p.first, p.token, p.n - 3, &err) == 0 &&
	    seq_push(p.want, p.token, p.n, &err) == 0 &&
	    engine_run(p.keep, &p.first, 1, &err) == 0 &&
	    engine_run(p.bare, &p.want, 1, &err) == 0, "run");
	found = none ? 0 : (p.n - 3) / CACHE_BLOCK * CACHE_BLOCK;
	if (adapter > 0)
		second(&p, false, 0, 0, "without its adapter");
	second(&p, false, adapter, found, what);
	second(&p, true, adapter, found, "and when it has ended");
	seq_free(p.want);
	engine_free(p.keep);
	engine_free(p.bare);
}

static void
test_models(void)
{
	static const struct { const char *dir; bool none; } model[] = {
		{ "llama", false }, { "gpt2", false }, { "deepseek-v2", false },
		{ "gemma2", false }, { "gemma3", false }, { "qwen3-moe", false },
		{ "mamba", true }, { "jamba", true },
	};
	static const dtype kv[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0 };
	const struct adapter_named named[] = { { S("lora"), "tests/data/adapter/lora" } };
	struct adapters *a;
	struct rig g;

	for (size_t i = 0; i < sizeof(model) / sizeof(model[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "tests/data/model/%s", model[i].dir);
		rig_open(&g, 1);
		must(model_load(&g.m, path, g.dev, false, &err) == 0, path);
		test_model(&g, model[i].dir, model[i].none, DTYPE_NONE, 0);
		rig_close(&g);
	}
	rig_open(&g, 1);
	must(model_init(&g.m, &wide, g.dev, false, 3, &err) == 0, "wide");
	for (size_t i = 0; i < sizeof(kv) / sizeof(kv[0]); i++)
		test_model(&g, dtype_name(kv[i]), false, kv[i], 0);
	rig_close(&g);
	rig_open(&g, 1);
	must((a = g.m.adapters = adapters_open(named, 1, &err)) != NULL &&
	    model_load(&g.m, "tests/data/model/llama", g.dev, false, &err) == 0, "adapter");
	test_model(&g, "an adapter", false, DTYPE_NONE, 1);
	rig_close(&g);
	adapters_free(a);
}

/* ---- roots, and blocks that are written to ---- */

static void
test_roots(void)
{
	static const struct prefix_root root[] = { { 1, 0, 0 }, { 2, 0, 0 }, { 1, 4, 0 },
	    { 1, 0, 3 } };
	struct prefix *p = prefix_new((const int64_t[TIERS]){ 8 }, &err);
	int32_t token[2][CACHE_BLOCK] = { { 1 }, { 2 } };
	bool apart = true;

	must(p != NULL, "prefix");
	for (int i = 0; i < 4; i++) {
		apart &= prefix_find(p, &root[i], -1, token[0]) == -1;
		prefix_add(p, i, &root[i], -1, token[0]);
		prefix_add(p, 4 + i, &root[i], prefix_at(p, i), token[1]);
	}
	for (int i = 0; i < 4; i++)
		apart &= prefix_find(p, &root[i], -1, token[0]) == prefix_at(p, i) &&
		    prefix_find(p, &root[i], prefix_at(p, i), token[1]) == prefix_at(p, 4 + i) &&
		    prefix_find(p, &root[i], -1, token[1]) == -1;
	ok(apart, "another salt, base or adapter, or other tokens before, is another block");
	prefix_free(p);
}

/* Who writes to a known block gets one of its own, and what was known stays as it is. */
static void
test_written(struct rig *g)
{
	struct engine *e = engine_new(&g->m, &(struct engine_options){ .pass = 64, .seqs = 2,
	    .keep = true }, &err);
	struct engine *bare = engine_new(&g->m, &(struct engine_options){ .pass = 64 }, &err);
	int32_t token[48];
	struct seq *a, *b;

	for (int i = 0; i < 48; i++)
		token[i] = 1 + i;
	a = rig_seq(e, token, 32);
	must(engine_run(e, &a, 1, &err) == 0 && engine_run(e, &a, 1, &err) == 0, "run");
	ok(same_bits(bare, a), "the last token again");
	seq_truncate(a, 20);
	must(seq_push(a, token + 30, 18, &err) == 0 && engine_run(e, &a, 1, &err) == 0, "run");
	ok(same_bits(bare, a), "other tokens in the midst of a block");
	must((b = seq_new(e, &err)) != NULL, "sequence");
	ok(seq_find(b, token, 48, &err) == 32, "the block is found as it was");
	must(seq_push(b, token + 32, 16, &err) == 0 && engine_run(e, &b, 1, &err) == 0, "run");
	ok(same_bits(bare, b), "with its bits");
	seq_free(a);
	seq_free(b);
	ok(engine_unused(e) == engine_cache(e), "and none is lost");
	engine_free(e);
	engine_free(bare);
}

/* ---- texts ---- */

/* Texts that begin together and alike: what they have in common is computed once. */
static void
test_together(struct rig *g, const struct tokenizer *tok, bool salted)
{
	enum { N = 8, COMMON = 100 };
	static struct told alone[N], told[N];
	struct engine *e = engine_new(&g->m, &(struct engine_options){ .pass = 40, .seqs = N,
	    .keep = true }, &err);
	struct scheduler *s = e == NULL ? NULL : scheduler_new(e, tok, &err);
	int64_t cached = 0;
	bool same = true;

	must(s != NULL, "scheduler");
	for (int i = 0; i < N; i++)
		for (int k = 0; k < 2; k++) {
			struct told *t = k == 0 ? &alone[i] : &told[i];

			told_init(t, 5, COMMON + i, 20);
			for (int at = COMMON; at < COMMON + i; at++)
				t->prompt[at] = 1 + (i * 3 + at) % (LETTERS - 1);
			t->r.stream = (uint64_t)i;
			t->r.salt = salted ? (uint64_t)i : 7;
		}
	for (int i = 0; i < N; i++) {
		told_alone(&g->m, tok, &alone[i]);
		must(scheduler_submit(s, &told[i].r, &err) == 0, "submit");
	}
	ok(scheduler_finish(s, &err) == 0, "texts that begin alike");
	for (int i = 0; i < N; i++) {
		same &= told_same(&told[i], &alone[i]);
		cached += told[i].report.cached;
	}
	ok(same, "are what they are alone");
	printf("# %lld tokens found\n", (long long)cached);
	ok(cached == (salted ? 0 : (N - 1) * (COMMON / CACHE_BLOCK) * CACHE_BLOCK),
	    salted ? "nothing of another salt is found" : "their beginning is computed once");
	ok(engine_unused(e) == engine_cache(e), "nobody has a block in the end");
	scheduler_free(s);
	engine_free(e);
}

static void
test_refused(struct rig *g)
{
	struct engine *e = engine_new(&g->m, &(struct engine_options){ .window = 32, .sinks = 16,
	    .keep = true }, &err);

	ok(e != NULL && !engine_settings(e)->keep, "with a window nothing is kept");
	engine_free(e);
}

int
main(void)
{
	struct tokenizer *tok = letters_tokenizer();
	struct rig g;

	test_roots();
	rig_open(&g, 1);
	must(model_init(&g.m, &letters, g.dev, false, 7, &err) == 0, "model");
	test_list(&g, 1);
	test_list(&g, 2);
	test_together(&g, tok, false);
	test_together(&g, tok, true);
	test_written(&g);
	test_refused(&g);
	rig_close(&g);
	tokenizer_free(tok);
	test_models();
	return tap_done();
}
