#include "train/muon_impl.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"

enum { ROUNDS = 5 };

/* The quintic a x + b x^3 + c x^5 whose rounds drive (0, 1] to about one. */
static const double qa = 3.4445, qb = -4.7750, qc = 2.0315;
static const double momentum_decay = 0.95;

struct muon {
	struct dev	*dev;
	dptr		 x;		/* a parameter's momentum */
	dptr		 next;		/* one matrix, a round later */
	dptr		 gram, poly;	/* (k, k), k the smaller side */
	dptr		 sumsq;
};

static dptr
alloc(struct muon *m, int64_t elements, struct err *err)
{
	return dev_alloc(m->dev, elements * 4, err);
}

/* Elements of the largest hidden parameter, of its matrix, of a square of the smaller side. */
struct room { int64_t all, matrix, square; };

static struct room
room_of(const struct params *params)
{
	struct room r = { 64, 64, 64 };

	for (int i = 0; i < params->n; i++) {
		const struct param *p = &params->p[i];
		struct stack k = param_stack(p);
		int64_t side = k.rows < k.cols ? k.rows : k.cols;

		if (!p->hidden || !p->trainable)
			continue;
		r.all = p->n > r.all ? p->n : r.all;
		r.matrix = k.rows * k.cols > r.matrix ? k.rows * k.cols : r.matrix;
		r.square = side * side > r.square ? side * side : r.square;
	}
	return r;
}

int64_t
muon_bytes(const struct params *params)
{
	struct room r = room_of(params);

	return 4 * (r.all + r.matrix + 2 * r.square) + 256;
}

struct muon *
muon_new(struct params *params, struct err *err)
{
	struct muon *m = calloc(1, sizeof(*m));
	struct room r = room_of(params);

	if (m == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	m->dev = params->dev;
	if ((m->x = alloc(m, r.all, err)).at == 0 || (m->next = alloc(m, r.matrix, err)).at == 0 ||
	    (m->gram = alloc(m, r.square, err)).at == 0 ||
	    (m->poly = alloc(m, r.square, err)).at == 0 ||
	    (m->sumsq = alloc(m, 64, err)).at == 0) {
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
	    .ta = ta, .tb = tb, .add = add, .loose = true, .alpha = alpha } });
}

static void
scaled(struct launches *l, dptr y, dptr x, int64_t n, double alpha)
{
	launches_add(l, K_AXPBY, &(union dev_args){ .axpby = {
	    .y = y, .x = x, .type = DTYPE_F32, .n = n, .alpha = alpha } });
}

/* next = a x + (b g + c g g) x, with g = x x^T on the smaller side of x. */
static void
round_of(const struct muon *m, struct launches *l, struct stack k, dptr next, dptr x)
{
	bool wide = k.rows <= k.cols;
	int64_t side = wide ? k.rows : k.cols, deep = wide ? k.cols : k.rows;

	product(l, m->gram, x, x, side, side, deep, !wide, wide, false, 1);
	scaled(l, m->poly, m->gram, side * side, qb);
	product(l, m->poly, m->gram, m->gram, side, side, side, false, false, true, qc);
	scaled(l, next, x, k.rows * k.cols, qa);
	if (wide)
		product(l, next, m->poly, x, k.rows, k.cols, side, false, false, true, 1);
	else
		product(l, next, x, m->poly, k.rows, k.cols, side, false, false, true, 1);
}

/* The momentum of one matrix to norm one, then rounds there and back; where it ends up. */
static dptr
orthogonal(const struct muon *m, struct launches *l, struct stack k, dptr x)
{
	dptr next = m->next, was;
	int64_t n = k.rows * k.cols;

	launches_add(l, K_FILL, &(union dev_args){ .fill = {
	    .y = m->sumsq, .type = DTYPE_F64, .n = 1 } });
	launches_add(l, K_SUMSQ, &(union dev_args){ .sumsq = {
	    .out = m->sumsq, .x = x, .type = DTYPE_F32, .n = n } });
	launches_add(l, K_NORMALIZE, &(union dev_args){ .normalize = {
	    .y = x, .x = x, .sumsq = m->sumsq, .n = n, .eps = 1e-7 } });
	for (int i = 0; i < ROUNDS; i++) {
		round_of(m, l, k, next, x);
		was = x;
		x = next;
		next = was;
	}
	return x;
}

void
muon_record(struct muon *m, struct optim *o, const struct param *p, const struct slot *s)
{
	struct launches *l = &o->update;
	struct stack k = param_stack(p);
	int64_t n = k.rows * k.cols, side = k.rows > k.cols ? k.rows : k.cols;
	dptr copy = param_copy(p);

	launches_add(l, K_MOMENTUM, &(union dev_args){ .momentum = {
	    .y = m->x, .g = p->grad, .step = o->step, .m = s->m, .moments = s->type,
	    .n = p->n, .key = hash64(str_of(p->name)), .beta = momentum_decay } });
	for (int64_t i = 0; i < k.n; i++) {
		dptr x = orthogonal(m, l, k, dptr_add(m->x, i * n * 4));

		launches_add(l, K_UPDATE, &(union dev_args){ .update = {
		    .p = dptr_add(p->master, i * n * 4), .x = x, .step = o->step,
		    .p_out = copy.at != 0 ? dptr_add(copy, i * n * dtype_size(p->type)) : copy,
		    .p_type = p->type, .n = n, .lr_scale = 0.2 * sqrt((double)side),
		    .decay = p->decay ? o->o.decay : 0 } });
	}
}
