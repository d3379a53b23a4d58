/*
 * Recurrences over the tokens of a sequence: causal convolution, and Mamba's
 * selective scan with its gate.
 */
#include "nn/nn_impl.h"

static bool
sequences_fit(const struct tape *t, const struct op_sequences *q, const struct tensor *state)
{
	const struct tensor *cu = q->cu_seqlens;

	if (cu == NULL || cu->ndim != 1 || cu->type != DTYPE_I32 ||
	    cu->shape[0] != tape_seqs(t) + 1)
		return false;
	if (state == NULL)
		return q->slot == NULL;
	return !tape_backward_on(t) && q->slot != NULL && q->slot->type == DTYPE_I32 &&
	    q->slot->shape[0] == tape_seqs(t) && q->pos != NULL && q->pos->type == DTYPE_I32 &&
	    is_matrix(state) && state->type == tape_wide(t);
}

static bool
is_wide(const struct tape *t, const struct tensor *w, int64_t n, int64_t k)
{
	return w != NULL && w->type == tape_wide(t) && w->shape[0] == n &&
	    (k == 0 ? w->ndim == 1 : is_matrix(w) && w->shape[1] == k);
}

/* Where a wide parameter's gradient adds up, or none. */
static struct mem
param_grad(struct tape *t, struct tensor *w)
{
	bool add;

	return tape_wants(t, w) ? grad_add(t, w, &add) : mem_of(NULL);
}

/* ---- convolution ---- */

enum { V_X, V_W, V_BIAS, V_CU_SEQLENS };

#define FIELD(name) (base + offsetof(struct k_conv, name))

static void
bind_conv(struct tape *t, const struct op *op, size_t base)
{
	tape_bind_dim(t, FIELD(t), op->in[V_X], 0, op->in[V_X]->shape[0], 1);
	tape_bind_seqs(t, FIELD(seqs));
	tape_bind(t, FIELD(x), mem_of(op->in[V_X]));
	tape_bind(t, FIELD(w), mem_of(op->in[V_W]));
	tape_bind(t, FIELD(cu_seqlens), mem_of(op->in[V_CU_SEQLENS]));
}

#undef FIELD

static void
conv_backward(struct tape *t, struct op *op)
{
	struct mem dx = grad_begin(t, op->in[V_X]);
	struct mem dw = param_grad(t, op->in[V_W]), db = param_grad(t, op->in[V_BIAS]);
	union dev_args *a = tape_launch(t, K_CONV_BWD);

	a->conv_bwd.f = op->f.conv;
	bind_conv(t, op, offsetof(union dev_args, conv_bwd.f));
	BIND(t, conv_bwd.dx, dx);
	BIND(t, conv_bwd.dw, dw);
	BIND(t, conv_bwd.dbias, db);
	BIND(t, conv_bwd.dy, grad_of(t, op->out[0]));
	grad_end(t, op->in[V_X], dx);
}

/* (C, width), or (C, 1, width) as files have it. */
static bool
taps_fit(const struct tape *t, const struct tensor *w, int64_t c)
{
	return w != NULL && w->type == tape_wide(t) && w->shape[0] == c &&
	    (w->ndim == 2 || (w->ndim == 3 && w->shape[1] == 1));
}

static const struct op_kind conv = { "conv", conv_backward };

struct tensor *
op_conv(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *bias,
    const struct op_sequences *q, struct tensor *state)
{
	struct tensor *y;
	union dev_args *a;
	struct op *op;
	int64_t width;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || !taps_fit(t, w, x->shape[1]) ||
	    (bias != NULL && !is_wide(t, bias, x->shape[1], 0)) || !sequences_fit(t, q, state))
		return tape_fail(t, "conv: x %s, w %s, bias %s or sequences do not fit",
		    shape_text(x).s, shape_text(w).s, shape_text(bias).s);
	y = tape_rows_like(t, x, x->shape[1]);
	y->needs_grad = tape_wants(t, x) || tape_wants(t, w) || tape_wants(t, bias);
	op = tape_op(t, &conv);
	op->in[V_X] = x;
	op->in[V_W] = w;
	op->in[V_BIAS] = bias;
	op->in[V_CU_SEQLENS] = q->cu_seqlens;
	op->out[0] = y;
	width = w->shape[w->ndim - 1];
	op->f.conv = (struct k_conv){ .type = x->type, .c = x->shape[1], .width = width,
	    .ldx = x->shape[1] };
	a = tape_launch(t, K_CONV);
	a->conv = op->f.conv;
	bind_conv(t, op, offsetof(union dev_args, conv));
	BIND(t, conv.y, mem_of(y));
	BIND(t, conv.bias, mem_of(bias));
	if (state != NULL) {
		BIND(t, conv.state, mem_of(state));
		BIND(t, conv.slot, mem_of(q->slot));
		BIND(t, conv.pos, mem_of(q->pos));
	}
	op->flops = 2.0 * (double)(x->shape[0] * x->shape[1] * width);
	op->flops_backward = 2 * op->flops;
	op->bytes = 2.0 * (double)tape_bytes(t, x->shape[0] * x->shape[1]);
	return y;
}

