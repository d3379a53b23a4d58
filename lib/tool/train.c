#include "tool/train.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "dev/gpus.h"
#include "dev/profile.h"
#include "tool/settings.h"


#define AT(field) offsetof(struct train, field)
#define MANY 1e15

const struct opt train_options[] = {
	{ 'm', "model", OPT_STR, AT(model), "DIR", "model to start from" },
	{ 'o', "output", OPT_STR, AT(output), "RUN", "directory of the run" },
	{ 0, "continue", OPT_FLAG, AT(go_on), .help = "go on with the run when it exists" },
	{ 0, "override", OPT_FLAG, AT(override), .help = "go on with changed settings" },
	{ 0, "steps", OPT_I64, AT(steps), "N", "steps to train", .min = 1, .max = MANY },
	{ 0, "epochs", OPT_F64, AT(epochs), "X", "instead: times through the shards",
	    .min = 1e-6, .max = 1e6 },
	{ 0, "batch", OPT_I64, AT(batch), "TOKENS", "tokens a step (8192)", .min = 1, .max = 1e10 },
	{ 0, "batch-ramp", OPT_STR, AT(ramp), "T:N,...", "first N steps of T tokens, and so on" },
	{ 0, "micro", OPT_I64, AT(micro), "TOKENS", "tokens a pass (at most 8192)",
	    .min = 1, .max = 1e9 },
	{ 0, "dtype", OPT_STR, AT(dtype), "TYPE",
	    "type of matrices and activations: fp32, bf16 or fp16 (fp32)" },
	{ 0, "recompute", OPT_STR, AT(recompute), "WHAT",
	    "compute again rather than keep: none, cheap or block (none)" },
	{ 0, "optimizer", OPT_STR, AT(optimizer), "NAME",
	    "adamw, muon, lion or adafactor (adamw)" },
	{ 0, "moments", OPT_STR, AT(moments), "TYPE", "fp32, bf16 or 8bit (fp32)" },
	{ 0, "lr", OPT_F64, AT(rate), "RATE", "highest learning rate (1e-3)",
	    .min = 0, .max = 1e3 },
	{ 0, "schedule", OPT_STR, AT(schedule), "NAME",
	    "cosine, linear, wsd or constant (cosine)" },
	{ 0, "warmup", OPT_I64, AT(warmup), "N", "steps of warm-up (a fiftieth of all)",
	    .min = 0, .max = MANY },
	{ 0, "min-lr", OPT_F64, AT(floor), "PART", "part of the rate left at the end (0.1)",
	    .min = 0, .max = 1 },
	{ 0, "decay-part", OPT_F64, AT(decay_part), "PART",
	    "wsd: part of the steps that falls (0.2)",
	    .min = 0, .max = 1 },
	{ 0, "beta1", OPT_F64, AT(beta1), "X", "decay of the first moment (0.9)",
	    .min = 0, .max = 0.999999 },
	{ 0, "beta2", OPT_F64, AT(beta2), "X",
	    "decay of the second moment (0.95; lion: 0.99)", .min = 0, .max = 0.999999 },
	{ 0, "ema", OPT_F64, AT(ema), "X", "decay of a moving average of the weights (none)",
	    .min = 0, .max = 0.999999 },
	{ 0, "eps", OPT_F64, AT(eps), "X", "added to the root of the second (1e-8)",
	    .min = 0, .max = 1 },
	{ 0, "weight-decay", OPT_F64, AT(decay), "X", "decay of matrices (0.1)",
	    .min = 0, .max = 100 },
	{ 0, "clip", OPT_F64, AT(clip), "NORM", "largest gradient norm, 0: none (1)",
	    .min = 0, .max = 1e9 },
	{ 0, "dropout", OPT_F64, AT(dropout), "P", "of embeddings and residuals of GPT-2 (0)",
	    .min = 0, .max = 0.99 },
	{ 0, "fake-quant", OPT_STR, AT(fake_quant), "TYPE",
	    "train for weights of this type: q4_0, q8_0, q4_k ..." },
	{ 0, "z-loss", OPT_F64, AT(z_loss), "X", "weight of the squared log-sum-exp (0)",
	    .min = 0, .max = 1e3 },
	{ 0, "spike", OPT_F64, AT(spike), "X", "deviations above the median that skip a step, "
	    "0: never (20)", .min = 0, .max = 1e9 },
	{ 0, "aux-loss", OPT_F64, AT(router_aux), "X",
	    "factor of the experts' balance loss (the model's)", .min = 0, .max = 1e3 },
	{ 0, "router-z-loss", OPT_F64, AT(router_z), "X",
	    "factor of the routers' squared log-sum-exp (0)", .min = 0, .max = 1e3 },
	{ 0, "balance-rate", OPT_F64, AT(balance_rate), "X",
	    "what a step moves biases of experts by (1e-3 where there are any)",
	    .min = 0, .max = 1 },
	{ 0, "mtp", OPT_F64, AT(ahead), "X",
	    "factor of losses of tokens further ahead (0.1 where a model predicts them)",
	    .min = 0, .max = 1e3 },
	{ 0, "weights", OPT_STR, AT(weights), "W,...", "share of each shard (by its rows)" },
	{ 0, "no-shuffle", OPT_FLAG, AT(no_shuffle), .help = "take rows in file order" },
	{ 's', "seed", OPT_I64, AT(seed), "N", "seed of the order of rows (1)",
	    .min = 0, .max = 9e18 },
	{ 0, "valid", OPT_STR, AT(valid), "SHARD", "packed rows to validate on" },
	{ 0, "valid-every", OPT_I64, AT(valid_every), "N",
	    "steps between validations (as --save-every)", .min = 1, .max = MANY },
	{ 0, "patience", OPT_I64, AT(patience), "N", "stop after N validations without gain",
	    .min = 1, .max = MANY },
	{ 0, "save-every", OPT_I64, AT(save_every), "N", "steps between checkpoints",
	    .min = 1, .max = MANY },
	{ 0, "save-time", OPT_TIME, AT(save_time), "TIME", "time between checkpoints (15m)",
	    .min = 1, .max = 1e9 },
	{ 0, "keep", OPT_I64, AT(keep), "N", "newest checkpoints to keep, 0: all (3)",
	    .min = 0, .max = 1e6 },
	{ 0, "sample-every", OPT_I64, AT(sample_every), "N",
	    "steps between sampled texts in the log", .min = 1, .max = MANY },
	{ 0, "prompt", OPT_STR, AT(prompt), "TEXT", "what they begin with (nothing)" },
	{ 0, "max-time", OPT_TIME, AT(max_time), "TIME", "save and end after this time",
	    .min = 1, .max = 1e9 },
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 0, "wait", OPT_TIME, AT(wait), "TIME", "for other ranks to come (5m)",
	    .min = 0, .max = 1e9 },
	{ 0, "dry-run", OPT_FLAG, AT(dry), .help = "print sizes, memory and FLOPs; train nothing" },
	{ 0, "profile", OPT_STR, AT(profile), "FILE",
	    "time each kernel: a trace, and a table at the end" },
	{ 'q', "quiet", OPT_FLAG, AT(quiet), .help = "show no progress" },
	{ 'v', "verbose", OPT_FLAG, AT(verbose), .help = "show progress off a terminal too" },
	{ 0 }
};

