/*
 * llm-bench - how fast this machine computes, and how near to its limits we are
 *
 * peak: multiply-adds a second, and the speed of memory.  kernels: each one at
 * the shapes of a small model, beside the nearer of these limits.  step: whole
 * training steps of a model on random tokens, forward, backward and update,
 * beside the peak that was measured in the same run.  infer: a prompt, and tokens
 * one by one after it, beside the speed of memory.  Prints TSV.  Memory: of a
 * step, what llm-train needs for it; 1 GB for the kernels.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dev/profile.h"
#include "dev/trials.h"
#include "infer/pace.h"
#include "tool/tool.h"
#include "train/stepper.h"

struct bench {
	const char	*model, *device, *dtype, *recompute, *moments;
	int64_t		 rows, context, threads, count, prompt, tokens;
	bool		 turns, quick;
};

#define AT(field) offsetof(struct bench, field)
#define RUNS 1000

static const struct opt opts[] = {
	{ 'm', "model", OPT_STR, AT(model), "NAME",
	    "step, infer: model, or gpt2-124m, llama-30m, tiny (gpt2-124m)" },
	{ 'b', "batch", OPT_I64, AT(rows), "N", "step: sequences (4)", .min = 1, .max = 1e6 },
	{ 'c', "context", OPT_I64, AT(context), "N", "step: tokens of each (64)",
	    .min = 1, .max = 1e7 },
	{ 'n', "count", OPT_I64, AT(count), "N", "runs, of which the median counts (5)",
	    .min = 1, .max = RUNS },
	{ 0, "prompt", OPT_I64, AT(prompt), "N", "infer: tokens of the prompt (512)",
	    .min = 1, .max = 1e7 },
	{ 0, "tokens", OPT_I64, AT(tokens), "N", "infer: tokens after it (128)",
	    .min = 0, .max = 1e7 },
	{ 0, "turns", OPT_FLAG, AT(turns),
	    .help = "step, infer: one for each line of standard input" },
	{ 0, "dtype", OPT_STR, AT(dtype), "NAME", "step: compute in fp32, bf16 or fp16 (fp32)" },
	{ 0, "moments", OPT_STR, AT(moments), "TYPE", "step: of AdamW: fp32, bf16 or 8bit (fp32)" },
	{ 0, "recompute", OPT_STR, AT(recompute), "WHAT", "step: none, cheap or block (none)" },
	{ 0, "quick", OPT_FLAG, AT(quick), .help = "kernels: small ones, a moment each" },
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-bench", .synopsis = "peak | kernels [name] | step | infer",
	.summary = "measure the machine, kernels, training and inference", .opts = opts,
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *x, int64_t n)
{
	qsort(x, (size_t)n, sizeof(*x), compare);
	return n % 2 == 1 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]);
}

/* With one thread, and with all. */
static void
peak(const struct bench *o)
{
	struct dev_bandwidth b;
	struct team *team;
	struct dev *dev;
	struct err err;

	printf("name\tthreads\tvalue\tunit\n");
	for (int n = 1, all = tool_threads(o->threads, 0); n <= all; n += n < all ? all - 1 : 1) {
		if ((team = team_new(n, &err)) == NULL ||
		    (dev = dev_open(tool_device(o->device), team, 0, &err)) == NULL ||
		    dev_bandwidth(dev, &b, &err) < 0)
			tool_fail(NULL, &err);
		printf("fp32\t%d\t%.1f\tGFLOP/s\n", n, dev_peak(dev, DTYPE_F32) * 1e-9);
		if (dev_info(dev)->peak_bf16 > 0)
			printf("bf16\t%d\t%.1f\tGFLOP/s\n", n, dev_info(dev)->peak_bf16 * 1e-9);
		if (dev_info(dev)->peak_int8 > 0)
			printf("int8\t%d\t%.1f\tGOP/s\n", n, dev_info(dev)->peak_int8 * 1e-9);
		printf("read\t%d\t%.1f\tGB/s\n", n, b.read * 1e-9);
		printf("write\t%d\t%.1f\tGB/s\n", n, b.write * 1e-9);
		printf("copy\t%d\t%.1f\tGB/s\n", n, b.copy * 1e-9);
		dev_close(dev);
		team_free(team);
	}
}

