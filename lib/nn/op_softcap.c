#include "nn/nn_impl.h"

static const struct op_kind softcap = { "softcap", NULL };

struct tensor *
op_softcap(struct tape *t, struct tensor *x, double cap)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_matrix(x) || x->type != tape_wide(t) || !(cap > 0))
		return tape_fail(t, "softcap: x %s is no matrix of wide numbers",
		    shape_text(x).s);
	y = tape_rows_wide(t, x, x->shape[1]);
	op = tape_op(t, &softcap);
	op->in[0] = x;
	op->out[0] = y;
	a = tape_launch(t, K_SOFTCAP);
	a->softcap = (struct k_softcap){ .type = x->type, .c = x->shape[1], .cap = cap };
	op->f = *a;
	BIND_ROWS(t, softcap.t, x);
	BIND(t, softcap.y, mem_of(y));
	BIND(t, softcap.x, mem_of(x));
	op->flops = 8.0 * (double)(x->shape[0] * x->shape[1]);
	op->bytes = 8.0 * (double)(x->shape[0] * x->shape[1]);
	return y;
}
