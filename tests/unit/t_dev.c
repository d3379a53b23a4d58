/*
 * The device itself: names, memory, the queue, strict mode, errors that stick;
 * the guard of a step.
 */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/kit.h"
#include "../tap.h"

static struct team *team;

static struct dev *
open_or_die(const char *name, unsigned flags)
{
	struct err err = { 0 };
	struct dev *d = dev_open(name, team, flags, &err);

	if (d == NULL) {
		printf("Bail out! %s\n", err.msg);
		exit(2);
	}
	return d;
}

static void
test_names(void)
{
	struct err err = { 0 };
	struct dev *d;

	ok(dev_open("cpu:mmx", team, 0, &err) == NULL &&
	    strncmp(err.msg, "cpu:mmx: this machine has ", 26) == 0 &&
	    strstr(err.msg, "base") != NULL, "an instruction set that is not here");
	ok(dev_open("tpu", team, 0, &err) == NULL && err.code == ERR_ARG, "an unknown device");
	d = open_or_die("cpu:base", 0);
	ok(dev_info(d)->peak_f32 > 1e8 && dev_info(d)->memory > 1 << 20, "the peak is measured");
	dev_close(d);
}

/* Return the first GPU, or NULL, where there is no driver or none for it. */
static struct dev *
test_gpu_names(void)
{
	struct err err = { 0 };
	struct dev *gpu = dev_open("cuda", team, 0, &err), *any = open_or_die("auto", 0);

	ok(gpu != NULL || (err.code == ERR_DEVICE && strncmp(err.msg, "cuda: ", 6) == 0 &&
	    strstr(err.msg, "use -d cpu") != NULL), "without a GPU, cuda says what to do");
	ok(strncmp(any->info.name, gpu != NULL ? "cuda" : "cpu:", 4) == 0,
	    "auto is a GPU where there is one, else a CPU");
	dev_close(any);
	ok(dev_open("cuda:", team, 0, &err) == NULL && err.code == ERR_ARG &&
	    dev_open("cuda:1x", team, 0, &err) == NULL && err.code == ERR_ARG &&
	    dev_open("cuda:tf", team, 0, &err) == NULL && err.code == ERR_ARG &&
	    dev_open("cuda:1:tf32x", team, 0, &err) == NULL && err.code == ERR_ARG &&
	    dev_open("cuda:0:", team, 0, &err) == NULL && err.code == ERR_ARG, "no number");
	ok(dev_open("cuda:999", team, 0, &err) == NULL && err.code == ERR_DEVICE &&
	    dev_open("cuda:999:tf32", team, 0, &err) == NULL && err.code == ERR_DEVICE,
	    "a GPU that is not there");
	return gpu;
}

static void
test_memory(const char *name, unsigned flags)
{
	struct err err = { 0 };
	struct dev *d = open_or_die(name, flags);
	dptr p = dev_alloc(d, 1000, &err), q = dev_alloc(d, 9 << 20, &err), r;
	char x[1000], y[1000];
	static const char outside[64] = "imported";

	dev_download(d, x, p, 1000);
	ok(dev_wait(d, &err) == 0 && x[0] == 0 && memcmp(x, x + 1, 999) == 0, "memory is zeroed");
	ok(p.at % 256 == 0 && q.at % 256 == 0, "and aligned");
	memset(x, 7, sizeof(x));
	dev_upload(d, dptr_add(q, 5), x, 1000);
	memset(x, 8, sizeof(x));
	dev_download(d, y, dptr_add(q, 5), 1000);
	ok(dev_wait(d, &err) == 0 && y[0] == 7 && y[999] == 7, "an upload takes the bytes at once");
	r = dev_import(d, outside, sizeof(outside), &err);
	dev_download(d, y, r, sizeof(outside));
	ok(dev_wait(d, &err) == 0 && memcmp(y, outside, sizeof(outside)) == 0, "imported memory");
	dev_free(d, r);
	dev_free(d, p);
	dev_free(d, q);
	ok(dev_alloc(d, INT64_MAX / 2, &err).at == 0 && err.code == ERR_NOMEM, "too much memory");
	dev_close(d);
}

