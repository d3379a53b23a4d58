/*
 * llm-sweep - find a learning rate and a batch size
 *
 * Short trials of a model on packed shards: a range test of the rate, a grid of
 * rates, the gradient noise scale, or the largest pass that fits into memory.
 * A table of what was tried, and what it suggests.  Memory and time are those
 * of llm-train for as many steps; the noise scale computes gradients twice.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/stream.h"
#include "eval/curve.h"
#include "tool/tool.h"
#include "train/sweep.h"

enum { RATES = 64 };

struct sweeper {
	const char	*method, *model, *valid, *optimizer, *moments, *schedule, *rates;
	const char	*dtype, *recompute, *format, *output, *plot, *device;
	int64_t		 steps, batch, micro, memory, seed, threads;
	double		 from, to, decay, clip;
	bool		 quiet, verbose;
	struct sweep	 s;
	struct sweep_result r;
};

#define AT(field) offsetof(struct sweeper, field)

static const struct opt opts[] = {
	{ 't', "method", OPT_STR, AT(method), "NAME", "range, grid, batch or memory (range)" },
	{ 'm', "model", OPT_STR, AT(model), "DIR", "model to start each trial from" },
	{ 'n', "steps", OPT_I64, AT(steps), "N", "steps of a trial (100)", .min = 3, .max = 1e9 },
	{ 0, "from", OPT_F64, AT(from), "RATE", "lowest rate (1e-6; grid: 1e-4)",
	    .min = 1e-12, .max = 1e3 },
	{ 0, "to", OPT_F64, AT(to), "RATE", "highest rate (1; grid and batch: 1e-2, 1e-3)",
	    .min = 1e-12, .max = 1e3 },
	{ 0, "rates", OPT_STR, AT(rates), "R,...", "rates of a grid (from..to, factors of two)" },
	{ 0, "batch", OPT_I64, AT(batch), "TOKENS", "tokens a step (8192)", .min = 1, .max = 1e10 },
	{ 0, "micro", OPT_I64, AT(micro), "TOKENS",
	    "tokens a pass (at most 8192; batch: an eighth)",
	    .min = 1, .max = 1e9 },
	{ 0, "memory", OPT_BYTES, AT(memory), "SIZE", "what a pass may take in all",
	    .min = 1, .max = 9e18 },
	{ 0, "dtype", OPT_STR, AT(dtype), "TYPE", "compute in fp32, bf16 or fp16 (fp32)" },
	{ 0, "recompute", OPT_STR, AT(recompute), "WHAT", "none, cheap or block (none)" },
	{ 0, "optimizer", OPT_STR, AT(optimizer), "NAME",
	    "adamw, muon, lion or adafactor (adamw)" },
	{ 0, "moments", OPT_STR, AT(moments), "TYPE", "fp32, bf16 or 8bit (fp32)" },
	{ 0, "schedule", OPT_STR, AT(schedule), "NAME",
	    "of a grid: cosine, linear, wsd or constant (cosine)" },
	{ 0, "weight-decay", OPT_F64, AT(decay), "X", "decay of matrices (0.1)",
	    .min = 0, .max = 100 },
	{ 0, "clip", OPT_F64, AT(clip), "NORM", "largest gradient norm, 0: none (1)",
	    .min = 0, .max = 1e9 },
	{ 0, "valid", OPT_STR, AT(valid), "SHARD", "packed rows whose loss a grid compares" },
	{ 's', "seed", OPT_I64, AT(seed), "N", "seed of the order of rows (1)",
	    .min = 0, .max = 9e18 },
	{ 'F', "format", OPT_STR, AT(format), "NAME", "tsv or json (tsv)" },
	{ 'o', "output", OPT_STR, AT(output), "FILE", "where to write (standard output)" },
	{ 0, "plot", OPT_STR, AT(plot), "FILE", "an image too: a name in .png or .svg" },
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 'q', "quiet", OPT_FLAG, AT(quiet), .help = "show no progress" },
	{ 'v', "verbose", OPT_FLAG, AT(verbose), .help = "show progress off a terminal too" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-sweep", .synopsis = "-m DIR shard ...",
	.summary = "find a learning rate and a batch size", .opts = opts,
};

static bool
is(const struct sweeper *o, const char *method)
{
	return strcmp(o->method, method) == 0;
}

static void
progress(void *ctx, int64_t trial, int64_t step, double loss)
{
	const struct sweeper *o = ctx;
	char line[120];

	snprintf(line, sizeof(line), "trial %lld, step %lld of %lld, loss %.4f",
	    (long long)trial + 1, (long long)step, (long long)o->steps, loss);
	tool_progress(line, o->quiet, o->verbose);
}

/* The rates of a grid: as listed, or factors of two. */
static int
grid_rates(const struct sweeper *o, double *rate)
{
	int n = 0;

	if (o->rates == NULL) {
		for (double x = o->from; x <= o->to * 1.0001 && n < RATES; x *= 2)
			rate[n++] = x;
		return n;
	}
	for (const char *p = o->rates; ; p++) {
		char *end;

		if (n == RATES)
			tool_usage("--rates: more than %d", RATES);
		rate[n] = strtod(p, &end);
		if (end == p || !(rate[n] > 0) || !isfinite(rate[n]) ||
		    (*end != ',' && *end != '\0'))
			tool_usage("--rates: '%s' does not begin with a rate", p);
		n++;
		if (*end == '\0')
			return n;
		p = end;
	}
}

