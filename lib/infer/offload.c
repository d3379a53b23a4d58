#include "infer/offload_impl.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/progress.h"
#include "base/spill.h"
#include "base/wait.h"

enum {
	INDEX = 256,		/* bytes of memory that are taken to know of a block, about */
	BATCH = 32 << 20,	/* bytes that are brought back at once */
	BLOCKS_MOST = 1 << 22	/* of a tier */
};

#define MOMENT 0.02	/* seconds that somebody waits for a move, at most */

/* What the thread has to do, or did, with a slot of memory. */
struct job {
	int32_t		 node, next;
	int64_t		 disk;
	bool		 read, well;
};

struct jobs {
	int32_t		 first, last;	/* slots of memory, or -1 */
};

struct offload {
	struct engine	*e;
	struct prefix	*known;
	int64_t		 each;		/* bytes of a block */
	struct spill	 spill;
	char		*memory;
	uint64_t	*sum;		/* of blocks on the disk; the thread's */
	int64_t		*queued;	/* of slots of memory: in which round bytes were to come */
	bool		*was_read;	/* of the same: they are from the disk */
	int64_t		 round;
	bool		 pending;	/* something was queued in this one */
	int64_t		 jobs;		/* that were given, and not seen yet */
	int64_t		 from_memory, from_disk, faults;	/* since somebody asked */
	int64_t		 lost;		/* when somebody did */
	bool		 told;		/* of a fault */
	int		 fd;
	pthread_t	 thread;
	bool		 started;
	pthread_mutex_t	 lock;		/* of what follows */
	pthread_cond_t	 some, moved;
	struct job	*job;
	struct jobs	 reads, writes, done;
	struct err	 why;		/* the last one that was not well */
	double		 read_seconds;	/* of a block; 0: not known */
	bool		 stop;
};

/* ---- sizes ---- */

int64_t
offload_bytes(const struct engine *e)
{
	int64_t bytes = 0;

	for (int64_t l = 0; l < e->model->config.layers; l++)
		bytes += cache_bytes(&e->cache.k[l], CACHE_BLOCK) +
		    cache_bytes(&e->cache.v[l], CACHE_BLOCK);
	return bytes;
}

int64_t
offload_slots(const struct engine *e, enum tier tier)
{
	int64_t each = offload_bytes(e), n;

	if (!e->o.keep || each == 0)
		return 0;
	n = tier == TIER_MEMORY ? e->o.spill / (each + INDEX) : e->o.spill_disk / each;
	/* What goes to a disk goes through memory. */
	if (tier == TIER_MEMORY && n < OFFLOAD_LEAST && e->o.spill_disk >= each)
		n = OFFLOAD_LEAST;
	return n < BLOCKS_MOST ? n : BLOCKS_MOST;
}

void
offload_sizes(const struct engine *e, struct engine_offloaded *s)
{
	*s = (struct engine_offloaded){ .memory = offload_slots(e, TIER_MEMORY),
	    .disk = offload_slots(e, TIER_DISK) };
	if (s->memory > 0)
		s->block_bytes = offload_bytes(e);
}

int
offload_check(const struct engine *e, struct err *err)
{
	int fd;

	if ((e->o.spill > 0 && offload_slots(e, TIER_MEMORY) == 0) ||
	    (e->o.spill_disk > 0 && offload_slots(e, TIER_DISK) == 0))
		return err_set(err, ERR_ARG, "what the cache spills takes room for a block of "
		    "%lld bytes", (long long)offload_bytes(e));
	if (e->o.spill_disk == 0)
		return 0;
	if ((fd = spill_file(e->o.spill_dir, 0, err)) < 0)
		return -1;
	close(fd);
	return 0;
}

/* ---- jobs ---- */

static void
add(struct offload *o, struct jobs *q, int32_t slot)
{
	o->job[slot].next = -1;
	*(q->first < 0 ? &q->first : &o->job[q->last].next) = slot;
	q->last = slot;
}

static int32_t
take(struct offload *o, struct jobs *q)
{
	int32_t slot = q->first;

	if (slot >= 0)
		q->first = o->job[slot].next;
	return slot;
}

/* All bytes, to the file or from it. */
static int
transfer(const struct offload *o, bool read, char *p, int64_t at, struct err *err)
{
	for (int64_t done = 0; done < o->each;) {
		ssize_t n = read ?
		    pread(o->fd, p + done, (size_t)(o->each - done), at + done) :
		    pwrite(o->fd, p + done, (size_t)(o->each - done), at + done);

		if (n < 0)
			return err_sys(err, "%s: a block of the cache", o->e->o.spill_dir);
		if (n == 0)
			return err_set(err, ERR_FORMAT, "%s: a block of the cache is not whole",
			    o->e->o.spill_dir);
		done += n;
	}
	return 0;
}

