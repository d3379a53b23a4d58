#include "serve/worker.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/json.h"

enum { ARENA = 1 << 20 };	/* bytes of stops, biases and the like of a job */

struct worker {
	struct served	*const *model;
	int		 n;
	void		(*failed)(void *ctx, const struct err *err);
	void		*ctx;
	pthread_t	 thread;
	bool		 started;
	struct job	*first, **last;		/* they wait for room, in order; the thread's */
	pthread_mutex_t	 lock;			/* of what follows */
	pthread_cond_t	 some;
	struct job	*given, **given_last;
	struct worker_counts counts;
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
	arena_free(&j->arena);
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

	if (generation_token(j->g, t, err) < 0)
		return -1;
	return atomic_load(&j->g->dropped) ? 1 : 0;
}

static int
on_done(void *ctx, const struct text_report *r, struct err *err)
{
	struct job *j = ctx;
	struct worker *w = j->worker;

	(void)err;
	pthread_mutex_lock(&w->lock);
	w->counts.prompt += r->prompt;
	w->counts.cached += r->cached;
	w->counts.drawn += r->tokens;
	w->counts.running--;
	pthread_mutex_unlock(&w->lock);
	generation_end(j->g, r);
	job_free(j);
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
	if (json_scan(buf_str(&j->body), request_keys, REQUEST_KEYS, member, err) < 0)
		return -1;
	if (j->draws && getrandom(&r->sampler.seed, sizeof(r->sampler.seed), 0) < 0)
		return err_sys(err, "random numbers");
	if (request_read(r, member, j->model->tok, &j->arena, err) < 0)
		return -1;
	if (r->n >= j->model->context)
		return err_set(err, ERR_LIMIT, "%lld tokens of prompt leave no room in the "
		    "context of %lld", (long long)r->n, (long long)j->model->context);
	if (r->max_tokens > j->model->context - r->n)
		r->max_tokens = j->model->context - r->n;
	return 0;
}

/* ---- the thread ---- */

static void
refuse(struct worker *w, struct job *j, const struct err *why)
{
	pthread_mutex_lock(&w->lock);
	w->counts.waiting--;
	pthread_mutex_unlock(&w->lock);
	generation_refuse(j->g, why);
	job_free(j);
}

/* Begin it, if there is room.  1; 0: it has to wait. */
static int
begin(struct worker *w, struct job *j)
{
	struct err err;
	int got = scheduler_add(j->model->scheduler, &j->request, &err);

	if (got == 0)
		return 0;
	grammars_release(j->model->grammars, j->request.held);
	if (got < 0) {
		refuse(w, j, &err);
		return 1;
	}
	pthread_mutex_lock(&w->lock);
	w->counts.waiting--;
	w->counts.running++;
	pthread_mutex_unlock(&w->lock);
	return 1;
}

/* What was given since; with nothing to do, wait for some.  false: stop. */
static bool
take(struct worker *w, bool idle)
{
	struct job *j, *next;
	struct err err;

	pthread_mutex_lock(&w->lock);
	while (idle && w->given == NULL && !w->stop)
		pthread_cond_wait(&w->some, &w->lock);
	j = w->given;
	w->given = NULL;
	w->given_last = &w->given;
	pthread_mutex_unlock(&w->lock);
	for (; j != NULL; j = next) {
		next = j->next;
		j->next = NULL;
		j->worker = w;
		if (read_job(j, &err) < 0) {
			refuse(w, j, &err);
			continue;
		}
		generation_accept(j->g);
		*w->last = j;
		w->last = &j->next;
	}
	return !w->stop;
}

static void
begin_waiting(struct worker *w)
{
	struct job **at = &w->first, *j;

	while ((j = *at) != NULL) {
		struct job *next = j->next;

		if (atomic_load(&j->g->dropped)) {
			grammars_release(j->model->grammars, j->request.held);
			refuse(w, j, &(struct err){ ERR_STOP, "dropped" });
		} else if (begin(w, j) == 0) {
			at = &j->next;
			continue;
		}
		*at = next;
	}
	w->last = at;
}

/* A step of each model that has something to do.  false: a device failed. */
static bool
step(struct worker *w, bool *idle)
{
	struct err err;

	*idle = w->first == NULL;
	for (int i = 0; i < w->n; i++) {
		struct scheduler *s = w->model[i]->scheduler;

		if (scheduler_running(s) == 0)
			continue;
		*idle = false;
		if (scheduler_step(s, &err) < 0) {
			w->failed(w->ctx, &err);
			return false;
		}
	}
	return true;
}

static void *
run(void *ctx)
{
	struct worker *w = ctx;
	bool idle = true;

	while (take(w, idle)) {
		begin_waiting(w);
		if (!step(w, &idle))
			break;
	}
	return NULL;
}

/* ---- others ---- */

struct worker *
worker_new(struct served *const *model, int n, void (*failed)(void *ctx, const struct err *err),
    void *ctx, struct err *err)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*w = (struct worker){ .model = model, .n = n, .failed = failed, .ctx = ctx };
	w->last = &w->first;
	w->given_last = &w->given;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->some, NULL);
	for (int i = 0; i < n; i++)
		w->counts.cache += engine_settings(model[i]->engine)->cache;
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
	w->counts.waiting++;
	pthread_cond_signal(&w->some);
	pthread_mutex_unlock(&w->lock);
}

void
worker_counts(struct worker *w, struct worker_counts *c)
{
	pthread_mutex_lock(&w->lock);
	*c = w->counts;
	pthread_mutex_unlock(&w->lock);
}

static void
drop_line(struct job *j)
{
	while (j != NULL) {
		struct job *next = j->next;

		generation_refuse(j->g, &(struct err){ ERR_STOP, "the server ends" });
		job_free(j);
		j = next;
	}
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
			scheduler_stop(w->model[i]->scheduler, &err);
	}
	drop_line(w->first);
	drop_line(w->given);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->some);
	free(w);
}
