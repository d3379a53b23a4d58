/*
 * Products with quantized weights, against double of the decoded weights and of
 * the rounded activations; and that a row's bits depend on nothing else.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/quant.h"
#include "base/rng.h"
#include "nn/ops.h"
#include "../lib/blocks.h"
#include "../lib/memory.h"
#include "../tap.h"

static const char *const isas[] = { "cpu:amx", "cpu:avx512bf16", "cpu:avx512", "cpu:avx2",
    "cpu:base" };
enum { ISAS = sizeof(isas) / sizeof(isas[0]) };

static uint64_t drawn;

static int64_t
draw(int64_t from, int64_t to)
{
	return draw_from(&drawn, from, to);
}

/* ---- operands ---- */

/* Rows of k as products with quantized weights see them. */
static void
round_activations(float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i += 32) {
		float most = 0, scale, inverse;

		for (int j = 0; j < 32; j++)
			most = fmaxf(most, fabsf(x[i + j]));
		scale = most / 127;
		inverse = most > 0 ? 127 / most : 0;
		for (int j = 0; j < 32; j++)
			x[i + j] = rintf(x[i + j] * inverse) * scale;
	}
}

/* ---- cases ---- */

struct qcase {
	int	 t;			/* of types */
	int64_t	 m, n, k, lda, ldb, ldc, groups, stride;
	bool	 tb, add, bias;
	double	 alpha;
	dtype	 a_type, c_type;
	int32_t	 offset[5];
};

struct operands {
	void	*a, *c;
	uint8_t	*b;
	float	*bias, *wa, *wb, *wc;	/* what they mean */
	int64_t	 n_a, n_b, n_c;
};

static struct operands
operands_of(const struct qcase *s)
{
	struct operands o = { .n_a = s->m * s->lda, .n_c = s->m * s->ldc,
		.n_b = (s->groups > 0 ? s->groups * s->stride : (s->tb ? s->n : s->k) * s->ldb) };

	o.wa = must(malloc((size_t)o.n_a * 4 + 1));
	o.wb = must(malloc((size_t)o.n_b * 4 + 1));
	o.wc = must(malloc((size_t)o.n_c * 4 + 1));
	o.bias = must(malloc((size_t)s->n * 4 + 1));
	o.a = random_floats(&drawn, s->a_type, o.n_a, o.wa);
	o.b = random_blocks(&drawn, s->t, o.n_b, o.wb);
	o.c = random_floats(&drawn, s->c_type, o.n_c, o.wc);
	for (int64_t j = 0; j < s->n; j++)
		o.bias[j] = (float)rng_normal(7, 3, drawn++);
	if (s->tb)
		for (int64_t i = 0; i < s->m; i++)
			round_activations(o.wa + i * s->lda, s->k);
	return o;
}

static void
free_operands(struct operands *o)
{
	free(o->a);
	free(o->b);
	free(o->c);
	free(o->bias);
	free(o->wa);
	free(o->wb);
	free(o->wc);
}

/* Rows [at, at + m) of the product into got, a copy of c; false: it failed. */
static bool
run_on(struct dev *d, const struct qcase *s, const struct operands *o, int64_t at, int64_t m,
    void *got)
{
	struct err err = { 0 };
	int64_t size_a = dtype_size(s->a_type), size_c = dtype_size(s->c_type);
	int64_t bytes = dtype_bytes(types[s->t].type, o->n_b);
	int32_t count = (int32_t)m;
	union dev_args a = { .matmul = {
		.c = dev_alloc(d, m * s->ldc * size_c, &err), .a = dev_alloc(d, m * s->lda * size_a,
		    &err), .b = dev_alloc(d, bytes, &err), .c_type = s->c_type,
		.a_type = s->a_type, .b_type = types[s->t].type,
		.m = { .cap = m + 2, .n = dev_alloc(d, 4, &err) }, .k = { .cap = s->k },
		.n = s->n, .lda = s->lda, .ldb = s->ldb, .ldc = s->ldc, .tb = s->tb,
		.add = s->add, .alpha = s->alpha } };
	int kernel = s->groups > 0 ? K_GROUPED : K_MATMUL;
	dptr c = a.matmul.c;
	bool good;

	dev_upload(d, c, (char *)o->c + at * s->ldc * size_c, m * s->ldc * size_c);
	dev_upload(d, a.matmul.a, (char *)o->a + at * s->lda * size_a, m * s->lda * size_a);
	dev_upload(d, a.matmul.b, o->b, bytes);
	dev_upload(d, a.matmul.m.n, &count, 4);
	if (s->bias) {
		a.matmul.bias = dev_alloc(d, s->n * 4, &err);
		dev_upload(d, a.matmul.bias, o->bias, s->n * 4);
	}
	if (s->groups > 0) {
		dptr offset = dev_alloc(d, sizeof(s->offset), &err);

		dev_upload(d, offset, s->offset, sizeof(s->offset));
		a.grouped = (struct k_grouped){ a.matmul, offset, s->groups, s->stride };
	}
	good = dev_check(d, kernel, &a, &err) == 0;
	dev_launch(d, kernel, &a);
	dev_download(d, got, c, m * s->ldc * size_c);
	good = dev_wait(d, &err) == 0 && good;
	if (!good)
		printf("# %s: %s\n", dev_info(d)->name, err.msg);
	return good;
}

