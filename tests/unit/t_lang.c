/* Languages: what lang.h says beyond what the test of llm-lang shows. */
#include <string.h>

#include "../tap.h"
#include "text/lang.h"

static void
test_ranges(void)
{
	ok(lang_within("zh-Hant", S("zh")) && lang_within("zh", S("zh")), "zh has zh-Hant");
	ok(!lang_within("zh", S("zh-Hant")), "zh-Hant has not zh");
	ok(!lang_within("sco", S("sc")) && !lang_within("sc", S("sco")), "sc and sco are two");
	ok(lang_within("und", S("*")), "* has all");
}

static void
test_codes(void)
{
	bool he = false, unique = true;

	for (int i = 0; i < LANG_NUMBERS; i++) {
		const char *code = lang_code(i);

		if (code == NULL)
			continue;
		he |= strcmp(code, "he") == 0;
		unique &= strcmp(code, "iw") != 0 && strcmp(code, LANG_UNKNOWN) != 0;
		for (int k = 0; k < i; k++)
			unique &= lang_code(k) == NULL || strcmp(lang_code(k), code) != 0;
	}
	ok(he, "Hebrew has its code of today");
	ok(unique, "no code is there twice");
	ok(lang_code(LANG_NONE) == NULL && lang_name(LANG_NONE) == NULL, "none is no language");
}

static void
test_detect(void)
{
	const str de = S("Niemand wei\u00df, warum der Zug heute so lange auf der Br\u00fccke steht.");
	struct lang_found f, again;
	struct err err = { 0 };

	ok(lang_detect(de, false, LANG_NONE, &f, &err) == 0 && f.n == 1 && f.reliable &&
	    strcmp(f.top[0].code, "de") == 0, "German");
	ok(lang_score(&f) == f.top[0].percent / 100.0, "the score is its share");
	ok(f.letters > 50 && f.letters <= de.n + 2, "of its letters");
	lang_detect(de, false, LANG_NONE, &again, &err);
	ok(memcmp(&f, &again, sizeof(f)) == 0, "the same again");
	f.reliable = false;
	ok(lang_score(&f) == f.top[0].percent / 200.0, "half where it is not reliable");
	ok(lang_detect(S(""), false, LANG_NONE, &f, &err) == 0 && f.n == 0 &&
	    f.top[0].number == LANG_NONE && lang_score(&f) == 0, "no text has no language");
	ok(lang_detect(S("Brot"), false, LANG_NONE, &f, &err) == 0 && f.n == 0,
	    "nor has a word");
	ok(lang_detect(S("hello"), true, LANG_NONE, &f, &err) == 0 && f.n > 0,
	    "unless it may be guessed");
	ok(lang_detect(S("a\0b <p>\x01"), false, LANG_NONE, &f, &err) == 0 && f.n == 0,
	    "a zero byte is a character");
}

static void
test_alike(void)
{
	int cs = -1, sk = -1, de = -1;

	for (int i = 0; i < LANG_NUMBERS; i++) {
		const char *code = lang_code(i) != NULL ? lang_code(i) : "";

		cs = strcmp(code, "cs") == 0 ? i : cs;
		sk = strcmp(code, "sk") == 0 ? i : sk;
		de = strcmp(code, "de") == 0 ? i : de;
	}
	ok(lang_alike(cs, sk) && lang_alike(de, de) && !lang_alike(cs, de), "cs is like sk");
}

int
main(void)
{
	struct err err = { 0 };

	if (lang_check(&err) < 0) {
		printf("1..0 # SKIP %s\n", err.msg);
		return 0;
	}
	test_ranges();
	test_codes();
	test_detect();
	test_alike();
	return tap_done();
}
