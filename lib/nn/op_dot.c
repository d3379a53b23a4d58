#include "nn/nn_impl.h"

static const struct op_kind dot = { "dot", NULL };

struct tensor *
op_dot(struct tape *t, struct tensor *a, struct tensor *b)
{
	struct tensor *y;
	union dev_args *l;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (a == NULL || a->ndim != 1 || a->type != tape_wide(t) || (b != NULL &&
	    (b->ndim != 1 || b->shape[0] != a->shape[0] || b->type != a->type)))
		return tape_fail(t, "dot: a and b are no vectors of one length");
	y = tape_scalar(t, DTYPE_F64);
	op = tape_op(t, &dot);
	op->in[0] = a;
	op->in[1] = b;
	op->out[0] = y;
	l = tape_launch(t, K_DOT);
	l->dot.type = a->type;
	l->dot.add = true;
	BIND_ROWS(t, dot.n, a);
	BIND(t, dot.out, mem_of(y));
	BIND(t, dot.a, mem_of(a));
	BIND(t, dot.b, mem_of(b));
	op->flops = 2.0 * (double)a->shape[0];
	tape_keep(t, y);
	return y;
}
