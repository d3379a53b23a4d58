#include "train/optim.h"

#include <stdio.h>
#include <stdlib.h>

#include "fmt/safetensors.h"
#include "train/muon.h"

enum { HISTORY = sizeof(((struct dev_history *)0)->loss) / sizeof(double) };

struct optim {
	struct params	*params;
	struct dev	*dev;
	dptr		 m, v;		/* f32, laid out as the gradients */
	dptr		 step, history, loss;
	struct launches	 begin, update;	/* before a step's passes, and after */
	struct muon	*muon;		/* NULL: AdamW for all */
};

int
optimizer_parse(const char *name, enum optimizer *o, struct err *err)
{
	if (strcmp(name, "adamw") == 0)
		*o = OPTIMIZER_ADAMW;
	else if (strcmp(name, "muon") == 0)
		*o = OPTIMIZER_MUON;
	else
		return err_set(err, ERR_ARG, "unknown optimizer '%s': adamw or muon", name);
	return 0;
}

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

static int
launches_check(const struct launches *l, struct dev *dev, struct err *err)
{
	if (l->failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < l->n; i++)
		if (dev_check(dev, l->list[i].kernel, &l->list[i].args, err) < 0)
			return -1;
	return 0;
}

static void
launches_run(const struct launches *l, struct dev *dev)
{
	for (int i = 0; i < l->n; i++)
		dev_launch(dev, l->list[i].kernel, &l->list[i].args);
}

static void
record_adamw(struct optim *o, const struct param *p, const struct train_options *opt)
{
	launches_add(&o->update, K_ADAMW, &(union dev_args){ .adamw = {
	    .p = p->master, .g = p->grad, .m = dptr_add(o->m, p->grad_at * 4),
	    .v = dptr_add(o->v, p->grad_at * 4), .step = o->step,
	    .p_out = p->low_at >= 0 ? p->data : (dptr){ 0 }, .p_type = p->type,
	    .n = p->n, .lr_scale = 1, .beta1 = opt->beta1, .beta2 = opt->beta2,
	    .eps = opt->eps, .decay = p->decay ? opt->decay : 0 } });
}

static bool
by_muon(const struct optim *o, const struct param *p)
{
	return o->muon != NULL && p->hidden;
}

static void
record(struct optim *o, const struct train_options *opt)
{
	struct params *ps = o->params;

	launches_add(&o->begin, K_FILL, &(union dev_args){ .fill = {
	    .y = ps->grad, .type = DTYPE_F32, .n = ps->grad_n } });
	launches_add(&o->begin, K_FILL, &(union dev_args){ .fill = {
	    .y = o->loss, .type = DTYPE_F64, .n = 1 } });
	launches_add(&o->update, K_COPY, &(union dev_args){ .copy = {
	    .y = dptr_add(o->step, offsetof(struct dev_step, loss)),
	    .x = o->loss, .bytes = sizeof(double) } });
	launches_add(&o->update, K_SUMSQ, &(union dev_args){ .sumsq = {
	    .out = dptr_add(o->step, offsetof(struct dev_step, sumsq)),
	    .x = ps->grad, .type = DTYPE_F32, .n = ps->grad_n } });
	launches_add(&o->update, K_GUARD, &(union dev_args){ .guard = {
	    .step = o->step, .history = o->history, .clip = opt->clip,
	    .mads = opt->spike, .least = HISTORY / 2 } });
	for (int i = 0; i < ps->n; i++) {
		const struct param *p = &ps->p[i];

		if (!p->trainable)
			continue;
		if (by_muon(o, p))
			muon_record(o->muon, &o->update, p, dptr_add(o->m, p->grad_at * 4),
			    o->step, opt);
		else
			record_adamw(o, p, opt);
	}
}

struct optim *
optim_new(struct params *params, dptr loss, const struct train_options *opt, struct err *err)
{
	struct optim *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	o->params = params;
	o->dev = params->dev;
	o->loss = loss;
	if ((o->m = dev_alloc(o->dev, params->grad_n * 4, err)).at == 0 ||
	    (o->v = dev_alloc(o->dev, params->grad_n * 4, err)).at == 0 ||
	    (o->step = dev_alloc(o->dev, sizeof(struct dev_step), err)).at == 0 ||
	    (o->history = dev_alloc(o->dev, sizeof(struct dev_history), err)).at == 0)
		goto fail;
	if (opt->optimizer == OPTIMIZER_MUON && (o->muon = muon_new(params, err)) == NULL)
		goto fail;
	record(o, opt);
	if (launches_check(&o->begin, o->dev, err) < 0 ||
	    launches_check(&o->update, o->dev, err) < 0)
		goto fail;
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
	if (o->dev != NULL) {
		dev_free(o->dev, o->m);
		dev_free(o->dev, o->v);
		dev_free(o->dev, o->step);
		dev_free(o->dev, o->history);
	}
	muon_free(o->muon);
	free(o->begin.list);
	free(o->update.list);
	free(o);
}

