#include "serve/errand.h"

#include <pthread.h>
#include <stdlib.h>

struct errands {
	pthread_t	 thread;
	pthread_mutex_t	 lock;
	pthread_cond_t	 some;
	struct errand	*first, **last;
	int		 waiting;
	bool		 stop;
};

/* The call is woken under the lock, so that it does not end meanwhile. */
static void
finish(struct errands *t, struct errand *e)
{
	bool left;

	pthread_mutex_lock(&t->lock);
	e->state = ERRAND_DONE;
	t->waiting--;
	left = e->call == NULL;
	if (!left)
		http_wake(e->call);
	pthread_mutex_unlock(&t->lock);
	if (left)
		e->drop(e);
}

static void *
run(void *ctx)
{
	struct errands *t = ctx;
	struct errand *e;

	for (;;) {
		pthread_mutex_lock(&t->lock);
		while (t->first == NULL && !t->stop)
			pthread_cond_wait(&t->some, &t->lock);
		if ((e = t->first) != NULL) {
			if ((t->first = e->next) == NULL)
				t->last = &t->first;
			e->state = ERRAND_RUNS;
		}
		pthread_mutex_unlock(&t->lock);
		if (e == NULL)
			return NULL;
		e->run(e);
		finish(t, e);
	}
}

struct errands *
errands_new(struct err *err)
{
	struct errands *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	t->last = &t->first;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->some, NULL);
	if (pthread_create(&t->thread, NULL, run, t) != 0) {
		pthread_mutex_destroy(&t->lock);
		pthread_cond_destroy(&t->some);
		free(t);
		err_set(err, ERR_NOMEM, "a thread cannot be started");
		return NULL;
	}
	return t;
}

void
errands_free(struct errands *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->some);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->some);
	free(t);
}

void
errand_give(struct errands *t, struct errand *e)
{
	pthread_mutex_lock(&t->lock);
	e->state = ERRAND_WAITS;
	e->next = NULL;
	*t->last = e;
	t->last = &e->next;
	t->waiting++;
	pthread_cond_signal(&t->some);
	pthread_mutex_unlock(&t->lock);
}

bool
errand_done(struct errands *t, const struct errand *e)
{
	bool done;

	pthread_mutex_lock(&t->lock);
	done = e->state == ERRAND_DONE;
	pthread_mutex_unlock(&t->lock);
	return done;
}

/* Under the lock. */
static void
take_out(struct errands *t, struct errand *e)
{
	struct errand **at = &t->first;

	while (*at != e)
		at = &(*at)->next;
	if ((*at = e->next) == NULL)
		t->last = at;
	t->waiting--;
}

void
errand_leave(struct errands *t, struct errand *e)
{
	bool runs;

	pthread_mutex_lock(&t->lock);
	e->call = NULL;
	if (e->state == ERRAND_WAITS)
		take_out(t, e);
	runs = e->state == ERRAND_RUNS;
	pthread_mutex_unlock(&t->lock);
	if (!runs)
		e->drop(e);
}

int
errands_waiting(struct errands *t)
{
	int n;

	pthread_mutex_lock(&t->lock);
	n = t->waiting;
	pthread_mutex_unlock(&t->lock);
	return n;
}
