#include "base/team.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/team_impl.h"

/*
 * How long a member looks for work before it sleeps: some 20 us, the time
 * between two kernels of a step.  Zero when there are more members than
 * processors, for then it would spin away the time of those that work.
 */
#define SPIN 4000

/*
 * A processor that has other work takes its thread away every few ms.  A member
 * lets others in by itself, between two tasks, when it has computed so long:
 * of a task that it had to leave the middle of all would await the end.
 */
#define TURN 1000000			/* ns */

/*
 * And the caller, without which no job begins, changes places with another when
 * it is sent away oftener than this.
 */
#define AWAY 100			/* times a second */
#define LOOK 50000000			/* ns from one look at it to the next */

struct team {
	int		 n, spin;
	/* Where the caller may be, and room for one processor, if pinned; or NULL. */
	cpu_set_t	*allowed, *one;
	size_t		 set_size;
	bool		 placed;		/* is the caller where it is to be? */
	int		 other;			/* who changed places with the caller last */
	int64_t		 looked, away;		/* when, and how often it was sent away then */
	/* The job: written while no task is left, read by who has claimed one. */
	void		(*fn)(void *ctx, int64_t task, int member);
	void		*ctx;
	int64_t		 tasks;
	_Alignas(64) atomic_llong unclaimed;	/* tasks to hand out */
	_Alignas(64) atomic_llong unfinished;	/* tasks not handed out, or not done */
	atomic_int	 asleep;		/* members in pthread_cond_wait() */
	atomic_bool	 waiting;		/* the caller sleeps until all is done */
	atomic_bool	 quit;
	pthread_mutex_t	 lock;
	pthread_cond_t	 start, finish;
	struct member {
		struct team	*team;
		pthread_t	 thread;
		int		 id;
		size_t		 cpu;		/* if pinned */
		int64_t		 since;		/* when it let others in */
	}		 member[];		/* the first is the caller */
};

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/*
 * A claim holds the job where it is, for it ends when all its tasks are done.
 * So a member that the system put aside between two tasks is not waited for:
 * it finds nothing left, or claims from whatever job is at hand by then.
 */
static bool
claim(struct team *t, int64_t *task)
{
	long long left = atomic_load_explicit(&t->unclaimed, memory_order_relaxed);

	do {
		if (left == 0)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&t->unclaimed, &left, left - 1,
	    memory_order_acquire, memory_order_relaxed));
	*task = t->tasks - left;
	return true;
}

static void
let_others_in(struct member *m)
{
	int64_t at = now();

	if (at - m->since < TURN)
		return;
	m->since = at;
	sched_yield();
}

static void
work(struct team *t, struct member *m)
{
	int64_t task;

	while (claim(t, &task)) {
		t->fn(t->ctx, task, m->id);
		if (atomic_fetch_sub(&t->unfinished, 1) == 1 && atomic_load(&t->waiting)) {
			pthread_mutex_lock(&t->lock);
			pthread_cond_signal(&t->finish);
			pthread_mutex_unlock(&t->lock);
		}
		if (m->id > 0)
			let_others_in(m);
	}
}

static bool
has_work(struct team *t)
{
	return atomic_load(&t->unclaimed) > 0 || atomic_load(&t->quit);
}

static void
await_work(struct team *t)
{
	for (int i = 0; i < t->spin; i++) {
		if (has_work(t))
			return;
		relax();
	}
	/*
	 * asleep is raised before the tasks are looked at, and the caller hands
	 * out tasks before it looks at asleep: one of the two sees the other.
	 */
	pthread_mutex_lock(&t->lock);
	atomic_fetch_add(&t->asleep, 1);
	while (!has_work(t))
		pthread_cond_wait(&t->start, &t->lock);
	atomic_fetch_sub(&t->asleep, 1);
	pthread_mutex_unlock(&t->lock);
}

static void *
member_main(void *arg)
{
	struct member *m = arg;

	while (!atomic_load(&m->team->quit)) {
		work(m->team, m);
		await_work(m->team);
	}
	return NULL;
}

