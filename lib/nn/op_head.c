/*
 * Chunks of rows share one buffer of logits.  With dlogp the forward pass
 * goes on to dlogits, dx and dw while a chunk's logits are at hand, and the
 * backward pass has nothing left to do.
 */
#include "nn/nn_impl.h"

enum { X, W, TARGET, DLOGP };
enum { LOGP, LSE, ENTROPY };

/*
 * Rows of a chunk: each reads all of w and adds to all of dw, so that few rows
 * wait for memory; fewer only where their logits would be larger than this.
 */
enum { LEAST_ROWS = 64, MOST_ROWS = 512 };
#define LOGITS_BYTES ((int64_t)128 << 20)

struct chunk {
	int64_t		 row0, rows;
	struct mem	 logits;
};

static int64_t
chunk_rows(const struct tape *t, int64_t rows, int64_t vocab)
{
	int64_t n = LOGITS_BYTES / (vocab * dtype_size(tape_wide(t))) / 16 * 16;

	n = n < LEAST_ROWS ? LEAST_ROWS : n > MOST_ROWS ? MOST_ROWS : n;
	return n < rows ? n : rows;
}

/* From row to row of logits: lines of memory begin with them. */
static int64_t
logits_ld(int64_t vocab)
{
	return (vocab + 15) / 16 * 16;
}

static struct mem
chunk_memory(struct tape *t, int64_t rows, int64_t vocab)
{
	return mem_scratch(t, rows * logits_ld(vocab) * dtype_size(tape_wide(t)));
}

static struct mem
row_of(const struct tape *t, struct mem m, const struct tensor *x, int64_t row)
{
	return mem_at(m, tape_bytes(t, row * x->shape[1]));
}

/* logits = x w^T */
static void
chunk_logits(struct tape *t, const struct op *op, const struct chunk *c)
{
	const struct tensor *x = op->in[X], *w = op->in[W];
	union dev_args *a = tape_launch(t, K_MATMUL);

	a->matmul = (struct k_matmul){ .c_type = tape_wide(t), .a_type = x->type,
	    .b_type = w->type, .k = { .cap = w->shape[1] }, .n = w->shape[0], .lda = w->shape[1],
	    .ldb = w->shape[1], .ldc = logits_ld(w->shape[0]), .tb = true, .alpha = 1 };
	tape_bind_dim(t, offsetof(union dev_args, matmul.m), x, c->row0, c->rows, 1);
	BIND(t, matmul.c, c->logits);
	BIND(t, matmul.a, row_of(t, mem_of(x), x, c->row0));
	BIND(t, matmul.b, mem_of(w));
}

#define FIELD(name) (base + offsetof(struct k_xent, name))

/* Addresses of a struct k_xent at base of the launch's arguments. */
static void
bind_xent(struct tape *t, const struct op *op, const struct chunk *c, size_t base)
{
	tape_bind_dim(t, FIELD(t), op->in[X], 0, op->in[X]->shape[0], 1);
	tape_bind(t, FIELD(logits), c->logits);
	tape_bind(t, FIELD(target), mem_of(op->in[TARGET]));
	tape_bind(t, FIELD(lse), op->kept[0]);
	tape_bind(t, FIELD(logp), mem_of(op->out[LOGP]));
}

static struct k_xent
xent_args(const struct op *op, const struct chunk *c)
{
	struct k_xent f = op->f.xent;

	f.row0 = c->row0;
	f.rows = c->rows;
	return f;
}

/*
 * What dlogits are in: products round them to bf16 where the rest is, but in
 * half precision the small ones would be lost.
 */
static dtype
dlogits_type(const struct tape *t, const struct tensor *x)
{
	return x->type == DTYPE_BF16 ? DTYPE_BF16 : tape_wide(t);
}

/* logits become dlogits, then dx [+]= dlogits w and dw += dlogits^T x */
static void
chunk_backward(struct tape *t, struct op *op, const struct chunk *c, struct mem dlogp,
    struct mem dlse, struct mem dx, bool add)
{
	struct tensor *x = op->in[X], *w = op->in[W];
	union dev_args *a = tape_launch(t, K_XENT_BWD);
	dtype type = dlogits_type(t, x);
	int64_t ld = logits_ld(w->shape[0]) * (dtype_size(tape_wide(t)) / dtype_size(type));

	a->xent_bwd = (struct k_xent_bwd){ .f = xent_args(op, c), .ld = ld, .type = type,
	    .z = op->z_loss };
	bind_xent(t, op, c, offsetof(union dev_args, xent_bwd.f));
	BIND(t, xent_bwd.dlogits, c->logits);
	BIND(t, xent_bwd.dlogp, dlogp);
	BIND(t, xent_bwd.dlse, dlse);
	if (tape_wants(t, x)) {
		a = tape_launch(t, K_MATMUL);
		a->matmul = (struct k_matmul){ .c_type = x->type, .a_type = type,
		    .b_type = w->type, .k = { .cap = w->shape[0] }, .n = w->shape[1],
		    .lda = ld, .ldb = w->shape[1], .ldc = w->shape[1],
		    .add = add, .alpha = 1 };
		tape_bind_dim(t, offsetof(union dev_args, matmul.m), x, c->row0, c->rows, 1);
		BIND(t, matmul.c, row_of(t, dx, x, c->row0));
		BIND(t, matmul.a, c->logits);
		BIND(t, matmul.b, mem_of(w));
	}
	if (tape_wants(t, w)) {
		struct mem dw = grad_add(t, w, &add);

		a = tape_launch(t, K_MATMUL);
		a->matmul = (struct k_matmul){ .c_type = tape_wide(t), .a_type = type,
		    .b_type = x->type, .m = { .cap = w->shape[0] }, .n = w->shape[1],
		    .lda = ld, .ldb = w->shape[1], .ldc = w->shape[1],
		    .ta = true, .add = add, .alpha = 1 };
		tape_bind_dim(t, offsetof(union dev_args, matmul.k), x, c->row0, c->rows, 1);
		BIND(t, matmul.c, dw);
		BIND(t, matmul.a, c->logits);
		BIND(t, matmul.b, row_of(t, mem_of(x), x, c->row0));
	}
}

