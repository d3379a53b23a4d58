/*
 * What is cut off the ends of a piece of text and what cuts it inside
 *
 * The rules are those of spaCy's English tokenizer, as tests over one
 * character and its neighbours.
 */
#include "text/english_impl.h"

/* Sets that an ASCII character may be in. */
#define QUOTE	1u
#define PUNCT	2u	/* taken off on both sides */
#define SIGN	4u	/* cuts between digits */
#define JOINT	8u	/* cuts between a letter or digit and a letter */
#define INFIX	16u	/* may cut a piece inside */

static const uint8_t sets[128] = {
	['\''] = QUOTE, ['"'] = QUOTE, ['`'] = QUOTE, [','] = QUOTE | PUNCT | INFIX,
	[':'] = PUNCT | JOINT | INFIX, [';'] = PUNCT, ['!'] = PUNCT, ['?'] = PUNCT, ['('] = PUNCT,
	[')'] = PUNCT, ['['] = PUNCT, [']'] = PUNCT, ['{'] = PUNCT, ['}'] = PUNCT,
	['<'] = PUNCT | JOINT | INFIX, ['>'] = PUNCT | JOINT | INFIX, ['_'] = PUNCT, ['#'] = PUNCT,
	['*'] = PUNCT | SIGN | INFIX, ['&'] = PUNCT, ['+'] = SIGN | INFIX, ['-'] = SIGN | INFIX,
	['^'] = SIGN | INFIX, ['='] = JOINT | INFIX, ['/'] = JOINT | INFIX, ['.'] = INFIX,
	['~'] = INFIX,
};
#define IN(c, set) ((c) < 128 && (sets[c] & (set)) != 0)

static bool
is_digit(int32_t c)
{
	return c >= '0' && c <= '9';
}

/* Letters from U+00C0 on by category: the ordinal signs and micro are none. */
static bool
is_alpha(int32_t c)
{
	if (c < 128)
		return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	return c >= 0xc0 && (uni_class_of(c) & UNI_LETTER) != 0;
}

static bool
is_lower(int32_t c)
{
	if (c < 128)
		return c >= 'a' && c <= 'z';
	return c >= 0xc0 && (uni_class_of(c) & UNI_LOWER) != 0;
}

static bool
is_upper(int32_t c)
{
	if (c < 128)
		return c >= 'A' && c <= 'Z';
	return c >= 0xc0 && (uni_class_of(c) & UNI_UPPER) != 0;
}

static bool
is_icon(int32_t c)
{
	return c >= 0xa6 && (uni_class_of(c) & UNI_ICON) != 0;
}

static bool
is_currency(int32_t c)
{
	return c == '$' || (c >= 0xa3 && c != 0xa4 && (uni_class_of(c) & UNI_CURRENCY) != 0);
}

static bool
is_quote(int32_t c)
{
	if (c < 128)
		return (sets[c] & QUOTE) != 0;
	switch (c) {
	case 0x201d: case 0x201c: case 0x2018: case 0xb4: case 0x2019: case 0x201a: case 0x201e:
	case 0xbb: case 0xab: case 0x300c: case 0x300d: case 0x300e: case 0x300f: case 0xff08:
	case 0xff09: case 0x3014: case 0x3015: case 0x3010: case 0x3011: case 0x300a:
	case 0x300b: case 0x3008: case 0x3009: case 0x2329: case 0x232a: case 0x27e6:
	case 0x27e7:
		return true;
	}
	return false;
}

/* Punctuation that is taken off on both sides. */
static bool
is_punct(int32_t c)
{
	if (c < 128)
		return (sets[c] & PUNCT) != 0;
	switch (c) {
	case 0x2026: case 0xbf: case 0x61f: case 0xa1: case 0x3002: case 0xff1f: case 0xff01:
	case 0xff0c: case 0x3001: case 0xff1b: case 0xff1a: case 0xff5e: case 0xb7: case 0x964:
	case 0x60c: case 0x6d4: case 0x61b: case 0x66a:
		return true;
	}
	return false;
}

static int32_t
char_at(const char *p, const char *end)
{
	return p < end ? utf8_next(&p, end) : 0;
}

/* The character that ends at *p > start; *p moves before it. */
static int32_t
step_back(const char *start, const char **p)
{
	if ((signed char)(*p)[-1] >= 0)
		return *--*p;
	return utf8_prev(start, p);
}

