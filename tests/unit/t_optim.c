/*
 * The optimizers: their kernels against double, moments of few bits against
 * their definition, whole updates against PyTorch's and transformers' steps
 * (tests/golden/optim.py), and what a restored one goes on to.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/kit.h"
#include "../tap.h"
#include "base/json.h"
#include "base/rng.h"
#include "train/optim.h"

/* ---- kernels ---- */

struct shape { int64_t n, rows, cols; bool low; };

static const struct shape *
shape_of(const struct kit *k)
{
	return k->shape;
}

/* The parameter, its copy in bf16, the gradient, the step; then what the kernel has besides. */
enum { P, P_OUT, G, STEP, MORE };

static dptr
out_of(const struct kit *k)
{
	return shape_of(k)->low ? kit_at(k, P_OUT) : (dptr){ 0 };
}

static void
adamw_args(struct kit *k, union dev_args *a)
{
	a->adamw = (struct k_adamw){
		.p = kit_at(k, P), .g = kit_at(k, G), .step = kit_at(k, STEP), .p_out = out_of(k),
		.m.at = kit_at(k, MORE), .v.at = kit_at(k, MORE + 1), .moments = DTYPE_F32,
		.p_type = kit_type_of(k, P_OUT), .n = shape_of(k)->n, .lr_scale = 0.5,
		.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .decay = 0.1,
	};
}

static void
lion_args(struct kit *k, union dev_args *a)
{
	a->lion = (struct k_lion){
		.p = kit_at(k, P), .g = kit_at(k, G), .step = kit_at(k, STEP), .p_out = out_of(k),
		.m.at = kit_at(k, MORE), .moments = DTYPE_F32, .p_type = kit_type_of(k, P_OUT),
		.n = shape_of(k)->n, .lr_scale = 0.5, .beta1 = 0.9, .beta2 = 0.99, .decay = 0.1,
	};
}

static void
adafactor_args(struct kit *k, union dev_args *a)
{
	const struct shape *s = shape_of(k);

	a->adafactor = (struct k_adafactor){
		.p = kit_at(k, P), .g = kit_at(k, G), .step = kit_at(k, STEP), .p_out = out_of(k),
		.row = kit_at(k, MORE), .p_type = kit_type_of(k, P_OUT), .rows = s->rows,
		.cols = s->cols, .lr_scale = 0.5, .power = -0.8, .eps = 1e-30, .clip = 0.7,
		.decay = 0.1,
	};
	if (s->cols > 1)
		a->adafactor.col = kit_at(k, MORE + 1);
}

static void
momentum_args(struct kit *k, union dev_args *a)
{
	a->momentum = (struct k_momentum){ .y = kit_at(k, P), .g = kit_at(k, G),
		.step = kit_at(k, STEP), .m.at = kit_at(k, MORE), .moments = DTYPE_F32,
		.n = shape_of(k)->n, .beta = 0.95 };
}

static void
update_args(struct kit *k, union dev_args *a)
{
	a->update = (struct k_update){ .p = kit_at(k, P), .x = kit_at(k, MORE),
		.step = kit_at(k, STEP), .p_out = out_of(k), .p_type = kit_type_of(k, P_OUT),
		.n = shape_of(k)->n, .lr_scale = 3, .decay = 0.1 };
}

static void
ema_args(struct kit *k, union dev_args *a)
{
	a->ema = (struct k_ema){ .y = kit_at(k, P), .x = kit_at(k, G), .step = kit_at(k, STEP),
		.n = shape_of(k)->n, .decay = 0.9 };
}

static void
swap_args(struct kit *k, union dev_args *a)
{
	a->swap = (struct k_swap){ .a = kit_at(k, P), .b = kit_at(k, G), .p_out = out_of(k),
		.p_type = kit_type_of(k, P_OUT), .n = shape_of(k)->n };
}

static void
normalize_args(struct kit *k, union dev_args *a)
{
	a->normalize = (struct k_normalize){ .y = kit_at(k, 0), .x = kit_at(k, 1),
		.sumsq = kit_at(k, 2), .n = shape_of(k)->n, .eps = 1e-7 };
}

static int
positive_out(struct kit *k, int64_t n)
{
	int i = kit_wide_out(k, n);

	for (int64_t j = 0; j < n; j++)
		((double *)k->buf[i].from)[j] = fabs(((double *)k->buf[i].from)[j]) + 1e-3;
	return i;
}

