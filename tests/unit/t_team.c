/* The team: every task once, pipelines in order, failures by item order. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/team.h"
#include "base/team_impl.h"
#include "../tap.h"

#define TASKS 5000

static atomic_int seen[TASKS];
static atomic_int wrong_member;

struct run {
	int	threads;
};

static void
mark(void *ctx, int64_t task, int member)
{
	const struct run *r = ctx;

	atomic_fetch_add(&seen[task], 1);
	if (member < 0 || member >= r->threads)
		atomic_fetch_add(&wrong_member, 1);
}

static void
test_run(void)
{
	static const int sizes[] = { 0, 1, 2, 3, 7, 64, TASKS };
	static const int threads[] = { 1, 2, 3, 8, 33 };
	struct err err;
	int bad = 0;

	for (int i = 0; i < 5; i++) {
		struct run r = { threads[i] };
		struct team *t = team_new(threads[i], &err);

		if (t == NULL || team_size(t) != threads[i]) {
			bad++;
			continue;
		}
		for (int j = 0; j < 7 * 20; j++) {
			int n = sizes[j % 7];

			memset(seen, 0, sizeof(seen));
			team_run(t, n, mark, &r);
			for (int k = 0; k < TASKS; k++)
				bad += seen[k] != (k < n);
		}
		team_free(t);
	}
	ok(bad == 0, "each task runs once, for every team and count");
	ok(wrong_member == 0, "members are numbered below the team's size");
	ok(team_new(-1, &err) == NULL && err.code == ERR_ARG, "no team of -1");
	ok(team_new(TEAM_MAX + 1, &err) == NULL && err.code == ERR_ARG, "no team above the limit");
	team_free(NULL);
}

/* Items are numbers; the pipeline squares them.  One of each stage may fail. */
struct item {
	int64_t	 n, square;
	char	*owned;
	int	 uses;
};

struct job {
	int64_t	 count, next, written;
	int64_t	 bad_read, bad_work, bad_write;
	unsigned delay;
	int	 disorder, reused;
	atomic_int readers, writers, overlap, alive, not_zero;
};

static void
dawdle(struct job *j, int64_t n)
{
	if (j->delay != 0 && n % 7 == 3)
		usleep(j->delay);
}

static int
job_read(void *ctx, void *item, struct err *err)
{
	struct job *j = ctx;
	struct item *it = item;

	if (atomic_fetch_add(&j->readers, 1) != 0)
		j->overlap++;
	if (it->uses == 0 && (it->n != 0 || it->owned != NULL))
		j->not_zero++;
	j->reused += it->uses++ > 0;
	if (it->owned == NULL) {
		it->owned = malloc(16);
		j->alive++;
	}
	atomic_fetch_sub(&j->readers, 1);
	if (j->next == j->bad_read)
		return err_set(err, ERR_IO, "read %d", (int)j->next);
	if (j->next == j->count)
		return 0;
	it->n = j->next++;
	return 1;
}

static int
job_work(void *ctx, void *item, int member, struct err *err)
{
	struct job *j = ctx;
	struct item *it = item;

	(void)member;
	dawdle(j, it->n);
	if (j->bad_work >= 0 && it->n >= j->bad_work)
		return err_set(err, ERR_FORMAT, "work %d", (int)it->n);
	it->square = it->n * it->n;
	return 0;
}

static int
job_write(void *ctx, void *item, struct err *err)
{
	struct job *j = ctx;
	struct item *it = item;

	if (atomic_fetch_add(&j->writers, 1) != 0)
		j->overlap++;
	if (it->n != j->written || it->square != it->n * it->n)
		j->disorder++;
	atomic_fetch_sub(&j->writers, 1);
	if (it->n == j->bad_write)
		return err_set(err, ERR_IO, "write %d", (int)it->n);
	j->written++;
	return 0;
}

static void
job_done(void *ctx, void *item)
{
	struct job *j = ctx;
	struct item *it = item;

	free(it->owned);
	j->alive--;
}

