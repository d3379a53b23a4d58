/*
 * Rules on texts: what a text becomes is what PCRE2 says of the whole, however the text is cut,
 * nothing of what is blocked comes out, and nothing is held back that needs not be; programs
 * that do as they should and programs that do not.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/json.h"
#include "base/progress.h"
#include "serve/guard.h"
#include "text/pii.h"

#include "../draw.h"
#include "../tap.h"

static struct err err;
static char dir[] = "/tmp/t_guard.XXXXXX";

static const char *
in_dir(const char *name)
{
	static char path[4][128];
	static int n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static const char *
put_file(const char *name, const char *text)
{
	const char *path = in_dir(name);
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
	chmod(path, 0700);
	return path;
}

static struct guards *
rules(const char *text)
{
	struct guards *g = guards_parse(str_of(text), "rules", &err);

	if (g == NULL)
		printf("# %s\n", err.msg);
	return g;
}

struct result {
	struct buf	out, verdict;
	int		ret;
};

static void
result_free(struct result *r)
{
	buf_free(&r->out);
	buf_free(&r->verdict);
}

static struct result
whole(struct guards *g, str text)
{
	struct result r = { 0 };

	r.ret = guard_text(g, GUARD_RESPONSE, text, &r.out, &r.verdict, &err);
	return r;
}

/* In pieces of at most so many bytes. */
static struct result
pieces(struct guards *g, str text, uint32_t most)
{
	struct result r = { 0 };
	struct guard_stream *s = guard_stream_new(g, GUARD_RESPONSE, &err);

	while (text.n > 0 && r.ret == 0) {
		ptrdiff_t n = 1 + (ptrdiff_t)draw(most);
		char *copy;

		n = n < text.n ? n : text.n;
		copy = malloc((size_t)n);
		memcpy(copy, text.p, (size_t)n);
		r.ret = guard_stream_write(s, (str){ copy, n }, &r.out, &err);
		free(copy);
		text = (str){ text.p + n, text.n - n };
	}
	if (r.ret == 0)
		r.ret = guard_stream_end(s, &r.out, &err);
	guard_stream_verdict(s, &r.verdict);
	guard_stream_free(s);
	return r;
}

static bool
same(const struct result *a, const struct result *b)
{
	bool eq = a->ret == b->ret && str_eq(buf_str(&a->out), buf_str(&b->out)) &&
	    str_eq(buf_str(&a->verdict), buf_str(&b->verdict));

	if (!eq)
		printf("# %d %.*s %.*s\n# %d %.*s %.*s\n", a->ret, STR_ARG(buf_str(&a->out)),
		    STR_ARG(buf_str(&a->verdict)), b->ret, STR_ARG(buf_str(&b->out)),
		    STR_ARG(buf_str(&b->verdict)));
	return eq;
}

static bool
becomes(struct guards *g, const char *text, const char *want)
{
	struct result r = whole(g, str_of(text));
	bool eq = str_eq(buf_str(&r.out), str_of(want));

	if (!eq)
		printf("# %s\n#   became %.*s\n#   not    %s\n", text, STR_ARG(buf_str(&r.out)),
		    want);
	result_free(&r);
	return eq;
}

/* ---- patterns, against PCRE2 on the whole ---- */

static const char *const tricky[] = {
	"cat", "\\bcat\\b", "a(?!b)", "(?<=x)y+", "(?m)^c", "(?m)t$", "t\\z", "\\Aca", "ca|cat|cats",
	"cats|cat", "a\\R", "\\X\xc3\xa9", "[^a]{3}t", "(a)(c)?\\1", "\xc3\xa9+", "a*t", ".*t", "(?s)c.*?t",
	"(?s)c.*t", "(?i)CAT+", "(?>a+)t", "a++", "\\Bat", "(?<!c)at", "(?=ca)..", "(?s)a.{5,9}t",
	"x?", "\\d{3}-?\\d{2}",
	"(?(?=c)cat|y)", "(?<w>[ac])\\k<w>", "\\s+t", "\\w+\\s\\w+", "[\xc3\xa0-\xc3\xbf]x",
};

static const char *const bit[] = {
	"a", "c", "t", "s", "x", "y", " ", "\n", "\r\n", "cat", "at", "\xc3\xa9", "e\xcc\x81", "1", "23-", "A", "Ca",
	"\xf0\x9f\x98\x80", "aaa",
};