static void
wake(struct team *t)
{
	if (atomic_load(&t->asleep) > 0) {
		pthread_mutex_lock(&t->lock);
		pthread_cond_broadcast(&t->start);
		pthread_mutex_unlock(&t->lock);
	}
}

static void
await_end(struct team *t)
{
	for (int i = 0; i < t->spin; i++) {
		if (atomic_load_explicit(&t->unfinished, memory_order_acquire) == 0)
			return;
		relax();
	}
	pthread_mutex_lock(&t->lock);
	atomic_store(&t->waiting, true);
	while (atomic_load(&t->unfinished) > 0)
		pthread_cond_wait(&t->finish, &t->lock);
	atomic_store(&t->waiting, false);
	pthread_mutex_unlock(&t->lock);
}

/* ---- places ---- */

static void
put(struct team *t, const struct member *m)
{
	CPU_ZERO_S(t->set_size, t->one);
	CPU_SET_S(m->cpu, t->set_size, t->one);
	pthread_setaffinity_np(m->thread, t->set_size, t->one);
}

static int64_t
times_away(void)
{
	struct rusage r;

	return getrusage(RUSAGE_THREAD, &r) == 0 ? r.ru_nivcsw : 0;
}

static void
take_place(struct team *t)
{
	t->member[0].thread = pthread_self();
	put(t, &t->member[0]);
	t->placed = true;
	t->looked = now();
	t->away = times_away();
}

static void
look_around(struct team *t)
{
	struct member *caller = &t->member[0], *m;
	int64_t at, away;
	size_t cpu = caller->cpu;

	if (!t->placed || !pthread_equal(caller->thread, pthread_self()))
		take_place(t);
	at = now();
	if (at - t->looked < LOOK)
		return;
	away = times_away();
	if ((away - t->away) * 1000000000 > AWAY * (at - t->looked)) {
		t->other = t->other % (t->n - 1) + 1;
		m = &t->member[t->other];
		caller->cpu = m->cpu;
		m->cpu = cpu;
		put(t, caller);
		put(t, m);
		away = times_away();
	}
	t->away = away;
	t->looked = at;
}

/* ---- the team ---- */

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
	if (t->n == 1 || n <= 1) {
		for (int64_t i = 0; i < n; i++)
			fn(ctx, i, 0);
		return;
	}
	if (t->allowed != NULL)
		look_around(t);
	t->fn = fn;
	t->ctx = ctx;
	t->tasks = n;
	atomic_store(&t->unfinished, n);
	atomic_store(&t->unclaimed, n);
	wake(t);
	work(t, &t->member[0]);
	await_end(t);
}

void
team_pin(struct team *t)
{
	size_t size, cpu = (size_t)sched_getcpu();
	cpu_set_t *all;

	if (t->n == 1 || t->allowed != NULL || team_cpus() != t->n)
		return;
	all = cpus_allowed(&size);
	t->one = malloc(size);
	if (all == NULL || t->one == NULL || CPU_COUNT_S(size, all) != t->n) {
		CPU_FREE(all);
		return;
	}
	t->allowed = all;
	t->set_size = size;
	/* The caller stays where it is: a program beside this one may do the same. */
	for (int i = 0; i < t->n; i++) {
		while (cpu >= size * CHAR_BIT || !CPU_ISSET_S(cpu, size, all))
			cpu = cpu < size * CHAR_BIT ? cpu + 1 : 0;
		t->member[i].cpu = cpu++;
		if (i > 0)
			put(t, &t->member[i]);
	}
}

void
team_free(struct team *t)
{
	if (t == NULL)
		return;
	atomic_store(&t->quit, true);
	wake(t);
	for (int i = 1; i < t->n; i++)
		pthread_join(t->member[i].thread, NULL);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->start);
	pthread_cond_destroy(&t->finish);
	if (t->allowed != NULL)
		sched_setaffinity(0, t->set_size, t->allowed);
	CPU_FREE(t->allowed);
	free(t->one);
	free(t);
}
