/*
 * llm-dedup - drop records whose text was seen before
 *
 * What counts as seen is a method of text/dedup.h, chosen by -t; here are the
 * options.  Texts are hashed on all threads, decisions are made in input
 * order on one, so the first of equal records is the one that stays, whatever
 * -j.  What must be remembered is in memory up to --memory; what may need more
 * is done in stages (tool/stages.h), which can also be runs of their own.
 */
#include <math.h>
#include <stdlib.h>

#include "text/dedup.h"
#include "text/repeats.h"
#include "tool/stages.h"

#define TYPES "exact|url|near|substring|sentence|line|paragraph"

struct options {
	struct filter_opts io;
	struct dedup	 d;
	const struct dedup_method *method;	/* -t */
	const char	*clusters;
	int64_t		 memory;
	const char	*work, *index, *drop;
	int		 (*stage)(struct stages *s, char **files);
};

static int
parse_type(void *into, const char *arg, struct err *err)
{
	struct options *o = into;

	if ((o->method = dedup_method_of(arg)) == NULL)
		return err_set(err, ERR_ARG, "'%s' is no type of %s", arg, TYPES);
	return 0;
}

static int
parse_length(void *into, const char *arg, struct err *err)
{
	struct options *o = into;
	char *end;
	long long n = strtoll(arg, &end, 10);

	o->d.length_bytes = *end == 'B';
	if (end == arg || end[o->d.length_bytes] != '\0')
		return err_set(err, ERR_ARG, "'%s' is no length: 50, or 200B", arg);
	if (n < 1 || n > REPEATS_MOST)
		return err_set(err, ERR_ARG, "%s is not within 1 and %d", arg, REPEATS_MOST);
	o->d.length = n;
	return 0;
}

static int
parse_boundary(void *into, const char *arg, struct err *err)
{
	static const char *const name[] = { "char", "word", "sentence", "line" };
	struct options *o = into;
	int at = tool_choice(arg, name, 4);

	if (at < 0)
		return err_set(err, ERR_ARG, "'%s' is no boundary", arg);
	o->d.at = (enum cut_at)at;
	return 0;
}

static int
parse_stage(void *into, const char *arg, struct err *err)
{
	static const char *const name[] = { "map", "merge", "apply" };
	int (*const stage[])(struct stages *, char **) = { stage_map, stage_merge, stage_apply };
	struct options *o = into;
	int i = tool_choice(arg, name, 3);

	if (i < 0)
		return err_set(err, ERR_ARG, "'%s' is not map, merge or apply", arg);
	o->stage = stage[i];
	return 0;
}

