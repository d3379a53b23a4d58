#include "serve/worker.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/json.h"

enum { ARENA = 1 << 20 };	/* bytes of stops, biases and the like of a job */

struct worker {
	struct served	*const *model;
	int		 n;
	struct metrics	*metrics;
	void		(*failed)(void *ctx, const struct err *err);
	void		*ctx;
	pthread_t	 thread;
	bool		 started;
	pthread_mutex_t	 lock;			/* of what follows */
	pthread_cond_t	 some;
	struct job	*given, **given_last;	/* not looked at yet */
	struct job	*taken;			/* begun, or in a scheduler's line */
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

/* It is over, one way or the other. */
static void
leave(struct worker *w, struct job *j)
{
	pthread_mutex_lock(&w->lock);
	w->jobs--;
	if (j->at != NULL && (*j->at = j->next) != NULL)
		j->next->at = j->at;
	pthread_mutex_unlock(&w->lock);
	job_free(j);
}

static void
count(struct metrics *m, const struct generation *g, const struct text_report *r)
{
	metrics_add(m, METRIC_PROMPT_TOKENS, r->prompt);
	metrics_add(m, METRIC_CACHED_TOKENS, r->cached);
	metrics_add(m, METRIC_GENERATED_TOKENS, r->tokens);
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

/* Its calls as a constraint, instead of a format where one has to be. */
static int
hold_calls(struct job *j, struct err *err)
{
	struct request *r = &j->request;
	struct constraint *c;

	if (j->calls.n == 0 || (r->constraint != NULL && !j->called))
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

/* What was given since; with nothing to do, wait for some.  false: stop. */
static bool
take(struct worker *w, bool idle)
{
	struct job *j, *next;
	bool stop;

	pthread_mutex_lock(&w->lock);
	while (idle && w->given == NULL && !w->stop)
		pthread_cond_wait(&w->some, &w->lock);
	stop = w->stop;
	j = stop ? NULL : w->given;
	if (!stop) {
		w->given = NULL;
		w->given_last = &w->given;
	}
	pthread_mutex_unlock(&w->lock);
	for (; j != NULL; j = next) {
		next = j->next;
		j->worker = w;
		pthread_mutex_lock(&w->lock);
		if ((j->next = w->taken) != NULL)
			j->next->at = &j->next;
		j->at = &w->taken;
		w->taken = j;
		pthread_mutex_unlock(&w->lock);
		begin(w, j);
	}
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
		if (j->model->embedder != NULL) {
			*first = j;
			n++;
		}
	return n;
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
		struct scheduler *s = w->model[i]->scheduler;

		if (s == NULL)
			continue;
		if (scheduler_running(s) + scheduler_waiting(s) > 0 &&
		    scheduler_step(s, &err) < 0) {
			w->failed(w->ctx, &err);
			return false;
		}
		waiting += scheduler_waiting(s);
		running += scheduler_running(s);
		used += engine_cache(w->model[i]->engine) - engine_unused(w->model[i]->engine);
	}
	waiting += embeddings(w, &j);
	*idle = running + waiting == 0;
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

/* ---- others ---- */

struct worker *
worker_new(struct served *const *model, int n, struct metrics *metrics,
    void (*failed)(void *ctx, const struct err *err), void *ctx, struct err *err)
{
	struct worker *w = calloc(1, sizeof(*w));
	int64_t cache = 0;

	if (w == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*w = (struct worker){ .model = model, .n = n, .metrics = metrics, .failed = failed,
	    .ctx = ctx };
	w->given_last = &w->given;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->some, NULL);
	for (int i = 0; i < n; i++)
		cache += model[i]->engine != NULL ? engine_cache(model[i]->engine) : 0;
	metrics_set(metrics, METRIC_CACHE_TOKENS, cache);
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

void
worker_free(struct worker *w)
{
	struct err err;

	if (w == NULL)
		return;
	if (w->started) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->some);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
		for (int i = 0; i < w->n; i++)
			if (w->model[i]->scheduler != NULL)
				scheduler_stop(w->model[i]->scheduler, &err);
		while (w->taken != NULL)
			leave(w, w->taken);
	}
	for (struct job *j = w->given, *next; j != NULL; j = next) {
		next = j->next;
		generation_refuse(j->g, &(struct err){ ERR_STOP, "the server ends" });
		job_free(j);
	}
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->some);
	free(w);
}
