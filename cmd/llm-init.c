/*
 * llm-init - make a model: sizes, random weights, and a trial of them
 *
 * Takes the shape of a model from options, a rule, or a config.json; says what
 * it will cost to train and to serve; fills its weights by the seed, runs one
 * forward and backward pass on random tokens, and writes a directory that
 * llm-train and Hugging Face's Auto classes open.  Weights are a function of
 * the seed and the tensors' names alone.  Memory: 8 bytes a parameter.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/sizes.h"
#include "token/tokenizer.h"
#include "tool/tool.h"
#include "train/trainer.h"

struct init {
	const char	*arch, *config, *tokenizer, *output, *format, *device;
	int64_t		 params, seed, threads;
	int64_t		 layers, width, heads, kv_heads, head_dim, ffn, context, vocab, window;
	int64_t		 experts, top, expert_ffn, shared, ahead;
	double		 rope_theta, norm_eps, init_std;
	bool		 tied, untied, dry, quiet;
	struct config	 c;
	struct model_cost cost;
	struct train_memory train;
	struct model_trial trial;
};

#define AT(field) offsetof(struct init, field)
#define SIZE_MAX_OPT 2147483647

static int
set_tied(void *into, const char *arg, struct err *err)
{
	struct init *o = into;

	o->tied = strcmp(arg, "yes") == 0;
	o->untied = strcmp(arg, "no") == 0;
	if (!o->tied && !o->untied)
		return err_set(err, ERR_ARG, "is yes or no, not '%s'", arg);
	return 0;
}

#define SIZE_OPT(n, field, text) \
	{ 0, n, OPT_I64, AT(field), "N", text, .min = 1, .max = SIZE_MAX_OPT }

static const struct opt opts[] = {
	{ 'a', "arch", OPT_STR, AT(arch), "NAME",
	    "architecture: llama, gpt2, gemma3 ... (llama)" },
	{ 'c', "config", OPT_STR, AT(config), "FILE", "take sizes from this config.json" },
	{ 'n', "params", OPT_I64, AT(params), "N", "choose sizes for about N parameters",
	    .min = 1, .max = 1e13 },
	SIZE_OPT("layers", layers, "layers"),
	SIZE_OPT("width", width, "width of the residual stream"),
	SIZE_OPT("heads", heads, "attention heads (width / 64)"),
	SIZE_OPT("kv-heads", kv_heads, "heads of keys and values (at most half of them)"),
	SIZE_OPT("head-dim", head_dim, "width of a head (width / heads)"),
	SIZE_OPT("ffn", ffn, "inner width of the feed-forward part (8/3 of width)"),
	SIZE_OPT("context", context, "longest sequence (1024)"),
	SIZE_OPT("window", window, "tokens that local layers see (the architecture's)"),
	SIZE_OPT("experts", experts, "experts of a layer (the architecture's)"),
	SIZE_OPT("experts-per-token", top, "of them that a token passes (the architecture's)"),
	SIZE_OPT("expert-ffn", expert_ffn,
	    "inner width of an expert (ffn over those a token passes)"),
	SIZE_OPT("shared-experts", shared, "more of them that all tokens pass (1 in deepseek)"),
	SIZE_OPT("mtp", ahead, "layers that predict tokens further ahead, in deepseek-v3 (0)"),
	SIZE_OPT("vocab", vocab, "size of the vocabulary (the tokenizer's)"),
	{ 0, "rope-theta", OPT_F64, AT(rope_theta), "X", "base of rotary positions (10000)",
	    .min = 1, .max = 1e12 },
	{ 0, "norm-eps", OPT_F64, AT(norm_eps), "X", "added to a norm's mean square (1e-5)",
	    .min = 1e-12, .max = 1 },
	{ 0, "init-std", OPT_F64, AT(init_std), "X", "deviation of random weights (0.02)",
	    .min = 1e-9, .max = 10 },
	{ 0, "tied", OPT_CALL, 0, "yes|no", "use the embedding as the head too (yes)",
	    .call = set_tied },
	{ 'm', "model", OPT_STR, AT(tokenizer), "DIR", "copy the tokenizer of this directory" },
	{ 's', "seed", OPT_I64, AT(seed), "N", "seed of the weights (1)", .min = 0, .max = 9e18 },
	{ 'o', "output", OPT_STR, AT(output), "DIR", "directory to make" },
	{ 'F', "format", OPT_STR, AT(format), "NAME", "report as table or json (table)" },
	{ 0, "dry-run", OPT_FLAG, AT(dry), .help = "only report; write and try nothing" },
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 'q', "quiet", OPT_FLAG, AT(quiet), .help = "print no report" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-init", .synopsis = "[-a NAME | -c FILE] [-n N] -o DIR",
	.summary = "make a model with random weights", .opts = opts,
};

/* ---- the config ---- */

