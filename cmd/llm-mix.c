/*
 * llm-mix - records of several sources, in the shares that are asked for
 *
 * Reads all sources once to learn their sizes, decides how often each is taken,
 * and reads them again to write their records in turn, so that the shares are as
 * asked at each point of the output.  On the way records may be shuffled, or
 * sorted by a number in them; what does not fit into memory is in files then.
 *
 * Time is linear (n log n for sorting, whose I/O is one more write and read).
 * Memory is 8 bytes a record, 16 when they are sorted, and a batch a source;
 * --memory bounds it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/progress.h"
#include "model/model.h"
#include "text/blend.h"
#include "token/tokenizer.h"
#include "tool/filter.h"
#include "tool/reread.h"

#define WORDS_MAX	((ptrdiff_t)4 << 30)	/* address space of names and weights */

struct options {
	struct filter_opts io;
	struct blend	 mix;
	const char	*model, *by, *count_key, *source_key, *sort_key, *sources;
	bool		 plan;
	double		 stage[BLEND_STAGES];
	struct tokenizer *tok;
	struct progress	 progress;
	struct out	*out;
	int64_t		 bytes;		/* written */
};

#define AT(field) offsetof(struct options, field)

static int
parse_stages(void *into, const char *arg, struct err *err)
{
	struct options *o = into;
	str rest = str_of(arg);

	o->mix.nstages = 0;
	while (rest.p != NULL) {
		str part = str_cut(&rest, ',');
		char *end;
		double x = strtod(part.p, &end);

		if (*end == '%')
			end++;
		if (part.n == 0 || end != part.p + part.n || !(x > 0 && x < 1e15))
			return err_set(err, ERR_ARG, "'%.*s' is no share", STR_ARG(part));
		if (o->mix.nstages == BLEND_STAGES)
			return err_set(err, ERR_LIMIT, "more than %d stages", BLEND_STAGES);
		o->stage[o->mix.nstages++] = x;
	}
	o->mix.stage = o->stage;
	return 0;
}

static const struct opt opts[] = {
	{ .letter = 'n', .name = "count", .type = OPT_I64, .at = AT(mix.wanted), .arg = "size",
	  .help = "make this much of what --by says (all that the shares allow)", .min = 1,
	  .max = 1e18 },
	{ .name = "by", .type = OPT_STR, .at = AT(by), .arg = "bytes|records|tokens",
	  .help = "what shares and sizes are of (bytes of text)" },
	{ .letter = 'm', .name = "model", .type = OPT_STR, .at = AT(model), .arg = "path",
	  .help = "count tokens with this tokenizer (implies --by tokens)" },
	{ .name = "count-key", .type = OPT_STR, .at = AT(count_key), .arg = "key",
	  .help = "or read their number from this key (token_count)" },
	{ .name = "sources", .type = OPT_STR, .at = AT(sources), .arg = "file",
	  .help = "read sources from this file as well" },
	{ .letter = 'T', .name = "temperature", .type = OPT_F64, .at = AT(mix.temperature),
	  .arg = "t", .help = "raise weights to the power of 1/t (1)", .min = 1e-3, .max = 1e6 },
	{ .name = "epochs", .type = OPT_F64, .at = AT(mix.epochs), .arg = "n",
	  .help = "take a source at most this often (1)", .min = 1e-9, .max = 1e9 },
	{ .name = "fill", .type = OPT_FLAG, .at = AT(mix.fill),
	  .help = "of a source that is too small take what there is, and more of the others" },
	{ .name = "stages", .type = OPT_CALL, .arg = "share,...", .call = parse_stages,
	  .help = "parts of the output, each with weights of its own (equal parts)" },
	{ .name = "shuffle", .type = OPT_FLAG, .at = AT(mix.shuffle),
	  .help = "shuffle the records of each source" },
	{ .name = "sort", .type = OPT_STR, .at = AT(sort_key), .arg = "key",
	  .help = "or sort them by the number of this key" },
	{ .name = "descending", .type = OPT_FLAG, .at = AT(mix.descending),
	  .help = "from the highest number to the lowest" },
	{ .letter = 's', .name = "seed", .type = OPT_I64, .at = AT(mix.seed), .arg = "seed",
	  .help = "take others and in another order with another seed (0)" },
	{ .name = "source-key", .type = OPT_STR, .at = AT(source_key), .arg = "key",
	  .help = "write the name of its source into each record" },
	{ .name = "plan", .type = OPT_FLAG, .at = AT(plan),
	  .help = "print how much of each source is taken, and write no records" },
	{ .name = "memory", .type = OPT_BYTES, .at = AT(mix.memory), .arg = "size",
	  .help = "use about this much memory, and files beyond it (4G)", .min = 0, .max = 1e18 },
	{ .name = "work", .type = OPT_STR, .at = AT(mix.work), .arg = "dir",
	  .help = "directory of those files ($TMPDIR or /tmp)" },
	FILTER_INPUT_OPTIONS(struct options, io),
	{ .letter = 'o', .name = "output", .type = OPT_STR, .at = AT(io.output), .arg = "file",
	  .help = "write to this file" },
	{ .letter = 'z', .name = "compress", .type = OPT_STR, .at = AT(io.codec),
	  .arg = "zstd[:n]|gzip[:n]", .help = "compress all output" },
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-mix",
	.synopsis = "[name=weight] file ... [name=weight file ...]",
	.summary  = "mix records of several sources in given shares",
	.opts     = opts,
};

