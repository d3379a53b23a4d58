/*
 * The scanner against jansson on random documents and on damaged ones, the
 * instruction sets against each other, and cases written by hand.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/json_simd.h"
#include "base/rng.h"
#include "../tap.h"

static uint64_t draws;

static int
below(int n)
{
	return (int)rng_below(7, 1, draws++, (uint64_t)n);
}

/* ---- random documents ---- */

static void
random_string(struct buf *b)
{
	static const char *const piece[] = {
		"a", "word ", "\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00", "\\t",
		"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "0123456789abcdef", "{", "]",
		"\x7f", "\\u0000", "\xef\xbf\xbf",
	};
	int n = below(5) == 0 ? below(60) : below(6);

	buf_byte(b, '"');
	for (int i = 0; i < n; i++)
		buf_add(b, str_of(piece[below((int)(sizeof(piece) / sizeof(*piece)))]));
	buf_byte(b, '"');
}

static void
random_space(struct buf *b)
{
	static const char *const space[] = { "", "", "", " ", "\t", "\r\n", "  " };

	buf_add(b, str_of(space[below(7)]));
}

static void
random_value(struct buf *b, int depth)
{
	static const char *const plain[] = {
		"0", "-1", "3.25", "1e5", "-0.5E-3", "true", "false", "null", "{}", "[]", "[ ]",
		"12345678", "2E+2", "{ }",
	};
	int kind = below(depth > 4 ? 2 : 4), n = below(4);
	bool object = kind == 2;

	random_space(b);
	if (kind == 0) {
		buf_add(b, str_of(plain[below(14)]));
	} else if (kind == 1) {
		random_string(b);
	} else {
		buf_byte(b, object ? '{' : '[');
		for (int i = 0; i < n; i++) {
			if (i > 0)
				buf_byte(b, ',');
			random_space(b);
			if (object) {
				buf_fmt(b, "\"k%d\"", below(8));
				random_space(b);
				buf_byte(b, ':');
			}
			random_value(b, depth + 1);
		}
		random_space(b);
		buf_byte(b, object ? '}' : ']');
	}
	random_space(b);
}

static void
random_object(struct buf *b)
{
	int n = below(6);

	buf_reset(b);
	buf_byte(b, '{');
	for (int i = 0; i < n; i++) {
		static const char *const key[] = { "text", "id", "k", "t\\u0065xt", "\xc3\xa9" };

		if (i > 0)
			buf_byte(b, ',');
		random_space(b);
		buf_fmt(b, "\"%s\":", key[below(5)]);
		random_value(b, 0);
	}
	buf_byte(b, '}');
}

static void
damage(struct buf *b)
{
	static const char bytes[] = "\"\\{}[],:0e.-+ \n\x01\x80\xc3\xed\xa0\xf4\xffntu";
	int at = below((int)b->n);

	switch (below(3)) {
	case 0:
		b->p[at] = bytes[below((int)sizeof(bytes) - 1)];
		break;
	case 1:
		memmove(b->p + at, b->p + at + 1, (size_t)(b->n - at - 1));
		b->n--;
		break;
	case 2:
		b->n = at;
		break;
	}
}

/* Are the members of a member the same, whether they are found together with it or alone? */
static bool
same_inside(str object, str name, str value)
{
	const str key[] = { S("k1"), S("k2"), S("k3") };
	struct json_member one, in[3], alone[3];
	const struct json_find outer = { &name, 1, &one }, inner = { key, 3, in };
	struct err err;

	if (json_scan_in(object, &outer, &name, &inner, &err) < 0 ||
	    json_scan(value, key, 3, alone, &err) < 0 || !str_eq(one.value, value))
		return false;
	for (int i = 0; i < 3; i++)
		if (in[i].value.p != alone[i].value.p || in[i].value.n != alone[i].value.n)
			return false;
	return true;
}

