#include "nn/nn_impl.h"

enum { X, W, BIAS };

/* dx = dy w */
static void
backward_x(struct tape *t, struct op *op, struct mem dy)
{
	struct tensor *x = op->in[X], *w = op->in[W];
	bool add;
	struct mem dx = grad_add(t, x, &add);
	union dev_args *a = tape_launch(t, K_MATMUL);

	a->matmul = (struct k_matmul){ .c_type = x->type,
	    .a_type = op->out[0]->type, .b_type = w->type,
	    .k = { .cap = w->shape[0] }, .n = w->shape[1], .lda = w->shape[0],
	    .ldb = w->shape[1], .ldc = w->shape[1], .add = add, .alpha = 1 };
	BIND_ROWS(t, matmul.m, x);
	BIND(t, matmul.c, dx);
	BIND(t, matmul.a, dy);
	BIND(t, matmul.b, mem_of(w));
}

/* dw += dy^T x */
static void
backward_w(struct tape *t, struct op *op, struct mem dy)
{
	struct tensor *x = op->in[X], *w = op->in[W];
	bool add;
	struct mem dw = grad_add(t, w, &add);
	union dev_args *a = tape_launch(t, K_MATMUL);

	a->matmul = (struct k_matmul){ .c_type = tape_wide(t),
	    .a_type = op->out[0]->type, .b_type = x->type,
	    .m = { .cap = w->shape[0] }, .n = w->shape[1], .lda = w->shape[0],
	    .ldb = w->shape[1], .ldc = w->shape[1], .ta = true, .add = add, .alpha = 1 };
	BIND_ROWS(t, matmul.k, x);
	BIND(t, matmul.c, dw);
	BIND(t, matmul.a, dy);
	BIND(t, matmul.b, mem_of(x));
}

void
grad_bias(struct tape *t, struct tensor *bias, const struct tensor *y)
{
	struct mem dy = grad_of(t, y), db;
	union dev_args *a;
	bool add;

	if (!tape_wants(t, bias))
		return;
	db = grad_add(t, bias, &add);
	a = tape_launch(t, K_BIAS_BWD);
	a->bias_bwd.type = tape_type(t);
	a->bias_bwd.c = bias->shape[0];
	BIND_ROWS(t, bias_bwd.t, y);
	BIND(t, bias_bwd.db, db);
	BIND(t, bias_bwd.dy, dy);
}

static void
backward(struct tape *t, struct op *op)
{
	struct mem dy = grad_of(t, op->out[0]);

	grad_bias(t, op->in[BIAS], op->out[0]);
	if (tape_wants(t, op->in[W]))
		backward_w(t, op, dy);
	if (tape_wants(t, op->in[X]))
		backward_x(t, op, dy);
}

static const struct op_kind linear = { "linear", backward }, logits = { "logits", backward };

/* y = x w^T + bias */
static void
forward(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[X], *w = op->in[W], *y = op->out[0];
	union dev_args *a = tape_launch(t, K_MATMUL);

	a->matmul = (struct k_matmul){ .c_type = y->type, .a_type = x->type, .b_type = w->type,
	    .k = { .cap = w->shape[1] }, .n = w->shape[0], .lda = w->shape[1],
	    .ldb = w->shape[1], .ldc = w->shape[0], .tb = true, .alpha = 1 };
	BIND_ROWS(t, matmul.m, x);
	BIND(t, matmul.c, mem_of(y));
	BIND(t, matmul.a, mem_of(x));
	BIND(t, matmul.b, mem_of(w));
	BIND(t, matmul.bias, mem_of(op->in[BIAS]));
	op->flops = 2.0 * (double)x->shape[0] * (double)w->shape[0] * (double)w->shape[1];
	op->bytes = (double)tape_bytes(t, x->shape[0] * (w->shape[0] + w->shape[1]) +
	    w->shape[0] * w->shape[1]);
}

struct tensor *
op_linear(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *bias)
{
	struct tensor *y;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_matrix(x) || !is_matrix(w) || x->shape[1] != w->shape[1])
		return tape_fail(t, "linear: x %s and w %s do not fit", shape_text(x).s,
		    shape_text(w).s);
	if ((w->param == NULL && w->rows != ROWS_FIXED) || !is_activation(t, x))
		return tape_fail(t, "linear: x is no activation or w no parameter");
	if (bias != NULL && (bias->ndim != 1 || bias->shape[0] != w->shape[0] ||
	    bias->param == NULL || bias->type != tape_wide(t)))
		return tape_fail(t, "linear: bias %s and w %s do not fit", shape_text(bias).s,
		    shape_text(w).s);
	y = tape_rows_like(t, x, w->shape[0]);
	y->needs_grad = tape_wants(t, x) || tape_wants(t, w) || tape_wants(t, bias);
	op = tape_op(t, &linear);
	op->in[X] = x;
	op->in[W] = w;
	op->in[BIAS] = bias;
	op->out[0] = y;
	forward(t, op);
	op->flops_backward = op->flops * (tape_wants(t, x) + tape_wants(t, w));
	return y;
}

struct tensor *
op_logits(struct tape *t, struct tensor *x, struct tensor *w)
{
	struct tensor *y;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || !is_matrix(w) || w->param == NULL ||
	    x->shape[1] != w->shape[1])
		return tape_fail(t, "logits: x %s and w %s do not fit", shape_text(x).s,
		    shape_text(w).s);
	y = tape_rows_wide(t, x, w->shape[0]);
	y->needs_grad = tape_wants(t, x) || tape_wants(t, w);
	op = tape_op(t, &logits);
	op->in[X] = x;
	op->in[W] = w;
	op->out[0] = y;
	forward(t, op);
	op->flops_backward = op->flops * (tape_wants(t, x) + tape_wants(t, w));
	return y;
}
