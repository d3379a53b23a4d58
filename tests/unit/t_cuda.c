/*
 * What runs the CUDA device: its memory, its copies and its graphs.  On the stand-in
 * driver, which counts what the device asks of it, or on a GPU.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "../tap.h"
#include "base/rng.h"
#include "dev/kernels.h"

#define MEMORY "50331648"	/* what the stand-in has: a slab, and half of one */
#define MB ((int64_t)1 << 20)

static struct team *team;
static uint64_t (*standin_count)(const char *);
static void (*standin_deaf)(uint64_t);
static int (*standin_findings)(void), (*context_reset)(int);
static const char *(*standin_finding)(int);
static void (*standin_forget)(void);

static struct dev *
open_or_die(unsigned flags)
{
	struct err err = { 0 };
	struct dev *d = dev_open("cuda", team, flags, &err);

	if (d == NULL) {
		printf("Bail out! %s\n", err.msg);
		exit(2);
	}
	return d;
}

static dptr
alloc(struct dev *d, int64_t bytes)
{
	struct err err = { 0 };
	dptr p = dev_alloc(d, bytes, &err);

	if (p.at == 0) {
		printf("Bail out! %s\n", err.msg);
		exit(2);
	}
	return p;
}

/* Of calls of the driver; a GPU's does not count them. */
static uint64_t
counted(const char *what)
{
	return standin_count != NULL ? standin_count(what) : 0;
}

static void
fill(struct dev *d, dptr p, int64_t n, double value)
{
	dev_launch(d, K_FILL, &(union dev_args){ .fill = { p, DTYPE_F32, n, value } });
}

static void
copy(struct dev *d, dptr to, dptr from, int64_t bytes)
{
	dev_launch(d, K_COPY, &(union dev_args){ .copy = { to, from, bytes } });
}

/* Are n floats of device memory this number? */
static bool
all(struct dev *d, dptr p, int64_t n, float value)
{
	struct err err = { 0 };
	float *x = malloc((size_t)n * sizeof(*x));
	bool good = x != NULL;

	dev_download(d, x, p, n * (int64_t)sizeof(*x));
	good = good && dev_wait(d, &err) == 0;
	for (int64_t i = 0; i < n && good; i++)
		good = x[i] == value;
	free(x);
	return good;
}

/* ---- memory ---- */

static void
test_reuse(void)
{
	struct dev *d = open_or_die(0);
	dptr a = alloc(d, 4000), b = alloc(d, 20000), c = alloc(d, 4000), again;
	uint64_t allocations = counted("allocations"), waits = counted("waits");

	fill(d, b, 5000, 7);
	copy(d, a, b, 4000);
	dev_free(d, b);
	again = alloc(d, 16000);
	ok(again.at == b.at, "what was freed is taken again");
	ok(counted("allocations") == allocations && counted("waits") == waits,
	    "and neither asks the driver nor waits");
	ok(all(d, again, 4000, 0), "it is zeroed");
	ok(all(d, a, 1000, 7) && all(d, c, 1000, 0), "behind what was queued before");
	ok(a.at % 256 == 0 && again.at % 256 == 0 && c.at % 256 == 0, "aligned");
	dev_close(d);
}

struct piece {
	dptr	p;
	int64_t	n;
};

static bool
apart(const struct piece *list, int n, const struct piece *x)
{
	for (int i = 0; i < n; i++)
		if (&list[i] != x && list[i].p.at != 0 && list[i].p.at < x->p.at + (uint64_t)x->n &&
		    x->p.at < list[i].p.at + (uint64_t)list[i].n)
			return false;
	return true;
}

static void
test_fragments(void)
{
	enum { PIECES = 150, ROUNDS = 1500 };
	struct dev *d = open_or_die(0);
	struct piece list[PIECES] = { 0 };
	dptr whole = alloc(d, 12 * MB);
	uint64_t allocations = counted("allocations");
	bool good = true;

	dev_free(d, whole);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct piece *x = &list[rng_below(3, 1, i, PIECES)];

		if (x->p.at != 0) {
			dev_free(d, x->p);
			x->p.at = 0;
			continue;
		}
		x->n = (int64_t)rng_below(3, 2, i, 1 << 15);
		x->p = alloc(d, x->n);
		good = good && x->p.at % 256 == 0 && apart(list, PIECES, x);
	}
	ok(good, "pieces of any size, in any order, lie apart");
	for (int i = 0; i < PIECES; i++)
		dev_free(d, list[i].p);
	ok(alloc(d, 12 * MB).at == whole.at && counted("allocations") == allocations,
	    "and are whole again when all were freed");
	dev_close(d);
}

