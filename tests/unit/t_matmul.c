/*
 * Matrix products against double, on random shapes, and that a
 * row's bits never depend on the other rows.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/kit.h"
#include "../tap.h"

/* ---- matmul ---- */

struct mm_case {
	int64_t	m, n, k, cap, lda, ldb, ldc;
	bool	ta, tb, add, bias;
	double	alpha;
	dtype	c_type, a_type, b_type;
};

/* Half of the cases are fp32 throughout, the others any mixture. */
static void
draw_types(struct kit *k, struct mm_case *s)
{
	static const dtype types[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16 };
	bool mixed = kit_draw(k, 0, 1) == 0;

	s->c_type = types[mixed ? kit_draw(k, 0, 2) : 0];
	s->a_type = types[mixed ? kit_draw(k, 0, 2) : 0];
	s->b_type = types[mixed ? kit_draw(k, 0, 2) : 0];
}

static void
mm_args(struct kit *k, union dev_args *a)
{
	const struct mm_case *s = k->shape;
	struct dim m = { .cap = s->m }, kk = { .cap = s->k };

	/* What varies is counted on the device: k where the tokens are summed, else m. */
	*(s->ta ? &kk : &m) = (struct dim){ .cap = s->cap, .n = kit_at(k, 4) };
	a->matmul = (struct k_matmul){
		.c = kit_at(k, 0), .a = kit_at(k, 1), .b = kit_at(k, 2),
		.bias = s->bias ? kit_at(k, 3) : (dptr){ 0 },
		.c_type = kit_type_of(k, 0), .a_type = kit_type_of(k, 1),
		.b_type = kit_type_of(k, 2), .m = m, .k = kk,
		.n = s->n, .lda = s->lda, .ldb = s->ldb, .ldc = s->ldc,
		.ta = s->ta, .tb = s->tb, .add = s->add, .alpha = s->alpha,
	};
}

static bool
mm_agrees(struct kit *k, const struct mm_case *s)
{
	int32_t count = (int32_t)(s->ta ? s->k : s->m);
	int64_t arows = s->ta ? s->k : s->m, brows = s->tb ? s->n : s->k;

	k->shape = s;
	kit_out_as(k, s->c_type, (s->ta ? s->m : s->cap) * s->ldc);
	kit_in_as(k, s->a_type, (arows + s->cap - count) * s->lda, arows * s->lda, 1);
	kit_in_as(k, s->b_type, (brows + 1) * s->ldb, brows * s->ldb, 1);
	kit_wide_in(k, s->n + 3, s->n, 1);
	kit_ints(k, 1, &count);
	bool good = kit_agrees(k, K_MATMUL, mm_args, 3e-6);

	if (!good)
		printf("# %lldx%lldx%lld ta %d tb %d add %d bias %d, %s = %s %s\n",
		    (long long)s->m, (long long)s->n, (long long)s->k, s->ta, s->tb, s->add,
		    s->bias, dtype_name(s->c_type), dtype_name(s->a_type),
		    dtype_name(s->b_type));
	kit_reset(k);
	return good;
}

static void
test_matmul(struct kit *k)
{
	static const int64_t edge[] = { 0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 24, 31, 33, 48, 97, 130,
		255, 256, 257, 300, 383, 385, 600, 900 };
	/* A large result asks for the largest tiles, and needs no long sums for that. */
	enum { N = sizeof(edge) / sizeof(edge[0]), MOST = 16 << 20 };
	bool good = true;

	for (int i = 0; i < 200 && good; i++) {
		struct mm_case s = {
			.m = edge[kit_draw(k, 0, N - 1)], .n = edge[kit_draw(k, 1, N - 1)],
			.k = edge[kit_draw(k, 0, N - 1)],
			.ta = kit_draw(k, 0, 2) == 0, .tb = kit_draw(k, 0, 1) == 0,
			.add = kit_draw(k, 0, 1) == 0, .bias = kit_draw(k, 0, 2) == 0,
			.alpha = kit_draw(k, 0, 1) == 0 ? 1 : 0.5,
		};

		while (s.m * s.n * s.k > MOST)
			s.k = edge[kit_draw(k, 0, N - 1)];
		draw_types(k, &s);
		s.cap = (s.ta ? s.k : s.m) + kit_draw(k, 0, 3);
		s.lda = (s.ta ? s.m : s.k) + kit_draw(k, 0, 1) * 3;
		s.ldb = (s.tb ? s.k + (s.ta ? s.cap - s.k : 0) : s.n) + kit_draw(k, 0, 1) * 5;
		s.ldc = s.n + kit_draw(k, 0, 1) * 7;
		good = mm_agrees(k, &s);
	}
	ok(good, "matrix products of 200 random shapes and types");
}