/* ---- kernels ---- */

struct limits {
	struct dev *dev;
	double	memory;
};

static void
print_trial(void *ctx, const struct trial *t)
{
	const struct limits *l = ctx;
	double limit = profile_limit(&t->cost, dev_peak(l->dev, t->weights), l->memory);
	bool flops = t->cost.flops > 0;

	printf("%s\t%s\t%.4f\t%.1f\t%s\t%.0f\n", t->name, t->shape, t->seconds * 1e3,
	    (flops ? t->cost.flops : t->cost.bytes) / t->seconds * 1e-9,
	    flops ? "GFLOP/s" : "GB/s", 100 * limit / t->seconds);
}

static void
kernels(const struct bench *o, const char *only)
{
	struct limits l;
	struct trials_options to = { .ctx = &l, .tokens = o->quick ? 128 : 1024,
	    .seconds = o->quick ? 0.001 : 0.2, .only = only, .each = print_trial };
	struct dev_bandwidth b;
	struct team *team;
	struct dev *dev;
	struct err err;

	if (compute_parse(o->dtype, &to.type, &err) < 0)
		tool_usage("%s", err.msg);
	if ((team = team_new(tool_threads(o->threads, 0), &err)) == NULL ||
	    (dev = dev_open(tool_device(o->device), team, 0, &err)) == NULL ||
	    dev_bandwidth(dev, &b, &err) < 0)
		tool_fail(NULL, &err);
	l = (struct limits){ dev, b.read > b.copy ? b.read : b.copy };
	printf("kernel\tshape\tms\trate\tunit\tof the limit %%\n");
	if (trials_run(dev, &to, &err) < 0)
		tool_fail(NULL, &err);
	dev_close(dev);
	team_free(team);
}

/* ---- a training step ---- */

static double
timed_step(struct stepper *s, double *loss)
{
	double start = now();
	struct err err;

	if (stepper_step(s, loss, &err) < 0)
		tool_fail(NULL, &err);
	return now() - start;
}

/* For programs that are timed in turn: each line read is a step. */
static void
take_turns(struct stepper *s)
{
	double loss, t;
	char line[64];

	printf("ready\t%.6g\n", stepper_flops(s));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		t = timed_step(s, &loss);
		printf("%.3f\t%.6f\n", t * 1e3, loss);
		fflush(stdout);
	}
}

static void
report(const struct bench *o, struct stepper *s, struct dev *dev, dtype type)
{
	double time[RUNS], loss, t, rate, limit = dev_peak(dev, type);

	for (int64_t i = 0; i < o->count; i++)
		time[i] = timed_step(s, &loss);
	t = median(time, o->count);
	rate = stepper_flops(s) / t;
	printf("name\tvalue\tunit\nstep\t%.3f\tms\n", t * 1e3);
	printf("speed\t%.1f\ttokens/s\n", (double)(o->rows * o->context) / t);
	printf("rate\t%.2f\tGFLOP/s\npeak\t%.2f\tGFLOP/s\n", rate * 1e-9, limit * 1e-9);
	printf("of the peak\t%.1f\t%%\n", 100 * rate / limit);
	printf("loss\t%.6f\tnats\n", loss);
	if (dev_info(dev)->products[0] != '\0')
		printf("products\t%s\t\n", dev_info(dev)->products);
}

