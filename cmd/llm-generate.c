/*
 * llm-generate - continue a text
 *
 * Reads a prompt (-p, or the standard input), and writes what the model says
 * after it, as it comes, to the standard output.  The same seed and options
 * give the same text.  Memory: the weights, and keys and values of one context.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stream.h"
#include "infer/generate.h"
#include "model/merge.h"
#include "tool/tool.h"

struct gen {
	const char	*model, *adapter, *prompt, *stop, *device;
	int64_t		 count, texts, top_k, seed, threads;
	double		 temperature, top_p, min_p;
	bool		 echo, json, ignore_eos, verbose;
	struct buf	 text;		/* one text, for -F jsonl */
	struct out	*out;
};

#define AT(field) offsetof(struct gen, field)

static int
set_format(void *into, const char *arg, struct err *err)
{
	bool *json = into;

	*json = strcmp(arg, "jsonl") == 0;
	if (!*json && strcmp(arg, "text") != 0)
		return err_set(err, ERR_ARG, "'%s' is not text or jsonl", arg);
	return 0;
}

static const struct opt opts[] = {
	{ 'm', "model", OPT_STR, AT(model), "DIR", "model directory or checkpoint" },
	{ 0, "adapter", OPT_STR, AT(adapter), "DIR", "adapter of the model to put into it" },
	{ 'p', "prompt", OPT_STR, AT(prompt), "TEXT", "text to continue (standard input)" },
	{ 'n', "count", OPT_I64, AT(count), "N", "most tokens to write (128)",
	    .min = 1, .max = 1e9 },
	{ 0, "texts", OPT_I64, AT(texts), "N", "texts to write, each from its own draw (1)",
	    .min = 1, .max = 1e6 },
	{ 'T', "temperature", OPT_F64, AT(temperature), "X", "0 is greedy (0.8)",
	    .min = 0, .max = 100 },
	{ 0, "top-k", OPT_I64, AT(top_k), "N", "draw from the N likeliest, 0: all (0)",
	    .min = 0, .max = 1e9 },
	{ 0, "top-p", OPT_F64, AT(top_p), "P", "draw from those that reach P together (0.95)",
	    .min = 0, .max = 1 },
	{ 0, "min-p", OPT_F64, AT(min_p), "P", "draw from those P times as likely as the best (0)",
	    .min = 0, .max = 1 },
	{ 's', "seed", OPT_I64, AT(seed), "N", "seed of the draws (1)", .min = 0, .max = 9e18 },
	{ 0, "stop", OPT_STR, AT(stop), "TEXT", "end before this text" },
	{ 0, "ignore-eos", OPT_FLAG, AT(ignore_eos), .help = "go on after an end of text" },
	{ 0, "echo", OPT_FLAG, AT(echo), .help = "write the prompt too" },
	{ 'F', "format", OPT_CALL, AT(json), "NAME", "text, or jsonl: a record a text (text)",
	    .call = set_format },
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 'v', "verbose", OPT_FLAG, AT(verbose), .help = "tell counts and speed at the end" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-generate", .synopsis = "-m DIR",
	.summary = "continue a text with a model", .opts = opts,
};

static int
write_text(void *ctx, str text, struct err *err)
{
	struct gen *g = ctx;

	if (g->json) {
		buf_add(&g->text, text);
		return buf_ok(&g->text, err);
	}
	if (out_write(g->out, text.p, text.n, err) < 0)
		return -1;
	return out_flush(g->out, err);
}

static int
write_record(struct gen *g, str prompt, const struct generate_report *r, struct err *err)
{
	static const char *const ends[] = { "count", "eos", "stop", "context" };
	struct buf line = { 0 };
	int ret;

	buf_add(&line, S("{\"prompt\":"));
	json_quote(&line, prompt);
	buf_add(&line, S(",\"completion\":"));
	json_quote(&line, buf_str(&g->text));
	buf_fmt(&line, ",\"token_count\":%lld,\"mean_logprob\":", (long long)r->tokens);
	/* JSON has no NaN, which broken weights may give. */
	if (isfinite(r->logp))
		buf_fmt(&line, "%.6g", r->logp);
	else
		buf_add(&line, S("null"));
	buf_fmt(&line, ",\"end\":\"%s\"}\n", ends[r->end]);
	ret = buf_ok(&line, err);
	if (ret == 0)
		ret = out_write(g->out, line.p, line.n, err);
	buf_free(&line);
	buf_reset(&g->text);
	return ret;
}