/* What a GPU makes of its largest tiles, which the shapes above have too few of. */
static void
test_large(struct kit *k)
{
	bool good = true;

	for (int form = 0; form < 4 && good; form++) {
		bool ta = form / 2, tb = form % 2;
		struct mm_case s = { .m = 1000, .n = 1096, .k = 51, .cap = ta ? 51 : 1000,
			.lda = ta ? 1000 : 56, .ldb = tb ? 56 : 1096, .ldc = 1096, .ta = ta, .tb = tb,
			.add = form > 1, .bias = true, .alpha = 0.5, .a_type = DTYPE_BF16,
			.b_type = DTYPE_BF16, .c_type = form == 3 ? DTYPE_BF16 : DTYPE_F32 };

		good = mm_agrees(k, &s);
	}
	ok(good, "matrix products of a million elements");
}

/* ---- grouped ---- */

struct group_case {
	struct mm_case p;
	int64_t	groups, stride;
};

static void
group_args(struct kit *k, union dev_args *a)
{
	const struct group_case *s = k->shape;
	union dev_args p = { 0 };

	k->shape = &s->p;
	mm_args(k, &p);
	k->shape = s;
	a->grouped = (struct k_grouped){ .p = p.matmul, .offset = kit_at(k, 5),
		.groups = s->groups, .stride = s->stride };
}

/* Random cuts of count rows: some groups are empty, some rows are no group's. */
static void
draw_offsets(struct kit *k, int32_t *offset, int64_t groups, int64_t count)
{
	offset[0] = (int32_t)kit_draw(k, 0, count > 3 ? 3 : 0);
	for (int64_t e = 0; e < groups; e++) {
		int64_t left = count - offset[e], most = 2 * left / (groups - e);

		offset[e + 1] = offset[e] + (int32_t)(kit_draw(k, 0, 3) == 0 ? 0 :
		    kit_draw(k, 0, most < left ? most : left));
	}
}

static bool
group_agrees(struct kit *k, struct group_case *s)
{
	const struct mm_case *p = &s->p;
	int32_t count = (int32_t)(p->ta ? p->k : p->m), offset[9];
	int64_t brows = p->tb ? p->n : p->k, b = s->groups * s->stride;

	k->shape = s;
	kit_out_as(k, p->c_type, p->ta ? s->groups * s->stride : p->cap * p->ldc);
	kit_in_as(k, p->a_type, p->cap * p->lda, count * p->lda, 1);
	kit_in_as(k, p->b_type, p->ta ? p->cap * p->ldb : b, p->ta ? brows * p->ldb : b, 1);
	kit_wide_in(k, 1, 1, 1);
	kit_ints(k, 1, &count);
	draw_offsets(k, offset, s->groups, count);
	kit_ints(k, s->groups + 1, offset);
	bool good = kit_agrees(k, K_GROUPED, group_args, 3e-6);

	if (!good)
		printf("# %lld groups of %lldx%lldx%lld ta %d tb %d add %d\n",
		    (long long)s->groups, (long long)p->m, (long long)p->n, (long long)p->k,
		    p->ta, p->tb, p->add);
	kit_reset(k);
	return good;
}

