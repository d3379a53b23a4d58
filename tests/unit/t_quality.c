#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/stream.h"
#include "text/quality.h"

#include "../tap.h"

static struct err err;

/* The rule that drops text, or -1. */
static int
dropped_by(const struct quality *q, str text)
{
	struct quality_state s = { 0 };
	struct quality_verdict v;
	int got = quality_judge(q, &s, text, &v, &err);

	quality_state_free(&s);
	return got < 0 ? -2 : v.rule;
}

static bool
rule_drops(int rule, const struct buf *text)
{
	struct quality q;
	bool drops;

	quality_init(&q, &err);
	quality_select(&q, str_of(quality_rules[rule].name), &err);
	drops = dropped_by(&q, buf_str(text)) == rule;
	quality_free(&q);
	return drops;
}

static void
add(struct buf *b, int times, const char *piece)
{
	while (times-- > 0)
		buf_add(b, str_of(piece));
}

/* Made of a pieces and b others: one more or less is on each side of a limit. */
static const struct {
	int		 rule;
	int		 a;
	const char	*piece;
	int		 b;
	const char	*other;
	int		 da, db;	/* what makes it fail */
} limits[] = {
	{ GOPHER_MIN_WORDS, 50, "word ", 9, ", ", -1, 0 },
	{ GOPHER_MAX_WORDS, 100000, "word ", 9, "! ", 1, 0 },
	{ GOPHER_MIN_MEAN_LENGTH, 20, "abc ", 5, ". ", 0, 0 },
	{ GOPHER_MAX_MEAN_LENGTH, 20, "abcdefghij ", 1, "abcdefghij ", 0, 0 },
	{ GOPHER_HASHES, 9, "word ", 1, "# ", -1, 0 },
	{ GOPHER_ELLIPSES, 9, "word ", 1, "... ", -1, 0 },
	{ GOPHER_ELLIPSES, 9, "word ", 1, "\u2026 ", -1, 0 },
	{ GOPHER_BULLET_LINES, 9, "- word\n", 1, "word\n", 1, 0 },
	{ GOPHER_BULLET_LINES, 9, "  \u2022 word\r\n", 1, "word\n", 1, 0 },
	{ GOPHER_ELLIPSIS_LINES, 3, "word... \n", 7, "word\n", 1, 0 },
	{ GOPHER_ALPHA_WORDS, 8, "word ", 2, "12 ", 0, 1 },
	{ GOPHER_STOP_WORDS, 1, "the ", 1, "of ", -1, 0 },
	{ REP_PARAGRAPHS, 4, "p\n\n", 1, "a\n\nb\n\nc\n\nd\n\ne\n\nf", 1, 0 },
	{ REP_LINES, 4, "p\n", 1, "a\nb\nc\nd\ne\nf", 1, 0 },
	{ REP_LINE_CHARS, 2, "aaaa\n", 1, "abcdefghijklmn", 1, 0 },
	{ REP_PARAGRAPH_CHARS, 2, "aaaa\n\n", 1, "abcdefgh", 1, 0 },
	{ REP_TOP_2GRAM, 1, "1 2 a b c d e f g h 1 2 x", 0, "", 0, 0 },
	{ C4_SENTENCES, 4, "This is it.\n", 1, "And so is this!", -1, 0 },
	{ C4_LOREM_IPSUM, 0, "Say Lorem Ipsum to me.\n", 6, "This is it.\n", 1, 0 },
	{ C4_CURLY_BRACKET, 0, "Here is a { in line.\n", 6, "This is it.\n", 1, 0 },
	{ FINEWEB_TERMINAL_LINES, 3, "It ends.\n", 22, "It does not\n", -1, 0 },
	{ FINEWEB_SHORT_LINES, 67, "A short line\n", 33,
	    "A line of more than thirty characters\n", 1, 0 },
	{ FINEWEB_NEWLINES, 3, "word\n", 7, "word ", 1, 0 },
};

static void
test_limits(void)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct buf b = { 0 };
		char what[128];

		if (limits[i].da == 0 && limits[i].db == 0)
			continue;
		add(&b, limits[i].a, limits[i].piece);
		add(&b, limits[i].b, limits[i].other);
		snprintf(what, sizeof(what), "%s: at its limit it stays",
		    quality_rules[limits[i].rule].name);
		ok(!rule_drops(limits[i].rule, &b), what);
		buf_reset(&b);
		add(&b, limits[i].a + limits[i].da, limits[i].piece);
		add(&b, limits[i].b + limits[i].db, limits[i].other);
		snprintf(what, sizeof(what), "%s: one step on it goes",
		    quality_rules[limits[i].rule].name);
		ok(rule_drops(limits[i].rule, &b), what);
		buf_free(&b);
	}
}

