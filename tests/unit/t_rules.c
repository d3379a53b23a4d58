/*
 * Rules of files, the values that they are about, and where these come from
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/stream.h"
#include "text/automaton.h"
#include "text/census.h"
#include "text/judge.h"
#include "text/signals.h"
#include "text/unicode.h"

#include "../draw.h"
#include "../tap.h"

static struct err err;

static void
test_census(void)
{
	static const char *const piece[] = { "a", "Z", "5", " ", "\n", "\t", ".", "?", "(", "}",
		"#", "\u00e9", "\u00c9", "\u0663", "\u6f22", "\u27e8", "\U0001f600", "word and " };
	int bad = 0;

	for (int round = 0; round < 300; round++) {
		struct buf b = { 0 };
		struct census c, want = { 0 };
		const char *p, *end;

		for (uint32_t n = draw(1500); n > 0; n--)
			buf_add(&b, str_of(piece[draw(sizeof(piece) / sizeof(piece[0]))]));
		c = census_of(buf_str(&b));
		for (p = b.p, end = p + b.n; p < end;) {
			int32_t x = utf8_next(&p, end);
			unsigned class = uni_class(x);

			want.chars++;
			want.upper += (class & UNI_UPPER) != 0 && (class & UNI_LOWER) == 0;
			want.digits += (class & UNI_DIGIT) != 0;
			want.alnum += (class & (UNI_DIGIT | UNI_LETTER)) != 0;
			want.ascii_digits += x >= '0' && x <= '9';
			want.white += x == ' ' || (x >= '\t' && x <= '\r');
			want.plain += x < 0x80 && ((class & (UNI_DIGIT | UNI_LETTER)) != 0 ||
			    strchr("\n?!,.", x) != NULL);
			want.brackets += x == '(' || x == '}' || x == 0x27e8;
		}
		bad += memcmp(&c, &want, sizeof(c)) != 0;
		buf_free(&b);
	}
	ok(bad == 0, "a census counts as one character after another does");
}

static int64_t
count_by_hand(const str *pattern, int n, str text)
{
	int64_t count = 0;

	for (int i = 0; i < n; i++)
		for (ptrdiff_t at = 0; at + pattern[i].n <= text.n; at++)
			count += strncasecmp(text.p + at, pattern[i].p, (size_t)pattern[i].n) == 0;
	return count;
}

static void
test_automaton(void)
{
	int bad = 0;
	struct automaton *a;
	str words[] = { S("he"), S("hers"), S("two words"), S("\u0445\u0443\u0439") };

	for (int round = 0; round < 500; round++) {
		char pool[200], text[300];
		str pattern[8];
		int n = 0, used = 0;
		ptrdiff_t size = draw(sizeof(text));

		while (n < 1 + (int)draw(8)) {
			ptrdiff_t len = 1 + draw(4);
			bool same = false;

			for (ptrdiff_t i = 0; i < len; i++)
				pool[used + i] = "abA"[draw(3)];
			pattern[n] = (str){ pool + used, len };
			for (int k = 0; k < n; k++)
				same |= pattern[k].n == len &&
				    strncasecmp(pattern[k].p, pattern[n].p, (size_t)len) == 0;
			used += (int)len;
			n += !same;
			if (same)
				break;
		}
		for (ptrdiff_t i = 0; i < size; i++)
			text[i] = "abBx"[draw(4)];
		if ((a = automaton_new(pattern, n, &err)) == NULL) {
			bad++;
			continue;
		}
		bad += automaton_count(a, (str){ text, size }, false, INT64_MAX) !=
		    count_by_hand(pattern, n, (str){ text, size });
		automaton_free(a);
	}
	ok(bad == 0, "an automaton finds what a search for each finds");
	a = automaton_new(words, 4, &err);
	ok(automaton_count(a, S("He said hers, not the; two Words, two wordsmiths"), true, 99) == 3,
	    "words stand by themselves");
	ok(automaton_count(a, S("\u0425\u0443\u0439 \u0425\u0423\u0419 \u0445\u0443\u0439\u0445"),
	    true, 99) == 2, "in any case, beyond ASCII too");
	ok(automaton_count(a, S("he he he he"), true, 2) == 2, "it stops where it is told");
	automaton_free(a);
	a = automaton_new(NULL, 0, &err);
	ok(automaton_count(a, S("text"), false, 99) == 0, "no pattern is found nowhere");
	automaton_free(a);
}

static bool
edits_to(const char *names, const char *in, const char *want)
{
	struct quality_state s = { 0 };
	struct quality_verdict v;
	struct quality q;
	bool same;

	quality_init(&q, &err);
	quality_select(&q, str_of(names), &err);
	same = quality_judge(&q, &s, str_of(in), &v, &err) == 0 && str_eq(v.text, str_of(want));
	if (!same)
		printf("# got '%.*s'\n", STR_ARG(v.text));
	quality_state_free(&s);
	quality_free(&q);
	return same;
}

static void
test_lines(void)
{
	const char *all = "lines,-lines.max-removed";

	ok(edits_to(all, "A GOOD TITLE\nA good line here.\n12345\n", "A good line here."),
	    "capitals and digits");
	ok(edits_to(all, "3 likes\n1,234 Comments\n 5.1M   views!\n12k followers\n3 likes it\nall views",
	    "3 likes it\nall views"), "counters");
	ok(edits_to(all, "One\ntwo words\n\n\n\nthree of them", "two words\n\nthree of them"),
	    "words and newlines");
	ok(edits_to(all, "Sign-in to the shop\n3 items in cart now\nHow it works Read more...\nread more...",
	    "to the shop\n3 now\nHow it works"), "furniture of shops");
	ok(edits_to("lines.phrases", "a b c d e f g h i j k Read more...", "a b c d e f g h i j k Read more..."),
	    "in short lines only");
	ok(edits_to(all, "\u00c0\u00c8\u00cc\u00d2\u00d9 ab\n\u00e0\u00e8 ok", "\u00e0\u00e8 ok"),
	    "capitals beyond ASCII");
	ok(edits_to(all, "", ""), "an empty text");
}

static double
value_of(const char *name, str text)
{
	struct quality_state s = { 0 };
	struct quality_verdict v;
	struct quality q;
	double value[QUALITY_RULES], x = -1;

	quality_init(&q, &err);
	if (quality_signals(&q, &s, text, SIGNALS_FAMILIES, value, &v, &err) == 0)
		x = value[quality_value_find(&q, str_of(name))];
	quality_state_free(&s);
	quality_free(&q);
	return x;
}

static bool
near(double a, double b)
{
	return fabs(a - b) < 1e-12;
}

static void
test_values(void)
{
	ok(near(value_of("nemo.symbols", S("ab c#")), 2 / 5.), "nemo.symbols");
	ok(near(value_of("nemo.digits", S("a1b2")), 0.5), "nemo.digits");
	ok(near(value_of("nemo.urls", S("see http://a.b/c%20d now")), 16 / 24.), "nemo.urls");
	ok(near(value_of("nemo.white", S("a b\tc\n")), 0.5), "nemo.white");
	ok(near(value_of("nemo.brackets", S("(a]b")), 0.5), "nemo.brackets");
	ok(near(value_of("nemo.boilerplate", S("We use cookies.\n\nText.\n\n\nMore.")), 1 / 3.),
	    "nemo.boilerplate");
	ok(near(value_of("nemo.boilerplate", S("a\n\nlorem ipsum")), 1), "a dummy text is all of it");
	ok(near(value_of("nemo.open-sentences", S("One. Two! three\nHe said \"so.\"\nfour etc.\n")),
	    1 / 5.), "nemo.open-sentences");
	ok(near(value_of("nemo.word-chars", S("a bcd \u00e9\u00e9\u00e9\u00e9")), 4), "nemo.word-chars");
	ok(near(value_of("nemo.symbols", S("")), 1), "an empty text is nothing but symbols");
	ok(near(value_of("code.mean-line-chars", S("ab\nabcd\n")), 3) &&
	    near(value_of("code.line-chars", S("ab\nabcd\n")), 4), "lines of code");
	ok(near(value_of("code.comments", S("// ab\nx = 1; /* c */\ns = \"// no\";")), 12 / 33.),
	    "comments of C");
	ok(near(value_of("code.comments", S("# ab\nx = '# no' # c\n\"\"\"doc\"\"\"\n")), 16 / 30.),
	    "of Python");
	ok(near(value_of("code.comments", S("-- ab\nselect 1 -- c\n")), 9 / 20.), "of SQL");
	ok(near(value_of("code.xml", S("<?xml version='1.0'?>")), 1), "code.xml");
	ok(near(value_of("lines.removed", S("TITLE OF IT\none two three four")), 3 / 7.),
	    "what lines would remove is known where they do not");
	ok(near(value_of("tokens.count", S("It can't be.")), 5), "tokens are words");
	ok(isnan(value_of("words.bad", S("text"))), "without a list there is no value");
}

