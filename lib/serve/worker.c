#include "serve/worker.h"

#include <math.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/json.h"
#include "base/progress.h"
#include "base/wait.h"

enum { ARENA = 1 << 20 };	/* bytes of stops, biases and the like of a job */

#define TICK 0.1	/* seconds between looks at who waits for a model still */

/* A model as the worker knows it: jobs that are in it, and those of them that are over. */
struct desk {
	struct served	*model;
	int		 in, over;
	struct engine_offloaded spilled;	/* when it was looked at */
};

struct worker {
	struct desk	*desk;
	int		 n;
	struct house	*house;
	int		 outside;	/* jobs that are taken, and wait for their models */
	double		 looked;	/* when those were looked at */
	struct metrics	*metrics;
	void		(*failed)(void *ctx, const struct err *err);
	void		*ctx;
	pthread_t	 thread;
	bool		 started;
	pthread_mutex_t	 lock;			/* of what follows */
	pthread_cond_t	 some;
	struct job	*given, **given_last;	/* not looked at yet */
	struct job	*taken, **taken_last;	/* begun, in a scheduler's line, or outside */
	bool		 moved;			/* models came or went */
	int		 jobs, waiting;
	uint64_t	 number;
	bool		 stop;
};

/* ---- jobs ---- */

struct job *
job_new(struct served *model, struct err *err)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	j->model = model;
	if ((j->g = generation_new(err)) == NULL) {
		free(j);
		return NULL;
	}
	return j;
}

void
job_free(struct job *j)
{
	generation_release(j->g);
	ids_free(&j->ids);
	buf_free(&j->body);
	buf_free(&j->calls);
	arena_free(&j->arena);
	free(j->cu);
	free(j);
}

static int
on_text(void *ctx, str text, struct err *err)
{
	struct job *j = ctx;

	return generation_text(j->g, text, err);
}

static int
on_token(void *ctx, const struct text_token *t, struct err *err)
{
	struct job *j = ctx;

	return generation_token(j->g, t, err);
}

static struct desk *
desk_of(struct worker *w, const struct job *j)
{
	struct desk *d = w->desk;

	while (d->model != j->model)
		d++;
	return d;
}

/* It is over, one way or the other. */
static void
leave(struct worker *w, struct job *j)
{
	if (j->in)
		desk_of(w, j)->over++;
	else if (j->waits)
		w->outside--;
	pthread_mutex_lock(&w->lock);
	w->jobs--;
	if ((*j->at = j->next) != NULL)
		j->next->at = j->at;
	else
		w->taken_last = j->at;
	pthread_mutex_unlock(&w->lock);
	job_free(j);
}

/* Jobs that are over leave their models when these are not being used: they may go then. */
static void
let_out(struct worker *w)
{
	for (int i = 0; i < w->n; i++) {
		struct desk *d = &w->desk[i];

		if (d->over > 0)
			house_leave(w->house, d->model, d->over);
		d->in -= d->over;
		d->over = 0;
	}
}

static void
count(struct metrics *m, const struct generation *g, const struct text_report *r)
{
	metrics_add(m, METRIC_PROMPT_TOKENS, r->prompt);
	metrics_add(m, METRIC_CACHED_TOKENS, r->cached);
	metrics_add(m, METRIC_GENERATED_TOKENS, r->tokens);
	metrics_add(m, METRIC_GUESSED_TOKENS, r->guessed);
	metrics_add(m, METRIC_RIGHT_TOKENS, r->right);
	metrics_observe(m, METRIC_PROMPT, (double)r->prompt);
	if (r->tokens > 0)
		metrics_observe(m, METRIC_FIRST_TOKEN, g->first - g->asked);
	if (r->tokens > 1)
		metrics_observe(m, METRIC_PER_TOKEN,
		    (g->last - g->first) / (double)(r->tokens - 1));
}

static int
on_done(void *ctx, const struct text_report *r, struct err *err)
{
	struct job *j = ctx;

	(void)err;
	count(j->worker->metrics, j->g, r);
	generation_end(j->g, r);
	leave(j->worker, j);
	return 0;
}