/* A skipped step has NaN for a gradient, and leaves all as it was. */
static bool
agrees(struct kit *k, int kernel, void (*args)(struct kit *, union dev_args *),
    struct shape s, int32_t skip)
{
	struct dev_step step = { .scale = 0.25, .lr = 0.01, .step = 7, .skip = skip };
	bool good;

	k->shape = &s;
	kit_wide_out(k, s.n);
	kit_out_as(k, DTYPE_BF16, s.n);
	if (kernel == K_SWAP)
		kit_wide_out(k, s.n);
	else
		kit_wide_in(k, s.n, s.n, 1);
	for (int64_t i = 0; skip != 0 && i < s.n; i += 3)
		((double *)k->buf[G].from)[i] = (double)NAN;
	kit_bytes(k, sizeof(step), &step, true);
	if (kernel == K_ADAFACTOR)
		positive_out(k, s.rows);
	else
		kit_wide_out(k, s.n);
	positive_out(k, kernel == K_ADAFACTOR ? s.cols : s.n);
	good = kit_agrees(k, kernel, args, 3e-6);
	for (int b = 0; skip != 0 && b < k->n; b++)
		for (int64_t i = 0; b != G && b != STEP && i < k->buf[b].n; i++)
			good = good && (kit_want(k, b, i) == ((double *)k->buf[b].from)[i] ||
			    (kernel == K_MOMENTUM && b == P && kit_want(k, b, i) == 0));
	kit_reset(k);
	return good;
}

static bool
normalize_agrees(struct kit *k, int64_t n)
{
	struct shape s = { .n = n };
	double sumsq = 7;
	bool good;

	k->shape = &s;
	kit_wide_out(k, n);
	kit_wide_in(k, n, n, 1);
	kit_bytes(k, sizeof(sumsq), &sumsq, true);
	good = kit_agrees(k, K_NORMALIZE, normalize_args, 1e-6);
	kit_reset(k);
	return good;
}

static void
test_kernels(struct kit *k)
{
	static const struct {
		int	kernel;
		void	(*args)(struct kit *, union dev_args *);
		const char *name;
	} c[] = {
		{ K_ADAMW, adamw_args, "adamw" }, { K_LION, lion_args, "lion" },
		{ K_MOMENTUM, momentum_args, "momentum" }, { K_UPDATE, update_args, "update" },
		{ K_EMA, ema_args, "ema" }, { K_SWAP, swap_args, "swap" },
	};
	static const int64_t ns[] = { 1, 255, 256, 1003, 40003 };
	bool good = true;

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		good = true;
		for (size_t j = 0; j < sizeof(ns) / sizeof(ns[0]); j++)
			good = good && agrees(k, c[i].kernel, c[i].args,
			    (struct shape){ ns[j], 1, ns[j], j % 2 != 0 }, 0);
		ok(good, c[i].name);
		ok(c[i].kernel == K_SWAP || agrees(k, c[i].kernel, c[i].args,
		    (struct shape){ 1003, 1, 1003, true }, 1), "and of a skipped step");
	}
	good = true;
	for (int i = 0; i < 12; i++) {
		int64_t rows = kit_draw(k, 1, 300), cols = kit_draw(k, 2, 100);

		good = good && agrees(k, K_ADAFACTOR, adafactor_args,
		    (struct shape){ rows * cols, rows, cols, i % 2 != 0 }, 0) &&
		    agrees(k, K_ADAFACTOR, adafactor_args,
		    (struct shape){ rows, rows, 1, i % 2 != 0 }, 0);
	}
	ok(good, "adafactor, of matrices and vectors");
	ok(agrees(k, K_ADAFACTOR, adafactor_args, (struct shape){ 700, 70, 10, true }, 2),
	    "and of a skipped step");
	ok(normalize_agrees(k, 1) && normalize_agrees(k, 40003), "normalize");
}

/* ---- moments of few bits ---- */

static struct dev *
open_or_die(const char *name, int threads, unsigned flags)
{
	struct err err = { 0 };
	struct team *team = team_new(threads, &err);
	struct dev *d = team == NULL ? NULL : dev_open(name, team, flags, &err);

	if (d == NULL) {
		printf("Bail out! %s\n", err.msg);
		exit(2);
	}
	return d;
}

static void
close_dev(struct dev *d)
{
	struct team *team = d->team;

	dev_close(d);
	team_free(team);
}