/* Sizes that were given stand above those of -c. */
static void
apply_options(struct init *o)
{
	const struct { int64_t given, *size; } size[] = {
		{ o->layers, &o->c.layers }, { o->width, &o->c.width },
		{ o->heads, &o->c.heads }, { o->kv_heads, &o->c.kv_heads },
		{ o->head_dim, &o->c.head_dim }, { o->ffn, &o->c.ffn },
		{ o->context, &o->c.context }, { o->vocab, &o->c.vocab },
		{ o->window, &o->c.window },
		{ o->experts, &o->c.router.experts }, { o->top, &o->c.router.top },
		{ o->expert_ffn, &o->c.expert_ffn }, { o->shared, &o->c.shared_experts },
		{ o->ahead, &o->c.ahead },
	};

	for (size_t i = 0; i < sizeof(size) / sizeof(*size); i++)
		if (size[i].given > 0)
			*size[i].size = size[i].given;
	if (tool_given("rope-theta"))
		o->c.rope_theta = o->rope_theta;
	if (tool_given("norm-eps"))
		o->c.norm_eps = o->norm_eps;
	if (tool_given("init-std"))
		o->c.init_std = o->init_std;
	if (o->tied || o->untied)
		o->c.tied = o->tied;
}

static void
take_tokenizer(struct init *o)
{
	struct err err;
	struct tokenizer *t = model_tokenizer(o->tokenizer, &err);
	int n;

	if (t == NULL)
		tool_fail(NULL, &err);
	n = tokenizer_vocab(t);
	o->c.bos = tokenizer_bos(t);
	o->c.eos = tokenizer_eos(t);
	o->c.n_eos_more = 0;
	tokenizer_free(t);
	if (o->c.vocab == 0)
		o->c.vocab = n;
	if (o->c.vocab < n)
		tool_die("%s: has %d tokens, more than the model's %" PRId64, o->tokenizer,
		    n, o->c.vocab);
}

static void
no_architecture(const char *name)
{
	char list[512];
	size_t n = 0;

	for (int i = 0; i < ARCH_ENCODERS && n < sizeof(list); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i > 0 ? ", " : "",
		    arch_name((enum arch)i));
	tool_usage("no architecture '%s': %s", name, list);
}

/* A family that can have local layers, or a config that has. */
static bool
has_window(const struct init *o)
{
	struct config c = o->c;

	if (o->config == NULL) {
		c.layers = CONFIG_LAYERS;
		config_layers(&c);
	}
	for (int64_t i = 0; i < c.layers && i < CONFIG_LAYERS; i++)
		if (c.mixer[i] == MIXER_LOCAL)
			return true;
	return false;
}

static void
make_config(struct init *o)
{
	struct err err;

	if (o->config != NULL && (o->arch != NULL || o->params > 0))
		tool_usage("-c has all sizes: not with -a or -n");
	if (o->config != NULL) {
		if (config_load(&o->c, o->config, &err) < 0)
			tool_fail(NULL, &err);
	} else if (arch_named(o->arch != NULL ? o->arch : "llama") < 0) {
		no_architecture(o->arch);
	} else {
		config_default(&o->c, (enum arch)arch_named(o->arch != NULL ? o->arch : "llama"));
	}
	apply_options(o);
	if (o->config == NULL || o->layers > 0)
		config_layers(&o->c);
	if (o->window > 0 && !has_window(o))
		tool_usage("--window: %s has no local layers", arch_name(o->c.arch));
	if ((o->experts > 0 || o->top > 0 || o->expert_ffn > 0 || o->shared > 0) &&
	    config_expert_layers(&o->c, CONFIG_LAYERS) == 0)
		tool_usage("%s has no experts", arch_name(o->c.arch));
	if (o->tokenizer != NULL)
		take_tokenizer(o);
	if (o->c.vocab == 0)
		tool_usage("how large is the vocabulary? (-m DIR or --vocab N)");
	if (o->params == 0 && (o->c.width == 0 || o->c.layers == 0))
		tool_usage("how large is it? (-n N, or --width N and --layers N)");
	if (config_complete(&o->c, o->params, &err) < 0 || model_cost(&o->c, &o->cost, &err) < 0)
		tool_fail(NULL, &err);
}

/* ---- the report ---- */

