/*
 * Ranks: who they are, how they meet, what they compute together, how they end.
 * With an argument, what they compute on that device: cuda, a GPU each.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/rng.h"
#include "dev/kernels.h"
#include "../tap.h"

static const char *device = "cpu";
static const char *const *setting;	/* name, value, ..., NULL: what env() finds */

static char *
env(const char *name)
{
	for (int i = 0; setting[i] != NULL; i += 2)
		if (strcmp(setting[i], name) == 0)
			return (char *)(uintptr_t)setting[i + 1];
	return NULL;
}

#define ENV(...) (setting = (const char *const[]){ __VA_ARGS__, NULL })

static int
is(int rank, int size, int local, const char *host, const char *port)
{
	struct ranks r;
	struct err err;

	return ranks_find(&r, env, &err) == 0 && r.rank == rank && r.size == size &&
	    r.local == local && strcmp(r.host, host) == 0 && strcmp(r.port, port) == 0;
}

static int
refused(const char *what)
{
	struct ranks r;
	struct err err = { 0 };

	return ranks_find(&r, env, &err) < 0 && strstr(err.msg, what) != NULL;
}

static void
environments(void)
{
	ENV("HOME", "/");
	ok(is(0, 1, 0, "", ""), "no launcher: alone");
	ENV("RANK", "3", "WORLD_SIZE", "8", "LOCAL_RANK", "1", "LOCAL_WORLD_SIZE", "2",
	    "MASTER_ADDR", "n1", "MASTER_PORT", "1234");
	ok(is(3, 8, 1, "n1", "1234"), "torchrun's variables");
	ENV("RANK", "1", "WORLD_SIZE", "2");
	ok(is(1, 2, 1, "127.0.0.1", "29500"), "a shell loop's");
	ENV("RANK", "1");
	ok(is(0, 1, 0, "", ""), "RANK alone is none");
	ENV("OMPI_COMM_WORLD_RANK", "2", "OMPI_COMM_WORLD_SIZE", "4",
	    "OMPI_COMM_WORLD_LOCAL_RANK", "0", "OMPI_COMM_WORLD_LOCAL_SIZE", "2",
	    "MASTER_ADDR", "10.0.0.1");
	ok(is(2, 4, 0, "10.0.0.1", "29500"), "Open MPI's");
	ENV("OMPI_COMM_WORLD_RANK", "2", "OMPI_COMM_WORLD_SIZE", "4",
	    "OMPI_COMM_WORLD_LOCAL_RANK", "0", "OMPI_COMM_WORLD_LOCAL_SIZE", "2");
	ok(refused("MASTER_ADDR"), "Open MPI's on two machines, and no address");
	ENV("PMI_RANK", "1", "PMI_SIZE", "2", "MPI_LOCALRANKID", "1", "MPI_LOCALNRANKS", "2");
	ok(is(1, 2, 1, "127.0.0.1", "29500"), "MPICH's");
	ENV("SLURM_PROCID", "5", "SLURM_NTASKS", "16", "SLURM_STEP_NUM_TASKS", "8",
	    "SLURM_LOCALID", "1", "SLURM_JOB_ID", "71042", "SLURM_STEP_NODELIST", "tux[03-05,8]",
	    "SLURM_JOB_NODELIST", "ant");
	ok(is(5, 8, 1, "tux03", "29542"), "Slurm's, with a list of hosts");
	ENV("SLURM_PROCID", "0", "SLURM_NTASKS", "16", "SLURM_LOCALID", "0", "SLURM_JOB_ID", "7");
	ok(is(0, 1, 0, "", ""), "a batch script of Slurm's is alone");
	ENV("SLURM_PROCID", "1", "SLURM_STEP_NUM_TASKS", "2", "SLURM_JOB_NODELIST", "a[7]b,c");
	ok(is(1, 2, 1, "a7b", "29500"), "a host with a name behind its number");
	ENV("SLURM_PROCID", "1", "SLURM_STEP_NUM_TASKS", "2", "SLURM_JOB_NODELIST", "a,c");
	ok(is(1, 2, 1, "a", "29500"), "a host without a number");
	ENV("RANK", "2", "WORLD_SIZE", "2");
	ok(refused("RANK=2: no number from 0 to 1"), "a rank that is too high");
	ENV("RANK", "x", "WORLD_SIZE", "2");
	ok(refused("RANK=x"), "a rank that is no number");
	ENV("RANK", "0", "WORLD_SIZE", "2", "MASTER_PORT", "99999");
	ok(refused("MASTER_PORT=99999"), "a port that is none");
}

/* ---- processes ---- */

