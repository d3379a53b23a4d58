/*
 * llm-prune - a model with zeros in place of the weights that matter least
 *
 * Reads a model and writes a directory of it: by size (magnitude) or by size
 * times the inputs of a text (wanda), a share of each row or two of every four
 * weights.  Memory: the model, and with a text the activations of a piece.
 */
#include <inttypes.h>
#include <string.h>

#include "model/prune.h"
#include "tool/calibrate.h"

struct job {
	struct calibrate calibrate;
	struct prune_options o;
	const char	*output, *method, *pattern, *device;
	int64_t		 threads;
	bool		 quiet, verbose;
};

#define AT(field) offsetof(struct job, field)

static const struct opt opts[] = {
	{ 't', "type", OPT_STR, AT(method), "NAME", "wanda or magnitude (wanda)" },
	{ 'o', "output", OPT_STR, AT(output), "DIR", "model directory to make" },
	{ 0, "share", OPT_F64, AT(o.share), "X", "of weights that become zeros (50%)",
	    .min = 0, .max = 0.99 },
	{ 0, "pattern", OPT_STR, AT(pattern), "NAME", "rows, or 2:4 (rows)" },
	CALIBRATE_OPTIONS(struct job, calibrate),
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 'q', "quiet", OPT_FLAG, AT(quiet), NULL, "no progress and no report" },
	{ 'v', "verbose", OPT_FLAG, AT(verbose), NULL, "progress without a terminal" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-prune", .synopsis = "-o DIR model",
	.summary = "put zeros in place of weights that matter little", .opts = opts,
};

static void
check(struct job *j, char **files)
{
	bool wanda = strcmp(j->method, "wanda") == 0;

	if (*files == NULL || files[1] != NULL)
		tool_usage(*files == NULL ? "no model" : "more than one model");
	if (j->output == NULL)
		tool_usage("no -o DIR");
	if (!wanda && strcmp(j->method, "magnitude") != 0)
		tool_usage("-t %s: not wanda or magnitude", j->method);
	if (wanda == (j->calibrate.text == NULL && j->calibrate.imatrix == NULL))
		tool_usage(wanda ? "wanda needs --calibrate FILE or --imatrix FILE" :
		    "magnitude takes no text");
	if (j->calibrate.text != NULL && j->calibrate.imatrix != NULL)
		tool_usage("--imatrix and --calibrate");
	j->o.two_of_four = strcmp(j->pattern, "2:4") == 0;
	if (!j->o.two_of_four && strcmp(j->pattern, "rows") != 0)
		tool_usage("--pattern %s: not rows or 2:4", j->pattern);
	if (j->o.two_of_four && tool_given("share"))
		tool_usage("--share with --pattern 2:4, which is half");
}

static void
prune(struct job *j, struct model *m, const char *path)
{
	struct prune_report r;
	char aside[MODEL_PATH];
	struct err err;
	int ret;

	j->o.imatrix = j->calibrate.im;
	if (model_prune(m, &j->o, &r, &err) < 0 || model_aside(j->output, aside, &err) < 0)
		tool_fail(NULL, &err);
	ret = model_save(m, aside, DTYPE_NONE, 0, &err);
	if (ret == 0)
		ret = model_copy_tokenizer(path, aside, &err);
	if (model_settle(aside, j->output, ret, &err) < 0)
		tool_fail(NULL, &err);
	if (r.blind > 0)
		tool_warn("%" PRId64 " of %" PRId64 " matrices by size alone: nothing is known of "
		    "their inputs", r.blind, r.matrices);
	if (!j->quiet)
		tool_warn("%" PRId64 " matrices, %.2f%% of their %" PRId64 " weights are zeros",
		    r.matrices, 100.0 * (double)r.zeros / (double)r.weights, r.weights);
}

int
main(int argc, char **argv)
{
	struct job j = { .calibrate = CALIBRATE_DEFAULTS, .method = "wanda", .pattern = "rows",
	    .o.share = 0.5 };
	char **files = tool_start(&tool, argc, argv, &j);
	struct model m = { .writable = true };
	struct team *team;
	struct dev *dev;
	struct err err;

	check(&j, files);
	j.calibrate.quiet = j.quiet;
	j.calibrate.verbose = j.verbose;
	if ((team = team_new(tool_threads(j.threads, 0), &err)) == NULL ||
	    (dev = dev_open(tool_device(j.device), team, 0, &err)) == NULL ||
	    model_load(&m, *files, dev, false, &err) < 0)
		tool_fail(NULL, &err);
	if (j.calibrate.imatrix != NULL)
		calibrate_load(&j.calibrate);
	if (j.calibrate.text != NULL)
		calibrate_run(&j.calibrate, &m, *files);
	prune(&j, &m, *files);
	calibrate_free(&j.calibrate);
	model_free(&m);
	dev_close(dev);
	team_free(team);
	return tool_finish(0);
}