/* ---- tokens ---- */

static void
state_free(void *state)
{
	encoded_free(state);
}

static int
count_tokens(const void *ctx, void *state, str text, int64_t *n, struct err *err)
{
	const struct options *o = ctx;

	*n = encode_text(state, o->tok, text, err);
	return *n < 0 ? -1 : 0;
}

/* ---- what is told ---- */

static void
show(void *ctx, int64_t records, int64_t done, int64_t total)
{
	struct options *o = ctx;

	tool_progress_of(&o->progress, records, "records", done, total, o->io.quiet, o->io.verbose);
}

static void
complain(void *ctx, const char *message)
{
	if (!((struct options *)ctx)->io.quiet)
		tool_warn("%s", message);
}

static void
print_plan(const struct blend *m)
{
	struct buf b = { 0 };
	struct err err;

	blend_table(m, &b);
	if (buf_ok(&b, &err) < 0)
		tool_fail(NULL, &err);
	fwrite(b.p, 1, (size_t)b.n, stdout);
	buf_free(&b);
}

static void
write_stats(const struct options *o, double started)
{
	json_t *stats = blend_stats(&o->mix);
	struct err err;

	if (stats == NULL || json_object_set_new(stats, "tool", json_string(tool.name)) < 0 ||
	    json_object_set_new(stats, "version", json_string(VERSION)) < 0 ||
	    json_object_set_new(stats, "bytes_out", json_integer(o->bytes)) < 0 ||
	    json_object_set_new(stats, "seconds", json_real(progress_now() - started)) < 0)
		tool_die("%s: out of memory", o->io.stats);
	if (json_doc_save(o->io.stats, stats, &err) < 0)
		tool_fail(NULL, &err);
	json_decref(stats);
}

/* ---- the run ---- */

/* What of the options does not go together. */
static void
check_options(struct options *o)
{
	static const char *const units[] = { "bytes", "records", "tokens" };
	bool tokens = o->model != NULL || o->count_key != NULL;
	int unit = tokens && o->by == NULL ? BLEND_TOKENS : tool_choice(o->by, units, 3);
	struct blend *m = &o->mix;

	if (unit < 0)
		tool_usage("--by %s: neither bytes, records nor tokens", o->by);
	if (tokens && unit != BLEND_TOKENS)
		tool_usage("%s is for --by tokens", o->model != NULL ? "-m" : "--count-key");
	if (o->model != NULL && o->count_key != NULL)
		tool_usage("-m counts tokens, --count-key reads their number: which?");
	if (m->shuffle && o->sort_key != NULL)
		tool_usage("--shuffle or --sort?");
	if (m->descending && o->sort_key == NULL)
		tool_usage("--descending is for --sort");
	if (m->fill && m->wanted == 0)
		tool_usage("--fill is for a size that is asked for (-n)");
	m->unit = (enum blend_unit)unit;
	o->by = units[unit];
	m->field = filter_field(&o->io);
	m->count_key = str_of(o->count_key != NULL ? o->count_key : "token_count");
	if (o->sort_key != NULL)
		m->sort_key = str_of(o->sort_key);
	if (o->source_key != NULL)
		m->source_key = str_of(o->source_key);
}

