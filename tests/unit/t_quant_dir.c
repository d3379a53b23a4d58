/*
 * Models made smaller as directories: of each tiny model (tests/golden/model.py) the matrices
 * of linear layers, and those alone, and what is read of it makes nearly the same logits.
 */
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/logits.h"
#include "fmt/safetensors.h"
#include "model/quantize.h"

static char tmp[64];

/* By name and shape, whatever the model's own table says. */
static bool
is_linear(const struct st_tensor *t)
{
	static const char *const others[] = { "embed", "lm_head", "router", "mlp.gate.",
	    "block_sparse_moe.gate.", "A_log", "norm" };

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (strstr(t->name, others[i]) != NULL)
			return false;
	return t->ndim == 2;
}

/* How many matrices of linear layers there are; -1: another tensor than those has changed. */
static int
count(const char *from, const char *to)
{
	struct st_file *a = st_open(from, &err), *b = st_open(to, &err);
	int n = 0;

	for (int i = 0; a != NULL && b != NULL && i < st_count(a) && n >= 0; i++) {
		const struct st_tensor *x = st_at(a, i), *y = st_find(b, x->name);
		bool same = y != NULL && x->type == y->type && x->bytes == y->bytes &&
		    memcmp(x->data, y->data, (size_t)x->bytes) == 0;

		if (strncmp(x->name, "pooler.", 7) == 0)	/* no part of an encoder here */
			continue;
		if (is_linear(x) ? y == NULL || y->type != DTYPE_F8_E4M3 : !same) {
			printf("# %s\n", x->name);
			n = -1;
		} else {
			n += is_linear(x);
		}
	}
	st_close(a);
	st_close(b);
	return n;
}

/* Each weight is read within share of itself, or of the largest of its row. */
static bool
is_near(const char *from, const char *to, float share, float of_row)
{
	struct model a = { .dev = NULL }, b = { .dev = NULL };
	bool near = model_open(&a, from, &err) == 0 && model_open(&b, to, &err) == 0;

	for (int i = 0; near && i < a.n_weights; i++) {
		const struct weight *w = &a.weight[i];
		int64_t cols = w->shape[w->ndim - 1];
		float *x = malloc((size_t)w->n * sizeof(*x)), *y = malloc((size_t)w->n * sizeof(*y));

		must(model_read(&a, i, x, &err), w->name);
		must(model_read(&b, i, y, &err), w->name);
		for (int64_t at = 0; at < w->n; at += cols) {
			float most = 0;

			for (int64_t k = at; k < at + cols; k++)
				most = fmaxf(most, fabsf(x[k]));
			for (int64_t k = at; k < at + cols; k++)
				near &= fabsf(x[k] - y[k]) <= fmaxf(share * fabsf(x[k]), of_row * most);
		}
		free(x);
		free(y);
	}
	model_free(&a);
	model_free(&b);
	return near;
}

static void
check_model(const char *from)
{
	const char *name = strrchr(from, '/') + 1;
	char dir[100], what[100];
	float *want, *got;
	int64_t n = 0;
	double d;

	snprintf(dir, sizeof(dir), "%s/%s", tmp, name);
	must(mkdir(dir, 0777), dir);
	must(quantize_directory(from, false, dir, &err), from);
	snprintf(what, sizeof(what), "%s: linear layers, and no more", name);
	ok(count(from, dir) > 0, what);
	want = logits_of(from, NULL, &n);
	got = logits_of(dir, NULL, &n);
	d = relative(got, want, n);
	printf("# %s: %g\n", name, d);
	/* Three bits of a mantissa, and below 2^-6 of 448 half of 2^-9. */
	snprintf(what, sizeof(what), "%s: each weight to a sixteenth", name);
	ok(is_near(from, dir, 1 / 16.0f, 1 / (448 * 1024.0f)), what);
	/* Random layers make more of it, routers that choose another expert most. */
	snprintf(what, sizeof(what), "%s: nearly the same logits", name);
	ok(d > 0 && d < 0.6, what);
	free(want);
	free(got);
	must(model_remove(dir, &err), dir);
}

/* One that makes no logits. */
static void
check_encoder(void)
{
	const char *from = "tests/data/encoder/bert";
	char dir[100];

	snprintf(dir, sizeof(dir), "%s/bert", tmp);
	must(mkdir(dir, 0777), dir);
	must(quantize_directory(from, false, dir, &err), from);
	ok(count(from, dir) == 2 * 6, "bert: linear layers, and no more");
	must(model_remove(dir, &err), dir);
}

/* Matrices that lie transposed, and those that are quantized already. */
static void
check_refused(void)
{
	char dir[100];

	snprintf(dir, sizeof(dir), "%s/none", tmp);
	must(mkdir(dir, 0777), dir);
	ok(quantize_directory("tests/data/model/gpt2", false, dir, &err) < 0 &&
	    strstr(err.msg, "no linear layers") != NULL, "gpt2: refused");
	ok(quantize_directory("tests/data/packed/gptq", false, dir, &err) < 0 &&
	    strstr(err.msg, "is quantized already: --allow-requantize") != NULL,
	    "GPTQ: refused");
	ok(quantize_directory("tests/data/packed/gptq", true, dir, &err) == 0,
	    "unless one insists");
	must(model_remove(dir, &err), dir);
}

int
main(void)
{
	struct team *team = team_new(1, &err);
	glob_t g;

	must(team == NULL ? -1 : 0, "team");
	must((dev = dev_open("cpu", team, 0, &err)) == NULL ? -1 : 0, "device");
	snprintf(tmp, sizeof(tmp), "/tmp/t_quant_dir.XXXXXX");
	if (mkdtemp(tmp) == NULL || glob("tests/data/model/*", 0, NULL, &g) != 0)
		return 1;
	ok(g.gl_pathc > 15, "there are tiny models");
	for (size_t i = 0; i < g.gl_pathc; i++)
		if (strcmp(strrchr(g.gl_pathv[i], '/'), "/gpt2") != 0)
			check_model(g.gl_pathv[i]);
	globfree(&g);
	check_encoder();
	check_refused();
	rmdir(tmp);
	dev_close(dev);
	team_free(team);
	return tap_done();
}
