/*
 * llm-lang - tell in which language texts are
 *
 * CLD2 judges each text by its n-grams of letters; language, score and script go
 * into the record.  With --keep the score decides whether it is passed on, and
 * with --lines each line is judged too: marked, or cut when it is in another
 * language than its text.
 *
 * Time is linear in the text, twice that with --lines.  Memory is one batch of
 * records a thread, and CLD2's tables (6 MB).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/lang.h"
#include "text/script.h"
#include "tool/filter.h"

enum lines { LINES_NONE, LINES_MARK, LINES_CUT };
static const char *const lines_names[] = { "none", "mark", "cut" };

struct lang {
	struct filter_opts io;
	const char	*key;		/* --key */
	const char	*keep;		/* --keep */
	const char	*how;		/* --lines */
	bool		 guess, detail, list;
	enum lines	 lines;
	struct lang_keeps kept;
	str		 field, name, score, script, runs;	/* keys that are written */
	struct buf	 names;
	uint8_t		*scripts;
	struct counts {
		/* By number of language: records in and out. */
		_Atomic int64_t	 in[LANG_NUMBERS], out[LANG_NUMBERS];
		_Atomic int64_t	 cut;	/* lines */
	}		*counts;
};

/* What a thread writes with. */
struct state {
	struct buf	 text, runs, note;
};