static dptr
upload(struct dev *d, const void *from, int64_t bytes)
{
	struct err err = { 0 };
	dptr p = dev_alloc(d, bytes, &err);

	if (p.at == 0)
		exit(2);
	if (from != NULL)
		dev_upload(d, p, from, bytes);
	return p;
}

/*
 * Betas of 0: the first moment is the gradient as it is kept, the second its
 * square.  *m and *v get the bytes, *ms and *vs the scales.
 */
static void
keep(struct dev *d, dtype type, const float *g, int64_t n, int64_t at_step, void *m, void *v,
    float *ms, float *vs)
{
	struct dev_step step = { .scale = 1, .step = at_step };
	int64_t blocks = (n + MOMENT_BLOCK - 1) / MOMENT_BLOCK;
	struct err err;
	struct k_adamw a = { .p = upload(d, NULL, n * 4), .g = upload(d, g, n * 4),
		.step = upload(d, &step, sizeof(step)), .moments = type, .n = n, .key = 99,
		.m = { upload(d, NULL, n * 2), upload(d, NULL, blocks * 4) },
		.v = { upload(d, NULL, n * 2), upload(d, NULL, blocks * 4) } };

	dev_launch(d, K_ADAMW, &(union dev_args){ .adamw = a });
	dev_download(d, m, a.m.at, n * dtype_size(type));
	dev_download(d, v, a.v.at, n * dtype_size(type));
	dev_download(d, ms, a.m.scale, blocks * 4);
	dev_download(d, vs, a.v.scale, blocks * 4);
	ok(dev_wait(d, &err) == 0, "moments are kept");
	dev_free(d, a.p);
	dev_free(d, a.g);
	dev_free(d, a.step);
	dev_free(d, a.m.at);
	dev_free(d, a.m.scale);
	dev_free(d, a.v.at);
	dev_free(d, a.v.scale);
}

enum { N = 1 << 15 };

static void
test_bf16(struct dev *d)
{
	float *g = malloc(N * sizeof(*g)), scale[2 * (N / MOMENT_BLOCK + 1)];
	uint16_t *m = malloc(2 * N * sizeof(*m)), *again = malloc(2 * N * sizeof(*m));
	const float x = 1.0f + 0x1.4p-9f;	/* 5/16 of the way from 1 to the next */
	double up = 0, sum = 0;
	bool good = true;

	for (int i = 0; i < N; i++)
		g[i] = i < N / 2 ? x : (float)rng_normal(1, 2, (uint64_t)i);
	keep(d, DTYPE_BF16, g, N, 5, m, m + N, scale, scale);
	for (int i = 0; i < N; i++) {
		double e = fabs((double)bf16_to_f32(m[i]) - (double)g[i]);

		good = good && e <= 0x1p-7 * fabs((double)g[i]);
		e = fabs((double)bf16_to_f32(m[N + i]) - (double)(g[i] * g[i]));
		good = good && e <= 0x1p-7 * (double)(g[i] * g[i]);
		up += i < N / 2 && m[i] != 0x3f80;
		sum += i < N / 2 ? 0 : (double)bf16_to_f32(m[i]) - (double)g[i];
	}
	ok(good, "bf16 is a neighbour");
	/* Deviation of the mean of 16384 coins of 5/16: 0.0036. */
	ok(fabs(up / (N / 2) - 0.3125) < 4 * 0.0036, "as often as it is near");
	/* Errors of at most 2^-7 |g|, uniform in the mean. */
	ok(fabs(sum / (N / 2)) < 4 * 0x1p-7 / sqrt(3.0 * N / 2), "and right in the mean");
	keep(d, DTYPE_BF16, g, N, 5, again, again + N, scale, scale);
	ok(memcmp(m, again, 2 * N * sizeof(*m)) == 0, "the same step rounds the same");
	keep(d, DTYPE_BF16, g, N, 6, again, again + N, scale, scale);
	ok(memcmp(m, again, N * sizeof(*m)) != 0, "another step does not");
	free(g);
	free(m);
	free(again);
}

/* The codes of a dynamic map, by its definition. */
static int
make_map(double *value, bool has_sign)
{
	int n = 0, top = has_sign ? 6 : 7;

	value[n++] = 0;
	for (int e = 0; e <= top; e++)
		for (int k = 0; k < 1 << e; k++)
			value[n++] = pow(10, e - top) * (0.1 + 0.9 * (k + 0.5) / (1 << e));
	return n;
}

