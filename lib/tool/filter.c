#include "tool/filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/progress.h"
#include "tool/filter_impl.h"

#define AT(field) offsetof(struct filter_opts, field)

const struct opt filter_record_options[] = {
	{ .letter = 'f', .name = "field", .type = OPT_STR, .at = AT(field), .arg = "key",
	  .help = "key of the text in a record (text)" },
	{ .letter = 'k', .name = "keep-going", .type = OPT_FLAG, .at = AT(keep_going),
	  .help = "pass over bad records and exit 1 if there were any" },
	{ .name = "bad", .type = OPT_STR, .at = AT(bad), .arg = "file",
	  .help = "write bad records here (implies -k)" },
	{ .name = "max-bad", .type = OPT_F64, .at = AT(max_bad), .arg = "rate",
	  .help = "exit 0 with at most this rate of bad records (implies -k)", .min = 0,
	  .max = 1 },
	{ .name = "stats", .type = OPT_STR, .at = AT(stats), .arg = "file",
	  .help = "write counts as a JSON object here" },
	{ 0 }
};

const struct opt filter_input_options[] = {
	{ .type = OPT_GROUP, .group = filter_record_options },
	{ .letter = 'j', .name = "threads", .type = OPT_I64, .at = AT(threads), .arg = "n",
	  .help = "use n threads (1)", .min = 1, .max = TEAM_MAX },
	{ .letter = 'q', .name = "quiet", .type = OPT_FLAG, .at = AT(quiet),
	  .help = "show no progress and do not name bad records" },
	{ .letter = 'v', .name = "verbose", .type = OPT_FLAG, .at = AT(verbose),
	  .help = "show progress and counts, also without a terminal" },
	{ 0 }
};

const struct opt filter_text_options[] = {
	{ .name = "text", .type = OPT_FLAG, .at = AT(text),
	  .help = "files are no records but texts, each a document" },
	{ .name = "separator", .type = OPT_STR, .at = AT(separator), .arg = "string",
	  .help = "which ends each document of a text (implies --text)" },
	{ 0 }
};

const struct opt filter_options[] = {
	{ .type = OPT_GROUP, .group = filter_input_options },
	{ .letter = 'o', .name = "output", .type = OPT_STR, .at = AT(output), .arg = "path",
	  .help = "write to this file, or each input to its own in dir/" },
	{ .name = "split", .type = OPT_BYTES, .at = AT(split), .arg = "size",
	  .help = "write files of at most this size into the directory of -o", .min = 1,
	  .max = 1e18 },
	{ .letter = 'z', .name = "compress", .type = OPT_STR, .at = AT(codec),
	  .arg = "zstd[:n]|gzip[:n]", .help = "compress all output" },
	{ .name = "rest", .type = OPT_STR, .at = AT(rest), .arg = "file",
	  .help = "write the records that are not passed on here" },
	{ 0 }
};

str
filter_field(const struct filter_opts *o)
{
	return str_of(o->field != NULL ? o->field : "text");
}

void
filter_note(const struct filter_opts *o, json_t *options)
{
	if (o->text)
		json_object_set_new(options, "text", o->separator == NULL ? json_true() :
		    json_string(o->separator));
}

static void
show_progress(void *ctx, int64_t records, int64_t done, int64_t total)
{
	struct filter *f = ctx;

	tool_progress_of(&f->progress, f->count.read + records, "records", done, total,
	    f->o->quiet, f->o->verbose);
}

static void
complain(void *ctx, const char *message)
{
	struct filter *f = ctx;

	if (!f->o->quiet)
		tool_warn("%s", message);
}

struct codec_spec
filter_codec(const struct filter_opts *o)
{
	struct codec_spec codec = { CODEC_PLAIN, 0 };
	struct err err;

	if (o->codec != NULL && codec_parse(str_of(o->codec), &codec, &err) < 0)
		tool_usage("%s", err.msg);
	return codec;
}

struct out *
filter_side(const struct filter_opts *o, const char *path)
{
	struct err err = { 0 };
	struct out *out;

	if (path == NULL)
		return NULL;
	if ((out = out_open(path, filter_codec(o), &err)) == NULL)
		tool_fail(NULL, &err);
	return out;
}

void
filter_count(struct records_count *sum, const struct records_count *c)
{
	sum->read += c->read;
	sum->kept += c->kept;
	sum->changed += c->changed;
	sum->dropped += c->dropped;
	sum->bad += c->bad;
	sum->bytes_in += c->bytes_in;
	sum->bytes_out += c->bytes_out;
	sum->text_in += c->text_in;
	sum->text_out += c->text_out;
}

static int
commit(struct out **out, struct err *err)
{
	struct out *o = *out;

	*out = NULL;
	return o != NULL ? out_commit(o, err) : 0;
}

/* The side files of one run; the tool's own when no other run follows. */
static int
finish(void *ctx, struct err *err)
{
	struct filter *f = ctx;

	if (f->o->check != NULL && f->o->check(f->o->ctx, err) < 0)
		return -1;
	if (commit(&f->rest, err) < 0 || commit(&f->bad, err) < 0)
		return -1;
	return f->last ? commit(&f->o->side, err) : 0;
}

