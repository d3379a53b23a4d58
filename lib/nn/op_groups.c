#include "nn/nn_impl.h"

static bool
fits(const struct tape *t, const struct tensor *x, const struct tensor *w,
    const struct tensor *first, const struct tensor *y)
{
	if (w == NULL || w->ndim != 3 || w->param == NULL || first == NULL || first->ndim != 1 ||
	    first->type != DTYPE_I32 || first->shape[0] != w->shape[0] + 1)
		return false;
	if (!is_activation(t, x) || x->shape[1] != w->shape[2])
		return false;
	return y == NULL || (is_activation(t, y) && same_rows(x, y) &&
	    y->shape[1] == w->shape[1]);
}

struct tensor *
op_groups(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *first,
    struct tensor *y)
{
	bool add = y != NULL;
	union dev_args *a;
	int64_t n, k;

	if (tape_failed(t))
		return tape_none(t);
	if (!fits(t, x, w, first, y))
		return tape_fail(t, "groups: x %s and w %s do not fit", shape_text(x).s,
		    shape_text(w).s);
	n = w->shape[1];
	k = w->shape[2];
	if (!add)
		y = tape_rows_like(t, x, n);
	a = tape_launch(t, K_GROUPED);
	a->grouped = (struct k_grouped){ .groups = w->shape[0], .stride = n * k,
	    .p = { .c_type = y->type, .a_type = x->type, .b_type = w->type, .k = { .cap = k },
	    .n = n, .lda = k, .ldb = k, .ldc = n, .tb = true, .add = add, .alpha = 1 } };
	BIND_ROWS(t, grouped.p.m, x);
	BIND(t, grouped.p.c, mem_of(y));
	BIND(t, grouped.p.a, mem_of(x));
	BIND(t, grouped.p.b, mem_of(w));
	BIND(t, grouped.offset, mem_of(first));
	return y;
}