/* What a run keeps in run.json; the other options are each call's own. */
static const char *const kept_by_all[] = {
	"model", "steps", "epochs", "batch", "batch-ramp", "micro", "dtype", "optimizer",
	"moments", "lr", "schedule", "warmup", "min-lr", "decay-part", "beta1", "beta2", "eps",
	"ema", "z-loss", "weight-decay", "clip", "spike", "aux-loss", "router-z-loss",
	"dropout", "fake-quant",
	"balance-rate", "mtp", "weights", "no-shuffle", "seed", "valid", "valid-every",
	"patience", "save-every", "save-time", "keep", "sample-every", "prompt", NULL
};


/* The one signal of each kind that came; read between steps. */
static volatile sig_atomic_t got_stop, got_save;

static void
on_signal(int sig)
{
	if (sig == SIGUSR1)
		got_save = 1;
	else
		got_stop = sig;
}

static enum run_wish
wish(void *ctx)
{
	(void)ctx;
	if (got_stop != 0)
		return RUN_STOP;
	if (!got_save)
		return RUN_GO;
	got_save = 0;
	return RUN_SAVE;
}

static void
progress(void *ctx, int64_t step, const struct train_report *r, double rate)
{
	struct train *o = ctx;
	char line[200];

	if (!progress_due(&o->progress))
		return;
	snprintf(line, sizeof(line), "step %lld of %lld, loss %.4f, %.0f tokens/s, %.0f s left",
	    (long long)step, (long long)o->steps, r->loss, rate,
	    rate > 0 ? (double)(o->steps - step) * (double)o->batch / rate : 0);
	tool_progress(line, o->quiet, o->verbose);
}