static void
test_grouped(struct kit *k)
{
	static const int64_t edge[] = { 1, 3, 8, 17, 48, 97, 130, 257, 300, 900 };
	enum { N = sizeof(edge) / sizeof(edge[0]) };
	bool good = true;

	for (int i = 0; i < 60 && good; i++) {
		int form = (int)kit_draw(k, 0, 2);
		struct group_case s = { .groups = kit_draw(k, 1, 8), .p = {
			.m = edge[kit_draw(k, 0, N - 1)], .n = edge[kit_draw(k, 0, N - 3)],
			.k = edge[kit_draw(k, 0, N - 1)], .ta = form == 2, .tb = form == 0,
			.add = kit_draw(k, 0, 1) == 0, .alpha = kit_draw(k, 0, 1) == 0 ? 1 : 0.5,
		} };
		struct mm_case *p = &s.p;

		draw_types(k, p);
		p->cap = (p->ta ? p->k : p->m) + kit_draw(k, 0, 3);
		p->lda = (p->ta ? p->m : p->k) + kit_draw(k, 0, 1) * 3;
		p->ldb = (p->tb ? p->k : p->n) + kit_draw(k, 0, 1) * 5;
		p->ldc = p->n + kit_draw(k, 0, 1) * 7;
		s.stride = (p->ta ? p->m * p->ldc : (p->tb ? p->n : p->k) * p->ldb) +
		    kit_draw(k, 0, 9);
		good = group_agrees(k, &s);
	}
	ok(good, "grouped products of 60 random shapes");
}

/* ---- heads ---- */

struct head_case {
	struct mm_case p;
	int64_t	heads, stride, step_a, step_c;
};

static void
head_args(struct kit *k, union dev_args *a)
{
	const struct head_case *s = k->shape;
	union dev_args p = { 0 };

	k->shape = &s->p;
	mm_args(k, &p);
	k->shape = s;
	a->grouped = (struct k_grouped){ .p = p.matmul, .groups = s->heads, .stride = s->stride,
		.step_a = s->step_a, .step_c = s->step_c };
}

static bool
heads_agree(struct kit *k, struct head_case *s)
{
	const struct mm_case *p = &s->p;
	int32_t count = (int32_t)p->m;
	int64_t b = s->heads * s->stride;

	k->shape = s;
	kit_out_as(k, p->c_type, p->cap * p->ldc);
	kit_in_as(k, p->a_type, p->cap * p->lda, count * p->lda, 1);
	kit_in_as(k, p->b_type, b, b, 1);
	kit_wide_in(k, 1, 1, 1);
	kit_ints(k, 1, &count);
	bool good = kit_agrees(k, K_GROUPED, head_args, 3e-6);

	if (!good)
		printf("# %lld heads of %lldx%lldx%lld tb %d\n", (long long)s->heads,
		    (long long)p->m, (long long)p->n, (long long)p->k, p->tb);
	kit_reset(k);
	return good;
}

static void
test_heads(struct kit *k)
{
	static const int64_t rows[] = { 1, 2, 5, 17, 100 }, sizes[] = { 1, 6, 8, 32, 97, 130 };
	bool good = true;

	for (int i = 0; i < 40 && good; i++) {
		struct head_case s = { .heads = kit_draw(k, 1, 6), .p = {
			.m = rows[kit_draw(k, 0, 4)], .n = sizes[kit_draw(k, 0, 5)],
			.k = sizes[kit_draw(k, 0, 5)], .tb = i % 2 == 0, .alpha = 1,
		} };
		struct mm_case *p = &s.p;

		draw_types(k, p);
		p->cap = p->m + kit_draw(k, 0, 3);
		p->ldb = (p->tb ? p->k : p->n) + kit_draw(k, 0, 1) * 5;
		s.stride = (p->tb ? p->n : p->k) * p->ldb + kit_draw(k, 0, 9);
		s.step_a = p->k + kit_draw(k, 0, 3);
		s.step_c = p->n + kit_draw(k, 0, 3);
		p->lda = s.heads * s.step_a;
		p->ldc = s.heads * s.step_c;
		good = heads_agree(k, &s);
	}
	ok(good, "products of the heads of rows, 40 random shapes");
}

/* A product of many rows, and where it runs. */
struct rows_case {
	const char *isa;
	int	threads;
	dtype	a_type, b_type;
	bool	tb;
	int64_t	m, n, k;
	int64_t	every;		/* one row of so many is taken; 0: each */
};

