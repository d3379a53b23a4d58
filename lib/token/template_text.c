/*
 * Values as text: as Python's str() and repr() write them, and as JSON; and what
 * strings are made of, counted in characters.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "text/unicode.h"
#include "token/template_run_impl.h"

/* The shortest digits that give x again, placed as Python places them. */
static void
write_float(struct buf *b, double x)
{
	char digits[32], *e;
	int exponent, n = 0;

	if (!isfinite(x)) {
		buf_add(b, isnan(x) ? S("nan") : x > 0 ? S("inf") : S("-inf"));
		return;
	}
	for (int precision = 0; precision <= 16; precision++) {
		snprintf(digits, sizeof(digits), "%.*e", precision, fabs(x));
		if (strtod(digits, NULL) == fabs(x))
			break;
	}
	e = strchr(digits, 'e');
	exponent = (int)strtol(e + 1, NULL, 10);
	for (char *p = digits; p < e; p++)
		if (*p != '.')
			digits[n++] = *p;
	if (signbit(x))
		buf_byte(b, '-');
	if (exponent < -4 || exponent >= 16) {
		buf_fmt(b, "%.1s%s%.*se%c%02d", digits, n > 1 ? "." : "", n - 1, digits + 1,
		    exponent < 0 ? '-' : '+', abs(exponent));
	} else if (exponent < 0) {
		buf_fmt(b, "0.%.*s%.*s", -exponent - 1, "0000", n, digits);
	} else {
		buf_add(b, (str){ digits, n < exponent + 1 ? n : exponent + 1 });
		for (int i = n; i <= exponent; i++)
			buf_byte(b, '0');
		buf_byte(b, '.');
		buf_add(b, n <= exponent + 1 ? S("0") :
		    (str){ digits + exponent + 1, n - exponent - 1 });
	}
}

static bool
printable(int32_t c)
{
	switch (utf8proc_category(c)) {
	case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO: case UTF8PROC_CATEGORY_CN: case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return false;
	case UTF8PROC_CATEGORY_ZS:
		return c == ' ';
	default:
		return true;
	}
}

static void
put_escaped(struct buf *b, char c)
{
	buf_byte(b, '\\');
	buf_byte(b, c);
}

/* A character by its number, of 2 digits behind x, 4 behind u and 8 behind U. */
static void
put_hex(struct buf *b, char how, uint32_t c)
{
	put_escaped(b, how);
	for (int shift = how == 'x' ? 4 : how == 'u' ? 12 : 28; shift >= 0; shift -= 4)
		buf_byte(b, "0123456789abcdef"[c >> shift & 15]);
}

/* As Python quotes: in ' unless only that is in the string. */
static void
write_quoted(struct buf *b, str s)
{
	static const char from[] = "\t\n\r\\", to[] = "tnr\\";
	char quote = s.n > 0 && memchr(s.p, '\'', (size_t)s.n) != NULL &&
	    memchr(s.p, '"', (size_t)s.n) == NULL ? '"' : '\'';
	const char *p = s.p, *end = s.p + s.n;

	buf_byte(b, quote);
	while (p < end) {
		const char *start = p, *known;
		int32_t c = utf8_next(&p, end);

		known = c > 0 && c < 0x80 ? strchr(from, c) : NULL;
		if (known != NULL)
			put_escaped(b, to[known - from]);
		else if (c == quote)
			put_escaped(b, quote);
		else if (printable(c))
			buf_add(b, (str){ start, p - start });
		else
			put_hex(b, c < 0x100 ? 'x' : c < 0x10000 ? 'u' : 'U', (uint32_t)c);
	}
	buf_byte(b, quote);
}

static int write_repr(struct run *r, struct buf *b, const struct value *v);

static int
write_list(struct run *r, struct buf *b, const struct list *l, bool tuple)
{
	buf_byte(b, tuple ? '(' : '[');
	for (int64_t i = 0; i < l->n; i++) {
		if (i > 0)
			buf_add(b, S(", "));
		if (write_repr(r, b, &l->at[i]) < 0)
			return -1;
	}
	if (tuple && l->n == 1)
		buf_byte(b, ',');
	buf_byte(b, tuple ? ')' : ']');
	return 0;
}

static int
write_dict(struct run *r, struct buf *b, const struct dict *d)
{
	buf_byte(b, '{');
	for (int64_t i = 0; i < d->n; i++) {
		if (i > 0)
			buf_add(b, S(", "));
		if (write_repr(r, b, &d->at[i].key) < 0)
			return -1;
		buf_add(b, S(": "));
		if (write_repr(r, b, &d->at[i].value) < 0)
			return -1;
	}
	buf_byte(b, '}');
	return 0;
}