static void
random_text(struct buf *b, uint32_t most)
{
	buf_reset(b);
	for (uint32_t n = draw(most); n > 0; n--)
		buf_add(b, str_of(bit[draw(sizeof(bit) / sizeof(bit[0]))]));
}

/* What PCRE2 says of the whole text, from one match to the next. */
static void
reference(const pcre2_code *code, str text, struct buf *out)
{
	pcre2_match_data *m = pcre2_match_data_create(1, NULL);
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(m);
	ptrdiff_t at = 0;

	buf_reset(out);
	while (at < text.n && pcre2_match(code, (PCRE2_SPTR)text.p, (PCRE2_SIZE)text.n,
	    (PCRE2_SIZE)at, PCRE2_NOTEMPTY, m, NULL) >= 0) {
		buf_add(out, (str){ text.p + at, (ptrdiff_t)v[0] - at });
		buf_add(out, S("<N>"));
		at = (ptrdiff_t)v[1];
	}
	buf_add(out, (str){ text.p + at, text.n - at });
	pcre2_match_data_free(m);
}

static void
test_patterns(void)
{
	struct buf text = { 0 }, want = { 0 };
	char line[128];
	int bad = 0, found = 0;

	for (size_t i = 0; i < sizeof(tricky) / sizeof(tricky[0]); i++) {
		int error;
		PCRE2_SIZE at;
		pcre2_code *code = pcre2_compile((PCRE2_SPTR)tricky[i], PCRE2_ZERO_TERMINATED,
		    PCRE2_UTF | PCRE2_UCP, &error, &at, NULL);
		struct guards *g;

		snprintf(line, sizeof(line), "both redact pattern /%s/ n", tricky[i]);
		g = rules(line);
		for (int round = 0; round < 200 && g != NULL; round++) {
			struct result a, b;

			random_text(&text, 40);
			reference(code, buf_str(&text), &want);
			a = whole(g, buf_str(&text));
			b = pieces(g, buf_str(&text), 1 + draw(8));
			found += !str_eq(buf_str(&want), buf_str(&text));
			if (!str_eq(buf_str(&a.out), buf_str(&want)) || !same(&a, &b)) {
				printf("# %s: '%.*s'\n", line, STR_ARG(buf_str(&text)));
				bad++;
			}
			result_free(&a);
			result_free(&b);
		}
		bad += g == NULL;
		guards_free(g);
		pcre2_code_free(code);
	}
	ok(bad == 0 && found > 1000, "patterns find what PCRE2 finds in the whole, however it is cut");
	buf_free(&text);
	buf_free(&want);
}

/* ---- all rules ---- */

static const char *const words = "# words\nbad Topic\nslur\n\xc3\xa9toile\nc++\nbad\n";

static struct guards *
all_rules(const char *more)
{
	const char *file = put_file("topics", words);
	char text[2048];

	snprintf(text, sizeof(text), "both redact pii\n# note\n\n"
	    "both redact pattern /\\bsecret[ -]?\\d+/i secret\nboth flag pattern /x+y/\n"
	    "response redact pattern /d[0-9 ]{3,}/ digits\nboth redact words %s\n"
	    "both redact pattern /(?s)<<.*?>>/\n%s", file, more);
	return guards_load(put_file("rules", text), &err);
}

static const char *const part[] = {
	"Write to ", "jane.doe", "@", "mail.acme.com", ", ", "secret ", "12", "3", "Secret-7", "xx", "y", "bad",
	" ", "topic", "Slur", "slurs", "\xc3\x89TOILE", "\xc3\xa9", "d1", " 2 3", "<<", ">>", "stop", " here", "\n",
	"4111 1111", " 1111 1111", "call +1 415 867", "-5309", "c++", "\xff",
	"\xe2\x82", "\xf0\x9f\x98\x80", "password = hunt3rXq9", ".",
};

static void
some_text(struct buf *b, uint32_t most)
{
	buf_reset(b);
	for (uint32_t n = draw(most); n > 0; n--)
		buf_add(b, str_of(part[draw(sizeof(part) / sizeof(part[0]))]));
}

