#include "model/inputs.h"

#include <stdlib.h>

struct inputs {
	struct model	*model;
	struct tape	*tape;
	struct model_io	 io;
	struct input	*input;
	int		 n;
	int32_t		*index;		/* 0, 1, 2 ...: positions */
	int64_t		 tokens;	/* of the last piece */
};

void
inputs_note(struct inputs *in, struct tape *t, struct tensor *x, const struct tensor *w,
    const struct op_routing *r)
{
	struct input *p;

	if (w == NULL || w->param == NULL || in->n == in->model->params.n)
		return;
	p = &in->input[in->n++];
	*p = (struct input){ .param = w->param, .x = x, .top = 1 };
	tape_output(t, x);
	if (r != NULL) {
		p->experts = r->experts;
		p->top = r->top;
		p->offset = r->offset;
		p->layer = r->layer;
		tape_output(t, r->offset);
	}
}

struct inputs *
inputs_new(struct model *m, int64_t tokens, struct err *err)
{
	struct inputs *in = calloc(1, sizeof(*in));
	int64_t all = tokens + model_rope_base(&m->config, tokens);

	if (in != NULL) {
		in->model = m;
		in->input = calloc((size_t)m->params.n, sizeof(*in->input));
		in->index = calloc((size_t)all, sizeof(*in->index));
	}
	if (in == NULL || in->input == NULL || in->index == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		inputs_free(in);
		return NULL;
	}
	for (int64_t i = 0; i < all; i++)
		in->index[i] = (int32_t)i;
	m->inputs = in;
	if ((in->tape = tape_new(m->dev, tokens, 1, params_tape(&m->params), err)) == NULL ||
	    model_record_logits(m, in->tape, 1, &in->io, err) < 0 ||
	    tape_plan(in->tape, err) < 0) {
		inputs_free(in);
		return NULL;
	}
	m->inputs = NULL;
	return in;
}

void
inputs_free(struct inputs *in)
{
	if (in == NULL)
		return;
	in->model->inputs = NULL;
	tape_free(in->tape);
	free(in->input);
	free(in->index);
	free(in);
}

struct model *
inputs_model(const struct inputs *in)
{
	return in->model;
}

int
inputs_count(const struct inputs *in)
{
	return in->n;
}

const struct input *
inputs_at(const struct inputs *in, int i)
{
	return &in->input[i];
}

int
inputs_run(struct inputs *in, const uint32_t *token, int64_t n, struct err *err)
{
	const struct config *c = &in->model->config;
	const int32_t cu_seqlens[] = { 0, (int32_t)n }, row = (int32_t)n - 1;

	for (int64_t i = 0; i < n; i++)
		if (token[i] >= c->vocab)
			return err_set(err, ERR_FORMAT, "token %u in a model of %lld", token[i],
			    (long long)c->vocab);
	in->tokens = n;
	tape_set_counts(in->tape, (int32_t)n, 1);
	tape_set_wanted(in->tape, 1);
	tape_upload(in->tape, in->io.token, token, n);
	tape_upload(in->tape, in->io.pos, in->index + model_rope_base(c, n), n);
	tape_upload(in->tape, in->io.row, &row, 1);
	tape_upload(in->tape, in->io.cu_seqlens, cu_seqlens, 2);
	tape_forward(in->tape, 0, -1);
	return 0;
}

int
inputs_rows(struct inputs *in, int i, int64_t e, int64_t *row, int64_t *rows, struct err *err)
{
	const struct input *p = &in->input[i];
	int64_t all = p->offset == NULL ? 0 : p->offset->shape[0] * p->offset->shape[1];
	int32_t *offset;

	*row = 0;
	*rows = in->tokens;
	if (p->offset == NULL)
		return 0;
	if ((offset = calloc((size_t)all, sizeof(*offset))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	tape_download(in->tape, p->offset, offset, all);
	if (dev_wait(in->model->dev, err) < 0) {
		free(offset);
		return -1;
	}
	*row = offset[p->layer * (p->experts + 1) + e];
	*rows = offset[p->layer * (p->experts + 1) + e + 1] - *row;
	free(offset);
	return 0;
}

int
inputs_read(struct inputs *in, int i, float *x, struct err *err)
{
	const struct input *p = &in->input[i];

	tape_download(in->tape, p->x, x, in->tokens * p->x->shape[1]);
	return dev_wait(in->model->dev, err);
}