static int
write_repr(struct run *r, struct buf *b, const struct value *v)
{
	int ret = 0;

	if (v->kind == V_STR) {
		ptrdiff_t from = b->n;

		write_quoted(b, v->s);
		tpl_add_as(r, b, from, v->s);
		return tpl_work(r, v->s.n);
	}
	if (v->kind == V_UNDEFINED) {
		buf_add(b, S("Undefined"));
		return 0;
	}
	if (v->kind != V_LIST && v->kind != V_TUPLE && v->kind != V_DICT)
		return tpl_write(r, b, v);
	if (tpl_enter_value(r) < 0)
		return -1;
	if (v->kind == V_DICT)
		ret = write_dict(r, b, v->dict);
	else
		ret = write_list(r, b, v->list, v->kind == V_TUPLE);
	r->depth--;
	return ret;
}

int
tpl_write(struct run *r, struct buf *b, const struct value *v)
{
	if (tpl_work(r, 0) < 0)
		return -1;
	switch (v->kind) {
	case V_MISSING: case V_UNDEFINED:
		return 0;
	case V_NONE:
		buf_add(b, S("None"));
		break;
	case V_BOOL:
		buf_add(b, v->b ? S("True") : S("False"));
		break;
	case V_INT:
		buf_fmt(b, "%lld", (long long)v->i);
		break;
	case V_FLOAT:
		if (tpl_work(r, FLOAT_WORK) < 0)
			return -1;
		write_float(b, v->f);
		break;
	case V_STR:
		tpl_add(r, b, v->s);
		if (tpl_work(r, v->s.n) < 0)
			return -1;
		break;
	case V_LIST: case V_TUPLE: case V_DICT:
		if (v->kind == V_LIST && v->list->is != LIST_WHOLE)
			return tpl_fail(r, "%s has no text; make it a list", tpl_kind(v));
		return write_repr(r, b, v);
	case V_NAMESPACE: case V_FUNCTION: case V_MACRO: case V_LOOP:
		return tpl_fail(r, "a %s has no text", tpl_kind(v));
	}
	if (buf_ok(b, r->err) < 0)
		return err_wrap(r->err, "line %d", r->line);
	return 0;
}

int
tpl_held(struct run *r, ptrdiff_t from, str *s)
{
	char *p;

	if (buf_ok(&r->held, r->err) < 0 || buf_ok(&r->held_marks, r->err) < 0)
		return err_wrap(r->err, "line %d", r->line);
	s->n = r->held.n - from;
	if ((p = tpl_alloc(r, s->n, 1)) == NULL)
		return -1;
	if (s->n > 0)
		memcpy(p, r->held.p + from, (size_t)s->n);
	tpl_take_marks(r, from, s->n, p);
	s->p = p;
	r->held.n = from;
	return 0;
}

int
tpl_str(struct run *r, const struct value *v, str *s)
{
	ptrdiff_t from = r->held.n;

	*s = v->s;
	if (v->kind == V_STR)
		return 0;
	return tpl_write(r, &r->held, v) < 0 ? -1 : tpl_held(r, from, s);
}

/* ---- JSON ---- */

struct json_style {
	str	indent;		/* p == NULL: all on one line */
	str	comma, colon;
	bool	ascii, sort;
};

/* The byte behind the backslash of those that JSON writes so. */
static const char json_letter[128] = { ['"'] = '"', ['\\'] = '\\', ['\n'] = 'n', ['\r'] = 'r',
	['\t'] = 't', ['\f'] = 'f', ['\b'] = 'b' };

/* Write what of [p, end) stays as it is or takes a backslash; return what is next. */
static const char *
json_plain(struct buf *b, const char *p, const char *end, bool ascii)
{
	ptrdiff_t most = end - p < 4096 ? end - p : 4096;
	char *start = buf_room(b, 2 * most), *to = start;

	if (start == NULL)
		return end;
	for (end = p + most; p < end; p++) {
		unsigned char byte = (unsigned char)*p;

		if (byte < 0x80 && json_letter[byte] != 0) {
			*to++ = '\\';
			*to++ = json_letter[byte];
		} else if (byte < ' ' || (ascii && byte > '~')) {
			break;
		} else {
			*to++ = (char)byte;
		}
	}
	b->n += to - start;
	return p;
}