static void
test_cuts(void)
{
	struct guards *g = all_rules("both block pattern /stop\\s+here/ stop\n");
	struct buf text = { 0 };
	int bad = 0, blocked = 0, changed = 0;

	if (g == NULL)
		printf("# %s\n", err.msg);
	for (int round = 0; round < 3000 && g != NULL; round++) {
		struct result a, b;

		some_text(&text, round % 100 == 0 ? 20000 : 60);
		a = whole(g, buf_str(&text));
		b = pieces(g, buf_str(&text), round % 3 == 0 ? 1 : 1 + draw(300));
		bad += !same(&a, &b) || a.ret < 0 || utf8_bad(buf_str(&a.out)) >= 0;
		blocked += a.ret == 1;
		changed += !str_eq(buf_str(&a.out), buf_str(&text));
		result_free(&a);
		result_free(&b);
	}
	ok(bad == 0 && g != NULL, "all kinds of rules: any cutting gives what the whole gives");
	ok(blocked > 100 && blocked < 2900 && changed > 1000, "of which many were changed or blocked");
	buf_free(&text);
	guards_free(g);
}

static void
test_meaning(void)
{
	struct guards *g = all_rules("");
	struct result r;

	ok(g != NULL && becomes(g, "a Secret-12, jane@acme.com!", "a <SECRET>, <EMAIL>!"),
	    "what is redacted is named");
	ok(becomes(g, "A BAD TOPIC, bad topics, \xc3\x89toile c++ c+",
	    "A <TOPICS>, <TOPICS> topics, <TOPICS> <TOPICS> c+"), "words are whole, of any case");
	ok(becomes(g, "secret 1 2 3 x", "<SECRET> 2 3 x") && becomes(g, "d1 secret 12", "d1 <SECRET>"),
	    "from the first place on");
	guards_free(g);
	g = rules("both redact pattern /abc/ one\nboth redact pattern /bcd/ two\n"
	    "both redact pattern /cde/ three\nboth flag pattern /a/ a\nboth block pattern /z/ z\n"
	    "both redact pattern /yzy/ y");
	ok(becomes(g, "-abcde-bcd-", "-<ONE>-<TWO>-"), "what overlaps is hidden to its end");
	ok(becomes(g, "abc yzyabc", "<ONE> <Y>"), "a block in the middle");
	r = whole(g, S("a abc z a abc"));
	buf_byte(&r.verdict, '\0');
	ok(r.ret == 1 && strcmp(r.verdict.p, "[{\"rule\":\"one\",\"action\":\"redact\",\"count\":1},"
	    "{\"rule\":\"a\",\"action\":\"flag\",\"count\":2},"
	    "{\"rule\":\"z\",\"action\":\"block\",\"count\":1,\"blocked\":true}]") == 0,
	    "the verdict counts what came before");
	result_free(&r);
	guards_free(g);
	g = rules("request block pattern /a/\nresponse redact pii email,-phone");
	ok(guards_any(g, GUARD_REQUEST) && guards_any(g, GUARD_RESPONSE) &&
	    !guards_hold(g, GUARD_RESPONSE) && becomes(g, "a jane@acme.com", "a <EMAIL>"),
	    "rules are for their side");
	guards_free(g);
}

/* ---- what is held back ---- */

static void
test_hold(void)
{
	struct guards *g = rules("both block pattern /top secret/i\nboth redact pattern /\\d{4,8}/");
	struct guard_stream *s = guard_stream_new(g, GUARD_RESPONSE, &err);
	struct buf out = { 0 };
	const char *text = "A top-notch topping, then the TOP SECRET";
	int bad = 0;

	guard_stream_write(s, S("Hello, wor"), &out, &err);
	ok(str_eq(buf_str(&out), S("Hello, wor")), "what cannot begin a match is given at once");
	guard_stream_write(s, S("ld to"), &out, &err);
	ok(str_eq(buf_str(&out), S("Hello, world ")), "what can is held");
	guard_stream_write(s, S("y 12"), &out, &err);
	ok(str_eq(buf_str(&out), S("Hello, world toy ")), "until it cannot");
	guard_stream_write(s, S("3 "), &out, &err);
	ok(str_eq(buf_str(&out), S("Hello, world toy 123 ")) &&
	    guard_stream_end(s, &out, &err) == 0 && out.n == 21, "and no longer");
	guard_stream_free(s);
	s = guard_stream_new(g, GUARD_RESPONSE, &err);
	buf_reset(&out);
	for (const char *p = text; *p != '\0'; p++) {
		int ret = guard_stream_write(s, (str){ p, 1 }, &out, &err);

		bad += ret != (p[1] == '\0') || out.n > 30 ||
		    memcmp(out.p, text, (size_t)out.n) != 0;
	}
	ok(bad == 0 && str_eq(buf_str(&out), S("A top-notch topping, then the ")) &&
	    guard_stream_write(s, S("more"), &out, &err) == 1 &&
	    guard_stream_end(s, &out, &err) == 1 && out.n == 30 &&
	    strcmp(guard_stream_blocked(s), "rule-1") == 0,
	    "no byte of what is blocked is given, and nothing after it");
	guard_stream_free(s);
	guards_free(g);
	buf_free(&out);
}