/* Half a cell where x is, or what separates it from 0. */
static double
half_cell(double x, bool has_sign)
{
	int top = has_sign ? 6 : 7, e = top;

	for (; e > 0 && x < pow(10, e - top - 1); e--)
		;
	return 0.45 * pow(10, e - top) / (1 << e);
}

static void
test_codes(struct dev *d)
{
	const int64_t n = 4000, blocks = (n + MOMENT_BLOCK - 1) / MOMENT_BLOCK;
	float *g = calloc((size_t)n, sizeof(*g)), *scale = calloc(2 * (size_t)blocks, sizeof(*g));
	uint8_t *m = malloc(2 * (size_t)n);
	double first[256], second[256], off_m = 0, off_v = 0;
	int nf = make_map(first, true), ns = make_map(second, false), zeros = 0;
	bool top = true;

	/* Ten decades, and a block of zeros. */
	for (int64_t i = 0; i < n; i++)
		g[i] = i / MOMENT_BLOCK == 3 ? 0 : (float)(rng_normal(1, 3, (uint64_t)i) *
		    pow(10, -10 * rng_unit(1, 4, (uint64_t)i)));
	keep(d, DTYPE_U8, g, n, 5, m, m + n, scale, scale + blocks);
	for (int64_t i = 0; i < n; i++) {
		double s = (double)scale[i / MOMENT_BLOCK], t = (double)scale[blocks + i / MOMENT_BLOCK];
		double x = (double)fabsf(g[i]), y = (double)(g[i] * g[i]);
		double got_m = first[m[i] & 127] * s, got_v = second[m[n + i]] * t;

		/* Not outside of the cell, but for rounding of its edge. */
		if (s > 0)
			off_m = fmax(off_m, fabs(got_m - x) / s - half_cell(x / s, true));
		if (t > 0)
			off_v = fmax(off_v, fabs(got_v - y) / t - half_cell(y / t, false));
		zeros += y > 0 && m[n + i] == 0;
		top = top && (m[i] >> 7) == (m[i] != 0 && g[i] < 0);
		if (i / MOMENT_BLOCK == 3)
			top = top && m[i] == 0 && m[n + i] == 0;
	}
	ok(nf == 128 && ns == 256, "the map has all codes");
	ok(off_m < 1e-7, "first moments have the code of their cell");
	ok(off_v < 1e-7, "second moments too");
	ok(zeros == 0, "a second moment that is not 0 stays so");
	ok(top, "signs, and a block of zeros");
	free(g);
	free(scale);
	free(m);
}

/* ---- whole updates ---- */

struct model_of {
	struct dev	*dev;
	struct params	 ps;
	struct optim	*o;
	struct train_state state;
	double		*want;		/* where the loss is least */
};

static const struct train_options plain = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8,
    .decay = 0.1 };

static void
declare(struct model_of *m, const char *name, int64_t rows, int64_t cols)
{
	struct err err;
	int64_t shape[2] = { rows, cols };
	struct param *p = params_add(&m->ps, name, cols > 0 ? 2 : 1, shape, INIT_NORMAL, 1,
	    cols > 0, &err);

	p->hidden = cols > 0;
}

static void
start(struct model_of *m, struct dev *d, const struct train_options *o)
{
	struct err err = { 0 };

	m->dev = d;
	if (params_place(&m->ps, d, true, &err) < 0 || params_init(&m->ps, 5, &err) < 0 ||
	    (m->o = optim_new(&m->ps, upload(d, NULL, 8), o, &err)) == NULL) {
		printf("Bail out! %s\n", err.msg);
		exit(2);
	}
}

static void
end(struct model_of *m)
{
	optim_free(m->o);
	params_free(&m->ps);
	close_dev(m->dev);
}

static float *
fetch(struct model_of *m, const struct param *p)
{
	float *x = malloc((size_t)p->n * sizeof(*x));
	struct err err;

	if (x == NULL || param_download(&m->ps, p, 0, p->n, x, DTYPE_F32, &err) < 0)
		exit(2);
	return x;
}

static bool
step(struct model_of *m)
{
	struct dev_step s;
	struct err err;

	optim_update(m->o, &s);
	if (dev_wait(m->dev, &err) < 0)
		return false;
	m->state.updates = s.step;
	return s.skip == 0;
}