/* Run it, and return 1 when all came out as count and why say. */
static int
pipe_ok(struct team *t, struct job *j, int64_t written, const char *why)
{
	const struct pipeline p = {
		.ctx = j, .size = sizeof(struct item), .read = job_read,
		.work = job_work, .write = job_write, .done = job_done,
	};
	struct err err = { .msg = "" };
	int rc = team_pipe(t, &p, &err);

	return rc == (why == NULL ? 0 : -1) && strcmp(err.msg, why == NULL ? "" : why) == 0 &&
	    j->written == written && !j->disorder && !j->overlap && !j->alive && !j->not_zero;
}

static void
test_pipe(void)
{
	static const int threads[] = { 1, 2, 3, 8, 17 };
	int good = 0, early = 0, first = 0, empty = 0, write = 0, runs = 0;
	struct err err;

	for (int i = 0; i < 5 * 8; i++) {
		struct team *t = team_new(threads[i % 5], &err);
		unsigned delay = i / 5 % 2 ? 200 : 0;
		struct job a = { .count = 1000 }, b = a, c = a, d = a, e = a;

		a.bad_read = a.bad_work = a.bad_write = -1;
		a.delay = delay;
		b = c = d = e = a;
		good += pipe_ok(t, &a, 1000, NULL) && a.reused > 0;
		b.bad_read = 321;
		early += pipe_ok(t, &b, 321, "read 321");
		/* Every item from 123 on fails, in any order: 123 is the one told. */
		c.bad_work = 123;
		c.bad_read = 700;
		first += pipe_ok(t, &c, 123, "work 123");
		d.count = 0;
		empty += pipe_ok(t, &d, 0, NULL);
		e.bad_write = 50;
		e.bad_work = 60;
		write += pipe_ok(t, &e, 50, "write 50");
		team_free(t);
		runs++;
	}
	ok(good == runs, "a pipeline writes all items in order");
	ok(early == runs, "a failed read ends it after the items before");
	ok(first == runs, "of many failed items the first is told");
	ok(empty == runs, "an empty pipeline");
	ok(write == runs, "a failed write ends it there");
}

/* Item 0 awaits that so many are read, but not for ever. */
struct lead {
	int64_t		 want, bytes;
	atomic_llong	 read;
	int64_t		 seen;
};

static int
lead_read(void *ctx, void *item, struct err *err)
{
	struct lead *l = ctx;

	(void)err;
	if (l->read == 1000)
		return 0;
	((int64_t *)item)[0] = l->read++;
	((int64_t *)item)[1] = l->bytes;
	return 1;
}

static int
lead_work(void *ctx, void *item, int member, struct err *err)
{
	struct lead *l = ctx;

	(void)member;
	(void)err;
	if (*(int64_t *)item > 0)
		return 0;
	for (int i = 0; i < 2000 && l->read < l->want; i++)
		usleep(5000);
	usleep(20000);
	l->seen = l->read;
	return 0;
}

static int
lead_write(void *ctx, void *item, struct err *err)
{
	(void)ctx;
	(void)item;
	(void)err;
	return 0;
}

static int64_t
lead_bytes(const void *item)
{
	return ((const int64_t *)item)[1];
}

/* Items that two threads have read when the first is still at work. */
static int64_t
lead(int64_t bytes, int64_t want)
{
	struct lead l = { .want = want, .bytes = bytes };
	const struct pipeline p = {
		.ctx = &l, .size = 2 * sizeof(int64_t), .read = lead_read, .work = lead_work,
		.write = lead_write, .bytes = bytes > 0 ? lead_bytes : NULL,
	};
	struct err err;
	struct team *t = team_new(2, &err);

	if (team_pipe(t, &p, &err) < 0)
		l.seen = -1;
	team_free(t);
	return l.seen;
}

static void
test_ahead(void)
{
	ok(lead(0, 6) == 6 && lead(1 << 20, 6) == 6, "items are read 2 * threads + 2 ahead");
	ok(lead(1, 32) == 32 && lead(200000, 11) == 11, "and farther while they are small");
}

static void
put(const char *root, const char *name, const char *text)
{
	char path[600];
	FILE *fp;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *s = path + strlen(root) + 1; (s = strchr(s, '/')) != NULL; s++) {
		*s = '\0';
		mkdir(path, 0777);
		*s = '/';
	}
	if ((fp = fopen(path, "w")) == NULL)
		return;
	fputs(text, fp);
	fclose(fp);
}

