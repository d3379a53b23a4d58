/*
 * llm-filter - drop records whose text is no good prose
 *
 * Judges each text by published heuristics, family by family; the first rule
 * that fails drops the record.  Some rules edit the text on its way.  With
 * --explain nothing is dropped and the reason is written into the record, with
 * --signals the values of all rules are, and a later run judges by these: by its
 * -r, or by the conditions of --rules-file.
 *
 * Time is linear in the text.  Memory is one batch of records a thread, about 50
 * bytes for each word of the longest text, and the lists of --words.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "text/judge.h"
#include "text/signals.h"
#include "token/tokenizer.h"
#include "tool/filter.h"

enum { KEY_LLM, KEY_SIGNALS, KEY_URL, KEYS };

/* By rule: records dropped, lines and citations removed; by line of the file: records. */
struct counts {
	_Atomic int64_t	dropped[QUALITY_RULES], removed[QUALITY_RULES], by_line[RULES_LINES];
	_Atomic int64_t	stored, computed;
};

struct filter {
	struct filter_opts io;
	const char	*names;		/* -r */
	const char	*rules_file, *model;
	bool		 list, explain;
	struct judge	 judge;
	struct tokenizer *tokenizer;
	str		 field;
	struct counts	*counts;
};

/* What a thread has for itself. */
struct state {
	struct judge_state judge;
	struct counter {
		const struct tokenizer *tokenizer;
		struct encoded	 encoded;
	}		 counter;
	struct buf	 json;
};

static int
set_limit(void *into, const char *arg, struct err *err)
{
	struct filter *f = into;

	return quality_set(&f->judge.quality, str_of(arg), err);
}

static int
read_list(void *into, const char *arg, struct err *err)
{
	struct filter *f = into;

	return quality_read_list(&f->judge.quality, str_of(arg), err);
}

#define AT(field) offsetof(struct filter, field)

