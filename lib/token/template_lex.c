#include "token/template_impl.h"

#include <stdarg.h>
#include <stdio.h>

#include "text/unicode.h"

#define NESTING 256	/* of brackets */

struct lexer {
	str		 s;
	ptrdiff_t	 at;
	int		 line;
	struct tok	*tok;
	ptrdiff_t	 n;
	char		 open[NESTING];		/* what closes each open bracket */
	int		 depth;
	bool		 line_start;		/* the text before ended with a newline */
	struct arena	*a;
	struct err	*err;
};

static int
fail(struct lexer *l, const char *why)
{
	return err_set(l->err, ERR_FORMAT, "line %d: %s", l->line, why);
}

static void
advance(struct lexer *l, ptrdiff_t to)
{
	for (; l->at < to; l->at++)
		l->line += l->s.p[l->at] == '\n';
}

static void
push(struct lexer *l, int type, str text)
{
	l->tok[l->n++] = (struct tok){ type, l->line, text };
}

static int
byte_at(const struct lexer *l, ptrdiff_t i)
{
	return i < l->s.n ? (unsigned char)l->s.p[i] : -1;
}

static bool
has(const struct lexer *l, ptrdiff_t i, const char *what)
{
	str w = str_of(what);

	return l->s.n - i >= w.n && memcmp(l->s.p + i, w.p, (size_t)w.n) == 0;
}

static ptrdiff_t
skip_space(const struct lexer *l, ptrdiff_t i)
{
	const char *p = l->s.p + i, *end = l->s.p + l->s.n;

	while (p < end) {
		const char *next = p;

		if ((uni_class(utf8_next(&next, end)) & UNI_SPACE) == 0)
			break;
		p = next;
	}
	return p - l->s.p;
}

static str
trim_end(str s)
{
	while (s.n > 0) {
		const char *p = s.p + s.n;

		if ((uni_class(utf8_prev(s.p, &p)) & UNI_SPACE) == 0)
			break;
		s.n = p - s.p;
	}
	return s;
}

/*
 * Where a tag that ends in what ("%}") at i ends with what it swallows, or -1
 * when it does not end there: all space after -, one newline where that is asked for.
 */
static ptrdiff_t
tag_end(const struct lexer *l, ptrdiff_t i, const char *what, bool newline)
{
	int sign = byte_at(l, i);

	if (sign == '-' && has(l, i + 1, what))
		return skip_space(l, i + 3);
	if (newline && sign == '+' && has(l, i + 1, what))
		return i + 3;
	if (!has(l, i, what))
		return -1;
	return i + 2 + (newline && byte_at(l, i + 2) == '\n');
}

/* The text before a tag, without what the tag takes of it. */
static void
push_data(struct lexer *l, str text, int sign, bool variable)
{
	if (sign == '-') {
		text = trim_end(text);
	} else if (sign != '+' && !variable) {
		ptrdiff_t cut = text.n;

		while (cut > 0 && text.p[cut - 1] != '\n')
			cut--;
		if ((cut > 0 || l->line_start) &&
		    trim_end((str){ text.p + cut, text.n - cut }).n == 0)
			text.n = cut;
	}
	if (text.n > 0)
		push(l, T_DATA, text);
}

/* {% raw %}, whose start is found at i and ends at start. */
static int
lex_raw(struct lexer *l, ptrdiff_t start)
{
	advance(l, start);
	l->line_start = l->s.p[start - 1] == '\n';
	for (ptrdiff_t i = start; i < l->s.n; i++) {
		ptrdiff_t j = i + 2, end;
		int sign;

		if (!has(l, i, "{%"))
			continue;
		sign = byte_at(l, j);
		j = skip_space(l, j + (sign == '-' || sign == '+'));
		if (!has(l, j, "endraw"))
			continue;
		end = tag_end(l, skip_space(l, j + 6), "%}", true);
		if (end < 0)
			continue;
		push_data(l, (str){ l->s.p + start, i - start }, sign, false);
		advance(l, end);
		l->line_start = l->s.p[end - 1] == '\n';
		return 0;
	}
	return fail(l, "a raw block without its end");
}

static int
lex_comment(struct lexer *l, int sign)
{
	for (ptrdiff_t i = l->at + 2 + (sign == '-' || sign == '+'); i < l->s.n; i++) {
		ptrdiff_t end = tag_end(l, i, "#}", true);

		if (end < 0)
			continue;
		advance(l, end);
		l->line_start = l->s.p[end - 1] == '\n';
		return 0;
	}
	return fail(l, "a comment without its end");
}

static bool
name_char(int c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' ||
	    c >= 0x80;
}