static bool
run(const char *isa, int threads, bool strict, const struct qcase *s, const struct operands *o,
    int64_t at, int64_t m, void *got)
{
	struct err err = { 0 };
	struct team *team = must(team_new(threads, &err));
	struct dev *d = must(dev_open(isa, team, strict ? DEV_STRICT : 0, &err));
	bool good = run_on(d, s, o, at, m, got);

	dev_close(d);
	team_free(team);
	return good;
}

static bool
is_here(const char *isa)
{
	struct err err = { 0 };
	struct dev *d = dev_open(isa, NULL, 0, &err);

	dev_close(d);
	return d != NULL;
}

/*
 * Is an element what it should be?  A chain of n roundings is off by 2^-24 of
 * each partial sum at most; those are no larger than the greatest weight times
 * the sum of magnitudes, and a type's own rounding follows.
 */
static bool
element_agrees(const struct qcase *s, const struct operands *o, int64_t i, int64_t j,
    const float *b, double got)
{
	double sum = 0, size = 0, most = 0, want, allowed;

	for (int64_t l = 0; l < s->k; l++) {
		double x = (double)o->wa[i * s->lda + l];
		double w = (double)b[s->tb ? j * s->ldb + l : l * s->ldb + j];

		sum += x * w;
		size += fabs(x);
		most = fmax(most, fabs(w));
	}
	want = s->alpha * sum + (s->add ? (double)o->wc[i * s->ldc + j] : 0) +
	    (s->bias ? (double)o->bias[j] : 0);
	/* A chain has d and m of each 16 of k at most; those may be of twice the size. */
	allowed = s->tb ? (double)(s->k / 8 + 4) * 0x1p-24 * 2 * size * most :
	    (double)(s->k + 4) * 0x1p-24 * size * most;
	/*
	 * Beside 16 bits what is multiplied may be of their type, off by half a step: 2^-8 of
	 * a number just above a power of two, 2^-11 in fp16, whose steps are 2^-24 at least.
	 */
	if (!s->tb && s->a_type == DTYPE_BF16)
		allowed += 0x1p-8 * size * most;
	if (!s->tb && s->a_type == DTYPE_F16)
		allowed += 0x1p-11 * size * most + 0x1p-25 * size;
	allowed += 0x1p-22 * fabs(want) + 1e-7;
	if (s->c_type != DTYPE_F32)
		allowed += fabs(want) * (s->c_type == DTYPE_BF16 ? 0x1p-8 : 0x1p-11) + 1e-7;
	if (fabs(got - want) <= allowed)
		return true;
	printf("# (%lld, %lld): %.9g, not %.9g; %.3g allowed\n", (long long)i, (long long)j, got,
	    want, allowed);
	return false;
}

static bool
all_agree(const struct qcase *s, const struct operands *o, const void *got)
{
	float *x = must(malloc((size_t)o->n_c * 4 + 1));
	bool good = true;

	dtype_convert(x, DTYPE_F32, got, s->c_type, o->n_c);
	for (int64_t i = 0; i < s->m && good; i++) {
		const float *b = o->wb;
		bool mine = s->groups == 0;

		for (int64_t e = 0; e < s->groups; e++)
			if (i >= s->offset[e] && i < s->offset[e + 1]) {
				b = o->wb + e * s->stride;
				mine = true;
			}
		for (int64_t j = 0; j < s->ldc && good; j++)
			good = mine && j < s->n ? element_agrees(s, o, i, j, b,
			    (double)x[i * s->ldc + j]) : x[i * s->ldc + j] == o->wc[i * s->ldc + j];
	}
	free(x);
	return good;
}