/* A free port, below those that the system gives to any who ask. */
static void
free_port(char port[8])
{
	static unsigned taken;
	struct sockaddr_in at = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned n;
	int fd;

	do {
		n = 11000 + ((unsigned)getpid() * 8 + taken++) % 9000;
		at.sin_port = htons((uint16_t)n);
		if (taken > 9000 || (fd = socket(AF_INET, SOCK_STREAM, 0)) < 0)
			exit(1);
	} while (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 && close(fd) == 0);
	close(fd);
	snprintf(port, 8, "%u", n);
}

struct part {
	struct ranks	 ranks;
	struct comm	*comm;
	struct dev	*dev;
	struct err	 err;
};

/*
 * Run part() as each rank, a process each, and count those that it returned 0 for;
 * out[rank] is what it left in bytes.
 */
static int
run(int size, double seconds, int (*part)(struct part *p, void *out), void *out, size_t bytes)
{
	char *left = out;
	int fd[2], good = 0, status;
	char port[8];

	free_port(port);
	fflush(stdout);
	for (int r = 0; r < size; r++) {
		struct part p = { .ranks = { .rank = r, .size = size, .local = r,
		    .host = "127.0.0.1" } };
		char own[8192] = "";

		if (r == 0 && pipe(fd) < 0)
			exit(1);
		snprintf(p.ranks.port, sizeof(p.ranks.port), "%s", port);
		if (fork() != 0)
			continue;
		*(int *)(void *)own = r;
		p.comm = comm_open(&p.ranks, seconds, &p.err);
		status = part(&p, own + 8);
		if (write(fd[1], own, bytes + 8) < 0)
			_exit(2);
		comm_close(p.comm);
		_exit(status);
	}
	close(fd[1]);
	for (int r = 0; r < size; r++) {
		char own[8192];

		/* No more than a pipe takes at once. */
		if (read(fd[0], own, bytes + 8) == (ssize_t)bytes + 8)
			memcpy(left + *(int *)(void *)own * (ptrdiff_t)bytes, own + 8, bytes);
	}
	close(fd[0]);
	while (wait(&status) > 0)
		good += status == 0;
	return good;
}

/* ---- numbers of the host ---- */

static int
host_part(struct part *p, void *out)
{
	int64_t x[] = { p->ranks.rank + 1, -10 * p->ranks.rank }, most = p->ranks.rank * 7 % 5;
	double d = 0.1 * (p->ranks.rank + 1);
	int all[8];

	if (p->comm == NULL || comm_sum(p->comm, x, 2, &p->err) < 0 ||
	    comm_sum_f64(p->comm, &d, &p->err) < 0 || comm_max(p->comm, &most, &p->err) < 0 ||
	    comm_gather(p->comm, &p->ranks.rank, all, sizeof(int), &p->err) < 0 ||
	    comm_same(p->comm, 5, "numbers", &p->err) < 0 || comm_barrier(p->comm, &p->err) < 0)
		return 1;
	memcpy(out, &d, sizeof(d));
	for (int r = 0; r < p->ranks.size; r++)
		if (all[r] != r)
			return 1;
	return x[0] == 10 && x[1] == -60 && most == 4 ? 0 : 1;
}

static int
differs_part(struct part *p, void *out)
{
	(void)out;
	return comm_same(p->comm, p->ranks.rank == 2 ? 1 : 0, "settings", &p->err) < 0 &&
	    strcmp(p->err.msg, "rank 2 has other settings than rank 0") == 0 ? 0 : 1;
}

/* ---- collectives ---- */

enum { N = 501, DIGEST = 1200 };

static const dtype types[] = { DTYPE_F32, DTYPE_F64, DTYPE_BF16, DTYPE_F16, DTYPE_I32 };

/* What rank r has at i: small multiples of 1/4, whose sums are exact in every type. */
static double
value(int r, int64_t i, dtype type)
{
	double x = (double)rng_below(3, (uint64_t)r, (uint64_t)i, 33) - 16;

	return type == DTYPE_I32 ? x : x / 4;
}

static double
total(int size, int64_t i, dtype type)
{
	double x = 0;

	for (int r = 0; r < size; r++)
		x += value(r, i, type);
	return x;
}

static void
to_type(void *to, dtype type, const double *x, int64_t n)
{
	int32_t *i32 = to;

	if (type == DTYPE_I32)
		for (int64_t i = 0; i < n; i++)
			i32[i] = (int32_t)x[i];
	else
		dtype_convert(to, type, x, DTYPE_F64, n);
}