static void
test_no_memory(void)
{
	struct err err = { 0 };
	struct dev *d = open_or_die(0);
	dptr p;

	alloc(d, 12 * MB);
	p = alloc(d, 10 * MB);
	dev_free(d, p);
	ok(alloc(d, 14 * MB).at != 0, "memory that nothing is in goes back for what needs more");
	p = dev_alloc(d, 30 * MB, &err);
	ok(p.at == 0 && err.code == ERR_NOMEM && strncmp(err.msg,
	    "no memory for 31457280 bytes on cuda:0: 2097152 of " MEMORY " are free; ", 60) == 0,
	    "out of memory, in words");
	ok(dev_alloc(d, MB, &err).at != 0 && dev_wait(d, &err) == 0, "what is left can be had");
	dev_close(d);
}

static void
test_strict(void)
{
	struct dev *d = open_or_die(DEV_STRICT);
	uint64_t allocations = counted("allocations");
	dptr a = alloc(d, 100), b = alloc(d, 100);

	ok(counted("allocations") == allocations + 2 && all(d, a, 25, 0) && all(d, b, 25, 0),
	    "strict memory is the driver's, each its own");
	dev_close(d);
}

/* ---- copies ---- */

enum { PART = 64 };

/* Of tests with large copies, that all is right. */
struct large {
	int64_t	 n;
	float	*from, *got;
};

static struct large
large_new(int64_t n)
{
	struct large l = { n, malloc((size_t)n * 4), malloc((size_t)n * 4) };

	if (l.from == NULL || l.got == NULL)
		exit(2);
	for (int64_t i = 0; i < n; i++)
		l.from[i] = (float)rng_below(4, 1, (uint64_t)i, 1 << 20);
	return l;
}

static bool
large_same(const struct large *l)
{
	return memcmp(l->from, l->got, (size_t)l->n * 4) == 0;
}

static void
large_free(struct large *l)
{
	free(l->from);
	free(l->got);
}

/*
 * A step like any other: uploads of which the queue's last work still reads what they
 * overwrite, kernels between, downloads of what later ones overwrite.
 */
static bool
step(struct dev *d, struct large *l)
{
	struct err err = { 0 };
	float one[PART], two[PART], first[PART] = { 0 }, second[PART] = { 0 };
	dptr x = alloc(d, sizeof(one)), y = alloc(d, sizeof(one)), z = alloc(d, l->n * 4);
	bool good;

	for (int i = 0; i < PART; i++) {
		one[i] = 1;
		two[i] = 2;
	}
	dev_upload(d, x, one, sizeof(one));
	copy(d, y, x, sizeof(one));
	dev_upload(d, x, two, sizeof(two));
	memset(two, 0, sizeof(two));
	dev_download(d, first, y, sizeof(first));
	copy(d, y, x, sizeof(one));
	dev_download(d, second, y, sizeof(second));
	fill(d, y, PART, 3);
	dev_upload(d, z, l->from, l->n * 4);
	dev_download(d, l->got, z, l->n * 4);
	fill(d, z, l->n, 0);
	good = dev_wait(d, &err) == 0;
	for (int i = 0; i < PART && good; i++)
		good = first[i] == 1 && second[i] == 2;
	dev_free(d, x);
	dev_free(d, y);
	dev_free(d, z);
	return good && large_same(l);
}

static void
test_copies(void)
{
	struct dev *d = open_or_die(0);
	struct large few = large_new(1000), many = large_new(3 * MB / 2), l = large_new(3 * MB / 4);
	uint64_t waits = counted("waits");

	ok(step(d, &few), "what is copied is what was there when it was asked for");
	ok(standin_count == NULL || counted("waits") == waits + 1, "with one wait");
	ok(step(d, &many), "more than fits in pinned memory");
	ok(step(d, &l), "and then less");
	waits = counted("waits");
	ok(step(d, &l) && (standin_count == NULL || counted("waits") == waits + 1),
	    "what came once comes with one wait from then on");
	large_free(&few);
	large_free(&many);
	large_free(&l);
	dev_close(d);
}

/* Each event that is waited for must be: without it, the stand-in finds what is unordered. */
static void
test_events(void)
{
	struct large l = large_new(9 * MB / 8);
	struct dev *d = open_or_die(0);
	uint64_t events = counted("events"), found = 0;
	bool good = step(d, &l) && standin_findings() == 0;

	events = counted("events") - events;
	dev_close(d);
	for (uint64_t i = 1; i <= events; i++) {
		d = open_or_die(0);
		standin_deaf(i);
		step(d, &l);
		standin_deaf(0);
		context_reset(0);
		dev_close(d);
		found += standin_findings() > 0;
		if (standin_findings() == 0)
			printf("# event %d of %d\n", (int)i, (int)events);
		standin_forget();
	}
	ok(good && events > 10 && found == events, "no event can be left out");
	large_free(&l);
}

/* ---- graphs ---- */

/* y = 2 y + x, then the sum of squares of y, whose parts are in scratch. */
static void
list(struct dev *d, struct dev_list **l, dptr y, dptr x, dptr sum, int64_t n)
{
	if (!dev_begin(d, l))
		return;
	dev_launch(d, K_AXPBY, &(union dev_args){ .axpby = { y, x, DTYPE_F32, n, 1, 2 } });
	dev_launch(d, K_FILL, &(union dev_args){ .fill = { sum, DTYPE_F64, 1, 0 } });
	dev_launch(d, K_SUMSQ, &(union dev_args){ .sumsq = { sum, y, DTYPE_F32, n } });
	dev_end(d);
}

