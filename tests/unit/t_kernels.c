/*
 * Every kernel but products and attention (t_matmul, t_attention) against
 * double, on random shapes with edges: no rows, one row, odd widths, fewer
 * rows than were planned, adding and not, in each type of activations.
 * Tolerances are a few roundings of float (6e-8), times what a sum of that
 * length may lose (a lone sum or mean near 0: more); the kit adds a type's own rounding.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/kit.h"
#include "../tap.h"

/* What most kernels vary in. */
struct rows {
	int64_t	t, cap, c, ld, v;
	bool	add, flag, other;
	int	kind;
	double	x;
};

static struct rows
draw_rows(struct kit *k)
{
	static const int64_t ts[] = { 0, 1, 2, 7, 127, 128, 129, 300 };
	static const int64_t cs[] = { 1, 3, 8, 13, 16, 31, 64, 100, 257, 688 };
	struct rows r = { .t = ts[kit_draw(k, 0, 7)], .c = cs[kit_draw(k, 0, 9)] };

	r.cap = r.t + kit_draw(k, 0, 3);
	r.ld = r.c + kit_draw(k, 0, 1) * kit_draw(k, 1, 9);
	r.v = kit_draw(k, 1, 40);
	r.add = kit_draw(k, 0, 1) == 0;
	r.flag = kit_draw(k, 0, 1) == 0;
	r.other = kit_draw(k, 0, 1) == 0;
	r.kind = (int)kit_draw(k, 0, 5);
	r.x = kit_draw(k, 0, 1) == 0 ? 1 : 0.7;
	return r;
}

/* Random rows in cap, of which t are numbers; outputs; a vector; the count: always the last. */
static int
in_rows(struct kit *k, const struct rows *r, int64_t ld)
{
	return kit_in(k, r->cap * ld, r->t * ld, 1);
}

static int
out_rows(struct kit *k, const struct rows *r, int64_t ld)
{
	return kit_out(k, r->cap * ld);
}

static int
wide_in_rows(struct kit *k, const struct rows *r)
{
	return kit_wide_in(k, r->cap, r->t, 1);
}

static int
wide_out_rows(struct kit *k, const struct rows *r)
{
	return kit_wide_out(k, r->cap);
}

static void
count(struct kit *k, const struct rows *r)
{
	int32_t t = (int32_t)r->t;

	kit_ints(k, 1, &t);
}

static struct dim
dim_of(struct kit *k, const struct rows *r)
{
	return (struct dim){ .cap = r->cap, .n = kit_at(k, k->n - 1) };
}

static void
ids(struct kit *k, const struct rows *r, int64_t from, int64_t to)
{
	int32_t *x = malloc((size_t)(r->cap + 1) * sizeof(*x));

	for (int64_t i = 0; i < r->cap; i++)
		x[i] = i < r->t ? (int32_t)kit_draw(k, from, to) : INT32_MAX;
	kit_ints(k, r->cap, x);
	free(x);
}

#define R const struct rows *r = k->shape
#define AT(i) kit_at(k, (i))

/* ---- elementwise and by index ---- */

static void
add_args(struct kit *k, union dev_args *a)
{
	R;
	a->add = (struct k_add){ AT(0), AT(1), AT(2), k->type, dim_of(k, r), r->c, r->flag };
}

static void
add_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	in_rows(k, r, r->c);
	if (r->flag)
		kit_wide_in(k, r->c, r->c, 1);
	else
		in_rows(k, r, r->c);
	count(k, r);
}

static void
axpby_args(struct kit *k, union dev_args *a)
{
	R;
	a->axpby = (struct k_axpby){ AT(0), AT(1), k->type, r->t * r->c, r->x, r->add ? 0.25 : 0 };
}

static void
axpby_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	in_rows(k, r, r->c);
}

static void
fill_args(struct kit *k, union dev_args *a)
{
	R;
	a->fill = (struct k_fill){ AT(0), k->type, r->t * r->c, r->flag ? 0 : 1.5 };
}

static void
fill_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
}

static void
copy_args(struct kit *k, union dev_args *a)
{
	R;
	a->copy = (struct k_copy){ AT(0), AT(1), r->t * r->c * dtype_size(k->type) };
}