/* Does every member that we see have the value that jansson sees last? */
static bool
same_strings(str object, json_t *doc)
{
	struct json_member m, checked;
	struct err err;
	struct buf b = { 0 }, key = { 0 };
	ptrdiff_t at = 0, walk = 1;
	bool same = true;
	int got;

	while (object.p[walk - 1] != '{')
		walk++;
	while ((got = json_next(object, &at, &m, &err)) > 0) {
		str text, found;
		char name[64];
		json_t *want;
		struct json_member last;

		key.n = 0;
		buf_add(&key, m.key);
		key.n = json_unescape(key.p, m.key);
		snprintf(name, sizeof(name), "%.*s", (int)key.n, key.p);
		want = json_object_get(doc, name);
		found = str_of(name);
		if (want == NULL || json_scan(object, &found, 1, &last, &err) < 0 ||
		    last.value.p == NULL || !json_member(object, &walk, &checked) ||
		    !str_eq(checked.key, m.key) || !str_eq(checked.value, m.value) ||
		    (last.value.p[0] == '{' && !same_inside(object, found, last.value))) {
			same = false;
			break;
		}
		if (json_is_string(want) && (json_text(last.value, &b, &text, &err) < 0 ||
		    !str_eq(text, (str){ json_string_value(want),
		    (ptrdiff_t)json_string_length(want) })))
			same = false;
		if (json_is_string(want) != (last.value.p[0] == '"'))
			same = false;
	}
	buf_free(&b);
	buf_free(&key);
	return same && got == 0 && !json_member(object, &walk, &checked);
}

/* What jansson refuses for reasons of its own: lone surrogates, NUL in keys, overflow. */
static bool
own_reason(const json_error_t *why)
{
	return strstr(why->text, "Unicode") != NULL || strstr(why->text, "NUL") != NULL ||
	    strstr(why->text, "overflow") != NULL || strstr(why->text, "too big") != NULL ||
	    strstr(why->text, "too small") != NULL;
}

static void
against_jansson(void)
{
	struct buf b = { 0 };
	int differ = 0, good = 0, bad = 0;

	for (int i = 0; i < 20000; i++) {
		json_error_t why;
		json_t *doc;
		struct err err = { 0 };
		struct json_member m;
		ptrdiff_t at = 0;
		int got;
		char *exact;

		random_object(&b);
		for (int k = below(3); k > 0 && b.n > 1; k--)
			damage(&b);
		/* Exactly so many bytes, that ASan sees a read past the end. */
		exact = malloc((size_t)b.n + 1);
		memcpy(exact, b.p, (size_t)b.n);
		exact = realloc(exact, b.n > 0 ? (size_t)b.n : 1);
		while ((got = json_next((str){ exact, b.n }, &at, &m, &err)) > 0)
			;
		doc = json_loadb(b.p, (size_t)b.n, JSON_ALLOW_NUL, &why);
		if (doc == NULL && own_reason(&why)) {
			free(exact);
			continue;
		}
		if ((got == 0) != (doc != NULL && json_is_object(doc)) ||
		    (got == 0 && !same_strings((str){ exact, b.n }, doc))) {
			if (differ++ < 5)
				printf("# we say %d (%s), jansson %s: %.*s\n", got, err.msg,
				    doc != NULL ? "good" : why.text, (int)b.n, b.p);
		}
		good += got == 0;
		bad += got < 0;
		json_decref(doc);
		free(exact);
	}
	printf("# %d good, %d bad\n", good, bad);
	ok(good > 4000 && bad > 4000, "random documents are of both kinds");
	ok(differ == 0, "20000 random and damaged documents, as jansson reads them");
	buf_free(&b);
}

/* ---- instruction sets ---- */

static bool
same_tables(const struct json_simd *a, const struct json_simd *b)
{
	struct buf doc = { 0 };
	char to[2][8192];
	bool same = true;

	for (int i = 0; i < 5000 && same; i++) {
		struct json_fault f[2] = { { 0, "" }, { 0, "" } };
		ptrdiff_t x, y;

		random_object(&doc);
		if (below(2) == 0)
			damage(&doc);
		if (doc.n > 8000)
			continue;
		x = a->value(doc.p, 0, doc.n, &f[0]);
		y = b->value(doc.p, 0, doc.n, &f[1]);
		same = x == y && (x >= 0 || (f[0].at == f[1].at &&
		    strcmp(f[0].why, f[1].why) == 0));
		same = same && a->utf8(doc.p, 0, doc.n) == b->utf8(doc.p, 0, doc.n);
		x = a->plain(to[0], doc.p + 1, doc.n - 1);
		y = b->plain(to[1], doc.p + 1, doc.n - 1);
		same = same && x == y && (x <= 0 || memcmp(to[0], to[1], (size_t)x) == 0);
		same = same && a->lines(doc.p, doc.n) == b->lines(doc.p, doc.n);
	}
	buf_free(&doc);
	return same;
}

