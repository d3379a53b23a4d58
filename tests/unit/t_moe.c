/*
 * Kernels of mixtures of experts and latent attention against double, as
 * t_kernels.c has the others.  Tolerances are a few roundings of float (6e-8),
 * times what a sum of that length may lose (a product of two rows alone may come
 * near 0: more); ids and rows are to be equal.
 */
#include <stdlib.h>
#include <string.h>

#include "../lib/kit.h"
#include "../tap.h"

struct shape {
	int64_t	t, cap, experts, top, groups, top_groups, c, layers;
	bool	sigmoid, pairs, normalize, bias, add, other;
	double	scale;
};

static struct shape
draw(struct kit *k)
{
	static const int64_t ts[] = { 0, 1, 2, 7, 127, 128, 129, 300 };
	static const int64_t es[] = { 1, 2, 4, 8, 12, 16, 48, 64, 160, 256 };
	static const int64_t cs[] = { 1, 3, 8, 13, 16, 31, 64, 100, 257 };
	struct shape s = { .t = ts[kit_draw(k, 0, 7)], .experts = es[kit_draw(k, 0, 9)],
	    .c = cs[kit_draw(k, 0, 8)], .groups = 1, .top_groups = 1 };
	int64_t most;

	s.cap = s.t + kit_draw(k, 0, 3);
	if (s.experts % 4 == 0 && kit_draw(k, 0, 1) == 0) {
		s.groups = 4;
		s.top_groups = kit_draw(k, 1, 4);
	}
	most = s.top_groups * (s.experts / s.groups);
	s.top = kit_draw(k, 1, most < 8 ? most : 8);
	s.layers = kit_draw(k, 1, 3);
	s.sigmoid = kit_draw(k, 0, 1) == 0;
	s.pairs = kit_draw(k, 0, 1) == 0;
	s.normalize = kit_draw(k, 0, 1) == 0;
	s.bias = kit_draw(k, 0, 1) == 0;
	s.add = kit_draw(k, 0, 1) == 0;
	s.other = kit_draw(k, 0, 1) == 0;
	s.scale = kit_draw(k, 0, 1) == 0 ? 1 : 2.5;
	k->act = kit_draw(k, 0, 3) == 0 ? DTYPE_BF16 : DTYPE_F32;
	return s;
}

#define SHAPE const struct shape *s = k->shape
#define AT(i) kit_at(k, (i))
#define WIDE (k->on_ref ? DTYPE_F64 : DTYPE_F32)

/* The count is always the last buffer. */
static void
count(struct kit *k, const struct shape *s)
{
	int32_t t = (int32_t)s->t;

	kit_ints(k, 1, &t);
}

static struct dim
rows(struct kit *k, const struct shape *s)
{
	return (struct dim){ .cap = s->cap, .n = AT(k->n - 1) };
}

/* Different experts of each token; with sorted, rows: a permutation. */
static void
assignments(struct kit *k, const struct shape *s, bool sorted)
{
	int64_t n = s->t * s->top;
	int32_t *x = malloc((size_t)(s->cap * s->top + 1) * sizeof(*x));

	for (int64_t i = 0; i < s->cap * s->top; i++)
		x[i] = INT32_MAX;
	for (int64_t i = 0; i < n && !sorted; i++)
		x[i] = (int32_t)((i % s->top + i / s->top * 7) % s->experts);
	for (int64_t i = 0; i < n && sorted; i++) {
		int64_t j = kit_draw(k, 0, i);

		x[i] = x[j];
		x[j] = (int32_t)i;
	}
	kit_ints(k, s->cap * s->top, x);
	free(x);
}

/* Offsets of all layers: experts of a layer have about as many rows. */
static void
offsets(struct kit *k, const struct shape *s)
{
	int64_t n = s->experts + 1;
	int32_t *x = malloc((size_t)(s->layers * n) * sizeof(*x));

	for (int64_t l = 0; l < s->layers; l++)
		for (int64_t e = 0; e < n; e++)
			x[l * n + e] = (int32_t)(e + 1 == n ? s->t * s->top : e * e * s->t *
			    s->top / (n * n) / (l + 1));
	kit_ints(k, s->layers * n, x);
	free(x);
}

