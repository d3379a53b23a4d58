/*
 * Columns of rows: a matrix cut in two, two put together, and the keys and values of multi-head
 * latent attention (arXiv 2405.04434) put together from what it projects.
 */
#include "nn/nn_impl.h"

/* Where rows of heads lie: the first column, and the distances. */
struct part {
	struct mem	m;
	int64_t		at, ld, step;
};

static void
launch_slice(struct tape *t, const struct tensor *rows, int64_t heads, int64_t c,
    struct part y, struct part x)
{
	union dev_args *a = tape_launch(t, K_SLICE);

	a->slice = (struct k_slice){ .type = tape_type(t), .heads = heads, .c = c, .ldy = y.ld,
	    .ldx = x.ld, .stepy = y.step, .stepx = x.step };
	BIND_ROWS(t, slice.t, rows);
	BIND(t, slice.y, mem_at(y.m, tape_bytes(t, y.at)));
	BIND(t, slice.x, mem_at(x.m, tape_bytes(t, x.at)));
}

static void
launch_zero(struct tape *t, const struct tensor *x, struct mem m)
{
	union dev_args *a = tape_launch(t, K_FILL);

	a->fill.type = x->type;
	a->fill.n = x->shape[0] * x->shape[1];
	BIND(t, fill.y, m);
}

/* ---- a matrix cut in two ---- */

static void
backward_split(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[0];
	struct mem dx, dy[2] = { grad_of(t, op->out[0]), grad_of(t, op->out[1]) };
	int64_t at = 0;

	if (!tape_wants(t, x))
		return;
	dx = grad_begin(t, x);
	if (dy[0].slot < 0 || dy[1].slot < 0)
		launch_zero(t, x, dx);
	for (int i = 0; i < 2; i++) {
		int64_t c = op->out[i]->shape[1];

		if (dy[i].slot >= 0)
			launch_slice(t, x, 1, c, (struct part){ dx, at, x->shape[1], c },
			    (struct part){ dy[i], 0, c, c });
		at += c;
	}
	grad_end(t, x, dx);
}

static const struct op_kind split = { "split", backward_split, .cheap = true };

void
op_split(struct tape *t, struct tensor *x, int64_t column, struct tensor *y[2])
{
	struct op *op;

	y[0] = y[1] = tape_none(t);
	if (tape_failed(t))
		return;
	if (!is_activation(t, x) || column < 1 || column >= x->shape[1]) {
		tape_fail(t, "split: x %s at column %lld", shape_text(x).s, (long long)column);
		return;
	}
	op = tape_op(t, &split);
	op->in[0] = x;
	for (int i = 0; i < 2; i++) {
		int64_t c = i == 0 ? column : x->shape[1] - column;

		op->out[i] = y[i] = tape_rows_like(t, x, c);
		y[i]->needs_grad = tape_wants(t, x);
		launch_slice(t, x, 1, c, (struct part){ mem_of(y[i]), 0, c, c },
		    (struct part){ mem_of(x), i == 0 ? 0 : column, x->shape[1], c });
	}
	op->bytes = 2.0 * (double)tape_bytes(t, x->shape[0] * x->shape[1]);
}

/* ---- two matrices side by side ---- */

static void
backward_join(struct tape *t, struct op *op)
{
	struct tensor *y = op->out[0];
	int64_t at = 0;

	for (int i = 0; i < 2; i++) {
		struct tensor *x = op->in[i];
		int64_t c = x->shape[1];

		if (tape_wants(t, x)) {
			struct mem dx = grad_begin(t, x);

			launch_slice(t, x, 1, c, (struct part){ dx, 0, c, c },
			    (struct part){ grad_of(t, y), at, y->shape[1], c });
			grad_end(t, x, dx);
		}
		at += c;
	}
}

static const struct op_kind join = { "join", backward_join, .cheap = true };

struct tensor *
op_join(struct tape *t, struct tensor *a, struct tensor *b)
{
	struct tensor *x[2] = { a, b }, *y;
	struct op *op;
	int64_t at = 0;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, a) || !is_activation(t, b) || !same_rows(a, b))
		return tape_fail(t, "join: %s and %s do not fit", shape_text(a).s,
		    shape_text(b).s);
	y = tape_rows_like(t, a, a->shape[1] + b->shape[1]);
	y->needs_grad = tape_wants(t, a) || tape_wants(t, b);
	op = tape_op(t, &join);
	op->out[0] = y;
	for (int i = 0; i < 2; i++) {
		int64_t c = x[i]->shape[1];

		op->in[i] = x[i];
		launch_slice(t, x[i], 1, c, (struct part){ mem_of(y), at, y->shape[1], c },
		    (struct part){ mem_of(x[i]), 0, c, c });
		at += c;
	}
	op->bytes = 2.0 * (double)tape_bytes(t, y->shape[0] * y->shape[1]);
	return y;
}