static void
test_window(void)
{
	struct guards *g = rules("both redact pattern /(?s)BEGIN.*?END/ part\nboth redact pattern /q+/ q");
	struct buf text = { 0 };
	struct guard_stream *s = guard_stream_new(g, GUARD_RESPONSE, &err);
	struct buf out = { 0 };
	int bad = 0;
	ptrdiff_t most = 0, given = 0, lag = 0;

	for (int i = 0; i < 60; i++) {
		struct result a, b;
		ptrdiff_t n = GUARD_WINDOW - 20 + i;

		buf_reset(&text);
		buf_add(&text, S("BEGIN"));
		while (text.n < n - 3)
			buf_add(&text, i % 2 != 0 && text.n < n - 4 ? S("\xc3\xa9") : S("-"));
		buf_add(&text, S("END tail"));
		a = whole(g, buf_str(&text));
		b = pieces(g, buf_str(&text), i % 4 == 0 ? 1 : 5000);
		bad += !same(&a, &b) || str_eq(buf_str(&a.out), S("<PART> tail")) != (n <= GUARD_WINDOW);
		result_free(&a);
		result_free(&b);
	}
	ok(bad == 0, "a match is as long as the window and no longer");
	buf_reset(&text);
	for (int i = 0; i < 20000; i++)
		buf_byte(&text, 'q');
	for (ptrdiff_t at = 0; at < text.n; at += 10) {
		guard_stream_write(s, (str){ text.p + at, 10 }, &out, &err);
		most = out.n > most ? out.n : most;
	}
	ok(most > 0 && most == 3 * (20000 / GUARD_WINDOW), "a run without end is taken a window at a time");
	guard_stream_free(s);
	s = guard_stream_new(g, GUARD_RESPONSE, &err);
	for (int i = 0; i < 100000; i++) {
		str piece = i % 200 == 0 ? S("some words BEGIN and more that is never at an end ") :
		    S("some words, and more of them that are at no end at");

		buf_reset(&out);
		bad += guard_stream_write(s, piece, &out, &err);
		given += out.n;
		lag = 50 * (i + 1) - given > lag ? 50 * (i + 1) - given : lag;
	}
	ok(bad == 0 && lag < GUARD_WINDOW + 50 && lag > GUARD_WINDOW / 2, "five megabytes go by with a window held");
	guard_stream_free(s);
	guards_free(g);
	buf_free(&text);
	buf_free(&out);
}

static void
test_steps(void)
{
	struct guards *g = rules("both redact pattern /(a+)+\\d/ slow"), *flag;
	struct result r;
	struct buf text = { 0 };
	double from = progress_now();

	buf_add(&text, S("before "));
	for (int i = 0; i < 3000; i++)
		buf_byte(&text, 'a');
	buf_add(&text, S("! after"));
	r = whole(g, buf_str(&text));
	ok(r.ret == 1 && memmem(r.verdict.p, (size_t)r.verdict.n, "too many steps", 14) != NULL &&
	    progress_now() - from < 10, "a pattern that takes too many steps blocks, soon");
	ok(str_eq(buf_str(&r.out), S("before ")) || r.out.n == 0, "and what came before it is all there is");
	result_free(&r);
	flag = rules("both flag pattern /(a+)+\\d/ slow");
	r = whole(flag, buf_str(&text));
	ok(r.ret == 0 && str_eq(buf_str(&r.out), buf_str(&text)) &&
	    memmem(r.verdict.p, (size_t)r.verdict.n, "too many steps", 14) != NULL,
	    "one that flags is noted");
	result_free(&r);
	guards_free(g);
	guards_free(flag);
	buf_free(&text);
}

