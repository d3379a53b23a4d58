#include "train/optim_impl.h"

#include <stdlib.h>

#include "base/hash.h"
#include "train/muon_impl.h"

enum {
	HISTORY = sizeof(((struct dev_history *)0)->loss) / sizeof(double),
	/* Smaller parameters have fp32 moments instead of 8-bit ones. */
	LEAST_U8 = 4096,
};

static const char *const names[] = {
	[OPTIMIZER_ADAMW] = "adamw",
	[OPTIMIZER_MUON] = "muon",
	[OPTIMIZER_LION] = "lion",
	[OPTIMIZER_ADAFACTOR] = "adafactor",
};

int
optimizer_parse(const char *name, enum optimizer *o, struct err *err)
{
	for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
		if (strcmp(name, names[i]) == 0) {
			*o = (enum optimizer)i;
			return 0;
		}
	}
	return err_set(err, ERR_ARG, "unknown optimizer '%s': adamw, muon, lion or adafactor",
	    name);
}

int
moments_parse(const char *name, dtype *type, struct err *err)
{
	*type = strcmp(name, "fp32") == 0 ? DTYPE_F32 : strcmp(name, "bf16") == 0 ? DTYPE_BF16 :
	    strcmp(name, "8bit") == 0 ? DTYPE_U8 : DTYPE_NONE;
	if (*type == DTYPE_NONE)
		return err_set(err, ERR_ARG, "unknown moments '%s': fp32, bf16 or 8bit", name);
	return 0;
}

int
train_betas(struct train_options *o, struct err *err)
{
	if (o->optimizer == OPTIMIZER_ADAFACTOR && (o->beta1 >= 0 || o->beta2 >= 0 ||
	    (o->moments != DTYPE_F32 && o->moments != DTYPE_NONE)))
		return err_set(err, ERR_ARG, "adafactor has no --beta1, --beta2 or --moments");
	if (o->beta1 < 0)
		o->beta1 = 0.9;
	if (o->beta2 < 0)
		o->beta2 = o->optimizer == OPTIMIZER_LION ? 0.99 : 0.95;
	return 0;
}

/* ---- lists of launches ---- */

void
launches_add(struct launches *l, int kernel, const union dev_args *args)
{
	if (l->n == l->cap) {
		int cap = l->cap > 0 ? l->cap * 2 : 64;
		struct launch *p = realloc(l->list, (size_t)cap * sizeof(*p));

		if (p == NULL) {
			l->failed = true;
			return;
		}
		l->list = p;
		l->cap = cap;
	}
	l->list[l->n].kernel = kernel;
	l->list[l->n++].args = *args;
}

int
launches_check(const struct launches *l, struct dev *dev, struct err *err)
{
	if (l->failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < l->n; i++)
		if (dev_check(dev, l->list[i].kernel, &l->list[i].args, err) < 0)
			return -1;
	return 0;
}

void
launches_run(const struct launches *l, struct dev *dev, const char *phase)
{
	dev_mark(dev, phase, "");
	for (int i = 0; i < l->n; i++)
		dev_launch(dev, l->list[i].kernel, &l->list[i].args);
}

/* The same ones as each time. */
static void
launches_again(struct launches *l, struct dev *dev, const char *phase)
{
	if (!dev_begin(dev, &l->again))
		return;
	launches_run(l, dev, phase);
	dev_end(dev);
}

static void
launches_free(struct launches *l, struct dev *dev)
{
	dev_forget(dev, l->again);
	free(l->list);
}

/* ---- memory ---- */

bool
optim_by_muon(const struct train_options *o, const struct param *p)
{
	return o->optimizer == OPTIMIZER_MUON && p->hidden;
}

struct stack
param_stack(const struct param *p)
{
	struct stack s = { 1, p->n, 1 };

	if (p->ndim >= 2) {
		s.rows = p->shape[p->ndim - 2];
		s.cols = p->shape[p->ndim - 1];
		s.n = p->n / (s.rows * s.cols);
	}
	return s;
}

dptr
param_copy(const struct param *p)
{
	return p->low_at >= 0 ? p->data : (dptr){ 0 };
}

/* The next bytes of the one allocation; base 0 only counts them. */
static dptr
take(dptr base, int64_t *used, int64_t bytes)
{
	dptr p = base.at != 0 ? dptr_add(base, *used) : base;

	*used += (bytes + 255) / 256 * 256;
	return p;
}

