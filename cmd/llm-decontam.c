/*
 * llm-decontam - find questions of evaluations in texts
 *
 * The evaluations' questions are read first, and cut into seeds of a few words
 * that texts are searched for; where one is found, the question is compared
 * with the words around.  See text/contam.h for the two methods.
 *
 * Time is linear in the text, but for texts full of questions.  Memory is the
 * evaluations', about 30 bytes a word, and a batch of records a thread.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "text/contam.h"
#include "text/unicode.h"
#include "tool/filter.h"

#define EVALS	256		/* files */

enum action { ACTION_DROP, ACTION_CUT, ACTION_FLAG };

struct decontam {
	struct filter_opts io;
	struct contam_opts how;
	struct contam_keys keys;
	const char	*type, *action_name, *report;
	int64_t		 ngram, min_words, max_cuts;
	struct contam_cut cut;
	enum action	 action;
	struct eval {
		str		 name;
		const char	*path;
	}		 eval[EVALS];
	int		 evals;
	struct contam	*index;
	str		 field;
	_Atomic int64_t	*found;		/* questions, by evaluation */
};

/* [name=]file; without a name the file's, up to its first dot. */
static struct eval
name_eval(const char *arg)
{
	const char *equals = strchr(arg, '='), *slash = strrchr(arg, '/');
	str rest;

	if (equals != NULL && (slash == NULL || equals < slash))
		return (struct eval){ { arg, equals - arg }, equals + 1 };
	rest = str_of(slash != NULL ? slash + 1 : arg);
	return (struct eval){ str_cut(&rest, '.'), arg };
}

static int
add_eval(void *into, const char *arg, struct err *err)
{
	struct decontam *d = into;

	if (d->evals == EVALS)
		return err_set(err, ERR_LIMIT, "more than %d files", EVALS);
	d->eval[d->evals++] = name_eval(arg);
	return 0;
}

static const struct opt opts[] = {
	{ .letter = 'e', .name = "eval", .type = OPT_CALL, .arg = "[name=]file", .call = add_eval,
	  .help = "questions of this evaluation; may be given more than once" },
	{ .letter = 't', .name = "type", .type = OPT_STR, .at = offsetof(struct decontam, type),
	  .arg = "score|ngram", .help = "how a question is known again (score)" },
	{ .name = "score", .type = OPT_F64, .at = offsetof(struct decontam, how.score),
	  .arg = "share", .min = 0.5, .max = 1,
	  .help = "score: words of a question that must be there (0.8)" },
	{ .name = "ngram", .type = OPT_I64, .at = offsetof(struct decontam, ngram), .arg = "n",
	  .min = 2, .max = CONTAM_NGRAM_MAX, .help = "ngram: words in a row (13)" },
	{ .name = "min-words", .type = OPT_I64, .at = offsetof(struct decontam, min_words),
	  .arg = "n", .min = 6, .max = CONTAM_WORDS,
	  .help = "leave out questions that have fewer, with their answers (8)" },
	{ .name = "action", .type = OPT_STR, .at = offsetof(struct decontam, action_name),
	  .arg = "drop|cut|flag", .help = "what to do with records that have one (drop)" },
	{ .name = "margin", .type = OPT_I64, .at = offsetof(struct decontam, cut.margin),
	  .arg = "n", .min = 0, .max = 1e9, .help = "cut: characters around that go too (200)" },
	{ .name = "max-cuts", .type = OPT_I64, .at = offsetof(struct decontam, max_cuts),
	  .arg = "n", .min = 1, .max = CONTAM_HITS - 1,
	  .help = "cut: drop records with more (10)" },
	{ .name = "min-chars", .type = OPT_I64,
	  .at = offsetof(struct decontam, cut.min_chars), .arg = "n", .min = 1, .max = 1e9,
	  .help = "cut: shortest piece to keep (200)" },
	{ .name = "question", .type = OPT_STR, .at = offsetof(struct decontam, keys.question),
	  .arg = "keys", .help = "keys of a question, the first that is there counts" },
	{ .name = "choices", .type = OPT_STR, .at = offsetof(struct decontam, keys.choices),
	  .arg = "keys", .help = "keys of the answers to choose from" },
	{ .name = "answer", .type = OPT_STR, .at = offsetof(struct decontam, keys.answer),
	  .arg = "keys", .help = "keys of the right answer" },
	{ .name = "report", .type = OPT_STR, .at = offsetof(struct decontam, report),
	  .arg = "file", .help = "write which text has which question, and where" },
	FILTER_OPTIONS(struct decontam, io),
	{ 0 }
};