static void
embed_args(struct kit *k, union dev_args *a)
{
	R;
	a->embed = (struct k_embed){ AT(0), AT(1), AT(2), k->type, dim_of(k, r), r->v, r->c, r->x };
}

static void
embed_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	kit_in(k, r->v * r->c, r->v * r->c, 1);
	ids(k, r, 0, r->v - 1);
	count(k, r);
}

/* Where dw is of the type, each row is added to once: there is one rounding. */
static int64_t
dw_rows(const struct rows *r)
{
	return r->v + (r->other ? 400 : 0);
}

static void
embed_bwd_args(struct kit *k, union dev_args *a)
{
	R;
	a->embed_bwd = (struct k_embed_bwd){ .dw = AT(0), .dy = AT(1), .id = AT(2),
		.type = k->type, .dw_type = r->other ? k->type : DTYPE_NONE, .t = dim_of(k, r),
		.v = dw_rows(r), .c = r->c, .scale = r->x };
}

static void
embed_bwd_bufs(struct kit *k, const struct rows *r)
{
	if (r->other)
		kit_out(k, dw_rows(r) * r->c);
	else
		kit_wide_out(k, dw_rows(r) * r->c);
	in_rows(k, r, r->c);
	ids(k, r, 0, dw_rows(r) - 1);
	for (int32_t i = 0; r->other && i < r->t; i++)
		((int32_t *)k->buf[2].from)[i] = i * 7 % 401;
	count(k, r);
}

static void
scatter_args(struct kit *k, union dev_args *a)
{
	R;
	a->scatter = (struct k_scatter){ AT(0), AT(1), AT(2), k->type, dim_of(k, r), r->c, r->ld,
		r->v, r->other ? kit_type_of(k, 0) : DTYPE_NONE, .parts = 1 };
	if (r->add && r->c % 2 == 0 && r->v % 3 == 0) {
		a->scatter.parts = 2;
		a->scatter.block_size = 3;
	}
}

static void
scatter_bufs(struct kit *k, const struct rows *r)
{
	if (r->other)
		kit_out_as(k, r->flag ? DTYPE_F16 : DTYPE_F32, r->v * r->c);
	else
		kit_out(k, r->v * r->c);
	in_rows(k, r, r->ld);
	ids(k, r, -2, r->v - 1);
	count(k, r);
}

static void
bias_args(struct kit *k, union dev_args *a)
{
	R;
	a->bias_bwd = (struct k_bias_bwd){ AT(0), AT(1), k->type, dim_of(k, r), r->c };
}

static void
bias_bufs(struct kit *k, const struct rows *r)
{
	kit_wide_out(k, r->c);
	in_rows(k, r, r->c);
	count(k, r);
}

/* ---- norms ---- */

static void
rms_args(struct kit *k, union dev_args *a)
{
	R;
	a->rmsnorm = (struct k_rmsnorm){ AT(0), AT(2), AT(3), AT(1), k->type, dim_of(k, r), r->c,
		1e-5, r->flag };
}

static void
rms_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	wide_out_rows(k, r);
	in_rows(k, r, r->c);
	kit_wide_in(k, r->c, r->c, 1);
	count(k, r);
}

static void
rms_bwd_args(struct kit *k, union dev_args *a)
{
	R;
	a->rmsnorm_bwd = (struct k_rmsnorm_bwd){ AT(0), r->other ? AT(1) : (dptr){ 0 }, AT(2),
		AT(3), AT(4), AT(5), k->type, dim_of(k, r), r->c, r->flag, r->add };
}

static void
rms_bwd_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	kit_wide_out(k, r->c);
	in_rows(k, r, r->c);
	in_rows(k, r, r->c);
	kit_wide_in(k, r->c, r->c, 1);
	wide_in_rows(k, r);
	count(k, r);
}

static void
layer_args(struct kit *k, union dev_args *a)
{
	R;
	a->layernorm = (struct k_layernorm){ AT(0), AT(3), AT(4), r->flag ? AT(5) : (dptr){ 0 },
		AT(1), AT(2), k->type, dim_of(k, r), r->c, 1e-5 };
}

