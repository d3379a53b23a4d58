/* What quantizers leave in safetensors (tests/golden/packed.py): every weight, as it was computed. */
#include <glob.h>
#include <math.h>
#include <stdlib.h>

#include "../tap.h"
#include "fmt/safetensors.h"
#include "model/model.h"

/* Products of an integer and a scale, in fp32 on both sides: to the last bit, or the one before. */
static bool
same(const float *x, const float *y, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (!(fabsf(x[i] - y[i]) <= 1.2e-7f * fabsf(y[i])))
			return false;
	return true;
}

static void
check(const char *dir)
{
	struct err err = { 0 };
	struct model m = { .dev = NULL };
	char path[256];
	struct st_file *want;
	int right = 0, n = 0;

	snprintf(path, sizeof(path), "%s/expected.safetensors", dir);
	want = st_open(path, &err);
	if (want == NULL || model_open(&m, dir, &err) < 0) {
		printf("# %s\n", err.msg);
		ok(false, dir);
		st_close(want);
		model_free(&m);
		return;
	}
	for (int i = 0; i < m.n_weights; i++) {
		const struct st_tensor *t = st_find(want, m.weight[i].name);
		float *x = calloc((size_t)m.weight[i].n, sizeof(*x));

		if (t != NULL && x != NULL) {
			n++;
			right += model_read(&m, i, x, &err) == 0 && t->bytes == 4 * m.weight[i].n &&
			    same(x, t->data, m.weight[i].n);
		}
		free(x);
	}
	ok(n == 14 && right == n, dir);
	st_close(want);
	model_free(&m);
}

/* A model with one thing of its quantization_config changed is refused. */
static void
refused(const char *dir, const char *why)
{
	struct err err = { 0 };
	struct model m = { .dev = NULL };

	ok(model_open(&m, dir, &err) < 0 && strstr(err.msg, why) != NULL, dir);
	model_free(&m);
}

int
main(void)
{
	glob_t g;

	if (glob("tests/data/packed/*", 0, NULL, &g) != 0)
		return 1;
	for (size_t i = 0; i < g.gl_pathc; i++)
		if (strstr(g.gl_pathv[i], "/bad-") == NULL)
			check(g.gl_pathv[i]);
	ok(g.gl_pathc >= 10, "there are layouts");
	globfree(&g);
	refused("tests/data/packed/bad-order", "g_idx");
	refused("tests/data/packed/bad-scale", "scales");
	refused("tests/data/packed/bad-method", "quant_method");
	return tap_done();
}