/* Launch one, with n elements a rank, and compare what it gives. */
static int
one(struct part *p, enum collective what, dtype type, int64_t n, bool in_place)
{
	int size = p->ranks.size, rank = p->ranks.rank, root = size - 1;
	int64_t in = what == COLLECTIVE_SCATTER ? n * size : n;
	int64_t out = what == COLLECTIVE_GATHER ? n * size : n, bytes = dtype_size(type);
	double *x = calloc((size_t)(n * size + 1), sizeof(*x));
	char *raw = calloc((size_t)(n * size + 1), 8), *want = calloc((size_t)(n * size + 1), 8);
	dptr dx = dev_alloc(p->dev, in * bytes, &p->err);
	dptr dy = in_place ? dx : dev_alloc(p->dev, out * bytes, &p->err);
	union dev_args a = { .collective = { p->comm, what, dy, dx, type, n, root } };
	int bad;

	for (int64_t i = 0; i < in; i++)
		x[i] = value(rank, i, type);
	to_type(raw, type, x, in);
	dev_upload(p->dev, dx, raw, in * bytes);
	for (int64_t i = 0; i < out; i++)
		x[i] = what == COLLECTIVE_SUM ? total(size, i, type) :
		    what == COLLECTIVE_SCATTER ? total(size, rank * n + i, type) :
		    what == COLLECTIVE_SEND ? value(root, i, type) :
		    value((int)(i / n), i % n, type);
	to_type(want, type, x, out);
	bad = dev_check(p->dev, K_COLLECTIVE, &a, &p->err) < 0;
	dev_launch(p->dev, K_COLLECTIVE, &a);
	dev_download(p->dev, raw, dy, out * bytes);
	bad |= dev_wait(p->dev, &p->err) < 0 || memcmp(raw, want, (size_t)(out * bytes)) != 0;
	dev_free(p->dev, dx);
	if (!in_place)
		dev_free(p->dev, dy);
	free(x);
	free(raw);
	free(want);
	return bad;
}

/* Numbers whose sum depends on the order: all ranks must have the same bits of it. */
static int
rounded(struct part *p, void *out)
{
	enum { MANY = 300000 };
	float *x = calloc(MANY, sizeof(*x));
	dptr dx = dev_alloc(p->dev, MANY * 4, &p->err);
	int bad;

	for (int64_t i = 0; i < MANY; i++)
		x[i] = (float)rng_unit(9, (uint64_t)p->ranks.rank, (uint64_t)i);
	dev_upload(p->dev, dx, x, MANY * 4);
	dev_launch(p->dev, K_COLLECTIVE, &(union dev_args){ .collective = {
	    p->comm, COLLECTIVE_SUM, dx, dx, DTYPE_F32, MANY, 0 } });
	dev_download(p->dev, x, dx, MANY * 4);
	bad = dev_wait(p->dev, &p->err) < 0;
	for (int64_t i = 0; i < MANY; i += MANY / (DIGEST / 4))
		memcpy((char *)out + i / (MANY / (DIGEST / 4)) * 4, &x[i], 4);
	for (int64_t i = 0; i < MANY && !bad; i++) {
		double want = 0;

		for (int r = 0; r < p->ranks.size; r++)
			want += (double)(float)rng_unit(9, (uint64_t)r, (uint64_t)i);
		bad = want - (double)x[i] > 1e-6 || want - (double)x[i] < -1e-6;
	}
	dev_free(p->dev, dx);
	free(x);
	return bad;
}

static int
open_device(struct part *p, unsigned flags)
{
	struct team *team = team_new(1, &p->err);
	char name[32];

	snprintf(name, sizeof(name), strcmp(device, "cuda") == 0 ? "cuda:%d" : "cpu",
	    p->ranks.rank);
	return p->comm == NULL || (p->dev = dev_open(name, team, flags, &p->err)) == NULL ||
	    dev_join(p->dev, p->comm, &p->err) < 0;
}

static int
device_part(struct part *p, void *out)
{
	int bad = open_device(p, p->ranks.size % 2 == 0 ? DEV_STRICT : 0);

	for (int what = COLLECTIVE_SUM; what <= COLLECTIVE_SEND && !bad; what++)
		for (size_t t = 0; t < sizeof(types) / sizeof(types[0]) && !bad; t++) {
			bad = one(p, (enum collective)what, types[t], N, false) ||
			    one(p, (enum collective)what, types[t], 1, false);
			if (!bad && (what == COLLECTIVE_SUM || what == COLLECTIVE_SEND))
				bad = one(p, (enum collective)what, types[t], N, true);
		}
	/* More than a piece of each. */
	bad = bad || one(p, COLLECTIVE_SCATTER, DTYPE_F64, 70001, false) ||
	    one(p, COLLECTIVE_GATHER, DTYPE_F32, 70001, false) ||
	    one(p, COLLECTIVE_SEND, DTYPE_F32, 140001, false) || rounded(p, out);
	if (bad)
		fprintf(stderr, "# rank %d: %s\n", p->ranks.rank, p->err.msg);
	return bad;
}