/* ---- UTF-8, all of it ---- */

static bool
naive_utf8(const unsigned char *s, int n)
{
	for (int i = 0; i < n; ) {
		int len = s[i] < 0x80 ? 1 : s[i] < 0xc0 ? 0 : s[i] < 0xe0 ? 2 : s[i] < 0xf0 ? 3 :
		    s[i] < 0xf8 ? 4 : 0;
		static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
		uint32_t c;

		if (len == 0 || i + len > n)
			return false;
		c = len == 1 ? s[i] : s[i] & (0xffu >> (len + 1));
		for (int k = 1; k < len; k++) {
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (s[i + k] & 0x3f);
		}
		if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return false;
		i += len;
	}
	return true;
}

static void
all_utf8(void)
{
	static const unsigned char tail[] = {
		0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xff,
	};
	unsigned char s[192];
	int differ = 0;

	/* At the end of a block, across one, and behind other characters. */
	for (int place = 0; place < 3; place++) {
		int at = place == 0 ? 0 : place == 1 ? 62 : 127;

		for (int a = 0x80; a < 256; a++)
			for (int b = 0; b < 256; b++)
				for (size_t c = 0; c < sizeof(tail) * sizeof(tail); c++) {
					unsigned char q[4] = { (unsigned char)a, (unsigned char)b,
					    tail[c / sizeof(tail)], tail[c % sizeof(tail)] };
					int n = place == 2 ? 131 : 192;

					memset(s, 'x', sizeof(s));
					if (place == 2)
						memcpy(s + 3, "\xe2\x82\xac", 3);
					memcpy(s + at, q, 4);
					differ += (utf8_bad((str){ (char *)s, n }) < 0) !=
					    naive_utf8(s, n);
				}
	}
	ok(differ == 0, "UTF-8: every pair of bytes with all kinds of tails, at three places");
	ok(utf8_bad(S("abc\xff")) == 3, "the offset is that of the first bad byte");
	ok(utf8_bad(S("\xe2\x82\xac\xe2\x82")) == 3, "a character cut short is bad where it begins");
	ok(utf8_bad((str){ NULL, 0 }) == -1, "no bytes are good");
}

/* Random characters, some damaged, from random places on: the offset too. */
static bool
random_utf8(const struct json_simd *simd)
{
	static const char *const some[] = { "a", "b c", "\xc3\xa9", "\xd0\xb6", "\xe2\x82\xac",
		"\xe6\x97\xa5", "\xef\xbf\xbf", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf" };
	struct buf b = { 0 };
	bool same = true;

	for (int i = 0; i < 20000 && same; i++) {
		int n = below(200), latin = below(3), from, want;

		buf_reset(&b);
		for (int k = 0; k < n; k++)
			buf_add(&b, str_of(some[below(latin == 0 ? 9 : latin == 1 ? 4 : 2)]));
		from = (int)b.n;
		for (int k = below(3); k > 0 && b.n > 0; k--)
			b.p[below((int)b.n)] = (char)(0x70 + below(144));
		from = from > 0 ? below(from < 70 ? from : 70) : 0;
		/* The longest part that is good, cut where it goes bad. */
		for (want = from; want < b.n; want++) {
			int len = 1;

			while (len <= 4 && want + len <= b.n &&
			    !naive_utf8((unsigned char *)b.p + want, len))
				len++;
			if (len > 4 || want + len > b.n)
				break;
			want += len - 1;
		}
		same = simd->utf8(b.p, from, b.n) == want;
	}
	buf_free(&b);
	return same;
}

/* ---- strings of several blocks, with escapes anywhere ---- */

/* The end of the string at s[0], or minus where it is broken, and its text but for \u. */
static ptrdiff_t
naive_string(const char *s, ptrdiff_t n, struct buf *text)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

	buf_reset(text);
	for (ptrdiff_t i = 1; i < n; i++) {
		const char *at;

		if (s[i] == '"')
			return i + 1;
		if ((unsigned char)s[i] < ' ')
			return -i;
		if (s[i] != '\\') {
			buf_byte(text, s[i]);
			continue;
		}
		if (i + 1 == n)
			return -i;
		if ((at = strchr(from, s[i + 1])) != NULL && *at != '\0') {
			buf_byte(text, to[at - from]);
			i++;
			continue;
		}
		if (s[i + 1] != 'u' || n - i < 6 ||
		    strspn(s + i + 2, "0123456789abcdefABCDEF") < 4)
			return -i;
		buf_add(text, (str){ s + i, 6 });
		i += 5;
	}
	return -n;
}