/* Rows of c, computed 1, 2, 3 ... at a time: are they those of all? */
static bool
rows_are_those(struct dev *d, union dev_args *args, const float *all, float *some, int64_t every)
{
	struct k_matmul *p = &args->matmul;
	int64_t n_rows = p->m.cap, row = p->lda * dtype_size(p->a_type);
	struct err err = { 0 };
	dptr a = p->a;

	for (int64_t at = 0, m = 1; at < n_rows; at += m * every, m = m % 29 + every) {
		m = at + m > n_rows ? n_rows - at : m;
		p->m.cap = m;
		p->a = dptr_add(a, at * row);
		dev_launch(d, K_MATMUL, args);
		dev_download(d, some, p->c, 4 * m * p->ldc);
		if (dev_wait(d, &err) < 0 ||
		    memcmp(some, all + at * p->ldc, (size_t)(4 * m * p->ldc)) != 0)
			return false;
	}
	return true;
}

/*
 * Rows of a product of many rows, computed alone or a few at a time: what few
 * rows take another way has the bits of the way of many.
 */
static bool
rows_alone(const struct rows_case *s)
{
	int64_t a_size = dtype_size(s->a_type), b_size = dtype_size(s->b_type);
	int64_t lda = s->k + 3, ldb = (s->tb ? s->k : s->n) + 5, ldc = s->n + 2;
	int64_t b_n = (s->tb ? s->n : s->k) * ldb, x_n = b_n + 11 + s->m * lda;
	struct err err = { 0 };
	struct team *team = team_new(s->threads, &err);
	struct dev *d = dev_open(s->isa, team, 0, &err);
	float *x, *all, *some;
	char *numbers;
	dptr a, b, c;
	bool good;

	if (d == NULL) {
		team_free(team);
		return true;
	}
	x = malloc(sizeof(float) * (size_t)x_n);
	all = calloc(sizeof(float), (size_t)(s->m * ldc));
	some = malloc(sizeof(float) * (size_t)(s->m * ldc));
	numbers = malloc((size_t)(4 * x_n));
	a = dev_alloc(d, a_size * s->m * lda, &err);
	b = dev_alloc(d, b_size * b_n, &err);
	c = dev_alloc(d, 4 * s->m * ldc, &err);
	for (int64_t i = 0; i < x_n; i++)
		x[i] = (float)((i % 1013 * 7919) % 1013) / 500 - 1;
	dtype_convert(numbers, s->a_type, x, DTYPE_F32, s->m * lda);
	dev_upload(d, a, numbers, a_size * s->m * lda);
	dtype_convert(numbers, s->b_type, x + 11, DTYPE_F32, b_n);
	dev_upload(d, b, numbers, b_size * b_n);
	dev_upload(d, c, all, 4 * s->m * ldc);
	union dev_args args = { .matmul = { .c = c, .a = a, .b = b, .c_type = DTYPE_F32,
		.a_type = s->a_type, .b_type = s->b_type, .m = { .cap = s->m },
		.k = { .cap = s->k }, .n = s->n, .lda = lda, .ldb = ldb, .ldc = ldc,
		.tb = s->tb, .alpha = 1 } };

	dev_launch(d, K_MATMUL, &args);
	dev_download(d, all, c, 4 * s->m * ldc);
	good = dev_wait(d, &err) == 0 && rows_are_those(d, &args, all, some,
	    s->every > 0 ? s->every : 1);
	free(x);
	free(all);
	free(some);
	free(numbers);
	dev_close(d);
	team_free(team);
	return good;
}

static bool
all_rows_alone(void)
{
	static const dtype types[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16 };
	static const char *const isa[] = { "cpu", "cpu:avx2", "cpu:base" };
	bool good = true;

	for (int t = 0; t < 3; t++)
		for (int threads = 1; threads <= 3; threads++)
			for (int i = 0; i < 2; i++)
				good = good && rows_alone(&(struct rows_case){ isa[i], threads,
					DTYPE_F32, types[t], true, 211, 83, 1603 });
	for (int i = 0; i < 3; i += 2)
		good = good && rows_alone(&(struct rows_case){ isa[i], 2, DTYPE_F32, DTYPE_F32,
			i == 2, 211, 83, 1603 });
	return good;
}

