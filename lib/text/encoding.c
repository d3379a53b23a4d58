#include "text/encoding.h"

#include <errno.h>
#include <iconv.h>
#include <strings.h>

#include "base/json.h"
#include "text/unicode.h"

/* What CP1252 has at 0x80; the five bytes it leaves out stay as controls. */
static const uint16_t cp1252_high[32] = {
	0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
	0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d, 0x017d, 0x008f,
	0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
	0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

/* Names for encodings that mean more, or less, than they say (WHATWG). */
static const struct {
	char	label[20];
	char	name[12];
} alias[] = {
	{ "ascii", "CP1252" }, { "us-ascii", "CP1252" }, { "iso-8859-1", "CP1252" },
	{ "iso8859-1", "CP1252" }, { "iso_8859-1", "CP1252" }, { "latin1", "CP1252" },
	{ "latin-1", "CP1252" }, { "l1", "CP1252" }, { "windows-1252", "CP1252" },
	{ "x-cp1252", "CP1252" }, { "cp1252", "CP1252" }, { "iso-8859-9", "CP1254" },
	{ "latin5", "CP1254" }, { "iso-8859-11", "CP874" }, { "tis-620", "CP874" },
	{ "shift_jis", "CP932" }, { "shift-jis", "CP932" }, { "sjis", "CP932" },
	{ "x-sjis", "CP932" }, { "gb2312", "GB18030" }, { "gbk", "GB18030" },
	{ "x-gbk", "GB18030" }, { "euc-kr", "CP949" }, { "ks_c_5601-1987", "CP949" },
	{ "x-euc-jp", "EUC-JP" }, { "x-mac-roman", "MACINTOSH" },
	/* Bytes that got here are not UTF-8, and a label in them is not UTF-16. */
	{ "utf-8", "" }, { "utf8", "" }, { "utf-16", "" }, { "utf-16le", "" },
	{ "utf-16be", "" }, { "utf-7", "" }, { "unicode", "" },
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

/* Find word in s, letters of any case; the rest of s after it, or p == NULL. */
static str
after(str s, str word)
{
	for (ptrdiff_t i = 0; i + word.n <= s.n; i++)
		if ((s.p[i] | 32) == (word.p[0] | 32) &&
		    strncasecmp(s.p + i, word.p, (size_t)word.n) == 0)
			return (str){ s.p + i + word.n, s.n - i - word.n };
	return (str){ NULL, 0 };
}

/* The name after "charset=" or "encoding=" in the first part of a page. */
static str
declared(str s)
{
	str at, none = { NULL, 0 };
	ptrdiff_t n = 0;

	if (s.n > 2048)
		s.n = 2048;
	at = str_starts(s, S("<?xml")) ? after((str){ s.p, s.n < 200 ? s.n : 200 }, S("encoding")) :
	    none;
	if (at.p == NULL)
		at = after(s, S("charset"));
	if (at.p == NULL)
		return none;
	while (at.n > 0 && (is_space(*at.p) || *at.p == '=' || *at.p == '"' || *at.p == '\'')) {
		at.p++;
		at.n--;
	}
	while (n < at.n && n < 40 && (((at.p[n] | 32) >= 'a' && (at.p[n] | 32) <= 'z') ||
	    (at.p[n] >= '0' && at.p[n] <= '9') || at.p[n] == '-' || at.p[n] == '_' ||
	    at.p[n] == ':' || at.p[n] == '.'))
		n++;
	return (str){ at.p, n };
}

/*
 * Convert all of s; what is not valid becomes U+FFFD and is counted in *bad.
 * Return 1, 0 when iconv does not know the name, -1 when memory fails.
 */
static int
convert(str s, const char *name, struct buf *b, int64_t *bad, struct err *err)
{
	iconv_t cd = iconv_open("UTF-8", name);
	char *in = (char *)(uintptr_t)s.p;
	size_t left = (size_t)s.n;
	int wide = strncmp(name, "UTF-16", 6) == 0 ? 2 : strncmp(name, "UTF-32", 6) == 0 ? 4 : 1;

	if (cd == (iconv_t)-1)
		return 0;
	buf_reset(b);
	*bad = 0;
	while (left > 0) {
		ptrdiff_t want = left < 65536 ? (ptrdiff_t)left * 2 + 64 : 131072;
		char *out = buf_room(b, want), *start = out;
		size_t room = (size_t)want;

		if (out == NULL)
			break;
		if (iconv(cd, &in, &left, &out, &room) != (size_t)-1 || errno == E2BIG) {
			b->n += out - start;
			continue;
		}
		b->n += out - start;
		/* Half a character at the end, or bytes that are none. */
		buf_add(b, S("\357\277\275"));
		++*bad;
		in += (size_t)wide < left ? (size_t)wide : left;
		left -= (size_t)wide < left ? (size_t)wide : left;
	}
	iconv_close(cd);
	return buf_ok(b, err) < 0 ? -1 : 1;
}

static int
from_cp1252(str s, struct buf *b, struct err *err)
{
	buf_reset(b);
	for (ptrdiff_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];
		char *at = buf_room(b, 4);

		if (at == NULL)
			break;
		if (c < 0x80)
			*at = (char)c;
		b->n += c < 0x80 ? 1 : utf8_put(at, c < 0xa0 ? cp1252_high[c - 0x80] : c);
	}
	return buf_ok(b, err) < 0 ? -1 : 1;
}

/*
 * Do the bytes above 0x80 look like Western letters and signs?  Text in an
 * unlabelled Cyrillic or Asian encoding, which this would spoil, has far more of them.
 */
static bool
looks_western(str s)
{
	int64_t high = 0, odd = 0;

	for (ptrdiff_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		high += c >= 0x80;
		odd += c == 0x81 || c == 0x8d || c == 0x8f || c == 0x90 || c == 0x9d;
	}
	return odd == 0 && high * 5 <= s.n;
}

static void
count_nuls(str s, int64_t nul[2])
{
	nul[0] = nul[1] = 0;
	for (ptrdiff_t i = 0; i < s.n; i++)
		nul[i & 1] += s.p[i] == '\0';
}

/* The width of UTF-16 shows where text has its NULs: "UTF-16LE", ... or NULL. */
static const char *
utf16_by_nuls(str s)
{
	int64_t nul[2];

	if (s.n > 65536)
		s.n = 65536;
	count_nuls(s, nul);
	if (s.n < 8 || nul[0] + nul[1] < s.n * 3 / 10)
		return NULL;
	if (nul[0] * 20 < nul[1])
		return "UTF-16LE";
	if (nul[1] * 20 < nul[0])
		return "UTF-16BE";
	return NULL;
}

/* Are any of eight bytes controls other than those of spacing? */
static inline bool
has_controls(const char *p)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
	uint64_t x, low, from8, from14, from32, del;

	memcpy(&x, p, 8);
	low = x & ~high;
	from8 = low + (0x80 - 8) * ones;
	from14 = low + (0x80 - 14) * ones;
	from32 = low + (0x80 - 32) * ones;
	del = low + ones;
	return ((~from8 | (from14 & ~from32) | del) & ~x & high) != 0;
}

