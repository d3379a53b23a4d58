#include "train/sweep.h"

#include <math.h>
#include <stdlib.h>

enum { BLOWN = 4 };		/* times the least loss that end a range test */
static const double decay = 0.9;

/* A model that is trained a little. */
struct trial {
	struct model	 m;
	struct trainer	*t;
};

static int
trial_begin(struct trial *t, const struct sweep *s, const struct train_options *o,
    struct err *err)
{
	*t = (struct trial){ .m.params.compute = s->compute };
	if (model_load(&t->m, s->model, s->dev, true, err) < 0)
		return -1;
	t->t = trainer_new(&t->m, s->rows, s->valid, o, err);
	return t->t == NULL ? -1 : 0;
}

static void
trial_end(struct trial *t)
{
	trainer_free(t->t);
	model_free(&t->m);
}

static int
room(struct sweep_result *r, int64_t n, struct err *err)
{
	*r = (struct sweep_result){ .point = calloc((size_t)n, sizeof(*r->point)) };
	return r->point == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

void
sweep_free(struct sweep_result *r)
{
	free(r->point);
	*r = (struct sweep_result){ 0 };
}

static void
tell(const struct sweep *s, int64_t trial, int64_t step, double loss)
{
	if (s->progress != NULL)
		s->progress(s->ctx, trial, step, loss);
}

/* ---- rates ---- */

/* Where smooth falls most, over two steps before the least. */
static void
advise(struct sweep_result *r)
{
	int64_t least = 0;
	double most = 0;

	for (int64_t i = 0; i < r->n; i++)
		if (r->point[i].smooth < r->point[least].smooth)
			least = i;
	r->best = r->point[least].x;
	r->safe = r->best / 10;
	r->steepest = r->best;
	for (int64_t i = 1; i < least; i++) {
		const struct sweep_point *a = &r->point[i - 1], *b = &r->point[i + 1];
		double fall = (a->smooth - b->smooth) / log(b->x / a->x);

		if (fall > most) {
			most = fall;
			r->steepest = r->point[i].x;
		}
	}
}

int
sweep_range(const struct sweep *s, double from, double to, struct sweep_result *r,
    struct err *err)
{
	struct train_options o = s->o;
	double mean = 0, least = HUGE_VAL;
	struct train_report step;
	struct trial t;
	int ret;

	o.spike = 0;
	o.schedule = (struct schedule){ .shape = SCHEDULE_RISING, .peak = to, .floor = from / to,
	    .steps = s->steps };
	if (room(r, s->steps, err) < 0)
		return -1;
	ret = trial_begin(&t, s, &o, err);
	while (ret == 0 && r->n < s->steps) {
		struct sweep_point *p = &r->point[r->n];

		if ((ret = trainer_step(t.t, &step, err)) < 0 || step.skip != 0)
			break;
		mean = decay * mean + (1 - decay) * step.loss;
		*p = (struct sweep_point){ .x = step.rate, .loss = step.loss,
		    .smooth = mean / (1 - pow(decay, (double)++r->n)) };
		tell(s, 0, r->n, p->smooth);
		least = fmin(least, p->smooth);
		if (p->smooth > BLOWN * least)
			break;
	}
	trial_end(&t);
	if (ret == 0 && r->n < 3)
		return err_set(err, ERR_ARG, "the loss is not finite from the beginning");
	if (ret == 0)
		advise(r);
	return ret;
}

/* The loss that one rate ends with; not a number when it gave up. */
static int
try_rate(const struct sweep *s, double rate, int64_t number, double *loss, struct err *err)
{
	struct train_options o = s->o;
	int64_t tail = s->steps / 10 > 0 ? s->steps / 10 : 1;
	struct train_report step;
	struct score_report score;
	double ema, sum = 0;
	struct trial t;
	int ret;

	o.schedule.peak = rate;
	o.schedule.steps = s->steps;
	ret = trial_begin(&t, s, &o, err);
	for (int64_t i = 0; ret == 0 && i < s->steps; i++) {
		ret = trainer_step(t.t, &step, err);
		if (ret < 0)
			break;
		tell(s, number, i + 1, step.loss);
		sum += i >= s->steps - tail ? step.loss : 0;
	}
	*loss = sum / (double)tail;
	if (ret < 0 && err->code == ERR_LIMIT && t.t != NULL) {
		*loss = (double)NAN;
		ret = 0;
	} else if (ret == 0 && s->valid != NULL) {
		ret = trainer_validate(t.t, &score, &ema, err);
		*loss = score.loss;
	}
	trial_end(&t);
	return ret;
}

int
sweep_grid(const struct sweep *s, const double *rate, int n, struct sweep_result *r,
    struct err *err)
{
	double least = HUGE_VAL;

	if (room(r, n, err) < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		struct sweep_point *p = &r->point[i];

		p->x = rate[i];
		if (try_rate(s, rate[i], i, &p->loss, err) < 0)
			return -1;
		p->smooth = p->loss;
		r->n++;
		if (p->loss < least) {
			least = p->loss;
			r->best = rate[i];
		}
	}
	return 0;
}

/* ---- batches ---- */

void
noise_estimate(double small, double small_part, double big, double big_part, double *trace,
    double *square)
{
	*trace = (small - big) / (small_part - big_part);
	*square = big - *trace * big_part;
}

int
sweep_batch(const struct sweep *s, double rate, struct sweep_result *r, struct err *err)
{
	struct train_options o = s->o;
	double traces = 0, squares = 0;
	struct trial t;
	int ret;

	o.schedule = (struct schedule){ .shape = SCHEDULE_CONSTANT, .peak = rate, .floor = 1,
	    .warmup = s->steps / 10, .steps = s->steps };
	if (room(r, s->steps, err) < 0)
		return -1;
	ret = trial_begin(&t, s, &o, err);
	while (ret == 0 && r->n < s->steps) {
		struct sweep_point *p = &r->point[r->n];
		double small, part, trace, square;
		struct train_report step;

		if ((ret = trainer_norms(t.t, &small, &part, err)) < 0 ||
		    (ret = trainer_step(t.t, &step, err)) < 0)
			break;
		if (step.targets == 0 || !isfinite(step.norm) ||
		    !(part > 1.5 / (double)step.targets)) {
			ret = err_set(err, ERR_ARG, "a step needs two passes at least: "
			    "--micro is at most half of --batch");
			break;
		}
		noise_estimate(small, part, step.norm * step.norm, 1 / (double)step.targets,
		    &trace, &square);
		traces += trace;
		squares += square;
		*p = (struct sweep_point){ .x = (double)++r->n, .loss = step.loss,
		    .smooth = step.loss, .noise = squares > 0 ? traces / squares : (double)NAN };
		r->noise = p->noise;
		tell(s, 0, r->n, step.loss);
	}
	trial_end(&t);
	return ret;
}

int
sweep_memory(const struct sweep *s, int64_t bytes, struct sweep_result *r, struct err *err)
{
	const int64_t len = loader_info(s->rows)->row_len;
	struct train_options o = s->o;
	struct train_memory need = { 0 };
	int64_t least = 0, most = 1;
	bool grows = true;
	struct model m = { .params.compute = s->compute };
	struct config c;
	int ret = -1;

	*r = (struct sweep_result){ 0 };
	if (config_load(&c, s->model, err) == 0 && model_declare(&m, &c, err) == 0 &&
	    params_seal(&m.params, err) == 0)
		ret = 0;
	/* Twice as many until they do not fit; then the middle, until none is between. */
	while (ret == 0 && (grows || most - least > 1)) {
		int64_t rows = grows ? most : least + (most - least) / 2;

		if (rows > INT32_MAX / len)
			break;
		o.batch = o.micro = rows * len;
		if ((ret = train_memory(&m, s->dev, &o, len, 0, &need, err)) < 0)
			break;
		if (need.total <= bytes) {
			r->memory = need.total;
			least = rows;
			most = grows ? 2 * rows : most;
		} else {
			most = rows;
			grows = false;
		}
	}
	if (ret == 0 && least == 0)
		ret = err_set(err, ERR_ARG, "one row of %lld tokens needs %lld bytes",
		    (long long)len, (long long)need.total);
	r->micro = least * len;
	model_free(&m);
	return ret;
}