static void
json_string_to(struct run *r, struct buf *b, str s, bool ascii)
{
	const char *p = s.p, *end = s.p + s.n;
	ptrdiff_t mark = b->n;

	buf_byte(b, '"');
	while (p < end) {
		const char *from = p;
		int32_t c;

		if ((p = json_plain(b, p, end, ascii)) != from)
			continue;
		c = utf8_next(&p, end);
		if (c >= 0x10000) {
			put_hex(b, 'u', (uint32_t)(0xd7c0 + (c >> 10)));
			put_hex(b, 'u', (uint32_t)(0xdc00 + (c & 0x3ff)));
		} else {
			put_hex(b, 'u', (uint32_t)c);
		}
	}
	buf_byte(b, '"');
	tpl_add_as(r, b, mark, s);
}

static void
json_line(struct buf *b, const struct json_style *style, int level)
{
	if (style->indent.p == NULL)
		return;
	buf_byte(b, '\n');
	for (int i = 0; i < level; i++)
		buf_add(b, style->indent);
}

static int json_value(struct run *r, struct buf *b, const struct value *v,
    const struct json_style *style, int level);

static int
json_list(struct run *r, struct buf *b, const struct list *l, const struct json_style *style,
    int level)
{
	buf_byte(b, '[');
	for (int64_t i = 0; i < l->n; i++) {
		if (i > 0)
			buf_add(b, style->comma);
		json_line(b, style, level + 1);
		if (json_value(r, b, &l->at[i], style, level + 1) < 0)
			return -1;
	}
	if (l->n > 0)
		json_line(b, style, level);
	buf_byte(b, ']');
	return 0;
}

static int
json_key(struct run *r, struct buf *b, const struct value *key, const struct json_style *style)
{
	if (key->kind == V_STR) {
		json_string_to(r, b, key->s, style->ascii);
		return tpl_work(r, key->s.n);
	}
	buf_byte(b, '"');
	if (json_value(r, b, key, style, 0) < 0)
		return -1;
	buf_byte(b, '"');
	return 0;
}

/* A copy in the order of keys, which are strings then. */
static struct dict *
sorted(struct run *r, const struct dict *d)
{
	struct dict *s = tpl_alloc(r, 1, sizeof(*s));
	struct list *keys = s != NULL ? tpl_list_new(r, d->n) : NULL;

	if (keys == NULL)
		return NULL;
	*s = (struct dict){ 0 };
	for (int64_t i = 0; i < d->n; i++)
		keys->at[i] = d->at[i].key;
	if (tpl_sort(r, keys, NULL, false) < 0)
		return NULL;
	for (int64_t i = 0; i < d->n; i++)
		if (tpl_dict_set(r, s, &keys->at[i], tpl_dict_get(r, d, &keys->at[i])) < 0)
			return NULL;
	return s;
}

static int
json_dict(struct run *r, struct buf *b, const struct dict *d, const struct json_style *style,
    int level)
{
	if (style->sort && (d = sorted(r, d)) == NULL)
		return -1;
	buf_byte(b, '{');
	for (int64_t i = 0; i < d->n; i++) {
		if (i > 0)
			buf_add(b, style->comma);
		json_line(b, style, level + 1);
		if (json_key(r, b, &d->at[i].key, style) < 0)
			return -1;
		buf_add(b, style->colon);
		if (json_value(r, b, &d->at[i].value, style, level + 1) < 0)
			return -1;
	}
	if (d->n > 0)
		json_line(b, style, level);
	buf_byte(b, '}');
	return 0;
}

static int
json_value(struct run *r, struct buf *b, const struct value *v, const struct json_style *style,
    int level)
{
	int ret;

	if (tpl_work(r, 0) < 0)
		return -1;
	switch (v->kind) {
	case V_NONE:
		buf_add(b, S("null"));
		return 0;
	case V_BOOL:
		buf_add(b, v->b ? S("true") : S("false"));
		return 0;
	case V_INT:
		return tpl_write(r, b, v);
	case V_FLOAT:
		if (tpl_work(r, FLOAT_WORK) < 0)
			return -1;
		if (isfinite(v->f))
			write_float(b, v->f);
		else
			buf_add(b, isnan(v->f) ? S("NaN") :
			    v->f > 0 ? S("Infinity") : S("-Infinity"));
		return 0;
	case V_STR:
		json_string_to(r, b, v->s, style->ascii);
		return tpl_work(r, v->s.n);
	case V_LIST: case V_TUPLE: case V_DICT:
		if (v->kind == V_LIST && v->list->is != LIST_WHOLE)
			break;
		if (tpl_enter_value(r) < 0)
			return -1;
		ret = v->kind == V_DICT ? json_dict(r, b, v->dict, style, level) :
		    json_list(r, b, v->list, style, level);
		r->depth--;
		if (ret == 0 && buf_ok(b, r->err) < 0)
			return err_wrap(r->err, "line %d", r->line);
		return ret;
	default:
		break;
	}
	return tpl_fail(r, "%s is no JSON", tpl_kind(v));
}