static void
test_mean_length(void)
{
	struct buf b = { 0 };

	add(&b, 20, "abc ");
	ok(!rule_drops(GOPHER_MIN_MEAN_LENGTH, &b), "words of 3 characters stay");
	add(&b, 1, "zz ");
	ok(rule_drops(GOPHER_MIN_MEAN_LENGTH, &b), "shorter ones go");
	buf_reset(&b);
	add(&b, 20, "\u00e9\u00e9\u00e9\u00e9\u00e9ghijk ");
	ok(!rule_drops(GOPHER_MAX_MEAN_LENGTH, &b), "words of 10 characters stay");
	add(&b, 1, "abcdefghijk ");
	ok(rule_drops(GOPHER_MAX_MEAN_LENGTH, &b), "longer ones go");
	buf_free(&b);
}

/* Every rule with a number, on real text: its own value passes, the next does not. */
static void
test_own_values(str text)
{
	int wrong = 0;

	for (int i = 0; i < QUALITY_RULES; i++) {
		enum quality_bound bound = quality_rules[i].bound;
		double value[QUALITY_RULES] = { 0 }, v;
		struct quality_state s = { 0 };
		struct quality_verdict verdict;
		struct quality q;

		if ((bound != BOUND_UPPER && bound != BOUND_LOWER) || i == CODE_TOKEN_CHARS)
			continue;	/* tokens are words here */
		quality_init(&q, &err);
		quality_select(&q, str_of(quality_rules[i].name), &err);
		quality_measure(&q, &s, text, value, &verdict, &err);
		v = value[i];
		q.limit[i] = v;
		wrong += dropped_by(&q, text) != -1;
		q.limit[i] = bound == BOUND_UPPER ? nextafter(v, -1) : nextafter(v, 1e9);
		if (q.limit[i] >= 0 && dropped_by(&q, text) != i) {
			printf("# %s %.17g\n", quality_rules[i].name, v);
			wrong++;
		}
		quality_state_free(&s);
		quality_free(&q);
	}
	ok(wrong == 0, "every rule drops just past its limit");
}

static bool
edits(const char *names, const char *in, const char *want)
{
	struct quality_state s = { 0 };
	struct quality_verdict v, again;
	struct quality q;
	bool same;

	quality_init(&q, &err);
	quality_select(&q, str_of(names), &err);
	same = quality_judge(&q, &s, str_of(in), &v, &err) == 0 && v.rule == -1 &&
	    str_eq(v.text, str_of(want)) && v.edited == (strcmp(in, want) != 0);
	if (!same)
		printf("# got '%.*s'\n", STR_ARG(v.text));
	same &= quality_judge(&q, &s, str_of(want), &again, &err) == 0 && !again.edited;
	quality_state_free(&s);
	quality_free(&q);
	return same;
}

static void
test_c4_lines(void)
{
	const char *no_doc = "c4,-c4.min-sentences";
	struct buf b = { 0 };

	ok(edits(no_doc, "One two three.\nNo end\nFour five six!\nToo few.\n",
	    "One two three.\nFour five six!"), "lines without an end or with few words go");
	ok(edits(no_doc, "A line ends so...\nA line ends so.", "A line ends so."), "ellipsis");
	ok(edits(no_doc, "  He said \"so it is.\"  \r\nIt was his'\x0b", "He said \"so it is.\"\nIt was his'"),
	    "quotes end a line, blanks are trimmed");
	ok(edits(no_doc, "As said[12] by him[edit] and[citation needed] me.[x]\nSo.", ""),
	    "a line that ends with ] goes");
	ok(edits(no_doc, "As said[12] by him[edit] and[citation needed] me[x].",
	    "As said by him and me[x]."), "citations go");
	ok(edits(no_doc, "Please enable JAVAscript now.\nAll is well here.", "All is well here."),
	    "javascript");
	ok(edits(no_doc, "Read our Privacy Policy here.\nThe terms of use apply.\n"
	    "It uses cookies for this.\nWe use cookies for this.\nThe use of cookies is bad.\n"
	    "Our cookie policy is good.\nI ate many cookies today.", "I ate many cookies today."),
	    "policies, but not food");
	ok(edits("c4.citations", "no end [1]", "no end"), "one rule alone");
	add(&b, 1000, "x");
	add(&b, 1, " is long.\nThis is not long.");
	buf_byte(&b, '\0');
	ok(edits(no_doc, b.p, b.p), "a word of 1000 characters stays");
	buf_reset(&b);
	add(&b, 1000, "x");
	add(&b, 1, "\u00e9 is long.\nThis is not long.");
	buf_byte(&b, '\0');
	ok(edits(no_doc, b.p, "This is not long."), "one of 1001 goes");
	buf_free(&b);
}