static void
set_up(struct sweeper *o, char **files)
{
	struct loader_options lo = { .seed = (uint64_t)o->seed, .shuffle = true };
	struct train_options *to = &o->s.o;
	char *valid = (char *)o->valid;
	struct err err;
	int n = 0;

	if (o->model == NULL)
		tool_usage("no -m DIR");
	if (!is(o, "range") && !is(o, "grid") && !is(o, "batch") && !is(o, "memory"))
		tool_usage("-t: '%s' is not range, grid, batch or memory", o->method);
	if (strcmp(o->format, "tsv") != 0 && strcmp(o->format, "json") != 0)
		tool_usage("-F: '%s' is not tsv or json", o->format);
	if (is(o, "memory") != (o->memory > 0))
		tool_usage("--memory SIZE goes with -t memory");
	if (is(o, "memory") && o->plot != NULL)
		tool_usage("--plot: -t memory has no curve");
	if (o->from <= 0)
		o->from = is(o, "grid") ? 1e-4 : 1e-6;
	if (o->to <= 0)
		o->to = is(o, "grid") ? 1e-2 : is(o, "batch") ? 1e-3 : 1;
	if (o->from >= o->to)
		tool_usage("--from is not below --to");
	*to = (struct train_options){ .batch = o->batch, .micro = o->micro, .beta1 = -1,
	    .beta2 = -1, .eps = 1e-8, .decay = o->decay, .clip = o->clip, .spike = 20,
	    .schedule = { .floor = 0.1, .decay = 0.2, .warmup = o->steps / 20 } };
	if (optimizer_parse(o->optimizer, &to->optimizer, &err) < 0 ||
	    moments_parse(o->moments, &to->moments, &err) < 0 || train_betas(to, &err) < 0 ||
	    compute_parse(o->dtype, &o->s.compute, &err) < 0 ||
	    recompute_parse(o->recompute, &to->recompute, &err) < 0 ||
	    schedule_parse(o->schedule, &to->schedule.shape, &err) < 0)
		tool_usage("%s", err.msg);
	while (files[n] != NULL)
		n++;
	if ((o->s.rows = loader_open(files, n, &lo, &err)) == NULL)
		tool_fail(NULL, &err);
	lo = (struct loader_options){ 0 };
	if (valid != NULL && (o->s.valid = loader_open(&valid, 1, &lo, &err)) == NULL)
		tool_fail(NULL, &err);
	if (is(o, "batch") && o->micro == 0)
		to->micro = o->batch / 8;
	o->s.model = o->model;
	o->s.steps = o->steps;
	o->s.progress = progress;
	o->s.ctx = o;
}

static void
member(struct buf *b, const char *key, double x)
{
	buf_fmt(b, isfinite(x) ? "\"%s\":%.9g" : "\"%s\":null", key, x);
}

/* The columns of this method, and what they suggest. */
static void
print(const struct sweeper *o, struct buf *b)
{
	const bool json = strcmp(o->format, "json") == 0, batch = is(o, "batch");
	const struct { const char *name; double value; bool here; } found[] = {
		{ "steepest", o->r.steepest, is(o, "range") },
		{ "safe", o->r.safe, is(o, "range") },
		{ "best", o->r.best, is(o, "range") || is(o, "grid") },
		{ "noise_scale", o->r.noise, batch },
		{ "micro", (double)o->r.micro, is(o, "memory") },
		{ "memory", (double)o->r.memory, is(o, "memory") },
	};

	if (json)
		buf_fmt(b, "{\"method\":\"%s\",\"points\":[", o->method);
	else if (o->r.n > 0)
		buf_fmt(b, batch ? "step\tloss\tnoise_scale\n" : "rate\tloss\tsmooth\n");
	for (int64_t i = 0; i < o->r.n; i++) {
		const struct sweep_point *p = &o->r.point[i];

		if (!json) {
			buf_fmt(b, "%.6g\t%.6f\t%.6g\n", p->x, p->loss,
			    batch ? p->noise : p->smooth);
			continue;
		}
		buf_fmt(b, i > 0 ? ",{" : "{");
		member(b, batch ? "step" : "rate", p->x);
		buf_fmt(b, ",");
		member(b, "loss", p->loss);
		buf_fmt(b, ",");
		member(b, batch ? "noise_scale" : "smooth", batch ? p->noise : p->smooth);
		buf_fmt(b, "}");
	}
	buf_fmt(b, json ? "]" : "");
	for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		if (!found[i].here)
			continue;
		buf_fmt(b, json ? "," : "# ");
		if (json)
			member(b, found[i].name, found[i].value);
		else
			buf_fmt(b, "%s\t%.9g\n", found[i].name, found[i].value);
	}
	buf_fmt(b, json ? "}\n" : "");
}

