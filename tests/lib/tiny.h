/* The model whose cache the samples of llm-cache(5) are. */
#ifndef TESTS_TINY_H
#define TESTS_TINY_H

#include "infer/engine.h"

static const struct config tiny = {
	.arch = ARCH_LLAMA, .vocab = 11, .width = 4, .layers = 1, .heads = 1, .kv_heads = 1,
	.head_dim = 4, .ffn = 4, .context = 16, .norm = NORM_RMS, .pos = POS_ROPE,
	.act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5, .rope_theta = 10000,
	.bos = -1, .eos = 0, .init_std = 0.5,
};

struct tiny {
	struct team	*team;
	struct dev	*dev;
	struct model	 m;
	struct engine	*e;
};

static int
tiny_open(struct tiny *t, struct err *err)
{
	*t = (struct tiny){ 0 };
	return (t->team = team_new(1, err)) != NULL &&
	    (t->dev = dev_open("cpu:base", t->team, 0, err)) != NULL &&
	    model_init(&t->m, &tiny, t->dev, false, 1, err) == 0 &&
	    (t->e = engine_new(&t->m, &(struct engine_options){ .kv = DTYPE_F16 }, err)) != NULL ?
	    0 : -1;
}

static void
tiny_close(struct tiny *t)
{
	engine_free(t->e);
	model_free(&t->m);
	dev_close(t->dev);
	team_free(t->team);
}

#endif