static void
start(struct options *o, struct arena *a, char **words)
{
	struct blend *m = &o->mix;
	struct err err;

	check_options(o);
	if (blend_words(m, a, o->sources, words, &err) < 0)
		tool_usage("%s", err.msg);
	if (o->model != NULL) {
		if ((o->tok = model_tokenizer(o->model, &err)) == NULL)
			tool_fail(NULL, &err);
		m->measure = count_tokens;
		m->state_size = sizeof(struct encoded);
		m->state_free = state_free;
		m->ctx = o;
	}
	for (int i = 0; i < m->n; i++)
		reread_named(m->source[i].file, m->source[i].nfiles, m->work);
	m->work = tool_work(m->work);
}

static int
read_sources(struct options *o, struct codec_spec codec, struct err *err)
{
	struct records_io io = {
		.codec = codec, .progress = show, .complain = complain, .ctx = o,
		.keep_going = o->io.keep_going || o->io.bad != NULL || tool_given("max-bad"),
	};
	struct team *team = team_new(tool_threads(o->io.threads, 1), err);
	int ret;

	if (team == NULL)
		return -1;
	if (o->io.bad != NULL && (io.bad = out_open(o->io.bad, codec, err)) == NULL) {
		team_free(team);
		return -1;
	}
	ret = blend_index(&o->mix, team, &io, err);
	team_free(team);
	if (io.bad != NULL && ret < 0)
		out_abort(io.bad);
	else if (io.bad != NULL)
		ret = out_commit(io.bad, err);
	return ret == 0 ? blend_plan(&o->mix, err) : -1;
}

static int
write_records(struct options *o, struct codec_spec codec, struct err *err)
{
	int64_t n = 0;
	int got;
	str line;

	if ((o->out = out_open(o->io.output, codec, err)) == NULL)
		return -1;
	progress_start(&o->progress, o->io.verbose ? 1 : 0.25);
	while ((got = blend_next(&o->mix, &line, err)) > 0) {
		if (out_write(o->out, line.p, line.n, err) < 0 ||
		    out_write(o->out, "\n", 1, err) < 0)
			break;
		if ((++n & 0x3ff) == 0)
			show(o, n, out_bytes(o->out), -1);
	}
	o->bytes = out_bytes(o->out);
	if (got == 0)
		return out_commit(o->out, err);
	out_abort(o->out);
	return -1;
}

int
main(int argc, char **argv)
{
	struct options o = {
		.mix = { .temperature = 1, .epochs = 1, .memory = (int64_t)4 << 30 },
	};
	char **words = tool_start(&tool, argc, argv, &o);
	struct codec_spec codec = filter_codec(&o.io);
	double started = progress_now();
	struct arena a;
	struct err err;
	int ret;

	if (arena_init(&a, WORDS_MAX, &err) < 0)
		tool_fail(NULL, &err);
	start(&o, &a, words);
	progress_start(&o.progress, o.io.verbose ? 1 : 0.25);
	ret = read_sources(&o, codec, &err);
	if (ret == 0 && o.mix.lacks)
		tool_warn("%" PRId64 " %s are asked for, and all sources at their most are "
		    "%" PRId64, o.mix.wanted, o.by, o.mix.size);
	if (ret == 0 && o.plan)
		print_plan(&o.mix);
	else if (ret == 0)
		ret = write_records(&o, codec, &err);
	tool_progress(NULL, o.io.quiet, o.io.verbose);
	if (ret == 0 && o.io.stats != NULL)
		write_stats(&o, started);
	blend_free(&o.mix);
	if (ret < 0)
		tool_fail(NULL, &err);
	tokenizer_free(o.tok);
	arena_free(&a);
	if (o.mix.bad > 0 && (double)o.mix.bad > o.io.max_bad * (double)o.mix.read)
		return tool_finish(TOOL_NO);
	return tool_finish(0);
}