static void
test_numbers(void)
{
	struct quality q;
	struct buf b = { 0 };
	double value[QUALITY_RULES], back[QUALITY_RULES];
	int bad = 0;

	quality_init(&q, &err);
	for (int round = 0; round < 200000; round++) {
		double x;

		switch (draw(4)) {
		case 0:
			x = draw(1000000) / (1. + draw(1000000));
			break;
		case 1:
			x = (double)draw(100);
			break;
		case 2:
			x = ldexp(draw(1u << 30) + draw(1u << 30) * 0x1p-30, (int)draw(60) - 45);
			break;
		default:
			x = draw(2000) / 1000.;
		}
		for (int i = 0; i < QUALITY_RULES; i++)
			value[i] = NAN;
		value[NEMO_URLS] = x;
		buf_reset(&b);
		signals_write(&b, &q, S("text"), value);
		bad += signals_read(&q, buf_str(&b), S("text"), 0, back) != 1 ||
		    memcmp(&back[NEMO_URLS], &x, sizeof(x)) != 0;
	}
	ok(bad == 0, "a stored number is read as it was");
	buf_free(&b);
	quality_free(&q);
}

/* The verdict of names and a file on a text: 1, 0, or -1. */
static int
verdict(const char *names, const char *file, str text, str signals, struct buf *found)
{
	struct judge j = { 0 };
	struct judge_state s = { 0 };
	struct judge_finding x;
	struct judge_record r = { .text = text, .signals = signals };
	int got = -1;

	if (quality_init(&j.quality, &err) == 0 &&
	    (names == NULL || quality_select(&j.quality, str_of(names), &err) == 0) &&
	    rules_parse(&j.rules, &j.quality, str_of(file), "my.rules", &err) == 0 &&
	    judge_plan(&j, &err) == 0)
		got = judge_text(&j, &s, &r, &x, &err);
	if (got >= 0 && found != NULL) {
		buf_reset(found);
		judge_write(found, &j, &x);
		buf_fmt(found, " %s", x.stored ? "stored" : "computed");
	}
	judge_state_free(&s);
	judge_free(&j);
	return got;
}