static void
layer_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	wide_out_rows(k, r);
	wide_out_rows(k, r);
	in_rows(k, r, r->c);
	kit_wide_in(k, r->c, r->c, 1);
	kit_wide_in(k, r->c, r->c, 1);
	count(k, r);
}

static void
layer_bwd_args(struct kit *k, union dev_args *a)
{
	R;
	a->layernorm_bwd = (struct k_layernorm_bwd){ AT(0), r->other ? AT(1) : (dptr){ 0 },
		r->flag ? AT(2) : (dptr){ 0 }, AT(3), AT(4), AT(5), AT(6), AT(7), k->type,
		dim_of(k, r), r->c, r->add };
}

static void
layer_bwd_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	kit_wide_out(k, r->c);
	kit_wide_out(k, r->c);
	in_rows(k, r, r->c);
	in_rows(k, r, r->c);
	kit_wide_in(k, r->c, r->c, 1);
	wide_in_rows(k, r);
	wide_in_rows(k, r);
	count(k, r);
}

/* ---- columns by numbers of their own ---- */

static void
scale_args(struct kit *k, union dev_args *a)
{
	R;
	a->scale = (struct k_scale){ AT(0), AT(1), r->other ? AT(2) : (dptr){ 0 },
		r->flag ? AT(3) : (dptr){ 0 }, r->add ? AT(4) : (dptr){ 0 }, k->type,
		dim_of(k, r), r->c, r->x };
}

static void
scale_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	in_rows(k, r, r->c);
	for (int i = 0; i < 3; i++)
		kit_wide_in(k, r->c, r->c, 1);
	count(k, r);
}

static void
scale_bwd_args(struct kit *k, union dev_args *a)
{
	R;
	a->scale_bwd = (struct k_scale_bwd){ .f = { .x = AT(3), .w = AT(4),
		.r = r->flag ? AT(5) : (dptr){ 0 }, .type = k->type, .t = dim_of(k, r),
		.c = r->c, .alpha = r->x }, .dx = r->kind > 0 ? AT(0) : (dptr){ 0 },
		.dw = r->other ? AT(1) : (dptr){ 0 }, .dy = AT(2), .add = r->add };
}

static void
scale_bwd_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	kit_wide_out(k, r->c);
	in_rows(k, r, r->c);
	in_rows(k, r, r->c);
	kit_wide_in(k, r->c, r->c, 1);
	kit_wide_in(k, r->c, r->c, 1);
	count(k, r);
}

/* ---- positions, activations ---- */

static void
rope_args(struct kit *k, union dev_args *a)
{
	R;
	int64_t d = r->c + 3, heads = r->v % 4 + 1, rot = r->c / 2 * 2;

	a->rope = (struct k_rope){ AT(0), AT(1), r->other ? (dptr){ 0 } : AT(2), AT(3), k->type,
		dim_of(k, r), heads, d, rot, heads * d + 1, heads * d + 2, r->cap + 50, r->flag, r->add,
		!r->flag && r->v / 4 % 2 != 0 };
}

static void
hadamard_args(struct kit *k, union dev_args *a)
{
	R;
	a->hadamard = (struct k_hadamard){ AT(0), AT(1), k->type, dim_of(k, r),
		(r->v % 3 + 1) << r->v % 9, 1 << r->v % 9 };
}

static void
hadamard_bufs(struct kit *k, const struct rows *r)
{
	int64_t c = (r->v % 3 + 1) << r->v % 9;

	kit_out(k, r->cap * c);
	in_rows(k, r, c);
	count(k, r);
}

static void
rope_bufs(struct kit *k, const struct rows *r)
{
	int64_t d = r->c + 3, heads = r->v % 4 + 1;

	out_rows(k, r, heads * d + 2);
	in_rows(k, r, heads * d + 1);
	ids(k, r, 0, r->cap + 49);
	kit_wide_in(k, (r->cap + 50) * r->c, (r->cap + 50) * r->c, 1);
	count(k, r);
}

static void
act_args(struct kit *k, union dev_args *a)
{
	R;
	a->act = (struct k_act){ AT(0), AT(1), k->type, (enum dev_act)r->kind, dim_of(k, r), r->c };
}