/* ---- programs ---- */

static const char *const script = "#!/bin/sh\n"
    "while read -r line; do case $line in\n"
    "*block*) echo '{\"action\":\"block\"}' ;;\n"
    "*other*) echo '{\"text\":\"an \\u00e9\",\"action\":\"replace\"}' ;;\n"
    "*die*) exit 3 ;;\n"
    "*hang*) sleep 100 ;;\n"
    "*junk*) echo 'no JSON' ;;\n"
    "*two*) echo '{\"action\":\"pass\"}\n{\"action\":\"pass\"}' ;;\n"
    "*side:*) case $line in *'\"side\":\"response\"'*) echo '{\"action\":\"pass\"}' ;; esac ;;\n"
    "*pid*) echo '{\"action\":\"replace\",\"text\":\"'$$'\"}' ;;\n"
    "*) echo '{\"action\":\"pass\"}' ;; esac; done\n";

static bool
is_blocked(struct guards *g, const char *text, const char *why)
{
	struct result r = whole(g, str_of(text));
	bool good = r.ret == 1 && r.out.n == 0;

	if (why != NULL)
		good = good && memmem(r.verdict.p, (size_t)r.verdict.n, why, strlen(why)) != NULL;
	if (!good)
		printf("# %s: %d %.*s %.*s\n", text, r.ret, STR_ARG(buf_str(&r.out)),
		    STR_ARG(buf_str(&r.verdict)));
	result_free(&r);
	return good;
}

static void
test_program(void)
{
	char line[256];
	struct guards *g;
	struct result a, b;
	double from;

	put_file("judge", script);
	snprintf(line, sizeof(line), "both redact pii\nboth redact program timeout=1s %s\n", in_dir("judge"));
	g = guards_load(put_file("rules", line), &err);
	ok(g != NULL && guards_hold(g, GUARD_RESPONSE), "a program is started");
	if (g == NULL)
		return;
	ok(becomes(g, "fine jane@acme.com", "fine <EMAIL>") && becomes(g, "other", "an \xc3\xa9") &&
	    is_blocked(g, "do block this", "\"blocked\":true") && becomes(g, "side:", "side:"),
	    "it passes, replaces and blocks");
	a = whole(g, S("pid"));
	b = pieces(g, S("pid"), 1);
	ok(same(&a, &b), "it is kept running, and asked once of a text in pieces");
	result_free(&a);
	ok(is_blocked(g, "die", "has ended") && is_blocked(g, "junk", "\"error\":\"") &&
	    is_blocked(g, "two", "more than one line") && becomes(g, "fine", "fine"),
	    "one that dies or talks nonsense blocks, and is started again");
	a = whole(g, S("pid"));
	ok(!str_eq(buf_str(&a.out), buf_str(&b.out)), "as another process");
	result_free(&a);
	result_free(&b);
	from = progress_now();
	ok(is_blocked(g, "hang", "no answer in 1 seconds") && progress_now() - from < 5 &&
	    becomes(g, "fine", "fine"), "one that takes too long is ended");
	guards_free(g);
	snprintf(line, sizeof(line), "both redact program on-error=pass %s\n", in_dir("judge"));
	g = guards_load(put_file("rules", line), &err);
	ok(becomes(g, "die", "die") && becomes(g, "fine", "fine"), "on-error=pass");
	guards_free(g);
	snprintf(line, sizeof(line), "both block program %s\n", in_dir("judge"));
	g = guards_load(put_file("rules", line), &err);
	ok(is_blocked(g, "other", NULL) && becomes(g, "fine", "fine"), "block: a replacement blocks too");
	guards_free(g);
	snprintf(line, sizeof(line), "both flag program %s\n", in_dir("judge"));
	g = guards_load(put_file("rules", line), &err);
	ok(becomes(g, "block", "block") && becomes(g, "other", "other") && becomes(g, "die", "die"),
	    "flag: nothing changes");
	guards_free(g);
	g = guards_load(put_file("rules", "both flag program /nowhere/at-all\n"), &err);
	ok(g == NULL && strstr(err.msg, "rules:1: /nowhere/at-all: cannot be run") != NULL,
	    "one that is not there is told at the start");
	guards_free(g);
}

