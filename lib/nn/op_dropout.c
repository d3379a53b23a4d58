#include "nn/nn_impl.h"

/* The same elements of dy stay, and are as much larger. */
static void
launch(struct tape *t, const struct op *op, struct mem y, struct mem x, bool add)
{
	union dev_args *a = tape_launch(t, K_DROPOUT);

	a->dropout = op->f.dropout;
	a->dropout.add = add;
	BIND_ROWS(t, dropout.t, op->in[0]);
	BIND(t, dropout.y, y);
	BIND(t, dropout.x, x);
	BIND(t, dropout.step, mem_of(op->in[1]));
}

static void
backward(struct tape *t, struct op *op)
{
	bool add;
	struct mem dx;

	if (!tape_wants(t, op->in[0]))
		return;
	dx = grad_add(t, op->in[0], &add);
	launch(t, op, dx, grad_of(t, op->out[0]), add);
}

static const struct op_kind dropout = { "dropout", backward, .cheap = true };

struct tensor *
op_dropout(struct tape *t, struct tensor *x, struct tensor *step, double p, uint64_t seed,
    uint64_t number)
{
	struct tensor *y;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || step == NULL || step->type != DTYPE_I64)
		return tape_fail(t, "dropout: x is no matrix of activations, or no step");
	y = tape_rows_like(t, x, x->shape[1]);
	y->needs_grad = tape_wants(t, x);
	op = tape_op(t, &dropout);
	op->in[0] = x;
	op->in[1] = step;
	op->out[0] = y;
	op->f.dropout = (struct k_dropout){ .type = x->type, .c = x->shape[1], .p = p,
	    .seed = seed, .op = number };
	launch(t, op, mem_of(y), mem_of(x), false);
	op->flops = op->flops_backward = 4.0 * (double)(x->shape[0] * x->shape[1]);
	op->bytes = 2.0 * (double)tape_bytes(t, x->shape[0] * x->shape[1]);
	return y;
}
