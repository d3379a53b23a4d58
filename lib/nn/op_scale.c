/* What adapters need: columns by numbers of their own, and the norms of adapted rows. */
#include <math.h>

#include "nn/nn_impl.h"

enum { X, W, R, BIAS };

static void
backward(struct tape *t, struct op *op)
{
	struct mem dy = grad_of(t, op->out[0]), dx = mem_of(NULL), dw = mem_of(NULL);
	bool add = false, adds;
	union dev_args *a;

	grad_bias(t, op->in[BIAS], op->out[0]);
	if (!tape_wants(t, op->in[X]) && !tape_wants(t, op->in[W]))
		return;
	if (tape_wants(t, op->in[X]))
		dx = grad_add(t, op->in[X], &add);
	if (tape_wants(t, op->in[W]))
		dw = grad_add(t, op->in[W], &adds);
	a = tape_launch(t, K_SCALE_BWD);
	a->scale_bwd.f = op->f.scale;
	a->scale_bwd.add = add;
	BIND_ROWS(t, scale_bwd.f.t, op->in[X]);
	BIND(t, scale_bwd.f.x, mem_of(op->in[X]));
	BIND(t, scale_bwd.f.w, mem_of(op->in[W]));
	BIND(t, scale_bwd.f.r, mem_of(op->in[R]));
	BIND(t, scale_bwd.dx, dx);
	BIND(t, scale_bwd.dw, dw);
	BIND(t, scale_bwd.dy, dy);
}

static const struct op_kind scale = { "scale", backward }, row_norm = { "row_norm", NULL };

/* A wide number for each of c columns, or NULL. */
static bool
is_row(const struct tape *t, const struct tensor *w, int64_t c)
{
	return w == NULL || (w->ndim == 1 && w->shape[0] == c && w->type == tape_wide(t));
}

struct tensor *
op_scale(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *r,
    struct tensor *bias, double alpha)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || !is_row(t, w, x->shape[1]) || !is_row(t, r, x->shape[1]) ||
	    !is_row(t, bias, x->shape[1]))
		return tape_fail(t, "scale: x %s, w %s, r %s and bias %s do not fit",
		    shape_text(x).s, shape_text(w).s, shape_text(r).s, shape_text(bias).s);
	if ((w != NULL && w->param == NULL) || (bias != NULL && bias->param == NULL) ||
	    tape_wants(t, r))
		return tape_fail(t, "scale: w or bias is no parameter, or r wants a gradient");
	y = tape_rows_like(t, x, x->shape[1]);
	y->needs_grad = tape_wants(t, x) || tape_wants(t, w) || tape_wants(t, bias);
	op = tape_op(t, &scale);
	op->in[X] = x;
	op->in[W] = w;
	op->in[R] = r;
	op->in[BIAS] = bias;
	op->out[0] = y;
	a = tape_launch(t, K_SCALE);
	a->scale = (struct k_scale){ .type = x->type, .c = x->shape[1], .alpha = alpha };
	op->f = *a;
	BIND_ROWS(t, scale.t, x);
	BIND(t, scale.y, mem_of(y));
	BIND(t, scale.x, mem_of(x));
	BIND(t, scale.w, mem_of(w));
	BIND(t, scale.r, mem_of(r));
	BIND(t, scale.bias, mem_of(bias));
	op->flops = 2.0 * (double)(x->shape[0] * x->shape[1]);
	op->flops_backward = 2 * op->flops;
	op->bytes = 2.0 * (double)tape_bytes(t, x->shape[0] * x->shape[1]);
	return y;
}

/* v = w + alpha b a, wide */
static void
adapted(struct tape *t, struct mem v, const struct op *op, double alpha)
{
	const struct tensor *w = op->in[0], *a = op->in[1], *b = op->in[2];
	union dev_args *l = tape_launch(t, K_CAST);

	l->cast = (struct k_cast){ .y_type = tape_wide(t), .x_type = w->type,
	    .n = w->shape[0] * w->shape[1] };
	BIND(t, cast.y, v);
	BIND(t, cast.x, mem_of(w));
	l = tape_launch(t, K_MATMUL);
	l->matmul = (struct k_matmul){ .c_type = tape_wide(t), .a_type = b->type,
	    .b_type = a->type, .m = { .cap = w->shape[0] }, .k = { .cap = a->shape[0] },
	    .n = w->shape[1], .lda = b->shape[1], .ldb = a->shape[1], .ldc = w->shape[1],
	    .add = true, .alpha = alpha };
	BIND(t, matmul.c, v);
	BIND(t, matmul.a, mem_of(b));
	BIND(t, matmul.b, mem_of(a));
}

struct tensor *
op_row_norm(struct tape *t, struct tensor *w, struct tensor *a, struct tensor *b, double alpha)
{
	struct mem v, ones, y;
	union dev_args *l;
	struct op *op;
	int64_t bytes;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_matrix(w) || !is_matrix(a) || !is_matrix(b) || w->shape[0] != b->shape[0] ||
	    w->shape[1] != a->shape[1] || a->shape[0] != b->shape[1] || w->param == NULL ||
	    a->param == NULL || b->param == NULL)
		return tape_fail(t, "row_norm: w %s, a %s and b %s do not fit, or are no "
		    "parameters", shape_text(w).s, shape_text(a).s, shape_text(b).s);
	bytes = dtype_size(tape_wide(t));
	op = tape_op(t, &row_norm);
	op->in[0] = w;
	op->in[1] = a;
	op->in[2] = b;
	op->out[0] = tape_row_values(t, w);
	v = mem_scratch(t, w->shape[0] * w->shape[1] * bytes);
	y = mem_scratch(t, w->shape[0] * w->shape[1] * bytes);
	ones = mem_scratch(t, w->shape[1] * bytes);
	adapted(t, v, op, alpha);
	l = tape_launch(t, K_FILL);
	l->fill = (struct k_fill){ .type = tape_wide(t), .n = w->shape[1], .value = 1 };
	BIND(t, fill.y, ones);
	l = tape_launch(t, K_RMSNORM);
	l->rmsnorm = (struct k_rmsnorm){ .type = tape_wide(t), .t = { .cap = w->shape[0] },
	    .c = w->shape[1] };
	BIND(t, rmsnorm.y, y);
	BIND(t, rmsnorm.x, v);
	BIND(t, rmsnorm.w, ones);
	BIND(t, rmsnorm.rstd, mem_of(op->out[0]));
	op->flops = 2.0 * (double)(w->shape[0] * w->shape[1]) * (double)(a->shape[0] + 2);
	op->bytes = 6.0 * (double)(w->shape[0] * w->shape[1] * bytes);
	return op->out[0];
}
