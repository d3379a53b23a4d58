/*
 * llm-detokenize - token ids to texts
 *
 * Writes a record for each document of a shard, for each segment of a packed
 * one, or for each line of ids.  Special tokens are dropped, so that what
 * llm-tokenize read comes back byte for byte.  Memory: the tokenizer, and one
 * document.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/progress.h"
#include "fmt/shard.h"
#include "model/model.h"
#include "token/tokenizer.h"
#include "tool/tool.h"

#define LINE_MAX_BYTES	((ptrdiff_t)1 << 30)

struct detokenize {
	const char	*model, *format, *field, *output, *codec_name, *stats;
	bool		 specials, keep_going, quiet, verbose;
	struct tokenizer *tokenizer;
	struct out	*out;
	struct buf	 text, line;
	struct progress	 progress;
	int64_t		 docs, tokens, text_bytes, bad;
};

#define AT(field) offsetof(struct detokenize, field)

static const struct opt opts[] = {
	{ .letter = 'm', .name = "model", .type = OPT_STR, .at = AT(model), .arg = "path",
	  .help = "directory with tokenizer.json, or that file" },
	{ .letter = 'F', .name = "format", .type = OPT_STR, .at = AT(format),
	  .arg = "shard|ids", .help = "read shards, or lines of ids (shard)" },
	{ .letter = 'f', .name = "field", .type = OPT_STR, .at = AT(field), .arg = "key",
	  .help = "key of the text in a record (text)" },
	{ .name = "specials", .type = OPT_FLAG, .at = AT(specials),
	  .help = "write special tokens too, by their names" },
	{ .letter = 'o', .name = "output", .type = OPT_STR, .at = AT(output), .arg = "file",
	  .help = "write to this file" },
	{ .letter = 'z', .name = "compress", .type = OPT_STR, .at = AT(codec_name),
	  .arg = "zstd[:n]|gzip[:n]", .help = "compress the output" },
	{ .letter = 'k', .name = "keep-going", .type = OPT_FLAG, .at = AT(keep_going),
	  .help = "pass over bad lines of ids and exit 1 if there were any" },
	{ .name = "stats", .type = OPT_STR, .at = AT(stats), .arg = "file",
	  .help = "write counts as a JSON object here" },
	{ .letter = 'q', .name = "quiet", .type = OPT_FLAG, .at = AT(quiet),
	  .help = "show no progress and do not name bad lines" },
	{ .letter = 'v', .name = "verbose", .type = OPT_FLAG, .at = AT(verbose),
	  .help = "show progress and counts, also without a terminal" },
	{ 0 }
};

static const struct tool tool = {
	.name = "llm-detokenize",
	.synopsis = "-m model [file ...]",
	.summary = "turn token ids into texts",
	.opts = opts,
};

_Noreturn static void
stop(struct detokenize *d, const struct err *err)
{
	out_abort(d->out);
	tool_fail(NULL, err);
}

static void
show(struct detokenize *d, int64_t done, int64_t total)
{
	tool_progress_of(&d->progress, d->docs, "documents", done, total, d->quiet, d->verbose);
}

/* Write the record of n ids.  Return 0, or -1 when an id is bad. */
static int
put(struct detokenize *d, const int32_t *id, int64_t n, struct err *err)
{
	struct decoder decoder = { .skip_special = !d->specials };
	struct err fault;

	buf_reset(&d->text);
	if (decode(d->tokenizer, &decoder, id, n, &d->text, err) < 0 ||
	    decode_end(&decoder, &d->text, err) < 0)
		return -1;
	buf_reset(&d->line);
	buf_byte(&d->line, '{');
	json_quote(&d->line, str_of(d->field));
	buf_byte(&d->line, ':');
	json_quote(&d->line, buf_str(&d->text));
	buf_add(&d->line, S("}\n"));
	if (buf_ok(&d->line, &fault) < 0 || out_write(d->out, d->line.p, d->line.n, &fault) < 0)
		stop(d, &fault);
	d->docs++;
	d->tokens += n;
	d->text_bytes += d->text.n;
	return 0;
}

static void
check_tokenizer(struct detokenize *d, const char *name, const struct shard_info *info)
{
	hash128 want = tokenizer_fingerprint(d->tokenizer), got = info->tokenizer;
	struct err err;

	if ((got.lo == 0 && got.hi == 0) || (got.lo == want.lo && got.hi == want.hi))
		return;
	err_set(&err, ERR_ARG, "%s: made with another tokenizer than %s", name, d->model);
	stop(d, &err);
}

static void
from_shard(struct detokenize *d, const char *name)
{
	struct err err;
	struct shard_reader *r = shard_open(name, &err);
	struct shard_item item;
	int rc;

	if (r == NULL)
		stop(d, &err);
	check_tokenizer(d, name, shard_reader_info(r));
	while ((rc = shard_next(r, &item, &err)) == 1) {
		const int32_t *id = (const int32_t *)item.token;
		int32_t n = item.nseg > 0 ? item.nseg : 1;

		for (int32_t i = 0; i < n; i++) {
			int32_t from = item.nseg > 0 ? item.start[i] : 0;
			int32_t to = item.nseg > 0 ? item.start[i + 1] : item.n;

			if (put(d, id + from, to - from, &err) < 0) {
				err_wrap(&err, "%s: document %" PRId64, name, d->docs + 1);
				stop(d, &err);
			}
		}
		show(d, shard_reader_pos(r), shard_reader_size(r));
	}
	if (rc < 0)
		stop(d, &err);
	shard_close(r);
}

