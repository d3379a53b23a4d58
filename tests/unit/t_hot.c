/*
 * The kernels that take the time, at sizes of models: a GPU's beside the CPU's.
 * Arguments name cases, as "glu" or "glu:BF16"; without any it is all of them.  What a
 * launch moves and computes at a large model's size stands in comments, for make check-cuda.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/hot.h"
#include "../tap.h"
#include "dev/cost.h"

/* What runs here, and a layer of a model with 8 billion parameters. */
static const struct hot_size small = { 128, 256, 512, 1024, 4, 2, 64, 320 };
static const struct hot_size large = { 8192, 4096, 14336, 128256, 32, 8, 128, 8192 };

struct pair {
	struct dev *cpu, *gpu;
};

/* A buffer as numbers, to be freed. */
static float *
fetch(struct dev *d, const struct hot_buf *b)
{
	void *raw = malloc((size_t)dtype_bytes(b->type, b->n) + 1);
	float *x = malloc((size_t)b->n * sizeof(*x) + 1);
	struct err err;

	dev_download(d, raw, b->at, dtype_bytes(b->type, b->n));
	if (dev_wait(d, &err) < 0) {
		printf("# %s\n", err.msg);
		for (int64_t i = 0; i < b->n; i++)
			x[i] = NAN;
	} else {
		dtype_convert(x, DTYPE_F32, raw, b->type, b->n);
	}
	free(raw);
	return x;
}

/* Largest difference over largest magnitude. */
static double
distance(const float *x, const float *y, int64_t n)
{
	double worst = 0, large_ = 1e-30;

	for (int64_t i = 0; i < n; i++) {
		double d = fabs((double)x[i] - (double)y[i]);

		if (!(d <= worst))
			worst = d;
		large_ = fmax(large_, fabs((double)y[i]));
	}
	return worst / large_;
}

static bool
agree(const struct hot *gpu, const struct hot *cpu, double wide)
{
	bool good = true;

	for (int i = 0; i < gpu->n; i++) {
		double tol = gpu->buf[i].type == DTYPE_BF16 ? 1e-2 : wide, d;
		float *x, *y;

		if (!gpu->buf[i].out)
			continue;
		x = fetch(gpu->dev, &gpu->buf[i]);
		y = fetch(cpu->dev, &cpu->buf[i]);
		d = distance(x, y, gpu->buf[i].n);
		if (!(d <= tol)) {
			printf("# buffer %d is off by %g\n", i, d);
			good = false;
		}
		free(x);
		free(y);
	}
	return good;
}

static void
print_cost(const struct hot_case *c, dtype type)
{
	struct hot h = { .type = type };
	union dev_args a = { 0 };
	struct dev_cost cost;

	c->make(&h, &a, &large);
	dev_cost(NULL, c->kernel, &a, &cost);
	printf("# cost %s %s %.6g %.6g\n", c->name, dtype_name(type), cost.flops, cost.bytes);
}

static void
run(const struct pair *p, const struct hot_case *c, dtype type)
{
	struct hot gpu = { .dev = p->gpu, .type = type };
	struct hot cpu = { .dev = p->cpu, .type = type };
	union dev_args a = { 0 }, b = { 0 };
	struct err err;
	char what[200];

	c->make(&gpu, &a, &small);
	c->make(&cpu, &b, &small);
	snprintf(what, sizeof(what), "%s %s", c->name, dtype_name(type));
	if (dev_check(p->gpu, c->kernel, &a, &err) < 0) {
		/* A kernel that is not there yet says so. */
		ok(strstr(err.msg, "yet: use -d cpu") != NULL, err.msg);
	} else if (dev_check(p->cpu, c->kernel, &b, &err) < 0) {
		ok(false, err.msg);
	} else {
		dev_launch(p->gpu, c->kernel, &a);
		dev_launch(p->cpu, c->kernel, &b);
		ok(agree(&gpu, &cpu, c->tol > 0 ? c->tol : 1e-5), what);
		print_cost(c, type);
	}
	hot_free(&gpu);
	hot_free(&cpu);
}

static bool
asked(const char *name, dtype type, int argc, char **argv)
{
	char both[100];

	snprintf(both, sizeof(both), "%s:%s", name, dtype_name(type));
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0 || strcmp(argv[i], both) == 0)
			return true;
	return argc == 1;
}

int
main(int argc, char **argv)
{
	struct err err;
	struct team *team = team_new(1, &err);
	struct pair p = { dev_open("cpu", team, 0, &err), dev_open("cuda", team, 0, &err) };

	if (p.gpu == NULL) {
		printf("1..0 # SKIP %s\n", err.msg);
		dev_close(p.cpu);
		team_free(team);
		return 0;
	}
	for (int i = 0; i < hot_case_count; i++) {
		const struct hot_case *c = &hot_cases[i];

		if (asked(c->name, DTYPE_F32, argc, argv))
			run(&p, c, DTYPE_F32);
		if (c->typed && asked(c->name, DTYPE_BF16, argc, argv))
			run(&p, c, DTYPE_BF16);
	}
	dev_close(p.gpu);
	dev_close(p.cpu);
	team_free(team);
	return tap_done();
}
