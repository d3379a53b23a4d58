/*
 * llm-tokenize - texts to token ids
 *
 * Encodes the text of each record on any number of threads and writes the ids
 * in input order: a document shard, or lines of numbers.  Memory: the tokenizer
 * (about 60 bytes a token), for each thread 2 MiB, and the batches under way.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "fmt/provenance.h"
#include "fmt/shard.h"
#include "model/model.h"
#include "token/tokenizer.h"
#include "tool/filter.h"

enum format { FORMAT_SHARD, FORMAT_IDS, FORMAT_COUNT };
enum mode { MODE_AUTO, MODE_YES, MODE_NO };

struct tokenize {
	struct filter_opts io;
	const char	*model;
	const char	*format_name, *bos_name, *eos_name, *codec;
	bool		 no_provenance;
	enum format	 format;
	bool		 add_bos, add_eos;
	struct tokenizer *tokenizer;
	struct out	*out;		/* of lines */
	struct shard_writer *shard;
	json_t		*provenance;
	struct hasher	*hash;		/* of all texts' hashes, in order */
	int64_t		 tokens;
};

/* What a thread has for itself. */
struct state {
	struct encoder	*encoder;
	struct ids	 ids;
};

#define AT(field) offsetof(struct tokenize, field)

static const struct opt opts[] = {
	{ .letter = 'm', .name = "model", .type = OPT_STR, .at = AT(model), .arg = "path",
	  .help = "directory with tokenizer.json, or that file" },
	{ .letter = 'F', .name = "format", .type = OPT_STR, .at = AT(format_name),
	  .arg = "shard|ids|count", .help = "write a shard, or ids or their count a line (shard)" },
	{ .name = "bos", .type = OPT_STR, .at = AT(bos_name), .arg = "auto|yes|no",
	  .help = "begin documents with the begin-of-text token (auto)" },
	{ .name = "eos", .type = OPT_STR, .at = AT(eos_name), .arg = "auto|yes|no",
	  .help = "end documents with the end-of-text token (auto)" },
	{ .name = "no-provenance", .type = OPT_FLAG, .at = AT(no_provenance),
	  .help = "do not write into the shard what it was made by and from" },
	FILTER_INPUT_OPTIONS(struct tokenize, io),
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

static void
state_free(void *state)
{
	struct state *s = state;

	encoder_free(s->encoder);
	ids_free(&s->ids);
}

/* Numbers as text; a line at most 12 bytes a number. */
static ptrdiff_t
put_number(char *to, int64_t x)
{
	char digit[24];
	ptrdiff_t n = 0, len;

	do
		digit[n++] = (char)('0' + x % 10);
	while ((x /= 10) > 0);
	for (len = 0; n > 0; )
		to[len++] = digit[--n];
	return len;
}

/* What the sink is to write, in the batch's memory. */
struct made {
	uint64_t	 hash;		/* of the text */
	int64_t		 tokens;	/* without BOS and EOS in lines */
	int64_t		 n;		/* ids, or bytes of the line */
	union {
		int32_t	*id;
		char	*line;
	};
};

static int
make_ids(const struct tokenize *t, const struct ids *ids, struct made *m, struct arena *a,
    struct err *err)
{
	int64_t n = ids->n + t->add_bos + t->add_eos, at = 0;

	if ((m->id = arena_new(a, int32_t, n, err)) == NULL)
		return -1;
	if (t->add_bos)
		m->id[at++] = tokenizer_bos(t->tokenizer);
	if (ids->n > 0)
		memcpy(m->id + at, ids->id, (size_t)ids->n * sizeof(*m->id));
	if (t->add_eos)
		m->id[n - 1] = tokenizer_eos(t->tokenizer);
	m->n = m->tokens = n;
	return 0;
}

static int
make_line(const struct tokenize *t, const struct ids *ids, struct made *m, struct arena *a,
    struct err *err)
{
	int64_t n = t->format == FORMAT_IDS ? ids->n : 1;

	if ((m->line = arena_alloc(a, 12 * n + 24, 1, err)) == NULL)
		return -1;
	for (int64_t i = 0; i < n; i++) {
		m->n += put_number(m->line + m->n, t->format == FORMAT_IDS ? ids->id[i] : ids->n);
		m->line[m->n++] = i + 1 < n ? ' ' : '\n';
	}
	if (n == 0)
		m->line[m->n++] = '\n';
	m->tokens = ids->n;
	return 0;
}

static int
map(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct tokenize *t = ctx;
	struct state *s = state;
	struct made *m = arena_new(r->scratch, struct made, 1, err);

	if (m == NULL || (s->encoder == NULL &&
	    (s->encoder = encoder_new(t->tokenizer, err)) == NULL))
		return RECORD_BAD;
	s->ids.n = 0;
	if (encode(s->encoder, r->text, ENCODE_CHECKED, &s->ids, err) < 0 ||
	    (t->format == FORMAT_SHARD ? make_ids : make_line)(t, &s->ids, m, r->scratch, err) < 0)
		return RECORD_BAD;
	if (t->format == FORMAT_SHARD)
		m->hash = hash64(r->text);
	r->tag[0] = (uint64_t)(uintptr_t)m;
	return RECORD_KEEP;
}

static int
sink(void *ctx, struct record *r, struct err *err)
{
	struct tokenize *t = ctx;
	const struct made *m = (const struct made *)(uintptr_t)r->tag[0];
	struct shard_item doc = { .source_bytes = r->text.n };

	t->tokens += m->tokens;
	if (t->format != FORMAT_SHARD)
		return out_write(t->out, m->line, m->n, err);
	doc.token = (const uint32_t *)m->id;
	doc.n = (int32_t)m->n;
	hasher_add(t->hash, (str){ (const char *)&m->hash, sizeof(m->hash) });
	return shard_put(t->shard, &doc, err);
}

/* ---- the shard ---- */

static int
begin(void *ctx, const char *path, struct codec_spec codec, struct err *err)
{
	struct tokenize *t = ctx;
	struct shard_info info = {
		.vocab = tokenizer_vocab(t->tokenizer), .eos = tokenizer_eos(t->tokenizer),
		.tokenizer = tokenizer_fingerprint(t->tokenizer),
	};
	struct out *out = out_open(path, codec, err);
	json_t *options;

	if (out == NULL)
		return -1;
	if (t->format != FORMAT_SHARD) {
		t->out = out;
		return 0;
	}
	if ((t->shard = shard_create(out, &info, (str){ NULL, 0 }, err)) == NULL ||
	    (t->hash = hasher_new(err)) == NULL ||
	    (t->provenance = provenance_new(tool.name, VERSION, err)) == NULL)
		return -1;
	options = provenance_options(t->provenance);
	json_object_set_new(options, "bos", json_boolean(t->add_bos));
	json_object_set_new(options, "eos", json_boolean(t->add_eos));
	return 0;
}

static int
end(void *ctx, bool failed, struct err *err)
{
	struct tokenize *t = ctx;
	struct shard_writer *shard = t->shard;
	struct out *out = t->out;
	struct buf text = { 0 };
	int ret = 0;

	t->shard = NULL;
	t->out = NULL;
	if (failed) {
		shard_abort(shard);
		out_abort(out);
		return 0;
	}
	if (out != NULL)
		return out_commit(out, err);
	if (!t->no_provenance)
		ret = provenance_input(t->provenance, hasher_end64(t->hash),
		    (str){ NULL, 0 }, err) < 0 ||
		    provenance_text(t->provenance, &text, err) < 0 ||
		    shard_set_provenance(shard, buf_str(&text), err) < 0 ? -1 : 0;
	if (ret < 0)
		shard_abort(shard);
	else
		ret = shard_finish(shard, err);
	buf_free(&text);
	hasher_free(t->hash);
	json_decref(t->provenance);
	return ret;
}

/* ---- options ---- */

static int
choice(const char *option, const char *given, const char *const *name, int n)
{
	for (int i = 0; i < n; i++)
		if (given == NULL || strcmp(given, name[i]) == 0)
			return i;
	tool_usage("--%s %s: not %s, %s or %s", option, given, name[0], name[1], name[2]);
}

/* Is the token to be added?  automatic: what auto means. */
static bool
wanted(const char *option, const char *given, int32_t id, bool automatic)
{
	static const char *const name[] = { "auto", "yes", "no" };
	enum mode mode = (enum mode)choice(option, given, name, 3);

	if (mode == MODE_YES && id < 0)
		tool_die("--%s yes: the tokenizer has no such token", option);
	return id >= 0 && (mode == MODE_YES || (mode == MODE_AUTO && automatic));
}

static void
more_stats(void *ctx, json_t *stats)
{
	const struct tokenize *t = ctx;

	json_object_set_new(stats, "tokens", json_integer(t->tokens));
}

int
main(int argc, char **argv)
{
	static const char *const format[] = { "shard", "ids", "count" };
	static const char *const suffix[] = { ".shard", ".ids", ".count" };
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
	t.format = (enum format)choice("format", t.format_name, format, 3);
	if ((t.tokenizer = model_tokenizer(t.model, &err)) == NULL)
		tool_fail(NULL, &err);
	t.add_bos = wanted("bos", t.bos_name, tokenizer_bos(t.tokenizer),
	    tokenizer_adds_bos(t.tokenizer));
	t.add_eos = wanted("eos", t.eos_name, tokenizer_eos(t.tokenizer), true);
	job.field = filter_field(&t.io);
	t.io.ctx = &t;
	t.io.begin = begin;
	t.io.end = end;
	t.io.suffix = suffix[t.format];
	t.io.more_stats = more_stats;
	status = filter_main(&tool, &t.io, file, &job);
	tokenizer_free(t.tokenizer);
	return status;
}