static int32_t
char_before(const char *start, const char *p)
{
	return p > start ? step_back(start, &p) : 0;
}

static ptrdiff_t
dots_at(const char *p, const char *end)
{
	const char *q = p;

	while (q < end && *q == '.')
		q++;
	return q - p;
}

ptrdiff_t
affix_prefix(const char *p, const char *end)
{
	const char *q = p;
	int32_t c = utf8_next(&q, end);

	if (is_digit(c))
		return 0;
	if (is_alpha(c)) {
		if ((c == 'C' || c == 'A') && q < end && *q == '$')
			return 2;
		return c == 'U' && end - p >= 3 && p[1] == 'S' && p[2] == '$' ? 3 : 0;
	}
	if (c == '+')
		return q == end || !is_digit(*q);
	if (c == '.')
		return dots_at(p, end) > 1 ? dots_at(p, end) : 0;
	if (c == '%' || c == '=' || c == 0xa7 || c == 0x2014 || c == 0x2013 || is_punct(c) ||
	    is_quote(c) || is_currency(c) || is_icon(c))
		return q - p;
	return 0;
}

/* After a number: units and currencies. */
#define UNIT 8
static const char units[][UNIT] = {
	"km", "km²", "km³", "m", "m²", "m³", "dm", "dm²", "dm³", "cm", "cm²", "cm³",
	"mm", "mm²", "mm³", "ha", "µm", "nm", "yd", "in", "ft", "kg", "g", "mg", "µg",
	"t", "lb", "oz", "m/s", "km/h", "kmh", "mph", "hPa", "Pa", "mbar", "mb", "MB", "kb",
	"KB", "gb", "GB", "tb", "TB", "T", "G", "M", "K", "%", "US$", "C$", "A$",
};

static ptrdiff_t
unit_suffix(const char *p, const char *end)
{
	char unit[UNIT] = { 0 };
	const char *q = end;
	bool found = false;

	while (q > p && !is_digit((unsigned char)q[-1]) && end - q < 6)
		q--;
	if (q == p || q == end || !is_digit((unsigned char)q[-1]))
		return 0;
	memcpy(unit, q, (size_t)(end - q));
	for (size_t i = 0; i < sizeof(units) / UNIT; i++)
		found |= memcmp(unit, units[i], UNIT) == 0;
	return found ? end - q : 0;
}

/* Does a full stop at p end a piece that starts at start? */
static bool
stop_suffix(const char *start, const char *p)
{
	int32_t c = char_before(start, p);

	if (c == 0)
		return false;
	if (is_digit(c) || is_lower(c) || is_punct(c) || is_quote(c) || c == '%' || c == 0xb2 ||
	    c == '-' || c == '+' || c == '|')
		return true;
	if (is_upper(c)) {
		const char *q = p;
		int32_t before;

		step_back(start, &q);
		before = char_before(start, q);
		return is_upper(before) || (before == 0xb0 && (c == 'F' || c == 'C' || c == 'K'));
	}
	return false;
}

ptrdiff_t
affix_suffix(const char *p, const char *end)
{
	const char *q = end;
	ptrdiff_t n;
	int32_t c, before;

	if (p >= end)
		return 0;
	c = step_back(p, &q);
	before = char_before(p, q);
	if (c == '.') {
		while (q > p && q[-1] == '.')
			q--;
		if (end - q > 1)
			return end - q;
		return stop_suffix(p, q);
	}
	if ((c == 's' || c == 'S') && before == '\'')
		return 2;
	if ((c == 's' || c == 'S') && before == 0x2019)
		return 4;
	if (c == 0x2026 && before == 0x2026)
		return 6;
	if (is_digit(c))
		return 0;
	if ((is_alpha(c) || c == '%' || c == '$' || c >= 128) && (n = unit_suffix(p, end)) > 0)
		return n;
	if (is_alpha(c))
		return 0;
	if (c == 0x2014 || c == 0x2013 || is_punct(c) || is_quote(c) || is_icon(c))
		return end - q;
	if (is_digit(before) && (c == '+' || is_currency(c)))
		return end - q;
	return 0;
}