/* Controls that text does not have, overstrikes and colours aside. */
static bool
is_noise(str s)
{
	int64_t n = 0, nul = 0;

	for (ptrdiff_t i = 0; i < s.n; i++) {
		uint8_t c;

		while (s.n - i >= 8 && !has_controls(s.p + i))
			i += 8;
		if (i == s.n)
			break;
		c = (uint8_t)s.p[i];
		nul += c == 0;
		n += c < 8 || (c > 13 && c < 32 && c != 27) || c == 127;
	}
	return n * 200 > s.n || nul * 1000 > s.n;
}

/* UTF-8 with faults: keep it when there is much more UTF-8 than faults. */
static bool
mend(str s, struct buf *b)
{
	int64_t good = 0, bad = 0;

	buf_reset(b);
	while (s.n > 0) {
		ptrdiff_t at = utf8_bad(s);
		ptrdiff_t n = at < 0 ? s.n : at;

		for (ptrdiff_t i = 0; i < n; i++)
			good += ((uint8_t)s.p[i] & 0xc0) == 0xc0;
		buf_add(b, (str){ s.p, n });
		if (at < 0)
			break;
		buf_add(b, S("\357\277\275"));
		bad++;
		s = (str){ s.p + n + 1, s.n - n - 1 };
		while (s.n > 0 && ((uint8_t)*s.p & 0xc0) == 0x80) {
			s.p++;
			s.n--;
		}
	}
	return good >= 4 * bad;
}

