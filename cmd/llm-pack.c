/*
 * llm-pack - put documents of tokens into rows of equal length
 *
 * Reads shards of documents, as one stream, and writes a shard of packed rows
 * in which the documents' boundaries are kept, so that a model that is trained
 * on a row can keep its documents apart.  Best-fit-decreasing in a window, or
 * plain concatenation (lib/fmt/pack.h): O(n log n) in the window, and memory
 * for the tokens of one window.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/progress.h"
#include "fmt/pack.h"
#include "fmt/provenance.h"
#include "fmt/shard.h"
#include "tool/tool.h"

struct pack {
	struct pack_opts o;
	int64_t		 row_len;	/* -l */
	const char	*output, *stats;
	bool		 quiet, verbose, no_provenance;
	struct shard_writer *to;
	struct packer	*packer;
	json_t		*provenance;
	struct progress	 progress;
};

static int
parse_method(void *into, const char *arg, struct err *err)
{
	struct pack *p = into;

	if (strcmp(arg, "best-fit") == 0)
		p->o.method = PACK_BEST_FIT;
	else if (strcmp(arg, "stream") == 0)
		p->o.method = PACK_STREAM;
	else
		return err_set(err, ERR_ARG, "no method '%s': best-fit and stream are known",
		    arg);
	return 0;
}

static const struct opt opts[] = {
	{ .letter = 'l', .name = "length", .type = OPT_I64, .at = offsetof(struct pack, row_len),
	  .arg = "tokens", .help = "make rows of this many tokens (required)",
	  .min = 1, .max = PACK_ROW_MAX },
	{ .letter = 't', .name = "type", .type = OPT_CALL, .arg = "method",
	  .help = "pack by best-fit (the default) or as a stream", .call = parse_method },
	{ .name = "window", .type = OPT_I64, .at = offsetof(struct pack, o.window),
	  .arg = "documents", .help = "fit this many documents at a time (16384)",
	  .min = 1, .max = (double)PACK_WINDOW_MAX },
	{ .letter = 'o', .name = "output", .type = OPT_STR, .at = offsetof(struct pack, output),
	  .arg = "file", .help = "write to file instead of standard output" },
	{ .name = "stats", .type = OPT_STR, .at = offsetof(struct pack, stats),
	  .arg = "file", .help = "write counts as a JSON object to file" },
	{ .name = "no-provenance", .type = OPT_FLAG, .at = offsetof(struct pack, no_provenance),
	  .help = "leave out what the shard was made by and from" },
	{ .letter = 'q', .name = "quiet", .type = OPT_FLAG, .at = offsetof(struct pack, quiet),
	  .help = "show no progress" },
	{ .letter = 'v', .name = "verbose", .type = OPT_FLAG,
	  .at = offsetof(struct pack, verbose),
	  .help = "show progress, and counts at the end" },
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-pack",
	.synopsis = "-l tokens [file ...]",
	.summary  = "put documents of tokens into rows of equal length",
	.opts     = opts,
};

/* The first input says what the output's tokens are. */
static void
start(struct pack *p, const struct shard_info *from)
{
	struct shard_info info = { .packed = true, .row_len = p->o.row_len,
	    .vocab = from->vocab, .tokenizer = from->tokenizer, .eos = from->eos };
	struct err err;
	struct out *out = out_open(p->output, (struct codec_spec){ CODEC_PLAIN, 0 }, &err);
	json_t *options;

	if (out == NULL)
		tool_fail(NULL, &err);
	p->to = shard_create(out, &info, (str){ NULL, 0 }, &err);
	if (p->to == NULL || (p->packer = packer_new(&p->o, p->to, &err)) == NULL ||
	    (p->provenance = provenance_new(tool.name, VERSION, &err)) == NULL)
		tool_fail(NULL, &err);
	options = provenance_options(p->provenance);
	json_object_set_new(options, "length", json_integer(p->o.row_len));
	json_object_set_new(options, "type", json_string(p->o.method == PACK_STREAM ?
	    "stream" : "best-fit"));
	if (p->o.method == PACK_BEST_FIT)
		json_object_set_new(options, "window", json_integer(p->o.window));
}

_Noreturn static void
stop(struct pack *p, const struct err *err)
{
	shard_abort(p->to);
	tool_fail(NULL, err);
}