/* A hyphen or dash at p between letters: its bytes, or 0. */
static ptrdiff_t
hyphen(const char *p, const char *end, int32_t c, const char *next)
{
	if (is_alpha(char_at(next, end)))
		return next - p;
	if (c == '-')
		for (const char *q = next; q < end && *q == '-' && q - p < 3; q++)
			if (is_alpha(char_at(q + 1, end)))
				return q + 1 - p;
	if (c == 0x2014 && char_at(next, end) == 0x2014 && is_alpha(char_at(next + 3, end)))
		return 6;
	return 0;
}

/* The first byte at q or behind it that may be of an infix. */
static const char *
next_infix(const struct english_piece *x, const char *q, const char *end)
{
	if (x->marked) {
		uint64_t left = x->infix & UINT64_MAX << (q - x->p);

		q = left != 0 ? x->p + __builtin_ctzll(left) : end;
		return q < end ? q : end;
	}
	while (q < end && (signed char)*q >= 0 && (sets[(unsigned char)*q] & INFIX) == 0)
		q++;
	return q;
}

/* Bytes of the cut at q, the character c that ends at next, or 0. */
static ptrdiff_t
infix_at(const char *p, const char *q, const char *end, int32_t c, const char *next)
{
	int32_t before = char_before(p, q), after = char_at(next, end);

	if (c == '.') {
		if (after == '.')
			return dots_at(q, end);
		return (is_lower(before) || is_quote(before)) &&
		    (is_upper(after) || is_quote(after));
	}
	if (c == 0x2026 || is_icon(c))
		return next - q;
	if (IN(c, SIGN) && is_digit(before) && (is_digit(after) || after == '-'))
		return 1;
	if (c == ',')
		return is_alpha(before) && is_alpha(after);
	if (!is_alpha(before) && !is_digit(before))
		return 0;
	if (c == '-' || c == '~' || c == 0x2013 || c == 0x2014)
		return hyphen(q, end, c, next);
	return IN(c, JOINT) && is_alpha(after);
}

const char *
affix_infix(const struct english_piece *x, const char *p, const char *end, const char **at)
{
	const char *next;

	for (const char *q = next_infix(x, *at, end); q < end; q = next_infix(x, next, end)) {
		ptrdiff_t n;
		int32_t c;

		next = q;
		c = utf8_next(&next, end);
		n = infix_at(p, q, end, c, next);
		if (n > 0) {
			*at = q + n;
			return q;
		}
	}
	return NULL;
}

static bool
is_host(int32_t c)
{
	return c < 128 ? is_alpha(c) || is_digit(c) : c > 0xa0 && c <= 0xffff;
}

/* Labels with full stops behind them, a small-letter domain, a port, a path. */
static bool
host_matches(const char *p, const char *end)
{
	const char *label = p, *top = NULL, *q = p;
	int32_t c = 0, last = 0;
	int n = 0;

	while (q < end) {
		const char *at = q;

		c = utf8_next(&q, end);
		if (c == '.') {
			if (n == 0 || n > 64 || !is_host(last) || !is_host(char_at(label, end)))
				return false;
			top = label = q;
			n = 0;
		} else if (is_host(c) || c == '_' || c == '-') {
			n++;
		} else {
			q = at;
			break;
		}
		last = c;
	}
	if (top == NULL || n < 2 || n > 63)
		return false;
	for (const char *t = top; t < q;)
		if (!is_lower(utf8_next(&t, end)))
			return false;
	if (q < end && *q == ':') {
		const char *digits = ++q;

		while (q < end && is_digit((unsigned char)*q))
			q++;
		if (q - digits < 2 || q - digits > 5)
			return false;
	}
	return q == end || *q == '/' || *q == '?' || *q == '#';
}

bool
affix_is_url(const char *p, const char *end)
{
	const char *q;

	if (memchr(p, '.', (size_t)(end - p)) == NULL)
		return false;
	if (host_matches(p, end))
		return true;
	for (q = p; q < end && (is_alpha((unsigned char)*q) || is_digit((unsigned char)*q) ||
	    *q == '_' || *q == '+' || *q == '-' || *q == '.'); q++)
		continue;
	if (q - p >= 2 && end - q > 3 && memcmp(q, "://", 3) == 0 && host_matches(q + 3, end))
		return true;
	/* A user before the host; two tries keep the time linear. */
	q = memchr(p, '@', (size_t)(end - p));
	if (q != NULL && q > p && host_matches(q + 1, end))
		return true;
	q = q != NULL ? memrchr(p, '@', (size_t)(end - p)) : NULL;
	return q != NULL && q > p && host_matches(q + 1, end);
}
