/*
 * llm-tokenize - texts to token ids
 *
 * Encodes the text or the conversation of each record on any number of threads
 * and writes the ids in input order: a document shard, another program's file,
 * or lines of numbers.  Memory: the tokenizer (some 300 bytes a token), for each
 * thread up to 24 MiB, and the batches under way; 4 bytes a document for Megatron's index.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "fmt/provenance.h"
#include "fmt/token_sink.h"
#include "model/model.h"
#include "token/tokenizer.h"
#include "tool/chats.h"
#include "tool/filter.h"

/* The others are enum foreign's. */
enum format { FORMAT_SHARD, FORMAT_IDS, FORMAT_COUNT, FORMAT_MASK, FORMAT_FOREIGN };
enum mode { MODE_AUTO, MODE_YES, MODE_NO };

struct tokenize {
	struct filter_opts io;
	const char	*model, *format_name, *bos_name, *eos_name;
	bool		 no_provenance;
	struct chats	 chats;
	enum format	 format;
	enum foreign	 kind;
	bool		 add_bos, add_eos, eos_first;	/* first: llm.c's way */
	struct tokenizer *tokenizer;
	struct out	*out;		/* of lines */
	struct token_sink sink;		/* of all else */
	json_t		*provenance;
	int64_t		 tokens, trained;
};

/* What a thread has for itself. */
struct state {
	struct encoder	*encoder;
	struct chat_tokens made;	/* its ids; with --chat all */
};

#define AT(field) offsetof(struct tokenize, field)