static int
hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number after \x, \u or \U: n hexadecimal digits at *p, or -1. */
static int32_t
hex(const char **p, const char *end, int n)
{
	int64_t x = 0;

	for (; n > 0; n--, (*p)++) {
		int d = *p < end ? hex_digit((unsigned char)**p) : -1;

		if (d < 0)
			return -1;
		x = x << 4 | d;
	}
	return x > 0x10ffff || (x >= 0xd800 && x < 0xe000) ? -1 : (int32_t)x;
}

/* What follows a backslash at *p, written to out; its length, or -1. */
static int
escape(const char **p, const char *end, char *out)
{
	static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
	char c = *(*p)++;
	const char *known = c != '\0' ? strchr(from, c) : NULL;
	int32_t x = 0;

	if (known != NULL) {
		*out = to[known - from];
		return 1;
	}
	if (c == '\n')
		return 0;
	if (c == 'x' || c == 'u' || c == 'U') {
		x = hex(p, end, c == 'x' ? 2 : c == 'u' ? 4 : 8);
		return x < 0 ? -1 : utf8_put(out, x);
	}
	if (c >= '0' && c <= '7') {
		x = c - '0';
		for (int i = 0; i < 2 && *p < end && **p >= '0' && **p <= '7'; i++)
			x = x * 8 + (*(*p)++ - '0');
		return utf8_put(out, x);
	}
	out[0] = '\\';
	out[1] = c;
	return 2;
}

static int
lex_string(struct lexer *l)
{
	char quote = l->s.p[l->at], *out;
	ptrdiff_t end = l->at + 1;
	const char *p, *stop;
	str text;

	while (end < l->s.n && l->s.p[end] != quote)
		end += 1 + (l->s.p[end] == '\\');
	if (end >= l->s.n)
		return fail(l, "a string without its end");
	text = (str){ l->s.p + l->at + 1, end - l->at - 1 };
	if (text.n > 0 && memchr(text.p, '\\', (size_t)text.n) != NULL) {
		if ((out = arena_alloc(l->a, text.n, 1, l->err)) == NULL)
			return -1;
		stop = text.p + text.n;
		for (p = text.p, text = (str){ out, 0 }; p < stop; ) {
			int n = 1;

			if (*p == '\\') {
				p++;
				n = escape(&p, stop, out + text.n);
			} else {
				out[text.n] = *p++;
			}
			if (n < 0)
				return fail(l, "a string with an escape that is no character");
			text.n += n;
		}
	}
	push(l, T_STR, text);
	advance(l, end + 1);
	return 0;
}

static ptrdiff_t
digits(const struct lexer *l, ptrdiff_t i)
{
	while ((byte_at(l, i) >= '0' && byte_at(l, i) <= '9') || (byte_at(l, i) == '_' &&
	    byte_at(l, i + 1) >= '0' && byte_at(l, i + 1) <= '9'))
		i++;
	return i;
}

/* A number without its underscores, which are rare. */
static int
lex_number(struct lexer *l)
{
	ptrdiff_t start = l->at, end = digits(l, start), next;
	bool is_float = false, after_dot = start > 0 && l->s.p[start - 1] == '.';
	int c = byte_at(l, start + 1) | 32;
	char *out;
	str text = { NULL, 0 };

	if (l->s.p[start] == '0' && (c == 'x' || c == 'o' || c == 'b')) {
		for (end = start + 2; hex_digit(byte_at(l, end)) >= 0 || byte_at(l, end) == '_'; )
			end++;
	} else if (!after_dot) {
		if (byte_at(l, end) == '.' && (next = digits(l, end + 1)) > end + 1) {
			end = next;
			is_float = true;
		}
		if ((byte_at(l, end) | 32) == 'e') {
			next = end + 1 + (byte_at(l, end + 1) == '+' || byte_at(l, end + 1) == '-');
			if (digits(l, next) > next) {
				end = digits(l, next);
				is_float = true;
			}
		}
	}
	if ((out = arena_alloc(l->a, end - start + 1, 1, l->err)) == NULL)
		return -1;
	text.p = out;
	for (ptrdiff_t i = start; i < end; i++)
		if (l->s.p[i] != '_')
			out[text.n++] = l->s.p[i];
	push(l, is_float ? T_FLOAT : T_INT, text);
	advance(l, end);
	return 0;
}

