#include "serve/house.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/progress.h"
#include "base/wait.h"

/* A model's place.  SHUT: it is there, and to go as soon as nobody is in it. */
enum room_state { ROOM_AWAY, ROOM_COMING, ROOM_OPEN, ROOM_SHUT, ROOM_GOING };

struct room {
	struct served	*model;
	enum room_state	 state;
	struct served_size size;
	int		 in, waiting;	/* texts in it; those that want to be */
	int64_t		 turn;		/* of those who wait for it to come: the lower is first */
	bool		 anew;		/* shut because its files are others now */
	bool		 again;		/* it comes back where there is room, asked for or not */
	double		 came, took;	/* when it was loaded, and how long that was */
	double		 used;		/* when the last text left */
	bool		 failed;	/* those who wait are to be told why */
	struct err	 why;
};

struct house {
	struct house_options o;
	pthread_t	 thread;
	bool		 started;
	atomic_bool	 stop;
	pthread_mutex_t	 lock;			/* of what follows */
	pthread_cond_t	 some;
	int64_t		 turns;
	void		(*changed)(void *ctx);
	void		*ctx;
	struct room	 room[];
};

static struct room *
room_of(struct house *h, const struct served *s)
{
	struct room *r = h->room;

	while (r->model != s)
		r++;
	return r;
}

static int64_t
bytes_of(const struct served_size *size)
{
	return size->weights + size->engine;
}

static int
check_size(const struct house *h, const struct served *s, const struct served_size *size,
    struct err *err)
{
	if (h->o.memory == 0 || bytes_of(size) <= h->o.memory)
		return 0;
	return err_set(err, ERR_LIMIT, "model '%s' takes %lld bytes, %lld of weights and %lld of "
	    "cache and working memory: there may be %lld", s->name, (long long)bytes_of(size),
	    (long long)size->weights, (long long)size->engine, (long long)h->o.memory);
}

/* Of all that are not away; what comes and goes takes its room, too. */
static int64_t
taken(const struct house *h)
{
	int64_t sum = 0;

	for (int i = 0; i < h->o.n_models; i++)
		if (h->room[i].state != ROOM_AWAY)
			sum += bytes_of(&h->room[i].size);
	return sum;
}

static bool
fits(const struct house *h, const struct room *r)
{
	return h->o.memory == 0 || bytes_of(&r->size) <= h->o.memory - taken(h);
}

/* Under the lock. */
static void
tell(struct house *h)
{
	int64_t cache = 0, loaded = 0;

	for (int i = 0; i < h->o.n_models; i++) {
		const struct room *r = &h->room[i];

		if (r->state != ROOM_OPEN && r->state != ROOM_SHUT)
			continue;
		loaded++;
		if (r->model->engine != NULL)
			cache += engine_cache(r->model->engine);
	}
	metrics_set(h->o.metrics, METRIC_MODELS, loaded);
	metrics_set(h->o.metrics, METRIC_MODEL_BYTES, taken(h));
	metrics_set(h->o.metrics, METRIC_CACHE_TOKENS, cache);
	if (h->changed != NULL)
		h->changed(h->ctx);
}

/* ---- coming and going: the house's thread, without the lock ---- */

