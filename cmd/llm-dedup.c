/*
 * llm-dedup - drop records whose text was seen before
 *
 * What counts as seen is a method of text/dedup.h, chosen by -t; here are the
 * options.  Texts are hashed on all threads, decisions are made in input
 * order on one, so the first of equal records is the one that stays, whatever
 * -j.  What must be remembered is in memory up to --memory, then in a file.
 */
#include <math.h>

#include "text/dedup.h"
#include "tool/filter.h"

struct options {
	struct filter_opts io;
	const struct dedup_method *method;	/* -t */
	double		 jaccard;
	const char	*clusters;
	int64_t		 memory;
	const char	*work;
};

static int
parse_type(void *into, const char *arg, struct err *err)
{
	struct options *o = into;

	if ((o->method = dedup_method_of(arg)) == NULL)
		return err_set(err, ERR_ARG, "'%s' is neither exact nor near", arg);
	return 0;
}

static const struct opt opts[] = {
	{ .letter = 't', .name = "type", .type = OPT_CALL, .arg = "exact|near",
	  .help = "drop equal texts (exact) or similar ones", .call = parse_type },
	{ .letter = 'J', .name = "jaccard", .type = OPT_F64,
	  .at = offsetof(struct options, jaccard), .arg = "similarity",
	  .help = "near: drop from this similarity on (0.8)", .min = 0.1, .max = 1 },
	{ .name = "clusters", .type = OPT_STR, .at = offsetof(struct options, clusters),
	  .arg = "file", .help = "write which record each dropped one repeats" },
	{ .name = "memory", .type = OPT_BYTES, .at = offsetof(struct options, memory),
	  .arg = "size", .help = "remember this much in memory, the rest in a file (4G)",
	  .min = 0, .max = 1e18 },
	{ .name = "work", .type = OPT_STR, .at = offsetof(struct options, work), .arg = "dir",
	  .help = "directory of that file ($TMPDIR or /tmp)" },
	FILTER_OPTIONS(struct options, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-dedup",
	.synopsis = "[file ...]",
	.summary  = "drop records whose text was seen before",
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
	if (d->method->stats != NULL)
		d->method->stats(d, stats, put_number);
}

/* Refuse what the method has no use for. */
static void
check_options(const struct dedup_method *m)
{
	static const char *const some[] = { "jaccard", "clusters", NULL };

	for (const char *const *name = some; *name != NULL; name++)
		if (tool_given(*name) && !dedup_takes(m, *name))
			tool_usage("--%s is not for -t %s", *name, m->name);
}

static struct out *
open_clusters(const struct options *o)
{
	struct codec_spec codec = { CODEC_PLAIN, 0 };
	struct out *out;
	struct err err;

	if (o->clusters == NULL)
		return NULL;
	if (o->io.codec != NULL && codec_parse(str_of(o->io.codec), &codec, &err) < 0)
		tool_usage("%s", err.msg);
	if ((out = out_open(o->clusters, codec, &err)) == NULL)
		tool_fail(NULL, &err);
	return out;
}

int
main(int argc, char **argv)
{
	struct options o = {
		.method = &dedup_exact, .jaccard = 0.8, .memory = (int64_t)4 << 30,
	};
	char **files = tool_start(&tool, argc, argv, &o);
	struct records_job job = o.method->job;
	struct dedup d = { .jaccard = o.jaccard };
	struct err err;
	int status;

	check_options(o.method);
	d.clusters = o.io.side = open_clusters(&o);
	spill_init(&d.spill, tool_work(o.work), o.memory);
	if (dedup_open(&d, o.method, &err) < 0)
		tool_fail(NULL, &err);
	if (o.io.field != NULL)
		job.field = filter_field(&o.io);
	job.ctx = &d;
	o.io.across = true;
	o.io.more_stats = add_stats;
	o.io.ctx = &d;
	status = filter_main(&tool, &o.io, files, &job);
	dedup_close(&d);
	return status;
}