static int
lex_operator(struct lexer *l)
{
	static const struct { char text[3]; int type; } two[] = {
		{ "//", T_FLOORDIV }, { "**", T_POW }, { "==", T_EQ }, { "!=", T_NE },
		{ ">=", T_GE }, { "<=", T_LE }
	};
	static const char open[] = "([{", close[] = ")]}";
	char c = l->s.p[l->at], why[] = "unexpected ' '";

	for (size_t i = 0; i < sizeof(two) / sizeof(*two); i++)
		if (has(l, l->at, two[i].text)) {
			push(l, two[i].type, (str){ l->s.p + l->at, 2 });
			l->at += 2;
			return 0;
		}
	why[sizeof(why) - 3] = c >= ' ' && c <= '~' ? c : '?';
	if (c == '\0' || strchr("+-/*%~[](){}<>=.:|,;", c) == NULL)
		return fail(l, why);
	if (strchr(open, c) != NULL) {
		if (l->depth == NESTING)
			return fail(l, "brackets nest too deep");
		l->open[l->depth++] = close[strchr(open, c) - open];
	} else if (strchr(close, c) != NULL) {
		if (l->depth == 0 || l->open[l->depth - 1] != c)
			return fail(l, why);
		l->depth--;
	}
	push(l, c, (str){ l->s.p + l->at, 1 });
	l->at++;
	return 0;
}

/* What is between {{ and }}, or {% and %}. */
static int
lex_tag(struct lexer *l, bool block)
{
	const char *what = block ? "%}" : "}}";

	l->depth = 0;
	for (;;) {
		ptrdiff_t end = skip_space(l, l->at), start;
		int c, ret;

		advance(l, end);
		if (l->at >= l->s.n)
			return fail(l, block ? "{% without %}" : "{{ without }}");
		if (l->depth == 0 && (end = tag_end(l, l->at, what, block)) >= 0) {
			push(l, block ? T_BLOCK_END : T_VAR_END, S(""));
			advance(l, end);
			l->line_start = l->s.p[end - 1] == '\n';
			return 0;
		}
		c = byte_at(l, l->at);
		if (c == '"' || c == '\'') {
			ret = lex_string(l);
		} else if (c >= '0' && c <= '9') {
			ret = lex_number(l);
		} else if (name_char(c)) {
			for (start = end = l->at; name_char(byte_at(l, end)); )
				end++;
			push(l, T_NAME, (str){ l->s.p + start, end - start });
			l->at = end;
			ret = 0;
		} else {
			ret = lex_operator(l);
		}
		if (ret < 0)
			return -1;
	}
}

/* {% raw %} at i: where it ends, or -1. */
static ptrdiff_t
raw_start(const struct lexer *l, ptrdiff_t i)
{
	int sign = byte_at(l, i + 2);

	i = skip_space(l, i + 2 + (sign == '-' || sign == '+'));
	return has(l, i, "raw") ? tag_end(l, skip_space(l, i + 3), "%}", false) : -1;
}

static int
lex(struct lexer *l)
{
	l->line_start = true;
	while (l->at < l->s.n) {
		ptrdiff_t i = l->at, raw;
		int kind, sign;

		for (; i < l->s.n; i++)
			if (l->s.p[i] == '{' && i + 1 < l->s.n &&
			    strchr("{%#", l->s.p[i + 1]) != NULL && l->s.p[i + 1] != '\0')
				break;
		if (i == l->s.n) {
			push(l, T_DATA, (str){ l->s.p + l->at, i - l->at });
			break;
		}
		kind = l->s.p[i + 1];
		sign = byte_at(l, i + 2);
		push_data(l, (str){ l->s.p + l->at, i - l->at }, sign, kind == '{');
		advance(l, i);
		if (kind == '%' && (raw = raw_start(l, i)) >= 0) {
			if (lex_raw(l, raw) < 0)
				return -1;
			continue;
		}
		if (kind == '#') {
			if (lex_comment(l, sign) < 0)
				return -1;
			continue;
		}
		push(l, kind == '%' ? T_BLOCK : T_VAR, S(""));
		l->at += 2 + (sign == '-' || sign == '+');
		if (lex_tag(l, kind == '%') < 0)
			return -1;
	}
	push(l, T_EOF, S(""));
	return 0;
}

struct tok *
tpl_lex(struct arena *a, str source, struct err *err)
{
	struct lexer l = { .line = 1, .a = a, .err = err };
	char *copy = arena_alloc(a, source.n + 1, 1, err);

	/* No token is empty but the ends of tags, which have two bytes. */
	l.tok = arena_new(a, struct tok, source.n + 2, err);
	if (copy == NULL || l.tok == NULL)
		return NULL;
	l.s.p = copy;
	for (ptrdiff_t i = 0; i < source.n; i++) {
		if (source.p[i] == '\r' && i + 1 < source.n && source.p[i + 1] == '\n')
			continue;
		copy[l.s.n++] = source.p[i] == '\r' ? '\n' : source.p[i];
	}
	l.s.n -= l.s.n > 0 && copy[l.s.n - 1] == '\n';
	return lex(&l) < 0 ? NULL : l.tok;
}