static struct k_route
route_of(struct kit *k, const struct shape *s, dptr id, dptr weight, dptr logits, dptr bias)
{
	return (struct k_route){ .id = id, .weight = weight, .logits = logits,
	    .bias = s->bias ? bias : (dptr){ 0 }, .type = WIDE, .t = rows(k, s),
	    .experts = s->experts, .top = s->top, .groups = s->groups,
	    .top_groups = s->top_groups, .sigmoid = s->sigmoid, .pairs = s->pairs,
	    .normalize = s->normalize, .scale = s->scale };
}

static void
route_bufs(struct kit *k, const struct shape *s)
{
	kit_ints_out(k, s->cap * s->top);
	kit_wide_out(k, s->cap * s->top);
	kit_wide_in(k, s->cap * s->experts, s->t * s->experts, 2);
	kit_wide_in(k, s->experts, s->experts, 0.3);
	count(k, s);
}

static void
route_args(struct kit *k, union dev_args *a)
{
	SHAPE;
	a->route = route_of(k, s, AT(0), AT(1), AT(2), AT(3));
}

static void
route_bwd_bufs(struct kit *k, const struct shape *s)
{
	kit_wide_out(k, s->cap * s->experts);
	assignments(k, s, false);
	kit_wide_in(k, s->cap * s->experts, s->t * s->experts, 2);
	kit_wide_in(k, s->cap * s->top, s->t * s->top, 1);
	offsets(k, s);
	kit_wide_in(k, 1, 1, 1);
	count(k, s);
}

static void
route_bwd_args(struct kit *k, union dev_args *a)
{
	SHAPE;
	a->route_bwd = (struct k_route_bwd){
	    .f = route_of(k, s, AT(1), (dptr){ 0 }, AT(2), (dptr){ 0 }), .dlogits = AT(0),
	    .dweight = s->other ? AT(3) : (dptr){ 0 }, .offset = AT(4),
	    .share = s->add || !s->other ? AT(5) : (dptr){ 0 }, .layers = s->layers, .aux = 0.7,
	    .z = s->pairs ? 0.2 : 0 };
}

static void
sort_bufs(struct kit *k, const struct shape *s)
{
	kit_ints_out(k, s->experts + 1);
	kit_ints_out(k, s->cap * s->top);
	kit_ints_out(k, s->cap * s->top);
	assignments(k, s, false);
	count(k, s);
}

static void
sort_args(struct kit *k, union dev_args *a)
{
	SHAPE;
	a->route_sort = (struct k_route_sort){ AT(0), AT(1), AT(2), AT(3), rows(k, s),
	    s->experts, s->top };
}

static void
sum_bufs(struct kit *k, const struct shape *s)
{
	double *zero = calloc((size_t)s->experts + 1, sizeof(*zero));

	kit_bytes(k, (s->experts + 1) * 8, zero, true);
	kit_wide_in(k, s->cap * s->experts, s->t * s->experts, 2);
	count(k, s);
	free(zero);
}

static void
sum_args(struct kit *k, union dev_args *a)
{
	SHAPE;
	a->route_sum = (struct k_route_sum){ AT(0), AT(1), WIDE, rows(k, s), s->experts,
	    s->sigmoid };
}

static void
balance_bufs(struct kit *k, const struct shape *s)
{
	int64_t n = s->layers * (s->experts + 1);
	double loss[2] = { 3, 4 }, *sum = calloc((size_t)n, sizeof(*sum));

	for (int64_t i = 0; i < n; i++)
		sum[i] = (double)kit_draw(k, 1, 50);
	kit_ints_out(k, s->layers * s->experts);
	kit_bytes(k, 16, loss, true);
	offsets(k, s);
	kit_bytes(k, n * 8, sum, false);
	count(k, s);
	free(sum);
}

static void
balance_args(struct kit *k, union dev_args *a)
{
	SHAPE;
	a->balance = (struct k_balance){ AT(0), AT(1), AT(2), AT(3), rows(k, s), s->experts,
	    s->layers };
}

static void
bias_bufs(struct kit *k, const struct shape *s)
{
	struct dev_step step = { .skip = s->other };
	int32_t *x = malloc((size_t)s->experts * sizeof(*x));

	for (int64_t e = 0; e < s->experts; e++)
		x[e] = (int32_t)kit_draw(k, 0, 3);
	kit_wide_out(k, s->experts);
	kit_ints(k, s->experts, x);
	k->buf[1].out = true;
	kit_bytes(k, sizeof(step), &step, false);
	free(x);
}