/* Its calls as a constraint, instead of a format that it has. */
static int
hold_calls(struct job *j, struct err *err)
{
	struct request *r = &j->request;
	struct constraint *c;

	if (j->calls.n == 0 || (r->constraint != NULL && !j->formed))
		return 0;
	if ((c = grammars_hold(r->grammars, GRAMMAR_GBNF, buf_str(&j->calls), err)) == NULL)
		return err_wrap(err, "key 'tools'");
	grammars_release(r->grammars, r->held);
	r->constraint = r->held = c;
	return 0;
}

/* What its object asks for. */
static int
read_job(struct job *j, struct err *err)
{
	struct request *r = &j->request;
	struct json_member member[REQUEST_KEYS];

	if (arena_init(&j->arena, ARENA, err) < 0)
		return -1;
	r->prompt = j->ids.id;
	r->n = j->ids.n;
	r->max_tokens = j->most;
	r->grammars = j->model->grammars;
	r->adapters = j->model->adapters;
	r->write = on_text;
	r->token = on_token;
	r->done = on_done;
	r->ctx = j;
	r->dropped = &j->g->dropped;
	if (r->n >= j->model->context)
		return err_set(err, ERR_LIMIT, "%lld tokens of prompt leave no room in the "
		    "context of %lld", (long long)r->n, (long long)j->model->context);
	if (json_scan(buf_str(&j->body), request_keys, REQUEST_KEYS, member, err) < 0)
		return -1;
	if (j->draws && getrandom(&r->sampler.seed, sizeof(r->sampler.seed), 0) < 0)
		return err_sys(err, "random numbers");
	if (request_read(r, member, j->model->tok, &j->arena, err) < 0)
		return -1;
	if (r->max_tokens > j->model->context - r->n)
		r->max_tokens = j->model->context - r->n;
	return hold_calls(j, err);
}

/* ---- the thread ---- */

/* Read it and put it in its scheduler's line, or tell why not. */
static void
begin(struct worker *w, struct job *j)
{
	struct err err;
	int ret;

	desk_of(w, j)->in++;
	if (j->model->embedder != NULL) {
		generation_accept(j->g);
		return;
	}
	if ((ret = read_job(j, &err)) == 0)
		ret = scheduler_submit(j->model->scheduler, &j->request, &err);
	grammars_release(j->model->grammars, j->request.held);
	if (ret == 0) {
		generation_accept(j->g);
	} else {
		generation_refuse(j->g, &err);
		leave(w, j);
	}
}

static void
refuse(struct worker *w, struct job *j, const struct err *why)
{
	generation_refuse(j->g, why);
	leave(w, j);
}

/* Into its model, if that is there; or it waits outside, until nobody wants it any more. */
static void
enter(struct worker *w, struct job *j)
{
	double deadline = j->request.deadline;
	struct err err;

	switch (house_enter(w->house, j->model, j->waits, &err)) {
	case HOUSE_IN:
		w->outside -= j->waits;
		j->waits = false;
		j->in = true;
		begin(w, j);
		return;
	case HOUSE_FAILED:
		refuse(w, j, &err);
		return;
	case HOUSE_WAITS:
		w->outside += !j->waits;
		j->waits = true;
	}
	if (atomic_load(&j->g->dropped))
		err_set(&err, ERR_STOP, "nobody waits for it");
	else if (deadline > 0 && deadline <= w->looked)
		err_set(&err, ERR_STOP, "there was no room for model '%s' before the deadline",
		    j->model->name);
	else
		return;
	house_give_up(w->house, j->model);
	refuse(w, j, &err);
}

/* All that are not in their models, in the order that they came in. */
static void
enter_all(struct worker *w)
{
	struct job *next;

	w->looked = progress_now();
	for (struct job *j = w->taken; j != NULL; j = next) {
		next = j->next;
		if (!j->in)
			enter(w, j);
	}
}

