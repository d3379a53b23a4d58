/*
 * Matrix products: matmul [DEVICE [THREADS [WHICH]]].  The shapes of training
 * steps (B sequences of T tokens), in fp32 and bf16: GFLOP/s and the fraction
 * of the fp32 peak that was measured in the same run.  Operands are taken in
 * turn from copies that no cache holds, as in a step; each shape is checked
 * first.  WHICH is a part of the lines to print.
 */
#include <math.h>
#include <string.h>

#include "bench.h"

enum { COLD = 96 << 20, MAX_COPIES = 16 };

struct model {
	const char *name;
	int64_t	tokens;
	int64_t	layer[6][2];		/* (N, K) of the linear layers */
	int64_t	vocab, width, chunk;	/* the head, rows at a time */
};

static const struct model models[] = {
	{ "124M-4x64", 256, { { 2304, 768 }, { 768, 768 }, { 3072, 768 }, { 768, 3072 } },
	    50257, 768, 64 },
	{ "124M-4x1024", 4096, { { 2304, 768 }, { 768, 768 }, { 3072, 768 }, { 768, 3072 } },
	    50257, 768, 256 },
	{ "30M-8x512", 4096, { { 384, 384 }, { 128, 384 }, { 1024, 384 }, { 384, 1024 } },
	    16384, 384, 256 },
};

struct run {
	struct dev *d;
	double	 peak;
	const char *only;
	int	 bad;
};

static void
put(dtype type, void *p, int64_t i, float x)
{
	dtype_convert((char *)p + i * dtype_size(type), type, &x, DTYPE_F32, 1);
}

static double
get(dtype type, const void *p, int64_t i)
{
	float x;

	dtype_convert(&x, DTYPE_F32, (const char *)p + i * dtype_size(type), type, 1);
	return (double)x;
}

/* n numbers in [-1, 1), a short row of them again and again. */
static dptr
numbers(struct dev *d, dtype type, int64_t n, uint64_t seed)
{
	enum { ROW = 10007 };
	struct err err = { 0 };
	int64_t bytes = n * dtype_size(type), row = ROW * dtype_size(type);
	dptr p = dev_alloc(d, bytes, &err);
	char *x = malloc((size_t)row);

	bench_must(p.at == 0 || x == NULL ? -1 : 0, &err);
	for (int64_t i = 0; i < ROW; i++)
		put(type, x, i, (float)(2 * rng_unit(seed, 0, (uint64_t)i) - 1));
	for (int64_t at = 0; at < bytes; at += row)
		dev_upload(d, dptr_add(p, at), x, bytes - at < row ? bytes - at : row);
	bench_must(dev_wait(d, &err), &err);
	free(x);
	return p;
}

static void *
fetch(struct dev *d, dptr p, int64_t bytes)
{
	struct err err = { 0 };
	void *x = malloc((size_t)bytes);

	bench_must(x == NULL ? -1 : 0, &err);
	dev_download(d, x, p, bytes);
	bench_must(dev_wait(d, &err), &err);
	return x;
}

/* A few elements against double. */
static bool
right(struct dev *d, const struct k_matmul *a)
{
	int64_t m = a->m.cap, n = a->n, k = a->k.cap;
	void *x = fetch(d, a->a, m * k * dtype_size(a->a_type));
	void *y = fetch(d, a->b, n * k * dtype_size(a->b_type));
	void *c = fetch(d, a->c, m * n * dtype_size(a->c_type));
	double worst = 0;

	for (uint64_t s = 0; s < 100; s++) {
		int64_t i = (int64_t)rng_below(1, 1, s, (uint64_t)m);
		int64_t j = (int64_t)rng_below(1, 2, s, (uint64_t)n);
		double sum = 0, e;

		for (int64_t l = 0; l < k; l++)
			sum += get(a->a_type, x, a->ta ? l * m + i : i * k + l) *
			    get(a->b_type, y, a->tb ? j * k + l : l * n + j);
		e = fabs(sum - get(a->c_type, c, i * n + j));
		if (a->c_type != DTYPE_F32)
			e -= fabs(sum) / 256;
		worst = fmax(worst, e / sqrt((double)k));
	}
	free(x);
	free(y);
	free(c);
	return worst < 1e-5;
}

/* Seconds of a launch: the median of at least 5 and some 0.3 s, copies in turn. */
static double
seconds(struct run *r, union dev_args *a, int copies, const int64_t bytes[3])
{
	enum { MAX_RUNS = 400 };
	struct k_matmul p = a->matmul;
	double t[MAX_RUNS], start = bench_seconds(r->d), now = start;
	int n = 0;

	for (; n < MAX_RUNS && (n < 5 || now - start < 0.3); n++) {
		struct err err = { 0 };
		double from = bench_seconds(r->d);

		a->matmul.c = dptr_add(p.c, n % copies * bytes[0]);
		a->matmul.a = dptr_add(p.a, n % copies * bytes[1]);
		a->matmul.b = dptr_add(p.b, n % copies * bytes[2]);
		dev_launch(r->d, K_MATMUL, a);
		bench_must(dev_wait(r->d, &err), &err);
		now = bench_seconds(r->d);
		t[n] = now - from;
		for (int i = n; i > 0 && t[i] < t[i - 1]; i--) {
			double x = t[i];

			t[i] = t[i - 1];
			t[i - 1] = x;
		}
	}
	a->matmul = p;
	return t[n / 2];
}

