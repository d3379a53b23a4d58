/* op_fake_quant: products with what blocks give back, gradients straight through. */
#include <stdlib.h>

#include "../tap.h"
#include "base/quant.h"
#include "base/rng.h"
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

int
main(void)
{
	static const dtype types[] = { DTYPE_Q4_0, DTYPE_Q5_1, DTYPE_Q8_0, DTYPE_IQ4_NL };
	struct team *team = team_new(2, &err);
	struct dev *dev = dev_open("cpu", team, DEV_STRICT, &err);
	float w[N * K], rounded[N * K];
	char blocks[2 * N * K];
	struct made a, b, plain;

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
	team_free(team);
	return tap_done();
}
