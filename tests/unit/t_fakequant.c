/*
 * What blocks give back, the same bits on each device; and op_fake_quant: products
 * with it, gradients straight through.
 */
#include <math.h>
#include <stdlib.h>

#include "../tap.h"
#include "base/quant.h"
#include "base/rng.h"
#include "dev/kernels.h"
#include "nn/ops.h"

enum { T = 5, N = 24, K = 64 };

static struct err err;

struct made {
	float	y[T * N], dw[N * K];
};

/* y = x w^T with w rounded (type) or as it is (NONE), and dw of some dy. */
static int
make(struct dev *dev, dtype type, const float *w, struct made *m)
{
	struct params ps = { .dev = NULL };
	struct tape *t = tape_new(dev, T, 1, TAPE_GRAD, &err);
	struct param *p = params_add(&ps, "w", 2, (int64_t[]){ N, K }, INIT_ZEROS, 0, true, &err);
	struct tensor *x, *y, *q;
	float in[T * K], dy[T * N];
	int ret = -1;

	for (uint64_t i = 0; i < T * K; i++)
		in[i] = (float)rng_normal(2, 0, i);
	for (uint64_t i = 0; i < T * N; i++)
		dy[i] = (float)rng_normal(3, 0, i);
	if (t == NULL || p == NULL || params_place(&ps, dev, true, &err) < 0 ||
	    param_upload(&ps, p, 0, N * K, w, DTYPE_F32, &err) < 0)
		return -1;
	x = tape_input(t, "x", DTYPE_F32, ROWS_TOKENS, 2, (int64_t[]){ T, K });
	q = type != DTYPE_NONE ? op_fake_quant(t, &p->t, type) : &p->t;
	y = op_linear(t, x, q, NULL);
	tape_output(t, y);
	tape_seed(t, y);
	if (tape_plan(t, &err) == 0) {
		tape_upload(t, x, in, T * K);
		tape_forward(t, 0, -1);
		tape_download(t, y, m->y, T * N);
		tape_upload_grad(t, y, dy, T * N);
		tape_backward(t, 0, -1);
		dev_download(dev, m->dw, p->grad, (int64_t)sizeof(m->dw));
		ret = dev_wait(dev, &err);
	}
	tape_free(t);
	params_free(&ps);
	return ret;
}

/* Of all sizes, with blocks that are alike, zero, positive, or of one large element. */
static void
draw(float *w, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		double x = rng_normal(5, 0, (uint64_t)i);

		switch (i / 256 % 8) {
		case 1: x = 0; break;
		case 2: x = 0.25; break;
		case 3: x = fabs(x) + 1; break;
		case 4: x *= i % 256 == 77 ? 100 : 1e-3; break;
		case 5: x *= 1e-7; break;
		case 6: x = i % 3 == 0 ? -2 : i % 3 == 1 ? 2 : x; break;
		}
		w[i] = (float)x;
	}
}

/* Is K_FAKE_QUANT of n elements what blocks of that type give back? */
static bool
gives_back(struct dev *dev, dtype type, int64_t n)
{
	float *x = malloc((size_t)n * 8), *want = x + n;
	void *blocks = malloc((size_t)dtype_bytes(type, n));
	union dev_args a = { .fake_quant = { dev_alloc(dev, n * 4, &err),
	    dev_alloc(dev, n * 4, &err), DTYPE_F32, type, 2, n / 2 } };
	bool good = dev_check(dev, K_FAKE_QUANT, &a, &err) == 0;

	draw(x, n);
	quant_encode(type, blocks, x, n, NULL);
	quant_decode(type, want, blocks, n);
	dev_upload(dev, a.fake_quant.x, x, n * 4);
	dev_launch(dev, K_FAKE_QUANT, &a);
	dev_download(dev, x, a.fake_quant.y, n * 4);
	good = good && dev_wait(dev, &err) == 0;
	for (int64_t i = 0; i < n && good; i++)
		if (x[i] != want[i]) {
			printf("# element %d: %.9g, %.9g wanted\n", (int)i, (double)x[i],
			    (double)want[i]);
			good = false;
		}
	free(blocks);
	free(x);
	dev_free(dev, a.fake_quant.y);
	dev_free(dev, a.fake_quant.x);
	return good;
}

static void
all_give_back(struct dev *dev)
{
	char what[128];

	for (dtype t = DTYPE_NONE + 1; t < DTYPE_COUNT; t++)
		if (dtype_block(t) > 1) {
			snprintf(what, sizeof(what), "%s: what blocks of %s give back",
			    dev->info.name, dtype_name(t));
			ok(gives_back(dev, t, 16 * 256), what);
		}
}

int
main(void)
{
	static const dtype types[] = { DTYPE_Q4_0, DTYPE_Q5_1, DTYPE_Q8_0, DTYPE_IQ4_NL };
	struct team *team = team_new(2, &err);
	struct dev *dev = dev_open("cpu", team, DEV_STRICT, &err);
	struct dev *gpu = dev_open("cuda", team, 0, &err);
	float w[N * K], rounded[N * K];
	char blocks[2 * N * K];
	struct made a, b, plain;

	all_give_back(dev);
	if (gpu != NULL)
		all_give_back(gpu);
	for (uint64_t i = 0; i < N * K; i++)
		w[i] = (float)rng_normal(1, 0, i);
	ok(make(dev, DTYPE_NONE, w, &plain) == 0, "a product");
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		quant_encode(types[i], blocks, w, N * K, NULL);
		quant_decode(types[i], rounded, blocks, N * K);
		ok(make(dev, types[i], w, &a) == 0 && make(dev, DTYPE_NONE, rounded, &b) == 0 &&
		    memcmp(a.y, b.y, sizeof(a.y)) == 0, dtype_name(types[i]));
		ok(memcmp(a.y, plain.y, sizeof(a.y)) != 0, "is not what it was");
		ok(memcmp(a.dw, plain.dw, sizeof(a.dw)) == 0, "the gradient is");
	}
	ok(make(dev, DTYPE_Q4_K, w, &a) < 0 && err.msg[0] != '\0', "rows that are no blocks");
	ok(make(dev, DTYPE_F16, w, &a) < 0, "a type that has none");
	dev_close(dev);
	dev_close(gpu);
	team_free(team);
	return tap_done();
}
