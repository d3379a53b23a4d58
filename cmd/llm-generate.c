/*
 * llm-generate - continue texts
 *
 * Reads a prompt (-p, or the standard input) and writes what the model says
 * after it, as it comes; or reads records with a prompt each, and writes them
 * with what comes after, many at once.  The same seed and options give the
 * same texts.  Memory: the weights, and keys and values of the texts that are
 * being written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stream.h"
#include "infer/chat.h"
#include "model/chat.h"
#include "tool/adapters.h"
#include "tool/cache.h"
#include "tool/draft.h"
#include "tool/grammar.h"
#include "tool/prompts.h"
#include "tool/talk.h"
#include "tool/texts.h"

struct gen {
	const char	*model, *prompt, *system, *device;
	int64_t		 threads, parallel;
	bool		 echo, json, chat, verbose;
	struct adapters_opts adapters;
	struct texts_opts how;
	struct cache_opts cache;
	struct prompts	 records;
	struct draft_opts draft;
	struct grammar_opts grammar;
	/* what is open */
	struct team	*team;
	struct dev	*dev;
	struct model	 m;
	struct tokenizer *tok;
	struct template	*template;	/* NULL without --chat */
	struct engine	*engine;
	struct scheduler *scheduler;
	struct request	 request;	/* as the options have it */
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
	ADAPTERS_OPTIONS(struct gen, adapters),
	{ 'p', "prompt", OPT_STR, AT(prompt), "TEXT", "text to continue (standard input)" },
	{ 0, "chat", OPT_FLAG, AT(chat), .help = "answer messages, by the model's template" },
	{ 0, "system", OPT_STR, AT(system), "TEXT", "chat: what the model is told first" },
	{ 0, "texts", OPT_I64, AT(records.texts), "N",
	    "texts for each prompt, each from its own draw (1)", .min = 1, .max = 1e6 },
	TEXTS_OPTIONS(struct gen, how),
	{ 0, "echo", OPT_FLAG, AT(echo), .help = "write the prompt too" },
	{ 'F', "format", OPT_CALL, AT(json), "NAME", "text, or jsonl: a record a text (text)",
	    .call = set_format },
	GRAMMAR_OPTIONS(struct gen, grammar),
	DRAFT_OPTIONS(struct gen, draft),
	FILTER_RECORD_OPTIONS(struct gen, records.io),
	{ 'o', "output", OPT_STR, AT(records.io.output), "FILE", "write records to this file" },
	{ 0, "parallel", OPT_I64, AT(parallel), "N", "texts of records at once (16)", .min = 1,
	    .max = 1024 },
	CACHE_OPTIONS(struct gen, cache),
	WINDOW_OPTIONS(struct gen, cache),
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 'q', "quiet", OPT_FLAG, AT(records.io.quiet), .help = "show no progress" },
	{ 'v', "verbose", OPT_FLAG, AT(verbose), .help = "tell counts and speed at the end" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-generate", .synopsis = "-m DIR [file ...]",
	.summary = "continue texts with a model", .opts = opts,
};

/* ---- one prompt ---- */

static int
write_text(void *ctx, str text, struct err *err)
{
	struct gen *g = ctx;

	if (out_write(g->records.out, text.p, text.n, err) < 0)
		return -1;
	return out_flush(g->records.out, err);
}

static int
end_text(void *ctx, const struct text_report *r, struct err *err)
{
	struct gen *g = ctx;

	if (r->failed != NULL) {
		*err = *r->failed;
		return -1;
	}
	if (write_text(g, S("\n"), err) < 0)
		return -1;
	if (r->end == TEXT_CONTEXT)
		tool_warn("the context of %lld tokens is full", (long long)g->m.config.context);
	/* The first one comes of the prompt. */
	if (g->verbose)
		tool_warn("prompt %lld tokens in %.3f s, %lld more at %.1f a second, "
		    "mean log-probability %.3f", (long long)r->prompt, r->prompt_seconds,
		    (long long)r->tokens, r->tokens > 1 && r->seconds > 0 ?
		    (double)(r->tokens - 1) / r->seconds : 0, r->logp);
	return 0;
}

/* One after the other, so that they can be read as they come. */
static int
plain(struct gen *g, str prompt, struct err *err)
{
	struct request r = g->request;
	struct ids ids = { 0 };
	int ret = prompt_tokens(g->tok, prompt, &ids, err);

	r.prompt = ids.id;
	r.n = ids.n;
	r.write = write_text;
	r.done = end_text;
	r.ctx = g;
	r.seq = cache_begin(&g->cache, g->engine);
	for (; ret == 0 && r.stream < (uint64_t)g->records.texts; r.stream++)
		if ((g->echo && write_text(g, prompt, err) < 0) ||
		    scheduler_add(g->scheduler, &r, err) < 0 ||
		    scheduler_finish(g->scheduler, err) < 0)
			ret = -1;
	if (ret == 0 && seq_keep(r.seq, r.prompt, r.n) > 0)
		cache_end(&g->cache, r.seq);
	ids_free(&ids);
	return ret;
}

static void
one_prompt(struct gen *g, struct arena *a)
{
	struct out *out;
	struct err err;
	str prompt;

	if (g->prompt != NULL)
		prompt = str_of(g->prompt);
	else if ((prompt = file_slurp(a, "-", (ptrdiff_t)256 << 20, &err)).p == NULL)
		tool_fail("stdin", &err);
	if (utf8_bad(prompt) >= 0)
		tool_die("the prompt is no UTF-8 at byte %td", utf8_bad(prompt));
	if ((out = out_open(g->records.io.output, (struct codec_spec){ 0 }, &err)) == NULL)
		tool_fail(NULL, &err);
	g->records.out = out;
	if ((g->json ? prompts_one(&g->records, prompt, &err) : plain(g, prompt, &err)) < 0) {
		out_abort(out);
		tool_fail(NULL, &err);
	}
	if (out_commit(out, &err) < 0)
		tool_fail(NULL, &err);
}

