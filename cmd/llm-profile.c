/*
 * llm-profile - where the time of a training step goes
 *
 * Takes steps on made-up tokens as `llm-bench step' does, and waits for each
 * kernel: prints which took how long, what it did a second, and how near that
 * is to what the machine could do.  Memory: what llm-train needs for the step,
 * and 256 MB at the end, for the speed of memory.
 */
#include <stdio.h>

#include "dev/profile.h"
#include "tool/tool.h"
#include "train/stepper.h"

struct profiling {
	const char	*model, *output, *device, *dtype, *recompute, *moments;
	int64_t		 rows, context, threads, count;
};

#define AT(field) offsetof(struct profiling, field)

static const struct opt opts[] = {
	{ 'm', "model", OPT_STR, AT(model), "NAME",
	    "directory, or gpt2-124m, llama-30m, tiny (gpt2-124m)" },
	{ 'b', "batch", OPT_I64, AT(rows), "N", "sequences of a step (4)", .min = 1, .max = 1e6 },
	{ 'c', "context", OPT_I64, AT(context), "N", "tokens of each (64)", .min = 1, .max = 1e7 },
	{ 'n', "count", OPT_I64, AT(count), "N", "steps (3)", .min = 1, .max = 1e6 },
	{ 0, "dtype", OPT_STR, AT(dtype), "NAME", "compute in fp32, bf16 or fp16 (fp32)" },
	{ 0, "moments", OPT_STR, AT(moments), "TYPE", "of AdamW: fp32, bf16 or 8bit (fp32)" },
	{ 0, "recompute", OPT_STR, AT(recompute), "WHAT", "none, cheap or block (none)" },
	{ 'o', "output", OPT_STR, AT(output), "FILE", "write a trace for chrome://tracing too" },
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-profile", .synopsis = "[-m NAME]",
	.summary = "where the time of a training step goes", .opts = opts,
};

static void
steps(struct stepper *s, int64_t n)
{
	struct err err;
	double loss;

	for (int64_t i = 0; i < n; i++)
		if (stepper_step(s, &loss, &err) < 0)
			tool_fail(NULL, &err);
}

int
main(int argc, char **argv)
{
	struct profiling o = { .model = "gpt2-124m", .rows = 4, .context = 64, .count = 3,
	    .dtype = "fp32", .recompute = "none", .moments = "fp32" };
	char **rest = tool_start(&tool, argc, argv, &o);
	struct stepper_options so = { .rows = o.rows, .context = o.context,
	    .train = stepper_adamw() };
	struct model m = { .params = { .dev = NULL } };
	struct profile *p;
	struct stepper *s;
	struct team *team;
	struct dev *dev;
	struct err err;

	if (*rest != NULL)
		tool_usage("no file is read: '%s'", *rest);
	if (recompute_parse(o.recompute, &so.train.recompute, &err) < 0 ||
	    moments_parse(o.moments, &so.train.moments, &err) < 0 ||
	    compute_parse(o.dtype, &m.params.compute, &err) < 0)
		tool_usage("%s", err.msg);
	if ((team = team_new(tool_threads(o.threads, 0), &err)) == NULL ||
	    (dev = dev_open(tool_device(o.device), team, 0, &err)) == NULL ||
	    stepper_model(&m, o.model, dev, true, &err) < 0 ||
	    (s = stepper_new(&m, &so, &err)) == NULL)
		tool_fail(NULL, &err);
	steps(s, 1);			/* memory is touched for the first time */
	if ((p = profile_start(dev, &err)) == NULL)
		tool_fail(NULL, &err);
	steps(s, o.count);
	printf("# %s, %lld x %lld tokens, %s, %lld steps\n", o.model, (long long)o.rows,
	    (long long)o.context, o.dtype, (long long)o.count);
	if (profile_report(p, m.params.compute, o.output, stdout, &err) < 0)
		tool_fail(NULL, &err);
	stepper_free(s);
	model_free(&m);
	dev_close(dev);
	team_free(team);
	return tool_finish(0);
}