/* The text by a table's functions, with \u left as it is. */
static void
unescape(const struct json_simd *simd, str s, struct buf *text)
{
	char *p;

	buf_reset(text);
	p = buf_room(text, s.n);
	for (ptrdiff_t i = 0; p != NULL; i += 6) {
		i += simd->unescape(&p, s.p + i, s.n - i);
		if (i >= s.n)
			break;
		memcpy(p, s.p + i, 6);
		p += 6;
	}
	text->n = p - text->p;
}

static bool
long_strings(const struct json_simd *simd)
{
	static const char odd[] = "\\\\\\\"nu/tbfrx00aF \x1f\xc3";
	struct buf doc = { 0 }, want = { 0 }, got = { 0 };
	bool same = true;
	int whole = 0;

	for (int i = 0; i < 20000 && same; i++) {
		int n = below(400), dense = below(3), sound = below(4);
		struct json_fault f = { 0, "" };
		ptrdiff_t end, x;

		buf_reset(&doc);
		buf_byte(&doc, '"');
		while (doc.n < n)
			if (sound == 0 && below(3) < dense)
				buf_byte(&doc, odd[below((int)sizeof(odd) - 1)]);
			else if (below(8) < 2 * dense)
				buf_add(&doc, below(9) == 0 ? S("\\uF0a9") : below(2) ? S("\\n") :
				    S("\\\\"));
			else
				buf_byte(&doc, 'a');
		buf_add(&doc, S("\" : \"\\ \""));
		doc.n -= below(10);
		end = naive_string(doc.p, doc.n, &want);
		x = simd->value(doc.p, 0, doc.n, &f);
		same = end > 0 ? x == end : x < 0 && f.at == -end;
		if (!same || x < 0)
			continue;
		whole++;
		unescape(simd, (str){ doc.p + 1, x - 2 }, &got);
		same = str_eq(buf_str(&got), buf_str(&want));
	}
	buf_free(&doc);
	buf_free(&want);
	buf_free(&got);
	return same && whole > 5000 && whole < 19000;
}

static void
instruction_sets(void)
{
	ok(random_utf8(&json_simd_base), "random UTF-8, base");
	ok(random_utf8(json_simd()), "random UTF-8, the best instruction set");
	ok(long_strings(&json_simd_base), "long strings, base");
	ok(long_strings(json_simd()), "long strings, the best instruction set");
	ok(same_tables(&json_simd_base, json_simd()), "base and the best instruction set agree");
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		ok(same_tables(&json_simd_base, &json_simd_avx2) &&
		    random_utf8(&json_simd_avx2) && long_strings(&json_simd_avx2), "avx2 too");
#endif
}

/* ---- by hand ---- */

struct one {
	const char	*json, *what;
};

static const struct one good[] = {
	{ "{}", "empty" }, { " { } ", "space around" }, { "{\"a\":1}", "one member" },
	{ "{\"\":\"\"}", "empty key and string" }, { "{\"a\":[[],{}]}", "empty ones inside" },
	{ "{\"a\":-0}", "minus zero" }, { "{\"a\":0.0e-00}", "zeros" },
	{ "{\"a\":1E+2}", "exponent" }, { "{\"a\":\"\\ud800\"}", "a lone surrogate" },
	{ "{\"a\":\"\x7f\"}", "DEL" }, { "{\"a\":\"/\\/\"}", "slashes" },
	{ "{\"a\":1,\"a\":2}", "a key twice" }, { "{\"a\":1e999}", "a number past double" },
	{ "{\"a\":123456789012345678901234567890}", "a long integer" },
	{ "\t{\r\"a\"\n:\t[ 1 , 2 ]\r}\n", "every kind of space" },
};

