/*
 * llm-eval - what a model makes of texts it has not seen
 *
 * Reads shards or records and writes one JSON object: loss, perplexity and
 * bits per byte of a model (-t perplexity) or of an n-gram model of training
 * shards (-t ngram), how far a model's predictions are from another's (-t kl),
 * or the logits of every token as a safetensors file (-t logits).  Memory: the
 * weights and the activations of one pass.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stream.h"
#include "eval/divergence.h"
#include "eval/documents.h"
#include "eval/logits.h"
#include "eval/ngram.h"
#include "eval/score.h"
#include "fmt/shard.h"
#include "model/merge.h"
#include "tool/cache.h"

struct eval {
	const char	*model, *adapter, *reference, *task, *field, *output, *device, *train;
	int64_t		 context, stride, order, threads;
	struct cache_opts cache;
	/* what is open */
	struct team	*team;
	struct dev	*dev;
	struct model	 m;
	struct tokenizer *tokenizer;
	struct shard_info trained;	/* what the n-grams are of */
	struct ngram	*ngram;
	double		 nats;
	struct score_report sum;
};

#define AT(field) offsetof(struct eval, field)

static const struct opt opts[] = {
	{ 't', "task", OPT_STR, AT(task), "NAME", "perplexity, kl, ngram or logits (perplexity)" },
	{ 'm', "model", OPT_STR, AT(model), "DIR", "model directory or checkpoint" },
	{ 0, "adapter", OPT_STR, AT(adapter), "DIR", "adapter of the model to put into it" },
	{ 0, "reference", OPT_STR, AT(reference), "DIR", "kl: the model to be near to" },
	{ 'o', "output", OPT_STR, AT(output), "FILE", "write to a file, not standard output" },
	{ 'f', "field", OPT_STR, AT(field), "KEY", "key of the text in records (text)" },
	{ 0, "context", OPT_I64, AT(context), "N", "tokens a window (the model's context)",
	    .min = 2, .max = 1e9 },
	{ 0, "stride", OPT_I64, AT(stride), "N", "tokens between windows (the context less one)",
	    .min = 1, .max = 1e9 },
	{ 0, "order", OPT_I64, AT(order), "N", "ngram: 2 or 3 (3)", .min = 2, .max = NGRAM_ORDER },
	{ 0, "train", OPT_STR, AT(train), "SHARD", "ngram: tokens to count" },
	CACHE_OPTIONS(struct eval, cache),
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-eval", .synopsis = "-m DIR [file ...]",
	.summary = "measure a model on texts", .opts = opts,
};

static void
open_model(struct eval *e)
{
	struct err err;

	if (e->model == NULL)
		tool_usage("no -m DIR");
	if ((e->team = team_new(tool_threads(e->threads, 0), &err)) == NULL ||
	    (e->dev = dev_open(tool_device(e->device), e->team, 0, &err)) == NULL)
		tool_fail(NULL, &err);
	e->m.writable = e->adapter != NULL;
	if (model_load(&e->m, e->model, e->dev, false, &err) < 0 ||
	    (e->adapter != NULL && adapter_merge(&e->m, e->adapter, 1, &err) < 0))
		tool_fail(NULL, &err);
	/* A model without a tokenizer can still be measured on shards. */
	e->tokenizer = model_tokenizer(e->model, &err);
	if (e->tokenizer == NULL && err.code != ERR_IO)
		tool_fail(NULL, &err);
}

/* Hand all documents of all files to each(). */
static void
read_all(struct eval *e, char **files, int (*each)(void *, const uint32_t *, int64_t, int64_t,
    struct err *), void *ctx)
{
	struct documents d = { .tokenizer = e->tokenizer, .each = each, .ctx = ctx,
	    .fingerprint = e->trained.tokenizer };
	struct err err;

	if (e->field != NULL)
		d.field = str_of(e->field);
	if (*files == NULL && documents_each(&d, "-", &err) < 0)
		tool_fail(NULL, &err);
	for (; *files != NULL; files++)
		if (documents_each(&d, *files, &err) < 0)
			tool_fail(NULL, &err);
}

/* NULL: a number in it was not finite. */
static void
print_doc(const struct eval *e, json_t *doc)
{
	struct err err;
	struct out *out;
	char *text;

	text = doc != NULL ? json_dumps(doc, JSON_REAL_PRECISION(9)) : NULL;
	if (text == NULL)
		tool_die("%s: no finite loss", e->task);
	if ((out = out_open(e->output, (struct codec_spec){ 0 }, &err)) == NULL)
		tool_fail(NULL, &err);
	if (out_write(out, text, (ptrdiff_t)strlen(text), &err) < 0 ||
	    out_write(out, "\n", 1, &err) < 0) {
		out_abort(out);
		tool_fail(NULL, &err);
	}
	if (out_commit(out, &err) < 0)
		tool_fail(NULL, &err);
	free(text);
	json_decref(doc);
}

static void
print_report(const struct eval *e, const struct score_report *r)
{
	if (r->targets == 0)
		tool_die("no token to predict: no document has two");
	print_doc(e, json_pack("{ss sf sf sf sI sI sI}", "task", e->task, "loss", r->loss,
	    "perplexity", exp(r->loss), "bits_per_byte", r->bits_per_byte,
	    "tokens", (json_int_t)r->tokens, "targets", (json_int_t)r->targets,
	    "source_bytes", (json_int_t)r->source_bytes));
}

/* ---- the tasks ---- */

static int
score_each(void *ctx, const uint32_t *token, int64_t n, int64_t source_bytes, struct err *err)
{
	return score_add(ctx, token, n, source_bytes, err);
}