static void
step(const struct bench *o)
{
	struct team *team;
	struct dev *dev;
	struct stepper_options so = { .rows = o->rows, .context = o->context,
	    .train = stepper_adamw() };
	struct model m = { .params = { .dev = NULL } };
	struct stepper *s;
	struct err err;
	double loss;

	if (recompute_parse(o->recompute, &so.train.recompute, &err) < 0 ||
	    moments_parse(o->moments, &so.train.moments, &err) < 0 ||
	    compute_parse(o->dtype, &m.params.compute, &err) < 0)
		tool_usage("%s", err.msg);
	if ((team = team_new(tool_threads(o->threads, 0), &err)) == NULL ||
	    (dev = dev_open(tool_device(o->device), team, 0, &err)) == NULL ||
	    stepper_model(&m, o->model, dev, true, &err) < 0 ||
	    (s = stepper_new(&m, &so, &err)) == NULL)
		tool_fail(NULL, &err);
	timed_step(s, &loss);
	if (o->turns)
		take_turns(s);
	else
		report(o, s, dev, m.params.compute);
	stepper_free(s);
	model_free(&m);
	dev_close(dev);
	team_free(team);
}

/* ---- inference ---- */

static void
infer_turns(struct pace *p)
{
	double prompt, tokens;
	struct err err;
	char line[64];

	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (pace_run(p, &prompt, &tokens, &err) < 0)
			tool_fail(NULL, &err);
		printf("%.3f\t%.3f\n", prompt * 1e3, tokens * 1e3);
		fflush(stdout);
	}
}

static void
infer_report(const struct bench *o, struct pace *p, double bytes, double read)
{
	double prompt[RUNS], tokens[RUNS], rate;
	struct err err;

	for (int64_t i = 0; i < o->count; i++)
		if (pace_run(p, &prompt[i], &tokens[i], &err) < 0)
			tool_fail(NULL, &err);
	printf("name\tvalue\tunit\n");
	printf("prompt\t%.1f\ttokens/s\n", (double)o->prompt / median(prompt, o->count));
	if (o->tokens == 0)
		return;
	rate = (double)o->tokens / median(tokens, o->count);
	printf("tokens\t%.1f\ttokens/s\n", rate);
	printf("weights\t%.1f\tGB/s\nread\t%.1f\tGB/s\n", rate * bytes * 1e-9, read * 1e-9);
	printf("of the speed of memory\t%.1f\t%%\n", 100 * rate * bytes / read);
}

static void
infer(const struct bench *o)
{
	struct model m = { .params = { .dev = NULL } };
	struct dev_bandwidth b = { 0 };
	struct team *team;
	struct dev *dev;
	struct pace *p;
	struct err err;
	double t;

	if ((team = team_new(tool_threads(o->threads, 0), &err)) == NULL ||
	    (dev = dev_open(tool_device(o->device), team, 0, &err)) == NULL ||
	    (!o->turns && dev_bandwidth(dev, &b, &err) < 0) ||
	    stepper_model(&m, o->model, dev, false, &err) < 0 ||
	    (p = pace_new(&m, o->prompt, o->tokens, &err)) == NULL ||
	    pace_run(p, &t, &t, &err) < 0)
		tool_fail(NULL, &err);
	if (o->turns)
		infer_turns(p);
	else
		infer_report(o, p, pace_bytes(&m), b.read);
	pace_free(p);
	model_free(&m);
	dev_close(dev);
	team_free(team);
}

int
main(int argc, char **argv)
{
	struct bench o = { .prompt = 512, .tokens = 128, .model = "gpt2-124m", .dtype = "fp32",
	    .recompute = "none", .moments = "fp32", .rows = 4, .context = 64, .count = 5 };
	char **what = tool_start(&tool, argc, argv, &o);

	if (what[0] == NULL)
		tool_usage("measure what? (peak, kernels, step or infer)");
	if (what[1] != NULL && (strcmp(what[0], "kernels") != 0 || what[2] != NULL))
		tool_usage("one thing at a time: '%s'", what[1]);
	if (strcmp(what[0], "peak") == 0)
		peak(&o);
	else if (strcmp(what[0], "kernels") == 0)
		kernels(&o, what[1]);
	else if (strcmp(what[0], "step") == 0)
		step(&o);
	else if (strcmp(what[0], "infer") == 0)
		infer(&o);
	else
		tool_usage("cannot measure '%s': peak, kernels, step or infer", what[0]);
	return tool_finish(0);
}
