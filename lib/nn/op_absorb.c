/*
 * Latent attention through a cache of latents: what makes a head's keys is taken
 * over to its query, and what makes its values to its result (arXiv 2405.04434, 2.1.2).
 */
#include "nn/nn_impl.h"

/* What a head has in w (heads * rows, rank): rows of it, from one on. */
struct head {
	int64_t	heads, rows, first, rank;
};

static bool
fits(const struct tape *t, const struct tensor *x, const struct tensor *w, int64_t heads)
{
	return is_activation(t, x) && is_matrix(w) && heads > 0 && x->shape[1] % heads == 0 &&
	    w->shape[0] % heads == 0;
}

/* Each head's first k elements of x by its rows, to the first n of y. */
static void
launch_heads(struct tape *t, const struct head *h, struct tensor *y, struct tensor *x,
    struct tensor *w, int64_t k, int64_t n, bool turned)
{
	union dev_args *a = tape_launch(t, K_GROUPED);

	a->grouped = (struct k_grouped){ .groups = h->heads, .stride = h->rows * h->rank,
	    .step_a = x->shape[1] / h->heads, .step_c = y->shape[1] / h->heads,
	    .p = { .c_type = y->type, .a_type = x->type, .b_type = w->type, .k = { .cap = k },
	    .n = n, .lda = x->shape[1], .ldb = h->rank, .ldc = y->shape[1], .tb = turned,
	    .alpha = 1 } };
	BIND_ROWS(t, grouped.p.m, x);
	BIND(t, grouped.p.c, mem_of(y));
	BIND(t, grouped.p.a, mem_of(x));
	BIND(t, grouped.p.b, mem_at(mem_of(w), dtype_bytes(w->type, h->first * h->rank)));
}

/* Each head's elements of x from `from` on, to those of y from `to' on. */
static void
launch_copy(struct tape *t, int64_t heads, struct tensor *y, int64_t to, struct tensor *x,
    int64_t from)
{
	union dev_args *a = tape_launch(t, K_SLICE);
	int64_t each = x->shape[1] / heads;

	a->slice = (struct k_slice){ .type = tape_type(t), .heads = heads, .c = each - from,
	    .ldy = y->shape[1], .ldx = x->shape[1], .stepy = y->shape[1] / heads,
	    .stepx = each };
	BIND_ROWS(t, slice.t, x);
	BIND(t, slice.y, mem_at(mem_of(y), tape_bytes(t, to)));
	BIND(t, slice.x, mem_at(mem_of(x), tape_bytes(t, from)));
}

struct tensor *
op_absorb_query(struct tape *t, struct tensor *q, struct tensor *w, int64_t heads, int64_t nope)
{
	struct head h = { .heads = heads };
	struct tensor *y;

	if (tape_failed(t))
		return tape_none(t);
	if (!fits(t, q, w, heads) || nope > q->shape[1] / heads || nope > w->shape[0] / heads)
		return tape_fail(t, "absorb: q %s and w %s do not fit %lld heads",
		    shape_text(q).s, shape_text(w).s, (long long)heads);
	h.rows = w->shape[0] / heads;
	h.rank = w->shape[1];
	y = tape_rows_like(t, q, q->shape[1] + heads * (h.rank - nope));
	launch_heads(t, &h, y, q, w, nope, h.rank, false);
	launch_copy(t, heads, y, h.rank, q, nope);
	return y;
}

struct tensor *
op_absorb_value(struct tape *t, struct tensor *x, struct tensor *w, int64_t heads, int64_t nope)
{
	struct head h = { .heads = heads, .first = nope };
	struct tensor *y;

	if (tape_failed(t))
		return tape_none(t);
	if (!fits(t, x, w, heads) || x->shape[1] != heads * w->shape[1] ||
	    nope >= w->shape[0] / heads)
		return tape_fail(t, "absorb: x %s and w %s do not fit %lld heads",
		    shape_text(x).s, shape_text(w).s, (long long)heads);
	h.rows = w->shape[0] / heads;
	h.rank = w->shape[1];
	y = tape_rows_like(t, x, heads * (h.rows - nope));
	launch_heads(t, &h, y, x, w, h.rank, h.rows - nope, true);
	return y;
}
