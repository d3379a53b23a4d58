#include "train/muon.h"

#include <math.h>
#include <stdlib.h>

enum { ROUNDS = 5 };

/* The quintic a x + b x^3 + c x^5 whose rounds drive (0, 1] to about one. */
static const double qa = 3.4445, qb = -4.7750, qc = 2.0315;
static const double momentum_decay = 0.95;

struct muon {
	struct dev	*dev;
	dptr		 x, next;	/* the matrix, and the next round's */
	dptr		 gram, poly;	/* (k, k), k the smaller side */
	dptr		 sumsq;
};

static dptr
alloc(struct muon *m, int64_t elements, struct err *err)
{
	return dev_alloc(m->dev, elements * 4, err);
}

struct muon *
muon_new(struct params *params, struct err *err)
{
	struct muon *m = calloc(1, sizeof(*m));
	int64_t n = 1, k = 1;

	if (m == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	m->dev = params->dev;
	for (int i = 0; i < params->n; i++) {
		const struct param *p = &params->p[i];
		int64_t side;

		if (!p->hidden || !p->trainable)
			continue;
		side = p->shape[0] < p->shape[1] ? p->shape[0] : p->shape[1];
		n = p->n > n ? p->n : n;
		k = side > k ? side : k;
	}
	if ((m->x = alloc(m, n, err)).at == 0 || (m->next = alloc(m, n, err)).at == 0 ||
	    (m->gram = alloc(m, k * k, err)).at == 0 || (m->poly = alloc(m, k * k, err)).at == 0 ||
	    (m->sumsq = alloc(m, 2, err)).at == 0) {
		muon_free(m);
		return NULL;
	}
	return m;
}

void
muon_free(struct muon *m)
{
	if (m == NULL)
		return;
	dev_free(m->dev, m->x);
	dev_free(m->dev, m->next);
	dev_free(m->dev, m->gram);
	dev_free(m->dev, m->poly);
	dev_free(m->dev, m->sumsq);
	free(m);
}

/* c (rows, columns) [+]= alpha op(a) op(b), all of them dense and f32. */
static void
product(struct launches *l, dptr c, dptr a, dptr b, int64_t rows, int64_t columns, int64_t k,
    bool ta, bool tb, bool add, double alpha)
{
	launches_add(l, K_MATMUL, &(union dev_args){ .matmul = {
	    .c = c, .a = a, .b = b, .c_type = DTYPE_F32, .a_type = DTYPE_F32,
	    .b_type = DTYPE_F32, .m = { .cap = rows }, .k = { .cap = k }, .n = columns,
	    .lda = ta ? rows : k, .ldb = tb ? k : columns, .ldc = columns,
	    .ta = ta, .tb = tb, .add = add, .alpha = alpha } });
}

static void
scaled(struct launches *l, dptr y, dptr x, int64_t n, double alpha)
{
	launches_add(l, K_AXPBY, &(union dev_args){ .axpby = {
	    .y = y, .x = x, .type = DTYPE_F32, .n = n, .alpha = alpha } });
}

/* next = a x + (b g + c g g) x, with g = x x^T on the smaller side of x. */
static void
round_of(struct muon *m, struct launches *l, const struct param *p)
{
	int64_t rows = p->shape[0], columns = p->shape[1];
	bool wide = rows <= columns;
	int64_t k = wide ? rows : columns, deep = wide ? columns : rows;
	dptr x = m->x;

	product(l, m->gram, x, x, k, k, deep, !wide, wide, false, 1);
	scaled(l, m->poly, m->gram, k * k, qb);
	product(l, m->poly, m->gram, m->gram, k, k, k, false, false, true, qc);
	scaled(l, m->next, x, p->n, qa);
	if (wide)
		product(l, m->next, m->poly, x, rows, columns, k, false, false, true, 1);
	else
		product(l, m->next, x, m->poly, rows, columns, k, false, false, true, 1);
	m->x = m->next;
	m->next = x;
}

void
muon_record(struct muon *m, struct launches *l, const struct param *p, dptr momentum,
    dptr step, const struct train_options *o)
{
	int64_t side = p->shape[0] > p->shape[1] ? p->shape[0] : p->shape[1];

	launches_add(l, K_MOMENTUM, &(union dev_args){ .momentum = {
	    .y = m->x, .m = momentum, .g = p->grad, .step = step, .n = p->n,
	    .beta = momentum_decay } });
	launches_add(l, K_FILL, &(union dev_args){ .fill = {
	    .y = m->sumsq, .type = DTYPE_F64, .n = 1 } });
	launches_add(l, K_SUMSQ, &(union dev_args){ .sumsq = {
	    .out = m->sumsq, .x = m->x, .type = DTYPE_F32, .n = p->n } });
	launches_add(l, K_NORMALIZE, &(union dev_args){ .normalize = {
	    .y = m->x, .x = m->x, .sumsq = m->sumsq, .n = p->n, .eps = 1e-7 } });
	for (int i = 0; i < ROUNDS; i++)
		round_of(m, l, p);
	launches_add(l, K_UPDATE, &(union dev_args){ .update = {
	    .p = p->master, .x = m->x, .step = step, .n = p->n,
	    .p_out = p->low_at >= 0 ? p->data : (dptr){ 0 }, .p_type = p->type,
	    .lr_scale = 0.2 * sqrt((double)side), .decay = p->decay ? o->decay : 0 } });
}