/* On one instruction set: near double, and the same bits for threads and for rows alone. */
static bool
isa_agrees(const char *isa, const struct qcase *s, const struct operands *o)
{
	size_t bytes = (size_t)(o->n_c * dtype_size(s->c_type));
	char *got = must(malloc(bytes + 1)), *other = must(malloc(bytes + 1));
	int64_t row = s->ldc * dtype_size(s->c_type);
	bool good = run(isa, 1, false, s, o, 0, s->m, got) && all_agree(s, o, got);

	good = good && run(isa, 3, true, s, o, 0, s->m, other) && memcmp(got, other, bytes) == 0;
	for (int64_t at = 0, m = draw(1, 9); at < s->m && good && s->groups == 0; at += m) {
		m = at + m > s->m ? s->m - at : m;
		good = run(isa, 2, false, s, o, at, m, other) &&
		    memcmp(got + at * row, other, (size_t)(m * row)) == 0;
	}
	if (!good)
		printf("# %s, %s: %lldx%lldx%lld tb %d add %d bias %d groups %lld\n", isa,
		    dtype_name(types[s->t].type), (long long)s->m, (long long)s->n,
		    (long long)s->k, s->tb, s->add, s->bias, (long long)s->groups);
	free(got);
	free(other);
	return good;
}

static bool
agrees(const struct qcase *s)
{
	struct operands o = operands_of(s);
	bool good = true;

	for (int i = 0; i < ISAS && good; i++)
		good = !is_here(isas[i]) || isa_agrees(isas[i], s, &o);
	free_operands(&o);
	return good;
}

static struct qcase
random_case(int t, bool tb)
{
	static const dtype floats[] = { DTYPE_F32, DTYPE_F32, DTYPE_BF16, DTYPE_F16 };
	static const int64_t rows[] = { 1, 2, 3, 5, 6, 7, 8, 12, 13, 16, 31, 47, 64, 70 };
	static const int64_t others[] = { 1, 5, 15, 16, 17, 31, 32, 33, 50, 64, 70, 96, 100,
	    130 };
	int64_t block = dtype_block(types[t].type), blocks = draw(0, block == 32 ? 30 : 4);
	int64_t other = others[draw(0, sizeof(others) / sizeof(others[0]) - 1)];
	struct qcase s = { .t = t, .m = rows[draw(0, 13)], .tb = tb, .add = draw(0, 1) == 0,
		.bias = draw(0, 1) == 0, .alpha = draw(0, 1) == 0 ? 1 : 0.5,
		.a_type = floats[draw(0, 3)], .c_type = floats[draw(0, 3)] };

	s.n = tb ? other : block * blocks;
	s.k = tb ? block * blocks : other;
	s.lda = s.k + draw(0, 1) * 3;
	s.ldb = block * (blocks + draw(0, 1));
	s.ldc = s.n + draw(0, 1) * 7;
	return s;
}

static void
test_products(void)
{
	for (int t = 0; t < TYPES; t++) {
		bool good = true;
		char what[64];

		for (int i = 0; i < 6 && good; i++) {
			struct qcase s = random_case(t, i < 4);

			good = agrees(&s);
		}
		snprintf(what, sizeof(what), "products with %s, forward and backward",
		    dtype_name(types[t].type));
		ok(good, what);
	}
}

/* More rows than are multiplied at once, more of k than is unpacked at once. */
static void
test_large(void)
{
	struct qcase s = { .t = 7, .m = 560, .n = 40, .k = 1792, .lda = 1792, .ldb = 1792,
		.ldc = 40, .tb = true, .alpha = 1, .a_type = DTYPE_F32, .c_type = DTYPE_F32 };

	ok(agrees(&s), "many rows of many elements");
}

static void
test_grouped(void)
{
	bool good = true;

	for (int i = 0; i < 12 && good; i++) {
		struct qcase s = random_case((int)draw(0, TYPES - 1), i % 2 == 0);
		int64_t block = dtype_block(types[s.t].type);

		s.groups = 4;
		s.bias = false;
		s.stride = ((s.tb ? s.n : s.k) * s.ldb + block * draw(0, 1));
		s.offset[0] = (int32_t)draw(0, s.m > 3 ? 2 : 0);
		for (int e = 0; e < 4; e++)
			s.offset[e + 1] = s.offset[e] +
			    (int32_t)draw(0, (s.m - s.offset[e]) / (4 - e));
		good = agrees(&s);
	}
	ok(good, "products of groups");
}