/* How far the parameters are from the golden ones, as part of how far these have gone. */
static double
off(struct model_of *m, const json_t *after, const json_t *from)
{
	double worst = 0;

	for (int i = 0; i < m->ps.n; i++) {
		const struct param *p = &m->ps.p[i];
		const json_t *want = json_object_get(after, p->name);
		const json_t *was = json_object_get(from, p->name);
		double far = 0, moved = 0;
		float *x = fetch(m, p);

		for (int64_t j = 0; j < p->n; j++) {
			double w = json_real_value(json_array_get(want, (size_t)j));

			far = fmax(far, fabs((double)x[j] - w));
			moved = fmax(moved, fabs(w -
			    json_real_value(json_array_get(was, (size_t)j))));
		}
		worst = fmax(worst, far / moved);
		free(x);
	}
	return worst;
}

static void
set(struct model_of *m, const json_t *values, bool grads)
{
	struct err err;

	for (int i = 0; i < m->ps.n; i++) {
		const struct param *p = &m->ps.p[i];
		const json_t *list = json_object_get(values, p->name);
		float *x = malloc((size_t)p->n * sizeof(*x));

		for (int64_t j = 0; j < p->n; j++)
			x[j] = (float)json_real_value(json_array_get(list, (size_t)j));
		if (grads)
			dev_upload(m->dev, p->grad, x, p->n * 4);
		else if (param_upload(&m->ps, p, 0, p->n, x, DTYPE_F32, &err) < 0)
			exit(2);
		free(x);
	}
}

static void
test_golden(const char *name, double beta2)
{
	struct err err = { 0 };
	json_t *doc = json_doc_load("tests/data/optim/steps.json", &err);
	const json_t *begin = json_object_get(doc, "start"), *grads = json_object_get(doc, "grads");
	const json_t *after = json_object_get(json_object_get(doc, "after"), name);
	double rate = json_real_value(json_object_get(doc, "lr")), worst = 0;
	struct train_options o = plain;
	struct model_of m = { 0 };
	char what[80];

	o.beta2 = beta2;
	optimizer_parse(name, &o.optimizer, &err);
	declare(&m, "wide", 6, 20);
	declare(&m, "tall", 24, 8);
	declare(&m, "vector", 33, 0);
	start(&m, open_or_die("cpu", 2, DEV_STRICT), &o);
	set(&m, begin, false);
	for (size_t i = 0; i < json_array_size(grads); i++) {
		optim_begin(m.o, &m.state, rate, 1);
		set(&m, json_array_get(grads, i), true);
		if (!step(&m))
			worst = HUGE_VAL;
		worst = fmax(worst, off(&m, json_array_get(after, i), begin));
	}
	/* A few roundings of values of about 1 that moved by 0.01. */
	snprintf(what, sizeof(what), "%s takes the reference's steps (%.1e off)", name, worst);
	ok(json_array_size(grads) == 6 && worst < 1e-4, what);
	json_decref(doc);
	end(&m);
}

/* One step down the bowl sum of h (p - target)^2 / 2, with h of several decades. */
static void
bowl_step(struct model_of *m, double rate)
{
	optim_begin(m->o, &m->state, rate, 1);
	for (int i = 0; i < m->ps.n; i++) {
		const struct param *p = &m->ps.p[i];
		float *x = fetch(m, p);

		for (int64_t j = 0; j < p->n; j++)
			x[j] = (float)(pow(10, -(double)(j % 3)) *
			    ((double)x[j] - rng_normal(8, (uint64_t)i, (uint64_t)j)));
		dev_upload(m->dev, p->grad, x, p->n * 4);
		free(x);
	}
	step(m);
}

static double
bowl_height(struct model_of *m)
{
	double sum = 0, n = 0;

	for (int i = 0; i < m->ps.n; i++) {
		const struct param *p = &m->ps.p[i];
		float *x = fetch(m, p);

		for (int64_t j = 0; j < p->n; j++)
			sum += pow((double)x[j] - rng_normal(8, (uint64_t)i, (uint64_t)j), 2);
		n += (double)p->n;
		free(x);
	}
	return sqrt(sum / n);
}

static void
bowl(struct model_of *m, int threads, unsigned flags, const struct train_options *o)
{
	int64_t experts[3] = { 3, 40, 37 };
	struct err err;

	*m = (struct model_of){ 0 };
	declare(m, "a", 70, 90);
	declare(m, "b", 90, 40);
	declare(m, "v", 33, 0);
	params_add(&m->ps, "experts", 3, experts, INIT_NORMAL, 1, true, &err)->hidden = true;
	start(m, open_or_die("cpu", threads, flags), o);
}