static const struct one bad[] = {
	{ "", "nothing" }, { "[]", "an array" }, { "1", "a number" }, { "{", "open" },
	{ "{\"a\"}", "no value" }, { "{\"a\":}", "no value after the colon" },
	{ "{\"a\":1,}", "a comma too much" }, { "{,}", "only a comma" },
	{ "{\"a\":1 \"b\":2}", "no comma" }, { "{'a':1}", "single quotes" },
	{ "{a:1}", "no quotes" }, { "{\"a\":1}x", "something after" }, { "{}{}", "two objects" },
	{ "{\"a\":01}", "a leading zero" }, { "{\"a\":1.}", "no digit after the point" },
	{ "{\"a\":.5}", "no digit before the point" }, { "{\"a\":+1}", "a plus" },
	{ "{\"a\":1e}", "no exponent" }, { "{\"a\":--1}", "two minus" }, { "{\"a\":-}", "a minus" },
	{ "{\"a\":0x1}", "hexadecimal" }, { "{\"a\":NaN}", "NaN" }, { "{\"a\":Infinity}", "infinity" },
	{ "{\"a\":True}", "Python's True" }, { "{\"a\":tru}", "a short word" },
	{ "{\"a\":\"\\x\"}", "an unknown escape" }, { "{\"a\":\"\\u12g4\"}", "no hex" },
	{ "{\"a\":\"\\u12", "an escape cut short" }, { "{\"a\":\"b", "an open string" },
	{ "{\"a\":\"\\", "a backslash at the end" }, { "{\"a\":\"\t\"}", "a tab in a string" },
	{ "{\"a\":[1,]}", "a comma too much in an array" }, { "{\"a\":[1}", "brackets crossed" },
	{ "{\"a\":{\"b\":1]}", "braces crossed" }, { "{\"a\":[", "an open array" },
	{ "{/**/}", "a comment" }, { "{\"a\":1}//", "a comment after" },
	{ "\xef\xbb\xbf{}", "a byte order mark" }, { "{\"a\":\"\xff\"}", "no UTF-8" },
	{ "{\"a\":\"\xed\xa0\x80\"}", "an encoded surrogate" },
	{ "{\"a\":\"\xc0\x80\"}", "an overlong NUL" }, { "{\"a\":\"\xf4\x90\x80\x80\"}", "past U+10FFFF" },
	{ "{\"a\":[1 2]}", "no comma in an array" }, { "{1:2}", "a number as a key" },
	{ "{\"a\" 1}", "no colon" }, { "{\"a\":1\f}", "a form feed" }, { "{\"a\":\xc2\xa0" "1}", "a wide space" },
};

static void
arrays(void)
{
	static const char *const whole[] = { "[1, [2,\"]\"]]", "\"a\\\",]\"", "{\"x\":[ ]}", "-3",
	    "[]", "true" };
	const str list = S("[ [1, [2,\"]\"]],\n\"a\\\",]\" , {\"x\":[ ]},-3,[],true]");
	ptrdiff_t at = 1;
	size_t n = 0;
	str got;

	while (json_element(list, &at, &got) && n < sizeof(whole) / sizeof(*whole) &&
	    str_eq(got, str_of(whole[n])))
		n++;
	ok(n == sizeof(whole) / sizeof(*whole) && !json_element(list, &at, &got) &&
	    at == list.n - 1, "the elements of an array");
	at = 1;
	ok(json_enter(list, &at) && json_element(list, &at, &got) && str_eq(got, S("1")) &&
	    json_enter(list, &at) && json_element(list, &at, &got) && str_eq(got, S("2")) &&
	    (json_leave(list, &at), !json_element(list, &at, &got)) &&
	    (json_leave(list, &at), !json_enter(list, &at)) && json_element(list, &at, &got) &&
	    str_eq(got, str_of(whole[1])), "those of one in it, and what is behind");
}