/* ---- a GPU ---- */

/* Are rows [at, at + m) alone, times matrix e, the same bits as in got? */
static bool
gpu_repeats(struct dev *d, const struct qcase *s, const struct operands *o, int64_t at, int64_t m,
    int64_t e, const char *got)
{
	int64_t row = s->ldc * dtype_size(s->c_type);
	char *other = must(malloc((size_t)(m * row) + 1));
	struct operands mine = *o;
	struct qcase one = *s;
	bool good;

	one.groups = 0;
	mine.b += dtype_bytes(types[s->t].type, e * s->stride);
	mine.n_b -= e * s->stride;
	good = m == 0 || (run_on(d, &one, &mine, at, m, other) &&
	    memcmp(got + at * row, other, (size_t)(m * row)) == 0);
	free(other);
	return good;
}

/*
 * As on a processor; one row, eight and thirty alone are multiplied in other ways
 * than 39, and so are groups.
 */
static bool
gpu_agrees(struct dev *d, const struct qcase *s)
{
	static const int64_t rows[] = { 1, 8, 30 };
	struct operands o = operands_of(s);
	char *got = must(malloc((size_t)(s->m * s->ldc * dtype_size(s->c_type))));
	bool good = run_on(d, s, &o, 0, s->m, got) && all_agree(s, &o, got);

	for (int64_t i = 0, at = 0; i < 3 && good && s->groups == 0 && at + rows[i] <= s->m;
	    at += rows[i++])
		good = gpu_repeats(d, s, &o, at, rows[i], 0, got);
	for (int64_t e = 0; e < s->groups && good; e++)
		good = gpu_repeats(d, s, &o, s->offset[e], s->offset[e + 1] - s->offset[e], e, got);
	if (!good)
		printf("# %s: %lldx%lldx%lld tb %d groups %lld\n", dtype_name(types[s->t].type),
		    (long long)s->m, (long long)s->n, (long long)s->k, s->tb,
		    (long long)s->groups);
	free(got);
	free_operands(&o);
	return good;
}

/*
 * Rows and columns that fill no tile, k that fills no unit and no segment, rows of
 * any place, groups of none, of few and of many rows, and more columns than become
 * floats at once.
 */
static void
test_gpu(void)
{
	static const struct {
		int64_t	m, n, k;
		bool	tb;
		int32_t	offset[5];
	} shape[] = {
		{ 7, 21, 768, true, { 0 } }, { 39, 70, 1280, true, { 0 } },
		{ 46, 13, 512, true, { 1, 4, 4, 44, 46 } }, { 5, 512, 67, false, { 0 } },
		{ 9, 256, 19, false, { 0, 2, 2, 8, 9 } }, { 2, 1024, 300, false, { 0 } },
	};
	struct err err = { 0 };
	struct team *team = must(team_new(1, &err));
	struct dev *d = dev_open("cuda", team, 0, &err);

	for (int t = 0; t < TYPES && d != NULL; t++) {
		bool good = true;
		char what[64];

		for (int i = 0; i < (t % 4 == 0 ? 6 : 5) && good; i++) {
			int64_t block = dtype_block(types[t].type);
			int64_t n = shape[i].n, k = shape[i].k;
			struct qcase s = { .t = t, .m = shape[i].m, .n = n, .k = k,
				.tb = shape[i].tb, .add = i % 2 == 0, .alpha = 0.5,
				.a_type = i % 2 == 0 ? DTYPE_BF16 : t == 3 ? DTYPE_F16 : DTYPE_F32,
				.c_type = i % 2 == 0 ? DTYPE_F32 : DTYPE_BF16,
				.groups = shape[i].offset[4] > 0 ? 4 : 0 };

			if (block == 32)
				*(s.tb ? &s.k : &s.n) -= 96;
			s.bias = i % 2 == 1 && s.groups == 0;
			s.lda = s.k + i % 2;
			s.ldb = (s.tb ? s.k : s.n) + block;
			s.ldc = s.n + 3;
			s.stride = (s.tb ? s.n : s.k) * s.ldb + block;
			memcpy(s.offset, shape[i].offset, sizeof(s.offset));
			good = gpu_agrees(d, &s);
		}
		snprintf(what, sizeof(what), "products with %s on a GPU", dtype_name(types[t].type));
		ok(good, what);
	}
	dev_close(d);
	team_free(team);
}

