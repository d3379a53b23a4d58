#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/rng.h"
#include "text/normalize.h"

#include "../tap.h"

static bool
gives(const char *in, const char *want)
{
	struct normalizer z = { .form = UNI_NFC };
	struct err err = { 0 };
	str out, again;
	int got = text_normalize(&z, str_of(in), &out, &err);
	bool same = got >= 0 && str_eq(out, str_of(want)) && got == (strcmp(in, want) != 0);
	struct normalizer y = { .form = UNI_NFC };

	if (!same)
		printf("# got '%.*s'\n", STR_ARG(out));
	same &= text_normalize(&y, out, &again, &err) == 0;
	normalizer_free(&z);
	normalizer_free(&y);
	return same;
}

static void
test_tidy(void)
{
	ok(gives("", ""), "empty");
	ok(gives("plain text\nsecond line\n", "plain text\nsecond line\n"), "plain text stays");
	ok(gives("a\r\nb\rc\fd\ve\xe2\x80\xa8" "f\xe2\x80\xa9g", "a\nb\nc\nd\ne\nf\n\ng"),
	    "line endings");
	ok(gives("a\x01" "b\x7f" "c\x1b" "d", "abcd"), "controls go");
	ok(gives("\x1b[1;31mred\x1b[0m text", "red text"), "terminal escapes go");
	ok(gives("a   b\t\tc\td", "a b c\td"), "runs of blanks are one, a tab stays");
	ok(gives("    if x:\n\treturn  1\n", "    if x:\n\treturn 1\n"), "indentation stays");
	ok(gives("a \nb\t\n", "a\nb\n"), "blanks at line ends go");
	ok(gives("\n\n  \na\n\n\n \n\n  b\n\n\n", "a\n\n  b\n"), "blank lines are folded");
	ok(gives("  \n", ""), "nothing but blanks");
	ok(gives("a\xc2\xa0" "b\xe3\x80\x80\xe3\x80\x80" "c", "a b c"), "Unicode's blanks");
	ok(gives("\xef\xbb\xbf" "bom", "bom"), "byte order mark");
	ok(gives("hy\xc2\xadphen zero\xe2\x80\x8bwidth", "hyphen zerowidth"),
	    "soft hyphen, zero width space");
	ok(gives("\xd9\x85\xe2\x80\x8c\xd9\x85", "\xd9\x85\xe2\x80\x8c\xd9\x85"), "ZWNJ stays");
	ok(gives("it\xc2\x92s \xc2\x81", "it\xe2\x80\x99s"), "C1 controls are CP1252's");
	ok(gives("e\xe2\x80\x8b\xcc\x81", "\xc3\xa9"), "a mark finds its letter");
}

static void
test_long(void)
{
	int wrong = 0;

	/* Each fault at every place of several blocks, and none beside it. */
	for (int at = 1; at < 200; at++) {
		char in[256], want[256];

		memset(in, 'x', sizeof(in));
		in[220] = '\0';
		memcpy(want, in, sizeof(in));
		wrong += !gives(in, want);
		in[at] = in[at + 1] = ' ';
		want[at] = ' ';
		memmove(want + at + 1, in + at + 2, 220 - (size_t)at - 1);
		wrong += !gives(in, want);
		memcpy(want, in, sizeof(in));
		in[at - 1] = want[at - 1] = '\n';
		if (at > 1)
			wrong += !gives(in, want);
		in[at] = '\x02';
		in[at - 1] = 'x';
		memcpy(want, in, (size_t)at);
		memmove(want + at, in + at + 1, 220 - (size_t)at);
		wrong += !gives(in, want);
	}
	ok(wrong == 0, "faults are found wherever they are");
}

