/*
 * llm-embed - texts to vectors
 *
 * Reads records, runs the text of each through a model (an encoder, a decoder, or
 * a table of vectors) many at a time, and writes a vector for each in the order of
 * the input: as a key of the record, or as an array.  Memory: the model, one pass
 * of 2048 tokens, and with -F npy or safetensors all vectors.
 */
#include <stdlib.h>

#include "infer/vectors.h"
#include "tool/filter.h"

struct embed {
	struct filter_opts io;
	const char	*model, *format_name, *pooling, *normalize, *key, *prefix, *device;
	int64_t		 most, threads;
	struct embedder	*e;
	struct vectors	*vectors;
};

#define AT(field) offsetof(struct embed, field)

static const struct opt opts[] = {
	{ 'm', "model", OPT_STR, AT(model), "PATH", "model directory, GGUF file or table" },
	{ 'F', "format", OPT_STR, AT(format_name), "NAME",
	    "jsonl, f32, npy or safetensors (jsonl)" },
	{ 0, "pooling", OPT_STR, AT(pooling), "NAME",
	    "mean, cls, last or none of the tokens (as the model says, or mean)" },
	{ 0, "normalize", OPT_STR, AT(normalize), "auto|yes|no", "vectors of length 1 (auto)" },
	{ 0, "max-tokens", OPT_I64, AT(most), "N", "of a text; what is longer is cut",
	    .min = 1, .max = 1e9 },
	{ 0, "prefix", OPT_STR, AT(prefix), "TEXT", "what the model wants before each text" },
	{ 0, "key", OPT_STR, AT(key), "KEY", "key of the vector in its record (embedding)" },
	FILTER_RECORD_OPTIONS(struct embed, io),
	{ 'o', "output", OPT_STR, AT(io.output), "PATH",
	    "write to this file, or each input to its own in dir/" },
	{ 'z', "compress", OPT_STR, AT(io.codec), "zstd[:n]|gzip[:n]", "compress all output" },
	{ 'd', "device", OPT_STR, AT(device), "NAME", "cpu, cpu:avx2, cpu:base ... (cpu)" },
	{ 'j', "threads", OPT_I64, AT(threads), "N", "threads (all processors)",
	    .min = 1, .max = TEAM_MAX },
	{ 'q', "quiet", OPT_FLAG, AT(io.quiet),
	    .help = "show no progress and do not name bad records" },
	{ 'v', "verbose", OPT_FLAG, AT(io.verbose),
	    .help = "show progress and counts, also without a terminal" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-embed", .synopsis = "-m PATH [file ...]",
	.summary = "turn texts into vectors", .opts = opts,
};

/* ---- one record ---- */

struct state {
	struct encoder	*encoder;
	struct ids	 ids;
	struct buf	 text;		/* with what goes before */
};

static void
state_free(void *state)
{
	struct state *s = state;

	encoder_free(s->encoder);
	ids_free(&s->ids);
	buf_free(&s->text);
}

static int
map(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct embed *o = ctx;
	struct state *s = state;
	str text = r->text;
	int32_t *id;

	if (s->encoder == NULL && (s->encoder = encoder_new(embed_tokenizer(o->e), err)) == NULL)
		return RECORD_BAD;
	if (o->prefix != NULL) {
		buf_reset(&s->text);
		buf_add(&s->text, str_of(o->prefix));
		buf_add(&s->text, r->text);
		if (buf_ok(&s->text, err) < 0)
			return RECORD_BAD;
		text = buf_str(&s->text);
	}
	s->ids.n = 0;
	if (embed_ids(o->e, s->encoder, text, &s->ids, err) < 0 ||
	    (id = arena_new(r->scratch, int32_t, s->ids.n + 1, err)) == NULL)
		return RECORD_BAD;
	memcpy(id, s->ids.id, (size_t)s->ids.n * sizeof(*id));
	r->tag[0] = (uint64_t)(uintptr_t)id;
	r->tag[1] = (uint64_t)s->ids.n;
	return RECORD_KEEP;
}

static int
sink(void *ctx, struct record *r, struct err *err)
{
	struct embed *o = ctx;

	return vectors_add(o->vectors, r->line, (const void *)(uintptr_t)r->tag[0],
	    (int64_t)r->tag[1], err);
}

/* ---- a run ---- */

static int
settle(void *ctx, struct err *err)
{
	struct embed *o = ctx;

	return vectors_settle(o->vectors, err);
}

static int
begin(void *ctx, const char *path, struct codec_spec codec, struct err *err)
{
	struct embed *o = ctx;

	return vectors_begin(o->vectors, path, codec, err);
}

static int
end(void *ctx, bool failed, struct err *err)
{
	struct embed *o = ctx;

	return vectors_end(o->vectors, failed, err);
}

static void
more_stats(void *ctx, json_t *stats)
{
	const struct embed *o = ctx;

	json_object_set_new(stats, "vectors", json_integer(vectors_texts(o->vectors)));
	json_object_set_new(stats, "tokens", json_integer(vectors_tokens(o->vectors)));
	json_object_set_new(stats, "width", json_integer(embed_width(o->e)));
}

/* ---- options ---- */

static int
choice(const char *option, const char *given, const char *const *name, int otherwise)
{
	if (given == NULL)
		return otherwise;
	for (int i = 0; name[i] != NULL; i++)
		if (strcmp(given, name[i]) == 0)
			return i;
	tool_usage("--%s %s: there is no such %s", option, given, option);
}

int
main(int argc, char **argv)
{
	static const char *const formats[] = { "jsonl", "f32", "npy", "safetensors", NULL };
	static const char *const suffix[] = { ".jsonl", ".f32", ".npy", ".safetensors" };
	static const char *const poolings[] = { "auto", "mean", "cls", "last", "none", NULL };
	static const char *const yes[] = { "no", "yes", "auto", NULL };
	struct embed o = { .key = "embedding" };
	char **file = tool_start(&tool, argc, argv, &o);
	struct records_job job = { .ctx = &o, .map = map, .sink = sink, .settle = settle,
	    .state_size = sizeof(struct state), .state_free = state_free };
	struct embed_options settings = { .most = o.most };
	struct team *team = NULL;
	struct dev *dev = NULL;
	enum vectors_format format;
	struct err err;
	int status;

	if (o.model == NULL)
		tool_usage("no -m PATH");
	format = (enum vectors_format)choice("format", o.format_name, formats, VECTORS_JSONL);
	settings.pooling = (enum pooling)choice("pooling", o.pooling, poolings, POOL_AUTO);
	settings.normalize = choice("normalize", o.normalize, yes, 2);
	settings.normalize = settings.normalize == 2 ? -1 : settings.normalize;
	if (settings.pooling == POOL_NONE && (format == VECTORS_F32 || format == VECTORS_NPY))
		tool_usage("--pooling none: -F %s cannot say which text a vector is of",
		    o.format_name);
	if (format == VECTORS_SAFETENSORS && (o.io.output == NULL || o.io.codec != NULL))
		tool_usage("-F safetensors needs -o, and is never compressed");
	o.io.threads = 1;		/* the others are the model's */
	if (embed_is_table(o.model))
		o.io.threads = tool_threads(o.threads, 0);
	else if ((team = team_new(tool_threads(o.threads, 0), &err)) == NULL ||
	    (dev = dev_open(tool_device(o.device), team, 0, &err)) == NULL)
		tool_fail(NULL, &err);
	if ((o.e = embed_open(o.model, dev, &settings, &err)) == NULL ||
	    (o.vectors = vectors_new(o.e, format, o.key, &err)) == NULL)
		tool_fail(NULL, &err);
	job.field = filter_field(&o.io);
	o.io.ctx = &o;
	o.io.begin = begin;
	o.io.end = end;
	o.io.suffix = suffix[format];
	o.io.more_stats = more_stats;
	status = filter_main(&tool, &o.io, file, &job);
	vectors_free(o.vectors);
	embed_close(o.e);
	dev_close(dev);
	team_free(team);
	return status;
}