static void
act_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	kit_in(k, r->cap * r->c, r->t * r->c, 4);
	count(k, r);
}

static void
softcap_args(struct kit *k, union dev_args *a)
{
	R;
	a->softcap = (struct k_softcap){ AT(0), AT(1), k->type, dim_of(k, r), r->c, 2 + r->x };
}

static void
act_bwd_args(struct kit *k, union dev_args *a)
{
	R;
	a->act_bwd = (struct k_act_bwd){ AT(0), AT(1), AT(2), k->type, (enum dev_act)r->kind,
		dim_of(k, r), r->c, r->add };
}

static void
act_bwd_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	in_rows(k, r, r->c);
	kit_in(k, r->cap * r->c, r->t * r->c, 4);
	count(k, r);
}

static void
glu_args(struct kit *k, union dev_args *a)
{
	R;
	a->glu = (struct k_glu){ AT(0), AT(1), AT(2), k->type, (enum dev_act)r->kind, dim_of(k, r),
		r->c, r->ld };
}

static void
glu_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->c);
	in_rows(k, r, r->ld);
	in_rows(k, r, r->ld);
	count(k, r);
}

static void
glu_bwd_args(struct kit *k, union dev_args *a)
{
	R;
	a->glu_bwd = (struct k_glu_bwd){ AT(0), AT(1), AT(2), AT(3), AT(4), k->type,
		(enum dev_act)r->kind, dim_of(k, r), r->c, r->ld };
}

static void
glu_bwd_bufs(struct kit *k, const struct rows *r)
{
	out_rows(k, r, r->ld);
	out_rows(k, r, r->ld);
	in_rows(k, r, r->c);
	in_rows(k, r, r->ld);
	in_rows(k, r, r->ld);
	count(k, r);
}

static void
dropout_args(struct kit *k, union dev_args *a)
{
	R;
	a->dropout = (struct k_dropout){ AT(0), AT(1), AT(2), k->type, dim_of(k, r), r->c,
		r->flag ? 0.1 * r->kind : 0.5, 7, (uint64_t)r->v, r->add };
}

static void
dropout_bufs(struct kit *k, const struct rows *r)
{
	int64_t step = 3;

	out_rows(k, r, r->c);
	in_rows(k, r, r->c);
	kit_bytes(k, 8, &step, false);
	count(k, r);
}

/* Of many numbers, is the share that p asks for dropped, and by each key others? */
static void
dropout_is_random(void)
{
	enum { N = 1 << 20 };
	double p = 0.1, n[3] = { 0 }, sigma = sqrt(N * p * (1 - p));
	int64_t near = 0;
	bool good = true;

	for (uint32_t i = 0; i < N; i++) {
		bool a = dropout_bits(1, i) < p * 0x1p31, b = dropout_bits(2, i) < p * 0x1p31;

		n[0] += a;
		n[1] += b;
		n[2] += a && b;
		near += a && dropout_bits(1, i + 1) < p * 0x1p31;
	}
	good = fabs(n[0] - N * p) < 4 * sigma && fabs(n[1] - N * p) < 4 * sigma;
	good = good && fabs(n[2] - N * p * p) < 4 * sigma && fabs((double)near - N * p * p) < 4 * sigma;
	ok(good, "dropout: shares and pairs as by chance");
}

/* ---- the head, in a chunk that starts at row 2 ---- */

static struct k_xent
xent_of(struct kit *k, const struct rows *r)
{
	return (struct k_xent){
		.logits = AT(0), .target = AT(1), .lse = AT(2), .logp = AT(3),
		.entropy = r->flag ? AT(4) : (dptr){ 0 }, .t = dim_of(k, r), .row0 = 2,
		.rows = 100, .v = r->c, .ld = r->ld, .type = k->type, .softcap = r->other ? 3 : 0,
	};
}

static void
xent_args(struct kit *k, union dev_args *a)
{
	a->xent = xent_of(k, k->shape);
}

static void
xent_bufs(struct kit *k, const struct rows *r)
{
	kit_wide_in(k, 100 * r->ld, 100 * r->ld, 3);
	ids(k, r, -1, r->c - 1);
	wide_out_rows(k, r);
	wide_out_rows(k, r);
	wide_out_rows(k, r);
	count(k, r);
}