/* ---- heads ---- */

/* Of rows of heads, each by its own matrix, at once or one after the other. */
static bool
heads_agree(const char *isa, int t, bool tb)
{
	enum { H = 3, M = 5, K = 256, N = 512, A = M * H * (K + 4), C = M * H * (N + 2) };
	static float w[H * N * K], x[A], got[2][C];
	struct err err;
	struct team *team = must(team_new(2, &err));
	struct dev *d = must(dev_open(isa, team, 0, &err));
	uint8_t *b = random_blocks(&drawn, t, H * N * K, w);
	int64_t bytes = dtype_bytes(types[t].type, H * N * K);
	union dev_args all = { .grouped = { .groups = H, .stride = N * K, .step_a = K + 4,
		.step_c = N + 2, .p = { .c = dev_alloc(d, sizeof(got[0]), &err),
		.a = dev_alloc(d, sizeof(x), &err), .b = dev_alloc(d, bytes, &err),
		.c_type = DTYPE_F32, .a_type = DTYPE_F32, .b_type = types[t].type,
		.m = { .cap = M }, .k = { .cap = K }, .n = N, .lda = H * (K + 4),
		.ldb = tb ? K : N, .ldc = H * (N + 2), .tb = tb, .alpha = 1 } } };
	bool good = dev_check(d, K_GROUPED, &all, &err) == 0;

	for (int i = 0; i < A; i++)
		x[i] = (float)rng_normal(7, 4, (uint64_t)i);
	dev_upload(d, all.grouped.p.a, x, sizeof(x));
	dev_upload(d, all.grouped.p.b, b, bytes);
	for (int i = 0; i < 2; i++) {
		memset(got[i], 0, sizeof(got[i]));
		dev_upload(d, all.grouped.p.c, got[i], sizeof(got[i]));
		for (int e = 0; e < H && i == 1; e++) {
			union dev_args one = { .matmul = all.grouped.p };

			one.matmul.a = dptr_add(one.matmul.a, e * (K + 4) * 4);
			one.matmul.b = dptr_add(one.matmul.b, bytes / H * e);
			one.matmul.c = dptr_add(one.matmul.c, e * (N + 2) * 4);
			dev_launch(d, K_MATMUL, &one);
		}
		if (i == 0)
			dev_launch(d, K_GROUPED, &all);
		dev_download(d, got[i], all.grouped.p.c, sizeof(got[i]));
		good = dev_wait(d, &err) == 0 && good;
	}
	dev_close(d);
	team_free(team);
	free(b);
	return good && got[0][0] != 0 && memcmp(got[0], got[1], sizeof(got[0])) == 0;
}

static void
test_heads(void)
{
	bool good = true;

	for (int t = 0; t < TYPES; t++)
		good = good && heads_agree("cpu", t, true) && heads_agree("cpu", t, false);
	for (int t = 0; t < TYPES && is_here("cuda"); t += 5)
		good = good && heads_agree("cuda", t, true) && heads_agree("cuda", t, false);
	ok(good, "products of heads");
}

/* ---- the rest ---- */

static bool
embeds(const char *isa, int t, dtype type)
{
	enum { V = 7, C = 512, ROWS = 5 };
	static const int32_t id[ROWS] = { 3, 0, 6, 3, 1 };
	static float w[V * C], y[ROWS * C];
	static char got[ROWS * C * 4];
	struct err err = { 0 };
	struct team *team = must(team_new(1, &err));
	struct dev *d = dev_open(isa, team, DEV_STRICT, &err);
	uint8_t *b = random_blocks(&drawn, t, V * C, w);
	int64_t bytes = dtype_bytes(types[t].type, V * C);
	union dev_args a = { .embed = { .y = dev_alloc(d, sizeof(got), &err),
		.w = dev_alloc(d, bytes, &err), .id = dev_alloc(d, sizeof(id), &err), .type = type,
		.t = { .cap = ROWS }, .v = V, .c = C, .scale = 2, .w_type = types[t].type } };
	bool good = dev_check(d, K_EMBED, &a, &err) == 0;

	dev_upload(d, a.embed.w, b, bytes);
	dev_upload(d, a.embed.id, id, sizeof(id));
	dev_launch(d, K_EMBED, &a);
	dev_download(d, got, a.embed.y, ROWS * C * dtype_size(type));
	good = dev_wait(d, &err) == 0 && good;
	dtype_convert(y, DTYPE_F32, got, type, ROWS * C);
	for (int i = 0; i < ROWS * C; i++) {
		float want = 2 * w[id[i / C] * C + i % C];
		char rounded[4];

		dtype_convert(rounded, type, &want, DTYPE_F32, 1);
		dtype_convert(&want, DTYPE_F32, rounded, type, 1);
		good = good && y[i] == want;
	}
	free(b);
	dev_close(d);
	team_free(team);
	return good;
}