static double
value(struct dev *d, dptr p)
{
	struct err err = { 0 };
	double x = 0;

	dev_download(d, &x, p, sizeof(x));
	return dev_wait(d, &err) == 0 ? x : -1;
}

static void
test_lists(void)
{
	enum { N = 100, LARGE = 1 << 18 };
	struct dev *d = open_or_die(0);
	dptr y = alloc(d, N * 4), x = alloc(d, N * 4), sum = alloc(d, 8), large;
	uint64_t graphs = counted("graphs"), launches;
	struct dev_list *l = NULL;
	bool good = true;
	double want = 0;

	for (int i = 1; i <= 6; i++) {
		float in[N];

		/* What a list reads may be other each time. */
		for (int j = 0; j < N; j++)
			in[j] = (float)i;
		dev_upload(d, x, in, sizeof(in));
		list(d, &l, y, x, sum, N);
		want = 2 * want + i;
		good = good && value(d, sum) == N * want * want;
	}
	ok(good, "a list of launches comes again");
	ok(standin_count == NULL || counted("graphs") == graphs + 5, "as a graph from then on");

	large = alloc(d, LARGE * 4);
	dev_launch(d, K_SUMSQ, &(union dev_args){ .sumsq = { sum, large, DTYPE_F32, LARGE } });
	launches = counted("launches");
	list(d, &l, y, x, sum, N);
	want = 2 * want + 6;
	good = value(d, sum) == N * want * want;
	ok(good && (standin_count == NULL || counted("launches") > launches),
	    "that is made anew when scratch has moved");
	launches = counted("launches");
	list(d, &l, y, x, sum, N);
	want = 2 * want + 6;
	ok(value(d, sum) == N * want * want && counted("launches") == launches, "once");
	dev_forget(d, l);
	dev_close(d);
}

/* A launch that cannot be, in a list that is captured, is told like any other. */
static void
test_bad_list(void)
{
	struct err err = { 0 };
	struct dev *d = open_or_die(0);
	dptr y = alloc(d, 400);
	struct dev_list *l = NULL;

	for (int i = 0; i < 3; i++) {
		if (!dev_begin(d, &l))
			continue;
		fill(d, y, 100, 1);
		if (i > 0)
			dev_launch(d, K_COUNT, &(union dev_args){ .fill = { .n = 0 } });
		fill(d, y, 100, 2);
		dev_end(d);
	}
	ok(dev_wait(d, &err) == -1 && strncmp(err.msg, "unknown kernel: no kernel on ", 29) == 0 &&
	    dev_wait(d, &err) == -1, "an error in a list is told by dev_wait(), and sticks");
	dev_forget(d, l);
	dev_close(d);
}

/* Scratch that there is no memory for, in the middle of work. */
static void
test_no_scratch(void)
{
	struct err err = { 0 };
	struct dev *d = open_or_die(0);
	int64_t n = (int64_t)1 << 34;
	dptr y = alloc(d, 400), sum = alloc(d, 8);

	fill(d, y, 100, 3);
	dev_launch(d, K_DOT, &(union dev_args){ .dot = { sum, y, y, DTYPE_F32, { .cap = n } } });
	fill(d, y, 100, 4);
	ok(dev_wait(d, &err) == -1 && err.code == ERR_NOMEM &&
	    strncmp(err.msg, "no memory for 33554432 bytes on cuda:0: ", 40) == 0,
	    "no memory in the middle of a step is told by dev_wait()");
	dev_close(d);
}

int
main(void)
{
	struct err err = { 0 };
	struct dev *d;
	void *driver;

	setenv("CUDA_STANDIN_MEMORY", MEMORY, 1);
	team = team_new(1, &err);
	d = team != NULL ? dev_open("cuda", team, 0, &err) : NULL;
	if (d == NULL) {
		printf("1..0 # SKIP %s\n", err.msg);
		return 0;
	}
	driver = dlopen("libcuda.so.1", RTLD_NOW);
	*(void **)&standin_count = dlsym(driver, "standin_count");
	*(void **)&standin_deaf = dlsym(driver, "standin_deaf");
	*(void **)&standin_findings = dlsym(driver, "standin_findings");
	*(void **)&standin_finding = dlsym(driver, "standin_finding");
	*(void **)&standin_forget = dlsym(driver, "standin_forget");
	*(void **)&context_reset = dlsym(driver, "cuDevicePrimaryCtxReset_v2");
	dev_close(d);
	test_reuse();
	test_fragments();
	test_copies();
	test_lists();
	test_bad_list();
	if (standin_count != NULL) {
		test_no_memory();
		test_strict();
		test_no_scratch();
		test_events();
	}
	team_free(team);
	return tap_done();
}