static void
perplexity(struct eval *e, char **files)
{
	struct score_report r;
	struct score *s;
	struct err err;

	open_model(e);
	if ((s = score_new(&e->m, e->context, e->stride, e->cache.kv, &err)) == NULL)
		tool_fail(NULL, &err);
	read_all(e, files, score_each, s);
	if (score_end(s, &r, &err) < 0)
		tool_fail(NULL, &err);
	print_report(e, &r);
	score_free(s);
}

static int
compare_each(void *ctx, const uint32_t *token, int64_t n, int64_t source_bytes, struct err *err)
{
	(void)source_bytes;
	return divergence_add(ctx, token, n, err);
}

static void
divergence(struct eval *e, char **files)
{
	struct model reference = { .dev = NULL };
	struct divergence_report r;
	struct divergence *d;
	struct err err;

	if (e->reference == NULL)
		tool_usage("-t kl needs --reference DIR");
	open_model(e);
	if (model_load(&reference, e->reference, e->dev, false, &err) < 0 ||
	    (d = divergence_new(&e->m, &reference, e->context, &err)) == NULL)
		tool_fail(NULL, &err);
	read_all(e, files, compare_each, d);
	if (divergence_end(d, &r, &err) < 0)
		tool_fail(NULL, &err);
	print_doc(e, json_pack("{ss sf sf sf sf sf sf sI sI}", "task", e->task, "kl", r.kl,
	    "kl_99", r.kl_99, "kl_max", r.kl_max, "same_top", r.same_top,
	    "perplexity", exp(r.loss), "reference_perplexity", exp(r.reference_loss),
	    "tokens", (json_int_t)r.tokens, "targets", (json_int_t)r.targets));
	divergence_free(d);
	model_free(&reference);
}

static int
count_each(void *ctx, const uint32_t *token, int64_t n, int64_t source_bytes, struct err *err)
{
	const struct eval *e = ctx;

	(void)source_bytes;
	return ngram_add(e->ngram, token, n, err);
}

static int
predict_each(void *ctx, const uint32_t *token, int64_t n, int64_t source_bytes, struct err *err)
{
	struct eval *e = ctx;

	for (int64_t i = 0; i < n; i++)
		if (token[i] >= (uint32_t)e->trained.vocab)
			return err_set(err, ERR_FORMAT, "token %u in a vocabulary of %d",
			    token[i], e->trained.vocab);
	for (int64_t i = 1; i < n; i++)
		e->nats -= ngram_logp(e->ngram, token, i);
	e->sum.targets += n > 0 ? n - 1 : 0;
	e->sum.tokens += n;
	e->sum.source_bytes += source_bytes;
	return 0;
}

static void
ngram(struct eval *e, char **files)
{
	char *train[] = { (char *)e->train, NULL };
	struct shard_reader *r;
	struct err err;

	if (e->train == NULL)
		tool_usage("-t ngram needs --train SHARD");
	if (e->model != NULL && (e->tokenizer = model_tokenizer(e->model, &err)) == NULL)
		tool_fail(e->model, &err);
	if ((r = shard_open(e->train, &err)) == NULL)
		tool_fail(e->train, &err);
	e->trained = *shard_reader_info(r);
	if ((e->ngram = ngram_new((int)e->order, e->trained.vocab, &err)) == NULL)
		tool_fail(NULL, &err);
	shard_close(r);
	read_all(e, train, count_each, e);
	if (ngram_build(e->ngram, &err) < 0)
		tool_fail(NULL, &err);
	read_all(e, files, predict_each, e);
	score_finish(&e->sum, e->nats);
	print_report(e, &e->sum);
}

static int
logits_each(void *ctx, const uint32_t *token, int64_t n, int64_t source_bytes, struct err *err)
{
	(void)source_bytes;
	return logits_add(ctx, token, n, err);
}

static void
logits(struct eval *e, char **files)
{
	struct logits *l;
	struct err err;

	if (e->output == NULL)
		tool_usage("-t logits needs -o FILE");
	open_model(e);
	if ((l = logits_new(&e->m, &err)) == NULL)
		tool_fail(NULL, &err);
	read_all(e, files, logits_each, l);
	if (logits_save(l, e->output, &err) < 0)
		tool_fail(NULL, &err);
	logits_free(l);
}

static const struct {
	const char	*name;
	void		(*run)(struct eval *e, char **files);
} tasks[] = {
	{ "perplexity", perplexity }, { "kl", divergence }, { "ngram", ngram },
	{ "logits", logits },
};

/* Options of one task are no options of another. */
static void
check_options(const struct eval *e)
{
	static const struct {
		const char	*option, *task;
	} own[] = {
		{ "kv", "perplexity" }, { "stride", "perplexity" }, { "reference", "kl" },
		{ "order", "ngram" }, { "train", "ngram" },
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (tool_given(own[i].option) && strcmp(e->task, own[i].task) != 0)
			tool_usage("--%s goes with -t %s", own[i].option, own[i].task);
}

int
main(int argc, char **argv)
{
	struct eval e = { .task = "perplexity", .order = 3 };
	char **files = tool_start(&tool, argc, argv, &e);
	size_t i;

	for (i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++)
		if (strcmp(e.task, tasks[i].name) == 0)
			break;
	if (i == sizeof(tasks) / sizeof(tasks[0]))
		tool_usage("unknown task '%s': perplexity, kl, ngram or logits", e.task);
	check_options(&e);
	tasks[i].run(&e, files);
	ngram_free(e.ngram);
	tokenizer_free(e.tokenizer);
	model_free(&e.m);
	if (e.dev != NULL)
		dev_close(e.dev);
	team_free(e.team);
	return tool_finish(0);
}