/* ---- lines of ids ---- */

static int
parse_ids(str line, struct ids *ids, struct err *err)
{
	const char *p = line.p, *end = line.p + line.n;

	ids->n = 0;
	for (;;) {
		int64_t x = 0;
		const char *start;

		while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
			p++;
		if (p == end)
			return 0;
		for (start = p; p < end && *p >= '0' && *p <= '9' && x < INT32_MAX; p++)
			x = 10 * x + (*p - '0');
		if (p == start || x > INT32_MAX ||
		    (p < end && *p != ' ' && *p != '\t' && *p != '\r')) {
			while (p < end && *p != ' ')
				p++;
			return err_set(err, ERR_FORMAT, "'%.*s' is not a token id",
			    (int)(p - start < 40 ? p - start : 40), start);
		}
		if (ids_room(ids, 1, err) < 0)
			return -1;
		ids->id[ids->n++] = (int32_t)x;
	}
}

static void
put_line(struct detokenize *d, const char *name, int64_t number, str line, struct ids *ids)
{
	struct err err;

	if (parse_ids(line, ids, &err) == 0 && put(d, ids->id, ids->n, &err) == 0)
		return;
	err_wrap(&err, "%s:%" PRId64, name, number);
	if (!d->keep_going || err.code != ERR_FORMAT)
		stop(d, &err);
	if (!d->quiet)
		tool_warn("%s", err.msg);
	d->bad++;
}

static void
from_ids(struct detokenize *d, const char *name)
{
	struct err err;
	struct in *in = in_open(name, &err);
	struct buf b = { .limit = LINE_MAX_BYTES };
	struct ids ids = { 0 };
	const char *show_name = strcmp(name, "-") == 0 ? "stdin" : name;
	int64_t number = 0;
	ptrdiff_t got = 1, seen;	/* seen: bytes kept that hold no newline */

	if (in == NULL) {
		err_wrap(&err, "%s", show_name);
		stop(d, &err);
	}
	while (got > 0) {
		str rest;
		const char *nl;
		char *room = buf_room(&b, 1 << 18);

		seen = b.n;
		if (room == NULL)
			err_set(&err, ERR_LIMIT, "a line of more than %td bytes", LINE_MAX_BYTES);
		if (room == NULL || (got = in_read(in, room, 1 << 18, &err)) < 0) {
			err_wrap(&err, "%s:%" PRId64, show_name, number + 1);
			stop(d, &err);
		}
		b.n += got;
		rest = buf_str(&b);
		while (rest.n > 0) {
			ptrdiff_t n = rest.n;

			nl = memchr(rest.p + seen, '\n', (size_t)(rest.n - seen));
			if (nl == NULL && got > 0)
				break;
			if (nl != NULL)
				n = nl - rest.p;
			put_line(d, show_name, ++number, (str){ rest.p, n }, &ids);
			n += nl != NULL;
			rest = (str){ rest.p + n, rest.n - n };
			seen = 0;
		}
		if (rest.n > 0)
			memmove(b.p, rest.p, (size_t)rest.n);
		b.n = rest.n;
		show(d, in_pos(in), in_size(in));
	}
	in_close(in);
	ids_free(&ids);
	buf_free(&b);
}

static void
write_stats(const struct detokenize *d)
{
	struct err err;
	json_t *doc = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "tool", tool.name,
	    "version", VERSION, "documents", (json_int_t)d->docs, "tokens", (json_int_t)d->tokens,
	    "text_bytes", (json_int_t)d->text_bytes, "bad", (json_int_t)d->bad);

	if (doc == NULL)
		tool_die("out of memory");
	if (json_doc_save(d->stats, doc, &err) < 0)
		tool_fail(NULL, &err);
	json_decref(doc);
}

int
main(int argc, char **argv)
{
	static char dash[] = "-";
	static char *only_stdin[] = { dash, NULL };
	struct detokenize d = { .field = "text", .format = "shard" };
	char **file = tool_start(&tool, argc, argv, &d);
	struct codec_spec codec = { CODEC_PLAIN, 0 };
	struct err err;
	bool lines;

	if (d.model == NULL)
		tool_usage("which tokenizer?  -m path");
	lines = strcmp(d.format, "ids") == 0;
	if (!lines && strcmp(d.format, "shard") != 0)
		tool_usage("--format %s: not shard or ids", d.format);
	if (d.codec_name != NULL && codec_parse(str_of(d.codec_name), &codec, &err) < 0)
		tool_usage("%s", err.msg);
	if ((d.tokenizer = model_tokenizer(d.model, &err)) == NULL ||
	    (d.out = out_open(d.output, codec, &err)) == NULL)
		tool_fail(NULL, &err);
	progress_start(&d.progress, d.verbose ? 1 : 0.25);
	for (file = *file == NULL ? only_stdin : file; *file != NULL; file++)
		if (lines)
			from_ids(&d, *file);
		else
			from_shard(&d, *file);
	tool_progress(NULL, d.quiet, d.verbose);
	if (out_commit(d.out, &err) < 0)
		tool_fail(NULL, &err);
	if (d.stats != NULL)
		write_stats(&d);
	if (d.verbose)
		tool_warn("%" PRId64 " documents, %" PRId64 " tokens, %" PRId64 " bad lines",
		    d.docs, d.tokens, d.bad);
	tokenizer_free(d.tokenizer);
	buf_free(&d.text);
	buf_free(&d.line);
	return tool_finish(d.bad > 0 ? TOOL_NO : 0);
}