static int
move(struct offload *o, int32_t slot, const struct job *j, struct err *err)
{
	char *p = o->memory + slot * o->each;
	str bytes = { p, o->each };

	if (!j->read)
		o->sum[j->disk] = hash64(bytes);
	if (transfer(o, j->read, p, j->disk * o->each, err) < 0)
		return -1;
	if (j->read && o->sum[j->disk] != hash64(bytes))
		return err_set(err, ERR_FORMAT, "%s: a block of the cache was damaged",
		    o->e->o.spill_dir);
	return 0;
}

static void *
run(void *ctx)
{
	struct offload *o = ctx;
	int32_t slot;

	pthread_mutex_lock(&o->lock);
	while (!o->stop) {
		struct job j;
		struct err why;
		double start;

		/* Somebody waits for what is read. */
		if ((slot = take(o, &o->reads)) < 0 && (slot = take(o, &o->writes)) < 0) {
			pthread_cond_wait(&o->some, &o->lock);
			continue;
		}
		j = o->job[slot];
		pthread_mutex_unlock(&o->lock);
		start = progress_now();
		j.well = move(o, slot, &j, &why) == 0;
		start = progress_now() - start;
		pthread_mutex_lock(&o->lock);
		o->job[slot].well = j.well;
		if (!j.well)
			o->why = why;
		else if (j.read)
			o->read_seconds += (o->read_seconds > 0 ? 0.1 : 1) *
			    (start - o->read_seconds);
		add(o, &o->done, slot);
		pthread_cond_signal(&o->moved);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

/* ---- begin and end ---- */

static int
start(struct offload *o, struct err *err)
{
	sigset_t all, had;
	int ret;

	if ((o->fd = spill_file(o->e->o.spill_dir, 0, err)) < 0)
		return -1;
	/* Signals are for others. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &had);
	ret = pthread_create(&o->thread, NULL, run, o);
	pthread_sigmask(SIG_SETMASK, &had, NULL);
	if (ret != 0)
		return err_set(err, ERR_NOMEM, "a thread cannot be started");
	o->started = true;
	return 0;
}

struct offload *
offload_new(struct engine *e, struct err *err)
{
	int64_t slots = offload_slots(e, TIER_MEMORY), disk = offload_slots(e, TIER_DISK);
	struct offload *o = calloc(1, sizeof(*o));
	struct piece *piece;

	if (o == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*o = (struct offload){ .e = e, .known = e->pool.known, .each = offload_bytes(e), .fd = -1,
	    .round = 1, .reads.first = -1, .writes.first = -1, .done.first = -1 };
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->some, NULL);
	pthread_cond_init(&o->moved, NULL);
	spill_init(&o->spill, NULL, INT64_MAX);
	o->sum = calloc((size_t)disk + 1, sizeof(*o->sum));
	o->queued = calloc((size_t)slots, sizeof(*o->queued));
	o->was_read = calloc((size_t)slots, sizeof(*o->was_read));
	o->job = disk > 0 ? calloc((size_t)slots, sizeof(*o->job)) : NULL;
	if (o->sum == NULL || o->queued == NULL || o->was_read == NULL ||
	    (disk > 0 && o->job == NULL)) {
		offload_free(o);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if ((piece = spill_map(&o->spill, slots * o->each, err)) == NULL ||
	    (disk > 0 && start(o, err) < 0)) {
		offload_free(o);
		return NULL;
	}
	o->memory = piece->p;
	return o;
}

void
offload_free(struct offload *o)
{
	if (o == NULL)
		return;
	if (o->started) {
		pthread_mutex_lock(&o->lock);
		o->stop = true;
		pthread_cond_signal(&o->some);
		pthread_mutex_unlock(&o->lock);
		pthread_join(o->thread, NULL);
	}
	if (o->fd >= 0)
		close(o->fd);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->some);
	pthread_cond_destroy(&o->moved);
	spill_free(&o->spill);
	free(o->sum);
	free(o->queued);
	free(o->was_read);
	free(o->job);
	free(o);
}

/* ---- the device ---- */

/* A block's rows in all layers, one after the other. */
static void
copy(struct offload *o, int32_t slot, int32_t block, bool up)
{
	struct engine *e = o->e;
	char *p = o->memory + slot * o->each;

	for (int64_t l = 0; l < e->model->config.layers; l++) {
		p += cache_move(e, &e->cache.k[l], block, CACHE_BLOCK, p, up);
		p += cache_move(e, &e->cache.v[l], block, CACHE_BLOCK, p, up);
	}
}

void
offload_down(struct offload *o, int32_t slot, int32_t block)
{
	copy(o, slot, block, false);
	o->queued[slot] = o->round;
	o->was_read[slot] = false;
	o->pending = true;
}

void
offload_settled(struct offload *o)
{
	o->round++;
	o->pending = false;
}

static int
settle(struct offload *o, struct err *err)
{
	if (o->pending && dev_wait(o->e->model->dev, err) < 0)
		return -1;
	offload_settled(o);
	return 0;
}

int
offload_up(struct offload *o, int32_t block, int32_t slot, struct err *err)
{
	if (o->queued[slot] == o->round && settle(o, err) < 0)
		return -1;
	copy(o, slot, block, true);
	if (!o->was_read[slot])
		o->from_memory++;
	o->was_read[slot] = false;
	return 0;
}

/* ---- the disk ---- */

static void
give(struct offload *o, const struct prefix_move *m, bool read)
{
	pthread_mutex_lock(&o->lock);
	o->job[m->memory] = (struct job){ .node = m->node, .disk = m->disk, .read = read };
	o->jobs++;
	add(o, read ? &o->reads : &o->writes, m->memory);
	pthread_cond_signal(&o->some);
	pthread_mutex_unlock(&o->lock);
}

/* It has moved, or it is lost. */
static void
see(struct offload *o, int32_t slot, const struct job *j)
{
	o->jobs--;
	o->was_read[slot] = j->read && j->well;
	o->from_disk += j->read && j->well;
	prefix_moved(o->known, j->node, j->well);
	if (j->well)
		return;
	o->faults++;
	if (!o->told && o->e->o.warn != NULL) {
		struct err why;

		pthread_mutex_lock(&o->lock);
		why = o->why;
		pthread_mutex_unlock(&o->lock);
		o->e->o.warn(o->e->o.warn_ctx, &why);
	}
	o->told = true;
}

int
offload_turn(struct offload *o, struct err *err)
{
	struct prefix_move m;
	int32_t slot;

	if (!o->started)
		return 0;
	for (;;) {
		struct job j;

		pthread_mutex_lock(&o->lock);
		if ((slot = take(o, &o->done)) >= 0)
			j = o->job[slot];
		pthread_mutex_unlock(&o->lock);
		if (slot < 0)
			break;
		see(o, slot, &j);
	}
	if (settle(o, err) < 0)
		return -1;
	while (prefix_write(o->known, &m))
		give(o, &m, false);
	return 0;
}

/* What is not read because it takes too long is tried again, in the end. */
static bool
is_slow(struct offload *o)
{
	bool slow;

	pthread_mutex_lock(&o->lock);
	slow = o->e->token_seconds > 0 && o->read_seconds > CACHE_BLOCK * o->e->token_seconds;
	if (slow)
		o->read_seconds *= 0.99;
	pthread_mutex_unlock(&o->lock);
	return slow;
}

int
offload_read(struct offload *o, int32_t node, struct err *err)
{
	struct prefix_move m;

	if (is_slow(o))
		return 0;
	/* What was queued to come to a slot has come. */
	if (settle(o, err) < 0)
		return -1;
	if (!prefix_read(o->known, node, &m))
		return o->jobs > 0;
	give(o, &m, true);
	return 1;
}

int64_t
offload_batch(const struct offload *o)
{
	int64_t most = o->each < BATCH ? BATCH / o->each : 1;
	int64_t part = offload_slots(o->e, TIER_MEMORY) / 4;

	/* As much is given up for it, and what is written makes room in turn. */
	return !o->started || most < part ? most : part;
}

bool
offload_is_full(const struct offload *o)
{
	return o->jobs > 0 && prefix_ready(o->known) == 0;
}

/* ---- of an engine ---- */

void
engine_await(struct engine *e)
{
	struct offload *o = e->pool.below;

	if (o == NULL || o->jobs == 0)
		return;
	pthread_mutex_lock(&o->lock);
	if (o->done.first < 0)
		wait_until(&o->moved, &o->lock, progress_now() + MOMENT);
	pthread_mutex_unlock(&o->lock);
}

void
engine_pace(struct engine *e, double token_seconds)
{
	e->token_seconds = token_seconds;
}

void
engine_offloaded(struct engine *e, struct engine_offloaded *s)
{
	struct offload *o = e->pool.below;
	int64_t lost;

	offload_sizes(e, s);
	if (o == NULL)
		return;
	s->in_memory = prefix_used(o->known, TIER_MEMORY);
	s->on_disk = prefix_used(o->known, TIER_DISK);
	s->from_memory = o->from_memory;
	s->from_disk = o->from_disk;
	s->faults = o->faults;
	lost = prefix_lost(o->known);
	s->lost = lost - o->lost;
	o->lost = lost;
	o->from_memory = o->from_disk = o->faults = 0;
}