static void
product(struct run *r, const char *name, union dev_args *a)
{
	struct k_matmul *p = &a->matmul;
	int64_t m = p->m.cap, n = p->n, k = p->k.cap, copies;
	int64_t bytes[3] = { m * n * dtype_size(p->c_type), m * k * dtype_size(p->a_type),
		n * k * dtype_size(p->b_type) };
	char line[128];
	double rate;

	snprintf(line, sizeof(line), "%s\t%s\t%lldx%lldx%lld", name, dtype_name(p->b_type),
	    (long long)m, (long long)n, (long long)k);
	if (r->only != NULL && strstr(line, r->only) == NULL)
		return;
	copies = COLD / (bytes[0] + bytes[1] + bytes[2]) + 1;
	copies = copies < MAX_COPIES ? copies : MAX_COPIES;
	p->lda = p->ta ? m : k;
	p->ldb = p->tb ? k : n;
	p->ldc = n;
	p->alpha = 1;
	p->c = numbers(r->d, p->c_type, m * n * copies, 1);
	p->a = numbers(r->d, p->a_type, m * k * copies, 2);
	p->b = numbers(r->d, p->b_type, n * k * copies, 3);
	dev_launch(r->d, K_MATMUL, a);
	if (!right(r->d, p)) {
		printf("# wrong result\n");
		r->bad = 1;
	}
	p->add = p->ta;
	rate = 2 * (double)m * (double)n * (double)k / seconds(r, a, (int)copies, bytes);
	printf("%s\t%.1f\t%.3f\n", line, rate * 1e-9, rate / r->peak);
	fflush(stdout);
	dev_free(r->d, p->a);
	dev_free(r->d, p->b);
	dev_free(r->d, p->c);
}

/* y = x w^T, dx = dy w, dw += dy^T x, of x (m, k) and w (n, k); y and dy of a type */
static void
layer(struct run *r, const char *name, dtype type, dtype y_type, int64_t m, int64_t n, int64_t k)
{
	struct k_matmul fwd = { .m = { .cap = m }, .n = n, .k = { .cap = k }, .tb = true,
		.c_type = y_type, .a_type = type, .b_type = type };
	struct k_matmul dx = { .m = { .cap = m }, .n = k, .k = { .cap = n },
		.c_type = type, .a_type = y_type, .b_type = type };
	struct k_matmul dw = { .m = { .cap = n }, .n = k, .k = { .cap = m }, .ta = true,
		.c_type = DTYPE_F32, .a_type = y_type, .b_type = type };
	char full[64];

	snprintf(full, sizeof(full), "%s forward", name);
	product(r, full, &(union dev_args){ .matmul = fwd });
	snprintf(full, sizeof(full), "%s dx", name);
	product(r, full, &(union dev_args){ .matmul = dx });
	snprintf(full, sizeof(full), "%s dw", name);
	product(r, full, &(union dev_args){ .matmul = dw });
}

static void
model(struct run *r, const struct model *m, dtype type)
{
	char name[48];

	for (int i = 0; i < 6 && m->layer[i][0] > 0; i++)
		layer(r, m->name, type, type, m->tokens, m->layer[i][0], m->layer[i][1]);
	snprintf(name, sizeof(name), "%s head", m->name);
	layer(r, name, type, DTYPE_F32, m->chunk, m->vocab, m->width);
}

int
main(int argc, char **argv)
{
	static const int64_t few[][3] = { { 1, 50304, 768 }, { 1, 768, 3072 }, { 4, 3072, 768 },
		{ 8, 3072, 768 }, { 16, 3072, 768 } };
	static const dtype types[] = { DTYPE_F32, DTYPE_BF16 };
	struct dev *d = bench_open(argc, argv);
	struct team *team = d->team;
	struct run r = { .d = d, .peak = dev_info(d)->peak_f32,
		.only = argc > 3 ? argv[3] : NULL };

	printf("# peak %.1f\nname\ttype\tshape\tgflops\tfraction\n", r.peak * 1e-9);
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
			model(&r, &models[i], types[t]);
		for (size_t i = 0; i < sizeof(few) / sizeof(few[0]); i++)
			product(&r, "few", &(union dev_args){ .matmul = {
				.m = { .cap = few[i][0] }, .n = few[i][1], .k = { .cap = few[i][2] },
				.tb = true, .c_type = types[t], .a_type = types[t],
				.b_type = types[t] } });
	}
	dev_close(d);
	team_free(team);
	return r.bad;
}