static json_t *
report(const struct init *o)
{
	const struct config *c = &o->c;
	const struct model_cost *k = &o->cost;
	json_t *r = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}",
	    "architecture", arch_name(c->arch),
	    "parameters", (json_int_t)k->params, "embedding_parameters", (json_int_t)k->embedding,
	    "vocabulary", (json_int_t)c->vocab, "layers", (json_int_t)c->layers,
	    "width", (json_int_t)c->width, "heads", (json_int_t)c->heads,
	    "kv_heads", (json_int_t)c->kv_heads, "head_dim", (json_int_t)c->head_dim,
	    "ffn", (json_int_t)c->ffn, "context", (json_int_t)c->context, "tied", c->tied);
	json_t *more = json_pack("{s:f, s:f, s:I, s:I, s:I, s:I}",
	    "flops_per_token_forward", k->flops_forward, "flops_per_token_train", k->flops_train,
	    "weights_bytes", (json_int_t)k->weights,
	    "train_bytes", (json_int_t)o->train.total,
	    "cache_bytes", (json_int_t)k->cache,
	    "serve_bytes", (json_int_t)(k->weights + k->cache + k->serve_pass));

	if (r == NULL || more == NULL || json_object_update(r, more) < 0)
		tool_die("out of memory");
	json_decref(more);
	if (config_expert_layers(c, c->layers) > 0 && json_object_update_new(r,
	    json_pack("{s:I, s:I, s:I, s:I}", "active_parameters", (json_int_t)config_active(c),
	    "experts", (json_int_t)c->router.experts,
	    "experts_per_token", (json_int_t)c->router.top,
	    "expert_ffn", (json_int_t)(c->expert_ffn > 0 ? c->expert_ffn : c->ffn))) < 0)
		tool_die("out of memory");
	if (!o->dry && json_object_update_new(r, json_pack("{s:f, s:f, s:f}", "trial_loss",
	    o->trial.loss, "trial_loss_expected", o->trial.expected, "trial_gradient_norm",
	    o->trial.norm)) < 0)
		tool_die("out of memory");
	return r;
}

static void
print_report(const struct init *o)
{
	json_t *r = report(o), *v;
	const char *key;

	if (o->format != NULL && strcmp(o->format, "json") == 0) {
		json_dumpf(r, stdout, JSON_COMPACT | JSON_REAL_PRECISION(8));
		putchar('\n');
	} else {
		json_object_foreach(r, key, v) {
			printf("%-24s ", key);
			if (json_is_string(v))
				puts(json_string_value(v));
			else if (json_is_boolean(v))
				puts(json_is_true(v) ? "yes" : "no");
			else if (json_is_integer(v))
				printf("%" PRId64 "\n", (int64_t)json_integer_value(v));
			else
				printf("%.6g\n", json_real_value(v));
		}
	}
	json_decref(r);
}

/* ---- the directory ---- */

static void
write_model(const struct init *o, struct model *m)
{
	char aside[MODEL_PATH];
	struct err err;
	int ret;

	if (model_aside(o->output, aside, &err) < 0)
		tool_fail(NULL, &err);
	ret = model_save(m, aside, DTYPE_NONE, 0, &err);
	if (ret == 0 && o->tokenizer != NULL)
		ret = model_copy_tokenizer(o->tokenizer, aside, &err);
	if (model_settle(aside, o->output, ret, &err) < 0)
		tool_fail(NULL, &err);
}

static int
try_and_write(struct init *o, struct dev *dev)
{
	struct model m = { .dev = NULL };
	struct err err;

	if (model_init(&m, &o->c, dev, true, (uint64_t)o->seed, &err) < 0 ||
	    model_try(&m, (uint64_t)o->seed, &o->trial, &err) < 0)
		tool_fail(NULL, &err);
	if (o->trial.good)
		write_model(o, &m);
	else
		tool_warn("the trial failed: loss %g, expected from %g to %g; gradient norm %g",
		    o->trial.loss, o->trial.least, o->trial.most, o->trial.norm);
	model_free(&m);
	return o->trial.good ? 0 : TOOL_NO;
}

int
main(int argc, char **argv)
{
	struct init o = { .seed = 1 };
	char **rest = tool_start(&tool, argc, argv, &o);
	struct team *team;
	struct dev *dev;
	struct stat st;
	struct err err;
	int status;

	if (*rest != NULL)
		tool_usage("no file is read: '%s'", *rest);
	if (o.output == NULL && !o.dry)
		tool_usage("where to? (-o DIR, or --dry-run)");
	if (o.format != NULL && strcmp(o.format, "json") != 0 && strcmp(o.format, "table") != 0)
		tool_usage("no format '%s': table or json", o.format);
	if (o.output != NULL && lstat(o.output, &st) == 0)
		tool_die("%s: exists", o.output);
	make_config(&o);
	if ((team = team_new(tool_threads(o.threads, 0), &err)) == NULL ||
	    (dev = dev_open(tool_device(o.device), team, 0, &err)) == NULL ||
	    train_memory_usual(&o.c, dev, &o.train, &err) < 0)
		tool_fail(NULL, &err);
	status = o.dry ? 0 : try_and_write(&o, dev);
	if (!o.quiet)
		print_report(&o);
	dev_close(dev);
	team_free(team);
	return tool_finish(status);
}