static void
xent_bwd_args(struct kit *k, union dev_args *a)
{
	R;
	a->xent_bwd = (struct k_xent_bwd){ xent_of(k, r), AT(5), AT(3), r->add ? AT(4) : (dptr){ 0 },
	    r->ld + r->kind, kit_type_of(k, 5), r->flag ? 0.01 : 0 };
}

static void
xent_bwd_bufs(struct kit *k, const struct rows *r)
{
	kit_wide_in(k, 100 * r->ld, 100 * r->ld, 3);
	ids(k, r, -1, r->c - 1);
	kit_wide_in(k, r->cap, r->t, 1);
	wide_in_rows(k, r);
	wide_in_rows(k, r);
	/* As small as these are F16 has no numbers. */
	kit_out_as(k, k->type == DTYPE_F32 ? DTYPE_F32 : DTYPE_BF16, 100 * (r->ld + r->kind));
	count(k, r);
}

/* ---- sums ---- */

static void
dot_args(struct kit *k, union dev_args *a)
{
	R;
	a->dot = (struct k_dot){ AT(0), AT(1), r->flag ? AT(2) : (dptr){ 0 }, k->type,
		dim_of(k, r), r->add };
}

static void
dot_bufs(struct kit *k, const struct rows *r)
{
	double start = 1000;

	kit_bytes(k, 8, &start, true);
	in_rows(k, r, 1);
	in_rows(k, r, 1);
	count(k, r);
}

static void
sumsq_args(struct kit *k, union dev_args *a)
{
	R;
	a->sumsq = (struct k_sumsq){ AT(0), AT(1), k->type, r->t * r->c };
}

static void
sumsq_bufs(struct kit *k, const struct rows *r)
{
	double start = 0.5;

	kit_bytes(k, 8, &start, true);
	in_rows(k, r, r->c);
}

/* ---- casts: every half, and floats of any bits, in pieces that end anywhere ---- */

enum { CASTS = 65536 + 5 };

/* Are n elements of a type the same, a NaN like any other? */
static bool
same_numbers(dtype type, const void *a, const void *b, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		double x, y;

		dtype_convert(&x, DTYPE_F64, (const char *)a + i * dtype_size(type), type, 1);
		dtype_convert(&y, DTYPE_F64, (const char *)b + i * dtype_size(type), type, 1);
		if (memcmp(&x, &y, sizeof(x)) != 0 && (x == x || y == y))
			return false;
	}
	return true;
}

static bool
cast_agrees(struct dev *d, dtype to, dtype from)
{
	uint32_t *bits = calloc(CASTS, 4);
	void *want = malloc(CASTS * 8), *got = malloc(CASTS * 8);
	struct err err = { 0 };
	dptr x = dev_alloc(d, CASTS * 4, &err), y = dev_alloc(d, CASTS * 4, &err);
	bool good;

	for (uint32_t i = 0; i < CASTS; i++) {
		if (dtype_size(from) == 4)
			bits[i] = i * 2654435761u;
		else
			((uint16_t *)bits)[i] = (uint16_t)i;
	}
	dtype_convert(want, to, bits, from, CASTS);
	memset(got, 7, CASTS * 8);
	dev_upload(d, x, bits, CASTS * dtype_size(from));
	for (int64_t at = 0, n = 1; at < CASTS; at += n, n = n * 7 % 65537) {
		union dev_args a = { .cast = { dptr_add(y, at * dtype_size(to)),
		    dptr_add(x, at * dtype_size(from)), to, from, n < CASTS - at ? n : CASTS - at } };

		dev_launch(d, K_CAST, &a);
	}
	dev_download(d, got, y, CASTS * dtype_size(to));
	good = dev_wait(d, &err) == 0 && same_numbers(to, want, got, CASTS);
	free(bits);
	free(want);
	free(got);
	dev_free(d, x);
	dev_free(d, y);
	return good;
}