static const struct tool tool = {
	.name     = "llm-decontam",
	.synopsis = "-e eval [file ...]",
	.summary  = "find questions of evaluations in texts",
	.opts     = opts,
};

/* A thread's room. */
struct worker {
	struct contam_search search;
	struct buf	 flags, text;
};

static void
worker_free(void *state)
{
	struct worker *w = state;

	contam_search_free(&w->search);
	buf_free(&w->flags);
	buf_free(&w->text);
}

/* [{"eval":..,"line":..,"score":..,"start":..,"end":..}, ...]; with whole, a line each. */
static int
describe(const struct decontam *d, const struct contam_search *s, const struct record *r,
    bool whole, struct buf *b, struct err *err)
{
	buf_reset(b);
	for (ptrdiff_t i = 0; i < s->n; i++) {
		const struct contam_hit *h = &s->hit[i];
		const struct contam_item *item = contam_item(d->index, h->item);
		str span = folded_span(r->text, h->from, h->to);
		ptrdiff_t at = utf8_count((str){ r->text.p, span.p - r->text.p });

		if (whole) {
			buf_add(b, S("{\"id\":"));
			buf_add(b, r->member[0].value.p != NULL ? r->member[0].value : S("null"));
			buf_fmt(b, ",\"file\":");
			json_quote(b, str_of(r->file));
			buf_fmt(b, ",\"record_line\":%lld,", (long long)r->number);
		} else {
			buf_add(b, i == 0 ? S("[{") : S(",{"));
		}
		buf_add(b, S("\"eval\":"));
		json_quote(b, d->eval[item->eval].name);
		buf_fmt(b, ",\"line\":%lld,\"score\":%.4g,\"start\":%td,\"end\":%td",
		    (long long)item->number, (double)h->same / item->n, at,
		    at + utf8_count(span));
		if (whole) {
			buf_add(b, S(",\"text\":"));
			json_quote(b, span);
			buf_add(b, S(",\"question\":"));
			json_quote(b, str_of(item->text));
			buf_add(b, S("}\n"));
		} else {
			buf_byte(b, '}');
		}
	}
	if (!whole)
		buf_byte(b, ']');
	return buf_ok(b, err);
}

static int
search(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct decontam *d = ctx;
	struct worker *w = state;
	int verdict = d->action == ACTION_FLAG ? RECORD_KEEP : RECORD_DROP;
	int64_t cuts = 0;

	r->tag[0] = 0;
	r->tag[1] = RECORD_KEEP;
	if (contam_find(d->index, &w->search, r->text, err) < 0)
		return RECORD_BAD;
	if (w->search.n == 0)
		return RECORD_KEEP;
	for (ptrdiff_t i = 0; i < w->search.n; i++)
		atomic_fetch_add_explicit(
		    &d->found[contam_item(d->index, w->search.hit[i].item)->eval], 1,
		    memory_order_relaxed);
	if (d->report != NULL) {
		str *lines = arena_new(r->scratch, str, 1, err);

		if (lines == NULL || describe(d, &w->search, r, true, &w->flags, err) < 0)
			return RECORD_BAD;
		*lines = arena_str(r->scratch, buf_str(&w->flags), err);
		if (lines->p == NULL)
			return RECORD_BAD;
		r->tag[0] = (uint64_t)(uintptr_t)lines;
	}
	if (d->action == ACTION_CUT &&
	    (cuts = contam_cut(&w->search, r->text, &d->cut, &w->text, err)) < 0)
		return RECORD_BAD;
	if (cuts > 0 && cuts <= d->max_cuts && w->text.n > 0) {
		verdict = RECORD_KEEP;
		if (record_set_text(r, d->field, buf_str(&w->text), err) < 0)
			return RECORD_BAD;
	} else if (verdict == RECORD_KEEP || d->io.rest != NULL) {
		if (describe(d, &w->search, r, false, &w->flags, err) < 0 ||
		    record_note(r, r->member[1].value, S("decontam"), buf_str(&w->flags), err) < 0)
			return RECORD_BAD;
	}
	r->tag[1] = (uint64_t)verdict;
	return RECORD_KEEP;
}