static void __attribute__((format(printf, 3, 4)))
say(void (*to)(void *ctx, const char *line), void *ctx, const char *fmt, ...)
{
	char line[sizeof(struct err) + 128];
	va_list ap;

	if (to == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	to(ctx, line);
}

static int
bring(struct house *h, struct room *r, struct err *err)
{
	double start = progress_now();

	if (served_load(r->model, &h->stop, err) < 0) {
		served_unload(r->model);
		return -1;
	}
	r->came = r->used = progress_now();
	r->took = r->came - start;
	metrics_add(h->o.metrics, METRIC_LOADS, 1);
	metrics_observe(h->o.metrics, METRIC_LOAD, r->took);
	say(h->o.log, h->o.log_ctx, "model '%s' is loaded: %lld bytes, %.3f s", r->model->name,
	    (long long)bytes_of(&r->size), r->took);
	return 0;
}

/* What others may read of a room is set under the lock. */
static void
fail(struct house *h, struct room *r, const struct err *err)
{
	say(h->o.warn, h->o.log_ctx, "model '%s' cannot be loaded: %s", r->model->name, err->msg);
	pthread_mutex_lock(&h->lock);
	/* Paths are not for those who ask. */
	err_set(&r->why, ERR_IO, "model '%s' cannot be loaded now", r->model->name);
	r->failed = r->waiting > 0;
	r->again = false;
	r->state = ROOM_AWAY;
	tell(h);
	pthread_mutex_unlock(&h->lock);
}

/* Its files are others now, and may be larger: then there is to be room for that first. */
static void
renew(struct house *h, struct room *r)
{
	struct served_size size;
	struct err err;

	if (served_look(r->model, &size, &err) < 0 || check_size(h, r->model, &size, &err) < 0) {
		fail(h, r, &err);
		return;
	}
	pthread_mutex_lock(&h->lock);
	r->size = size;
	atomic_fetch_add(&r->model->version, 1);
	r->state = ROOM_AWAY;
	pthread_mutex_unlock(&h->lock);
}

static void
load(struct house *h, struct room *r)
{
	struct err err;

	if (served_stamp(r->model) != r->size.stamp) {
		renew(h, r);
		return;
	}
	if (bring(h, r, &err) < 0) {
		fail(h, r, &err);
		return;
	}
	pthread_mutex_lock(&h->lock);
	r->state = r->anew ? ROOM_SHUT : ROOM_OPEN;
	r->again = false;
	tell(h);
	pthread_mutex_unlock(&h->lock);
}

static void
unload(struct house *h, struct room *r)
{
	served_unload(r->model);
	metrics_add(h->o.metrics, METRIC_EVICTIONS, 1);
	say(h->o.log, h->o.log_ctx, "model '%s' is unloaded", r->model->name);
	pthread_mutex_lock(&h->lock);
	r->state = ROOM_AWAY;
	r->again = r->anew;
	r->anew = false;
	tell(h);
	pthread_mutex_unlock(&h->lock);
}

/* ---- what to do next: under the lock ---- */

enum act { REST, LOAD, UNLOAD };

/* The one away that was asked for first. */
static struct room *
wanted(struct house *h)
{
	struct room *first = NULL;

	for (int i = 0; i < h->o.n_models; i++) {
		struct room *r = &h->room[i];

		if (r->state == ROOM_AWAY && r->waiting > 0 && !r->failed &&
		    (first == NULL || r->turn < first->turn))
			first = r;
	}
	return first;
}

static bool
is_idle(const struct room *r)
{
	return r->state == ROOM_OPEN && r->in == 0 && r->waiting == 0;
}

/* The one whose use is the longest ago, of those that are idle, or of those in use. */
static struct room *
oldest(struct house *h, bool idle)
{
	struct room *old = NULL;

	for (int i = 0; i < h->o.n_models; i++) {
		struct room *r = &h->room[i];

		if (r->state == ROOM_OPEN && is_idle(r) == idle &&
		    (old == NULL || r->used < old->used))
			old = r;
	}
	return old;
}

/* Who is empty and shut, or was idle for too long; until is the next time to look. */
static struct room *
leaving(struct house *h, double now, double *until)
{
	for (int i = 0; i < h->o.n_models; i++) {
		struct room *r = &h->room[i];

		if (r->state == ROOM_SHUT && r->in == 0)
			return r;
		if (h->o.unload_after == 0 || !is_idle(r))
			continue;
		if (r->used + h->o.unload_after <= now)
			return r;
		*until = fmin(*until, r->used + h->o.unload_after);
	}
	return NULL;
}

/* Nobody needs the room of one that is shut. */
static void
open_again(struct house *h)
{
	for (int i = 0; i < h->o.n_models; i++) {
		struct room *r = &h->room[i];

		if (r->state == ROOM_SHUT && !r->anew) {
			r->state = ROOM_OPEN;
			tell(h);
		}
	}
}

/* All are in use: one is shut, unless one is already, or none was there for long enough. */
static void
shut_one(struct house *h, double now, double *until)
{
	struct room *r = oldest(h, false);

	for (int i = 0; i < h->o.n_models; i++)
		if (h->room[i].state == ROOM_SHUT)
			return;
	if (r == NULL)
		return;
	/* Those who waited for it are to get in before. */
	if (r->waiting == 0 && r->came + r->took <= now)
		r->state = ROOM_SHUT;
	else
		*until = fmin(*until, fmax(r->came + r->took, now + 0.01));
}

static enum act
decide(struct house *h, struct room **r, double *until)
{
	double now = progress_now();
	struct room *want = wanted(h);

	*until = (double)INFINITY;
	if (want == NULL || fits(h, want))
		open_again(h);
	if ((*r = leaving(h, now, until)) != NULL)
		return UNLOAD;
	if (want == NULL) {
		for (int i = 0; i < h->o.n_models; i++) {
			*r = &h->room[i];
			if ((*r)->state == ROOM_AWAY && (*r)->again && fits(h, *r))
				return LOAD;
		}
		return REST;
	}
	*r = want;
	if (fits(h, want))
		return LOAD;
	if ((*r = oldest(h, true)) != NULL)
		return UNLOAD;
	shut_one(h, now, until);
	return REST;
}

static void *
run(void *ctx)
{
	struct house *h = ctx;
	struct room *r;
	double until;

	pthread_mutex_lock(&h->lock);
	while (!atomic_load(&h->stop)) {
		enum act act = decide(h, &r, &until);

		if (act == REST) {
			wait_until(&h->some, &h->lock, until);
			continue;
		}
		r->state = act == LOAD ? ROOM_COMING : ROOM_GOING;
		pthread_mutex_unlock(&h->lock);
		(act == LOAD ? load : unload)(h, r);
		pthread_mutex_lock(&h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* ---- begin and end ---- */

static int
open_rooms(struct house *h, struct err *err)
{
	for (int i = 0; i < h->o.n_models; i++) {
		struct room *r = &h->room[i];

		r->model = h->o.model[i];
		r->size = r->model->size;
		if (check_size(h, r->model, &r->size, err) < 0)
			return -1;
		if (h->o.memory > 0)
			continue;
		if (bring(h, r, err) < 0)
			return -1;
		r->state = ROOM_OPEN;
	}
	tell(h);
	return 0;
}

struct house *
house_new(const struct house_options *o, struct err *err)
{
	struct house *h = calloc(1, sizeof(*h) + (size_t)o->n_models * sizeof(h->room[0]));

	if (h == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	h->o = *o;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->some, NULL);
	if (open_rooms(h, err) < 0) {
		house_free(h);
		return NULL;
	}
	if (pthread_create(&h->thread, NULL, run, h) != 0) {
		house_free(h);
		err_set(err, ERR_NOMEM, "a thread cannot be started");
		return NULL;
	}
	h->started = true;
	return h;
}

void
house_free(struct house *h)
{
	if (h == NULL)
		return;
	if (h->started) {
		pthread_mutex_lock(&h->lock);
		atomic_store(&h->stop, true);
		pthread_cond_signal(&h->some);
		pthread_mutex_unlock(&h->lock);
		pthread_join(h->thread, NULL);
	}
	for (int i = 0; i < h->o.n_models; i++)
		if (h->room[i].state != ROOM_AWAY)
			served_unload(h->room[i].model);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->some);
	free(h);
}

void
house_watch(struct house *h, void (*changed)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&h->lock);
	h->changed = changed;
	h->ctx = ctx;
	pthread_mutex_unlock(&h->lock);
}

/* ---- texts ---- */

enum house_answer
house_enter(struct house *h, const struct served *s, bool waited, struct err *why)
{
	enum house_answer got = HOUSE_WAITS;
	struct room *r = room_of(h, s);

	pthread_mutex_lock(&h->lock);
	if (r->state == ROOM_OPEN)
		got = HOUSE_IN;
	else if (r->failed)
		got = HOUSE_FAILED;
	if (got == HOUSE_FAILED)
		*why = r->why;
	if (got == HOUSE_IN)
		r->in++;
	if (got == HOUSE_WAITS && !waited) {
		if (r->waiting++ == 0)
			r->turn = h->turns++;
	} else if (got != HOUSE_WAITS && waited) {
		r->waiting--;
	}
	if (r->waiting == 0)
		r->failed = false;
	pthread_cond_signal(&h->some);
	pthread_mutex_unlock(&h->lock);
	return got;
}

void
house_give_up(struct house *h, const struct served *s)
{
	struct room *r = room_of(h, s);

	pthread_mutex_lock(&h->lock);
	if (--r->waiting == 0)
		r->failed = false;
	pthread_cond_signal(&h->some);
	pthread_mutex_unlock(&h->lock);
}

void
house_leave(struct house *h, const struct served *s, int n)
{
	struct room *r = room_of(h, s);

	pthread_mutex_lock(&h->lock);
	r->in -= n;
	r->used = progress_now();
	pthread_cond_signal(&h->some);
	pthread_mutex_unlock(&h->lock);
}

/* ---- others ---- */

int
house_reread(struct house *h, struct err *err)
{
	int ret = 0;

	for (int i = 0; i < h->o.n_models; i++) {
		struct room *r = &h->room[i];
		struct served_size size;
		struct err one;
		bool other;

		pthread_mutex_lock(&h->lock);
		size = r->size;
		pthread_mutex_unlock(&h->lock);
		if (served_stamp(r->model) == size.stamp)
			continue;
		if (served_look(r->model, &size, &one) < 0 ||
		    check_size(h, r->model, &size, &one) < 0) {
			if (ret == 0)
				*err = one;
			ret = -1;
			continue;
		}
		pthread_mutex_lock(&h->lock);
		other = r->state != ROOM_AWAY && r->state != ROOM_GOING;
		r->anew |= other;
		if (r->state == ROOM_OPEN)
			r->state = ROOM_SHUT;
		/* What comes now is not what is kept of before. */
		if (other)
			atomic_fetch_add(&r->model->version, 1);
		pthread_cond_signal(&h->some);
		pthread_mutex_unlock(&h->lock);
	}
	return ret;
}

bool
house_has(struct house *h, const struct served *s)
{
	struct room *r = room_of(h, s);
	bool has;

	pthread_mutex_lock(&h->lock);
	has = r->state == ROOM_OPEN || r->state == ROOM_SHUT;
	pthread_mutex_unlock(&h->lock);
	return has;
}

/* How many of the largest ones, or of the smallest, fit together. */
static int
fit(const struct served *const *by_size, int n, int64_t memory, bool largest)
{
	int fit = 0;

	while (fit < n) {
		const struct served *s = by_size[largest ? n - 1 - fit : fit];

		if ((memory -= bytes_of(&s->size)) < 0)
			break;
		fit++;
	}
	return fit;
}

static int
compare_sizes(const void *a, const void *b)
{
	const struct served *const *x = a, *const *y = b;
	int64_t m = bytes_of(&(*x)->size), n = bytes_of(&(*y)->size);

	return (m > n) - (m < n);
}

int
house_describe(struct served *const *model, int n, int64_t memory, struct buf *b, struct err *err)
{
	const struct served **sorted = malloc(((size_t)n + 1) * sizeof(*sorted));
	int64_t all = 0;

	if (sorted == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int i = 0; i < n; i++) {
		sorted[i] = model[i];
		all += bytes_of(&model[i]->size);
	}
	qsort(sorted, (size_t)n, sizeof(*sorted), compare_sizes);
	buf_fmt(b, "all\t%lld\tbytes of all models\n", (long long)all);
	if (memory > 0)
		buf_fmt(b, "memory\t%lld\tbytes\nleast\t%d\tmodels at once, whichever they are\n"
		    "most\t%d\tmodels at once\n", (long long)memory,
		    fit(sorted, n, memory, true), fit(sorted, n, memory, false));
	free(sorted);
	return buf_ok(b, err);
}
