/*
 * GPTQ: the factor is what it says, and the product's error is less than that of rounding; and
 * so is that of each block which may be clipped.
 */
#include <math.h>
#include <stdlib.h>

#include "../tap.h"
#include "base/gptq.h"
#include "base/rng.h"

enum { N = 512, ROWS = 13, SAMPLES = 900 };

/* Inputs of columns that go together, of unlike sizes; some never occur. */
static float *
products(void)
{
	float *h = calloc(N * N, sizeof(*h)), x[N];

	for (uint64_t s = 0; s < SAMPLES; s++) {
		double common[8];

		for (uint64_t k = 0; k < 8; k++)
			common[k] = rng_normal(1, s, k);
		for (uint64_t i = 0; i < N; i++) {
			double size = exp(rng_normal(2, 0, i));

			x[i] = (float)(size * (common[i % 8] + 0.5 * rng_normal(3, s, i)));
			if (i % 50 == 7)
				x[i] = 0;
		}
		for (int i = 0; i < N; i++)
			for (int k = 0; k < N; k++)
				h[i * N + k] += x[i] * x[k];
	}
	return h;
}

/* d H d^T, d the error of a row; of H what is within blocks of so many columns. */
static double
lost_row(const float *h, dtype t, const char *x, const float *y, int block)
{
	float z[N];
	double sum = 0;

	quant_decode(t, z, x, N);
	for (int i = 0; i < N; i++)
		for (int k = i / block * block; k < i / block * block + block; k++)
			sum += (double)(z[i] - y[i]) * (double)h[i * N + k] *
			    (double)(z[k] - y[k]);
	return sum;
}

static double
lost(const float *h, dtype t, const char *x, const float *y)
{
	double sum = 0;

	for (int r = 0; r < ROWS; r++)
		sum += lost_row(h, t, x + r * dtype_bytes(t, N), y + r * N, N);
	return sum;
}

/* U^T U (H + damping) is the identity, as far as fp32 tells. */
static void
factor(const struct gptq *g, const float *h)
{
	double most = 0, damp = 0;

	for (int i = 0; i < N; i++)
		damp += 0.01 * (double)h[i * N + i] / N;
	for (int i = 0; i < N; i += 37) {
		double row[N] = { 0 };

		/* Row i of U^T U, then times H, in the order of columns. */
		for (int k = 0; k <= i; k++)
			for (int j = 0; j < N; j++)
				row[j] += (double)g->u[k * N + i] * (double)g->u[k * N + j];
		for (int j = 0; j < N; j++) {
			double sum = damp * row[j];

			for (int k = 0; k < N; k++)
				sum += row[k] * (double)h[g->order[k] * N + g->order[j]];
			most = fmax(most, fabs(sum - (i == j)));
		}
	}
	printf("# largest difference %g\n", most);
	/* Condition 1e5 or so, times fp32's 6e-8, times sums of 512. */
	ok(most < 2e-2, "U^T U is the inverse of H");
}

/* Of each block the one that loses least, which is the unclipped one or better. */
static void
clipped(const float *h, dtype t, const float *y, const float *weight, const char *plain)
{
	const int64_t row = dtype_bytes(t, N);
	const int block = dtype_block(t);
	char *x = malloc((size_t)(ROWS * row)), what[80];
	float *within = malloc(N * QUANT_BLOCK_MAX * sizeof(*within));
	double with, without, better = 0;
	int worse = 0;

	quant_within(within, h, N);
	for (int r = 0; r < ROWS; r++) {
		quant_encode_clipped(t, x + r * row, y + r * N, N, weight,
		    within);
		with = lost_row(h, t, x + r * row, y + r * N, block);
		without = lost_row(h, t, plain + r * row, y + r * N, block);
		worse += with > without * 1.0001;
		better += with / without / ROWS;
	}
	snprintf(what, sizeof(what), "%s clipped loses %.3f of what it does else", dtype_name(t),
	    better);
	ok(worse == 0 && better < (quant_levels(t) == 16 ? 0.95 : 1), what);
	free(x);
	free(within);
}

int
main(void)
{
	static const dtype types[] = { DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q8_0, DTYPE_Q2_K,
	    DTYPE_Q3_K, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_I4_32, DTYPE_I4_128 };
	float *h = products(), *used = malloc(N * N * sizeof(*used)), *y = malloc(4 * ROWS * N);
	float *weight = malloc(4 * N);
	char *x = malloc(ROWS * N * 2), *z = malloc(ROWS * N * 2);
	struct err e = { 0 };
	struct team *one = team_new(1, &e), *three = team_new(3, &e);
	struct gptq g, same;

	for (uint64_t i = 0; i < ROWS * N; i++)
		y[i] = (float)(0.02 * rng_normal(4, 0, i));
	for (int i = 0; i < N; i++)
		weight[i] = h[i * N + i];
	memcpy(used, h, N * N * sizeof(*h));
	ok(gptq_init(&g, used, N, 0.01, one, &e) == 0, "a factor");
	memcpy(used, h, N * N * sizeof(*h));
	ok(gptq_init(&same, used, N, 0.01, three, &e) == 0 &&
	    memcmp(g.u, same.u, N * N * sizeof(*g.u)) == 0, "the same with three threads");
	factor(&g, h);
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		double with, without;
		char what[80];

		ok(gptq_encode(&g, types[i], x, y, ROWS, &e) == 0, dtype_name(types[i]));
		with = lost(h, types[i], x, y);
		for (int r = 0; r < ROWS; r++)
			quant_encode(types[i], z + r * dtype_bytes(types[i], N), y + r * N, N,
			    weight);
		without = lost(h, types[i], z, y);
		snprintf(what, sizeof(what), "%s loses %.3f of what rounding does",
		    dtype_name(types[i]), with / without);
		ok(with < 0.6 * without, what);
		clipped(h, types[i], y, weight, z);
	}
	gptq_free(&same);
	for (int i = 0; i < N * N; i++)
		used[i] = i % (N + 1) == 0 ? -1.0f : 0;
	ok(gptq_init(&same, used, N, 0.01, one, &e) < 0 && e.msg[0] != '\0',
	    "what is no sum of squares is refused");
	gptq_free(&g);
	team_free(one);
	team_free(three);
	free(h);
	free(used);
	free(y);
	free(weight);
	free(x);
	free(z);
	return tap_done();
}
