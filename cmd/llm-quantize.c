/*
 * llm-quantize - a model with smaller weights
 *
 * Reads a model directory or a GGUF file and writes a GGUF file whose weights
 * are of fewer bits: of one of llama.cpp's mixes of types, or under a budget of
 * bits; or a directory with weights of FP8, or of eight or four bits.  How much
 * each column matters comes from a text (--calibrate) or from a file of such
 * sums (--imatrix), which it also makes.  Memory: the largest tensor as fp32;
 * with --calibrate the model and the activations of a piece; with --valid the
 * model before and after, and the logits of a piece.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/stream.h"
#include "model/quantize.h"
#include "tool/calibrate.h"
#include "tool/report.h"

enum { RULES = 64 };

struct job {
	struct quantize_options o;
	struct calibrate calibrate;
	struct report	report;
	const char	*type, *output, *device;
	const char	*rule[RULES];
	int64_t		 threads, memory;
	bool		 gptq, quiet, verbose;
	bool		 own;		/* to a directory */
	/* at work */
	const char	*path;
	struct team	*team;
	struct dev	*dev;		/* with --calibrate, as is */
	struct model	 m;
	int64_t		 done, total;	/* bytes written, of all */
	struct progress	 progress;
};

#define AT(field) offsetof(struct job, field)

static int
add_rule(void *into, const char *arg, struct err *err)
{
	struct quantize_options *o = into;
	struct job *j = (struct job *)((char *)into - AT(o));

	if (o->n_rules == RULES)
		return err_set(err, ERR_LIMIT, "more than %d", RULES);
	j->rule[o->n_rules++] = arg;
	return 0;
}

static const struct opt opts[] = {
	{ 't', "type", OPT_STR, AT(type), "NAME", "q4_k_m, fp8, w8a8, w4a16 ...: see the manual" },
	{ 'o', "output", OPT_STR, AT(output), "FILE", "file or directory to write" },
	{ 0, "bits", OPT_F64, AT(o.bits), "N", "choose types for so many bits a weight",
	    .min = 0.5, .max = 32 },
	{ 0, "tensor", OPT_CALL, AT(o), "REGEX=TYPE", "type of the tensors that match",
	    .call = add_rule },
	{ 0, "group", OPT_I64, AT(o.group), "N", "w4a16: weights that share a scale (128)",
	    .min = 32, .max = 128 },
	{ 0, "pure", OPT_FLAG, AT(o.pure), NULL, "one type for all, not a mix" },
	{ 0, "allow-requantize", OPT_FLAG, AT(o.again), NULL, "quantize what is already" },
	CALIBRATE_OPTIONS(struct job, calibrate),
	{ 0, "awq", OPT_FLAG, AT(o.awq), NULL, "scale columns by their inputs before rounding" },
	{ 0, "smooth", OPT_F64, AT(o.smooth), "A",
	    "scale columns by their inputs to this power, with --calibrate",
	    .min = 0.01, .max = 0.99 },
	{ 0, "gptq", OPT_FLAG, AT(gptq), NULL,
	    "let errors make up for each other, with --calibrate" },
	{ 0, "memory", OPT_BYTES, AT(memory), "SIZE", "for sums of inputs at a time (1G)",
	    .min = 1 << 20, .max = 1e15 },
	{ 0, "report", OPT_STR, AT(report.path), "FILE", "write what became of each tensor" },
	{ 0, "valid", OPT_STR, AT(report.valid), "FILE",
	    "report: text to measure each layer's part on" },
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 'q', "quiet", OPT_FLAG, AT(quiet), NULL, "no progress" },
	{ 'v', "verbose", OPT_FLAG, AT(verbose), NULL, "progress without a terminal, and sizes" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-quantize", .synopsis = "-o FILE model",
	.summary = "make a model's weights smaller", .opts = opts,
};

static void
calibrate(struct job *j)
{
	struct err err;

	j->calibrate.keep = j->gptq || j->o.clip;
	j->calibrate.quiet = j->quiet;
	j->calibrate.verbose = j->verbose;
	if ((j->dev = dev_open(tool_device(j->device), j->team, 0, &err)) == NULL ||
	    model_load(&j->m, j->path, j->dev, false, &err) < 0)
		tool_fail(NULL, &err);
	calibrate_run(&j->calibrate, &j->m, j->path);
}

static void
wrote(void *ctx, const struct quantize_tensor *t)
{
	struct job *j = ctx;

	j->done += t->bytes;
	tool_progress_of(&j->progress, j->done, "bytes", j->done, j->total, j->quiet, j->verbose);
}

static int
save_directory(struct job *j, struct quantize *q, struct err *err)
{
	char aside[MODEL_PATH];
	int ret;

	if (model_aside(j->output, aside, err) < 0)
		return -1;
	ret = quantize_save(q, aside, wrote, j, err);
	if (ret == 0)
		ret = model_copy_tokenizer(j->path, aside, err);
	return model_settle(aside, j->output, ret, err);
}

static void
begin_report(struct job *j)
{
	struct report *r = &j->report;

	r->device = j->device;
	r->field = j->calibrate.field;
	r->context = j->calibrate.context;
	r->quiet = j->quiet;
	r->verbose = j->verbose;
	r->team = j->team;
	report_begin(r, j->path);
}