static bool
finds(const struct buf *b, const char *want)
{
	bool same = str_eq(buf_str(b), str_of(want));

	if (!same)
		printf("# got %.*s\n", STR_ARG(buf_str(b)));
	return same;
}

static void
test_rules(void)
{
	str text = S("One two three. Four five six."), none = { NULL, 0 };
	struct buf b = { 0 };

	ok(verdict(NULL, "drop gopher.words < 7", text, none, &b) == 0 &&
	    finds(&b, "{\"line\":1,\"rule\":\"gopher.words\",\"value\":6,\"limit\":7} computed"),
	    "a condition drops");
	ok(verdict(NULL, "drop gopher.words < 6", text, none, NULL) == 1, "or does not");
	ok(verdict(NULL, "keep gopher.words==6\ndrop gopher.words > 1", text, none, NULL) == 1,
	    "what is kept is kept");
	ok(verdict(NULL, "drop gopher.words > 1 and c4.sentences > 9", text, none, NULL) == 1,
	    "all conditions must hold");
	ok(verdict(NULL, "tag a gopher.words<9\n# no\ntag b tokens.count >= 8\n"
	    "drop nemo.white>10%", text, none, &b) == 0 &&
	    finds(&b, "{\"line\":4,\"rule\":\"nemo.white\",\"value\":0.172414,\"limit\":0.1,"
	    "\"tags\":[\"a\",\"b\"]} computed"), "tags gather");
	ok(verdict(NULL, "use gopher.words\nset gopher.min-words = 3\nkeep gopher.words > 0", text,
	    none, &b) == 1 && finds(&b, "{} computed"),
	    "use and set");
	ok(verdict("gopher", "keep gopher.words > 0", text, none, &b) == 0 &&
	    finds(&b, "{\"rule\":\"gopher.min-words\",\"value\":6,\"limit\":50} computed"),
	    "selected rules come first");
	ok(verdict(NULL, "drop url.domains > 0", text, none, NULL) == -1 &&
	    strstr(err.msg, "no list for url.domains") != NULL, "a list is missing");
	ok(verdict("url", "", text, none, NULL) == -1, "of a family too");
	ok(verdict(NULL, "set gopher.min-words = 3", text, none, NULL) == -1, "nothing is asked");
	buf_free(&b);
}

