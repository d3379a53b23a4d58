#include <math.h>

#include "base/progress.h"
#include "fmt/checkpoint.h"
#include "train/run.h"

/* What run_train() knows between steps. */
struct going {
	struct run	*run;
	struct trainer	*trainer;
	const struct run_options *o;
	double		 start, saved_at;
	int64_t		 saved, validated;	/* the steps they were last done at */
};

/* What else a model directory holds, for the model and its moving average. */
static int
extra(struct going *g, const char *dir, struct err *err)
{
	char path[CHECKPOINT_PATH + 8];

	if (g->o->extra == NULL)
		return 0;
	if (g->o->extra(g->o->ctx, dir, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/" TRAIN_EMA, dir);
	return trainer_ema(g->trainer) ? g->o->extra(g->o->ctx, path, err) : 0;
}

static int
save(struct going *g, struct err *err)
{
	int64_t step = trainer_state(g->trainer)->step;
	struct checkpoint *c;

	if (g->saved == step || comm_rank(g->o->comm) != 0)
		return 0;
	if ((c = checkpoint_begin(g->run->dir, step, err)) == NULL)
		return -1;
	if (trainer_save(g->trainer, checkpoint_dir(c), err) < 0 ||
	    extra(g, checkpoint_dir(c), err) < 0) {
		checkpoint_abort(c);
		return -1;
	}
	/* The one that the run came from may be pruned: the next is made from this. */
	if (checkpoint_commit(c, err) < 0 ||
	    checkpoint_path(g->run->dir, step, g->run->from, err) < 0)
		return -1;
	g->saved = step;
	g->saved_at = progress_now();
	return g->o->keep > 0 ? checkpoint_prune(g->run->dir, (int)g->o->keep, err) : 0;
}

static int
validate(struct going *g, struct err *err)
{
	const struct train_state *s = trainer_state(g->trainer);
	struct score_report r;
	double ema_loss;
	json_t *line;

	if (g->validated == s->step)
		return 0;
	if (trainer_validate(g->trainer, &r, &ema_loss, err) < 0)
		return -1;
	g->validated = s->step;
	line = json_pack("{sI sf sf sI sb}", "step", (json_int_t)s->step,
	    "valid_loss", r.loss, "bits_per_byte", r.bits_per_byte,
	    "valid_tokens", (json_int_t)r.targets, "best", s->best_step == s->step);
	if (line != NULL && isfinite(ema_loss))
		json_object_set_new(line, "ema_loss", json_real(ema_loss));
	if (run_log(g->run, line, err) < 0)
		return -1;
	/* The best is kept, so it must be on disk. */
	if (s->best_step != s->step || comm_rank(g->o->comm) != 0)
		return 0;
	if (save(g, err) < 0)
		return -1;
	return checkpoint_link(g->run->dir, "best", s->step, err);
}

static int
sample(struct going *g, struct err *err)
{
	int64_t step = trainer_state(g->trainer)->step;
	json_t *text = g->o->sample(g->o->ctx, step, err);

	if (text == NULL)
		return -1;
	return run_log(g->run, json_pack("{sI so}", "step", (json_int_t)step, "sample", text),
	    err);
}

/* JSON has no NaN and no infinity. */
static json_t *
number(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static int
log_step(struct going *g, const struct train_report *r, double seconds, double peak,
    struct err *err)
{
	static const char *const why[] = { NULL, "not finite", "loss spike", "norm spike",
	    "overflow" };
	double rate = seconds > 0 ? (double)r->tokens / seconds : 0;
	json_t *line = json_pack("{sI so so sf sI sf}", "step",
	    (json_int_t)trainer_state(g->trainer)->step, "loss", number(r->loss),
	    "norm", number(r->norm), "rate", r->rate, "tokens", (json_int_t)r->tokens,
	    "tokens_per_second", rate);

	if (line != NULL && peak > 0 && seconds > 0)
		json_object_set_new(line, "mfu",
		    json_real(r->flops / seconds / peak));
	if (line != NULL && r->skip != 0)
		json_object_set_new(line, "skipped", json_string(why[r->skip]));
	if (line != NULL && r->ahead > 0)
		json_object_set_new(line, "mtp_loss", number(r->ahead));
	if (line != NULL && r->routed) {
		json_object_set_new(line, "balance_loss", number(r->balance));
		json_object_set_new(line, "router_z_loss", number(r->router_z));
	}
	if (g->o->progress != NULL)
		g->o->progress(g->o->ctx, trainer_state(g->trainer)->step, r, rate);
	return run_log(g->run, line, err);
}

static bool
due(int64_t step, int64_t every)
{
	return every > 0 && step % every == 0;
}

/* One step and what is due after it. */
static int
advance(struct going *g, double peak, struct err *err)
{
	const struct run_options *o = g->o;
	const struct train_state *s = trainer_state(g->trainer);
	struct train_report r;
	double at = progress_now();
	int ret = trainer_step(g->trainer, &r, err);

	/* A run that gives up on bad steps still logs the last. */
	if (ret < 0 && err->code != ERR_LIMIT)
		return -1;
	if (log_step(g, &r, progress_now() - at, peak, err) < 0 || ret < 0)
		return -1;
	if (trainer_valid(g->trainer) &&
	    (due(s->step, o->valid_every) || s->step == o->steps) && validate(g, err) < 0)
		return -1;
	if (due(s->step, o->sample_every) && o->sample != NULL && sample(g, err) < 0)
		return -1;
	if (due(s->step, o->save_every) ||
	    (o->save_seconds > 0 && progress_now() - g->saved_at >= o->save_seconds))
		return save(g, err);
	return 0;
}

/* The strongest wish of any rank. */
static int
ask(struct going *g, enum run_wish *wish, struct err *err)
{
	const struct run_options *o = g->o;
	int64_t most = o->wish != NULL ? o->wish(o->ctx) : RUN_GO;

	if (most < RUN_ENOUGH && o->max_seconds > 0 &&
	    progress_now() - g->start >= o->max_seconds)
		most = RUN_ENOUGH;
	if (comm_max(o->comm, &most, err) < 0)
		return -1;
	*wish = (enum run_wish)most;
	return 0;
}

int
run_train(struct run *run, struct trainer *t, const struct run_options *o,
    enum run_end *end, struct err *err)
{
	const struct train_state *s = trainer_state(t);
	struct going g = { .run = run, .trainer = t, .o = o, .start = progress_now(),
	    .saved = run->from[0] != '\0' ? s->step : -1, .validated = -1 };
	double peak = trainer_peak(t);

	g.saved_at = g.start;
	*end = RUN_DONE;
	while (s->step < o->steps) {
		enum run_wish wish;

		if (ask(&g, &wish, err) < 0)
			return -1;
		if (o->patience > 0 && s->worse >= o->patience)
			*end = RUN_EARLY;
		else if (wish == RUN_STOP)
			*end = RUN_STOPPED;
		else if (wish == RUN_ENOUGH)
			*end = RUN_TIME;
		if (*end != RUN_DONE)
			break;
		if (wish == RUN_SAVE && save(&g, err) < 0)
			return -1;
		if (advance(&g, peak, err) < 0)
			return -1;
	}
	return save(&g, err);
}