static const struct opt opts[] = {
	{ .letter = 't', .name = "type", .type = OPT_CALL, .arg = TYPES,
	  .help = "what to look for: texts, or parts of them (exact)", .call = parse_type },
	{ .letter = 'J', .name = "jaccard", .type = OPT_F64,
	  .at = offsetof(struct options, d.jaccard), .arg = "similarity",
	  .help = "near: drop from this similarity on (0.8)", .min = 0.1, .max = 1 },
	{ .name = "min-length", .type = OPT_CALL, .arg = "n", .call = parse_length,
	  .help = "the shortest repeat: words (substring 50), bytes (200B), lines (1) ..." },
	{ .name = "boundary", .type = OPT_CALL, .arg = "char|word|sentence|line",
	  .call = parse_boundary, .help = "substring: where cuts begin and end (word)" },
	{ .name = "min-bytes", .type = OPT_BYTES, .at = offsetof(struct options, d.min_bytes),
	  .arg = "size", .help = "drop a record that a cut leaves shorter than this (1)",
	  .min = 1, .max = 1e18 },
	{ .name = "spans", .type = OPT_STR, .at = offsetof(struct options, d.spans),
	  .arg = "key", .help = "cut nothing, but write to this key where repeats are" },
	{ .name = "clusters", .type = OPT_STR, .at = offsetof(struct options, clusters),
	  .arg = "file", .help = "write which record each dropped one repeats" },
	{ .name = "memory", .type = OPT_BYTES, .at = offsetof(struct options, memory),
	  .arg = "size", .help = "remember this much in memory, the rest in files (4G)",
	  .min = 0, .max = 1e18 },
	{ .name = "work", .type = OPT_STR, .at = offsetof(struct options, work), .arg = "dir",
	  .help = "directory of temporary files, and of what a killed run did" },
	{ .name = "index", .type = OPT_STR, .at = offsetof(struct options, index), .arg = "dir",
	  .help = "drop what earlier runs with this index kept, too" },
	{ .name = "stage", .type = OPT_CALL, .arg = "map|merge|apply",
	  .help = "do one stage: sign records, decide, drop", .call = parse_stage },
	{ .name = "drop", .type = OPT_STR, .at = offsetof(struct options, drop), .arg = "path",
	  .help = "--stage apply: what to drop, as merge wrote it" },
	FILTER_OPTIONS(struct options, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-dedup",
	.synopsis = "[file ...]",
	.summary  = "drop texts, or cut passages, that were seen before",
	.opts     = opts,
};

static void
put_number(void *to, const char *name, double value)
{
	json_object_set_new(to, name, value == floor(value) && value < 0x1p53 ?
	    json_integer((json_int_t)value) : json_real(value));
}

static void
add_stats(void *ctx, json_t *stats)
{
	const struct dedup *d = ctx;

	json_object_set_new(stats, "type", json_string(d->method->name));
	json_object_set_new(stats, "memory", json_integer(d->spill.in_memory));
	json_object_set_new(stats, "spilled", json_integer(d->spill.in_files));
	if (d->passes > 0)
		json_object_set_new(stats, "passes", json_integer(d->passes));
	if (d->method->stats != NULL)
		d->method->stats(d, stats, put_number);
}

/* Refuse what the method has no use for. */
static void
check_options(const struct dedup_method *m)
{
	static const char *const some[] = {
		"jaccard", "clusters", "min-length", "min-bytes", "spans", "boundary", NULL,
	};

	for (const char *const *name = some; *name != NULL; name++)
		if (tool_given(*name) && !dedup_takes(m, *name))
			tool_usage("--%s is not for -t %s", *name, m->name);
}

/* Stages have some of the options only. */
static void
check_stage(const struct options *o)
{
	static const char *const in_map[] = { "clusters", "index", "drop", "rest", "split", NULL };
	static const char *const in_merge[] = { "clusters", "drop", "rest", "split", "bad",
	    "max-bad", "keep-going", "field", NULL };
	static const char *const in_apply[] = { "clusters", "index", "type", "jaccard", NULL };
	static const char *const in_all[] = { "drop", NULL };
	const char *const *bad = o->stage == stage_map ? in_map : o->stage == stage_merge ?
	    in_merge : o->stage == stage_apply ? in_apply : in_all;

	for (; *bad != NULL; bad++)
		if (tool_given(*bad))
			tool_usage("--%s is not for %s%s", *bad, o->stage == NULL ?
			    "a run of all stages" : "--stage ",
			    o->stage == NULL ? "" : tool_arg("stage"));
	if (o->method->sign == NULL && (o->stage != NULL || o->index != NULL))
		tool_usage("-t %s has neither stages nor an index", o->method->name);
}

int
main(int argc, char **argv)
{
	struct options o = {
		.method = &dedup_exact, .d = { .jaccard = 0.8, .at = CUT_WORD },
		.memory = (int64_t)4 << 30,
	};
	char **files = tool_start(&tool, argc, argv, &o);
	struct dedup *d = &o.d;
	double jaccard = d->jaccard;
	struct stages s = {
		.tool = &tool, .io = &o.io, .d = d, .work = o.work, .index = o.index,
		.drop = o.drop, .memory = o.memory,
	};
	bool staged;
	struct err err;
	struct buf field = { 0 };	/* of signs */
	int status;

	check_options(o.method);
	check_stage(&o);
	d->field = o.io.field != NULL ? filter_field(&o.io) : o.method->job.field;
	if (o.stage == stage_merge && files[0] != NULL) {
		const struct dedup_method *made = stages_settings(files[0], d, &field);

		if ((tool_given("type") && made != o.method) ||
		    (tool_given("jaccard") && d->jaccard != jaccard))
			tool_usage("%s: signed for -t %s -J %g", files[0], made->name, d->jaccard);
		o.method = made;
	}
	s.job = o.method->job;
	s.job.field = d->field;
	s.job.ctx = d;
	d->clusters = o.io.side = filter_side(&o.io, o.clusters);
	d->method = o.method;
	staged = stages_plan(&s, files) || o.stage != NULL || o.index != NULL;
	/* Stages never need more than --memory, so they do not spill. */
	spill_init(&d->spill, tool_work(o.work), staged ? INT64_MAX : o.memory);
	if (o.method->nahead > 0)
		d->bytes = filter_again(files, o.work);
	if (dedup_open(d, o.method, &err) < 0)
		tool_fail(NULL, &err);
	o.io.across = true;
	o.io.more_stats = add_stats;
	o.io.ctx = d;
	if (o.method->nahead > 0)
		status = stages_ahead(&s, files);
	else if (staged)
		status = o.stage != NULL ? o.stage(&s, files) : stages_run(&s, files);
	else
		status = filter_main(&tool, &o.io, files, &s.job);
	dedup_close(d);
	buf_free(&field);
	return status;
}
