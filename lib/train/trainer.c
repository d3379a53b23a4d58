#include "train/trainer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "train/ahead.h"
#include "train/balance.h"
#include "train/optim.h"
#include "train/scorer.h"
#include "train/share.h"

enum {
	MICRO = 8192,			/* tokens a pass unless told */
	PROGRAM_BYTES = 2 << 20,	/* what is private to a process that has no model */
};

struct trainer {
	struct model	*model;
	struct loader	*train, *valid;
	struct train_options o;
	struct train_state state;
	struct tape	*tape;
	struct model_io	 io;
	struct optim	*optim;
	struct share	*share;		/* NULL: alone */
	struct ahead	*ahead;		/* NULL: one token only */
	struct scorer	*scorer;
	struct batch	 batch;
	float		*dlogp;
	int64_t		 micro_rows;	/* a pass's */
	int64_t		 pass;		/* its number in the run, for dropout */
};

int
compute_parse(const char *name, dtype *type, struct err *err)
{
	*type = strcmp(name, "fp32") == 0 ? DTYPE_F32 : strcmp(name, "bf16") == 0 ? DTYPE_BF16 :
	    strcmp(name, "fp16") == 0 ? DTYPE_F16 : DTYPE_NONE;
	if (*type == DTYPE_NONE)
		return err_set(err, ERR_ARG, "unknown type '%s': fp32, bf16 or fp16", name);
	return 0;
}

int
recompute_parse(const char *name, unsigned *recompute, struct err *err)
{
	if (strcmp(name, "none") == 0)
		*recompute = 0;
	else if (strcmp(name, "cheap") == 0)
		*recompute = TAPE_RECOMPUTE_CHEAP;
	else if (strcmp(name, "block") == 0)
		*recompute = TAPE_RECOMPUTE_BLOCK;
	else
		return err_set(err, ERR_ARG, "cannot recompute '%s': none, cheap or block", name);
	return 0;
}

/* Rows of a pass: no more than this rank's part of the largest step. */
static int64_t
pass_rows(const struct train_options *o, int64_t len)
{
	int64_t rows = (o->micro > 0 ? o->micro : MICRO) / len, most = o->batch;
	int64_t ranks = comm_size(o->comm);

	for (int i = 0; i < o->ramp.n; i++)
		most = o->ramp.part[i].tokens > most ? o->ramp.part[i].tokens : most;
	most = (most / len + ranks - 1) / ranks;
	rows = rows > most ? most : rows;
	return rows > 0 ? rows : 1;
}

/* The tape of a pass, or of a pass that only scores, recorded; tape_free() it in any case. */
static struct tape *
record(struct model *m, struct dev *dev, int64_t tokens, const struct train_options *o,
    unsigned flags, struct model_io *io, struct err *err)
{
	struct tape *t = tape_new(dev, tokens, tokens, params_tape(&m->params) |
	    (o != NULL ? TAPE_GRAD | o->recompute : 0), err);

	if (t != NULL && model_record_score(m, t, io, flags, err) < 0) {
		tape_free(t);
		return NULL;
	}
	return t;
}

static int
set_rows(struct trainer *t, struct err *err)
{
	int64_t len = loader_info(t->train)->row_len;

	if (t->o.batch < len || t->o.batch % len != 0)
		return err_set(err, ERR_ARG,
		    "a batch of %lld tokens is no multiple of the rows' %lld",
		    (long long)t->o.batch, (long long)len);
	for (int i = 0; i < t->o.ramp.n; i++) {
		int64_t tokens = t->o.ramp.part[i].tokens;

		if (tokens % len != 0)
			return err_set(err, ERR_ARG, "a batch of %lld tokens in the ramp is no "
			    "multiple of the rows' %lld", (long long)tokens, (long long)len);
	}
	t->micro_rows = pass_rows(&t->o, len);
	if (len > t->model->config.context)
		return err_set(err, ERR_ARG, "rows of %lld tokens in a model of context %lld",
		    (long long)len, (long long)t->model->config.context);
	if (loader_info(t->train)->vocab > t->model->config.vocab)
		return err_set(err, ERR_ARG, "token ids up to %d in a model of %lld",
		    loader_info(t->train)->vocab, (long long)t->model->config.vocab);
	return 0;
}