static void
by_hand(void)
{
	struct json_member m;
	struct err err;
	struct buf b = { 0 };
	const str key[] = { S("a"), S("b") };
	struct json_member two[2];
	str text;
	double x;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		ok(json_scan(str_of(good[i].json), key, 1, &m, &err) == 0, good[i].what);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ok(json_scan(str_of(bad[i].json), key, 1, &m, &err) < 0 &&
		    err.code == ERR_FORMAT, bad[i].what);
	ok(json_scan((str){ "{\"a\":\"x\0y\"}", 11 }, key, 1, &m, &err) < 0, "a NUL byte");
	json_scan(S("{\"a\":1,\"a\":22}"), key, 2, two, &err);
	ok(str_eq(two[0].value, S("22")), "of a key that is there twice the last");
	ok(two[1].value.p == NULL, "a key that is not there");
	json_scan(S("{\"\\u0061\":3}"), key, 1, &m, &err);
	ok(str_eq(m.value, S("3")), "a key written with escapes");
	json_scan(S("{\"x\":{\"a\":1}}"), key, 1, &m, &err);
	ok(m.value.p == NULL, "keys inside values are not ours");
	json_scan_in(S("{\"b\": {\"a\":1} , \"a\":{ \"a\" :2,\"c\":{\"b\":3}}}"),
	    &(struct json_find){ key, 2, two }, &key[0], &(struct json_find){ key, 1, &m }, &err);
	ok(str_eq(m.value, S("2")) && str_eq(two[0].value, S("{ \"a\" :2,\"c\":{\"b\":3}}")),
	    "but for those that are asked for");
	ok(json_scan_in(S("{\"a\":7}"), &(struct json_find){ key, 1, two }, &key[0],
	    &(struct json_find){ key, 1, &m }, &err) == 0 && m.value.p == NULL,
	    "and not in what is no object");
	json_scan_in(S("{\"a\":{\"a\":1},\"a\":7}"), &(struct json_find){ key, 1, two }, &key[0],
	    &(struct json_find){ key, 1, &m }, &err);
	ok(m.value.p == NULL && str_eq(two[0].value, S("7")), "nor in one that another replaced");
	ok(json_scan_in(S("{\"a\":{\"b\":1,}}"), &(struct json_find){ key, 1, two }, &key[0],
	    &(struct json_find){ key, 1, &m }, &err) < 0 &&
	    strcmp(err.msg, "not JSON at offset 12: expected a key") == 0, "which are checked");
	ok(json_scan(S("{\"a\":1,\"b\":tru}"), key, 1, &m, &err) < 0 &&
	    strcmp(err.msg, "not JSON at offset 11: expected a value") == 0, "the offset is told");
	ok(json_scan(S("{\"a\":\"\xff\"}"), key, 1, &m, &err) < 0 &&
	    strcmp(err.msg, "not UTF-8 at offset 6") == 0, "of broken UTF-8 too");

	buf_reset(&b);
	for (int i = 0; i < 600; i++)
		buf_add(&b, S("{\"a\":"));
	ok(json_scan(buf_str(&b), key, 1, &m, &err) < 0 && strstr(err.msg, "too deep") != NULL,
	    "too many levels");
	buf_reset(&b);
	buf_add(&b, S("{\"a\":"));
	for (int i = 0; i < 2 * JSON_DEPTH; i++)
		buf_byte(&b, i < JSON_DEPTH ? '[' : ']');
	buf_byte(&b, '}');
	ok(json_scan(buf_str(&b), key, 1, &m, &err) == 0, "as many levels as may be");

	ok(json_text(S("\"a\\u0000b\\ud83d\\ude00\\udc00\\ud800x\\n\""), &b, &text, &err) == 0 &&
	    str_eq(text, (str){ "a\0b\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbdx\n", 15 }),
	    "escapes, a pair, lone surrogates");
	ok(json_text(S("12"), &b, &text, &err) < 0, "a number is no text");
	ok(json_number(S("-12.5e1"), &x, &err) == 0 && x > -125.01 && x < -124.99, "a number");
	ok(json_number(S("\"1\""), &x, &err) < 0, "a string is no number");
	buf_reset(&b);
	json_quote(&b, (str){ "a\"\\\n\x01\xff\xc3\xa9\x7f\0", 10 });
	ok(str_eq(buf_str(&b), S("\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa9\x7f\\u0000\"")),
	    "quote");
	buf_free(&b);
}