static struct moment
take_moment(dptr base, int64_t *used, dtype type, int64_t n)
{
	struct moment m = { .at = take(base, used, n * dtype_size(type)) };

	if (type == DTYPE_U8)
		m.scale = take(base, used, (n + MOMENT_BLOCK - 1) / MOMENT_BLOCK * 4);
	return m;
}

/* What a parameter needs; slot NULL only counts. */
static void
lay_slot(dptr base, int64_t *used, const struct param *p, const struct train_options *o,
    struct slot *slot)
{
	struct stack k = param_stack(p);
	struct slot s = { .type = o->moments != DTYPE_NONE ? o->moments : DTYPE_F32 };

	if (s.type == DTYPE_U8 && p->n < LEAST_U8)
		s.type = DTYPE_F32;
	if (o->optimizer == OPTIMIZER_ADAFACTOR) {
		s.row = take(base, used, k.n * k.rows * 4);
		if (p->ndim >= 2)
			s.col = take(base, used, k.n * k.cols * 4);
	} else {
		s.m = take_moment(base, used, s.type, p->n);
		if (o->optimizer != OPTIMIZER_LION && !optim_by_muon(o, p))
			s.v = take_moment(base, used, s.type, p->n);
	}
	if (o->ema > 0)
		s.ema = take(base, used, p->n * 4);
	if (slot != NULL)
		*slot = s;
}

/* Lay out everything from base on, into o when it is not NULL; the bytes it takes. */
static int64_t
lay_out(const struct params *ps, const struct train_options *opt, dptr base, struct optim *o)
{
	int64_t used = 0;
	dptr step = take(base, &used, sizeof(struct dev_step));
	dptr history = take(base, &used, sizeof(struct dev_history));

	if (o != NULL) {
		o->step = step;
		o->history = history;
	}
	for (int i = 0; i < ps->n; i++)
		if (ps->p[i].trainable)
			lay_slot(base, &used, &ps->p[i], opt, o != NULL ? &o->slot[i] : NULL);
	return used;
}

int64_t
optim_bytes(const struct params *params, const struct train_options *o)
{
	return lay_out(params, o, (dptr){ 0 }, NULL) +
	    (o->optimizer == OPTIMIZER_MUON ? muon_bytes(params) : 0);
}

/* ---- launches ---- */

static void
record_adamw(struct optim *o, const struct param *p, const struct slot *s)
{
	launches_add(&o->update, K_ADAMW, &(union dev_args){ .adamw = {
	    .p = p->master, .g = p->grad, .step = o->step, .p_out = param_copy(p),
	    .m = s->m, .v = s->v, .p_type = p->type, .moments = s->type, .n = p->n,
	    .key = hash64(str_of(p->name)), .lr_scale = 1, .beta1 = o->o.beta1,
	    .beta2 = o->o.beta2, .eps = o->o.eps, .decay = p->decay ? o->o.decay : 0 } });
}

static void
record_lion(struct optim *o, const struct param *p, const struct slot *s)
{
	launches_add(&o->update, K_LION, &(union dev_args){ .lion = {
	    .p = p->master, .g = p->grad, .step = o->step, .p_out = param_copy(p),
	    .m = s->m, .p_type = p->type, .moments = s->type, .n = p->n,
	    .key = hash64(str_of(p->name)), .lr_scale = 1, .beta1 = o->o.beta1,
	    .beta2 = o->o.beta2, .decay = p->decay ? o->o.decay : 0 } });
}

static dptr
at(dptr p, int64_t bytes)
{
	return p.at != 0 ? dptr_add(p, bytes) : p;
}

/* Matrix by matrix. */
static void
record_adafactor(struct optim *o, const struct param *p, const struct slot *s)
{
	struct stack k = param_stack(p);

	for (int64_t i = 0; i < k.n; i++) {
		int64_t from = i * k.rows * k.cols;

		launches_add(&o->update, K_ADAFACTOR, &(union dev_args){ .adafactor = {
		    .p = at(p->master, from * 4), .g = at(p->grad, from * 4), .step = o->step,
		    .p_out = at(param_copy(p), from * dtype_size(p->type)),
		    .row = at(s->row, i * k.rows * 4), .col = at(s->col, i * k.cols * 4),
		    .p_type = p->type, .rows = k.rows, .cols = k.cols, .lr_scale = 1,
		    .power = -0.8, .eps = 1e-30, .clip = 1,
		    .decay = p->decay ? o->o.decay : 0 } });
	}
}