/* As many rows and columns as make each size of tile. */
static bool
all_rows_alone_on_gpu(void)
{
	return rows_alone(&(struct rows_case){ "cuda", 1, DTYPE_BF16, DTYPE_BF16, true, 910, 1030,
		77, 7 }) &&
	    rows_alone(&(struct rows_case){ "cuda", 1, DTYPE_F16, DTYPE_F16, false, 83, 41, 301,
		3 }) &&
	    rows_alone(&(struct rows_case){ "cuda", 1, DTYPE_F32, DTYPE_BF16, true, 530, 830, 21,
		11 });
}

/* c += a b into a BF16 c: the fp32 result, rounded once. */
static bool
rounds_once(const char *isa, int64_t m, int64_t n, int64_t k)
{
	struct err err = { 0 };
	struct team *team = team_new(2, &err);
	struct dev *d = dev_open(isa, team, 0, &err);
	int64_t in = m * k + n * k, out = m * n;
	uint16_t *x = malloc((size_t)in * 2), *got = malloc((size_t)out * 2);
	float *wide = malloc((size_t)out * 4);
	dptr a, c, cw;
	bool good;

	if (d == NULL) {
		team_free(team);
		return true;
	}
	for (int64_t i = 0; i < in; i++)
		x[i] = f32_to_bf16((float)((i * 7919) % 1013) / 500 - 1);
	for (int64_t i = 0; i < out; i++)
		wide[i] = bf16_to_f32(x[i]);
	a = dev_alloc(d, in * 2, &err);
	c = dev_alloc(d, out * 2, &err);
	cw = dev_alloc(d, out * 4, &err);
	dev_upload(d, a, x, in * 2);
	dev_upload(d, c, x, out * 2);
	dev_upload(d, cw, wide, out * 4);
	union dev_args args = { .matmul = { .c = c, .a = a, .b = dptr_add(a, m * k * 2),
		.c_type = DTYPE_BF16, .a_type = DTYPE_BF16, .b_type = DTYPE_BF16,
		.m = { .cap = m }, .k = { .cap = k }, .n = n, .lda = k, .ldb = k, .ldc = n,
		.tb = true, .add = true, .alpha = 1 } };

	dev_launch(d, K_MATMUL, &args);
	args.matmul.c = cw;
	args.matmul.c_type = DTYPE_F32;
	dev_launch(d, K_MATMUL, &args);
	dev_download(d, got, c, out * 2);
	dev_download(d, wide, cw, out * 4);
	good = dev_wait(d, &err) == 0;
	for (int64_t i = 0; i < out; i++)
		good = good && got[i] == f32_to_bf16(wide[i]);
	free(x);
	free(got);
	free(wide);
	dev_close(d);
	team_free(team);
	return good;
}

