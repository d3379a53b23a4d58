/* What tests of schedulers have: a model of letters, and texts with all that was told of them. */
#ifndef TESTS_TEXTS_H
#define TESTS_TEXTS_H

#include <string.h>

#include "base/rng.h"
#include "infer/scheduler.h"
#include "rig.h"

enum { LETTERS = 60, TEXT_ROOM = 256 };

static const struct config letters = {
	.arch = ARCH_LLAMA, .vocab = LETTERS, .width = 32, .layers = 2, .heads = 4, .kv_heads = 2,
	.head_dim = 8, .ffn = 48, .context = 160, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.bos = -1, .eos = 0, .init_std = 0.3,
};

/* Tokens of one byte each, 'A' and on; the first ends a text. */
static inline struct tokenizer *
letters_tokenizer(void)
{
	struct buf b = { 0 };
	struct tokenizer *t;

	buf_add(&b, S("{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
	    "\"decoder\":{\"type\":\"ByteLevel\"},"
	    "\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{"));
	for (int i = 0; i < LETTERS; i++) {
		char c[2] = { (char)('A' + i) };

		buf_fmt(&b, i > 0 ? "," : "");
		json_quote(&b, str_of(c));
		buf_fmt(&b, ":%d", i);
	}
	buf_add(&b, S("}}}"));
	t = tokenizer_parse(buf_str(&b), &err);
	must(t != NULL, "tokenizer");
	buf_free(&b);
	return t;
}

/* A text, and what it became. */
struct told {
	struct request	 r;
	int32_t		 prompt[TEXT_ROOM];
	char		 text[TEXT_ROOM];
	int64_t		 n_text, n;
	int32_t		 id[TEXT_ROOM];
	double		 logp[TEXT_ROOM];
	struct text_report report;
	char		 why[128];
	int		 done;
	atomic_bool	 dropped;
};

static int
told_write(void *ctx, str text, struct err *e)
{
	struct told *t = ctx;

	(void)e;
	memcpy(t->text + t->n_text, text.p, (size_t)text.n);
	t->n_text += text.n;
	return 0;
}

static int
told_token(void *ctx, const struct text_token *x, struct err *e)
{
	struct told *t = ctx;

	(void)e;
	t->id[t->n] = x->id;
	t->logp[t->n++] = x->logp;
	return 0;
}

static int
told_done(void *ctx, const struct text_report *r, struct err *e)
{
	struct told *t = ctx;

	(void)e;
	t->report = *r;
	if (r->failed != NULL)
		snprintf(t->why, sizeof(t->why), "%.120s", r->failed->msg);
	t->done++;
	return 0;
}

/* A prompt of n tokens that the seed and the place decide, and at most so many more. */
static inline void
told_init(struct told *t, uint64_t seed, int64_t n, int64_t more)
{
	memset(t, 0, sizeof(*t));
	for (int64_t i = 0; i < n; i++)
		t->prompt[i] = 1 + (int32_t)rng_below(seed, 1, (uint64_t)i, LETTERS - 1);
	t->r = (struct request){ .prompt = t->prompt, .n = n, .max_tokens = more, .top = -1,
	    .sampler = { SAMPLER_DEFAULTS }, .stream = seed, .ignore_eos = true,
	    .dropped = &t->dropped, .write = told_write, .token = told_token,
	    .done = told_done, .ctx = t };
}

/* The same tokens, with the same bits; a text that was broken off has the first of them. */
static inline bool
told_same(const struct told *a, const struct told *b)
{
	int64_t n = a->n < b->n ? a->n : b->n;

	if (a->done != 1 || b->done != 1)
		return false;
	if (a->report.end == b->report.end ? a->n != b->n :
	    a->report.end != TEXT_BROKEN_OFF && b->report.end != TEXT_BROKEN_OFF)
		return false;
	return memcmp(a->id, b->id, (size_t)n * sizeof(*a->id)) == 0 &&
	    memcmp(a->logp, b->logp, (size_t)n * sizeof(*a->logp)) == 0 &&
	    (a->n != b->n || (a->n_text == b->n_text &&
	    memcmp(a->text, b->text, (size_t)a->n_text) == 0));
}

/* Each alone, by an engine of its own. */
static inline void
told_alone_in(struct model *m, const struct engine_options *o, const struct tokenizer *tok,
    struct told *t)
{
	struct engine *e = engine_new(m, o, &err);
	struct scheduler *s = e == NULL ? NULL : scheduler_new(e, tok, &err);

	must(s != NULL && scheduler_add(s, &t->r, &err) == 1 && scheduler_finish(s, &err) == 0,
	    "alone");
	scheduler_free(s);
	engine_free(e);
}

static inline void
told_alone(struct model *m, const struct tokenizer *tok, struct told *t)
{
	told_alone_in(m, &(struct engine_options){ .pass = 64 }, tok, t);
}

#endif
