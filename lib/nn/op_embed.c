#include "nn/nn_impl.h"

static void
backward(struct tape *t, struct op *op)
{
	bool add;
	struct mem dw;
	union dev_args *a;

	if (!tape_wants(t, op->in[0]))
		return;
	dw = grad_add(t, op->in[0], &add);
	a = tape_launch(t, K_EMBED_BWD);
	a->embed_bwd.type = tape_type(t);
	a->embed_bwd.v = op->f.embed.v;
	a->embed_bwd.c = op->f.embed.c;
	a->embed_bwd.scale = op->f.embed.scale;
	BIND_ROWS(t, embed_bwd.t, op->out[0]);
	BIND(t, embed_bwd.dw, dw);
	BIND(t, embed_bwd.dy, grad_of(t, op->out[0]));
	BIND(t, embed_bwd.id, mem_of(op->in[1]));
}

static const struct op_kind embed = { "embed", backward };

struct tensor *
op_embed(struct tape *t, struct tensor *w, struct tensor *id, double scale)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_matrix(w) || w->param == NULL ||
	    (w->type != tape_type(t) && !w->param->mapped && dtype_block(w->type) == 1))
		return tape_fail(t, "embed: the table is no parameter matrix of %s",
		    dtype_name(tape_type(t)));
	if (id == NULL || id->ndim != 1 || id->type != DTYPE_I32)
		return tape_fail(t, "embed: ids are no vector of I32");
	y = tape_rows_like(t, id, w->shape[1]);
	y->needs_grad = tape_wants(t, w);
	op = tape_op(t, &embed);
	op->in[0] = w;
	op->in[1] = id;
	op->out[0] = y;
	a = tape_launch(t, K_EMBED);
	a->embed = (struct k_embed){ .type = y->type, .w_type = w->type, .v = w->shape[0],
	    .c = w->shape[1], .scale = scale };
	op->f = *a;
	BIND_ROWS(t, embed.t, y);
	BIND(t, embed.y, mem_of(y));
	BIND(t, embed.w, mem_of(w));
	BIND(t, embed.id, mem_of(id));
	op->bytes = 2.0 * (double)tape_bytes(t, id->shape[0] * w->shape[1]);
	return y;
}
