/*
 * Models made smaller as directories: of each tiny model (tests/golden/model.py) the matrices
 * of linear layers, and those alone, and what is read of it makes nearly the same logits.  Rows
 * there are too short for groups, so those are of random models of each family.
 */
#include <errno.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/logits.h"
#include "fmt/safetensors.h"
#include "model/quantize.h"
#include "model/sizes.h"

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

/* In bytes, or in groups where rows can be. */
static bool
is_quantized(const struct st_file *f, const struct st_tensor *was)
{
	const struct st_tensor *t = st_find(f, was->name), *scale;
	char name[200];

	if (t != NULL)
		return t->type == DTYPE_F8_E4M3 || t->type == DTYPE_I8 || was->shape[1] % 32 != 0;
	snprintf(name, sizeof(name), "%s_packed", was->name);
	t = st_find(f, name);
	snprintf(name, sizeof(name), "%s_scale", was->name);
	scale = st_find(f, name);
	return t != NULL && t->type == DTYPE_I32 && t->shape[1] == was->shape[1] / 8 &&
	    scale != NULL && scale->type == DTYPE_BF16 && scale->shape[0] == was->shape[0];
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
		if (is_linear(x) ? !is_quantized(b, x) : !same) {
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

static int
quantize(const char *from, const struct quantize_options *o, struct team *team, const char *dir)
{
	struct export x = { .n = 0 };
	struct quantize *q = NULL;
	int ret = -1;

	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		must(-1, dir);
	if (export_open_own(&x, from, &err) == 0 &&
	    (q = quantize_plan(&x, o, team, &err)) != NULL)
		ret = quantize_save(q, dir, NULL, NULL, &err);
	quantize_free(q);
	export_close(&x);
	return ret;
}

static void
check_model(const char *from, const char *type, struct team *team)
{
	struct quantize_options o = { .type = type };
	const char *name = strrchr(from, '/') + 1;
	bool fp8 = strcmp(type, "fp8") == 0;
	char dir[100], what[100];
	float *want, *got;
	int64_t n = 0;
	double d;

	snprintf(dir, sizeof(dir), "%s/%s", tmp, name);
	must(quantize(from, &o, team, dir), from);
	snprintf(what, sizeof(what), "%s, %s: linear layers, and no more", name, type);
	ok(count(from, dir) > 0, what);
	want = logits_of(from, NULL, &n);
	got = logits_of(dir, NULL, &n);
	d = relative(got, want, n);
	printf("# %s, %s: %g\n", name, type, d);
	/*
	 * Three bits of a mantissa, and below 2^-6 of 448 half of 2^-9.  Of integers half a step,
	 * and where the scale was rounded down, so much of the largest is cut off.
	 */
	snprintf(what, sizeof(what), "%s, %s: each weight to its step", name, type);
	ok(fp8 ? is_near(from, dir, 1 / 16.0f, 1 / (448 * 1024.0f)) :
	    is_near(from, dir, 0, 1 / 254.0f + 1 / 512.0f), what);
	/* Random layers make more of it, routers that choose another expert most. */
	snprintf(what, sizeof(what), "%s, %s: nearly the same logits", name, type);
	ok(d > 0 && d < 0.6, what);
	free(want);
	free(got);
	must(model_remove(dir, &err), dir);
}

static void
make_model(enum arch arch, const char *dir)
{
	struct model m = { .dev = NULL };
	struct config c;

	config_default(&c, arch);
	c.vocab = 96;
	c.width = 96;
	c.layers = 2;
	c.heads = 2;
	c.context = 64;
	c.ffn = 128;
	config_layers(&c);
	must(config_complete(&c, 0, &err), arch_name(arch));
	must(model_init(&m, &c, dev, false, 3, &err), arch_name(arch));
	must(mkdir(dir, 0777), dir);
	must(model_save(&m, dir, DTYPE_BF16, 0, &err), dir);
	model_free(&m);
}

static void
check_groups(enum arch arch, struct team *team)
{
	struct quantize_options o = { .type = "w4a16", .group = 128 };
	char from[100], dir[100], what[100];
	bool made;

	snprintf(from, sizeof(from), "%s/model", tmp);
	snprintf(dir, sizeof(dir), "%s/groups", tmp);
	make_model(arch, from);
	made = quantize(from, &o, team, dir) == 0;
	snprintf(what, sizeof(what), "%s: groups", arch_name(arch));
	ok(arch == ARCH_GPT2 ? !made && strstr(err.msg, "transposed") != NULL : made &&
	    count(from, dir) > 0, what);
	/* An eighth of the largest where its like of the other sign is cut off; bf16 of it. */
	snprintf(what, sizeof(what), "%s: each weight to an eighth of the largest", arch_name(arch));
	ok(!made || is_near(from, dir, 0, 0.125f * 1.01f), what);
	must(made ? model_remove(dir, &err) : rmdir(dir), dir);
	must(model_remove(from, &err), from);
}

static float *
weight_of(struct model *m, const char *name)
{
	int i = 0;
	float *y;

	while (strcmp(m->weight[i].name, name) != 0)
		i++;
	y = malloc((size_t)m->weight[i].n * sizeof(*y));
	must(y == NULL ? -1 : model_read(m, i, y, &err), name);
	return y;
}

/* Columns of q times the norm before; rows of up times the first row of down. */
static float *
products(const char *dir, bool *scaled)
{
	struct model m = { .dev = NULL };
	float *norm, *q, *up, *down, *y;
	int64_t n, ffn, at = 0;

	must(model_open(&m, dir, &err), dir);
	n = m.config.width;
	ffn = m.config.ffn;
	norm = weight_of(&m, "model.layers.0.input_layernorm.weight");
	q = weight_of(&m, "model.layers.0.self_attn.q_proj.weight");
	up = weight_of(&m, "model.layers.0.mlp.up_proj.weight");
	down = weight_of(&m, "model.layers.0.mlp.down_proj.weight");
	y = malloc((size_t)(2 * n * n + ffn * n) * sizeof(*y));
	for (int64_t i = 0; i < n * n; i++)
		y[at++] = q[i] * (norm[i % n] + (float)m.config.norm_plus);
	for (int64_t i = 0; i < ffn * n; i++)
		y[at++] = up[i] * down[i / n];
	*scaled = norm[0] != norm[1] && norm[2] != norm[3];
	free(norm);
	free(q);
	free(up);
	free(down);
	model_free(&m);
	return y;
}

/* Inputs of unlike sizes: what is made of a matrix and what comes before is what it was. */
static void
check_folds(enum arch arch, double smooth, struct team *team)
{
	static const char *const name[] = { "attn_q", "ffn_down" };
	struct imatrix *im = imatrix_new(&err);
	struct quantize_options o = { .type = smooth > 0 ? "w8a8" : "w4a16", .group = 32,
	    .awq = smooth == 0, .smooth = smooth, .imatrix = im };
	float range = smooth > 0 ? 4 : 1;	/* one scale is for all columns there */
	const char *how = smooth > 0 ? "SmoothQuant" : "AWQ";
	char from[100], dir[100], what[100];
	bool before, after;
	float *x, *y;
	double d;

	for (int i = 0; i < 2; i++) {
		int64_t n = i == 0 ? 96 : 128;
		struct imatrix_entry *e;

		snprintf(what, sizeof(what), "blk.0.%s.weight", name[i]);
		must((e = imatrix_add(im, what, n, 1, &err)) == NULL ? -1 : 0, what);
		e->count[0] = 1;
		for (int64_t k = 0; k < n; k++)
			e->sum[k] = e->most[k] = expf(((float)(k * 37 % 11) - 5) / range);
	}
	snprintf(from, sizeof(from), "%s/model", tmp);
	snprintf(dir, sizeof(dir), "%s/groups", tmp);
	make_model(arch, from);
	must(quantize(from, &o, team, dir), from);
	x = products(from, &before);
	y = products(dir, &after);
	d = relative(y, x, 96 * 96 + 128 * 96);
	printf("# %s, %s: %g\n", arch_name(arch), how, d);
	snprintf(what, sizeof(what), "%s: %s scales a norm", arch_name(arch), how);
	ok(!before && after, what);
	/*
	 * Rounding to four bits moves weights of one size by a tenth, both factors of a product.
	 * With eight bits it is a sixteenth of that.
	 */
	snprintf(what, sizeof(what), "%s: and the products are what they were", arch_name(arch));
	ok(d < (smooth > 0 ? 0.02 : 0.2), what);
	free(x);
	free(y);
	imatrix_free(im);
	must(model_remove(dir, &err), dir);
	must(model_remove(from, &err), from);
}

/* One that makes no logits. */
static void
check_encoder(struct team *team)
{
	struct quantize_options o = { .type = "fp8" };
	const char *from = "tests/data/encoder/bert";
	char dir[100];

	snprintf(dir, sizeof(dir), "%s/bert", tmp);
	must(quantize(from, &o, team, dir), from);
	ok(count(from, dir) == 2 * 6, "bert: linear layers, and no more");
	must(model_remove(dir, &err), dir);
}

/* Matrices that lie transposed, and those that are quantized already. */
static void
check_refused(struct team *team)
{
	struct quantize_options o = { .type = "fp8" };
	char dir[100];

	snprintf(dir, sizeof(dir), "%s/none", tmp);
	ok(quantize("tests/data/model/gpt2", &o, team, dir) < 0 &&
	    strstr(err.msg, "no linear layers") != NULL, "gpt2: refused");
	ok(quantize("tests/data/packed/gptq", &o, team, dir) < 0 &&
	    strstr(err.msg, "is quantized already: --allow-requantize") != NULL,
	    "GPTQ: refused");
	o.again = true;
	ok(quantize("tests/data/packed/gptq", &o, team, dir) == 0, "unless one insists");
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
		if (strcmp(strrchr(g.gl_pathv[i], '/'), "/gpt2") != 0) {
			check_model(g.gl_pathv[i], "fp8", team);
			check_model(g.gl_pathv[i], "w8a8", team);
		}
	globfree(&g);
	for (int i = 0; i < ARCH_ENCODERS; i++)
		check_groups((enum arch)i, team);
	for (int smooth = 0; smooth < 2; smooth++) {
		check_folds(ARCH_LLAMA, 0.5 * smooth, team);
		check_folds(ARCH_GEMMA3, 0.5 * smooth, team);
	}
	check_encoder(team);
	check_refused(team);
	rmdir(tmp);
	dev_close(dev);
	team_free(team);
	return tap_done();
}