/* arg: ensure_ascii, indent, separators, sort_keys. */
int
tpl_json(struct run *r, struct buf *b, const struct value *v, const struct value *arg)
{
	struct json_style style = { .ascii = tpl_true(&arg[0]), .sort = tpl_true(&arg[3]),
	    .comma = S(", "), .colon = S(": ") };
	const struct value *part = arg[2].kind == V_LIST || arg[2].kind == V_TUPLE ?
	    arg[2].list->at : NULL;
	struct value space = tpl_str_value(S(" ")), indent = arg[1];

	if (arg[1].kind == V_STR || tpl_is_whole(&arg[1])) {
		if (tpl_is_whole(&arg[1]) && tpl_binary(r, '*', &space, &arg[1], &indent) < 0)
			return -1;
		/* Not NULL, and not without end. */
		style.indent = indent.s.n > 0 ? indent.s : S("");
		if (style.indent.n > 64)
			return tpl_fail(r, "an indent of more than 64");
		style.comma = S(",");
	}
	if (part != NULL && arg[2].list->n == 2 && part[0].kind == V_STR && part[1].kind == V_STR) {
		style.comma = part[0].s;
		style.colon = part[1].s;
	}
	return json_value(r, b, v, &style, 0);
}

/* ---- strings ---- */

static bool
in_set(int32_t c, const struct value *set)
{
	const char *p, *end;

	if (set->kind != V_STR)
		return (uni_class(c) & UNI_SPACE) != 0;
	for (p = set->s.p, end = p + set->s.n; p < end; )
		if (utf8_next(&p, end) == c)
			return true;
	return false;
}

/* Without characters of set, or white space when that is no string, at its ends. */
str
tpl_strip(str s, const struct value *set, bool left, bool right)
{
	const char *p = s.p, *end = s.p + s.n;

	while (left && p < end && in_set(utf8_next(&p, end), set))
		s = (str){ p, end - p };
	while (right && s.n > 0) {
		p = s.p + s.n;
		if (!in_set(utf8_prev(s.p, &p), set))
			break;
		s.n = p - s.p;
	}
	return s;
}

int
tpl_char(str s, int64_t i, str *c)
{
	const char *p = s.p, *end = s.p + s.n, *start = p;

	if (ascii_span(s) == s.n)
		start = p = i < s.n ? p + i : end;
	else
		for (; i > 0 && p < end; i--, start = p)
			utf8_next(&p, end);
	if (p >= end)
		return 0;
	utf8_next(&p, end);
	*c = (str){ start, p - start };
	return 1;
}

int64_t
tpl_find_text(str in, str what, ptrdiff_t from)
{
	const char *at;

	if (from > in.n)
		return -1;
	if (what.n == 0)
		return from;
	at = memmem(in.p + from, (size_t)(in.n - from), what.p, (size_t)what.n);
	return at != NULL ? at - in.p : -1;
}

/* One value of a format: %s, %d and their like. */
static int
format_one(struct run *r, char how, const struct value *v)
{
	struct value n = { .kind = V_INT };

	switch (how) {
	case 's':
		return tpl_write(r, &r->held, v);
	case 'r':
		return write_repr(r, &r->held, v);
	case 'd': case 'i':
		if (!tpl_is_number(v) || (v->kind == V_FLOAT && !(fabs(v->f) < 0x1p63)))
			return tpl_fail(r, "%%%c of %s", how, tpl_kind(v));
		n.i = v->kind == V_FLOAT ? (int64_t)v->f : tpl_whole(v);
		return tpl_write(r, &r->held, &n);
	case 'f':
		if (!tpl_is_number(v))
			return tpl_fail(r, "%%f of %s", tpl_kind(v));
		buf_fmt(&r->held, "%f", tpl_real(v));
		return tpl_work(r, FLOAT_WORK);
	default:
		return tpl_fail(r, "%%%c is not supported in a format", how);
	}
}

