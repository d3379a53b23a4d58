/*
 * llm-extract - archives, web pages and other files to records
 *
 * Reads files, directories and archives in order, and writes a JSON line for
 * each document in them.  One stream reads and decompresses; documents are
 * converted on -j threads and written in the order of reading, so that the
 * output is the same for any number of threads.  Memory is bounded by the size
 * of a document (--max-size) times the documents in flight.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/progress.h"
#include "text/extract.h"
#include "tool/tool.h"

struct app {
	struct extract_opts x;
	const char	*field, *form, *output, *codec, *bad, *stats;
	int64_t		 threads;
	double		 max_bad;
	bool		 quiet, verbose;
	struct progress	 progress;
};

#define AT(field) offsetof(struct app, field)

static int
add_pattern(const char **list, const char *arg, struct err *err)
{
	for (int i = 0; i < FILES_PATTERNS - 1; i++)
		if (list[i] == NULL) {
			list[i] = arg;
			return 0;
		}
	return err_set(err, ERR_ARG, "more than %d patterns", FILES_PATTERNS - 1);
}

static int
add_include(void *into, const char *arg, struct err *err)
{
	return add_pattern(((struct files_opts *)into)->include, arg, err);
}

static int
add_exclude(void *into, const char *arg, struct err *err)
{
	return add_pattern(((struct files_opts *)into)->exclude, arg, err);
}

static const struct opt opts[] = {
	{ .letter = 'F', .name = "format", .type = OPT_STR, .at = AT(form),
	  .arg = "text|markdown", .help = "how to write pages (text)" },
	{ .letter = 'f', .name = "field", .type = OPT_STR, .at = AT(field), .arg = "key",
	  .help = "key of the text in JSON lines (text)" },
	{ .name = "include", .type = OPT_CALL, .at = AT(x.files), .arg = "glob",
	  .call = add_include, .help = "take only files of this name or path" },
	{ .name = "exclude", .type = OPT_CALL, .at = AT(x.files), .arg = "glob",
	  .call = add_exclude, .help = "pass over files and directories of this name or path" },
	{ .name = "max-size", .type = OPT_BYTES, .at = AT(x.max_size), .arg = "size",
	  .help = "largest document, as stored (64M)", .min = 1, .max = 1 << 30 },
	{ .name = "min-bytes", .type = OPT_BYTES, .at = AT(x.min_bytes), .arg = "size",
	  .help = "drop documents with less text (1)", .min = 0, .max = 1 << 30 },
	{ .name = "timeout", .type = OPT_F64, .at = AT(x.timeout), .arg = "seconds",
	  .help = "most processor time for a document (10)", .min = 0.001, .max = 1e6 },
	{ .name = "depth", .type = OPT_I64, .at = AT(x.files.depth), .arg = "n",
	  .help = "levels of archives in archives (6)", .min = 0, .max = FILES_DEPTH },
	{ .name = "max-ratio", .type = OPT_I64, .at = AT(x.files.ratio), .arg = "n",
	  .help = "times an operand may grow beyond 256M (1000)", .min = 1, .max = 1e9 },
	{ .letter = 'o', .name = "output", .type = OPT_STR, .at = AT(output), .arg = "file",
	  .help = "write to this file" },
	{ .letter = 'z', .name = "compress", .type = OPT_STR, .at = AT(codec),
	  .arg = "zstd[:n]|gzip[:n]", .help = "compress the output" },
	{ .letter = 'k', .name = "keep-going", .type = OPT_FLAG, .at = AT(x.keep_going),
	  .help = "pass over what cannot be read and exit 1 if there was any" },
	{ .name = "bad", .type = OPT_STR, .at = AT(bad), .arg = "file",
	  .help = "write sources and causes of failures here (implies -k)" },
	{ .name = "max-bad", .type = OPT_F64, .at = AT(max_bad), .arg = "rate",
	  .help = "exit 0 with at most this rate of failures (implies -k)", .min = 0,
	  .max = 1 },
	{ .name = "stats", .type = OPT_STR, .at = AT(stats), .arg = "file",
	  .help = "write counts as a JSON object here" },
	{ .letter = 'j', .name = "threads", .type = OPT_I64, .at = AT(threads), .arg = "n",
	  .help = "use n threads (1)", .min = 1, .max = TEAM_MAX },
	{ .letter = 'q', .name = "quiet", .type = OPT_FLAG, .at = AT(quiet),
	  .help = "show no progress and do not name failures" },
	{ .letter = 'v', .name = "verbose", .type = OPT_FLAG, .at = AT(verbose),
	  .help = "show progress and counts, also without a terminal" },
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-extract",
	.synopsis = "[file | directory ...]",
	.summary  = "archives, web pages and other files to records",
	.opts     = opts,
};

static void
complain(void *ctx, const char *message)
{
	const struct app *a = ctx;

	if (!a->quiet)
		tool_warn("%s", message);
}

static void
show_progress(void *ctx, int64_t records, int64_t done, int64_t total)
{
	struct app *a = ctx;

	tool_progress_of(&a->progress, records, "records", done, total, a->quiet, a->verbose);
}

static json_t *
counts(const struct extract_count *c)
{
	static const struct {
		const char *name;
		size_t	 at;
	} list[] = {
#define C(name, field) { name, offsetof(struct extract_count, field) }
		C("records_out", records), C("bad", bad), C("bytes_in", files.bytes_in),
		C("bytes_out", bytes_out), C("text_bytes_out", text_bytes),
		C("files", files.files), C("archives", files.archives), C("html", html),
		C("xml", xml), C("pdf", pdf), C("man", man), C("jsonl", lines), C("text", text),
		C("binary", binary), C("assets", assets), C("empty", empty),
		C("links", files.links), C("special", files.special),
		C("excluded", files.excluded), C("other_records", files.other),
		C("large_records", files.large), C("status", status), C("types", types),
		C("unread_pdf", unread),
#undef C
	};
	json_t *o = json_pack("{s:s,s:s}", "tool", tool.name, "version", VERSION);

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		json_object_set_new(o, list[i].name, json_integer(*(const int64_t *)
		    (const void *)((const char *)c + list[i].at)));
	return o;
}

static void
report(const struct app *a, const struct extract_count *c)
{
	json_t *o = counts(c);
	struct err err = { 0 };
	struct buf b = { 0 };
	char *s;

	json_object_set_new(o, "seconds", json_real(progress_now() - a->progress.start));
	if ((s = json_dumps(o, JSON_REAL_PRECISION(6))) == NULL)
		tool_die("out of memory");
	buf_fmt(&b, "%s\n", s);
	if (a->stats != NULL &&
	    (buf_ok(&b, &err) < 0 || file_write(a->stats, buf_str(&b), &err) < 0))
		tool_fail(NULL, &err);
	buf_free(&b);
	free(s);
	json_decref(o);
	if (c->unread > 0 && !a->quiet)
		tool_warn("PDF files passed over, for there is no pdftotext (Debian's "
		    "poppler-utils): %lld", (long long)c->unread);
	if (a->verbose)
		tool_warn("%lld records of %lld files; passed over: %lld binary, %lld not prose, "
		    "%lld empty, %lld links, %lld special, %lld excluded, %lld bad",
		    (long long)c->records, (long long)c->files.files, (long long)c->binary,
		    (long long)c->assets, (long long)c->empty, (long long)c->files.links,
		    (long long)c->files.special, (long long)c->files.excluded,
		    (long long)c->bad);
}

static void
prepare(struct app *a)
{
	struct extract_opts *x = &a->x;

	if (a->form != NULL && strcmp(a->form, "markdown") == 0)
		x->form = HTML_MARKDOWN;
	else if (a->form != NULL && strcmp(a->form, "text") != 0)
		tool_usage("-F %s: not text or markdown", a->form);
	if (a->bad != NULL || tool_given("max-bad"))
		x->keep_going = true;
	x->field = str_of(a->field);
	x->files.hold = x->files.record = x->max_size;
	x->complain = complain;
	x->progress = show_progress;
	x->ctx = a;
	progress_start(&a->progress, a->verbose ? 1 : 0.25);
}

static struct out *
open_out(const char *path, struct codec_spec codec)
{
	struct err err = { 0 };
	struct out *out = out_open(path, codec, &err);

	if (out == NULL)
		tool_fail(NULL, &err);
	return out;
}

int
main(int argc, char **argv)
{
	struct app a = {
		.field = "text", .x.max_size = 64 << 20, .x.min_bytes = 1,
		.x.timeout = 10,
		.x.files.depth = 6, .x.files.ratio = 1000,
	};
	struct codec_spec codec = { 0 };
	struct extract_count c;
	struct err err = { 0 };
	char **files = tool_start(&tool, argc, argv, &a);
	struct team *team;
	struct out *out, *bad;
	int n = 0, ret;

	while (files[n] != NULL)
		n++;
	prepare(&a);
	if (a.codec != NULL && codec_parse(str_of(a.codec), &codec, &err) < 0)
		tool_usage("%s", err.msg);
	if ((team = team_new(tool_threads(a.threads, 1), &err)) == NULL)
		tool_fail(NULL, &err);
	out = open_out(a.output, codec);
	bad = a.bad != NULL ? open_out(a.bad, codec) : NULL;
	ret = extract_run(team, &a.x, files, n, out, bad, &c, &err);
	team_free(team);
	tool_progress(NULL, a.quiet, a.verbose);
	if (ret < 0) {
		/* What came before the failure is good, and a pipe has it already. */
		if (a.output == NULL)
			out_flush(out, &(struct err){ 0 });
		out_abort(out);
		out_abort(bad);
		tool_fail(NULL, &err);
	}
	if (out_commit(out, &err) < 0 || (bad != NULL && out_commit(bad, &err) < 0))
		tool_fail(NULL, &err);
	report(&a, &c);
	if (c.bad > 0 && (double)c.bad > a.max_bad * (double)(c.records + c.bad))
		return tool_finish(TOOL_NO);
	return tool_finish(0);
}
