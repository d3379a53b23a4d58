/*
 * Products that a library may make, on a GPU beside the CPU: those that cuBLASLt
 * takes and those that it does not, with rows beyond the count, alone and in graphs;
 * and in TF32, which is asked for.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/near.h"
#include "../tap.h"
#include "dev/kernels.h"

static uint64_t (*standin_count)(const char *);

enum { M = 72, N = 40, K = 56, CAP = 8 };	/* rows beyond the count */

/* A product of which the rows that vary are CAP fewer than is planned. */
struct product {
	const char *what;
	dtype	type, c_type;
	int64_t	ld, shift;		/* elements beyond a row's, and before the first */
	bool	ta, tb, add, bias, squares, tight;
	bool	taken;
};

/* On one device. */
struct run {
	struct dev *d;
	union dev_args a;
	dptr	sum, count;
	float	c[M * (N + 8)];
	double	squares;
};

static dptr
place(struct run *r, const void *from, int64_t bytes)
{
	struct err err = { 0 };
	dptr p = dev_alloc(r->d, bytes, &err);

	if (p.at == 0) {
		printf("Bail out! %s\n", err.msg);
		exit(2);
	}
	dev_upload(r->d, p, from, bytes);
	return p;
}

/* rows of cols numbers, of which the last bad rows are NaN: they are nobody's. */
static dptr
matrix(struct run *r, const struct product *p, dtype type, int64_t rows, int64_t cols, int64_t bad)
{
	int64_t ld = cols + p->ld, n = p->shift + rows * ld;
	float *x = calloc((size_t)n, sizeof(*x));
	void *y = calloc((size_t)n, sizeof(*x));
	dptr at;

	for (int64_t i = 0; i < n; i++)
		x[i] = i < n - bad * ld ? (float)((i * 7919 + cols) % 1013) / 500 - 1 : NAN;
	dtype_convert(y, type, x, DTYPE_F32, n);
	at = place(r, y, n * dtype_size(type));
	free(x);
	free(y);
	return dptr_add(at, p->shift * dtype_size(type));
}

static void
prepare(struct run *r, const struct product *p)
{
	int64_t bad_m = p->ta ? 0 : CAP, bad_k = p->ta ? CAP : 0;
	int32_t count = p->ta ? K - CAP : M - CAP;
	float bias[N];
	double two = 2;

	for (int i = 0; i < N; i++)
		bias[i] = (float)(i % 7) - 3;
	r->sum = place(r, &two, sizeof(two));
	r->count = place(r, &count, sizeof(count));
	r->a.matmul = (struct k_matmul){
		.c = matrix(r, p, p->c_type, M, N, 0),
		.a = matrix(r, p, p->type, p->ta ? K : M, p->ta ? M : K, bad_m + bad_k),
		.b = matrix(r, p, p->type, p->tb ? N : K, p->tb ? K : N, bad_k),
		.bias = p->bias ? place(r, bias, sizeof(bias)) : (dptr){ 0 },
		.sumsq = p->squares ? r->sum : (dptr){ 0 }, .c_type = p->c_type,
		.a_type = p->type, .b_type = p->type, .m = { .cap = M }, .k = { .cap = K }, .n = N,
		.lda = (p->ta ? M : K) + p->ld, .ldb = (p->tb ? K : N) + p->ld, .ldc = N + p->ld,
		.ta = p->ta, .tb = p->tb, .add = p->add, .loose = !p->tight, .alpha = 0.5 };
	*(p->ta ? &r->a.matmul.k.n : &r->a.matmul.m.n) = r->count;
}

/* Rows there are of c, one behind the other. */
static bool
finish(struct run *r, const struct product *p)
{
	int64_t rows = p->ta ? M : M - CAP, ld = N + p->ld;
	char raw[sizeof(r->c)];
	struct err err = { 0 };

	dev_download(r->d, raw, r->a.matmul.c, rows * ld * dtype_size(p->c_type));
	dev_download(r->d, &r->squares, r->sum, sizeof(r->squares));
	if (dev_wait(r->d, &err) < 0) {
		printf("# %s\n", err.msg);
		return false;
	}
	dtype_convert(r->c, DTYPE_F32, raw, p->c_type, rows * ld);
	for (int64_t i = 0; i < rows; i++)
		memmove(r->c + i * N, r->c + i * ld, N * sizeof(float));
	return true;
}

static uint64_t
products(void)
{
	return standin_count != NULL ? standin_count("products") : 0;
}

static bool
has_library(struct dev *gpu)
{
	return strncmp(dev_info(gpu)->products, "cuBLASLt", 8) == 0;
}

static double
tolerance(dtype type)
{
	return type == DTYPE_BF16 ? 4e-3 : type == DTYPE_F16 ? 5e-4 : 1e-5;
}