static void
write_out(const char *path, struct buf *b)
{
	struct out *out;
	struct err err;

	if (buf_ok(b, &err) < 0 ||
	    (out = out_open(path != NULL ? path : "-", (struct codec_spec){ 0 }, &err)) == NULL)
		tool_fail(NULL, &err);
	if (out_write(out, b->p, b->n, &err) < 0) {
		out_abort(out);
		tool_fail(NULL, &err);
	}
	if (out_commit(out, &err) < 0)
		tool_fail(NULL, &err);
}

static bool
ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && strcmp(s + n - m, end) == 0;
}

static void
draw(const struct sweeper *o)
{
	const bool batch = is(o, "batch");
	const int64_t n = o->r.n;
	double *xy = calloc(2 * (size_t)n, sizeof(*xy));
	struct curve c = { .x_label = batch ? "step" : "learning rate",
	    .y_label = batch ? "noise scale, tokens" : "loss, nats", .log_x = !batch,
	    .mark = is(o, "range") ? o->r.steepest : batch ? 0 : o->r.best,
	    .x = xy, .y = xy + n, .n = n };
	struct buf script = { 0 }, image = { 0 };
	struct err err;

	if (xy == NULL)
		tool_die("out of memory");
	for (int64_t i = 0; i < n; i++) {
		xy[i] = o->r.point[i].x;
		xy[n + i] = batch ? o->r.point[i].noise : o->r.point[i].smooth;
	}
	if (curve_script(&c, ends_in(o->plot, ".png") ? IMAGE_PNG : IMAGE_SVG, &script, &err) < 0 ||
	    gnuplot_run(buf_str(&script), &image, &err) < 0)
		tool_fail(o->plot, &err);
	write_out(o->plot, &image);
	buf_free(&script);
	buf_free(&image);
	free(xy);
}

static int
sweep(struct sweeper *o, struct err *err)
{
	double rate[RATES];

	if (is(o, "range"))
		return sweep_range(&o->s, o->from, o->to, &o->r, err);
	if (is(o, "batch"))
		return sweep_batch(&o->s, o->to, &o->r, err);
	if (is(o, "memory"))
		return sweep_memory(&o->s, o->memory, &o->r, err);
	return sweep_grid(&o->s, rate, grid_rates(o, rate), &o->r, err);
}

int
main(int argc, char **argv)
{
	struct sweeper o = { .method = "range", .format = "tsv", .dtype = "fp32",
	    .recompute = "none", .optimizer = "adamw", .moments = "fp32", .schedule = "cosine",
	    .steps = 100, .batch = 8192, .decay = 0.1, .clip = 1, .seed = 1 };
	char **files = tool_start(&tool, argc, argv, &o);
	struct buf text = { 0 };
	struct team *team;
	struct err err;

	if (o.plot != NULL && !ends_in(o.plot, ".png") && !ends_in(o.plot, ".svg"))
		tool_usage("--plot: '%s' ends in neither .png nor .svg", o.plot);
	set_up(&o, files);
	if ((team = team_new(tool_threads(o.threads, 0), &err)) == NULL ||
	    (o.s.dev = dev_open(tool_device(o.device), team, 0, &err)) == NULL)
		tool_fail(NULL, &err);
	if (sweep(&o, &err) < 0)
		tool_fail(NULL, &err);
	tool_progress(NULL, o.quiet, o.verbose);
	print(&o, &text);
	write_out(o.output, &text);
	if (o.plot != NULL)
		draw(&o);
	buf_free(&text);
	sweep_free(&o.r);
	loader_close(o.s.rows);
	loader_close(o.s.valid);
	dev_close(o.s.dev);
	team_free(team);
	return tool_finish(0);
}
