#include "nn/nn_impl.h"

/* Rows of the kernel are pieces of w's width: one a token, or one a head. */
static int64_t
pieces(const struct op *op)
{
	return op->in[0]->shape[1] / op->in[1]->shape[0];
}

static void
backward(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[0], *w = op->in[1];
	bool add = false, add_w;
	struct mem dx = tape_wants(t, x) ? grad_add(t, x, &add) : mem_rows(t, x, x->shape[1]);
	struct mem dw = tape_wants(t, w) ? grad_add(t, w, &add_w) : mem_of(NULL);
	union dev_args *a = tape_launch(t, K_RMSNORM_BWD);

	a->rmsnorm_bwd.type = x->type;
	a->rmsnorm_bwd.c = op->f.rmsnorm.c;
	a->rmsnorm_bwd.w_plus = op->f.rmsnorm.w_plus;
	a->rmsnorm_bwd.add = add;
	tape_bind_dim(t, offsetof(union dev_args, rmsnorm_bwd.t), x, 0, x->shape[0], pieces(op));
	BIND(t, rmsnorm_bwd.dx, dx);
	BIND(t, rmsnorm_bwd.dw, dw);
	BIND(t, rmsnorm_bwd.dy, grad_of(t, op->out[0]));
	BIND(t, rmsnorm_bwd.x, mem_of(x));
	BIND(t, rmsnorm_bwd.w, mem_of(w));
	BIND(t, rmsnorm_bwd.rstd, op->kept[0]);
}

static const struct op_kind rmsnorm = { "rmsnorm", backward, .cheap = true };

struct tensor *
op_rmsnorm(struct tape *t, struct tensor *x, struct tensor *w, double eps, double w_plus)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || w == NULL || w->ndim != 1 || x->shape[1] % w->shape[0] != 0 ||
	    w->type != tape_wide(t))
		return tape_fail(t, "rmsnorm: x %s and w %s do not fit", shape_text(x).s,
		    shape_text(w).s);
	y = tape_rows_like(t, x, x->shape[1]);
	y->needs_grad = tape_wants(t, x) || tape_wants(t, w);
	op = tape_op(t, &rmsnorm);
	op->in[0] = x;
	op->in[1] = w;
	op->out[0] = y;
	op->kept[0] = mem_wide(t, x, pieces(op));
	a = tape_launch(t, K_RMSNORM);
	a->rmsnorm = (struct k_rmsnorm){ .type = x->type, .c = w->shape[0], .eps = eps,
	    .w_plus = w_plus };
	op->f = *a;
	tape_bind_dim(t, offsetof(union dev_args, rmsnorm.t), x, 0, x->shape[0], pieces(op));
	BIND(t, rmsnorm.y, mem_of(y));
	BIND(t, rmsnorm.x, mem_of(x));
	BIND(t, rmsnorm.w, mem_of(w));
	BIND(t, rmsnorm.rstd, op->kept[0]);
	op->flops = 4.0 * (double)(x->shape[0] * x->shape[1]);
	op->flops_backward = 2 * op->flops;
	op->bytes = 2.0 * (double)tape_bytes(t, x->shape[0] * x->shape[1]);
	return y;
}