static const struct opt opts[] = {
	{ .letter = 'r', .name = "rules", .type = OPT_STR, .at = AT(names), .arg = "names",
	  .help = "rules or families of them, comma-separated; -name takes one back" },
	{ .name = "set", .type = OPT_CALL, .arg = "rule=limit", .call = set_limit,
	  .help = "change the limit of a rule" },
	{ .name = "rules-file", .type = OPT_STR, .at = AT(rules_file), .arg = "file",
	  .help = "keep, drop or tag by conditions on values" },
	{ .name = "words", .type = OPT_CALL, .arg = "rule=file", .call = read_list,
	  .help = "the list that a rule of words or url looks in" },
	{ .letter = 'm', .name = "model", .type = OPT_STR, .at = AT(model), .arg = "path",
	  .help = "tokenizer that counts tokens (tokens are words)" },
	{ .name = "signals", .type = OPT_FLAG, .at = AT(judge.signals),
	  .help = "keep all records and write into them the values of all rules" },
	{ .name = "explain", .type = OPT_FLAG, .at = AT(explain),
	  .help = "keep all records and write into them why they would be dropped" },
	{ .name = "list", .type = OPT_FLAG, .at = AT(list),
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

static int
list_rules(const struct quality *q)
{
	printf("rule\tbound\tlimit\tunit\twhat\n");
	for (int i = 0; i < QUALITY_RULES; i++) {
		const struct quality_rule_info *r = &quality_rules[i];

		printf("%s\t%s\t", r->name, quality_bounds[r->bound]);
		if (r->unit[0] != '\0')
			printf("%.12g", q->limit[i]);
		printf("\t%s\t%s\n", r->unit, r->what);
	}
	return tool_finish(0);
}

/* Set "llm": {"filter": {"rule", "value", "limit", "tags"}}, the rest of llm as it was. */
static int
give_reason(const struct filter *f, struct record *r, const struct judge_finding *x,
    struct err *err)
{
	struct buf reason = { 0 };
	int ret = -1;

	judge_write(&reason, &f->judge, x);
	if (buf_ok(&reason, err) == 0)
		ret = record_note(r, r->member[KEY_LLM].value, S("filter"), buf_str(&reason), err);
	buf_free(&reason);
	return ret;
}

static int
give_signals(const struct filter *f, struct state *s, struct record *r,
    const struct judge_finding *x, struct err *err)
{
	buf_reset(&s->json);
	signals_write(&s->json, &f->judge.quality, x->verdict.text, x->value);
	if (buf_ok(&s->json, err) < 0)
		return -1;
	return record_set_raw(r, S(SIGNALS_KEY), buf_str(&s->json), err);
}

static void
add(_Atomic int64_t *count, int64_t n)
{
	if (n > 0)
		atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

static void
count_finding(struct counts *c, const struct judge *j, const struct judge_finding *x)
{
	for (int i = 0; i < QUALITY_RULES; i++)
		add(&c->removed[i], x->verdict.removed[i]);
	if (x->verdict.rule >= 0)
		add(&c->dropped[x->verdict.rule], 1);
	if (x->line != NULL)
		add(&c->by_line[x->line - j->rules.line], 1);
	add(x->stored ? &c->stored : &c->computed, 1);
}

static int
judge(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct filter *f = ctx;
	struct state *s = state;
	struct judge_record what = { r->text, r->member[KEY_SIGNALS].value,
		r->member[KEY_URL].value };
	struct judge_finding x;
	int keep;

	s->counter.tokenizer = f->tokenizer;
	s->judge.quality.counter = &s->counter;
	if ((keep = judge_text(&f->judge, &s->judge, &what, &x, err)) < 0)
		return RECORD_BAD;
	count_finding(f->counts, &f->judge, &x);
	if (keep && x.verdict.edited && record_set_text(r, f->field, x.verdict.text, err) < 0)
		return RECORD_BAD;
	if (f->judge.signals && !x.stored && give_signals(f, s, r, &x, err) < 0)
		return RECORD_BAD;
	if (((!keep && (f->explain || f->io.rest != NULL)) || x.tags.n > 0) &&
	    give_reason(f, r, &x, err) < 0)
		return RECORD_BAD;
	return keep || f->explain ? RECORD_KEEP : RECORD_DROP;
}

static json_t *
counts_of(const _Atomic int64_t *count)
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
	const struct filter *f = ctx;
	const struct counts *c = f->counts;
	json_t *lines = json_object();
	char number[16];

	json_object_set_new(stats, f->explain ? "failed_by" : "dropped_by", counts_of(c->dropped));
	json_object_set_new(stats, "removed_by", counts_of(c->removed));
	for (int i = 0; i < f->judge.rules.n; i++) {
		const struct rules_line *l = &f->judge.rules.line[i];

		snprintf(number, sizeof(number), "%d", l->number);
		if (l->action != RULES_TAG)
			json_object_set_new(lines, number, json_integer((json_int_t)c->by_line[i]));
	}
	if (f->rules_file != NULL)
		json_object_set_new(stats, "by_line", lines);
	else
		json_decref(lines);
	json_object_set_new(stats, "signals_stored", json_integer((json_int_t)c->stored));
	json_object_set_new(stats, "signals_computed", json_integer((json_int_t)c->computed));
}

static void
state_free(void *state)
{
	struct state *s = state;

	judge_state_free(&s->judge);
	encoded_free(&s->counter.encoded);
	buf_free(&s->json);
}

static int64_t
count_tokens(void *counter, str text, struct err *err)
{
	struct counter *c = counter;

	return encode_text(&c->encoded, c->tokenizer, text, err);
}

static void
read_rules(struct judge *j, const char *path)
{
	struct err err = { 0 };
	struct arena a;
	str file;

	if (arena_init(&a, 4 * RULES_BYTES, &err) < 0 ||
	    (file = file_slurp(&a, path, RULES_BYTES, &err)).p == NULL ||
	    rules_parse(&j->rules, &j->quality, file, path, &err) < 0)
		tool_fail(NULL, &err);
	arena_free(&a);
}

static void
set_up(struct filter *f)
{
	struct judge *j = &f->judge;
	struct err err = { 0 };

	if (f->names != NULL && quality_select(&j->quality, str_of(f->names), &err) < 0)
		tool_usage("-r: %s", err.msg);
	if (f->rules_file != NULL)
		read_rules(j, f->rules_file);
	if (f->names == NULL && f->rules_file == NULL && !j->signals)
		tool_usage("-r is missing: which rules? (--list names them)");
	if (f->model != NULL) {
		if ((f->tokenizer = tokenizer_load(f->model, &err)) == NULL)
			tool_fail(NULL, &err);
		j->quality.count = count_tokens;
		j->quality.counter_hash = tokenizer_fingerprint(f->tokenizer).lo;
	}
	if (judge_plan(j, &err) < 0)
		tool_usage("%s", err.msg);
	if ((f->counts = calloc(1, sizeof(*f->counts))) == NULL)
		tool_die("out of memory");
}

int
main(int argc, char **argv)
{
	struct filter f = { 0 };
	struct records_job job = {
		.ctx = &f, .map = judge, .nkeys = KEYS,
		.state_size = sizeof(struct state), .state_free = state_free,
	};
	str keys[KEYS] = { S("llm"), S(SIGNALS_KEY), S("url") };
	struct err err = { 0 };
	char **files;
	int status;

	if (quality_init(&f.judge.quality, &err) < 0)
		tool_fail(NULL, &err);
	files = tool_start(&tool, argc, argv, &f);
	if (f.list) {
		status = list_rules(&f.judge.quality);
		judge_free(&f.judge);
		return status;
	}
	set_up(&f);
	f.field = job.field = filter_field(&f.io);
	job.keys = keys;
	f.io.more_stats = more_stats;
	f.io.ctx = &f;
	status = filter_main(&tool, &f.io, files, &job);
	judge_free(&f.judge);
	tokenizer_free(f.tokenizer);
	free(f.counts);
	return status;
}