static int
mismatched_part(struct part *p, void *out)
{
	if (open_device(p, 0))
		return 1;
	(void)out;
	return one(p, COLLECTIVE_SUM, DTYPE_F32, p->ranks.rank == 1 ? 5 : 6, false) &&
	    (strstr(p->err.msg, "another collective") != NULL ||
	    strstr(p->err.msg, "collective: invalid usage") != NULL ||
	    strstr(p->err.msg, "is gone") != NULL) ? 0 : 1;
}

/* ---- who is not there ---- */

/* Rank 1 never comes. */
static int
late_part(struct part *p, void *out)
{
	(void)out;
	return p->comm == NULL && strstr(p->err.msg, p->ranks.rank == 0 ?
	    "1 of the other 2 ranks did not come" : "not all of 3 ranks") != NULL ? 0 : 1;
}

static void
missing(void)
{
	struct part p = { .ranks = { .rank = 0, .size = 3, .host = "127.0.0.1" } };
	double at = progress_now();
	pid_t child;
	int status = 1;

	free_port(p.ranks.port);
	fflush(stdout);
	if ((child = fork()) == 0) {
		p.ranks.rank = 2;
		p.comm = comm_open(&p.ranks, 0.3, &p.err);
		_exit(late_part(&p, NULL));
	}
	p.comm = comm_open(&p.ranks, 0.5, &p.err);
	ok(late_part(&p, NULL) == 0, "rank 0 says who did not come");
	waitpid(child, &status, 0);
	ok(status == 0, "and rank 2 that not all came");
	ok(progress_now() - at < 20, "after the limit");
	p.ranks.rank = 1;
	ok(comm_open(&p.ranks, 0.2, &p.err) == NULL &&
	    strstr(p.err.msg, "rank 1: no rank 0 at 127.0.0.1:") != NULL, "nobody at rank 0's port");
	snprintf(p.ranks.host, sizeof(p.ranks.host), "nowhere.invalid");
	ok(comm_open(&p.ranks, 0.2, &p.err) == NULL &&
	    strstr(p.err.msg, "MASTER_ADDR") != NULL, "a host that is none");
}

/* Two processes say that they are rank 1. */
static int
double_part(struct part *p, void *out)
{
	(void)out;
	return p->comm == NULL && strstr(p->err.msg, "another run's") != NULL ? 0 : 1;
}

static void
twice(void)
{
	struct part p = { .ranks = { .rank = 0, .size = 3, .host = "127.0.0.1" } };
	int status;

	free_port(p.ranks.port);
	fflush(stdout);
	for (int i = 0; i < 2; i++)
		if (fork() == 0) {
			p.ranks.rank = 1;
			p.comm = comm_open(&p.ranks, 20, &p.err);
			_exit(double_part(&p, NULL));
		}
	p.comm = comm_open(&p.ranks, 20, &p.err);
	ok(double_part(&p, NULL) == 0, "a rank that is there twice is refused");
	while (wait(&status) > 0)
		ok(status == 0, "and the other end knows");
}

/* Rank 1 of 3 ends in the midst of it; the others must not wait for it. */
static int
dying_part(struct part *p, void *out)
{
	int64_t x = 1;

	(void)out;
	if (p->comm == NULL || comm_sum(p->comm, &x, 1, &p->err) < 0)
		return 1;
	if (p->ranks.rank == 1)
		raise(SIGKILL);
	while (comm_alive(p->comm, &p->err) == 0)
		usleep(1000);
	if (strstr(p->err.msg, "is gone") == NULL)
		return 1;
	return comm_sum(p->comm, &x, 1, &p->err) < 0 && strstr(p->err.msg, "is gone") != NULL ?
	    0 : 1;
}

/* Of so many ranks and fewer. */
static void
collectives(int most)
{
	static char left[8][DIGEST];
	bool same = true;

	for (int size = 1; size <= most; size++) {
		ok(run(size, 30, device_part, left, DIGEST) == size, "collectives of each type");
		for (int r = 1; r < size; r++)
			same &= memcmp(left[0], left[r], DIGEST) == 0;
	}
	ok(same, "sums have the same bits on all ranks");
	ok(run(2, 30, mismatched_part, left, 1) == 2, "collectives of different lengths");
}

int
main(int argc, char **argv)
{
	char left[8];
	double d[4];

	if (argc > 1) {
		device = argv[1];
		collectives(3);
		return tap_done();
	}
	environments();
	ok(run(4, 30, host_part, d, sizeof(d[0])) == 4, "four ranks add numbers of the host");
	ok(d[0] == d[1] && d[0] == d[2] && d[0] == d[3], "and all have the same bits");
	ok(run(3, 30, differs_part, left, 1) == 3, "what should be the same and is not");
	collectives(4);
	missing();
	twice();
	ok(run(3, 30, dying_part, left, 1) == 2, "a rank that ends is missed by the others");
	return tap_done();
}
