/*
 * Rows are looked up as embeddings are, and their gradients added up alike:
 * in wide numbers.
 */
#include "nn/nn_impl.h"

static void
backward(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[0];
	int64_t n = x->shape[0] * x->shape[1];
	bool narrow = tape_type(t) != tape_wide(t);
	struct mem dx, sum;
	union dev_args *a;

	if (!tape_wants(t, x))
		return;
	dx = grad_begin(t, x);
	sum = narrow ? mem_wide(t, x, x->shape[1]) : dx;
	a = tape_launch(t, K_FILL);
	a->fill.type = tape_wide(t);
	a->fill.n = n;
	BIND(t, fill.y, sum);
	a = tape_launch(t, K_EMBED_BWD);
	a->embed_bwd.type = tape_type(t);
	a->embed_bwd.v = x->shape[0];
	a->embed_bwd.c = x->shape[1];
	a->embed_bwd.scale = 1;
	BIND_ROWS(t, embed_bwd.t, op->out[0]);
	BIND(t, embed_bwd.dw, sum);
	BIND(t, embed_bwd.dy, grad_of(t, op->out[0]));
	BIND(t, embed_bwd.id, mem_of(op->in[1]));
	if (narrow) {
		a = tape_launch(t, K_CAST);
		a->cast.y_type = tape_type(t);
		a->cast.x_type = tape_wide(t);
		a->cast.n = n;
		BIND(t, cast.y, dx);
		BIND(t, cast.x, sum);
	}
	grad_end(t, x, dx);
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
