/*
 * llm-filter - drop records whose text is no good prose
 *
 * Judges each text by published heuristics, family by family; the first rule
 * that fails drops the record.  C4's line rules edit the text on its way.
 * With --explain nothing is dropped and the reason is written into the record.
 *
 * Time is linear in the text.  Memory is one batch of records a thread, and
 * about 50 bytes for each word of the longest text.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/quality.h"
#include "tool/filter.h"

struct filter {
	struct filter_opts io;
	const char	*names;		/* -r */
	bool		 list, explain;
	struct quality	 quality;
	str		 field;
	/* By rule: records dropped, lines and citations removed. */
	_Atomic int64_t	*dropped, *removed;
};

static int
set_limit(void *into, const char *arg, struct err *err)
{
	struct filter *f = into;

	return quality_set(&f->quality, str_of(arg), err);
}

static const struct opt opts[] = {
	{ .letter = 'r', .name = "rules", .type = OPT_STR, .at = offsetof(struct filter, names),
	  .arg = "names",
	  .help = "rules or families of them, comma-separated; -name takes one back" },
	{ .name = "set", .type = OPT_CALL, .arg = "rule=limit", .call = set_limit,
	  .help = "change the limit of a rule" },
	{ .name = "explain", .type = OPT_FLAG, .at = offsetof(struct filter, explain),
	  .help = "keep all records and write into them why they would be dropped" },
	{ .name = "list", .type = OPT_FLAG, .at = offsetof(struct filter, list),
	  .help = "print the rules, their limits and units, and exit" },
	FILTER_OPTIONS(struct filter, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-filter",
	.synopsis = "-r names [file ...]",
	.summary  = "drop records whose text is no good prose",
	.opts     = opts,
};

static const char *
bound_name(enum quality_bound bound)
{
	static const char *const name[] = {
		[BOUND_UPPER] = "at most", [BOUND_LOWER] = "at least", [BOUND_LINE] = "line",
		[BOUND_EDIT] = "edit", [BOUND_PARAMETER] = "value",
	};

	return name[bound];
}

static int
list_rules(const struct quality *q)
{
	printf("rule\tbound\tlimit\tunit\twhat\n");
	for (int i = 0; i < QUALITY_RULES; i++) {
		const struct quality_rule_info *r = &quality_rules[i];

		printf("%s\t%s\t", r->name, bound_name(r->bound));
		if (r->unit[0] != '\0')
			printf("%.12g", q->limit[i]);
		printf("\t%s\t%s\n", r->unit, r->what);
	}
	return tool_finish(0);
}

/* Set "llm": {"filter": {"rule", "value", "limit"}}, the rest of llm as it was. */
static int
give_reason(const struct filter *f, struct record *r, const struct quality_verdict *v,
    struct err *err)
{
	struct buf reason = { 0 }, llm = { 0 };
	str old = r->member[0].value;
	struct json_set set = { .key = S("filter") };
	int ret = -1;

	buf_fmt(&reason, "{\"rule\":\"%s\",\"value\":%.6g,\"limit\":%.6g}",
	    quality_rules[v->rule].name, v->value, f->quality.limit[v->rule]);
	set.value = buf_str(&reason);
	if (old.p == NULL || old.p[0] != '{')
		old = S("{}");
	if (buf_ok(&reason, err) == 0 && json_splice(&llm, old, &set, 1, err) == 0)
		ret = record_set_raw(r, S("llm"), buf_str(&llm), err);
	buf_free(&reason);
	buf_free(&llm);
	return ret;
}

static int
judge(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct filter *f = ctx;
	struct quality_verdict v;

	if (quality_judge(&f->quality, state, r->text, &v, err) < 0)
		return RECORD_BAD;
	for (int i = 0; i < QUALITY_RULES; i++)
		if (v.removed[i] > 0)
			atomic_fetch_add_explicit(&f->removed[i], v.removed[i],
			    memory_order_relaxed);
	if (v.rule < 0) {
		if (v.edited && record_set_text(r, f->field, v.text, err) < 0)
			return RECORD_BAD;
		return RECORD_KEEP;
	}
	atomic_fetch_add_explicit(&f->dropped[v.rule], 1, memory_order_relaxed);
	if ((f->explain || f->io.rest != NULL) && give_reason(f, r, &v, err) < 0)
		return RECORD_BAD;
	return f->explain ? RECORD_KEEP : RECORD_DROP;
}

static json_t *
counts_of(_Atomic int64_t *count)
{
	json_t *object = json_object();

	for (int i = 0; i < QUALITY_RULES; i++)
		if (count[i] > 0)
			json_object_set_new(object, quality_rules[i].name,
			    json_integer((json_int_t)count[i]));
	return object;
}

static void
more_stats(void *ctx, json_t *stats)
{
	struct filter *f = ctx;

	json_object_set_new(stats, f->explain ? "failed_by" : "dropped_by", counts_of(f->dropped));
	json_object_set_new(stats, "removed_by", counts_of(f->removed));
}

static void
state_free(void *state)
{
	quality_state_free(state);
}

int
main(int argc, char **argv)
{
	struct filter f = { 0 };
	struct records_job job = {
		.ctx = &f, .map = judge, .nkeys = 1,
		.state_size = sizeof(struct quality_state), .state_free = state_free,
	};
	str keys[1] = { S("llm") };
	struct err err = { 0 };
	char **files;
	int status;

	if (quality_init(&f.quality, &err) < 0)
		tool_fail(NULL, &err);
	files = tool_start(&tool, argc, argv, &f);
	if (f.list) {
		status = list_rules(&f.quality);
		quality_free(&f.quality);
		return status;
	}
	if (f.names == NULL)
		tool_usage("-r is missing: which rules? (--list names them)");
	if (quality_select(&f.quality, str_of(f.names), &err) < 0)
		tool_usage("-r: %s", err.msg);
	f.dropped = calloc(2 * QUALITY_RULES, sizeof(*f.dropped));
	if (f.dropped == NULL)
		tool_die("out of memory");
	f.removed = f.dropped + QUALITY_RULES;
	f.field = job.field = filter_field(&f.io);
	job.keys = keys;
	f.io.more_stats = more_stats;
	f.io.ctx = &f;
	status = filter_main(&tool, &f.io, files, &job);
	quality_free(&f.quality);
	free((void *)f.dropped);
	return status;
}
