/*
 * llm-chunk - records into records of at most so many tokens
 *
 * Cuts the text of each record at paragraphs, sentences or words, and writes a
 * record for each piece, with the other keys as they were.  Memory: the
 * tokenizer, for each thread 10 MiB, 8 bytes for each token of the longest text,
 * and the batches under way.
 */
#include <inttypes.h>

#include "model/model.h"
#include "token/chunks.h"
#include "tool/filter.h"

struct chunk {
	struct filter_opts io;
	const char	*model, *kind;
	struct chunk_opts o;
	struct tokenizer *tok;
	struct out	*out;
	int64_t		 chunks, tokens, bytes;
	str		 field;
};

/* What a thread has for itself. */
struct state {
	struct chunker	*chunker;
	struct buf	 id, rest, note, value, lines;
};

#define AT(field) offsetof(struct chunk, field)

static const struct opt opts[] = {
	{ .letter = 'm', .name = "model", .type = OPT_STR, .at = AT(model), .arg = "path",
	  .help = "the tokenizer: a directory with tokenizer.json, or that file" },
	{ .letter = 'n', .name = "tokens", .type = OPT_I64, .at = AT(o.tokens), .arg = "n",
	  .help = "make chunks of at most n tokens (512)", .min = CHUNK_TOKENS_MIN,
	  .max = (double)CHUNK_TOKENS_MAX },
	{ .name = "overlap", .type = OPT_I64, .at = AT(o.overlap), .arg = "n",
	  .help = "begin a chunk with up to n tokens of the one before (0)", .min = 0,
	  .max = (double)CHUNK_TOKENS_MAX },
	{ .letter = 't', .name = "type", .type = OPT_STR, .at = AT(kind),
	  .arg = "text|markdown|lines", .help = "what the texts are (text)" },
	FILTER_INPUT_OPTIONS(struct chunk, io),
	{ .letter = 'o', .name = "output", .type = OPT_STR, .at = AT(io.output), .arg = "path",
	  .help = "write to this file, or each input to its own in dir/" },
	{ .letter = 'z', .name = "compress", .type = OPT_STR, .at = AT(io.codec),
	  .arg = "zstd[:n]|gzip[:n]", .help = "compress all output" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-chunk",
	.synopsis = "-m model [file ...]",
	.summary = "cut texts into pieces of at most so many tokens",
	.opts = opts,
};

static void
state_free(void *state)
{
	struct state *s = state;

	chunker_free(s->chunker);
	buf_free(&s->id);
	buf_free(&s->rest);
	buf_free(&s->note);
	buf_free(&s->value);
	buf_free(&s->lines);
}

/* The record's name, and the record without its text. */
static int
prepare(const struct chunk *c, struct state *s, const struct record *r, str *id, struct err *err)
{
	struct json_set no_text = { .key = c->field, .value = S("\"\"") };
	char hex[33];

	if (r->member[0].value.p == NULL || r->member[0].value.p[0] != '"') {
		hash128_hex(hash128_of(r->text), hex);
		buf_reset(&s->id);
		buf_add(&s->id, str_of(hex));
		*id = buf_str(&s->id);
	} else if (json_text(r->member[0].value, &s->id, id, err) < 0) {
		return -1;
	}
	buf_reset(&s->rest);
	return json_splice(&s->rest, r->line, &no_text, 1, err);
}

/* {"of": ..., "index": ...} */
static int
put_note(struct state *s, str id, int64_t i, const struct text_chunk *k, struct err *err)
{
	buf_reset(&s->note);
	buf_add(&s->note, S("{\"of\":"));
	json_quote(&s->note, id);
	buf_fmt(&s->note, ",\"index\":%" PRId64 ",\"start\":%td,\"end\":%td}", i, k->start, k->end);
	return buf_ok(&s->note, err);
}

/* Append the record of chunk i. */
static int
put_chunk(const struct chunk *c, struct state *s, const struct record *r, str id, int64_t i,
    const struct text_chunk *k, struct err *err)
{
	struct json_set set[] = { { .key = S("id") }, { .key = c->field },
	    { .key = S("token_count") }, { .key = S("llm") } };
	ptrdiff_t end[4], from = 0;
	struct buf *v = &s->value;

	if (put_note(s, id, i, k, err) < 0)
		return -1;
	buf_reset(v);
	json_quote(v, id);
	v->n--;
	buf_fmt(v, "#%" PRId64 "\"", i);
	end[0] = v->n;
	json_quote(v, (str){ r->text.p + k->start, k->end - k->start });
	end[1] = v->n;
	buf_fmt(v, "%" PRId64, k->tokens);
	end[2] = v->n;
	if (record_llm(v, r->member[1].value, S("chunk"), buf_str(&s->note), err) < 0 ||
	    buf_ok(v, err) < 0)
		return -1;
	end[3] = v->n;
	for (int j = 0; j < 4; from = end[j++])
		set[j].value = (str){ v->p + from, end[j] - from };
	if (json_splice(&s->lines, buf_str(&s->rest), set, 4, err) < 0)
		return -1;
	buf_byte(&s->lines, '\n');
	return 0;
}

/* What the sink is to write. */
struct made {
	int64_t	chunks, tokens, bytes;
	str	lines;
};

static int
map(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct chunk *c = ctx;
	struct state *s = state;
	struct made *m = arena_new(r->scratch, struct made, 1, err);
	const struct text_chunk *chunk;
	str id;

	if (m == NULL || (s->chunker == NULL &&
	    (s->chunker = chunker_new(c->tok, &c->o, err)) == NULL) ||
	    prepare(c, s, r, &id, err) < 0 ||
	    (m->chunks = chunker_cut(s->chunker, r->text, &chunk, err)) < 0)
		return RECORD_BAD;
	buf_reset(&s->lines);
	for (int64_t i = 0; i < m->chunks; i++) {
		if (put_chunk(c, s, r, id, i, &chunk[i], err) < 0)
			return RECORD_BAD;
		m->tokens += chunk[i].tokens;
		m->bytes += chunk[i].end - chunk[i].start;
	}
	if (buf_ok(&s->lines, err) < 0)
		return RECORD_BAD;
	m->lines = arena_str(r->scratch, buf_str(&s->lines), err);
	r->tag[0] = (uint64_t)(uintptr_t)m;
	return m->lines.p != NULL ? RECORD_KEEP : RECORD_BAD;
}

static int
sink(void *ctx, struct record *r, struct err *err)
{
	struct chunk *c = ctx;
	const struct made *m = (const struct made *)(uintptr_t)r->tag[0];

	c->chunks += m->chunks;
	c->tokens += m->tokens;
	c->bytes += m->bytes;
	return out_write(c->out, m->lines.p, m->lines.n, err);
}

static int
begin(void *ctx, const char *path, struct codec_spec codec, struct err *err)
{
	struct chunk *c = ctx;

	c->out = out_open(path, codec, err);
	return c->out == NULL ? -1 : 0;
}

static int
end(void *ctx, bool failed, struct err *err)
{
	struct chunk *c = ctx;

	if (!failed)
		return out_commit(c->out, err);
	out_abort(c->out);
	return 0;
}

static void
more_stats(void *ctx, json_t *stats)
{
	const struct chunk *c = ctx;

	json_object_set_new(stats, "chunks", json_integer(c->chunks));
	json_object_set_new(stats, "tokens", json_integer(c->tokens));
	json_object_set_new(stats, "chunk_bytes", json_integer(c->bytes));
}

int
main(int argc, char **argv)
{
	static const char *const kinds[] = { "text", "markdown", "lines" };
	const str keys[] = { S("id"), S("llm") };
	struct chunk c = { .o.tokens = 512 };
	char **file = tool_start(&tool, argc, argv, &c);
	struct records_job job = {
		.ctx = &c, .map = map, .sink = sink, .keys = keys, .nkeys = 2,
		.state_size = sizeof(struct state), .state_free = state_free,
	};
	struct err err = { 0 };
	int kind = tool_choice(c.kind, kinds, 3), status;

	if (c.model == NULL)
		tool_usage("which tokenizer?  -m path");
	if (kind < 0)
		tool_usage("--type %s: not text, markdown or lines", c.kind);
	if (c.o.overlap > c.o.tokens / 2)
		tool_usage("--overlap %lld is more than half of a chunk", (long long)c.o.overlap);
	c.o.kind = (enum chunk_kind)kind;
	if ((c.tok = model_tokenizer(c.model, &err)) == NULL)
		tool_fail(NULL, &err);
	c.field = job.field = filter_field(&c.io);
	c.io.ctx = &c;
	c.io.begin = begin;
	c.io.end = end;
	c.io.suffix = ".jsonl";
	c.io.more_stats = more_stats;
	status = filter_main(&tool, &c.io, file, &job);
	tokenizer_free(c.tok);
	return status;
}