/* ---- messages ---- */

static void
chat(struct gen *g)
{
	struct talk t = { .template = g->template, .tok = g->tok, .engine = g->engine,
	    .scheduler = g->scheduler, .request = g->request, .messages = json_array(),
	    .verbose = g->verbose };
	struct err err;

	if (t.messages == NULL)
		tool_die("out of memory");
	t.seq = cache_begin(&g->cache, g->engine);
	if ((g->system != NULL &&
	    chat_say(t.messages, "system", str_of(g->system), &err) < 0) ||
	    (t.out = out_open(g->records.io.output, (struct codec_spec){ 0 }, &err)) == NULL)
		tool_fail(NULL, &err);
	if (talk_run(&t, g->prompt, &err) < 0) {
		out_abort(t.out);
		tool_fail(NULL, &err);
	}
	if (out_commit(t.out, &err) < 0)
		tool_fail(NULL, &err);
	cache_end(&g->cache, t.seq);
	json_decref(t.messages);
}

/* ---- all of it ---- */

static void
open_model(struct gen *g, bool records)
{
	struct err err;

	if ((g->team = team_new(tool_threads(g->threads, 0), &err)) == NULL ||
	    (g->dev = dev_open(tool_device(g->device), g->team, 0, &err)) == NULL)
		tool_fail(NULL, &err);
	adapters_load(&g->adapters, records, &g->m, g->model, g->dev);
	if ((g->tok = model_tokenizer(g->model, &err)) == NULL)
		tool_fail(NULL, &err);
	/* Records may have messages, and need none. */
	if ((g->chat || records) && (g->template = template_load(g->model, NULL, &err)) == NULL &&
	    g->chat)
		tool_fail(NULL, &err);
	if (tokenizer_vocab(g->tok) > g->m.config.vocab)
		tool_die("%s: the tokenizer has %d tokens, the model %lld", g->model,
		    tokenizer_vocab(g->tok), (long long)g->m.config.vocab);
}

static void
open_engine(struct gen *g, bool records)
{
	struct engine_options o = { .seqs = g->parallel, .kv = g->cache.kv };
	struct err err;

	window_prepare(&g->cache, &g->m.config, g->chat && !records, &o);
	/* Texts that would need more together wait for each other. */
	if (o.seqs > 1)
		o.cache = o.seqs * 2048 > g->m.config.context ? o.seqs * 2048 : g->m.config.context;
	draft_prepare(&g->draft, &o);
	if ((g->engine = engine_new(&g->m, &o, &err)) == NULL ||
	    (g->scheduler = scheduler_new(g->engine, g->tok, &err)) == NULL)
		tool_fail(NULL, &err);
	draft_begin(&g->draft, g->engine, g->dev, g->tok, g->scheduler);
	g->records.tok = g->tok;
	g->records.scheduler = g->scheduler;
	g->records.request = &g->request;
	g->records.template = g->template;
	g->records.system = g->system;
	g->records.chat = g->chat;
	g->records.context = engine_context(g->engine);
	g->records.io.verbose = g->verbose;
}

static void
close_all(struct gen *g)
{
	if (g->verbose)
		draft_tell(&g->draft);
	scheduler_free(g->scheduler);
	draft_end(&g->draft);
	grammar_end(&g->grammar);
	engine_free(g->engine);
	model_free(&g->m);
	adapters_end(&g->adapters);
	template_free(g->template);
	tokenizer_free(g->tok);
	dev_close(g->dev);
	team_free(g->team);
}

int
main(int argc, char **argv)
{
	struct gen g = { .parallel = 16, .how = TEXTS_DEFAULTS, .records = { .texts = 1 },
	    .cache = CACHE_DEFAULTS, .draft = DRAFT_DEFAULTS };
	char **files = tool_start(&tool, argc, argv, &g);
	struct arena a;
	struct err err;
	int status;

	if (g.model == NULL)
		tool_usage("no -m DIR");
	if (*files != NULL && g.prompt != NULL)
		tool_usage("'%s': the prompts are in records, or -p's", *files);
	if (g.cache.kept != NULL && (*files != NULL || g.json))
		tool_usage("--prompt-cache is for one text after the other, not for records");
	if (g.system != NULL && !g.chat)
		tool_usage("--system is for --chat");
	if (g.chat && (g.json || g.echo || g.records.texts > 1) && *files == NULL)
		tool_usage("--chat writes answers alone: no -F jsonl, --echo or --texts");
	if (arena_init(&a, (ptrdiff_t)1 << 30, &err) < 0)
		tool_fail(NULL, &err);
	open_model(&g, *files != NULL);
	if (*files == NULL && (!g.json || g.records.texts < g.parallel))
		g.parallel = g.json ? g.records.texts : 1;
	open_engine(&g, *files != NULL);
	texts_request(&g.how, g.tok, &a, &g.request);
	g.request.adapters = g.adapters.beside;
	grammar_begin(&g.grammar, &g.m.config, g.tok, &g.request);
	if (*files != NULL) {
		status = prompts_main(&tool, &g.records, files);
	} else {
		if (g.chat)
			chat(&g);
		else
			one_prompt(&g, &a);
		status = tool_finish(0);
	}
	close_all(&g);
	arena_free(&a);
	return status;
}