static void
test_embed(void)
{
	bool good = true;

	for (int i = 0; i < ISAS; i++)
		for (int t = 0; t < TYPES && is_here(isas[i]); t++)
			good = good && embeds(isas[i], t, t % 2 == 0 ? DTYPE_F32 : DTYPE_BF16);
	for (int t = 0; t < TYPES && is_here("cuda"); t++)
		good = good && embeds("cuda", t, t % 2 == 0 ? DTYPE_F32 : DTYPE_BF16);
	ok(good, "rows of quantized tables");
}

/* A NaN or an infinity spoils its row, and no other. */
static bool
spoils_one(const char *isa, float bad)
{
	enum { M = 8, N = 33, K = 256 };
	struct qcase s = { .t = 0, .m = M, .n = N, .k = K, .lda = K, .ldb = K, .ldc = N,
		.tb = true, .alpha = 1, .a_type = DTYPE_F32, .c_type = DTYPE_F32 };
	struct operands o = operands_of(&s);
	float got[2][M * N];
	bool good = run(isa, 1, false, &s, &o, 0, M, got[0]);

	((float *)o.a)[3 * K + 77] = bad;
	good = run(isa, 1, false, &s, &o, 0, M, got[1]) && good;
	for (int i = 0; i < M; i++)
		for (int j = 0; j < N; j++)
			good = good && (i == 3 ? !isfinite(got[1][i * N + j]) :
			    got[0][i * N + j] == got[1][i * N + j]);
	free_operands(&o);
	return good;
}

static void
test_spoiled(void)
{
	bool good = true;

	for (int i = 0; i < ISAS; i++)
		if (is_here(isas[i]))
			good = good && spoils_one(isas[i], NAN) && spoils_one(isas[i], INFINITY) &&
			    spoils_one(isas[i], -INFINITY);
	if (is_here("cuda"))
		good = good && spoils_one("cuda", NAN) && spoils_one("cuda", INFINITY);
	ok(good, "what is not finite spoils its row alone");
}

/* ---- through the tape ---- */

enum { TOKENS = 9, WIDTH = 256, OUT = 512, VOCAB = 20 };

/* What a network makes of quantized parameters, or of the same as floats. */
struct made {
	float	y[TOKENS * VOCAB], grad[VOCAB * WIDTH];
};

/* A float table, a layer and a head that are quantized, and the table's gradient. */
static bool
network(bool quantized, const uint8_t *const blocks[2], float *const floats[2], dtype type,
    struct made *made)
{
	static const int32_t id[TOKENS] = { 1, 5, 0, 19, 5, 5, 7, 2, 3 };
	static const int64_t shape[3][2] = { { VOCAB, WIDTH }, { OUT, WIDTH }, { VOCAB, OUT } };
	struct err err = { 0 };
	struct team *team = must(team_new(2, &err));
	struct dev *d = dev_open("cpu", team, 0, &err);
	struct params ps = { .compute = DTYPE_F32 };
	struct tensor *x, *y, *in;
	struct tape *t;
	int64_t n = TOKENS;
	bool good;