/* ---- keys and values of latent attention ---- */

enum { KV, PE };

struct latent {
	int64_t	heads, nope, rope, v;
};

static struct latent
latent_of(const struct op *op)
{
	struct latent l = { .heads = op->f.slice.heads, .nope = op->f.slice.c };

	l.rope = op->in[PE]->shape[1];
	l.v = op->in[KV]->shape[1] / l.heads - l.nope;
	return l;
}

/* Heads of one part of keys, values or what they come from, at a column of each head. */
static struct part
heads_of(struct mem m, const struct latent *l, int64_t each, int64_t at)
{
	return (struct part){ m, at, l->heads * each, each };
}

static void
backward_latent(struct tape *t, struct op *op)
{
	struct tensor *kv = op->in[KV], *pe = op->in[PE];
	struct latent l = latent_of(op);
	struct mem dk = grad_of(t, op->out[0]), dv = grad_of(t, op->out[1]), to;
	int64_t k = l.nope + l.rope, both = l.nope + l.v;

	if (tape_wants(t, kv)) {
		to = grad_begin(t, kv);
		if (dk.slot < 0 || dv.slot < 0)
			launch_zero(t, kv, to);
		if (dk.slot >= 0)
			launch_slice(t, kv, l.heads, l.nope, heads_of(to, &l, both, 0),
			    heads_of(dk, &l, k, 0));
		if (dv.slot >= 0)
			launch_slice(t, kv, l.heads, l.v, heads_of(to, &l, both, l.nope),
			    heads_of(dv, &l, l.v, 0));
		grad_end(t, kv, to);
	}
	if (tape_wants(t, pe) && dk.slot >= 0) {
		to = grad_begin(t, pe);
		launch_slice(t, pe, l.heads, l.rope, (struct part){ to, 0, l.rope, 0 },
		    heads_of(dk, &l, k, l.nope));
		grad_end(t, pe, to);
	}
}

static const struct op_kind latent = { "latent", backward_latent, .cheap = true };

void
op_latent(struct tape *t, struct tensor *kv, struct tensor *pe, int64_t heads, int64_t nope,
    struct tensor **k, struct tensor **v)
{
	struct latent l;
	struct op *op;

	*k = *v = tape_none(t);
	if (tape_failed(t))
		return;
	if (!is_activation(t, kv) || !is_activation(t, pe) || !same_rows(kv, pe) || heads < 1 ||
	    kv->shape[1] % heads != 0 || nope < 1 || kv->shape[1] / heads <= nope) {
		tape_fail(t, "latent: kv %s and positions %s do not fit %lld heads",
		    shape_text(kv).s, shape_text(pe).s, (long long)heads);
		return;
	}
	op = tape_op(t, &latent);
	op->in[KV] = kv;
	op->in[PE] = pe;
	op->f.slice.heads = heads;
	op->f.slice.c = nope;
	l = latent_of(op);
	op->out[0] = *k = tape_rows_like(t, kv, heads * (nope + l.rope));
	op->out[1] = *v = tape_rows_like(t, kv, heads * l.v);
	(*k)->needs_grad = (*v)->needs_grad = tape_wants(t, kv) || tape_wants(t, pe);
	launch_slice(t, kv, heads, nope, heads_of(mem_of(*k), &l, nope + l.rope, 0),
	    heads_of(mem_of(kv), &l, nope + l.v, 0));
	launch_slice(t, kv, heads, l.rope, heads_of(mem_of(*k), &l, nope + l.rope, nope),
	    (struct part){ mem_of(pe), 0, l.rope, 0 });
	launch_slice(t, kv, heads, l.v, heads_of(mem_of(*v), &l, l.v, 0),
	    heads_of(mem_of(kv), &l, nope + l.v, nope));
	op->bytes = 2.0 * (double)tape_bytes(t, kv->shape[0] * (*k)->shape[1] * 2);
}