/* The difference to the CPU's is at least and at most this. */
static void
test_product(struct dev *cpu, struct dev *gpu, const struct product *p, double least, double most)
{
	static struct run want, got;
	uint64_t before = products();
	double off;
	struct err err = { 0 };
	char what[120];
	bool good;

	want.d = cpu;
	got.d = gpu;
	prepare(&want, p);
	prepare(&got, p);
	good = dev_check(gpu, K_MATMUL, &got.a, &err) == 0;
	dev_launch(cpu, K_MATMUL, &want.a);
	dev_launch(gpu, K_MATMUL, &got.a);
	good = good && finish(&want, p) && finish(&got, p);
	off = relative(got.c, want.c, (p->ta ? M : M - CAP) * N);
	good = good && off >= least && off < most &&
	    fabs(got.squares - want.squares) <= most * want.squares;
	snprintf(what, sizeof(what), "%s %s = %s", p->what, dtype_name(p->c_type),
	    dtype_name(p->type));
	ok(good, what);
	if (standin_count != NULL)
		ok(products() - before == (p->taken && has_library(gpu)), p->taken ?
		    "by the library, where it is" : "by our own tiles");
}

/* Launched, captured and launched again, with other counts: a row's bits are the same. */
static void
test_graph(struct dev *gpu)
{
	static const struct product p = { .what = "y", .type = DTYPE_BF16, .c_type = DTYPE_BF16,
		.tb = true, .bias = true };
	static struct run first, r;
	struct dev_list *list = NULL;
	uint64_t before = products();
	int32_t count = M / 2;
	bool good = true;

	r.d = gpu;
	prepare(&r, &p);
	for (int i = 0; i < 4; i++) {
		if (dev_begin(gpu, &list)) {
			dev_launch(gpu, K_MATMUL, &r.a);
			dev_end(gpu);
		}
		good = finish(&r, &p) && good;
		if (i == 0)
			first = r;
		good = good && memcmp(first.c, r.c, sizeof(float) * (size_t)(count * N)) == 0;
		dev_upload(gpu, r.count, &count, sizeof(count));
	}
	dev_forget(gpu, list);
	ok(good, "rows have the same bits in graphs, and with fewer others");
	ok(standin_count == NULL || products() - before == 4, "each time by the library");
}

/* Only operands of fp32 are rounded to TF32, by parts of 2^-10, and only where it may be. */
static void
test_tf32(struct dev *cpu, struct team *team, const struct product *p, int n)
{
	struct err err = { 0 };
	struct dev *gpu = dev_open("cuda:tf32", team, 0, &err);

	if (gpu == NULL) {
		ok(strstr(err.msg, "libcublasLt") != NULL, "TF32 is the library's alone");
		return;
	}
	for (int i = 0; i < n; i++) {
		bool rounded = p[i].type == DTYPE_F32 && p[i].taken;

		test_product(cpu, gpu, &p[i], rounded ? 1e-4 : 0,
		    rounded ? 2e-3 : tolerance(p[i].c_type));
	}
	dev_close(gpu);
}

static const struct product all[] = {
	{ "y = x w^T + b,", DTYPE_BF16, DTYPE_BF16, .tb = true, .bias = true, .taken = true },
	{ "y = x w^T + b,", DTYPE_F16, DTYPE_F16, .tb = true, .bias = true, .taken = true },
	{ "y = x w^T + b,", DTYPE_F32, DTYPE_F32, .tb = true, .bias = true, .taken = true },
	{ "logits,", DTYPE_BF16, DTYPE_F32, .ld = 8, .tb = true, .taken = true },
	{ "dx = dy w,", DTYPE_BF16, DTYPE_BF16, .ld = 8, .taken = true },
	{ "dx += dy w,", DTYPE_BF16, DTYPE_BF16, .add = true, .taken = true },
	{ "dw = dy^T x,", DTYPE_BF16, DTYPE_F32, .ta = true, .squares = true, .taken = true },
	{ "dw += dy^T x,", DTYPE_F16, DTYPE_F32, .ta = true, .add = true, .squares = true,
	    .taken = true },
	{ "dw += dy^T x,", DTYPE_F32, DTYPE_F32, .ld = 4, .ta = true, .add = true, .taken = true },
	{ "rows of no whole pieces,", DTYPE_BF16, DTYPE_BF16, .ld = 1, .tb = true },
	{ "matrices that begin between,", DTYPE_BF16, DTYPE_F32, .shift = 3, .ta = true },
	{ "the same bits whatever the rows,", DTYPE_BF16, DTYPE_BF16, .tb = true, .tight = true },
	{ "the same bits whatever the rows,", DTYPE_F32, DTYPE_F32, .tb = true, .tight = true },
};

int
main(void)
{
	int n = sizeof(all) / sizeof(all[0]);
	struct err err = { 0 };
	struct team *team = team_new(1, &err);
	struct dev *cpu = dev_open("cpu", team, 0, &err), *gpu = dev_open("cuda", team, 0, &err);

	if (gpu == NULL) {
		printf("1..0 # SKIP %s\n", err.msg);
		dev_close(cpu);
		team_free(team);
		return 0;
	}
	*(void **)&standin_count = dlsym(dlopen("libcuda.so.1", RTLD_NOW), "standin_count");
	for (int i = 0; i < n; i++) {
		test_product(cpu, gpu, &all[i], 0, tolerance(all[i].c_type));
		/* Without the library all is made, but not by it. */
		if (i == 0 && !has_library(gpu)) {
			test_tf32(cpu, team, all, n);
			printf("1..%d # %s\n", tap_n, dev_info(gpu)->products);
			return tap_bad != 0;
		}
	}
	test_graph(gpu);
	test_tf32(cpu, team, all, n);
	dev_close(gpu);
	dev_close(cpu);
	team_free(team);
	return tap_done();
}