/* Does touching device memory from the host end a child by SIGSEGV? */
static void
test_strict(void)
{
	struct err err = { 0 };
	struct dev *d = open_or_die("cpu", DEV_STRICT);
	dptr p = dev_alloc(d, 4096, &err);
	pid_t child;
	int status = 0;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(*(volatile char *)(uintptr_t)p.at);
	}
	waitpid(child, &status, 0);
	ok(!WIFEXITED(status) || WEXITSTATUS(status) != 0, "strict memory is not the host's");
	dev_close(d);
}

static void
test_errors(const char *name, unsigned flags)
{
	struct err err = { 0 };
	struct dev *d = open_or_die(name, flags);
	dptr w = dev_alloc(d, 4 * 4 * 8, &err), y = dev_alloc(d, 4 * 4 * 2, &err);
	dptr id = dev_alloc(d, 8, &err);
	int32_t bad[2] = { 3, 8 };
	union dev_args a = { .embed = { .y = y, .w = w, .id = id, .type = DTYPE_F32,
		.t = { .cap = 2 }, .v = 8, .c = 4, .scale = 1 } };

	dev_upload(d, id, bad, 8);
	dev_launch(d, K_EMBED, &a);
	ok(dev_wait(d, &err) == -1 && strcmp(err.msg,
	    "embed: id 8 at row 1 is outside 0..7") == 0, "a bad id is told by dev_wait()");
	ok(dev_wait(d, &err) == -1, "and sticks");
	a.embed.type = DTYPE_I32;
	ok(dev_check(d, K_EMBED, &a, &err) == -1 && err.code == ERR_DEVICE &&
	    strncmp(err.msg, "embed: no kernel for I32 on c", 29) == 0,
	    "a type without a kernel is told when asked");
	dev_close(d);
}

/* ---- the guard ---- */

struct guard_case {
	struct dev_step step;
	struct dev_history history;
	struct k_guard rule;
};

static void
guard_args(struct kit *k, union dev_args *a)
{
	a->guard = ((const struct guard_case *)k->shape)->rule;
	a->guard.step = kit_at(k, 0);
	a->guard.history = kit_at(k, 1);
}

/* Run the guard on all devices, and leave in *c what the reference made of it. */
static bool
guard_agrees(struct kit *k, struct guard_case *c)
{
	bool good;

	k->shape = c;
	kit_bytes(k, sizeof(c->step), &c->step, true);
	kit_bytes(k, sizeof(c->history), &c->history, true);
	good = kit_agrees(k, K_GUARD, guard_args, 1e-12);
	memcpy(&c->step, k->buf[0].want, sizeof(c->step));
	memcpy(&c->history, k->buf[1].want, sizeof(c->history));
	kit_reset(k);
	return good;
}

static void
test_loss_scale(struct kit *k)
{
	struct guard_case c = { .rule = { .clip = 1, .mads = 8, .least = 64 } };
	bool good;

	c.step = (struct dev_step){ .targets = 1, .loss = 5, .sumsq = 64 * 64 * 16,
	    .loss_scale = 64, .good = 7 };
	good = guard_agrees(k, &c);
	ok(good && c.step.norm == 4 && c.step.scale == 0.25 / 64 && c.step.good == 8,
	    "a loss scale is taken out of the norm and the gradients");
	c.step.sumsq = HUGE_VAL;
	good = guard_agrees(k, &c);
	ok(good && c.step.skip == SKIP_OVERFLOW && c.step.skipped == 0 && c.step.good == 0 &&
	    c.step.loss_scale == 32 && c.step.scale == 0, "an overflow halves it");
	for (int i = 0; i < 6; i++)
		good = good && guard_agrees(k, &c);
	ok(good && c.step.loss_scale == 1 && c.step.skip == SKIP_NOT_FINITE &&
	    c.step.skipped == 1, "at its floor an overflow counts as a skipped step");
	c.step.sumsq = 1;
	c.step.good = LOSS_SCALE_STEPS - 1;
	good = guard_agrees(k, &c);
	ok(good && c.step.skip == 0 && c.step.loss_scale == 2 && c.step.good == 0,
	    "many good steps double it");
	c.step.loss_scale = LOSS_SCALE_MAX;
	c.step.good = LOSS_SCALE_STEPS - 1;
	good = guard_agrees(k, &c);
	ok(good && c.step.loss_scale == LOSS_SCALE_MAX, "to its ceiling");
}

