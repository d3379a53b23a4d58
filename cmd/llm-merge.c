/*
 * llm-merge - adapters into their model, or several models into one
 *
 * With -m the operands are adapters, whose changes are put into the matrices of
 * that model; without, they are models of one architecture, whose weights are
 * averaged.  Sums are computed in double, and rounded once to the type that
 * each tensor has in the first model's files.  Memory: the weights in fp32,
 * twice for models.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/merge.h"
#include "tool/tool.h"

#define MOST 256		/* operands */

struct merge {
	const char	*model, *output, *weights, *device;
	dtype		 type;
	int64_t		 threads;
	double		 weight[MOST];
	int		 n;
};

#define AT(field) offsetof(struct merge, field)

static int
set_dtype(void *into, const char *arg, struct err *err)
{
	static const struct {
		const char	*name;
		dtype		 type;
	} names[] = { { "keep", DTYPE_NONE }, { "fp32", DTYPE_F32 }, { "bf16", DTYPE_BF16 },
	    { "fp16", DTYPE_F16 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(arg, names[i].name) == 0) {
			*(dtype *)into = names[i].type;
			return 0;
		}
	return err_set(err, ERR_ARG, "'%s' is not keep, fp32, bf16 or fp16", arg);
}

static const struct opt opts[] = {
	{ 'm', "model", OPT_STR, AT(model), "DIR", "model that the operands are adapters of" },
	{ 'o', "output", OPT_STR, AT(output), "DIR", "model directory to make" },
	{ 0, "weights", OPT_STR, AT(weights), "W,...",
	    "weight of each operand (1; of models: equal shares)" },
	{ 0, "dtype", OPT_CALL, AT(type), "NAME",
	    "type of the weights: keep, fp32, bf16 or fp16 (keep)", .call = set_dtype },
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-merge", .synopsis = "[-m DIR] -o DIR dir ...",
	.summary = "put adapters into a model, or average models", .opts = opts,
};

static void
read_weights(struct merge *o)
{
	const char *s = o->weights;
	char *end;

	for (int i = 0; i < o->n; i++) {
		o->weight[i] = o->model != NULL ? 1 : 1 / (double)o->n;
		if (s == NULL)
			continue;
		o->weight[i] = strtod(s, &end);
		if (end == s || !isfinite(o->weight[i]) ||
		    *end != (i < o->n - 1 ? ',' : '\0'))
			tool_usage("--weights: %d numbers are needed, one an operand", o->n);
		s = end + 1;
	}
}

/* Changes of plain LoRA add up; those of others depend on what they are put into. */
static void
check_adapters(const struct merge *o, char **files)
{
	struct err err;

	for (int i = 0; i < o->n; i++) {
		int adds = adapter_adds(files[i], &err);

		if (adds < 0)
			tool_fail(NULL, &err);
		if (!adds && o->n > 1)
			tool_die("%s: only adapters of plain LoRA are merged with others",
			    files[i]);
	}
}

static int
merge(const struct merge *o, char **files, struct model *m, struct err *err)
{
	if (o->model != NULL) {
		for (int i = 0; i < o->n; i++)
			if (adapter_merge(m, files[i], o->weight[i], err) < 0)
				return -1;
		return 0;
	}
	for (int i = 1; i < o->n; i++)
		if (model_mix(m, i == 1 ? o->weight[0] : 1, files[i], o->weight[i], err) < 0)
			return -1;
	return 0;
}

static int
save(const struct merge *o, struct model *m, const char *from, struct err *err)
{
	char aside[MODEL_PATH];
	int ret;

	if (model_aside(o->output, aside, err) < 0)
		return -1;
	ret = model_save(m, aside, o->type, 0, err);
	if (ret == 0)
		ret = model_copy_tokenizer(from, aside, err);
	return model_settle(aside, o->output, ret, err);
}

int
main(int argc, char **argv)
{
	struct merge o = { .type = DTYPE_NONE };
	char **files = tool_start(&tool, argc, argv, &o);
	struct model m = { .writable = true };
	const char *first;
	struct team *team;
	struct dev *dev;
	struct err err;

	while (files[o.n] != NULL)
		if (++o.n > MOST)
			tool_die("more than %d operands", MOST);
	if (o.n < (o.model != NULL ? 1 : 2))
		tool_usage(o.model != NULL ? "no adapter" : "one model alone, and no -m DIR");
	read_weights(&o);
	first = o.model != NULL ? o.model : files[0];
	if (o.model != NULL)
		check_adapters(&o, files);
	if (o.output == NULL)
		tool_usage("no -o DIR");
	if ((team = team_new(tool_threads(o.threads, 0), &err)) == NULL ||
	    (dev = dev_open(tool_device(o.device), team, 0, &err)) == NULL ||
	    model_load(&m, first, dev, false, &err) < 0 || merge(&o, files, &m, &err) < 0 ||
	    save(&o, &m, first, &err) < 0)
		tool_fail(NULL, &err);
	model_free(&m);
	dev_close(dev);
	team_free(team);
	return tool_finish(0);
}