struct trainer *
trainer_new(struct model *model, struct loader *train, struct loader *valid,
    const struct train_options *o, struct err *err)
{
	struct trainer *t = calloc(1, sizeof(*t));
	unsigned flags;
	int64_t cap;

	if (t == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	t->model = model;
	t->train = train;
	t->valid = valid;
	t->o = *o;
	if (set_rows(t, err) < 0 || balance_options(model, &t->o, err) < 0 ||
	    ahead_options(model, &t->o, &flags, err) < 0)
		goto fail;
	t->state.loss_scale = model->params.compute == DTYPE_F16 ? LOSS_SCALE_FIRST : 0;
	cap = t->micro_rows * loader_info(train)->row_len;
	if (batch_init(&t->batch, cap, err) < 0)
		goto fail;
	if ((t->dlogp = calloc((size_t)cap, sizeof(*t->dlogp))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		goto fail;
	}
	model->z_loss = o->z_loss;
	model->dropout = o->dropout;
	model->fake_quant = o->fake_quant;
	model->seed = o->seed;
	if ((t->tape = record(model, model->dev, cap, &t->o, flags, &t->io, err)) == NULL ||
	    tape_plan(t->tape, err) < 0)
		goto fail;
	if ((t->ahead = ahead_new(&t->io, cap, t->o.ahead, err)) == NULL && t->io.n_ahead > 0)
		goto fail;
	if ((t->optim = optim_new(&model->params, t->io.loss->data, &t->o, err)) == NULL)
		goto fail;
	if (o->comm != NULL && (t->share = share_new(o->comm, &model->params, &t->io,
	    optim_sumsq(t->optim), err)) == NULL)
		goto fail;
	if (valid != NULL) {
		if (loader_info(valid)->row_len > cap)
			cap = loader_info(valid)->row_len;
		if ((t->scorer = scorer_new(model, cap, err)) == NULL)
			goto fail;
	}
	return t;
fail:
	trainer_free(t);
	return NULL;
}

void
trainer_free(struct trainer *t)
{
	if (t == NULL)
		return;
	scorer_free(t->scorer);
	share_free(t->share);
	optim_free(t->optim);
	ahead_free(t->ahead);
	tape_free(t->tape);
	batch_free(&t->batch);
	free(t->dlogp);
	free(t);
}

struct train_state *
trainer_state(struct trainer *t)
{
	return &t->state;
}

static double
flops(const struct trainer *t, int64_t tokens)
{
	/* What is frozen has no gradient of weights. */
	double passes = t->model->adapter != NULL ? 2 : 3;

	return passes * (double)tokens * config_flops(&t->model->config,
	    loader_info(t->train)->row_len);
}

double
trainer_flops(const struct trainer *t)
{
	return flops(t, t->o.batch);
}

bool
trainer_ema(const struct trainer *t)
{
	return t->o.ema > 0;
}

double
trainer_peak(const struct trainer *t)
{
	return dev_peak(t->model->dev, t->model->params.compute);
}

bool
trainer_valid(const struct trainer *t)
{
	return t->valid != NULL;
}

/* Count a pass of so many tokens, with gradients when o is not NULL. */
static int
count_pass(struct model *m, struct dev *dev, int64_t tokens, const struct train_options *o,
    unsigned flags, int64_t *bytes, struct train_memory *r, struct err *err)
{
	struct tape_cost cost;
	struct model_io io;
	struct tape *t = record(m, NULL, tokens, o, flags, &io, err);
	int64_t scratch;
	int ret = -1;

	if (t != NULL && tape_layout(t, err) == 0) {
		tape_cost(t, &cost);
		scratch = tape_scratch(t, dev);
		*bytes = cost.memory;
		r->kernels = scratch > r->kernels ? scratch : r->kernels;
		r->host += cost.records + 5 * tokens * (int64_t)sizeof(int32_t);
		ret = 0;
	}
	tape_free(t);
	return ret;
}

int
train_memory(struct model *m, struct dev *dev, const struct train_options *o,
    int64_t row_len, int64_t valid_len, struct train_memory *r, struct err *err)
{
	int64_t tokens = pass_rows(o, row_len) * row_len;
	struct train_options own = *o;
	unsigned flags;

	if (balance_options(m, &own, err) < 0 || ahead_options(m, &own, &flags, err) < 0)
		return -1;
	m->z_loss = own.z_loss;
	m->dropout = own.dropout;
	m->fake_quant = own.fake_quant;
	*r = (struct train_memory){ .host = PROGRAM_BYTES,
	    .parameters = params_bytes(&m->params, false),
	    .optimizer = optim_bytes(&m->params, o) };
	r->gradients = params_bytes(&m->params, true) - r->parameters;
	if (count_pass(m, dev, tokens, &own, flags, &r->activations, r, err) < 0)
		return -1;
	if (valid_len > tokens)
		tokens = valid_len;
	if (valid_len > 0 && count_pass(m, dev, tokens, NULL, 0, &r->validation, r, err) < 0)
		return -1;
	r->total = r->parameters + r->gradients + r->optimizer + r->activations + r->validation +
	    r->kernels + r->host;
	return 0;
}

int
train_memory_usual(const struct config *c, struct dev *dev, struct train_memory *r,
    struct err *err)
{
	int64_t len = c->context < MICRO ? c->context : MICRO;
	struct train_options o = { .batch = MICRO / len * len, .router_aux = -1, .router_z = -1,
		.balance_rate = -1, .ahead = -1 };
	struct model m = { .dev = NULL };
	int ret = model_declare(&m, c, err);

	if (ret == 0)
		ret = train_memory(&m, dev, &o, len, 0, r, err);
	model_free(&m);
	return ret;
}

/* This rank's rows of a step. */
static struct row_range
rows_of(const struct trainer *t)
{
	int64_t len = loader_info(t->train)->row_len, step = t->state.step;
	struct row_range own = share_rows(t->o.comm,
	    ramp_tokens(&t->o.ramp, t->o.batch, step) / len);

	own.first += ramp_before(&t->o.ramp, t->o.batch, step) / len;
	return own;
}

/* What is in those of all ranks, and the first row of its last pass that has tokens, or -1. */
struct row_counts { int64_t targets, tokens, last; };

/*
 * Count a step's rows before its first pass, for it is divided by the targets.
 * The rows of the first pass are read last, and left in the batch.
 */
static int
count_rows(struct trainer *t, struct row_range rows, struct row_counts *c, struct err *err)
{
	int64_t sum[2] = { 0, 0 };

	*c = (struct row_counts){ .last = -1 };
	for (int64_t i = (rows.n - 1) / t->micro_rows * t->micro_rows; i >= 0;
	    i -= t->micro_rows) {
		int64_t n = rows.n - i < t->micro_rows ? rows.n - i : t->micro_rows;

		if (loader_batch(t->train, rows.first + i, n, &t->batch, err) < 0)
			return -1;
		if (sum[1] == 0 && t->batch.tokens > 0)
			c->last = i;
		sum[0] += t->batch.targets;
		sum[1] += t->batch.tokens;
	}
	if (comm_sum(t->o.comm, sum, 2, err) < 0)
		return -1;
	c->targets = sum[0];
	c->tokens = sum[1];
	return 0;
}

/*
 * Forward and backward of the batch.  weight: of a target's loss in the
 * gradients, one over the step's targets, times the loss scale.
 */
static void
pass(struct trainer *t, double weight)
{
	if (t->batch.tokens == 0)
		return;
	for (int64_t i = 0; i < t->batch.tokens; i++)
		t->dlogp[i] = t->batch.target[i] < 0 ? 0 : (float)-weight;
	batch_upload(t->tape, &t->io, &t->batch);
	tape_upload(t->tape, t->io.dlogp, t->dlogp, t->batch.tokens);
	if (t->io.step != NULL)
		tape_upload(t->tape, t->io.step, &t->pass, 1);
	ahead_upload(t->ahead, t->tape, &t->io, &t->batch, weight);
	tape_forward(t->tape, 0, -1);
	tape_backward(t->tape, 0, -1);
}

int
trainer_norms(struct trainer *t, double *square, double *part, struct err *err)
{
	struct row_range rows = rows_of(t);
	double passes = 0;

	*square = *part = 0;
	for (int64_t i = 0; i < rows.n; i += t->micro_rows) {
		int64_t n = rows.n - i < t->micro_rows ? rows.n - i : t->micro_rows;
		struct dev_step step;

		if (loader_batch(t->train, rows.first + i, n, &t->batch, err) < 0)
			return -1;
		if (t->batch.targets == 0)
			continue;
		optim_begin(t->optim, &t->state, 0, t->batch.targets);
		tape_zero_grads(t->tape, true);
		tape_measure_grads(t->tape, optim_sumsq(t->optim));
		balance_begin(t->tape, &t->io, 0);
		t->pass = rows.first + i;
		pass(t, 1.0 / (double)t->batch.targets);
		dev_download(t->model->dev, &step.sumsq, optim_sumsq(t->optim),
		    sizeof(step.sumsq));
		if (dev_wait(t->model->dev, err) < 0)
			return -1;
		*square += step.sumsq;
		*part += 1.0 / (double)t->batch.targets;
		passes++;
	}
	*square /= fmax(1, passes);
	*part /= fmax(1, passes);
	return 0;
}

int
trainer_step(struct trainer *t, struct train_report *r, struct err *err)
{
	struct row_range rows = rows_of(t);
	struct row_counts c;
	double rate = schedule_rate(&t->o.schedule, t->state.step), weight, routers[2];
	struct dev_step step;

	if (count_rows(t, rows, &c, err) < 0)
		return -1;
	weight = c.targets > 0 ? 1.0 / (double)c.targets : 0;
	if (t->state.loss_scale > 0)
		weight *= t->state.loss_scale;
	optim_begin(t->optim, &t->state, rate, c.targets);
	tape_zero_grads(t->tape, c.last >= 0);
	ahead_begin(t->ahead, t->tape, &t->io);
	balance_begin(t->tape, &t->io,
	    c.tokens > 0 ? weight * (double)c.targets / (double)c.tokens : 0);
	for (int64_t i = 0; i < rows.n; i += t->micro_rows) {
		int64_t n = rows.n - i < t->micro_rows ? rows.n - i : t->micro_rows;

		if (i > 0 && loader_batch(t->train, rows.first + i, n, &t->batch, err) < 0)
			return -1;
		if (i == c.last && t->share == NULL)
			tape_measure_grads(t->tape, optim_sumsq(t->optim));
		t->pass = rows.first + i;
		pass(t, weight);
	}
	if (t->share != NULL)
		share_add(t->share);
	ahead_end(t->ahead, t->tape, &t->io);
	optim_update(t->optim, &step);
	balance_end(t->model, t->tape, &t->io, optim_step(t->optim), t->o.balance_rate, routers);
	if (dev_wait(t->model->dev, err) < 0 || ahead_count(t->ahead, t->o.comm, err) < 0)
		return -1;
	t->state.step++;
	t->state.updates = step.step;
	t->state.skipped = step.skipped;
	t->state.loss_scale = step.loss_scale;
	t->state.good = step.good;
	t->state.tokens += c.tokens;
	*r = (struct train_report){
		.loss = c.targets > 0 ? step.loss / (double)c.targets : 0,
		.norm = step.norm, .rate = rate,
		.flops = flops(t, rows.n * loader_info(t->train)->row_len),
		.tokens = c.tokens, .targets = c.targets, .skip = step.skip,
		.routed = t->io.balance.layers > 0,
		.balance = c.tokens > 0 ? routers[0] / (double)c.tokens : 0,
		.router_z = c.tokens > 0 ? routers[1] / (double)c.tokens : 0,
		.ahead = ahead_loss(t->ahead, &t->io),
	};
	if (t->state.skipped >= TRAIN_SKIPS)
		return err_set(err, ERR_LIMIT, "step %lld: %d steps in a row were skipped; "
		    "the last loss was %g, gradient norm %g", (long long)t->state.step,
		    TRAIN_SKIPS, r->loss, r->norm);
	return 0;
}

/* The loss of the moving average. */
static int
validate_ema(struct trainer *t, double *loss, struct err *err)
{
	struct score_report r;
	int ret;

	*loss = (double)NAN;
	if (!trainer_ema(t))
		return 0;
	optim_swap(t->optim);
	ret = scorer_rows(t->scorer, t->valid, t->o.comm, &r, err);
	optim_swap(t->optim);
	*loss = r.loss;
	return ret;
}

int
trainer_validate(struct trainer *t, struct score_report *r, double *ema_loss, struct err *err)
{
	struct train_state *s = &t->state;

	if (scorer_rows(t->scorer, t->valid, t->o.comm, r, err) < 0 ||
	    validate_ema(t, ema_loss, err) < 0)
		return -1;
	if (isfinite(r->loss) && (s->best_step == 0 || r->loss < s->best_loss)) {
		s->best_loss = r->loss;
		s->best_step = s->step;
		s->worse = 0;
	} else {
		s->worse++;
	}
	return 0;
}

static int
save_ema(struct trainer *t, const char *dir, struct err *err)
{
	char path[4096];
	int ret;

	if (!trainer_ema(t))
		return 0;
	snprintf(path, sizeof(path), "%s/" TRAIN_EMA, dir);
	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		return err_sys(err, "%s: cannot create", path);
	optim_swap(t->optim);
	ret = model_save(t->model, path, DTYPE_F32, 0, err);
	optim_swap(t->optim);
	return ret;
}

static int
restore_ema(struct trainer *t, const char *dir, struct err *err)
{
	char path[4096];
	int ret;

	if (!trainer_ema(t))
		return 0;
	snprintf(path, sizeof(path), "%s/" TRAIN_EMA, dir);
	optim_swap(t->optim);
	ret = model_reload(t->model, path, err);
	optim_swap(t->optim);
	return ret;
}

int
trainer_save(struct trainer *t, const char *dir, struct err *err)
{
	const struct train_state *s = &t->state;
	char path[4096];
	json_t *doc;
	int ret;

	if (model_save(t->model, dir, DTYPE_F32, 0, err) < 0 || save_ema(t, dir, err) < 0 ||
	    optim_save(t->optim, dir, err) < 0)
		return -1;
	doc = json_pack("{sI sI sI sI sf sI sI sf sI}", "step", (json_int_t)s->step,
	    "updates", (json_int_t)s->updates, "skipped", (json_int_t)s->skipped,
	    "tokens", (json_int_t)s->tokens, "best_loss", s->best_loss,
	    "best_step", (json_int_t)s->best_step, "worse", (json_int_t)s->worse,
	    "loss_scale", s->loss_scale, "good", (json_int_t)s->good);
	if (doc == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	snprintf(path, sizeof(path), "%s/state.json", dir);
	ret = json_doc_save(path, doc, err);
	json_decref(doc);
	return ret;
}

int
trainer_restore(struct trainer *t, const char *dir, struct err *err)
{
	struct train_state *s = &t->state;
	json_int_t step, updates, skipped, tokens, best_step, worse, good = 0;
	double loss_scale = 0;
	json_error_t why;
	char path[4096];
	json_t *doc;

	snprintf(path, sizeof(path), "%s/state.json", dir);
	if ((doc = json_doc_load(path, err)) == NULL)
		return -1;
	if (json_unpack_ex(doc, &why, 0, "{sI sI sI sI sF sI sI s?F s?I}", "step", &step,
	    "updates", &updates, "skipped", &skipped, "tokens", &tokens,
	    "best_loss", &s->best_loss, "best_step", &best_step, "worse", &worse,
	    "loss_scale", &loss_scale, "good", &good) < 0) {
		json_decref(doc);
		return err_set(err, ERR_FORMAT, "%s: %s", path, why.text);
	}
	json_decref(doc);
	s->step = step;
	s->updates = updates;
	s->skipped = skipped;
	s->tokens = tokens;
	s->best_step = best_step;
	s->worse = worse;
	/* A run whose type was changed keeps what goes with the new one. */
	if (s->loss_scale > 0 && loss_scale > 0) {
		s->loss_scale = loss_scale;
		s->good = good;
	}
	if (restore_ema(t, dir, err) < 0)
		return -1;
	return optim_restore(t->optim, dir, err);
}