	for (int i = 0; i < 3; i++) {
		char name[] = { 'p', (char)('0' + i), '\0' };

		params_add(&ps, name, 2, shape[i], INIT_NORMAL, 0.1, true, &err);
	}
	for (int i = 1; i < 3; i++) {
		ps.p[i].trainable = false;
		if (quantized) {
			ps.p[i].type = type;
			ps.p[i].data = dev_import(d, blocks[i - 1], dtype_bytes(type, ps.p[i].n),
			    &err);
		}
	}
	good = params_place(&ps, d, true, &err) == 0 && params_init(&ps, 5, &err) == 0;
	for (int i = 1; i < 3 && !quantized; i++)
		param_upload(&ps, &ps.p[i], 0, ps.p[i].n, floats[i - 1], DTYPE_F32, &err);
	t = tape_new(d, TOKENS, 1, TAPE_GRAD, &err);
	in = tape_input(t, "id", DTYPE_I32, ROWS_FIXED, 1, &n);
	x = op_linear(t, op_embed(t, &ps.p[0].t, in, 1), &ps.p[1].t, NULL);
	y = op_logits(t, x, &ps.p[2].t);
	tape_output(t, y);
	tape_seed(t, y);
	good = good && tape_plan(t, &err) == 0;
	tape_upload(t, in, id, TOKENS);
	tape_upload_grad(t, y, floats[0], TOKENS * VOCAB);
	tape_forward(t, 0, -1);
	tape_backward(t, 0, -1);
	tape_download(t, y, made->y, TOKENS * VOCAB);
	dev_download(d, made->grad, ps.p[0].grad, sizeof(made->grad));
	good = dev_wait(d, &err) == 0 && good;
	if (quantized) {
		float *back = must(malloc((size_t)ps.p[1].n * 4));

		good = param_download(&ps, &ps.p[1], 256, ps.p[1].n - 256, back, DTYPE_F32,
		    &err) == 0 && good && memcmp(back, floats[0] + 256,
		    (size_t)(ps.p[1].n - 256) * 4) == 0;
		free(back);
	}
	if (!good)
		printf("# %s\n", err.msg);
	tape_free(t);
	params_free(&ps);
	dev_close(d);
	team_free(team);
	return good;
}

/*
 * The gradient of what lies before is of floats either way: the same bits.
 * Results differ by the rounding of activations to 8 bits: by 1/254 of the
 * largest of 32 at most, which is 0.6 % of the norm for normal ones and 0.8 %
 * after two layers.
 */
static void
test_network(void)
{
	static struct made quantized, plain;

	for (int t = 4; t < TYPES; t += 3) {
		float *floats[2] = { must(malloc(OUT * WIDTH * 4)), must(malloc(VOCAB * OUT * 4)) };
		uint8_t *blocks[2] = { random_blocks(&drawn, t, OUT * WIDTH, floats[0]),
			random_blocks(&drawn, t, VOCAB * OUT, floats[1]) };
		bool good = network(true, (const uint8_t *const *)blocks, floats, types[t].type,
		    &quantized) && network(false, NULL, floats, DTYPE_F32, &plain);
		double off = 0, all = 0;

		for (int i = 0; i < TOKENS * VOCAB; i++) {
			off += pow((double)quantized.y[i] - (double)plain.y[i], 2);
			all += pow((double)plain.y[i], 2);
		}
		ok(good && off < pow(0.02, 2) * all && off > 0 &&
		    memcmp(quantized.grad, plain.grad, sizeof(plain.grad)) == 0,
		    "a network with quantized layers");
		for (int i = 0; i < 2; i++) {
			free(floats[i]);
			free(blocks[i]);
		}
	}
}

static bool
refused(struct dev *d, struct k_matmul p, const char *why)
{
	union dev_args a = { .matmul = p };
	struct err err = { 0 };

	return dev_check(d, K_MATMUL, &a, &err) < 0 && strstr(err.msg, why) != NULL;
}

static void
test_refused(void)
{
	struct err err = { 0 };
	struct team *team = must(team_new(1, &err));
	struct dev *d = dev_open("cpu", team, 0, &err);
	struct k_matmul p = { .c_type = DTYPE_F32, .a_type = DTYPE_F32, .b_type = DTYPE_Q4_K,
		.m = { .cap = 4 }, .k = { .cap = 512 }, .n = 512, .lda = 512, .ldb = 512,
		.ldc = 512, .tb = true, .alpha = 1 }, q = p;

	q.k.cap = 320;
	ok(refused(d, q, "not whole blocks"), "a part of a block is refused");
	q = p;
	q.ta = true;
	ok(refused(d, q, "no gradient"), "a gradient of quantized weights is refused");
	q = p;
	q.a_type = DTYPE_Q8_0;
	ok(refused(d, q, "no kernel for Q8_0"), "quantized activations are refused");
	dev_close(d);
	team_free(team);
}

