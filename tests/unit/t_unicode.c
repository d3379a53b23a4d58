#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/rng.h"
#include "text/unicode.h"

#include "../tap.h"

/* The normal form by utf8proc's own whole-string function. */
static char *
reference(str s, enum uni_form form, ptrdiff_t *n)
{
	utf8proc_uint8_t *out = NULL;
	int options = UTF8PROC_STABLE | UTF8PROC_COMPOSE |
	    (form == UNI_NFKC ? UTF8PROC_COMPAT : 0);

	*n = utf8proc_map((const utf8proc_uint8_t *)s.p, s.n, &out, options);
	return (char *)out;
}

static bool
agrees(str s, enum uni_form form)
{
	struct buf b = { 0 };
	struct err err = { 0 };
	ptrdiff_t n;
	char *want = reference(s, form, &n);
	int got = uni_normalize(&b, s, form, &err);
	str is = got == 1 ? buf_str(&b) : s, should = { want, n };
	bool same = got >= 0 && str_eq(is, should) && (got == 0) == str_eq(s, should) &&
	    (got == 1 || b.n == 0);

	free(want);
	buf_free(&b);
	return same;
}

static void
test_code_points(void)
{
	int bad_round = 0, bad_prev = 0, bad_nfc = 0, bad_nfkc = 0;

	for (int32_t c = 1; c <= 0x10ffff; c++) {
		char p[4];
		const char *at = p;
		str s;

		if (c >= 0xd800 && c < 0xe000)
			continue;
		s = (str){ p, utf8_put(p, c) };
		bad_round += utf8_next(&at, p + s.n) != c || at != p + s.n;
		bad_prev += utf8_prev(p, &at) != c || at != p;
		bad_nfc += !agrees(s, UNI_NFC);
		bad_nfkc += !agrees(s, UNI_NFKC);
	}
	ok(bad_round == 0, "every code point is written and read back");
	ok(bad_prev == 0, "and read backwards");
	ok(bad_nfc == 0, "NFC of every code point is utf8proc's");
	ok(bad_nfkc == 0, "NFKC of every code point is utf8proc's");
}

/* Characters that meet in all the hard cases. */
static const int32_t pool[] = {
	'a', 'e', 'A', ' ', '\n', 0xe9, 0xc5, 0x300, 0x301, 0x308, 0x30a, 0x315, 0x316, 0x323,
	0x327, 0x344, 0x345, 0x3b1, 0x1100, 0x1161, 0x11a8, 0xac00, 0xac01, 0x212b, 0x2126,
	0x958, 0x93c, 0x915, 0x9c7, 0x9be, 0xdd9, 0xdcf, 0xf71, 0xf72, 0xf73, 0xfb01, 0xfdfa,
	0x1d15e, 0x2f800, 0xfb1d, 0x5b4, 0x591, 0xa0, 0xa8, 0x2026, 0x1ea1, 0x1e69, 0x65e5,
};
#define NPOOL ((int)(sizeof(pool) / sizeof(pool[0])))

static void
test_strings(void)
{
	int bad = 0;

	for (uint64_t i = 0; i < 60000; i++) {
		char text[64];
		ptrdiff_t n = 0;
		int len = (int)rng_below(1, 0, i, 10);

		for (int k = 0; k < len; k++)
			n += utf8_put(text + n,
			    pool[rng_below(2, i, (uint64_t)k, NPOOL)]);
		bad += !agrees((str){ text, n }, UNI_NFC);
		bad += !agrees((str){ text, n }, UNI_NFKC);
	}
	ok(bad == 0, "random strings of hard characters agree with utf8proc");
}

static void
test_many_marks(void)
{
	struct buf in = { 0 }, out = { 0 };
	struct err err = { 0 };

	buf_byte(&in, 'x');
	for (int i = 0; i < 200000; i++)
		buf_add(&in, i % 2 ? S("\xcc\xa3") : S("\xcc\x81"));
	ok(uni_normalize(&out, buf_str(&in), UNI_NFC, &err) == 1, "200,000 marks are ordered");
	ok(out.n == in.n && memcmp(out.p + 1, "\xcc\xa3\xcc\xa3", 4) == 0,
	    "the lower ones first");
	buf_free(&in);
	buf_free(&out);
}

static void
test_broken(void)
{
	static const char *const bad[] = { "\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xff",
	    "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe0\x80\x80" };
	int wrong = 0;

	for (int i = 0; i < (int)(sizeof(bad) / sizeof(bad[0])); i++) {
		size_t n = strlen(bad[i]);
		char *copy = malloc(n);		/* so that a sanitizer sees overreads */
		const char *p = copy, *end = copy + n;

		memcpy(copy, bad[i], n);
		wrong += utf8_next(&p, end) != 0xfffd || p != copy + 1;
		wrong += utf8_prev(copy, &end) != 0xfffd;
		free(copy);
	}
	ok(wrong == 0, "broken bytes are U+FFFD, one by one");
}

int
main(void)
{
	int odd = 0;

	test_code_points();
	test_strings();
	test_many_marks();
	test_broken();
	ok(utf8_count(S("")) == 0, "no characters");
	ok(utf8_count(S("na\xc3\xafve \xe2\x80\x9c\xf0\x9f\x98\x80\xe2\x80\x9d "
	    "abcdefghijklmnopqrstuvwxyz")) == 36, "characters are counted");
	ok(str_eq(uni_trim(S(" \t\xc2\xa0 a b\xe3\x80\x80\n\x1c")), S("a b")), "trimmed");
	ok(uni_trim(S(" \n ")).n == 0, "nothing is left of spaces");
	ok(ascii_span(S("0123456789abcdefghij\xc3\xa9")) == 20, "the ASCII part");
	ok((uni_class('.') & UNI_TERMINAL) && (uni_class(0x3002) & UNI_TERMINAL) &&
	    uni_class(0x1d2) == (UNI_LETTER | UNI_LOWER) && uni_class(0x65e5) ==
	    (UNI_LETTER | UNI_LOWER | UNI_UPPER) && uni_class(0xa0) == UNI_SPACE &&
	    uni_class(0x20ac) == UNI_CURRENCY && uni_class(0x2028) == (UNI_SPACE | UNI_LINE) &&
	    uni_class(-1) == 0, "classes");
	for (int32_t c = 0; c < 0x80; c++)
		if (uni_ascii[c] != uni_class_of(c))
			printf("# %x\n", (unsigned)c), odd++;
	ok(odd == 0, "those of ASCII are utf8proc's");
	return tap_done();
}