static int
quota_is(const char *name, const char *text, int want)
{
	char root[] = "/tmp/t_team.XXXXXX", cmd[64];
	int got;

	if (mkdtemp(root) == NULL)
		return 0;
	put(root, "proc/self/cgroup", "12:cpu,cpuacct:/job/1\n3:memory:/job/1\n0::/user/slice\n");
	put(root, name, text);
	put(root, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "50000\n");
	put(root, "sys/fs/cgroup/cpu,cpuacct/job/1/cpu.cfs_period_us", "100000\n");
	got = cgroup_cpus(root);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	if (got != want || system(cmd) != 0)
		printf("# %s: %d, not %d\n", name, got, want);
	return got == want;
}

static void
test_quota(void)
{
	ok(quota_is("sys/fs/cgroup/user/slice/cpu.max", "150000 100000\n", 2), "v2, rounded up");
	ok(quota_is("sys/fs/cgroup/user/cpu.max", "400000 100000\n", 4), "v2, a parent's");
	ok(quota_is("sys/fs/cgroup/cpu.max", "5000 100000\n", 1), "v2, at the mount, below one");
	ok(quota_is("sys/fs/cgroup/user/slice/cpu.max", "max 100000\n", 0), "v2, no quota");
	ok(quota_is("sys/fs/cgroup/cpu,cpuacct/job/1/cpu.cfs_quota_us", "300000\n", 3), "v1");
	ok(quota_is("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n", 6),
	    "v1, at the mount");
	ok(quota_is("sys/fs/cgroup/cpu,cpuacct/job/1/cpu.cfs_quota_us", "-1\n", 0),
	    "v1, no quota");
	ok(cgroup_cpus("/nowhere") == 0, "no cgroups");
	ok(team_cpus() >= 1 && team_cpus() <= TEAM_MAX, "team_cpus is a team's size");
}

struct places {
	atomic_int	arrived, together;
	int		cpu[TEAM_MAX];
};

/* Each task waits for all the others, so that each is another member's. */
static void
note_place(void *ctx, int64_t task, int member)
{
	struct places *p = ctx;

	(void)task;
	atomic_fetch_add(&p->arrived, 1);
	while (atomic_load(&p->arrived) < p->together)
		sched_yield();
	p->cpu[member] = sched_getcpu();
}

struct call {
	struct team	*team;
	struct places	*places;
};

static void *
call(void *ctx)
{
	const struct call *c = ctx;

	c->places->arrived = 0;
	team_run(c->team, c->places->together, note_place, c->places);
	return NULL;
}

/* By a thread that begins on the caller's processor. */
static void
call_elsewhere(struct team *t, struct places *p)
{
	struct call c = { t, p };
	pthread_t thread;

	pthread_create(&thread, NULL, call, &c);
	pthread_join(thread, NULL);
}

static void
test_pin(void)
{
	int cpus = team_cpus(), bad = 0;
	struct places p = { .together = cpus };
	struct err err;
	struct team *t = team_new(cpus, &err), *more = team_new(cpus + 1, &err);
	size_t size;
	cpu_set_t *set = cpus_allowed(&size);
	bool whole = CPU_COUNT_S(size, set) == cpus;

	CPU_FREE(set);
	team_pin(more);
	set = cpus_allowed(&size);
	ok((CPU_COUNT_S(size, set) == cpus) == whole, "more threads than processors: not pinned");
	CPU_FREE(set);
	team_pin(t);
	team_run(t, cpus, note_place, &p);
	for (int i = 0; whole && i < cpus; i++)
		for (int j = 0; j < i; j++)
			bad += p.cpu[i] == p.cpu[j];
	ok(bad == 0, "a pinned team has one thread on each processor, but for a quota");
	call_elsewhere(t, &p);
	for (int i = 0; whole && i < cpus; i++)
		for (int j = 0; j < i; j++)
			bad += p.cpu[i] == p.cpu[j];
	ok(bad == 0, "and so it has when another thread calls it");
	team_free(t);
	set = cpus_allowed(&size);
	ok((CPU_COUNT_S(size, set) == cpus) == whole, "the caller is free again without it");
	CPU_FREE(set);
	team_free(more);
}

int
main(void)
{
	test_run();
	test_pin();
	test_pipe();
	test_ahead();
	test_quota();
	return tap_done();
}
