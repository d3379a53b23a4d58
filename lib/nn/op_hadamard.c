/*
 * The matrix is symmetric and its own inverse, and so the gradient turns as x does.
 */
#include "nn/nn_impl.h"

static void
turn(struct tape *t, const struct op *op, struct mem y, struct mem x)
{
	union dev_args *a = tape_launch(t, K_HADAMARD);

	a->hadamard = op->f.hadamard;
	BIND_ROWS(t, hadamard.t, op->in[0]);
	BIND(t, hadamard.y, y);
	BIND(t, hadamard.x, x);
}

static void
backward(struct tape *t, struct op *op)
{
	struct mem dx;

	if (!tape_wants(t, op->in[0]))
		return;
	dx = grad_begin(t, op->in[0]);
	turn(t, op, dx, grad_of(t, op->out[0]));
	grad_end(t, op->in[0], dx);
}

static const struct op_kind hadamard = { "hadamard", backward, .cheap = true };

struct tensor *
op_hadamard(struct tape *t, struct tensor *x, int64_t n)
{
	struct tensor *y;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || n < 1 || x->shape[1] % n != 0)
		return tape_fail(t, "hadamard: x %s has no parts of %lld", shape_text(x).s,
		    (long long)n);
	y = tape_rows_like(t, x, x->shape[1]);
	y->needs_grad = tape_wants(t, x);
	op = tape_op(t, &hadamard);
	op->in[0] = x;
	op->out[0] = y;
	op->f.hadamard = (struct k_hadamard){ .type = x->type, .c = x->shape[1], .n = n };
	turn(t, op, mem_of(y), mem_of(x));
	op->bytes = 2.0 * (double)tape_bytes(t, x->shape[0] * x->shape[1]);
	return y;
}