static const struct opt opts[] = {
	{ .name = "keep", .type = OPT_STR, .at = offsetof(struct lang, keep),
	  .arg = "language[:score],...",
	  .help = "pass on these languages only, with at least this score; * is any" },
	{ .name = "lines", .type = OPT_STR, .at = offsetof(struct lang, how), .arg = "mark|cut",
	  .help = "judge each line: write its language, or cut it when it is in another" },
	{ .name = "key", .type = OPT_STR, .at = offsetof(struct lang, key), .arg = "key",
	  .help = "write language, score, script and lines to keys that begin so (language)" },
	{ .name = "guess", .type = OPT_FLAG, .at = offsetof(struct lang, guess),
	  .help = "name a language for short and mixed texts too" },
	{ .name = "detail", .type = OPT_FLAG, .at = offsetof(struct lang, detail),
	  .help = "write the three likeliest languages too" },
	{ .name = "list", .type = OPT_FLAG, .at = offsetof(struct lang, list),
	  .help = "print codes and names of the languages, and exit" },
	FILTER_OPTIONS(struct lang, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-lang",
	.synopsis = "[file ...]",
	.summary  = "tell in which language texts are",
	.opts     = opts,
};

static int
list_languages(void)
{
	printf("code\tname\n");
	for (int i = 0; i < LANG_NUMBERS; i++)
		if (lang_code(i) != NULL)
			printf("%s\t%s\n", lang_code(i), lang_name(i));
	return tool_finish(0);
}

/* Judge lines by the language of the text; a text that lost some is judged anew. */
static int
do_lines(const struct lang *l, struct state *s, struct record *r, struct lang_found *f,
    str *text, struct err *err)
{
	int64_t cut;

	buf_reset(&s->runs);
	buf_reset(&s->text);
	cut = lang_lines(*text, f->top[0].number, &l->kept, &s->runs, &s->text, err);
	if (cut < 0)
		return -1;
	if (l->lines == LINES_MARK)
		return record_set_raw(r, l->runs, buf_str(&s->runs), err);
	if (cut == 0)
		return 0;
	atomic_fetch_add_explicit(&l->counts->cut, cut, memory_order_relaxed);
	*text = buf_str(&s->text);
	if (record_set_text(r, l->field, *text, err) < 0)
		return -1;
	return lang_detect(*text, l->guess, LANG_NONE, f, err);
}

static int
write_fields(const struct lang *l, struct state *s, struct record *r, const struct lang_found *f,
    str text, struct err *err)
{
	buf_reset(&s->note);
	buf_fmt(&s->note, "%.3g", lang_score(f));
	if (buf_ok(&s->note, err) < 0 ||
	    record_set_text(r, l->name, str_of(f->top[0].code), err) < 0 ||
	    record_set_raw(r, l->score, buf_str(&s->note), err) < 0)
		return -1;
	return record_set_text(r, l->script, str_of(script_of_text(l->scripts, text)), err);
}

/* Set "llm": {"lang": {...}} to the details and why the record is not kept, if so. */
static int
write_note(const struct lang *l, struct state *s, struct record *r, const struct lang_found *f,
    const struct lang_keep *k, bool kept, struct err *err)
{
	struct buf *b = &s->note;

	buf_reset(b);
	buf_byte(b, '{');
	if (!kept && k == NULL)
		buf_fmt(b, "\"rule\":\"lang.language\",\"value\":\"%s\"", f->top[0].code);
	else if (!kept)
		buf_fmt(b, "\"rule\":\"lang.score\",\"value\":%.3g,\"limit\":%g", lang_score(f),
		    k->min);
	if (l->detail) {
		buf_fmt(b, "%s\"reliable\":%s,\"letters\":%lld,\"top\":[", kept ? "" : ",",
		    f->reliable ? "true" : "false", (long long)f->letters);
		for (int i = 0; i < f->n; i++)
			buf_fmt(b, "%s{\"language\":\"%s\",\"percent\":%d,\"density\":%.0f}",
			    i > 0 ? "," : "", f->top[i].code, f->top[i].percent,
			    f->top[i].density);
		buf_byte(b, ']');
	}
	buf_byte(b, '}');
	if (buf_ok(b, err) < 0)
		return -1;
	return record_note(r, r->member[0].value, S("lang"), buf_str(b), err);
}

static int
judge(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct lang *l = ctx;
	const struct lang_keep *k;
	struct lang_found f;
	str text = r->text;
	bool kept;
	int number;

	if (lang_detect(text, l->guess, LANG_NONE, &f, err) < 0 ||
	    (l->lines != LINES_NONE && do_lines(l, state, r, &f, &text, err) < 0) ||
	    write_fields(l, state, r, &f, text, err) < 0)
		return RECORD_BAD;
	k = lang_keeps_find(&l->kept, f.top[0].code);
	kept = l->kept.n == 0 || (k != NULL && lang_score(&f) >= k->min);
	if ((l->detail || (!kept && l->io.rest != NULL)) &&
	    write_note(l, state, r, &f, k, kept, err) < 0)
		return RECORD_BAD;
	number = f.top[0].number;
	atomic_fetch_add_explicit(&l->counts->in[number], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->counts->out[number], kept, memory_order_relaxed);
	return kept ? RECORD_KEEP : RECORD_DROP;
}

static void
state_free(void *state)
{
	struct state *s = state;

	buf_free(&s->text);
	buf_free(&s->runs);
	buf_free(&s->note);
}

static json_t *
counts_of(const _Atomic int64_t *count)
{
	json_t *object = json_object();

	for (int i = 0; i < LANG_NUMBERS; i++)
		if (count[i] > 0)
			json_object_set_new(object, lang_code(i) != NULL ? lang_code(i) :
			    LANG_UNKNOWN, json_integer((json_int_t)count[i]));
	return object;
}

static void
more_stats(void *ctx, json_t *stats)
{
	struct lang *l = ctx;

	json_object_set_new(stats, "languages_in", counts_of(l->counts->in));
	json_object_set_new(stats, "languages_out", counts_of(l->counts->out));
	json_object_set_new(stats, "lines_cut", json_integer((json_int_t)l->counts->cut));
	json_object_set_new(stats, "cld2", json_string(lang_version()));
}

/* The names of the keys, one after the other in l->names. */
static void
name_keys(struct lang *l)
{
	static const char *const end[] = { "", "_score", "_script", "_lines" };
	str *const key[] = { &l->name, &l->score, &l->script, &l->runs };
	const char *first = l->key != NULL ? l->key : "language";
	ptrdiff_t at = 0;
	struct err err;

	for (int i = 0; i < 4; i++)
		buf_fmt(&l->names, "%s%s", first, end[i]);
	if (buf_ok(&l->names, &err) < 0)
		tool_fail(NULL, &err);
	for (int i = 0; i < 4; i++) {
		*key[i] = (str){ l->names.p + at, (ptrdiff_t)(strlen(first) + strlen(end[i])) };
		at += key[i]->n;
	}
}

int
main(int argc, char **argv)
{
	struct lang l = { 0 };
	struct counts counts = { 0 };
	struct records_job job = {
		.ctx = &l, .map = judge, .nkeys = 1,
		.state_size = sizeof(struct state), .state_free = state_free,
	};
	const str keys[1] = { S("llm") };
	struct err err = { 0 };
	char **files = tool_start(&tool, argc, argv, &l);
	int how = tool_choice(l.how, lines_names, 3), status;

	if (lang_check(&err) < 0)
		tool_fail(NULL, &err);
	if (l.list)
		return list_languages();
	if (how < 0)
		tool_usage("--lines: '%s' is neither mark nor cut", l.how);
	l.lines = (enum lines)how;
	if (l.keep != NULL && lang_keeps_read(&l.kept, str_of(l.keep), &err) < 0)
		tool_usage("--keep: %s", err.msg);
	if ((l.scripts = script_new(&err)) == NULL)
		tool_fail(NULL, &err);
	name_keys(&l);
	l.field = job.field = filter_field(&l.io);
	l.counts = &counts;
	job.keys = keys;
	l.io.more_stats = more_stats;
	l.io.ctx = &l;
	status = filter_main(&tool, &l.io, files, &job);
	buf_free(&l.names);
	free(l.scripts);
	return status;
}
