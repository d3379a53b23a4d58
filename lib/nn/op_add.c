#include "nn/nn_impl.h"

static void
backward(struct tape *t, struct op *op)
{
	grad_pass(t, op->in[0], op->out[0]);
	grad_pass(t, op->in[1], op->out[0]);
}

static const struct op_kind add = { "add", backward, .cheap = true };

struct tensor *
op_add(struct tape *t, struct tensor *a, struct tensor *b)
{
	struct tensor *y;
	union dev_args *l;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, a) || !is_activation(t, b) || a->shape[1] != b->shape[1] ||
	    !same_rows(a, b))
		return tape_fail(t, "add: %s and %s do not fit", shape_text(a).s, shape_text(b).s);
	y = tape_rows_like(t, a, a->shape[1]);
	y->needs_grad = tape_wants(t, a) || tape_wants(t, b);
	op = tape_op(t, &add);
	op->in[0] = a;
	op->in[1] = b;
	op->out[0] = y;
	l = tape_launch(t, K_ADD);
	l->add.type = y->type;
	l->add.c = y->shape[1];
	BIND_ROWS(t, add.t, y);
	BIND(t, add.y, mem_of(y));
	BIND(t, add.a, mem_of(a));
	BIND(t, add.b, mem_of(b));
	op->flops = (double)(y->shape[0] * y->shape[1]);
	op->bytes = 3.0 * (double)tape_bytes(t, y->shape[0] * y->shape[1]);
	return y;
}