/* Only a head without dlogp comes here: logits are computed again. */
static void
backward(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[X], *w = op->in[W];
	struct mem dlogp = grad_of(t, op->out[LOGP]), dlse = grad_of(t, op->out[LSE]);
	bool add = false;
	struct mem dx = tape_wants(t, x) ? grad_add(t, x, &add) : mem_of(NULL);
	struct chunk c = { .rows = chunk_rows(t, x->shape[0], w->shape[0]) };

	c.logits = chunk_memory(t, c.rows, w->shape[0]);
	for (; c.row0 < x->shape[0]; c.row0 += c.rows) {
		if (c.rows > x->shape[0] - c.row0)
			c.rows = x->shape[0] - c.row0;
		chunk_logits(t, op, &c);
		chunk_backward(t, op, &c, dlogp, dlse, dx, add);
	}
}

static const struct op_kind head = { "head", backward, .once = true },
    head_done = { "head", NULL, .once = true };

static void
forward(struct tape *t, struct op *op)
{
	struct tensor *x = op->in[X], *w = op->in[W], *dlogp = op->in[DLOGP];
	bool add = false, both = dlogp != NULL && tape_backward_on(t);
	struct mem dx = both && tape_wants(t, x) ? grad_add(t, x, &add) : mem_of(NULL);
	struct chunk c = { .rows = chunk_rows(t, x->shape[0], w->shape[0]) };

	c.logits = chunk_memory(t, c.rows, w->shape[0]);
	for (; c.row0 < x->shape[0]; c.row0 += c.rows) {
		if (c.rows > x->shape[0] - c.row0)
			c.rows = x->shape[0] - c.row0;
		chunk_logits(t, op, &c);
		tape_launch(t, K_XENT)->xent = xent_args(op, &c);
		bind_xent(t, op, &c, offsetof(union dev_args, xent));
		BIND(t, xent.entropy, mem_of(op->out[ENTROPY]));
		if (both)
			chunk_backward(t, op, &c, mem_of(dlogp), mem_of(NULL), dx, add);
	}
}

static bool
fits(const struct tape *t, const struct tensor *x, const struct tensor *w,
    const struct tensor *target, const struct tensor *dlogp)
{
	if (!is_activation(t, x) || !is_matrix(w) || w->param == NULL ||
	    x->shape[1] != w->shape[1])
		return false;
	if (target == NULL || target->ndim != 1 || target->type != DTYPE_I32 ||
	    !same_rows(target, x))
		return false;
	return dlogp == NULL || (dlogp->ndim == 1 && dlogp->type == tape_wide(t) &&
	    same_rows(dlogp, x));
}

struct op_head
op_head(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *target,
    struct tensor *dlogp, double softcap, double z_loss, unsigned flags)
{
	struct op_head h = { NULL, NULL, NULL };
	struct op *op;
	double logits;

	if (!tape_failed(t) && !fits(t, x, w, target, dlogp))
		tape_fail(t, "head: x %s, w %s, target or dlogp do not fit", shape_text(x).s,
		    shape_text(w).s);
	if (tape_failed(t)) {
		h.logp = h.lse = h.entropy = tape_none(t);
		return h;
	}
	op = tape_op(t, dlogp != NULL ? &head_done : &head);
	op->in[X] = x;
	op->in[W] = w;
	op->in[TARGET] = target;
	op->in[DLOGP] = dlogp;
	op->z_loss = z_loss;
	h.logp = op->out[LOGP] = tape_row_values(t, x);
	h.logp->needs_grad = dlogp == NULL && (tape_wants(t, x) || tape_wants(t, w));
	if (flags & HEAD_LSE) {
		h.lse = op->out[LSE] = tape_row_values(t, x);
		h.lse->needs_grad = h.logp->needs_grad;
		op->kept[0] = mem_of(h.lse);
	} else {
		op->kept[0] = mem_wide(t, x, 1);
	}
	if (flags & HEAD_ENTROPY)
		h.entropy = op->out[ENTROPY] = tape_row_values(t, x);
	for (int i = 0; i < 3; i++)
		if (op->out[i] != NULL)
			tape_output(t, op->out[i]);
	op->f.xent = (struct k_xent){ .v = w->shape[0], .ld = logits_ld(w->shape[0]),
	    .type = tape_wide(t), .softcap = softcap };
	forward(t, op);
	logits = 2.0 * (double)x->shape[0] * (double)w->shape[0] * (double)w->shape[1];
	op->flops = logits;
	op->flops_backward = logits * (tape_wants(t, x) + tape_wants(t, w) + (dlogp == NULL));
	op->bytes = (double)tape_bytes(t, w->shape[0] * w->shape[1] +
	    x->shape[0] * x->shape[1]);
	return h;
}
