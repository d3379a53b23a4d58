/*
 * Rows are looked up as embeddings are, and their gradients added up alike.
 */
#include "nn/nn_impl.h"

static void
backward(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[0];
	bool add;
	struct mem dx;
	union dev_args *a;

	if (!tape_wants(t, x))
		return;
	dx = grad_add(t, x, &add);
	if (!add) {
		a = tape_launch(t, K_FILL);
		a->fill.type = x->type;
		a->fill.n = x->shape[0] * x->shape[1];
		BIND(t, fill.y, dx);
	}
	a = tape_launch(t, K_EMBED_BWD);
	a->embed_bwd.type = a->embed_bwd.dw_type = x->type;
	a->embed_bwd.v = x->shape[0];
	a->embed_bwd.c = x->shape[1];
	a->embed_bwd.scale = 1;
	BIND_ROWS(t, embed_bwd.t, op->out[0]);
	BIND(t, embed_bwd.dw, dx);
	BIND(t, embed_bwd.dy, grad_of(t, op->out[0]));
	BIND(t, embed_bwd.id, mem_of(op->in[1]));
}

static const struct op_kind gather = { "gather", backward };

struct tensor *
op_gather(struct tape *t, struct tensor *x, struct tensor *row)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || row == NULL || row->ndim != 1 || row->type != DTYPE_I32)
		return tape_fail(t, "gather: x is no matrix or row no vector of I32");
	y = tape_rows_like(t, row, x->shape[1]);
	y->needs_grad = tape_wants(t, x);
	op = tape_op(t, &gather);
	op->in[0] = x;
	op->in[1] = row;
	op->out[0] = y;
	a = tape_launch(t, K_EMBED);
	a->embed = (struct k_embed){ .type = x->type, .v = x->shape[0], .c = x->shape[1],
	    .scale = 1 };
	BIND_ROWS(t, embed.t, y);
	BIND(t, embed.y, mem_of(y));
	BIND(t, embed.w, mem_of(x));
	BIND(t, embed.id, mem_of(row));
	op->bytes = 2.0 * (double)tape_bytes(t, y->shape[0] * y->shape[1]);
	return y;
}