static void
test_bad_files(void)
{
	static const struct {
		const char *name, *message;
	} file[] = {
		{ "signal", ":1: no signal 'gopher.word'" }, { "operator", ":3: '=' is none of" },
		{ "number", ":1: 'many' is no number" }, { "verb", ":1: 'hide' is none of" },
		{ "or", ":1: 'or' is not 'and'" }, { "empty", ":1: a condition is missing" },
		{ "tag", ":1: a tag is of" }, { "set", ":1: set takes" }, { "use", ":1: use takes" },
		{ "huge", ":1: '1e999' is no number" }, { "bytes", ": no UTF-8 at byte 2" },
		{ "conditions", ":1: more than 16" },
	};
	struct arena a;
	int bad = 0;

	arena_init(&a, 1 << 20, &err);
	for (size_t i = 0; i < sizeof(file) / sizeof(file[0]); i++) {
		char path[100], want[160];
		struct quality q;
		struct rules r = { 0 };
		str bytes;

		snprintf(path, sizeof(path), "tests/data/rules/bad/%s.rules", file[i].name);
		snprintf(want, sizeof(want), "%s%s", path, file[i].message);
		quality_init(&q, &err);
		bytes = file_slurp(&a, path, 1 << 18, &err);
		if (bytes.p == NULL || rules_parse(&r, &q, bytes, path, &err) != -1 ||
		    strncmp(err.msg, want, strlen(want)) != 0) {
			printf("# %s\n", err.msg);
			bad++;
		}
		rules_free(&r);
		quality_free(&q);
	}
	ok(bad == 0, "what is wrong with a file is told by name, line and cause");
	arena_free(&a);
}

/* Values as --signals writes them, after the edits of names. */
static void
measure(const char *names, str text, struct buf *json, struct buf *edited)
{
	struct judge j = { .signals = true };
	struct judge_state s = { 0 };
	struct judge_finding x;
	struct judge_record r = { .text = text };

	quality_init(&j.quality, &err);
	if (names != NULL)
		quality_select(&j.quality, str_of(names), &err);
	judge_plan(&j, &err);
	buf_reset(json);
	buf_reset(edited);
	if (judge_text(&j, &s, &r, &x, &err) == 1) {
		signals_write(json, &j.quality, x.verdict.text, x.value);
		buf_add(edited, x.verdict.text);
	}
	judge_state_free(&s);
	judge_free(&j);
}

static bool
same_verdict(const char *names, const char *file, str text, str signals, const char *from)
{
	struct buf a = { 0 }, b = { 0 };
	str none = { NULL, 0 };
	int x = verdict(names, file, text, signals, &a), y = verdict(names, file, text, none, &b);
	bool same = x == y && str_ends(buf_str(&a), str_of(from)) &&
	    str_eq((str){ a.p, a.n - (ptrdiff_t)strlen(from) },
	    (str){ b.p, b.n - (ptrdiff_t)strlen("computed") });

	if (!same)
		printf("# %s: %.*s, %.*s\n", names, STR_ARG(buf_str(&a)), STR_ARG(buf_str(&b)));
	buf_free(&a);
	buf_free(&b);
	return same;
}

static void
test_stored(str text)
{
	struct buf json = { 0 }, edited = { 0 };
	int bad = 0;

	measure(NULL, text, &json, &edited);
	bad += !same_verdict("gopher,fineweb", "", text, buf_str(&json), "stored");
	bad += !same_verdict(NULL, "drop c4.sentences < 7\ndrop nemo.urls > 0\ntag x code.comments < 1",
	    text, buf_str(&json), "stored");
	/* These edit, and the values are of no edit. */
	bad += !same_verdict("c4", "", text, buf_str(&json), "computed");
	bad += !same_verdict("gopher", "set fineweb.short-line-chars = 9", text, buf_str(&json),
	    "computed");
	bad += !same_verdict("gopher", "", S("Another text."), buf_str(&json), "computed");
	bad += !same_verdict("gopher", "", text, S("{\"hash\":1}"), "computed");
	bad += !same_verdict("gopher", "", text, S("[]"), "computed");
	measure("gopher,c4", text, &json, &edited);
	bad += !same_verdict("gopher,fineweb", "", buf_str(&edited), buf_str(&json), "stored");
	if (edited.n > 0) {
		bad += verdict("c4,gopher", "", buf_str(&edited), buf_str(&json), NULL) !=
		    verdict("c4,gopher", "", text, (str){ NULL, 0 }, NULL);
		bad += !same_verdict("gopher,c4", "", buf_str(&edited), buf_str(&json), "computed");
	}
	buf_free(&json);
	buf_free(&edited);
	ok(bad == 0, "stored values give the verdict that the text gives, or are not used");
}

