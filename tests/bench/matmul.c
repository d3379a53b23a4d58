/*
 * Matrix products: matmul [DEVICE [THREADS]].  Prints GFLOP/s and the fraction
 * of the peak that was measured in the same run; each shape is checked first.
 */
#include <math.h>
#include <string.h>

#include "bench.h"

struct shape {
	const char *name;
	int64_t	m, n, k;
	bool	ta, tb;
};

static const struct shape shapes[] = {
	{ "square", 2048, 2048, 2048, false, true },
	{ "forward", 4096, 256, 256, false, true },
	{ "forward", 4096, 512, 256, false, true },
	{ "forward", 4096, 1376, 256, false, true },
	{ "forward", 4096, 256, 688, false, true },
	{ "forward", 2048, 4096, 256, false, true },
	{ "dx", 4096, 256, 256, false, false },
	{ "dx", 4096, 256, 512, false, false },
	{ "dx", 4096, 256, 1376, false, false },
	{ "dx", 4096, 688, 256, false, false },
	{ "dx", 2048, 256, 4096, false, false },
	{ "dw", 256, 256, 4096, true, false },
	{ "dw", 512, 256, 4096, true, false },
	{ "dw", 1376, 256, 4096, true, false },
	{ "dw", 256, 688, 4096, true, false },
	{ "dw", 4096, 256, 2048, true, false },
	{ "few", 1, 50304, 768, false, true },
	{ "few", 1, 768, 3072, false, true },
	{ "few", 4, 3072, 768, false, true },
	{ "few", 8, 3072, 768, false, true },
	{ "few", 16, 3072, 768, false, true },
};

/* A few elements against double. */
static bool
right(struct dev *d, const struct k_matmul *a)
{
	struct err err = { 0 };
	int64_t m = a->m.cap, n = a->n, k = a->k.cap;
	float *x = malloc((size_t)(m * k) * 4), *y = malloc((size_t)(n * k) * 4);
	float *c = malloc((size_t)(m * n) * 4);
	double worst = 0;

	dev_download(d, x, a->a, m * k * 4);
	dev_download(d, y, a->b, n * k * 4);
	dev_download(d, c, a->c, m * n * 4);
	bench_must(dev_wait(d, &err), &err);
	for (uint64_t s = 0; s < 100; s++) {
		int64_t i = (int64_t)rng_below(1, 1, s, (uint64_t)m);
		int64_t j = (int64_t)rng_below(1, 2, s, (uint64_t)n);
		double sum = 0;

		for (int64_t l = 0; l < k; l++)
			sum += (double)x[a->ta ? l * m + i : i * k + l] *
			    (double)y[a->tb ? j * k + l : l * n + j];
		worst = fmax(worst, fabs(sum - (double)c[i * n + j]) / sqrt((double)k));
	}
	free(x);
	free(y);
	free(c);
	return worst < 1e-5;
}

int
main(int argc, char **argv)
{
	struct dev *d = bench_open(argc, argv);
	struct team *team = d->team;
	double peak = dev_info(d)->peak_f32;
	int bad = 0;

	printf("name\tshape\tgflops\tfraction\n");
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct shape *s = &shapes[i];
		union dev_args a = { .matmul = {
			.c = bench_floats(d, s->m * s->n, 1), .a = bench_floats(d, s->m * s->k, 2),
			.b = bench_floats(d, s->n * s->k, 3), .c_type = DTYPE_F32,
			.a_type = DTYPE_F32, .b_type = DTYPE_F32, .m = { .cap = s->m },
			.k = { .cap = s->k }, .n = s->n, .lda = s->ta ? s->m : s->k,
			.ldb = s->tb ? s->k : s->n, .ldc = s->n, .ta = s->ta, .tb = s->tb,
			.alpha = 1,
		} };
		double t = bench_launch(d, K_MATMUL, &a, 0.1), rate;

		rate = 2 * (double)s->m * (double)s->n * (double)s->k / t;
		printf("%s\t%lldx%lldx%lld\t%.1f\t%.3f\n", s->name, (long long)s->m,
		    (long long)s->n, (long long)s->k, rate * 1e-9, rate / peak);
		if (!right(d, &a.matmul)) {
			printf("# wrong result\n");
			bad = 1;
		}
		dev_free(d, a.matmul.a);
		dev_free(d, a.matmul.b);
		dev_free(d, a.matmul.c);
	}
	dev_close(d);
	team_free(team);
	return bad;
}