/* What was given since.  false: stop. */
static bool
take(struct worker *w, bool idle)
{
	bool stop, look;

	pthread_mutex_lock(&w->lock);
	if (idle && w->given == NULL && !w->moved && !w->stop)
		wait_until(&w->some, &w->lock,
		    w->outside == 0 ? (double)INFINITY : progress_now() + TICK);
	stop = w->stop;
	look = w->moved || w->given != NULL ||
	    (w->outside > 0 && progress_now() - w->looked >= TICK);
	w->moved = false;
	if (!stop && w->given != NULL) {
		w->given->at = w->taken_last;
		*w->taken_last = w->given;
		for (struct job *j = w->given; j != NULL; j = j->next) {
			j->worker = w;
			if (j->next != NULL)
				j->next->at = &j->next;
		}
		w->taken_last = w->given_last;
		w->given = NULL;
		w->given_last = &w->given;
	}
	pthread_mutex_unlock(&w->lock);
	if (!stop && look)
		enter_all(w);
	return !stop;
}

/* Vectors of as many texts as a pass has; of the last ones, it is over. */
static int
embed(struct worker *w, struct job *j, struct err *err)
{
	int64_t width = embed_width(j->model->embedder), from = j->made, to = from;
	struct text_report r = { .end = TEXT_EOS, .prompt = j->ids.n };
	float *out;
	int ret;

	while (to < j->texts && to - from < EMBED_SEQS &&
	    (to == from || j->cu[to + 1] - j->cu[from] <= EMBED_PASS))
		to++;
	if ((out = malloc((size_t)((to - from) * width) * sizeof(*out))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if ((ret = embed_run(j->model->embedder, j->ids.id, j->cu + from, to - from, out,
	    err)) == 0)
		ret = generation_text(j->g, (str){ (char *)out,
		    (to - from) * width * (ptrdiff_t)sizeof(*out) }, err);
	free(out);
	j->made = to;
	if (ret == 0 && (j->made == j->texts || atomic_load(&j->g->dropped))) {
		metrics_add(w->metrics, METRIC_PROMPT_TOKENS, j->ids.n);
		generation_end(j->g, &r);
		leave(w, j);
	}
	return ret;
}

/* How many make vectors; *first is the one that came first. */
static int
embeddings(struct worker *w, struct job **first)
{
	int n = 0;

	*first = NULL;
	for (struct job *j = w->taken; j != NULL; j = j->next)
		if (j->in && j->model->embedder != NULL && n++ == 0)
			*first = j;
	return n;
}

/* What is kept beyond the caches, of models that were used since, and those that are there. */
static void
count_spilled(struct worker *w)
{
	int64_t blocks[2] = { 0 }, bytes[2] = { 0 };

	for (int i = 0; i < w->n; i++) {
		struct desk *d = &w->desk[i];
		struct engine_offloaded *s = &d->spilled;

		if (d->in > 0 && d->model->engine != NULL) {
			engine_offloaded(d->model->engine, s);
			metrics_add(w->metrics, METRIC_FROM_MEMORY, s->from_memory);
			metrics_add(w->metrics, METRIC_FROM_DISK, s->from_disk);
			metrics_add(w->metrics, METRIC_LOST, s->lost);
			metrics_add(w->metrics, METRIC_FAULTS, s->faults);
		} else if (s->memory > 0 && !house_has(w->house, d->model)) {
			*s = (struct engine_offloaded){ 0 };
		}
		blocks[0] += s->in_memory;
		blocks[1] += s->on_disk;
		bytes[0] += s->in_memory * s->block_bytes;
		bytes[1] += s->on_disk * s->block_bytes;
	}
	metrics_set(w->metrics, METRIC_MEMORY_BLOCKS, blocks[0]);
	metrics_set(w->metrics, METRIC_MEMORY_BYTES, bytes[0]);
	metrics_set(w->metrics, METRIC_DISK_BLOCKS, blocks[1]);
	metrics_set(w->metrics, METRIC_DISK_BYTES, bytes[1]);
}

/* A step of each model that has something to do.  false: a device failed. */
static bool
step(struct worker *w, bool *idle)
{
	int waiting = 0, running = 0;
	int64_t used = 0;
	struct job *j;
	struct err err;

	if (embeddings(w, &j) > 0 && embed(w, j, &err) < 0) {
		w->failed(w->ctx, &err);
		return false;
	}
	for (int i = 0; i < w->n; i++) {
		const struct desk *d = &w->desk[i];
		struct scheduler *s;

		/* Of others it is the house's. */
		if (d->in == 0 || (s = d->model->scheduler) == NULL)
			continue;
		if (scheduler_running(s) + scheduler_waiting(s) > 0 &&
		    scheduler_step(s, &err) < 0) {
			w->failed(w->ctx, &err);
			return false;
		}
		waiting += scheduler_waiting(s);
		running += scheduler_running(s);
		used += engine_cache(d->model->engine) - engine_unused(d->model->engine);
	}
	waiting += embeddings(w, &j);
	*idle = running + waiting == 0;
	waiting += w->outside;
	count_spilled(w);
	let_out(w);
	pthread_mutex_lock(&w->lock);
	w->waiting = waiting;
	pthread_mutex_unlock(&w->lock);
	metrics_set(w->metrics, METRIC_RUNNING, running);
	metrics_set(w->metrics, METRIC_WAITING, waiting);
	metrics_set(w->metrics, METRIC_CACHE_USED, used);
	return true;
}

static void *
run(void *ctx)
{
	struct worker *w = ctx;
	bool idle = true;

	while (take(w, idle) && step(w, &idle))
		;
	return NULL;
}

/* Of the house's thread. */
static void
on_moved(void *ctx)
{
	struct worker *w = ctx;

	pthread_mutex_lock(&w->lock);
	w->moved = true;
	pthread_cond_signal(&w->some);
	pthread_mutex_unlock(&w->lock);
}

/* ---- others ---- */

struct worker *
worker_new(struct served *const *model, int n, struct house *house, struct metrics *metrics,
    void (*failed)(void *ctx, const struct err *err), void *ctx, struct err *err)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL || (w->desk = calloc((size_t)n, sizeof(*w->desk))) == NULL) {
		free(w);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	for (int i = 0; i < n; i++)
		w->desk[i].model = model[i];
	w->n = n;
	w->house = house;
	w->metrics = metrics;
	w->failed = failed;
	w->ctx = ctx;
	w->given_last = &w->given;
	w->taken_last = &w->taken;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->some, NULL);
	house_watch(house, on_moved, w);
	if (pthread_create(&w->thread, NULL, run, w) != 0) {
		worker_free(w);
		err_set(err, ERR_NOMEM, "a thread cannot be started");
		return NULL;
	}
	w->started = true;
	return w;
}