static void
test_real_texts(void)
{
	struct arena a;
	str rest;

	arena_init(&a, 4 << 20, &err);
	rest = file_slurp(&a, "tests/data/quality/golden.jsonl", 1 << 20, &err);
	for (int n = 0; rest.p != NULL && rest.n > 0 && n < 12; n++) {
		json_t *doc = json_doc(str_cut(&rest, '\n'), &err);

		test_stored(str_of(json_string_value(json_object_get(doc, "text"))));
		json_decref(doc);
	}
	arena_free(&a);
}

static double
url_value(struct quality *q, const char *name, const char *url)
{
	struct quality_state s = { .url = str_of(url) };
	double value[QUALITY_RULES];
	double x = -1;

	if (quality_url_values(q, &s, value, &err) == 0)
		x = value[quality_value_find(q, str_of(name))];
	quality_state_free(&s);
	return x;
}

static void
test_urls(const char *dir)
{
	static const char *const list[][2] = {
		{ "url.domains", "# comment\nbad.example\n\nDEEP.in.example\n" },
		{ "url.pages", "https://x.example/a?b=C\n" },
		{ "url.hard-words", "casino\nxxx\n" }, { "url.soft-words", "win\nfree\n" },
		{ "url.parts", "free-money\n" },
	};
	struct quality q;
	int bad = 0;

	quality_init(&q, &err);
	for (int i = 0; i < 5; i++) {
		char path[200], setting[300];

		snprintf(path, sizeof(path), "%s/rules-list-%d", dir, i);
		snprintf(setting, sizeof(setting), "%s=%s", list[i][0], path);
		bad += file_write(path, str_of(list[i][1]), &err) < 0 ||
		    quality_read_list(&q, str_of(setting), &err) < 0;
		remove(path);
	}
	ok(bad == 0, "lists are read");
	ok(url_value(&q, "url.domains", "http://bad.example") == 1 &&
	    url_value(&q, "url.domains", "https://me:x@www.BAD.example.:8080/p") == 1 &&
	    url_value(&q, "url.domains", "//a.deep.in.example/") == 1 &&
	    url_value(&q, "url.domains", "http://notbad.example/bad.example") == 0 &&
	    url_value(&q, "url.domains", "http://in.example/") == 0 &&
	    url_value(&q, "url.domains", "") == 0, "domains");
	ok(url_value(&q, "url.pages", "https://x.example/a?b=C") == 1 &&
	    url_value(&q, "url.pages", "https://x.example/a") == 0, "pages");
	ok(url_value(&q, "url.hard-words", "http://a.b/Casino/xxx/casino") == 2 &&
	    url_value(&q, "url.hard-words", "http://casinos.b/") == 0, "hard words");
	ok(url_value(&q, "url.soft-words", "http://win-for.free/?win") == 2, "soft words");
	ok(url_value(&q, "url.parts", "http://a.b/get_FREE.money-now") == 1, "parts");
	ok(quality_read_list(&q, S("url.domains=/none"), &err) < 0 &&
	    quality_read_list(&q, S("url.nothing=x"), &err) < 0 &&
	    quality_read_list(&q, S("url.domains"), &err) < 0 &&
	    quality_read_list(&q, S("words.bad=/dev/null"), &err) < 0, "what is no list");
	quality_free(&q);
}

int
main(void)
{
	const char *dir = getenv("TMPDIR");

	test_census();
	test_automaton();
	test_lines();
	test_values();
	test_numbers();
	test_rules();
	test_bad_files();
	test_real_texts();
	test_urls(dir != NULL ? dir : "/tmp");
	return tap_done();
}