static int
put_report(void *ctx, struct record *r, struct err *err)
{
	struct decontam *d = ctx;
	const str *lines = (const str *)(uintptr_t)r->tag[0];

	if (lines != NULL && out_write(d->io.side, lines->p, lines->n, err) < 0)
		return RECORD_BAD;
	return (int)r->tag[1];
}

static void
more_stats(void *ctx, json_t *stats)
{
	struct decontam *d = ctx;
	json_t *found = json_object();

	for (int i = 0; i < d->evals; i++)
		json_object_setn_new(found, d->eval[i].name.p, (size_t)d->eval[i].name.n,
		    json_integer(d->found[i]));
	json_object_set_new(stats, "questions", json_integer(contam_items(d->index)));
	json_object_set_new(stats, "questions_short", json_integer(contam_short(d->index)));
	json_object_set_new(stats, "questions_again", json_integer(contam_again(d->index)));
	json_object_set_new(stats, "found", found);
}

/* Read the evaluations, and open the report. */
static void
begin(struct decontam *d)
{
	struct err err;

	d->how.ngram = (int)d->ngram;
	d->how.min_words = (int)d->min_words;
	if ((d->index = contam_new(&d->how, &err)) == NULL)
		tool_fail(NULL, &err);
	for (int i = 0; i < d->evals; i++)
		if (contam_load(d->index, i, d->eval[i].path, &d->keys, &err) < 0)
			tool_fail(NULL, &err);
	if (contam_ready(d->index, &err) < 0)
		tool_fail(NULL, &err);
	if (contam_short(d->index) > 0 && !d->io.quiet)
		tool_warn("%lld questions are too short to be known again (--min-words)",
		    (long long)contam_short(d->index));
	if ((d->found = calloc((size_t)d->evals, sizeof(*d->found))) == NULL)
		tool_die("out of memory");
	d->io.side = filter_side(&d->io, d->report);
}

int
main(int argc, char **argv)
{
	static const char *const types[] = { "score", "ngram" };
	static const char *const actions[] = { "drop", "cut", "flag" };
	static const str keys[] = { { "id", 2 }, { "llm", 3 } };
	struct decontam d = { .how.score = 0.8, .ngram = 13, .min_words = 8,
	    .max_cuts = 10, .cut = { 200, 200 }, .keys = CONTAM_KEYS };
	char **files = tool_start(&tool, argc, argv, &d);
	struct records_job job = {
		.ctx = &d, .field = filter_field(&d.io), .keys = keys, .nkeys = 2,
		.map = search, .order = put_report, .state_size = sizeof(struct worker),
		.state_free = worker_free,
	};
	int type = tool_choice(d.type, types, 2), action = tool_choice(d.action_name, actions, 3);
	int status;

	if (d.evals == 0)
		tool_usage("-e is missing: which evaluation?");
	if (type < 0)
		tool_usage("-t: '%s' is none of score, ngram", d.type);
	if (action < 0)
		tool_usage("--action: '%s' is none of drop, cut, flag", d.action_name);
	if (type == CONTAM_SCORED ? tool_given("ngram") : tool_given("score"))
		tool_usage("--score is for -t score, --ngram for -t ngram");
	d.how.type = (enum contam_type)type;
	d.action = (enum action)action;
	d.field = job.field;
	begin(&d);
	d.io.more_stats = more_stats;
	d.io.ctx = &d;
	status = filter_main(&tool, &d.io, files, &job);
	contam_free(d.index);
	free((void *)d.found);
	return status;
}