/* ---- the scan ---- */

enum { X, DT, Z, B, C, A_LOG, D, CU_SEQLENS };

#define FIELD(name) (base + offsetof(struct k_scan, name))

static void
bind_scan(struct tape *t, const struct op *op, size_t base)
{
	tape_bind_dim(t, FIELD(t), op->in[X], 0, op->in[X]->shape[0], 1);
	tape_bind_seqs(t, FIELD(seqs));
	tape_bind(t, FIELD(x), mem_of(op->in[X]));
	tape_bind(t, FIELD(dt), mem_of(op->in[DT]));
	tape_bind(t, FIELD(z), mem_of(op->in[Z]));
	tape_bind(t, FIELD(b), mem_of(op->in[B]));
	tape_bind(t, FIELD(c_in), mem_of(op->in[C]));
	tape_bind(t, FIELD(a_log), mem_of(op->in[A_LOG]));
	tape_bind(t, FIELD(d), mem_of(op->in[D]));
	tape_bind(t, FIELD(cu_seqlens), mem_of(op->in[CU_SEQLENS]));
	tape_bind(t, FIELD(saved), op->kept[0]);
}

#undef FIELD

static void
scan_backward(struct tape *t, struct op *op)
{
	struct mem g[5], da = param_grad(t, op->in[A_LOG]), dd = param_grad(t, op->in[D]);
	union dev_args *a;

	for (int i = X; i <= C; i++)
		g[i] = grad_begin(t, op->in[i]);
	a = tape_launch(t, K_SCAN_BWD);
	a->scan_bwd.f = op->f.scan;
	bind_scan(t, op, offsetof(union dev_args, scan_bwd.f));
	BIND(t, scan_bwd.dx, g[X]);
	BIND(t, scan_bwd.ddt, g[DT]);
	BIND(t, scan_bwd.dz, g[Z]);
	BIND(t, scan_bwd.db, g[B]);
	BIND(t, scan_bwd.dc, g[C]);
	BIND(t, scan_bwd.da_log, da);
	BIND(t, scan_bwd.dd, dd);
	BIND(t, scan_bwd.dy, grad_of(t, op->out[0]));
	for (int i = X; i <= C; i++)
		grad_end(t, op->in[i], g[i]);
}

static const struct op_kind scan = { "scan", scan_backward };

static bool
like(const struct tape *t, const struct tensor *x, const struct tensor *as, int64_t width)
{
	return is_activation(t, x) && same_rows(x, as) && x->shape[1] == width;
}

static bool
scan_fits(const struct tape *t, const struct op_scan_in *in, const struct op_sequences *q,
    const struct tensor *state)
{
	int64_t c, n;

	if (!is_activation(t, in->x) || !is_activation(t, in->b))
		return false;
	c = in->x->shape[1];
	n = in->b->shape[1];
	return like(t, in->dt, in->x, c) && like(t, in->z, in->x, c) && like(t, in->b, in->x, n) &&
	    like(t, in->c, in->x, n) && is_wide(t, in->a_log, c, n) && is_wide(t, in->d, c, 0) &&
	    sequences_fit(t, q, state);
}

struct tensor *
op_scan(struct tape *t, const struct op_scan_in *in, const struct op_sequences *q,
    struct tensor *state)
{
	struct tensor *of[] = { in->x, in->dt, in->z, in->b, in->c, in->a_log, in->d,
		q->cu_seqlens }, *y;
	int64_t rows, c, n;
	union dev_args *a;
	struct op *op;

	if (tape_failed(t))
		return tape_none(t);
	if (!scan_fits(t, in, q, state))
		return tape_fail(t, "scan: x %s, b %s, a_log %s or others do not fit",
		    shape_text(in->x).s, shape_text(in->b).s, shape_text(in->a_log).s);
	rows = in->x->shape[0];
	c = in->x->shape[1];
	n = in->b->shape[1];
	y = tape_rows_like(t, in->x, c);
	op = tape_op(t, &scan);
	for (int i = X; i <= CU_SEQLENS; i++) {
		op->in[i] = of[i];
		y->needs_grad |= tape_wants(t, of[i]);
	}
	op->out[0] = y;
	op->kept[0] = tape_backward_on(t) ? mem_scratch(t, (rows + SCAN_PIECE - 1) / SCAN_PIECE *
	    n * c * dtype_size(tape_wide(t))) : mem_of(NULL);
	op->f.scan = (struct k_scan){ .type = in->x->type, .c = c, .n = n, .ldx = c, .ldz = c };
	a = tape_launch(t, K_SCAN);
	a->scan = op->f.scan;
	bind_scan(t, op, offsetof(union dev_args, scan));
	BIND(t, scan.y, mem_of(y));
	if (state != NULL) {
		BIND(t, scan.state, mem_of(state));
		BIND(t, scan.slot, mem_of(q->slot));
		BIND(t, scan.pos, mem_of(q->pos));
	}
	op->flops = 8.0 * (double)(rows * c * n);
	op->flops_backward = 3 * op->flops;
	op->bytes = 4.0 * (double)tape_bytes(t, rows * c);
	return y;
}