static void
show(struct pack *p, const struct shard_reader *r)
{
	char line[200];

	progress_line(&p->progress, line, sizeof(line), packer_count(p->packer)->docs,
	    "documents", shard_reader_pos(r), shard_reader_size(r));
	tool_progress(line, p->quiet, p->verbose);
}

static void
pack_file(struct pack *p, const char *name, struct shard_info *first)
{
	struct err err;
	struct shard_reader *r = shard_open(name, &err);
	struct shard_item doc;
	int rc;

	if (r == NULL)
		stop(p, &err);
	if (shard_reader_info(r)->packed) {
		err_set(&err, ERR_ARG, "%s: is packed already", name);
		stop(p, &err);
	}
	if (p->to == NULL) {
		*first = *shard_reader_info(r);
		start(p, first);
	} else if (shard_same(first, shard_reader_info(r), &err) != 0) {
		err_wrap(&err, "%s: differs from the first file", name);
		stop(p, &err);
	}
	while ((rc = shard_next(r, &doc, &err)) == 1) {
		if (packer_add(p->packer, &doc, &err) != 0)
			stop(p, &err);
		if (progress_due(&p->progress))
			show(p, r);
	}
	if (rc < 0 || provenance_input(p->provenance, shard_reader_hash(r),
	    shard_reader_provenance(r), &err) != 0)
		stop(p, &err);
	shard_close(r);
}

static double
fill(const struct pack *p)
{
	const struct pack_count *c = packer_count(p->packer);

	return c->rows == 0 ? 1 : (double)c->tokens / ((double)c->rows * p->o.row_len);
}

static void
write_stats(const struct pack *p)
{
	const struct pack_count *c = packer_count(p->packer);
	struct err err;
	json_t *doc = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}",
	    "tool", tool.name, "documents", (json_int_t)c->docs, "empty", (json_int_t)c->empty,
	    "cut", (json_int_t)c->cut, "rows", (json_int_t)c->rows,
	    "segments", (json_int_t)c->segments, "tokens", (json_int_t)c->tokens,
	    "padding", (json_int_t)(c->rows * p->o.row_len - c->tokens),
	    "source_bytes", (json_int_t)c->source_bytes, "fill", fill(p));
	char *text = doc == NULL ? NULL : json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(6));

	if (text == NULL)
		tool_die("out of memory");
	if (file_write(p->stats, str_of(text), &err) != 0)
		tool_fail(NULL, &err);
	free(text);
	json_decref(doc);
}

static void
finish(struct pack *p)
{
	const struct pack_count *c = packer_count(p->packer);
	struct buf text = { 0 };
	struct err err;

	if (packer_finish(p->packer, &err) != 0 || (!p->no_provenance &&
	    (provenance_text(p->provenance, &text, &err) != 0 ||
	    shard_set_provenance(p->to, buf_str(&text), &err) != 0)))
		stop(p, &err);
	if (shard_finish(p->to, &err) != 0)
		tool_fail(NULL, &err);
	tool_progress(NULL, p->quiet, p->verbose);
	if (p->stats != NULL)
		write_stats(p);
	if (p->verbose)
		tool_warn("%" PRId64 " documents (%" PRId64 " empty, %" PRId64 " cut), %" PRId64
		    " tokens in %" PRId64 " rows of %d: %.2f%% full", c->docs, c->empty,
		    c->cut, c->tokens, c->rows, p->o.row_len, 100 * fill(p));
	buf_free(&text);
	json_decref(p->provenance);
	packer_free(p->packer);
}

int
main(int argc, char **argv)
{
	static char *only_stdin[] = { "-", NULL };
	struct pack p = { .o.window = 16384 };
	struct shard_info first;
	char **file = tool_start(&tool, argc, argv, &p);

	if (p.row_len == 0)
		tool_usage("how long is a row? (-l tokens)");
	if (p.output == NULL && isatty(STDOUT_FILENO))
		tool_usage("a shard is no text for a terminal (-o file, or a pipe)");
	p.o.row_len = (int32_t)p.row_len;
	if (*file == NULL)
		file = only_stdin;
	progress_start(&p.progress, 1);
	for (; *file != NULL; file++)
		pack_file(&p, *file, &first);
	finish(&p);
	return tool_finish(0);
}