/* Quoting and reading back gives the text, for random texts of all lengths. */
static void
round_trip(void)
{
	struct buf text = { 0 }, quoted = { 0 }, again = { 0 };
	int differ = 0;

	for (int i = 0; i < 3000; i++) {
		struct err err;
		str got;

		buf_reset(&text);
		buf_reset(&quoted);
		for (int n = below(200); n > 0; n--) {
			int c = below(40) == 0 ? below(0x20) : below(30) == 0 ? '\\' : 32 + below(95);

			if (below(50) == 0)
				buf_add(&text, S("\xe2\x82\xac"));
			else
				buf_byte(&text, (char)c);
		}
		json_quote(&quoted, buf_str(&text));
		differ += json_text(buf_str(&quoted), &again, &got, &err) < 0 ||
		    !str_eq(got, buf_str(&text));
	}
	ok(differ == 0, "3000 random texts quoted and read back");
	buf_free(&text);
	buf_free(&quoted);
	buf_free(&again);
}

static bool
splices(const char *object, const char *key, const char *value, const char *want)
{
	struct buf b = { 0 };
	struct err err;
	struct json_set set = { str_of(key), value != NULL ? str_of(value) : (str){ NULL, 0 } };
	bool same = json_splice(&b, str_of(object), &set, 1, &err) == 0 &&
	    str_eq(buf_str(&b), str_of(want));

	if (!same)
		printf("# %.*s\n", (int)b.n, b.p);
	buf_free(&b);
	return same;
}

static void
splice(void)
{
	ok(splices("{\"a\": 1, \"b\" : 2 }", "b", "33", "{\"a\": 1, \"b\" : 33 }"), "replace");
	ok(splices("{\"a\":1,\"b\":2,\"a\":3}", "a", "0", "{\"a\":0,\"b\":2,\"a\":0}"),
	    "replace one that is there twice");
	ok(splices("{ \"a\":1 }", "b", "2", "{ \"a\":1,\"b\":2 }"), "add");
	ok(splices(" { } ", "b", "2", " {\"b\":2 } "), "add to none");
	ok(splices("{\"a\":1, \"b\":2, \"c\":3}", "b", NULL, "{\"a\":1, \"c\":3}"), "remove");
	ok(splices("{\"a\":1, \"b\":2, \"c\":3}", "a", NULL, "{\"b\":2, \"c\":3}"), "remove the first");
	ok(splices("{\"a\":1, \"b\":2}", "b", NULL, "{\"a\":1}"), "remove the last");
	ok(splices("{\"a\":1}", "a", NULL, "{}"), "remove the only one");
	ok(splices("{\"a\":1,\"a\":2,\"b\":3}", "a", NULL, "{\"b\":3}"), "remove both");
	ok(splices("{\"b\":3}", "a", NULL, "{\"b\":3}"), "remove none");
	ok(splices("{\"\\u0061\":1}", "a", "2", "{\"\\u0061\":2}"), "a key with escapes");
}

static void
documents(void)
{
	struct err err;
	json_t *doc = json_doc(S("{\"n\": 1000000000000000019884624838656, \"s\": \"99999999999999999999\"}"),
	    &err), *again = NULL;
	char path[] = "/tmp/t_json.XXXXXX";
	int fd = mkstemp(path);

	ok(doc != NULL && json_is_real(json_object_get(doc, "n")) &&
	    strcmp(json_string_value(json_object_get(doc, "s")), "99999999999999999999") == 0,
	    "an integer past 64 bits is read as a real");
	ok(json_doc(S("{\n \"a\": 1,\n \"a\": 2\n}"), &err) == NULL &&
	    strstr(err.msg, "line 3") != NULL, "a key twice is refused, with its line");
	ok(json_doc(S("{\"a\": }"), &err) == NULL && strstr(err.msg, "line 1, column 7") != NULL,
	    "line and column");
	json_object_set_new(doc, "x", json_real(0.1));
	json_object_set_new(doc, "y", json_pack("[f, i, b, n, {}, []]", 3.0, 7, 1));
	ok(fd >= 0 && json_doc_save(path, doc, &err) == 0 &&
	    (again = json_doc_load(path, &err)) != NULL && json_equal(doc, again),
	    "saved and loaded");
	json_decref(again);
	json_decref(doc);
	ok(json_doc_load("/nonexistent/x.json", &err) == NULL && err.code == ERR_IO, "no file");
	remove(path);
}

int
main(void)
{
	by_hand();
	arrays();
	splice();
	round_trip();
	documents();
	all_utf8();
	instruction_sets();
	against_jansson();
	return tap_done();
}