static bool
same_params(struct model_of *a, struct model_of *b)
{
	bool same = true;

	for (int i = 0; i < a->ps.n; i++) {
		float *x = fetch(a, &a->ps.p[i]), *y = fetch(b, &b->ps.p[i]);

		same = same && memcmp(x, y, (size_t)a->ps.p[i].n * sizeof(*x)) == 0;
		free(x);
		free(y);
	}
	return same;
}

/* Down the bowl, and half-way into a new optimizer by way of a file. */
static void
test_bowl(enum optimizer kind, dtype moments, const char *name, const char *dir)
{
	struct train_options o = plain;
	struct model_of a, b;
	/* Muon's steps are of 0.2 in root mean square. */
	double rate = kind == OPTIMIZER_MUON ? 0.3 : 0.1, from, to;
	char what[120];
	struct err err;

	o.optimizer = kind;
	o.moments = moments;
	o.decay = 0;
	o.ema = 0.8;
	bowl(&a, 2, 0, &o);
	bowl(&b, 1, DEV_STRICT, &o);
	from = bowl_height(&a);
	for (int i = 0; i < 100; i++) {
		bowl_step(&a, rate * (1 - i / 100.0));
		bowl_step(&b, rate * (1 - i / 100.0));
		if (i != 50)
			continue;
		if (optim_save(b.o, dir, &err) < 0)
			printf("# %s\n", err.msg);
		optim_free(b.o);
		b.o = optim_new(&b.ps, upload(b.dev, NULL, 8), &o, &err);
		if (optim_restore(b.o, dir, &err) < 0)
			printf("# %s\n", err.msg);
	}
	to = bowl_height(&a);
	snprintf(what, sizeof(what), "%s with %s moments descends from %.2f to %.2f", name,
	    dtype_name(moments), from, to);
	/* A bowl that bends by element is not what Muon and Adafactor are good at. */
	ok(to < (kind == OPTIMIZER_MUON || kind == OPTIMIZER_ADAFACTOR ? 0.5 : 0.1) * from, what);
	ok(same_params(&a, &b), "to the same bits when restored, strict and with one thread");
	optim_swap(a.o);
	ok(bowl_height(&a) != to && fabs(bowl_height(&a) - to) < 0.2 * from,
	    "the average is near");
	optim_swap(a.o);
	ok(bowl_height(&a) == to, "and is put away again");
	end(&a);
	end(&b);
}

static void
test_names(void)
{
	enum optimizer o;
	struct err err;
	dtype t;

	ok(optimizer_parse("sgd", &o, &err) < 0, "an unknown optimizer");
	ok(moments_parse("int4", &t, &err) < 0 && moments_parse("8bit", &t, &err) == 0 &&
	    t == DTYPE_U8, "moments by name");
}

int
main(void)
{
	static const char *const isas[] = { "cpu:avx512", "cpu:avx2", "cpu:base" };
	char dir[] = "/tmp/t_optim.XXXXXX", path[64];
	struct dev *d;
	struct kit k;

	if (mkdtemp(dir) == NULL || kit_init(&k, 5) < 0)
		return 2;
	test_kernels(&k);
	kit_free(&k);
	for (int i = 0; i < 3; i++) {
		struct err err;
		struct team *team = team_new(3, &err);

		if ((d = dev_open(isas[i], team, 0, &err)) == NULL) {
			team_free(team);
			continue;
		}
		test_bf16(d);
		test_codes(d);
		close_dev(d);
	}
	test_golden("adamw", 0.95);
	test_golden("lion", 0.99);
	test_golden("adafactor", 0);
	test_golden("muon", 0.95);
	test_bowl(OPTIMIZER_ADAMW, DTYPE_F32, "adamw", dir);
	test_bowl(OPTIMIZER_ADAMW, DTYPE_BF16, "adamw", dir);
	test_bowl(OPTIMIZER_ADAMW, DTYPE_U8, "adamw", dir);
	test_bowl(OPTIMIZER_LION, DTYPE_F32, "lion", dir);
	test_bowl(OPTIMIZER_LION, DTYPE_U8, "lion", dir);
	test_bowl(OPTIMIZER_MUON, DTYPE_F32, "muon", dir);
	test_bowl(OPTIMIZER_MUON, DTYPE_U8, "muon", dir);
	test_bowl(OPTIMIZER_ADAFACTOR, DTYPE_F32, "adafactor", dir);
	test_names();
	snprintf(path, sizeof(path), "%s/optimizer.safetensors", dir);
	unlink(path);
	rmdir(dir);
	return tap_done();
}
