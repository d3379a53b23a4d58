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
	a = tape_launch(t, K_ACT_BWD);
	a->act_bwd.type = x->type;
	a->act_bwd.act = op->f.act.act;
	a->act_bwd.c = x->shape[1];
	a->act_bwd.add = add;
	BIND_ROWS(t, act_bwd.t, x);
	BIND(t, act_bwd.dx, dx);
	BIND(t, act_bwd.dy, grad_of(t, op->out[0]));
	BIND(t, act_bwd.x, mem_of(x));
}

static const struct op_kind act_kind = { "act", backward, .cheap = true };

struct tensor *
op_act(struct tape *t, struct tensor *x, enum dev_act act)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x))
		return tape_fail(t, "act: x is no matrix of activations");
	y = tape_rows_like(t, x, x->shape[1]);
	y->needs_grad = tape_wants(t, x);
	op = tape_op(t, &act_kind);
	op->in[0] = x;
	op->out[0] = y;
	a = tape_launch(t, K_ACT);
	a->act = (struct k_act){ .type = x->type, .act = act, .c = x->shape[1] };
	op->f = *a;
	BIND_ROWS(t, act.t, x);
	BIND(t, act.y, mem_of(y));
	BIND(t, act.x, mem_of(x));
	op->flops = 8.0 * (double)(x->shape[0] * x->shape[1]);
	op->flops_backward = 2 * op->flops;
	op->bytes = 2.0 * (double)tape_bytes(t, x->shape[0] * x->shape[1]);
	return y;
}
