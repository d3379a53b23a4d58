#include "train/stepper.h"

#include <stdlib.h>
#include <string.h>

#include "model/sizes.h"
#include "train/optim.h"
#include "train/scorer.h"

struct stepper {
	struct model	*model;
	struct stepper_options o;
	struct tape	*tape;
	struct model_io	 io;
	struct optim	*optim;
	struct batch	 batch;
	float		*dlogp;
	struct train_state state;
};

int32_t
stepper_token(int64_t i, int64_t vocab)
{
	uint32_t x = (uint32_t)i * UINT32_C(2654435761) + 12345;

	return (int32_t)((x >> 8) % (uint64_t)vocab);
}

struct train_options
stepper_adamw(void)
{
	return (struct train_options){
		.schedule = { .shape = SCHEDULE_CONSTANT, .peak = 1e-4, .floor = 1, .steps = 1 },
		.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .decay = 0.1,
	};
}

int
stepper_model(struct model *m, const char *name, struct dev *dev, bool grads, struct err *err)
{
	static const struct {
		const char	*name;
		enum arch	 arch;
		int64_t		 vocab, layers, width, heads, kv_heads, ffn, context;
		bool		 tied;
	} known[] = {
		{ "gpt2-124m", ARCH_GPT2, 50257, 12, 768, 12, 12, 3072, 1024, true },
		{ "llama-30m", ARCH_LLAMA, 16384, 12, 384, 6, 2, 1024, 16384, false },
		{ "tiny", ARCH_LLAMA, 512, 2, 64, 2, 1, 192, 1024, true },
	};
	struct config c;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(name, known[i].name) != 0)
			continue;
		config_default(&c, known[i].arch);
		c.vocab = known[i].vocab;
		c.layers = known[i].layers;
		c.width = known[i].width;
		c.heads = known[i].heads;
		c.kv_heads = known[i].kv_heads;
		c.ffn = known[i].ffn;
		c.context = known[i].context;
		c.tied = known[i].tied;
		if (config_complete(&c, 0, err) < 0)
			return -1;
		return model_init(m, &c, dev, grads, 1, err);
	}
	return model_load(m, name, dev, grads, err);
}

static void
fill(struct stepper *s)
{
	struct batch *b = &s->batch;
	int64_t len = s->o.context, vocab = s->model->config.vocab, i = 0;

	for (int64_t r = 0; r < s->o.rows; r++) {
		b->cu_seqlens[r] = (int32_t)i;
		for (int64_t t = 0; t < len; t++, i++) {
			b->token[i] = stepper_token(r * (len + 1) + t, vocab);
			b->target[i] = stepper_token(r * (len + 1) + t + 1, vocab);
			b->pos[i] = (int32_t)t;
			s->dlogp[i] = -1 / (float)(s->o.rows * len);
		}
	}
	b->cu_seqlens[s->o.rows] = (int32_t)i;
	b->tokens = b->targets = i;
	b->seqs = s->o.rows;
}

struct stepper *
stepper_new(struct model *m, const struct stepper_options *o, struct err *err)
{
	struct stepper *s = calloc(1, sizeof(*s));
	int64_t tokens = o->rows * o->context;

	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->model = m;
	s->o = *o;
	if (o->context > m->config.context) {
		err_set(err, ERR_ARG, "rows of %lld tokens in a model of context %lld",
		    (long long)o->context, (long long)m->config.context);
		goto fail;
	}
	if (batch_init(&s->batch, tokens, err) < 0)
		goto fail;
	if ((s->dlogp = calloc((size_t)tokens, sizeof(*s->dlogp))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto fail;
	}
	if ((s->tape = tape_new(m->dev, tokens, o->rows,
	    TAPE_GRAD | params_tape(&m->params) | o->train.recompute, err)) == NULL ||
	    model_record_score(m, s->tape, &s->io, 0, err) < 0 || tape_plan(s->tape, err) < 0 ||
	    (s->optim = optim_new(&m->params, s->io.loss->data, &s->o.train, err)) == NULL)
		goto fail;
	fill(s);
	return s;
fail:
	stepper_free(s);
	return NULL;
}

void
stepper_free(struct stepper *s)
{
	if (s == NULL)
		return;
	optim_free(s->optim);
	tape_free(s->tape);
	batch_free(&s->batch);
	free(s->dlogp);
	free(s);
}

int
stepper_step(struct stepper *s, double *loss, struct err *err)
{
	struct dev_step step;

	optim_begin(s->optim, &s->state, schedule_rate(&s->o.train.schedule, s->state.step),
	    s->batch.targets);
	tape_zero_grads(s->tape, true);
	tape_measure_grads(s->tape, optim_sumsq(s->optim));
	batch_upload(s->tape, &s->io, &s->batch);
	tape_upload(s->tape, s->io.dlogp, s->dlogp, s->batch.tokens);
	tape_forward(s->tape, 0, -1);
	tape_backward(s->tape, 0, -1);
	optim_update(s->optim, &step);
	if (dev_wait(s->model->dev, err) < 0)
		return -1;
	s->state.step++;
	s->state.updates = step.step;
	*loss = step.loss / (double)s->batch.targets;
	return 0;
}

double
stepper_flops(const struct stepper *s)
{
	return 3 * (double)s->batch.tokens * config_flops(&s->model->config, s->o.context);
}