/* One text after the prompt, and what goes around it. */
static void
one(struct gen *g, struct engine *e, const struct tokenizer *tok, struct sampler *s, str prompt,
    int64_t number)
{
	struct generate_options o = { .max_tokens = g->count, .ignore_eos = g->ignore_eos,
	    .stream = (uint64_t)number, .write = write_text, .ctx = g };
	struct generate_report r;
	struct err err;

	if (g->stop != NULL)
		o.stop = str_of(g->stop);
	if (g->echo && !g->json && write_text(g, prompt, &err) < 0)
		tool_fail(NULL, &err);
	if (generate(e, tok, s, prompt, &o, &r, &err) < 0)
		tool_fail(NULL, &err);
	if ((g->json ? write_record(g, prompt, &r, &err) : write_text(g, S("\n"), &err)) < 0)
		tool_fail(NULL, &err);
	if (r.end == GENERATE_CONTEXT)
		tool_warn("the context of %lld tokens is full",
		    (long long)engine_config(e)->context);
	if (g->verbose)
		tool_warn("prompt %lld tokens in %.3f s, %lld more at %.1f a second, "
		    "mean log-probability %.3f", (long long)r.prompt, r.prompt_seconds,
		    (long long)r.tokens, r.seconds > 0 ? (double)r.tokens / r.seconds : 0, r.logp);
}

int
main(int argc, char **argv)
{
	struct gen g = { .count = 128, .texts = 1, .temperature = 0.8, .top_p = 0.95, .seed = 1 };
	char **files = tool_start(&tool, argc, argv, &g);
	struct sampler s = { .temperature = g.temperature, .top_k = g.top_k, .top_p = g.top_p,
	    .min_p = g.min_p, .seed = (uint64_t)g.seed };
	struct arena a;
	struct err err;
	struct team *team;
	struct dev *dev;
	struct model m = { 0 };
	struct tokenizer *tok;
	struct engine *e;
	str prompt;

	if (g.model == NULL)
		tool_usage("no -m DIR");
	if (*files != NULL)
		tool_usage("'%s': no operands; the prompt is -p's or the standard input", *files);
	if (arena_init(&a, (ptrdiff_t)1 << 30, &err) < 0)
		tool_fail(NULL, &err);
	if (g.prompt != NULL)
		prompt = str_of(g.prompt);
	else if ((prompt = file_slurp(&a, "-", (ptrdiff_t)256 << 20, &err)).p == NULL)
		tool_fail("stdin", &err);
	if (utf8_bad(prompt) >= 0)
		tool_die("the prompt is no UTF-8 at byte %td", utf8_bad(prompt));
	if ((team = team_new(tool_threads(g.threads, 0), &err)) == NULL ||
	    (dev = dev_open(tool_device(g.device), team, 0, &err)) == NULL)
		tool_fail(NULL, &err);
	if (model_load(&m, g.model, dev, false, &err) < 0 ||
	    (g.adapter != NULL && adapter_merge(&m, g.adapter, 1, &err) < 0) ||
	    (tok = tokenizer_load(g.model, &err)) == NULL)
		tool_fail(NULL, &err);
	if (tokenizer_vocab(tok) > m.config.vocab)
		tool_die("%s: the tokenizer has %d tokens, the model %lld", g.model,
		    tokenizer_vocab(tok), (long long)m.config.vocab);
	if (sampler_init(&s, m.config.vocab, &err) < 0 ||
	    (e = engine_new(&m, &(struct engine_options){ 0 }, &err)) == NULL ||
	    (g.out = out_open(NULL, (struct codec_spec){ 0 }, &err)) == NULL)
		tool_fail(NULL, &err);
	for (int64_t i = 0; i < g.texts; i++)
		one(&g, e, tok, &s, prompt, i);
	if (out_commit(g.out, &err) < 0)
		tool_fail(NULL, &err);
	engine_free(e);
	sampler_free(&s);
	model_free(&m);
	tokenizer_free(tok);
	buf_free(&g.text);
	arena_free(&a);
	dev_close(dev);
	team_free(team);
	return tool_finish(0);
}
