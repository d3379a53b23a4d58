#include "nn/nn_impl.h"

enum { X, W, B };

static void
backward(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[X];
	bool add = false, add_w;
	struct mem dx = tape_wants(t, x) ? grad_add(t, x, &add) : mem_rows(t, x, x->shape[1]);
	struct mem dw = tape_wants(t, op->in[W]) ? grad_add(t, op->in[W], &add_w) : mem_of(NULL);
	struct mem db = tape_wants(t, op->in[B]) ? grad_add(t, op->in[B], &add_w) : mem_of(NULL);
	union dev_args *a = tape_launch(t, K_LAYERNORM_BWD);

	a->layernorm_bwd.type = x->type;
	a->layernorm_bwd.c = x->shape[1];
	a->layernorm_bwd.add = add;
	BIND_ROWS(t, layernorm_bwd.t, x);
	BIND(t, layernorm_bwd.dx, dx);
	BIND(t, layernorm_bwd.dw, dw);
	BIND(t, layernorm_bwd.db, db);
	BIND(t, layernorm_bwd.dy, grad_of(t, op->out[0]));
	BIND(t, layernorm_bwd.x, mem_of(x));
	BIND(t, layernorm_bwd.w, mem_of(op->in[W]));
	BIND(t, layernorm_bwd.mean, op->kept[0]);
	BIND(t, layernorm_bwd.rstd, op->kept[1]);
}

static const struct op_kind layernorm = { "layernorm", backward, .cheap = true };

struct tensor *
op_layernorm(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *b, double eps)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || w == NULL || w->ndim != 1 || x->shape[1] != w->shape[0] ||
	    w->type != tape_wide(t))
		return tape_fail(t, "layernorm: x %s and w %s do not fit", shape_text(x).s,
		    shape_text(w).s);
	if (b != NULL && (b->ndim != 1 || b->shape[0] != w->shape[0] || b->type != w->type))
		return tape_fail(t, "layernorm: w %s and b %s do not fit", shape_text(w).s,
		    shape_text(b).s);
	y = tape_rows_like(t, x, x->shape[1]);
	y->needs_grad = tape_wants(t, x) || tape_wants(t, w) || tape_wants(t, b);
	op = tape_op(t, &layernorm);
	op->in[X] = x;
	op->in[W] = w;
	op->in[B] = b;
	op->out[0] = y;
	op->kept[0] = mem_wide(t, x, 1);
	op->kept[1] = mem_wide(t, x, 1);
	a = tape_launch(t, K_LAYERNORM);
	a->layernorm = (struct k_layernorm){ .type = x->type, .c = x->shape[1], .eps = eps };
	BIND_ROWS(t, layernorm.t, x);
	BIND(t, layernorm.y, mem_of(y));
	BIND(t, layernorm.x, mem_of(x));
	BIND(t, layernorm.w, mem_of(w));
	BIND(t, layernorm.b, mem_of(b));
	BIND(t, layernorm.mean, op->kept[0]);
	BIND(t, layernorm.rstd, op->kept[1]);
	op->flops = 6.0 * (double)(x->shape[0] * x->shape[1]);
	op->flops_backward = 2 * op->flops;
	op->bytes = 2.0 * (double)tape_bytes(t, x->shape[0] * x->shape[1]);
	return y;
}