static const struct opt opts[] = {
	{ .letter = 'm', .name = "model", .type = OPT_STR, .at = AT(model), .arg = "path",
	  .help = "directory with tokenizer.json, or that file" },
	{ .letter = 'F', .name = "format", .type = OPT_STR, .at = AT(format_name),
	  .arg = "format", .help = "shard, nanogpt, llmc, megatron, or a line a document: "
	  "ids, count, mask (shard)" },
	{ .name = "bos", .type = OPT_STR, .at = AT(bos_name), .arg = "auto|yes|no",
	  .help = "begin documents with the begin-of-text token (auto)" },
	{ .name = "eos", .type = OPT_STR, .at = AT(eos_name), .arg = "auto|yes|no",
	  .help = "end documents with the end-of-text token (auto)" },
	CHATS_OPTIONS(struct tokenize, chats),
	{ .name = "no-provenance", .type = OPT_FLAG, .at = AT(no_provenance),
	  .help = "do not write into the shard what it was made by and from" },
	FILTER_INPUT_OPTIONS(struct tokenize, io),
	FILTER_TEXT_OPTIONS(struct tokenize, io),
	{ .letter = 'o', .name = "output", .type = OPT_STR, .at = AT(io.output), .arg = "path",
	  .help = "write to this file, or each input to its own in dir/" },
	{ .letter = 'z', .name = "compress", .type = OPT_STR, .at = AT(io.codec),
	  .arg = "zstd[:n]|gzip[:n]", .help = "compress all output" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-tokenize",
	.synopsis = "-m model [file ...]",
	.summary = "turn texts into token ids",
	.opts = opts,
};

static bool
makes_lines(const struct tokenize *t)
{
	return t->format >= FORMAT_IDS && t->format <= FORMAT_MASK;
}

static void
state_free(void *state)
{
	struct state *s = state;

	encoder_free(s->encoder);
	chat_tokens_free(&s->made);
}

/* What the sink is to write, in the batch's memory. */
struct made {
	uint64_t	 hash;		/* of the text */
	int64_t		 tokens, trained;	/* without BOS and EOS in lines */
	int64_t		 bytes;		/* of the text */
	uint8_t		*weight;	/* of ids; NULL: all are trained on */
	int64_t		 n;		/* ids, or bytes of the line */
	union {
		int32_t	*id;
		char	*line;
	};
};

static int
make_ids(const struct tokenize *t, struct chat_tokens *made, struct made *m, struct arena *a,
    struct err *err)
{
	const struct ids *ids = &made->ids;
	int64_t n = ids->n + t->add_bos + t->add_eos, at = 0;

	if ((m->id = arena_new(a, int32_t, n, err)) == NULL ||
	    (t->chats.on && (m->weight = arena_new(a, uint8_t, n, err)) == NULL))
		return -1;
	if (t->add_eos && t->eos_first)
		m->id[at++] = tokenizer_eos(t->tokenizer);
	if (t->add_bos)
		m->id[at++] = tokenizer_bos(t->tokenizer);
	if (ids->n > 0)
		memcpy(m->id + at, ids->id, (size_t)ids->n * sizeof(*m->id));
	/* Tokens that are added to a conversation are not trained on. */
	if (t->chats.on && ids->n > 0)
		memcpy(m->weight + at, made->mask.p, (size_t)ids->n);
	if (t->add_eos && !t->eos_first)
		m->id[n - 1] = tokenizer_eos(t->tokenizer);
	m->n = m->tokens = n;
	return 0;
}

static int
make_line(const struct tokenize *t, struct chat_tokens *made, struct made *m, struct arena *a,
    struct err *err)
{
	const struct ids *ids = &made->ids;
	int32_t count = (int32_t)ids->n;
	int64_t n = t->format == FORMAT_COUNT ? 1 : ids->n;

	if ((m->line = arena_alloc(a, TOKEN_LINE * n + 1, 1, err)) == NULL)
		return -1;
	for (int64_t i = 0; t->format == FORMAT_MASK && i < n; i++)
		ids->id[i] = made->mask.p[i];
	m->n = token_line(m->line, t->format == FORMAT_COUNT ? &count : ids->id, n);
	m->tokens = ids->n;
	return 0;
}

static int
map(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct tokenize *t = ctx;
	struct state *s = state;
	struct made *m = arena_new(r->scratch, struct made, 1, err);
	str text;

	if (m == NULL || (s->encoder == NULL &&
	    (s->encoder = encoder_new(t->tokenizer, err)) == NULL))
		return RECORD_BAD;
	if (chats_encode(&t->chats, s->encoder, r, &s->made, &text, err) < 0 ||
	    (makes_lines(t) ? make_line : make_ids)(t, &s->made, m, r->scratch, err) < 0)
		return RECORD_BAD;
	m->hash = hash64(text);
	m->bytes = text.n;
	m->trained = s->made.trained;
	r->tag[0] = (uint64_t)(uintptr_t)m;
	return RECORD_KEEP;
}

static int
sink(void *ctx, struct record *r, struct err *err)
{
	struct tokenize *t = ctx;
	const struct made *m = (const struct made *)(uintptr_t)r->tag[0];
	struct shard_item doc = { .token = (const uint32_t *)m->id, .n = (int32_t)m->n,
	    .source_bytes = m->bytes, .weight = m->weight };

	t->tokens += m->tokens;
	t->trained += m->trained;
	if (makes_lines(t))
		return out_write(t->out, m->line, m->n, err);
	return token_sink_put(&t->sink, &doc, m->hash, err);
}

/* ---- the product ---- */

/* What changed the result; NULL when it is not to be told. */
static int
describe(struct tokenize *t, struct err *err)
{
	json_t *options;

	t->provenance = NULL;
	if (t->no_provenance)
		return 0;
	if ((t->provenance = provenance_new(tool.name, VERSION, err)) == NULL)
		return -1;
	options = provenance_options(t->provenance);
	json_object_set_new(options, "bos", json_boolean(t->add_bos));
	json_object_set_new(options, "eos", json_boolean(t->add_eos));
	chats_note(&t->chats, options);
	filter_note(&t->io, options);
	return 0;
}

static int
begin(void *ctx, const char *path, struct codec_spec codec, struct err *err)
{
	struct tokenize *t = ctx;
	struct shard_info info = { .vocab = tokenizer_vocab(t->tokenizer), .tokens = -1,
		.eos = tokenizer_eos(t->tokenizer),
		.tokenizer = tokenizer_fingerprint(t->tokenizer) };

	if (makes_lines(t)) {
		t->out = out_open(path, codec, err);
		return t->out == NULL ? -1 : 0;
	}
	if (describe(t, err) < 0)
		return -1;
	return token_sink_open(&t->sink, t->kind, path, codec, &info, t->provenance, err);
}

static int
end(void *ctx, bool failed, struct err *err)
{
	struct tokenize *t = ctx;
	int ret = 0;

	if (makes_lines(t) && !failed)
		ret = out_commit(t->out, err);
	else if (!failed)
		ret = token_sink_finish(&t->sink, err);
	else if (makes_lines(t))
		out_abort(t->out);
	else
		token_sink_abort(&t->sink);
	json_decref(t->provenance);
	return ret;
}

/* ---- options ---- */

/* Is the token to be added?  automatic: what auto means. */
static bool
wanted(const char *option, const char *given, int32_t id, bool automatic)
{
	static const char *const name[] = { "auto", "yes", "no" };
	int mode = tool_choice(given, name, 3);

	if (mode < 0)
		tool_usage("--%s %s: not auto, yes or no", option, given);
	if (mode == MODE_YES && id < 0)
		tool_die("--%s yes: the tokenizer has no such token", option);
	return id >= 0 && (mode == MODE_YES || (mode == MODE_AUTO && automatic));
}

static void
more_stats(void *ctx, json_t *stats)
{
	const struct tokenize *t = ctx;

	json_object_set_new(stats, "tokens", json_integer(t->tokens));
	if (t->chats.on)
		json_object_set_new(stats, "trained", json_integer(t->trained));
}

/* -F, and what goes with it. */
static void
choose_format(struct tokenize *t)
{
	static const char *const format[] = { "shard", "ids", "count", "mask" };
	static const char *const suffix[] = { ".shard", ".ids", ".count", ".mask", ".bin" };
	int i = tool_choice(t->format_name, format, 4);

	if (i < 0) {
		i = FORMAT_FOREIGN;
		t->kind = foreign_of(t->format_name);
		if (t->kind == FOREIGN_NONE)
			tool_usage("--format %s: not shard, nanogpt, llmc, megatron, ids, count "
			    "or mask", t->format_name);
		if (t->kind != FOREIGN_NANOGPT && t->io.output == NULL)
			tool_usage("--format %s needs a file: -o path", t->format_name);
		if (t->io.codec != NULL)
			tool_usage("--format %s is not compressed", t->format_name);
	}
	t->format = (enum format)i;
	t->io.suffix = suffix[i];
	t->eos_first = t->kind == FOREIGN_LLMC;
}

int
main(int argc, char **argv)
{
	struct tokenize t = { 0 };
	char **file = tool_start(&tool, argc, argv, &t);
	struct records_job job = {
		.ctx = &t, .map = map, .sink = sink,
		.state_size = sizeof(struct state), .state_free = state_free,
	};
	struct err err = { 0 };
	int status;

	if (t.model == NULL)
		tool_usage("which tokenizer?  -m path");
	if (t.chats.on && (t.io.text || t.io.separator != NULL))
		tool_usage("--chat: a text has no messages, so no --text");
	choose_format(&t);
	if ((t.tokenizer = model_tokenizer(t.model, &err)) == NULL)
		tool_fail(NULL, &err);
	t.add_bos = wanted("bos", t.bos_name, tokenizer_bos(t.tokenizer),
	    tokenizer_adds_bos(t.tokenizer) && !t.chats.on);
	/* One token between documents is enough where it comes first. */
	t.add_eos = wanted("eos", t.eos_name, tokenizer_eos(t.tokenizer),
	    (!t.eos_first || !t.add_bos) && !t.chats.on);
	job.field = filter_field(&t.io);
	chats_start(&t.chats, t.model, t.tokenizer, t.io.field, t.format == FORMAT_MASK, &job);
	t.io.ctx = &t;
	t.io.begin = begin;
	t.io.end = end;
	t.io.more_stats = more_stats;
	status = filter_main(&tool, &t.io, file, &job);
	chats_end(&t.chats);
	tokenizer_free(t.tokenizer);
	return status;
}