/* More than sockets hold goes both ways. */
static void
test_large(void)
{
	static const char *const perl = "#!/usr/bin/perl\n$| = 1;\nwhile (<STDIN>) {\n"
	    "s/\"side\".*\"text\"/\"action\":\"replace\",\"text\"/; s/BODY/body/; print }\n";
	char line[256];
	struct guards *g;
	struct buf text = { 0 };
	struct result r;

	put_file("judge", perl);
	snprintf(line, sizeof(line), "both redact program %s\n", in_dir("judge"));
	g = guards_load(put_file("rules", line), &err);
	while (text.n < 4 << 20)
		buf_add(&text, S("BODY of \"much\" text\n"));
	if (g == NULL)
		printf("# %s\n", err.msg);
	r = whole(g, buf_str(&text));
	ok(r.ret == 0 && r.out.n == text.n && str_starts(buf_str(&r.out), S("body of \"much\"")),
	    "a text of four megabytes goes through a program");
	result_free(&r);
	guards_free(g);
	buf_free(&text);
}

/* ---- files ---- */

static const struct {
	const char *line, *says;
} bad_line[] = {
	{ "\nnever block pii", "rules:2: 'never' is none of request" },
	{ "both kill pii", "rules:1: 'kill' is none of block" },
	{ "both block", "rules:1: '' is none of pattern" },
	{ "both block pattern abc", "rules:1: a pattern stands between slashes" },
	{ "both block pattern /abc", "rules:1: a pattern stands between slashes" },
	{ "both block pattern /a\\/", "rules:1: a pattern stands between slashes" },
	{ "both block pattern //", "rules:1: a pattern of 0 bytes" },
	{ "both block pattern /a(b/", "rules:1: the pattern's byte 3: missing closing" },
	{ "both block pattern /a/q", "rules:1: 'q' are not of the flags" },
	{ "both block pattern /a/i one two", "rules:1: 'two' is too much" },
	{ "both block pattern /a/i <x>", "rules:1: a name has no" },
	{ "both block pattern /\\Ga/", "rules:1: \\G is not" },
	{ "both block pattern /a\\Kb/", "rules:1: \\K is not" },
	{ "both block pattern /(*COMMIT)a/", "rules:1: (* is not" },
	{ "both block pattern /(?<=a{65})b/", "rules:1: a pattern that looks behind 65" },
	{ "both block pii nothing", "rules:1: no kind 'nothing'" },
	{ "both block words", "rules:1: the file of words is missing" },
	{ "both block program timeout=x a", "rules:1: 'x' is not a time" },
	{ "both block program on-error=die a", "rules:1: on-error= is" },
	{ "both block program timeout=1s", "rules:1: the program is missing" },
};

static void
test_files(void)
{
	struct guards *g;
	int bad = 0;

	for (size_t i = 0; i < sizeof(bad_line) / sizeof(bad_line[0]); i++) {
		g = guards_parse(str_of(bad_line[i].line), "rules", &err);
		if (g != NULL || strncmp(err.msg, bad_line[i].says, strlen(bad_line[i].says)) != 0) {
			printf("# %s: %s\n", bad_line[i].line, err.msg);
			bad++;
		}
		guards_free(g);
	}
	ok(bad == 0, "what is wrong is told with its line");
	g = rules("both redact pattern /a\\/ b/x slash\r\nboth redact pattern /\\(\\*/ star");
	ok(becomes(g, "xa/b (*", "x<SLASH> <STAR>"), "a slash in a pattern, CRLF, (* as text");
	guards_free(g);
	g = guards_load(put_file("rules", "both block words /nowhere/words\n"), &err);
	ok(g == NULL && strstr(err.msg, "rules:1: /nowhere/words") != NULL, "words that are not there");
	g = rules("");
	ok(!guards_any(g, GUARD_REQUEST) && becomes(g, "a\xff", "a\xef\xbf\xbd"), "no rules");
	guards_free(g);
}

int
main(void)
{
	static const char *const made[] = { "topics", "rules", "judge" };

	if (mkdtemp(dir) == NULL)
		return 2;
	test_patterns();
	test_meaning();
	test_cuts();
	test_hold();
	test_window();
	test_steps();
	test_program();
	test_large();
	test_files();
	for (int i = 0; i < 3; i++)
		unlink(in_dir(made[i]));
	rmdir(dir);
	return tap_done();
}