/* The directory that the model is in: an adapter's stays where it was. */
static const char *
model_from(const struct train *o)
{
	return o->run.from[0] != '\0' && o->type == NULL ? o->run.from : o->model;
}

static int
copy_tokenizer(void *ctx, const char *dir, struct err *err)
{
	const struct train *o = ctx;

	return model_copy_tokenizer(model_from(o), dir, err);
}

static json_t *
sample(void *ctx, int64_t step, struct err *err)
{
	const struct train *o = ctx;

	return sampling_text(o->sampling, step, err);
}

static void
complain(void *ctx, const char *message)
{
	(void)ctx;
	tool_warn("%s", message);
}

/* The options that a run keeps: those that were given, or all. */
static json_t *
settings(const struct train *o, bool given)
{
	json_t *s = settings_get(o->tool, o, kept_by_all, given), *own;

	if (o->kept == NULL || s == NULL)
		return s;
	own = settings_get(o->tool, o, o->kept, given);
	if (own == NULL || json_object_update(s, own) < 0) {
		json_decref(s);
		s = NULL;
	}
	json_decref(own);
	return s;
}

/* Meet the other ranks, if a launcher started any.  Only the first is heard of. */
static void
meet(struct train *o)
{
	struct ranks r;
	struct err err;

	if (ranks_find(&r, getenv, &err) < 0)
		tool_fail(NULL, &err);
	if (r.size == 1)
		return;
	if ((o->comm = comm_open(&r, o->wait, &err)) == NULL)
		tool_fail(NULL, &err);
	o->local = r.local;
	if (r.rank == 0)
		return;
	o->quiet = true;
	o->profile = NULL;
}

/* All that the ranks must have in common. */
static void
compare_ranks(struct train *o)
{
	char *text = json_dumps(o->run.settings, JSON_COMPACT | JSON_SORT_KEYS);
	struct err err;

	if (text == NULL)
		tool_die("out of memory");
	if (comm_same(o->comm, hash64(str_of(text)), "settings", &err) < 0 ||
	    comm_same(o->comm, (uint64_t)o->run.step, "checkpoints", &err) < 0)
		tool_fail(o->output, &err);
	free(text);
}

/*
 * Open or start the run, with the settings it was started with, and its data.
 * Other ranks than the first read what that one wrote.
 */
static void
open_run(struct train *o, char **files)
{
	bool first = comm_rank(o->comm) == 0;
	unsigned flags = (o->go_on || !first ? RUN_CONTINUE : 0) |
	    (o->override ? RUN_OVERRIDE : 0) | (o->type != NULL ? RUN_BASE : 0) |
	    (o->dry || !first ? RUN_LOOK : 0);
	json_t *given, *all;
	struct err err;

	if (o->output == NULL)
		tool_usage("no -o RUN");
	if (tool_given("steps") && tool_given("epochs"))
		tool_usage("--steps and --epochs are one too many");
	given = settings(o, true);
	all = settings(o, false);
	if (given == NULL || all == NULL)
		tool_die("out of memory");
	if ((!first && comm_barrier(o->comm, &err) < 0) || run_open(&o->run, o->output, given,
	    all, files, flags, first ? complain : NULL, &err) < 0)
		tool_fail(NULL, &err);
	if (settings_put(o->tool, o, o->run.settings, &err) < 0)
		tool_fail(o->output, &err);
	json_decref(given);
	json_decref(all);
	if (o->steps == 0 && o->epochs == 0)
		tool_usage("no --steps N and no --epochs X");
	if (run_data(&o->run, (uint64_t)o->seed, !o->no_shuffle, o->weights, &err) < 0 ||
	    (first && comm_barrier(o->comm, &err) < 0))
		tool_fail(NULL, &err);
	compare_ranks(o);
}