/* The squares of c = a^T b [+ c], or of a b^T. */
static double
squares(const char *isa, int threads, const struct mm_case *s, double *want)
{
	struct err err = { 0 };
	struct team *team = team_new(threads, &err);
	struct dev *d = dev_open(isa, team, 0, &err);
	int64_t in = s->k * (s->m + s->n), out = s->m * s->n;
	float *x = malloc((size_t)in * 4), *got = malloc((size_t)out * 4);
	void *y = malloc((size_t)in * 4);
	double sum = 2;
	dptr a, c, sq;

	*want = 0;
	if (d == NULL) {
		free(x);
		free(y);
		free(got);
		team_free(team);
		return 0;
	}
	for (int64_t i = 0; i < in; i++)
		x[i] = (float)((i * 7919) % 1013) / 500 - 1;
	for (int64_t i = 0; i < out; i++)
		got[i] = (float)(i % 17) - 8;
	a = dev_alloc(d, in * 4, &err);
	c = dev_alloc(d, out * 4, &err);
	sq = dev_alloc(d, sizeof(sum), &err);
	dtype_convert(y, s->a_type, x, DTYPE_F32, in);
	dev_upload(d, a, y, in * dtype_size(s->a_type));
	dev_upload(d, c, got, out * 4);
	dev_upload(d, sq, &sum, sizeof(sum));
	union dev_args args = { .matmul = { .c = c, .a = a, .sumsq = sq,
		.b = dptr_add(a, s->k * s->m * dtype_size(s->a_type)), .c_type = DTYPE_F32,
		.a_type = s->a_type, .b_type = s->a_type, .m = { .cap = s->m },
		.k = { .cap = s->k }, .n = s->n, .lda = s->tb ? s->k : s->m,
		.ldb = s->tb ? s->k : s->n, .ldc = s->n, .ta = !s->tb, .tb = s->tb,
		.add = s->add, .alpha = s->alpha } };

	dev_launch(d, K_MATMUL, &args);
	dev_download(d, got, c, out * 4);
	dev_download(d, &sum, sq, sizeof(sum));
	sum -= dev_wait(d, &err) == 0 ? 2 : (double)NAN;
	for (int64_t i = 0; i < out; i++)
		*want += (double)got[i] * (double)got[i];
	free(x);
	free(y);
	free(got);
	dev_close(d);
	team_free(team);
	return sum;
}

/* How far the squares are off; a device that fails is far. */
static double
squares_off(double got, double want)
{
	double off = fabs(got - want) / fmax(want, 1e-30);

	return off >= 0 ? off : 1;
}

/* Not much, where each thread of a GPU is executed. */
static double
squares_on_gpu(void)
{
	static const int64_t size[][3] = { { 200, 130, 30 }, { 9, 70, 90 }, { 1, 1, 0 } };
	double worst = 0, want, got;

	for (size_t i = 0; i < 3; i++)
		for (int k = 0; k < 4; k++) {
			struct mm_case s = { .m = size[i][0], .n = size[i][1], .k = size[i][2],
				.add = k & 1, .a_type = k & 2 ? DTYPE_BF16 : DTYPE_F32,
				.tb = i == 1, .alpha = 0.5 };

			got = squares("cuda", 1, &s, &want);
			worst = fmax(worst, squares_off(got, want));
		}
	return worst;
}

static void
test_squares(void)
{
	static const int64_t size[][3] = {	/* m, n, k */
		{ 768, 640, 256 }, { 97, 33, 2000 }, { 3, 700, 900 }, { 700, 3, 20 },
		{ 1500, 1300, 5 }, { 56, 64, 1 }, { 1, 1, 0 },
	};
	static const char *const isa[] = { "cpu", "cpu:avx2", "cpu:base" };
	double worst = squares_on_gpu();
	bool same = true;

	for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++)
		for (int k = 0; k < 12; k++) {
			struct mm_case s = { .m = size[i][0], .n = size[i][1], .k = size[i][2],
				.add = k & 1, .a_type = k & 2 ? DTYPE_BF16 : DTYPE_F32,
				.tb = i == 2, .alpha = k & 1 ? 0.5 : 1 };
			double want, got = squares(isa[k / 4], 1, &s, &want);

			worst = fmax(worst, squares_off(got, want));
			for (int threads = 2; threads <= 3; threads++)
				same = same && squares(isa[k / 4], threads, &s, &want) == got;
		}
	printf("# sums of squares: %.1e off\n", worst);
	ok(worst < 1e-6, "the sum of squares of a product");
	ok(same, "and its bits do not depend on the threads");
}

int
main(void)
{
	struct kit k;

	if (kit_init(&k, 1) < 0)
		return 2;
	test_matmul(&k);
	test_large(&k);
	test_grouped(&k);
	test_heads(&k);
	ok((k.alone || all_rows_alone()) && all_rows_alone_on_gpu(),
	    "a row's product is the same bits alone, in few rows and in many");
	ok(rounds_once("cpu", 301, 83, 1000) && rounds_once("cpu", 83, 301, 1000) &&
	    rounds_once("cpu", 240, 230, 9001), "sums are rounded once, however k is cut");
	test_squares();
	kit_free(&k);
	return tap_done();
}