static void
casts_agree(const char *isa)
{
	static const dtype types[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16 };
	struct err err = { 0 };
	struct team *team = team_new(2, &err);
	struct dev *d = dev_open(isa, team, 0, &err);
	bool good = true;

	for (int i = 0; d != NULL && i < 9; i++)
		if (!cast_agrees(d, types[i / 3], types[i % 3])) {
			printf("# %s: %s from %s\n", isa, dtype_name(types[i / 3]),
			    dtype_name(types[i % 3]));
			good = false;
		}
	ok(good, isa);
	dev_close(d);
	team_free(team);
}

static const struct test {
	int	kernel;
	void	(*bufs)(struct kit *k, const struct rows *r);
	void	(*args)(struct kit *k, union dev_args *a);
	double	tol;
} tests[] = {
	{ K_FILL, fill_bufs, fill_args, 0 },
	{ K_COPY, axpby_bufs, copy_args, 0 },
	{ K_ADD, add_bufs, add_args, 1e-7 },
	{ K_AXPBY, axpby_bufs, axpby_args, 2e-7 },
	{ K_EMBED, embed_bufs, embed_args, 1e-7 },
	{ K_EMBED_BWD, embed_bwd_bufs, embed_bwd_args, 3e-6 },
	{ K_SCATTER, scatter_bufs, scatter_args, 0 },
	{ K_BIAS_BWD, bias_bufs, bias_args, 3e-5 },
	{ K_RMSNORM, rms_bufs, rms_args, 1e-6 },
	{ K_RMSNORM_BWD, rms_bwd_bufs, rms_bwd_args, 3e-6 },
	{ K_LAYERNORM, layer_bufs, layer_args, 2e-5 },
	{ K_LAYERNORM_BWD, layer_bwd_bufs, layer_bwd_args, 3e-6 },
	{ K_SCALE, scale_bufs, scale_args, 5e-7 },
	{ K_SCALE_BWD, scale_bwd_bufs, scale_bwd_args, 3e-6 },
	/* Sums of up to 256 terms. */
	{ K_HADAMARD, hadamard_bufs, hadamard_args, 1e-6 },
	{ K_ROPE, rope_bufs, rope_args, 3e-7 },
	{ K_ACT, act_bufs, act_args, 3e-7 },
	{ K_SOFTCAP, act_bufs, softcap_args, 5e-7 },
	{ K_ACT_BWD, act_bwd_bufs, act_bwd_args, 1e-6 },
	{ K_GLU, glu_bufs, glu_args, 5e-7 },
	{ K_GLU_BWD, glu_bwd_bufs, glu_bwd_args, 1e-6 },
	{ K_DROPOUT, dropout_bufs, dropout_args, 1e-7 },
	{ K_XENT, xent_bufs, xent_args, 4e-6 },
	{ K_XENT_BWD, xent_bwd_bufs, xent_bwd_args, 3e-6 },
	{ K_DOT, dot_bufs, dot_args, 1e-7 },
	{ K_SUMSQ, sumsq_bufs, sumsq_args, 1e-7 },
};

static void
run(struct kit *k, const struct test *t, dtype type)
{
	char what[96];
	bool good = true;

	k->act = type;
	for (int i = 0; i < 25 && good; i++) {
		struct rows r = draw_rows(k);

		k->shape = &r;
		t->bufs(k, &r);
		good = kit_agrees(k, t->kernel, t->args, t->tol);
		kit_reset(k);
		if (!good)
			printf("# t %d of %d c %d ld %d v %d add %d flag %d other %d kind %d\n",
			    (int)r.t, (int)r.cap, (int)r.c, (int)r.ld, (int)r.v, r.add, r.flag,
			    r.other, r.kind);
	}
	snprintf(what, sizeof(what), "%s %s", dev_kernel_name(t->kernel), dtype_name(type));
	ok(good, what);
}

int
main(void)
{
	static const dtype types[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16 };
	struct kit k;

	if (kit_init(&k, 2) < 0)
		return 2;
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		for (int j = 0; j < 3; j++)
			run(&k, &tests[i], types[j]);
	dropout_is_random();
	if (!k.alone) {
		casts_agree("cpu:base");
		casts_agree("cpu:avx2");
		casts_agree("cpu:avx512");
	}
	kit_free(&k);
	return tap_done();
}