/* The run's adapter, or a new one; NULL without. */
static void
open_adapter(struct train *o)
{
	struct adapter_options ao = { .rslora = o->rslora, .rank = o->rank, .alpha = o->alpha,
	    .targets = o->targets, .rank_pattern = o->rank_pattern,
	    .alpha_pattern = o->alpha_pattern, .base = o->model, .seed = (uint64_t)o->seed };
	struct err err;

	if (o->type == NULL)
		return;
	if (adapter_parse(o->type, &ao.type, &err) < 0)
		tool_usage("--type: %s", err.msg);
	if (ao.alpha <= 0)
		ao.alpha = 2 * (double)ao.rank;
	o->m.adapter = o->run.from[0] != '\0' ? adapter_open(o->run.from, &err) :
	    adapter_new(&ao, &err);
	if (o->m.adapter == NULL)
		tool_fail(NULL, &err);
}

static void
read_options(struct train *o, struct train_options *to)
{
	const struct shard_info *info = loader_info(o->run.rows);
	struct err err;

	*to = (struct train_options){
		.comm = o->comm, .batch = o->batch, .micro = o->micro,
		.schedule = { .peak = o->rate, .floor = o->floor, .decay = o->decay_part },
		.beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps, .decay = o->decay,
		.ema = o->ema, .z_loss = o->z_loss, .clip = o->clip, .spike = o->spike,
		.dropout = o->dropout, .seed = (uint64_t)o->seed,
		.router_aux = o->router_aux, .router_z = o->router_z,
		.balance_rate = o->balance_rate, .ahead = o->ahead,
	};
	if (ramp_parse(o->ramp, &to->ramp, &err) < 0)
		tool_usage("--batch-ramp: %s", err.msg);
	if (o->epochs > 0)
		o->steps = ramp_steps(&to->ramp, o->batch,
		    o->epochs * (double)info->rows * info->row_len);
	o->tokens = ramp_before(&to->ramp, o->batch, o->steps);
	to->schedule.steps = o->steps;
	to->schedule.warmup = o->warmup >= 0 ? o->warmup : o->steps / 50;
	if (optimizer_parse(o->optimizer, &to->optimizer, &err) < 0 ||
	    moments_parse(o->moments, &to->moments, &err) < 0 || train_betas(to, &err) < 0 ||
	    compute_parse(o->dtype, &o->m.params.compute, &err) < 0 ||
	    recompute_parse(o->recompute, &to->recompute, &err) < 0 ||
	    schedule_parse(o->schedule, &to->schedule.shape, &err) < 0)
		tool_usage("%s", err.msg);
	if (o->fake_quant != NULL &&
	    dtype_block(to->fake_quant = dtype_parse(str_of(o->fake_quant))) == 1)
		tool_usage("--fake-quant %s: no type of blocks", o->fake_quant);
	if (o->fake_quant != NULL && (o->m.adapter != NULL || o->m.params.compute == DTYPE_BF16 ||
	    o->m.params.compute == DTYPE_F16))
		tool_usage("--fake-quant trains whole models in fp32");
}

static struct trainer *
make_trainer(struct train *o, struct dev *dev, const struct train_options *to)
{
	struct trainer *t;
	struct err err;

	if (model_load(&o->m, model_from(o), dev, true, &err) < 0 ||
	    (t = trainer_new(&o->m, o->run.rows, o->run.valid, to, &err)) == NULL)
		tool_fail(NULL, &err);
	if (o->run.from[0] != '\0' && trainer_restore(t, o->run.from, &err) < 0)
		tool_fail(NULL, &err);
	return t;
}

/* What the run would do and take, without a model in memory. */
static void
print_plan(struct train *o, struct dev *dev, const struct train_options *to)
{
	int64_t len = loader_info(o->run.rows)->row_len, samples = 0;
	char flops[32], mem[32];
	struct train_memory r;
	struct config c;
	struct err err;

	if (config_load(&c, model_from(o), &err) < 0 || model_declare(&o->m, &c, &err) < 0 ||
	    train_memory(&o->m, dev, to, len,
	    o->run.valid != NULL ? loader_info(o->run.valid)->row_len : 0, &r, &err) < 0 ||
	    (o->sample_every > 0 && (samples = sampling_bytes(&o->m, &err)) < 0))
		tool_fail(NULL, &err);
	human_count(flops, sizeof(flops), 3 * (double)o->batch * config_flops(&c, len / 2));
	human_bytes(mem, sizeof(mem), (double)(r.total + samples));
	printf("parameters\t%lld\nsteps\t%lld\ntokens\t%lld\nstart at step\t%lld\n"
	    "FLOPs a step\t%s\nmemory\t%s\t%lld\n", (long long)config_params(&c),
	    (long long)o->steps, (long long)o->tokens, (long long)o->run.step, flops,
	    mem, (long long)(r.total + samples));
	printf("of parameters\t%lld\nof gradients\t%lld\nof the optimizer\t%lld\n"
	    "of a pass\t%lld\nof validation\t%lld\nof samples\t%lld\nof kernels\t%lld\n"
	    "of the program\t%lld\n", (long long)r.parameters, (long long)r.gradients,
	    (long long)r.optimizer, (long long)r.activations, (long long)r.validation,
	    (long long)samples, (long long)r.kernels, (long long)r.host);
}

