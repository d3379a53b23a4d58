#include "base/team.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * How long a member looks for work before it sleeps: some 20 us, the time
 * between two kernels of a step.  Zero when there are more members than
 * processors, for then it would spin away the time of those that work.
 */
#define SPIN 4000

struct team {
	int		 n, spin;
	bool		 alone;
	/* The job: written before turn is raised, read after it was seen. */
	void		(*fn)(void *ctx, int64_t task, int member);
	void		*ctx;
	int64_t		 tasks;
	_Alignas(64) atomic_llong next;		/* task to hand out */
	_Alignas(64) atomic_uint turn;		/* counts jobs */
	atomic_int	 busy;			/* members not done with the job */
	atomic_int	 asleep;		/* members in pthread_cond_wait() */
	atomic_bool	 waiting;		/* the caller sleeps until busy is 0 */
	bool		 quit;
	pthread_mutex_t	 lock;
	pthread_cond_t	 start, finish;
	struct member {
		struct team	*team;
		pthread_t	 thread;
		int		 id;
	}		 member[];
};

static inline void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void
work(struct team *t, int id)
{
	long long i;

	while ((i = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed)) < t->tasks)
		t->fn(t->ctx, i, id);
}

static void
await_turn(struct team *t, unsigned seen)
{
	for (int i = 0; i < t->spin; i++) {
		if (atomic_load_explicit(&t->turn, memory_order_acquire) != seen)
			return;
		relax();
	}
	/*
	 * asleep is raised before turn is looked at, and the caller raises turn
	 * before it looks at asleep: one of the two sees the other.
	 */
	pthread_mutex_lock(&t->lock);
	atomic_fetch_add(&t->asleep, 1);
	while (atomic_load(&t->turn) == seen)
		pthread_cond_wait(&t->start, &t->lock);
	atomic_fetch_sub(&t->asleep, 1);
	pthread_mutex_unlock(&t->lock);
}

static void *
member_main(void *arg)
{
	struct member *m = arg;
	struct team *t = m->team;

	for (unsigned seen = 0;; seen++) {
		await_turn(t, seen);
		if (t->quit)
			return NULL;
		work(t, m->id);
		if (atomic_fetch_sub(&t->busy, 1) == 1 && atomic_load(&t->waiting)) {
			pthread_mutex_lock(&t->lock);
			pthread_cond_signal(&t->finish);
			pthread_mutex_unlock(&t->lock);
		}
	}
}

static void
begin_turn(struct team *t)
{
	atomic_store(&t->busy, t->n - 1);
	atomic_fetch_add(&t->turn, 1);
	if (atomic_load(&t->asleep) > 0) {
		pthread_mutex_lock(&t->lock);
		pthread_cond_broadcast(&t->start);
		pthread_mutex_unlock(&t->lock);
	}
}

static void
end_turn(struct team *t)
{
	for (int i = 0; i < t->spin; i++) {
		if (atomic_load_explicit(&t->busy, memory_order_acquire) == 0)
			return;
		relax();
	}
	pthread_mutex_lock(&t->lock);
	atomic_store(&t->waiting, true);
	while (atomic_load(&t->busy) > 0)
		pthread_cond_wait(&t->finish, &t->lock);
	atomic_store(&t->waiting, false);
	pthread_mutex_unlock(&t->lock);
}

struct team *
team_new(int n, struct err *err)
{
	int cpus = team_cpus();
	struct team *t;

	if (n == 0)
		n = cpus;
	if (n < 1 || n > TEAM_MAX) {
		err_set(err, ERR_ARG, "a team has 1 to %d threads, not %d", TEAM_MAX, n);
		return NULL;
	}
	t = aligned_alloc(64, (sizeof(*t) + (size_t)n * sizeof(t->member[0]) + 63) & ~(size_t)63);
	if (t == NULL) {
		err_set(err, ERR_NOMEM, "out of memory for a team of %d threads", n);
		return NULL;
	}
	memset(t, 0, sizeof(*t));
	t->n = 1;
	t->spin = n <= cpus ? SPIN : 0;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->start, NULL);
	pthread_cond_init(&t->finish, NULL);
	for (int i = 1; i < n; i++) {
		t->member[i] = (struct member){ .team = t, .id = i };
		if (pthread_create(&t->member[i].thread, NULL, member_main, &t->member[i]) != 0) {
			err_set(err, ERR_NOMEM, "cannot start thread %d of %d", i + 1, n);
			team_free(t);
			return NULL;
		}
		t->n++;
	}
	return t;
}

int
team_size(const struct team *t)
{
	return t->n;
}

void
team_run(struct team *t, int64_t n, void (*fn)(void *ctx, int64_t task, int member),
    void *ctx)
{
	if (t->n == 1 || n <= 1 || t->alone) {
		for (int64_t i = 0; i < n; i++)
			fn(ctx, i, 0);
		return;
	}
	t->fn = fn;
	t->ctx = ctx;
	t->tasks = n;
	atomic_store_explicit(&t->next, 0, memory_order_relaxed);
	begin_turn(t);
	work(t, 0);
	end_turn(t);
}

void
team_alone(struct team *t, bool alone)
{
	t->alone = alone;
}

void
team_free(struct team *t)
{
	if (t == NULL)
		return;
	t->quit = true;
	begin_turn(t);
	for (int i = 1; i < t->n; i++)
		pthread_join(t->member[i].thread, NULL);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->start);
	pthread_cond_destroy(&t->finish);
	free(t);
}
