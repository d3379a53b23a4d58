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
#include "fmt/shard_list.h"
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
	json_t *options = provenance_options(p->provenance);
	struct err err;
	struct out *out = out_open(p->output, (struct codec_spec){ CODEC_PLAIN, 0 }, &err);

	if (out == NULL)
		tool_fail(NULL, &err);
	p->to = shard_create(out, &info, (str){ NULL, 0 }, &err);
	if (p->to == NULL || (p->packer = packer_new(&p->o, p->to, &err)) == NULL)
		tool_fail(NULL, &err);
	json_object_set_new(options, "length", json_integer(p->o.row_len));
	json_object_set_new(options, "type", json_string(p->o.method == PACK_STREAM ?
	    "stream" : "best-fit"));
	if (p->o.method == PACK_BEST_FIT)
		json_object_set_new(options, "window", json_integer(p->o.window));
}

static void
show(struct pack *p, const struct shard_list *l)
{
	char line[200];

	progress_line(&p->progress, line, sizeof(line), packer_count(p->packer)->docs,
	    "documents", shard_list_pos(l), shard_list_size(l));
	tool_progress(line, p->quiet, p->verbose);
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
		err_set(&err, ERR_NOMEM, "out of memory");
	if (text == NULL || file_write(p->stats, str_of(text), &err) != 0) {
		shard_abort(p->to);
		tool_fail(NULL, &err);
	}
	free(text);
	json_decref(doc);
}

static void
pack(struct pack *p, char **file)
{
	struct shard_item doc;
	struct shard_list *l;
	struct err err;
	int rc;

	p->provenance = provenance_new(tool.name, VERSION, &err);
	l = p->provenance == NULL ? NULL : shard_list_open(file, p->provenance, &err);
	if (l == NULL)
		tool_fail(NULL, &err);
	if (shard_list_info(l)->packed)
		tool_die("%s: is packed already", *file == NULL ? "standard input" : *file);
	start(p, shard_list_info(l));
	while ((rc = shard_list_next(l, &doc, &err)) == 1) {
		if ((rc = packer_add(p->packer, &doc, &err)) != 0)
			break;
		if (progress_due(&p->progress))
			show(p, l);
	}
	if (rc != 0 || packer_finish(p->packer, &err) != 0) {
		shard_abort(p->to);
		tool_fail(NULL, &err);
	}
	shard_list_close(l);
	/* Before the shard gets its name: where that is, all is done. */
	if (p->stats != NULL)
		write_stats(p);
	if (shard_finish_from(p->to, p->no_provenance ? NULL : p->provenance, &err) != 0)
		tool_fail(NULL, &err);
	json_decref(p->provenance);
}

static void
report(const struct pack *p)
{
	const struct pack_count *c = packer_count(p->packer);

	tool_progress(NULL, p->quiet, p->verbose);
	if (p->verbose)
		tool_warn("%" PRId64 " documents (%" PRId64 " empty, %" PRId64 " cut), %" PRId64
		    " tokens in %" PRId64 " rows of %d: %.2f%% full", c->docs, c->empty,
		    c->cut, c->tokens, c->rows, p->o.row_len, 100 * fill(p));
}

int
main(int argc, char **argv)
{
	struct pack p = { .o.window = 16384 };
	char **file = tool_start(&tool, argc, argv, &p);

	if (p.row_len == 0)
		tool_usage("how long is a row? (-l tokens)");
	if (p.output == NULL && isatty(STDOUT_FILENO))
		tool_usage("a shard is no text for a terminal (-o file, or a pipe)");
	p.o.row_len = (int32_t)p.row_len;
	progress_start(&p.progress, 1);
	pack(&p, file);
	report(&p);
	packer_free(p.packer);
	return tool_finish(0);
}