void
worker_give(struct worker *w, struct job *j)
{
	pthread_mutex_lock(&w->lock);
	*w->given_last = j;
	w->given_last = &j->next;
	w->jobs++;
	j->number = w->number++;
	pthread_cond_signal(&w->some);
	pthread_mutex_unlock(&w->lock);
}

int
worker_jobs(struct worker *w)
{
	int n;

	pthread_mutex_lock(&w->lock);
	n = w->jobs;
	pthread_mutex_unlock(&w->lock);
	return n;
}

int
worker_waiting(struct worker *w)
{
	int n;

	pthread_mutex_lock(&w->lock);
	n = w->waiting;
	for (const struct job *j = w->given; j != NULL; j = j->next)
		n++;
	pthread_mutex_unlock(&w->lock);
	return n;
}

void
worker_each(struct worker *w, void (*tell)(void *ctx, const struct job *j), void *ctx)
{
	pthread_mutex_lock(&w->lock);
	for (const struct job *j = w->taken; j != NULL; j = j->next)
		tell(ctx, j);
	pthread_mutex_unlock(&w->lock);
}

/* It was not written whole, and whoever waits is told. */
static void
drop(struct worker *w, struct job *j)
{
	if (j->waits)
		house_give_up(w->house, j->model);
	refuse(w, j, &(struct err){ ERR_STOP, "the server ends" });
}

void
worker_free(struct worker *w)
{
	struct err err;

	if (w == NULL)
		return;
	house_watch(w->house, NULL, NULL);
	if (w->started) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->some);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
		for (int i = 0; i < w->n; i++)
			if (w->desk[i].in > 0 && w->desk[i].model->scheduler != NULL)
				scheduler_stop(w->desk[i].model->scheduler, &err);
		while (w->taken != NULL)
			drop(w, w->taken);
		let_out(w);
	}
	for (struct job *j = w->given, *next; j != NULL; j = next) {
		next = j->next;
		generation_refuse(j->g, &(struct err){ ERR_STOP, "the server ends" });
		job_free(j);
	}
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->some);
	free(w->desk);
	free(w);
}