int
tpl_format(struct run *r, str format, const struct value *v, struct value *out)
{
	const struct value *at = v->kind == V_TUPLE ? v->list->at : v;
	int64_t n = v->kind == V_TUPLE ? v->list->n : 1;
	ptrdiff_t from = r->held.n;

	if (tpl_work(r, format.n) < 0)
		return -1;
	for (ptrdiff_t i = 0; i < format.n; i++) {
		char c = format.p[i];

		if (c != '%' || i + 1 == format.n) {
			buf_byte(&r->held, c);
		} else if (format.p[++i] == '%') {
			buf_byte(&r->held, '%');
		} else {
			if (n-- == 0)
				return tpl_fail(r, "too few values for the format");
			if (format_one(r, format.p[i], at++) < 0)
				return -1;
		}
	}
	if (n > 0 && v->kind == V_TUPLE)
		return tpl_fail(r, "too many values for the format");
	tpl_add_as(r, &r->held, from, format);
	*out = tpl_str_value(S(""));
	return tpl_held(r, from, &out->s);
}

/* Where a slice begins or ends: counted from the end when negative, and kept inside. */
static int
slice_part(struct run *r, const struct value *v, int64_t otherwise, int64_t n, int64_t low,
    int64_t high, int64_t *i)
{
	*i = otherwise;
	if (v->kind == V_MISSING || v->kind == V_NONE)
		return 0;
	if (v->kind == V_UNDEFINED)
		return tpl_undefined(r, v);
	if (!tpl_is_whole(v))
		return tpl_fail(r, "a slice by %s", tpl_kind(v));
	*i = tpl_whole(v);
	if (*i < 0)
		*i = *i < -n ? low : *i + n;
	*i = *i > high ? high : *i < low ? low : *i;
	return 0;
}

static int
slice_list(struct run *r, const struct value *of, int64_t start, int64_t step, int64_t count,
    struct value *out)
{
	struct list *l = tpl_list_new(r, count);

	for (int64_t i = 0; l != NULL && i < count; i++)
		l->at[i] = of->list->at[start + i * step];
	out->list = l;
	return l != NULL ? 0 : -1;
}

static int
slice_text(struct run *r, const struct value *of, int64_t start, int64_t step, int64_t count,
    struct value *out)
{
	ptrdiff_t from = r->held.n;
	struct list *chars;
	str a, b;

	out->kind = V_STR;
	out->s = S("");
	if (count == 0)
		return 0;
	if (step == 1) {
		tpl_char(of->s, start, &a);
		tpl_char(of->s, start + count - 1, &b);
		out->s = (str){ a.p, b.p + b.n - a.p };
		return 0;
	}
	if ((chars = tpl_iterate(r, of)) == NULL)
		return -1;
	for (int64_t i = 0; i < count; i++)
		tpl_add(r, &r->held, chars->at[start + i * step].s);
	return tpl_held(r, from, &out->s);
}

int
tpl_slice(struct run *r, const struct value *of, const struct value part[3], struct value *out)
{
	int64_t n, start, stop, step = 1, count;
	struct value result = *of;

	if (of->kind == V_UNDEFINED)
		return tpl_undefined(r, of);
	if (of->kind != V_STR && ((of->kind != V_LIST && of->kind != V_TUPLE) ||
	    of->list->is != LIST_WHOLE))
		return tpl_fail(r, "%s has no slices", tpl_kind(of));
	if (tpl_length(r, of, &n) < 0 || tpl_work(r, of->kind == V_STR ? of->s.n : 0) < 0)
		return -1;
	if (part[2].kind != V_MISSING && part[2].kind != V_NONE) {
		if (!tpl_is_whole(&part[2]) || tpl_whole(&part[2]) == 0)
			return tpl_fail(r, "the step of a slice is a whole number and not 0");
		step = tpl_whole(&part[2]);
		step = step > INT32_MAX ? INT32_MAX : step < -INT32_MAX ? -INT32_MAX : step;
	}
	if (slice_part(r, &part[0], step > 0 ? 0 : n - 1, n, step > 0 ? 0 : -1,
	    step > 0 ? n : n - 1, &start) < 0 ||
	    slice_part(r, &part[1], step > 0 ? n : -1, n, step > 0 ? 0 : -1,
	    step > 0 ? n : n - 1, &stop) < 0)
		return -1;
	count = step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step;
	count = (step > 0 ? stop > start : start > stop) ? count : 0;
	if ((of->kind == V_STR ? slice_text : slice_list)(r, of, start, step, count, &result) < 0)
		return -1;
	*out = result;
	return 0;
}
