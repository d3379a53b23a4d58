#include "train/stepper.h"

#include <stdlib.h>

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
	    TAPE_GRAD | params_tape(&m->params), err)) == NULL ||
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