static void
test_golden(const char *path)
{
	struct err e = { 0 };
	struct in *in = in_open(path, &e);
	char *all = malloc(1 << 20);
	ptrdiff_t n = in != NULL ? in_read(in, all, 1 << 20, &e) : 0;
	str rest = { all, n };
	struct quality base, c4;
	struct quality_state s = { 0 };
	int docs = 0, wrong = 0, texts = 0;

	quality_init(&base, &err);
	quality_select(&base, S("gopher,fineweb"), &err);
	quality_init(&c4, &err);
	quality_select(&c4, S("c4"), &err);
	while (rest.p != NULL && rest.n > 0) {
		json_t *doc = json_doc(str_cut(&rest, '\n'), &err), *want;
		double value[QUALITY_RULES] = { 0 };
		struct quality_verdict v;
		const char *reason;
		str text = str_of(json_string_value(json_object_get(doc, "text")));

		docs++;
		quality_measure(&base, &s, text, value, &v, &err);
		for (int i = 0; i < QUALITY_RULES; i++) {
			want = json_object_get(json_object_get(doc, "values"),
			    quality_rules[i].name);
			if (want != NULL && fabs(json_number_value(want) - value[i]) > 1e-12) {
				printf("# document %d: %s %.17g\n", docs, quality_rules[i].name,
				    value[i]);
				wrong++;
			}
		}
		quality_measure(&c4, &s, text, value, &v, &err);
		texts += str_eq(v.text, str_of(json_string_value(json_object_get(doc, "c4"))));
		quality_judge(&c4, &s, text, &v, &err);
		reason = json_string_value(json_object_get(doc, "c4_reason"));
		wrong += (reason == NULL) != (v.rule == -1);
		if (reason != NULL)
			wrong += v.rule != (strcmp(reason, "too_few_sentences") == 0 ?
			    C4_SENTENCES : strcmp(reason, "curly_bracket") == 0 ?
			    C4_CURLY_BRACKET : C4_LOREM_IPSUM);
		if (docs == 20)
			test_own_values(text);
		json_decref(doc);
	}
	ok(docs > 20, "golden documents are there");
	ok(wrong == 0, "values are datatrove's");
	ok(texts == docs, "C4 leaves the text that datatrove leaves");
	quality_state_free(&s);
	quality_free(&base);
	quality_free(&c4);
	in_close(in);
	free(all);
}

static void
test_select(void)
{
	struct quality q;
	int n = 0;

	quality_init(&q, &err);
	ok(quality_select(&q, S("gopher"), &err) == 0 && q.on[GOPHER_HASHES] &&
	    q.on[REP_DUP_10GRAM] && !q.on[C4_POLICY] && q.nfamilies == 2,
	    "gopher is quality and repetition");
	ok(quality_select(&q, S("c4,-c4.terminal"), &err) == 0 && q.on[C4_POLICY] &&
	    !q.on[C4_TERMINAL], "a rule is taken back");
	quality_free(&q);
	quality_init(&q, &err);
	ok(quality_select(&q, S("gopher.words"), &err) == 0 && q.on[GOPHER_MIN_WORDS] &&
	    q.on[GOPHER_MAX_WORDS], "a name without min- or max-");
	for (int i = 0; i < QUALITY_RULES; i++)
		n += q.on[i];
	ok(n == 2, "and nothing else");
	ok(quality_select(&q, S("gopher.nope"), &err) < 0, "an unknown rule");
	ok(quality_select(&q, S("mc4.paragraph-chars"), &err) < 0, "a parameter is no rule");
	ok(quality_set(&q, S("gopher.min-words=30"), &err) == 0 &&
	    q.limit[GOPHER_MIN_WORDS] == 30, "a limit");
	ok(quality_set(&q, S("gopher-rep.max-top-2gram=30%"), &err) == 0 &&
	    fabs(q.limit[REP_TOP_2GRAM] - 0.3) < 1e-12, "in percent");
	ok(quality_set(&q, S("gopher.min-words=x"), &err) < 0 &&
	    quality_set(&q, S("gopher.min-words"), &err) < 0 &&
	    quality_set(&q, S("c4.policy=3"), &err) < 0 &&
	    quality_set(&q, S("gopher.min-words=-1"), &err) < 0, "what is no limit");
	quality_free(&q);
}

static void
test_empty(void)
{
	static const char *const family[] = { "gopher", "gopher-rep", "c4", "mc4", "fineweb" };
	int bad = 0;

	for (int i = 0; i < 5; i++) {
		struct quality q;

		quality_init(&q, &err);
		quality_select(&q, str_of(family[i]), &err);
		bad += dropped_by(&q, S("")) < 0;
		bad += dropped_by(&q, S("\n\n \n")) == -2;
		quality_free(&q);
	}
	ok(bad == 0, "every family drops an empty text");
}

int
main(void)
{
	test_select();
	test_limits();
	test_mean_length();
	test_c4_lines();
	test_empty();
	test_golden("tests/data/quality/golden.jsonl");
	return tap_done();
}