static void
bias_args(struct kit *k, union dev_args *a)
{
	SHAPE;
	a->balance_bias = (struct k_balance_bias){ AT(0), AT(1), AT(2), s->experts, 0.01 };
}

static void
combine_bufs(struct kit *k, const struct shape *s)
{
	kit_out(k, s->cap * s->c);
	kit_in(k, s->cap * s->top * s->c, s->t * s->top * s->c, 1);
	assignments(k, s, true);
	kit_wide_in(k, s->cap * s->top, s->t * s->top, 1);
	count(k, s);
}

static void
combine_args(struct kit *k, union dev_args *a)
{
	SHAPE;
	a->combine = (struct k_combine){ AT(0), AT(1), AT(2), s->other ? AT(3) : (dptr){ 0 },
	    k->type, rows(k, s), s->top, s->c, s->add };
}

static void
combine_bwd_bufs(struct kit *k, const struct shape *s)
{
	kit_out(k, s->cap * s->top * s->c);
	kit_wide_out(k, s->cap * s->top);
	kit_in(k, s->cap * s->c, s->t * s->c, 1);
	kit_in(k, s->cap * s->top * s->c, s->t * s->top * s->c, 1);
	assignments(k, s, true);
	kit_wide_in(k, s->cap * s->top, s->t * s->top, 1);
	count(k, s);
}

static void
combine_bwd_args(struct kit *k, union dev_args *a)
{
	SHAPE;
	a->combine_bwd = (struct k_combine_bwd){ AT(0), s->other ? AT(1) : (dptr){ 0 }, AT(2),
	    AT(3), AT(4), AT(5), k->type, rows(k, s), s->top, s->c };
}

/* top heads: from heads of c + 2 into heads of c + 1, to all of them, or of all. */
static void
slice_bufs(struct kit *k, const struct shape *s)
{
	int64_t ldy = s->top * (s->c + 1) + 3, ldx = s->top * (s->c + 2);

	kit_out(k, s->cap * ldy);
	kit_in(k, s->cap * ldx, s->t * ldx, 1);
	count(k, s);
}

static void
slice_args(struct kit *k, union dev_args *a)
{
	SHAPE;
	a->slice = (struct k_slice){ AT(0), AT(1), k->type, rows(k, s), s->top, s->c,
	    s->top * (s->c + 1) + 3, s->top * (s->c + 2), s->other ? s->c + 1 : 0,
	    s->pairs || !s->other ? s->c + 2 : 0, s->add };
}

static const struct test {
	int	kernel;
	void	(*bufs)(struct kit *k, const struct shape *s);
	void	(*args)(struct kit *k, union dev_args *a);
	double	tol;
} tests[] = {
	{ K_ROUTE, route_bufs, route_args, 2e-6 },
	{ K_ROUTE_BWD, route_bwd_bufs, route_bwd_args, 3e-6 },
	{ K_ROUTE_SORT, sort_bufs, sort_args, 0 },
	{ K_ROUTE_SUM, sum_bufs, sum_args, 3e-6 },
	{ K_BALANCE, balance_bufs, balance_args, 1e-12 },
	{ K_BALANCE_BIAS, bias_bufs, bias_args, 1e-7 },
	{ K_COMBINE, combine_bufs, combine_args, 1e-6 },
	{ K_COMBINE_BWD, combine_bwd_bufs, combine_bwd_args, 1e-5 },
	{ K_SLICE, slice_bufs, slice_args, 1e-6 },
};

static void
run(struct kit *k, const struct test *t)
{
	bool good = true;

	for (int i = 0; i < 30 && good; i++) {
		struct shape s = draw(k);

		k->shape = &s;
		t->bufs(k, &s);
		good = kit_agrees(k, t->kernel, t->args, t->tol);
		kit_reset(k);
		if (!good)
			printf("# t %d of %d, %d experts, top %d, groups %d of %d, c %d, %s%s%s\n",
			    (int)s.t, (int)s.cap, (int)s.experts, (int)s.top, (int)s.top_groups,
			    (int)s.groups, (int)s.c, s.sigmoid ? "sigmoid " : "",
			    s.normalize ? "normalize " : "", s.other ? "other" : "");
	}
	ok(good, dev_kernel_name(t->kernel));
}

int
main(void)
{
	struct kit k;

	if (kit_init(&k, 3) < 0)
		return 2;
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		run(&k, &tests[i]);
	kit_free(&k);
	return tap_done();
}