static void
quantize(struct job *j)
{
	struct calibrate *c = &j->calibrate;
	struct export x = { .n = 0 };
	struct quantize *q;
	int64_t elements = 0;
	struct err err;

	j->o.type = j->type != NULL ? j->type : "q4_k_m";
	j->o.rule = j->rule;
	j->o.imatrix = c->im;
	if (c->keep && (j->o.grams = grams_new(c->in, (const uint32_t *)(void *)c->run.p,
	    c->run.n / 4, c->context, j->memory, &err)) == NULL)
		tool_fail(NULL, &err);
	if ((j->own ? export_open_own : export_open)(&x, j->path, &err) < 0 ||
	    (q = quantize_plan(&x, &j->o, j->team, &err)) == NULL)
		tool_fail(NULL, &err);
	for (int i = 0; i < quantize_count(q); i++) {
		j->total += quantize_at(q, i)->bytes;
		elements += quantize_at(q, i)->n;
	}
	if ((j->own ? save_directory(j, q, &err) :
	    quantize_save(q, j->output, wrote, j, &err)) < 0)
		tool_fail(NULL, &err);
	tool_progress(NULL, j->quiet, j->verbose);
	if (j->verbose)
		tool_warn("%" PRId64 " bytes of weights, %.3f bits each", j->total,
		    8.0 * (double)j->total / (double)elements);
	grams_free(j->o.grams);
	calibrate_free(c);
	if (j->report.path != NULL)
		report_write(&j->report, q, j->output);
	quantize_free(q);
	export_close(&x);
}

/* Options that a type takes nothing of. */
static void
refuse(const char *type, const char *const *name)
{
	for (; *name != NULL; name++)
		if (tool_given(*name))
			tool_usage("-t %s has no use for --%s", type, *name);
}

/* Before a text runs, what would fail after. */
static void
check_own(const struct job *j)
{
	static const char *const none[] = { "bits", "tensor", "pure", NULL };
	/* A row's largest number is its scale, whatever matters. */
	static const char *const search[] = { "imatrix", "awq", "gptq", "memory", NULL };
	static const char *const text[] = { "calibrate", "tokens", NULL };
	bool groups = j->type != NULL && strcasecmp(j->type, "w4a16") == 0;

	if (!groups && tool_given("group"))
		tool_usage("--group is for -t w4a16");
	if (!j->own)
		return;
	refuse(j->type, none);
	if (!groups)
		refuse(j->type, search);
	if (!groups && !tool_given("smooth"))
		refuse(j->type, text);
	if (j->o.group != 32 && j->o.group != 64 && j->o.group != 128)
		tool_usage("--group %" PRId64 ": 32, 64 or 128", j->o.group);
	if (access(j->output, F_OK) == 0)
		tool_die("%s: exists", j->output);
}

int
main(int argc, char **argv)
{
	struct job j = { .calibrate = CALIBRATE_DEFAULTS, .memory = (int64_t)1 << 30,
	    .o.group = 128 };
	char **files = tool_start(&tool, argc, argv, &j);
	bool types = j.type != NULL || j.o.bits > 0;
	struct err err;

	if (*files == NULL || files[1] != NULL)
		tool_usage(*files == NULL ? "no model" : "more than one model");
	if (j.output == NULL)
		tool_usage("no -o FILE");
	j.path = *files;
	j.own = j.type != NULL && quantize_own(j.type);
	check_own(&j);
	if (j.calibrate.imatrix != NULL && j.calibrate.text != NULL)
		tool_usage("--imatrix and --calibrate");
	if (j.o.awq && (!types || (j.calibrate.text == NULL && j.calibrate.imatrix == NULL)))
		tool_usage("--awq needs a type, and --calibrate FILE or --imatrix FILE");
	if (j.o.smooth > 0 && (!types || j.calibrate.text == NULL || j.o.awq))
		tool_usage("--smooth needs a type and --calibrate FILE, and no --awq");
	if (j.gptq && (!types || j.calibrate.text == NULL))
		tool_usage("--gptq needs a type and --calibrate FILE");
	j.o.clip = j.o.awq && !j.gptq && j.calibrate.text != NULL;
	if (!j.gptq && !j.o.clip && tool_given("memory"))
		tool_usage("--memory is for --gptq, and --awq with --calibrate FILE");
	if (j.report.path == NULL && j.report.valid != NULL)
		tool_usage("--valid is for --report");
	if (!types && j.report.path != NULL)
		tool_usage("--report needs a type");
	if (!types && j.calibrate.text == NULL)
		tool_usage("no -t NAME, --bits N or --calibrate FILE");
	progress_start(&j.progress, 0.5);
	if ((j.team = team_new(tool_threads(j.threads, 0), &err)) == NULL)
		tool_fail(NULL, &err);
	begin_report(&j);
	if (j.calibrate.imatrix != NULL)
		calibrate_load(&j.calibrate);
	if (j.calibrate.text != NULL)
		calibrate(&j);
	if (types)
		quantize(&j);
	else if (imatrix_save(j.calibrate.im, j.output, j.calibrate.text, j.calibrate.seen,
	    &err) < 0)
		tool_fail(NULL, &err);
	calibrate_free(&j.calibrate);
	report_free(&j.report);
	model_free(&j.m);
	if (j.dev != NULL)
		dev_close(j.dev);
	team_free(j.team);
	return tool_finish(0);
}