static void
test_guard(struct kit *k)
{
	struct guard_case c = { .rule = { .clip = 1, .mads = 8, .least = 64 } }, was;
	bool good = true;

	c.step = (struct dev_step){ .targets = 100, .lr = 1 };
	for (int i = 0; i < 200; i++) {
		c.step.loss = 100 * (5 + 0.1 * kit_normal(k));
		c.step.sumsq = 4 + 0.1 * kit_normal(k);
		good = good && guard_agrees(k, &c) && c.step.skip == 0;
	}
	ok(good && c.step.step == 200 && c.history.n == 200, "200 usual steps are applied");
	ok(fabs(c.step.scale - 1 / c.step.norm) < 1e-12, "and clipped to the norm");
	was = c;
	c.step.loss = (double)NAN;
	good = guard_agrees(k, &c);
	ok(good && c.step.skip == 1 && c.step.skipped == 1 && c.step.scale == 0 &&
	    c.step.step == 200, "a loss that is not a number is skipped");
	c.step.loss = was.step.loss;
	c.step.sumsq = HUGE_VAL;
	good = guard_agrees(k, &c);
	ok(good && c.step.skip == 1 && c.step.skipped == 2, "an infinite norm is skipped");
	c.step.sumsq = was.step.sumsq;
	c.step.loss = 100 * 9;
	good = guard_agrees(k, &c);
	ok(good && c.step.skip == 2 && c.step.skipped == 3, "a spike of the loss is skipped");
	c.step.loss = was.step.loss;
	c.step.sumsq = 400;
	good = guard_agrees(k, &c);
	ok(good && c.step.skip == 3 && c.step.skipped == 4, "a spike of the norm is skipped");
	ok(memcmp(&c.history, &was.history, sizeof(was.history)) == 0,
	    "and none of them enters the history");
	c.step.loss = 100;
	c.step.sumsq = 0.01;
	good = guard_agrees(k, &c);
	ok(good && c.step.skip == 0 && c.step.skipped == 0 && c.step.scale == 1,
	    "a loss far below is fine, and a small norm is not scaled");
	c = (struct guard_case){ .rule = { .mads = 8, .least = 64 } };
	c.step = (struct dev_step){ .targets = 1, .loss = 5, .sumsq = 1 };
	for (int i = 0; i < 70; i++)
		good = good && guard_agrees(k, &c);
	c.step.loss = 5.01;
	good = good && guard_agrees(k, &c);
	ok(good && c.step.skip == 0, "losses that are all equal allow a small change");
	c.step.targets = 0;
	good = guard_agrees(k, &c);
	ok(good && c.step.skip == 1, "a step without targets is skipped");
	test_loss_scale(k);
}

int
main(void)
{
	struct err err = { 0 };
	struct dev *gpu;
	struct kit k;

	team = team_new(2, &err);
	if (team == NULL || kit_init(&k, 5) < 0)
		return 2;
	test_names();
	test_memory("cpu", 0);
	test_memory("cpu", DEV_STRICT);
	test_strict();
	test_errors("cpu", 0);
	test_errors("cpu", DEV_STRICT);
	gpu = test_gpu_names();
	if (gpu != NULL) {
		union dev_args none = { 0 };

		ok(dev_check(gpu, K_COUNT, &none, &err) == -1 && err.code == ERR_DEVICE &&
		    strcmp(err.msg, "unknown kernel: no kernel on cuda:0 yet: use -d cpu") == 0,
		    "a kernel that is not there is named");
		test_memory("cuda", 0);
		test_errors("cuda", 0);
	}
	dev_close(gpu);
	test_guard(&k);
	kit_free(&k);
	team_free(team);
	return tap_done();
}