void
optim_begin(struct optim *o, const struct train_state *state, double rate, int64_t targets)
{
	struct dev_step step = {
		.targets = (double)targets, .lr = rate, .step = state->updates,
		.skipped = (int32_t)state->skipped,
	};

	dev_upload(o->dev, o->step, &step, sizeof(step));
	launches_run(&o->begin, o->dev);
}

void
optim_update(struct optim *o, struct dev_step *step)
{
	launches_run(&o->update, o->dev);
	dev_download(o->dev, step, o->step, sizeof(*step));
}

/* ---- optimizer.safetensors ---- */

/* What the file holds: m of each trainable parameter, then v, then the guard's history. */
struct saved {
	struct optim	*o;
	struct st_tensor *tensor;
	char		(*name)[NN_NAME + 8];
	dptr		*at;
	int		 n;
};

static void
name_tensor(struct saved *s, const char *name, dtype type, int ndim, const int64_t *shape,
    dptr at)
{
	struct st_tensor *t = &s->tensor[s->n];

	snprintf(s->name[s->n], sizeof(s->name[0]), "%s", name);
	*t = (struct st_tensor){ .name = s->name[s->n], .type = type, .ndim = ndim,
	    .bytes = dtype_size(type) };
	for (int d = 0; d < ndim; d++) {
		t->shape[d] = shape[d];
		t->bytes *= shape[d];
	}
	s->at[s->n++] = at;
}

static void
name_moments(struct saved *s, char prefix, dptr flat)
{
	const struct params *ps = s->o->params;
	char name[NN_NAME + 8];

	for (int i = 0; i < ps->n; i++) {
		const struct param *p = &ps->p[i];

		/* Muon has no second moment. */
		if (!p->trainable || (prefix == 'v' && by_muon(s->o, p)))
			continue;
		snprintf(name, sizeof(name), "%c.%s", prefix, p->name);
		name_tensor(s, name, DTYPE_F32, p->ndim, p->shape, dptr_add(flat, p->grad_at * 4));
	}
}

static int
saved_init(struct saved *s, struct optim *o, struct err *err)
{
	struct params *ps = o->params;
	size_t n = 2 * (size_t)ps->n + 3;
	const int64_t history = HISTORY;

	*s = (struct saved){ .o = o };
	s->tensor = calloc(n, sizeof(*s->tensor));
	s->name = calloc(n, sizeof(*s->name));
	s->at = calloc(n, sizeof(*s->at));
	if (s->tensor == NULL || s->name == NULL || s->at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	name_moments(s, 'm', o->m);
	name_moments(s, 'v', o->v);
	name_tensor(s, "guard.loss", DTYPE_F64, 1, &history,
	    dptr_add(o->history, offsetof(struct dev_history, loss)));
	name_tensor(s, "guard.norm", DTYPE_F64, 1, &history,
	    dptr_add(o->history, offsetof(struct dev_history, norm)));
	name_tensor(s, "guard.accepted", DTYPE_I64, 0, NULL,
	    dptr_add(o->history, offsetof(struct dev_history, n)));
	return 0;
}

static void
saved_free(struct saved *s)
{
	free(s->tensor);
	free(s->name);
	free(s->at);
}

static int
fill(void *ctx, int tensor, int64_t at, void *p, int64_t n, struct err *err)
{
	struct saved *s = ctx;

	dev_download(s->o->dev, p, dptr_add(s->at[tensor], at), n);
	return dev_wait(s->o->dev, err);
}

int
optim_save(struct optim *o, const char *dir, struct err *err)
{
	char path[4096];
	struct saved s;
	int ret = saved_init(&s, o, err);

	if (ret == 0) {
		struct st_write w = { .tensor = s.tensor, .n = s.n, .fill = fill, .ctx = &s };

		snprintf(path, sizeof(path), "%s/optimizer.safetensors", dir);
		ret = st_save(path, &w, err);
	}
	saved_free(&s);
	return ret;
}

static int
restore_one(struct saved *s, int i, const struct st_file *f, const char *path, struct err *err)
{
	const struct st_tensor *want = &s->tensor[i], *t = st_find(f, want->name);

	if (t == NULL)
		return err_set(err, ERR_FORMAT, "%s: no tensor '%s'", path, want->name);
	if (t->type != want->type || t->bytes != want->bytes)
		return err_set(err, ERR_FORMAT, "%s: '%s' has another type or shape", path,
		    want->name);
	dev_upload(s->o->dev, s->at[i], t->data, t->bytes);
	return 0;
}

int
optim_restore(struct optim *o, const char *dir, struct err *err)
{
	struct st_file *f = NULL;
	char path[4096];
	struct saved s;
	int ret = saved_init(&s, o, err);

	snprintf(path, sizeof(path), "%s/optimizer.safetensors", dir);
	if (ret == 0 && (f = st_open(path, err)) == NULL)
		ret = -1;
	for (int i = 0; ret == 0 && i < s.n; i++)
		ret = restore_one(&s, i, f, path, err);
	if (ret == 0)
		ret = dev_wait(o->dev, err);
	if (f != NULL)
		st_close(f);
	saved_free(&s);
	return ret;
}