void
filter_once(struct filter *f, char **files, int n, const char *out, const char *rest,
    const char *bad, struct records_count *c)
{
	struct records_io io = {
		.codec = f->codec, .keep_going = f->o->keep_going, .split = f->o->split,
		.first_index = f->count.read, .progress = show_progress,
		.complain = complain, .finish = finish, .ctx = f,
		.text = f->o->text, .separator = f->separator,
	};
	struct filter_opts *o = f->o;
	struct err err = { 0 }, ignored;
	int ret;

	o->run = c;
	o->first = f->count.read;
	if (o->begin != NULL && o->begin(o->ctx, out, f->codec, &err) < 0)
		tool_fail(NULL, &err);
	io.rest = f->rest = filter_side(f->o, rest);
	io.bad = f->bad = filter_side(f->o, bad);
	ret = records_run(f->team, f->job, &io, files, n, out, c, &err);
	if (o->end != NULL && o->end(o->ctx, ret < 0, ret < 0 ? &ignored : &err) < 0)
		ret = -1;
	tool_progress(NULL, o->quiet, o->verbose);
	if (ret < 0) {
		out_abort(f->rest);
		out_abort(f->bad);
		out_abort(o->side);
		tool_fail(NULL, &err);
	}
	filter_count(&f->count, c);
}

json_t *
filter_counts(const struct records_count *c)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
	    "records_in", (json_int_t)c->read, "records_out", (json_int_t)c->kept,
	    "changed", (json_int_t)c->changed, "dropped", (json_int_t)c->dropped,
	    "bad", (json_int_t)c->bad, "bytes_in", (json_int_t)c->bytes_in,
	    "bytes_out", (json_int_t)c->bytes_out, "text_bytes_in", (json_int_t)c->text_in,
	    "text_bytes_out", (json_int_t)c->text_out);
}

static void
write_stats(const struct filter *f)
{
	const struct filter_opts *o = f->o;
	json_t *stats = json_pack("{s:s,s:s}", "tool", f->tool->name, "version", VERSION);
	json_t *counts = filter_counts(&f->count);
	struct err err = { 0 };
	struct buf b = { 0 };
	char *text;

	if (stats == NULL || counts == NULL || json_object_update(stats, counts) < 0)
		tool_die("%s: out of memory", o->stats);
	json_decref(counts);
	json_object_set_new(stats, "seconds", json_real(progress_now() - f->started));
	if (f->files > 0) {
		json_object_set_new(stats, "files", json_integer(f->files));
		json_object_set_new(stats, "files_skipped", json_integer(f->skipped));
	}
	if (o->more_stats != NULL)
		o->more_stats(o->ctx, stats);
	if ((text = json_dumps(stats, JSON_REAL_PRECISION(6))) == NULL)
		tool_die("%s: out of memory", o->stats);
	buf_fmt(&b, "%s\n", text);
	if (buf_ok(&b, &err) < 0 || file_write(o->stats, buf_str(&b), &err) < 0)
		tool_fail(NULL, &err);
	buf_free(&b);
	free(text);
	json_decref(stats);
}

static bool
is_directory(const char *path)
{
	size_t n = path != NULL ? strlen(path) : 0;
	struct stat st;

	return n > 0 && (path[n - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)));
}

bool
filter_each_file(const struct filter_opts *o)
{
	return o->split == 0 && is_directory(o->output);
}

static bool
is_standard(const char *path)
{
	return path == NULL || strcmp(path, "-") == 0;
}

/* What ends a text, in which \n and the like are written as in a string of JSON. */
static void
find_separator(struct filter *f)
{
	const str key = S("s");
	struct json_member m;
	struct buf object = { 0 };
	struct err err;

	if (f->o->separator == NULL)
		return;
	f->o->text = true;
	f->separator = str_of(f->o->separator);
	buf_fmt(&object, "{\"s\":\"%s\"}", f->o->separator);
	if (f->separator.n == 0 || json_scan(buf_str(&object), &key, 1, &m, &err) < 0 ||
	    m.value.n != f->separator.n + 2)
		tool_usage("--separator %s: not what stands in a string of JSON", f->o->separator);
	buf_add(&f->unescaped, f->separator);
	f->unescaped.n = json_unescape(f->unescaped.p, f->separator);
	f->separator = buf_str(&f->unescaped);
	buf_free(&object);
}

void
filter_check(struct filter *f)
{
	struct filter_opts *o = f->o;

	f->codec = filter_codec(o);
	find_separator(f);
	if (o->bad != NULL || tool_given("max-bad"))
		o->keep_going = true;
	if (is_standard(o->output) && o->rest != NULL && is_standard(o->rest))
		tool_usage("--rest -: the records that are kept are there");
	if (is_standard(o->output) && o->bad != NULL && is_standard(o->bad))
		tool_usage("--bad -: the records that are kept are there");
	if (o->split > 0 && o->output == NULL)
		tool_usage("--split needs a directory: -o dir");
}

int
filter_main(const struct tool *t, struct filter_opts *o, char **files,
    const struct records_job *job)
{
	struct filter f = { .tool = t, .o = o, .job = job, .started = progress_now() };
	struct records_count c;
	struct err err = { 0 };
	int n = 0;

	filter_check(&f);
	while (files[n] != NULL)
		n++;
	if ((f.team = team_new(tool_threads(o->threads, 1), &err)) == NULL)
		tool_fail(NULL, &err);
	progress_start(&f.progress, o->verbose ? 1 : 0.25);
	if (filter_each_file(o)) {
		filter_each(&f, files, n);
	} else {
		f.last = true;
		filter_once(&f, files, n, o->output, o->rest, o->bad, &c);
	}
	team_free(f.team);
	buf_free(&f.unescaped);
	if (commit(&o->side, &err) < 0)
		tool_fail(NULL, &err);
	if (o->stats != NULL)
		write_stats(&f);
	if (o->verbose)
		tool_warn("%lld records, %lld kept, %lld changed, %lld dropped, %lld bad",
		    (long long)f.count.read, (long long)f.count.kept,
		    (long long)f.count.changed, (long long)f.count.dropped,
		    (long long)f.count.bad);
	if (f.count.bad > 0 && (double)f.count.bad > o->max_bad * (double)f.count.read)
		return tool_finish(TOOL_NO);
	return tool_finish(0);
}