static void
record_param(struct optim *o, const struct param *p, const struct slot *s)
{
	if (optim_by_muon(&o->o, p))
		muon_record(o->muon, o, p, s);
	else if (o->o.optimizer == OPTIMIZER_LION)
		record_lion(o, p, s);
	else if (o->o.optimizer == OPTIMIZER_ADAFACTOR)
		record_adafactor(o, p, s);
	else
		record_adamw(o, p, s);
	if (s->ema.at == 0)
		return;
	launches_add(&o->update, K_EMA, &(union dev_args){ .ema = {
	    .y = s->ema, .x = p->master, .step = o->step, .n = p->n, .decay = o->o.ema } });
	launches_add(&o->swap, K_SWAP, &(union dev_args){ .swap = {
	    .a = p->master, .b = s->ema, .p_out = param_copy(p), .p_type = p->type,
	    .n = p->n } });
}

static void
record(struct optim *o)
{
	struct params *ps = o->params;

	launches_add(&o->update, K_COPY, &(union dev_args){ .copy = {
	    .y = dptr_add(o->step, offsetof(struct dev_step, loss)),
	    .x = o->loss, .bytes = sizeof(double) } });
	launches_add(&o->update, K_GUARD, &(union dev_args){ .guard = {
	    .step = o->step, .history = o->history, .clip = o->o.clip,
	    .mads = o->o.spike, .least = HISTORY / 2 } });
	for (int i = 0; i < ps->n; i++)
		if (ps->p[i].trainable)
			record_param(o, &ps->p[i], &o->slot[i]);
}

struct optim *
optim_new(struct params *params, dptr loss, const struct train_options *opt, struct err *err)
{
	struct optim *o = calloc(1, sizeof(*o));

	if (o == NULL || (o->slot = calloc((size_t)params->n, sizeof(*o->slot))) == NULL) {
		free(o);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	o->params = params;
	o->dev = params->dev;
	o->loss = loss;
	o->o = *opt;
	if ((o->memory = dev_alloc(o->dev, lay_out(params, opt, (dptr){ 0 }, NULL), err)).at == 0)
		goto fail;
	lay_out(params, opt, o->memory, o);
	if (opt->optimizer == OPTIMIZER_MUON && (o->muon = muon_new(params, err)) == NULL)
		goto fail;
	record(o);
	if (launches_check(&o->update, o->dev, err) < 0 ||
	    launches_check(&o->swap, o->dev, err) < 0)
		goto fail;
	/* The average starts as the weights. */
	for (int i = 0; i < params->n; i++)
		if (o->slot[i].ema.at != 0)
			dev_launch(o->dev, K_COPY, &(union dev_args){ .copy = {
			    .y = o->slot[i].ema, .x = params->p[i].master,
			    .bytes = params->p[i].n * 4 } });
	return o;
fail:
	optim_free(o);
	return NULL;
}

void
optim_free(struct optim *o)
{
	if (o == NULL)
		return;
	launches_free(&o->update, o->dev);
	launches_free(&o->swap, o->dev);
	if (o->memory.at != 0)
		dev_free(o->dev, o->memory);
	muon_free(o->muon);
	free(o->slot);
	free(o);
}

/* ---- a step ---- */

void
optim_begin(struct optim *o, const struct train_state *state, double rate, int64_t targets)
{
	struct dev_step step = {
		.targets = (double)targets, .lr = rate, .step = state->updates,
		.skipped = (int32_t)state->skipped, .loss_scale = state->loss_scale,
		.good = state->good,
	};
	const double none = 0;

	dev_upload(o->dev, o->step, &step, sizeof(step));
	dev_upload(o->dev, o->loss, &none, sizeof(none));
}

void
optim_update(struct optim *o, struct dev_step *step)
{
	launches_again(&o->update, o->dev, "update");
	dev_download(o->dev, step, o->step, sizeof(*step));
}

dptr
optim_step(const struct optim *o)
{
	return o->step;
}

dptr
optim_sumsq(const struct optim *o)
{
	return dptr_add(o->step, offsetof(struct dev_step, sumsq));
}

void
optim_swap(struct optim *o)
{
	launches_again(&o->swap, o->dev, "update");
}