static void
test_mojibake(void)
{
	ok(gives("caf\u00c3\u00a9", "caf\u00e9"), "a letter");
	ok(gives("it\u00e2\u20ac\u2122s", "it\u2019s"), "an apostrophe");
	ok(gives("\u00e2\u20ac\u0153quoted\u00e2\u20ac\xc2\x9d", "\u201cquoted\u201d"), "quotes");
	ok(gives("5 \u00e2\u201a\u00ac \u00c2\u00a9", "5 \u20ac \u00a9"), "signs");
	ok(gives("\u00f0\u0178\u02dc\u20ac", "\U0001f600"), "an emoji");
	ok(gives("\u00d0\u00bf\u00d1\u20ac\u00d0\u00b8", "\u043f\u0440\u0438"), "Cyrillic");
	ok(gives("wi\u00c4\u2122c", "wi\u0119c"), "inside a word");
	ok(gives("caf\u00c3\u0192\u00c2\u00a9", "caf\u00e9"), "twice");
	ok(gives("CAF\u00c9\u2019S", "CAF\u00c9\u2019S"), "a capital and an apostrophe stay");
	ok(gives("NESTL\u00c9\u2122", "NESTL\u00c9\u2122"), "a capital and a sign stay");
	ok(gives("entit\u00e9\u2026\u201d", "entit\u00e9\u2026\u201d"), "ellipsis and quote stay");
	ok(gives("\u00abvoil\u00e0\u00bb \u2013 \u00e7a", "\u00abvoil\u00e0\u00bb \u2013 \u00e7a"),
	    "French stays");
	ok(gives("N\u00c3O \u00c2ngelo", "N\u00c3O \u00c2ngelo"), "Portuguese stays");
	ok(gives("M\u00c3\u2013NSTER", "M\u00d6NSTER"), "among capitals");
	ok(gives("AMANH\u00c3\u2014HOJE", "AMANH\u00c3\u2014HOJE"), "a dash among them stays");
	ok(gives("kurulmu\u00c5\u0178", "kurulmu\u015f"), "a capital behind a small letter");
	ok(gives("Spa\u00df\u201c", "Spa\u00df\u201c"), "German stays");
	ok(gives("3m\u00d7\u00bd", "3m\u00d7\u00bd"), "a product stays");
	ok(gives("IRM\u00c3\u201d", "IRM\u00c3\u201d"), "a capital and a quote stay");
	ok(gives("h\u00e2l\u00e2\u2026\u201d", "h\u00e2l\u00e2\u2026\u201d"), "Turkish stays");
	ok(gives("D\u00c3\u00a9tecter", "D\u00e9tecter"), "behind a capital");
	ok(gives("CAF\u00c9\u2019S, CAF\u00c9\u2019S, CAF\u00c9\u2019S, NESTL\u00c9\u2122",
	    "CAF\u00c9\u2019S, CAF\u00c9\u2019S, CAF\u00c9\u2019S, NESTL\u00c9\u2122"),
	    "however often they are there");
	ok(gives("entit\u00e9\u2026\u201d t\u00e9\u2026\u201d l\u00e9\u2026\u201d",
	    "entit\u00e9\u2026\u201d t\u00e9\u2026\u201d l\u00e9\u2026\u201d"), "these too");
	ok(gives("\u0420\u0457\u0421\u0402\u0420\u0451\u0420\u0406\u0420\u00b5\u0421\u201a",
	    "\u043f\u0440\u0438\u0432\u0435\u0442"), "CP1251");
	ok(gives("\u251c\u00a9 d\u251c\u2310j\u251c\u00e1", "\u251c\u00a9 d\u251c\u2310j\u251c\u00e1"),
	    "CP437 that is none");
	ok(gives("d\u251c\u2310j\u251c\u00e1 vu", "d\u00e9j\u00e0 vu"), "CP437");
	ok(gives("\u251c\u2500\u2500 a\n\u2514\u2500\u2500 b", "\u251c\u2500\u2500 a\n\u2514\u2500\u2500 b"),
	    "boxes stay");
	ok(gives("ce qui est d\u00c3\u00a9j\u00c3 vu \u00c3\u00a9t\u00c3\u00a9",
	    "ce qui est d\u00e9j\u00e0 vu \u00e9t\u00e9"),
	    "a space that was no space");
	ok(gives("l\u00c3\u00a9 d\u00c3\u00a9 \u00e2\u20ac\u0153x\u00e2\u20ac\ufffd",
	    "l\u00e9 d\u00e9 \u201cx\ufffd"),
	    "a byte that was lost");
}

static void
test_entities(void)
{
	ok(gives("caf&eacute; &amp; th&#233; &#x4e2d; &nbsp;.", "caf\u00e9 & th\u00e9 \u4e2d ."),
	    "entities");
	ok(gives("&amp;lt;p", "<p"), "twice");
	ok(gives("<b>&eacute;</b>", "<b>&eacute;</b>"), "in markup they stay");
	ok(gives("AT&T; &nothing; & &#; a&b", "AT&T; &nothing; & &#; a&b"), "what is none stays");
	ok(gives("&#0;&#xd800;&#99999999;", "\ufffd\ufffd\ufffd"), "numbers of no character");
}

static void
test_idempotent(void)
{
	static const int32_t pool[] = { 'a', 'b', 'A', ' ', ' ', '\n', '\n', '\t', '\r', 1, 0x1b,
	    '[', 'm', 0xc3, 0xc2, 0xa9, 0xad, 0xe2, 0x20ac, 0x2122, 0x92, 0x80, 0x85, 0xa0, 0xe9,
	    0x301, 0x200b, 0xfeff, '&', ';', '#', 0x251c, 0xfffd, 0x420, 0x457, 0x2028,
	    0x3000, 0xfb01, 0x2026, 0x178, 0xf0, 0x1f600, 0xa8 };
	int wrong = 0, broken = 0;

	for (uint64_t i = 0; i < 100000; i++) {
		struct normalizer z = { .form = i % 3 }, y = { .form = i % 3 };
		struct err err = { 0 };
		char text[64];
		ptrdiff_t n = 0;
		int len = (int)rng_below(1, 0, i, 14);
		str one, two;

		for (int k = 0; k < len; k++)
			n += utf8_put(text + n, pool[rng_below(2, i, (uint64_t)k,
			    sizeof(pool) / sizeof(pool[0]))]);
		text_normalize(&z, (str){ text, n }, &one, &err);
		wrong += text_normalize(&y, one, &two, &err) != 0;
		broken += utf8_bad(one) >= 0;
		normalizer_free(&z);
		normalizer_free(&y);
	}
	ok(wrong == 0, "normalizing twice is normalizing once, in all forms");
	ok(broken == 0, "and gives UTF-8");
}

int
main(void)
{
	test_tidy();
	test_long();
	test_mojibake();
	test_entities();
	test_idempotent();
	return tap_done();
}
