#include "nn/nn_impl.h"

enum { X, POS, TABLE };

static const struct op_kind rope, rope_tail;

/* The first elements of heads turn; or the last ones, in a copy of all. */
static void
turn(struct tape *t, const struct op *op, struct mem y, struct mem x, bool inverse)
{
	const struct k_rope *f = &op->f.rope;
	bool tail = op->kind == &rope_tail;
	int64_t at = tail ? tape_bytes(t, f->d - f->rot) : 0;
	union dev_args *a;

	if (tail) {
		a = tape_launch(t, K_SLICE);
		a->slice = (struct k_slice){ .type = f->type, .heads = 1, .c = f->ldx,
		    .ldy = f->ldy, .ldx = f->ldx, .stepy = f->ldy, .stepx = f->ldx };
		BIND_ROWS(t, slice.t, op->in[X]);
		BIND(t, slice.y, y);
		BIND(t, slice.x, x);
	}
	a = tape_launch(t, K_ROPE);
	a->rope = *f;
	a->rope.inverse = inverse;
	BIND_ROWS(t, rope.t, op->in[X]);
	BIND(t, rope.y, mem_at(y, at));
	BIND(t, rope.x, mem_at(tail ? y : x, at));
	if (op->in[POS] != NULL)
		BIND(t, rope.pos, mem_of(op->in[POS]));
	BIND(t, rope.table, mem_of(op->in[TABLE]));
}

/* A rotation's gradient is the rotation back. */
static void
backward(struct tape *t, struct op *op)
{
	struct mem dx;

	if (!tape_wants(t, op->in[X]))
		return;
	dx = grad_begin(t, op->in[X]);
	turn(t, op, dx, grad_of(t, op->out[0]), true);
	grad_end(t, op->in[X], dx);
}

static const struct op_kind rope = { "rope", backward, .cheap = true };
static const struct op_kind rope_tail = { "rope", backward, .cheap = true };

static struct tensor *
record(struct tape *t, const struct op_kind *kind, struct tensor *x, struct tensor *pos,
    struct tensor *table, int64_t heads, enum rope_order order)
{
	struct tensor *y;
	struct op *op;
	int64_t d;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, x) || heads < 1 || x->shape[1] % heads != 0)
		return tape_fail(t, "rope: x %s has no %lld heads", shape_text(x).s,
		    (long long)heads);
	d = x->shape[1] / heads;
	if (pos != NULL && (pos->ndim != 1 || pos->type != DTYPE_I32 || !same_rows(pos, x)))
		return tape_fail(t, "rope: positions %s are not those of x %s",
		    shape_text(pos).s, shape_text(x).s);
	if (!is_matrix(table) || table->shape[1] % 2 != 0 || table->shape[1] > d ||
	    table->type != tape_wide(t) || (pos == NULL && !same_rows(table, x)))
		return tape_fail(t, "rope: table %s is not for heads of %lld",
		    shape_text(table).s, (long long)d);
	y = tape_rows_like(t, x, x->shape[1]);
	y->needs_grad = tape_wants(t, x);
	op = tape_op(t, kind);
	op->in[X] = x;
	op->in[POS] = pos;
	op->in[TABLE] = table;
	op->out[0] = y;
	op->f.rope = (struct k_rope){ .type = x->type, .heads = heads, .d = d,
	    .rot = table->shape[1], .ldx = x->shape[1], .ldy = x->shape[1],
	    .positions = table->shape[0], .interleaved = order == TURN_PAIRS,
	    .to_halves = order == TURN_TO_HALVES };
	turn(t, op, mem_of(y), mem_of(x), false);
	op->flops = 3.0 * (double)(x->shape[0] * x->shape[1]);
	op->flops_backward = op->flops;
	op->bytes = 2.0 * (double)tape_bytes(t, x->shape[0] * x->shape[1]);
	return y;
}

struct tensor *
op_rope(struct tape *t, struct tensor *x, struct tensor *pos, struct tensor *table,
    int64_t heads, enum rope_order order)
{
	return record(t, &rope, x, pos, table, heads, order);
}

struct tensor *
op_rope_tail(struct tape *t, struct tensor *x, struct tensor *pos, struct tensor *table,
    int64_t heads, enum rope_order order)
{
	return record(t, &rope_tail, x, pos, table, heads, order);
}
