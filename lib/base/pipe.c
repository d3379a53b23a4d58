#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/team.h"

enum slot_state { SLOT_FREE, SLOT_READ, SLOT_WORKING, SLOT_WORKED };

/*
 * While one item takes long, the others are read ahead; where they are small, so
 * many a thread, for else all would wait for the long one.
 */
#define AHEAD	16
#define SMALL	((int64_t)1 << 20)	/* bytes a thread of such items */

/*
 * Item number i lives in slot i % slots.  Each member looks, under the lock,
 * for the thing that most needs doing, does it without the lock, and looks
 * again.  Nobody is bound to a stage, so one thread alone runs it all.
 */
struct pipe {
	const struct pipeline *job;
	int		 threads;
	int64_t		 slots, least;	/* items at most, and whatever their size */
	int64_t		 held;		/* bytes of those alive */
	char		*items;
	enum slot_state	*state;
	pthread_mutex_t	 lock;
	pthread_cond_t	 change;
	int64_t		 to_read, to_work, to_write;	/* next item of each stage */
	bool		 reading, writing;
	int64_t		 end;		/* items before this one are written; -1: not known */
	bool		 failed;	/* item end is the one that failed */
	struct err	 err;
};

static void *
item_at(const struct pipe *p, int64_t i)
{
	return p->items + i % p->slots * p->job->size;
}

static int64_t
size_at(const struct pipe *p, int64_t i)
{
	return p->job->bytes == NULL ? 0 : p->job->bytes(item_at(p, i));
}

/* May one more be read? */
static bool
has_room(const struct pipe *p)
{
	int64_t alive = p->to_read - p->to_write;

	return p->end < 0 && !p->reading && (alive < p->least ||
	    (alive < p->slots && p->held < p->threads * SMALL));
}

/* Item i is not to be written, nor any after it. */
static void
end_at(struct pipe *p, int64_t i, const struct err *why)
{
	if (p->end >= 0 && p->end <= i)
		return;
	p->end = i;
	p->failed = why != NULL;
	if (why != NULL)
		p->err = *why;
}

static void
do_read(struct pipe *p)
{
	int64_t i = p->to_read;
	struct err err;
	int got;

	p->reading = true;
	pthread_mutex_unlock(&p->lock);
	got = p->job->read(p->job->ctx, item_at(p, i), &err);
	pthread_mutex_lock(&p->lock);
	p->reading = false;
	p->to_read++;
	p->held += size_at(p, i);
	if (got == 1)
		p->state[i % p->slots] = SLOT_READ;
	else
		end_at(p, i, got == 0 ? NULL : &err);
}

static void
do_work(struct pipe *p, int member)
{
	int64_t i = p->to_work++;
	struct err err;
	int got;

	p->state[i % p->slots] = SLOT_WORKING;
	pthread_mutex_unlock(&p->lock);
	got = p->job->work == NULL ? 0 : p->job->work(p->job->ctx, item_at(p, i), member, &err);
	pthread_mutex_lock(&p->lock);
	p->state[i % p->slots] = SLOT_WORKED;
	if (got == -1)
		end_at(p, i, &err);
}

static void
do_write(struct pipe *p)
{
	int64_t i = p->to_write, size;
	struct err err;
	int got;

	p->writing = true;
	pthread_mutex_unlock(&p->lock);
	size = size_at(p, i);
	got = p->job->write(p->job->ctx, item_at(p, i), &err);
	pthread_mutex_lock(&p->lock);
	p->held -= size;
	p->writing = false;
	p->state[i % p->slots] = SLOT_FREE;
	if (got == -1)
		end_at(p, i, &err);
	else
		p->to_write++;
}

static void
pipe_member(void *ctx, int64_t task, int member)
{
	struct pipe *p = ctx;

	(void)task;
	pthread_mutex_lock(&p->lock);
	while (p->end < 0 || p->to_write < p->end) {
		bool room = has_room(p);
		int64_t ready = p->to_read - p->to_work;

		if (p->end >= 0 && ready > p->end - p->to_work)
			ready = p->end - p->to_work;
		if (!p->writing && p->to_write < p->to_work &&
		    p->state[p->to_write % p->slots] == SLOT_WORKED)
			do_write(p);
		else if (room && ready < p->threads)
			do_read(p);
		else if (ready > 0)
			do_work(p, member);
		else if (room)
			do_read(p);
		else {
			pthread_cond_wait(&p->change, &p->lock);
			continue;
		}
		pthread_cond_broadcast(&p->change);
	}
	pthread_mutex_unlock(&p->lock);
}

int
team_pipe(struct team *t, const struct pipeline *job, struct err *err)
{
	struct pipe p = { .job = job, .threads = team_size(t), .end = -1 };

	/* Alone, one item is enough, and it stays in the cache. */
	p.least = p.threads > 1 ? 2 * p.threads + 2 : 1;
	p.slots = p.threads > 1 && job->bytes != NULL ? AHEAD * p.threads : p.least;
	p.items = calloc((size_t)p.slots, (size_t)job->size);
	p.state = calloc((size_t)p.slots, sizeof(p.state[0]));
	if (p.items == NULL || p.state == NULL) {
		free(p.items);
		free(p.state);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	pthread_mutex_init(&p.lock, NULL);
	pthread_cond_init(&p.change, NULL);
	team_run(t, p.threads, pipe_member, &p);
	pthread_mutex_destroy(&p.lock);
	pthread_cond_destroy(&p.change);
	for (int64_t i = 0; job->done != NULL && i < p.slots && i < p.to_read; i++)
		job->done(job->ctx, item_at(&p, i));
	free(p.items);
	free(p.state);
	if (!p.failed)
		return 0;
	*err = p.err;
	return -1;
}