/* ---- one after the other ---- */

enum { SIDE = 64, WIDE = 4 * SIDE };	/* a is (m, SIDE), b (n, SIDE) of (WIDE, SIDE) */

static void
multiply(struct dev *d, dptr c, dptr a, dptr b, int64_t m, int64_t n)
{
	dev_launch(d, K_MATMUL, &(union dev_args){ .matmul = { .c = c, .a = a, .b = b,
		.c_type = DTYPE_F32, .a_type = DTYPE_F32, .b_type = DTYPE_Q8_0,
		.m = { .cap = m }, .k = { .cap = SIDE }, .n = n, .lda = SIDE, .ldb = SIDE,
		.ldc = n, .tb = true, .alpha = 1 } });
}

/* c (m, n) = a b as a device does that did nothing before. */
static void
multiply_alone(const char *isa, const float *a, const void *b, int64_t m, int64_t n, float *c)
{
	struct err err = { 0 };
	struct team *team = must(team_new(2, &err));
	struct dev *d = must(dev_open(isa, team, 0, &err));
	int64_t bytes = m * SIDE * 4, b_bytes = dtype_bytes(DTYPE_Q8_0, n * SIDE);
	dptr da = dev_alloc(d, bytes, &err), dc = dev_alloc(d, m * n * 4, &err);
	dptr db = dev_alloc(d, b_bytes, &err);

	dev_upload(d, da, a, bytes);
	dev_upload(d, db, b, b_bytes);
	multiply(d, dc, da, db, m, n);
	dev_download(d, c, dc, m * n * 4);
	dev_wait(d, &err);
	dev_close(d);
	team_free(team);
}

/*
 * Products with the same a, written over by one of them and then by the host.  Those
 * that are wide have panels for all threads, and do not cut rows as the others do.
 */
static bool
follow(const char *isa, unsigned flags, int64_t m)
{
	struct err err = { 0 };
	struct team *team = must(team_new(2, &err));
	struct dev *d = must(dev_open(isa, team, flags, &err));
	int64_t bytes = m * SIDE * 4, b_bytes = dtype_bytes(DTYPE_Q8_0, WIDE * SIDE);
	float *x = must(malloc((size_t)bytes)), *want = must(malloc((size_t)m * WIDE * 4));
	float *got = must(malloc((size_t)m * WIDE * 4)), *wide = must(malloc(WIDE * SIDE * 4));
	void *a = random_floats(&drawn, DTYPE_F32, m * SIDE, x), *b[2];
	dptr da = dev_alloc(d, bytes, &err), dc = dev_alloc(d, m * WIDE * 4, &err), db[2];
	bool good = true;

	for (int i = 0; i < 2; i++) {
		b[i] = random_blocks(&drawn, 4, WIDE * SIDE, wide);
		db[i] = dev_alloc(d, b_bytes, &err);
		dev_upload(d, db[i], b[i], b_bytes);
	}
	for (int step = 0; step < 6; step++) {
		dptr to = step == 2 ? da : dc;
		int64_t n = step < 2 ? WIDE : SIDE;

		if (step % 5 == 0)
			dev_upload(d, da, a, bytes);
		multiply_alone(isa, x, b[step % 2], m, n, want);
		multiply(d, to, da, db[step % 2], m, n);
		if (step == 2 || step == 4)
			memcpy(x, step == 2 ? want : a, (size_t)bytes);
		if (step % 3 == 1)	/* what comes next follows at once */
			continue;
		dev_download(d, got, to, m * n * 4);
		good = good && dev_wait(d, &err) == 0 && memcmp(got, want, (size_t)(m * n * 4)) == 0;
	}
	free(x);
	free(want);
	free(got);
	free(wide);
	free(a);
	free(b[0]);
	free(b[1]);
	dev_close(d);
	team_free(team);
	return good;
}

static void
test_follow(void)
{
	bool good = true;

	for (int i = 0; i < ISAS && good; i++)
		for (int m = 3; m < 100 && is_here(isas[i]); m += 48)
			good = good && follow(isas[i], 0, m) && follow(isas[i], DEV_STRICT, m);
	ok(good, "products that follow each other round a again when it is another");
}

int
main(void)
{
	test_products();
	test_large();
	test_grouped();
	test_gpu();
	test_heads();
	test_embed();
	test_spoiled();
	test_network();
	test_refused();
	test_follow();
	return tap_done();
}
