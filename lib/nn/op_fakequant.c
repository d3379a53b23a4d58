#include "nn/nn_impl.h"

/* Straight through: the gradient of what was rounded is that of what it was. */
static void
backward(struct tape *t, struct op *op)
{
	grad_pass(t, op->in[0], op->out[0]);
}

static const struct op_kind fake_quant = { "fake_quant", backward };

struct tensor *
op_fake_quant(struct tape *t, struct tensor *w, dtype blocks)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_matrix(w) || w->param == NULL || w->type != DTYPE_F32 ||
	    tape_type(t) != DTYPE_F32)
		return tape_fail(t, "fake_quant: w %s is no fp32 matrix of parameters, or "
		    "activations are not fp32", shape_text(w).s);
	if (dtype_block(blocks) == 1 || w->shape[1] % dtype_block(blocks) != 0)
		return tape_fail(t, "fake_quant: rows of w %s are no blocks of %s",
		    shape_text(w).s, dtype_name(blocks));
	y = tape_new_tensor(t, w->type, ROWS_FIXED, 2, w->shape);
	y->needs_grad = tape_wants(t, w);
	op = tape_op(t, &fake_quant);
	op->in[0] = w;
	op->out[0] = y;
	a = tape_launch(t, K_FAKE_QUANT);
	a->fake_quant = (struct k_fake_quant){ .type = w->type, .blocks = blocks,
	    .rows = w->shape[0], .c = w->shape[1] };
	BIND(t, fake_quant.y, mem_of(y));
	BIND(t, fake_quant.x, mem_of(w));
	op->bytes = 8.0 * (double)(w->shape[0] * w->shape[1]);
	return y;
}