static int
by_label(str s, str label, struct buf *b, struct err *err)
{
	char name[48];
	int64_t bad;
	int got;

	if (label.n == 0 || label.n >= (ptrdiff_t)sizeof(name))
		return 0;
	memcpy(name, label.p, (size_t)label.n);
	name[label.n] = '\0';
	for (size_t i = 0; i < sizeof(alias) / sizeof(alias[0]); i++)
		if (strcasecmp(name, alias[i].label) == 0) {
			memcpy(name, alias[i].name, sizeof(alias[i].name));
			break;
		}
	if (name[0] == '\0')
		return 0;
	if (strcmp(name, "CP1252") == 0)
		return from_cp1252(s, b, err);
	if ((got = convert(s, name, b, &bad, err)) < 1)
		return got;
	return bad * 100 <= s.n;
}

static bool
is_iso2022(str label)
{
	return label.n > 8 && strncasecmp(label.p, "iso-2022", 8) == 0;
}

/* Convert into b.  As encoding_to_utf8(). */
static int
recode(str s, str label, bool markup, struct buf *b, struct err *err)
{
	const char *name = NULL;
	int64_t bad;
	int got;

	if (str_starts(s, S("\377\376\0\0")))
		name = "UTF-32LE";
	else if (str_starts(s, S("\0\0\376\377")))
		name = "UTF-32BE";
	else if (str_starts(s, S("\377\376")))
		name = "UTF-16LE";
	else if (str_starts(s, S("\376\377")))
		name = "UTF-16BE";
	else
		name = utf16_by_nuls(s);
	if (name != NULL) {
		if ((got = convert(s, name, b, &bad, err)) < 1)
			return got;
		return bad * 50 <= s.n;
	}
	if (is_noise(s))
		return 0;
	if ((got = by_label(s, label, b, err)) != 0)
		return got;
	if (markup && (got = by_label(s, declared(s), b, err)) != 0)
		return got;
	if (mend(s, b))
		return buf_ok(b, err) < 0 ? -1 : 1;
	return looks_western(s) ? from_cp1252(s, b, err) : 0;
}

int
encoding_to_utf8(str bytes, str label, bool markup, struct buf *b, str *text, struct err *err)
{
	int got;

	*text = bytes;
	if (utf8_bad(bytes) >= 0 ||
	    (bytes.n > 0 && memchr(bytes.p, '\0', (size_t)bytes.n) != NULL) ||
	    is_iso2022(label) || (markup && is_iso2022(declared(bytes)))) {
		if ((got = recode(bytes, label, markup, b, err)) < 1)
			return got;
		*text = buf_str(b);
	}
	if (str_starts(*text, S("\357\273\277")))
		*text = (str){ text->p + 3, text->n - 3 };
	return !is_noise(*text);
}

bool
encoding_is_binary(str head)
{
	if (str_starts(head, S("\377\376")) || str_starts(head, S("\376\377")) ||
	    str_starts(head, S("\0\0\376\377")) || utf16_by_nuls(head) != NULL)
		return false;
	return is_noise(head) || str_starts(head, S("%PDF-"));
}