/* What a run is asked for besides; only the first rank is. */
static struct run_options
run_options(struct train *o)
{
	return (struct run_options){
		.comm = o->comm, .steps = o->steps, .save_every = o->save_every,
		.save_seconds = o->save_time,
		.valid_every = o->valid_every > 0 ? o->valid_every : o->save_every,
		.max_seconds = o->max_time, .keep = o->keep, .patience = o->patience,
		.sample_every = comm_rank(o->comm) == 0 ? o->sample_every : 0, .sample = sample,
		.wish = wish, .extra = copy_tokenizer, .progress = progress, .ctx = o,
	};
}

static enum run_end
train(struct train *o, struct dev *dev, const struct train_options *to)
{
	struct run_options ro = run_options(o);
	struct trainer *t = make_trainer(o, dev, to);
	struct profile *profile = NULL;
	enum run_end end = RUN_DONE;
	struct err err;

	if (ro.sample_every > 0 && (o->sampling = sampling_new(&o->m, model_from(o), o->prompt,
	    (uint64_t)o->seed, &err)) == NULL)
		tool_fail("--sample-every", &err);
	progress_start(&o->progress, 1);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGUSR1, on_signal);
	if (o->profile != NULL && (profile = profile_start(dev, &err)) == NULL)
		tool_fail(NULL, &err);
	if (run_train(&o->run, t, &ro, &end, &err) < 0) {
		tool_progress(NULL, o->quiet, o->verbose);
		tool_fail(o->output, &err);
	}
	tool_progress(NULL, o->quiet, o->verbose);
	if (profile != NULL && profile_report(profile, o->m.params.compute, o->profile,
	    stderr, &err) < 0)
		tool_fail(NULL, &err);
	sampling_free(o->sampling);
	trainer_free(t);
	return end;
}

/*
 * Of several ranks each takes a GPU of its own; where a launcher shows each only
 * its own one, that is the first for all.
 */
static const char *
device_of(const struct train *o, char own[32])
{
	const char *name = tool_device(o->device);
	bool tf32 = strcmp(name, "cuda:tf32") == 0;
	int gpus = 0;

	if (o->comm != NULL && (tf32 || strcmp(name, "cuda") == 0 || strcmp(name, "auto") == 0))
		gpus = dev_gpus();
	if (gpus == 0)
		return name;
	snprintf(own, 32, "cuda:%d%s", o->local % gpus, tf32 ? ":tf32" : "");
	return own;
}

int
train_main(const struct tool *tool, const char *const *kept, int argc, char **argv,
    struct train *o)
{
	char **files = tool_start(tool, argc, argv, o);
	enum run_end end = RUN_DONE;
	struct train_options to;
	struct team *team;
	struct dev *dev;
	struct err err;
	char own[32];

	o->tool = tool;
	o->kept = kept;
	meet(o);
	/* First, so that a device that is not there leaves no run behind. */
	if ((team = team_new(tool_threads(o->threads, 0), &err)) == NULL ||
	    (dev = dev_open(device_of(o, own), team, 0, &err)) == NULL ||
	    dev_join(dev, o->comm, &err) < 0)
		tool_fail(NULL, &err);
	open_run(o, files);
	open_adapter(o);
	read_options(o, &to);
	if (!o->dry)
		end = train(o, dev, &to);
	else if (comm_rank(o->comm) == 0)
		print_plan(o, dev, &to);
	adapter_free(o->m.adapter);
	model_free(&o->m);
	run_close(&o->run);
	dev_close(dev);
	team_free(team);
	if (comm_barrier(o->comm, &err) < 0)
		tool_fail(o->output, &err);
	comm_close(o->comm);
	if (end == RUN_STOPPED) {
		/* Die of the signal, so that the caller knows; another rank may have had it. */
		int sig = got_stop != 0 ? got_stop : SIGTERM;

		signal(sig, SIG_DFL);
		raise(sig);
	}
	return tool_finish(0);
}
