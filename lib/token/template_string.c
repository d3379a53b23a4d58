/*
 * Filters of text and the methods of strings, which are much the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "text/unicode.h"
#include "token/template_run_impl.h"

/* ---- letters ---- */

static bool
begins_word(int32_t before)
{
	return before < 0x80 && strchr("-({[< \t\n\v\f\r", before) != NULL;
}

static bool
is_cased(int32_t c)
{
	return utf8proc_tolower(c) != c || utf8proc_toupper(c) != c || utf8proc_islower(c);
}

int
tpl_change_case(struct run *r, str s, enum letter_case how, str *out)
{
	ptrdiff_t from = r->held.n;
	const char *p = s.p, *end = s.p + s.n;
	bool first = true;
	char c[4];

	if (tpl_work(r, 4 * s.n) < 0)
		return -1;
	while (p < end) {
		int32_t x = utf8_next(&p, end), y;

		if (how == CASE_UPPER)
			y = utf8proc_toupper(x);
		else if (how == CASE_LOWER || !first)
			y = utf8proc_tolower(x);
		else
			y = how == CASE_TITLE_FILTER ? utf8proc_toupper(x) : utf8proc_totitle(x);
		if (how == CASE_UPPER && x == 0xdf)
			buf_add(&r->held, S("SS"));
		else
			buf_add(&r->held, (str){ c, utf8_put(c, y) });
		first = how == CASE_TITLE ? !is_cased(x) :
		    how == CASE_TITLE_FILTER && begins_word(x);
	}
	tpl_add_as(r, &r->held, from, s);
	return tpl_held(r, from, out);
}

static int
give_str(str s, struct value *out)
{
	*out = tpl_str_value(s);
	return 0;
}

/* What was made of text that escapes does so too. */
static int
give_like(const struct value *self, str s, struct value *out)
{
	bool safe = self->kind == V_STR && self->safe;

	*out = tpl_str_value(s);
	out->safe = safe;
	return 0;
}

static int
give_bool(bool b, struct value *out)
{
	*out = (struct value){ .kind = V_BOOL, .b = b };
	return 0;
}

static int
give_int(int64_t i, struct value *out)
{
	*out = (struct value){ .kind = V_INT, .i = i };
	return 0;
}

static int
give_case(struct run *r, const struct value *self, enum letter_case how, struct value *out)
{
	str s;

	if (tpl_str(r, self, &s) < 0 || tpl_change_case(r, s, how, &s) < 0)
		return -1;
	return give_like(self, s, out);
}

BUILTIN(s_lower)
{
	return give_case(r, self, CASE_LOWER, out);
}

BUILTIN(s_upper)
{
	return give_case(r, self, CASE_UPPER, out);
}

BUILTIN(s_capitalize)
{
	return give_case(r, self, CASE_CAPITAL, out);
}

BUILTIN(s_title)
{
	return give_case(r, self, CASE_TITLE, out);
}

BUILTIN(f_title)
{
	return give_case(r, self, CASE_TITLE_FILTER, out);
}

/* ---- ends ---- */

static int
give_stripped(struct run *r, const struct value *self, const struct value *set, bool left,
    bool right, struct value *out)
{
	str s;

	if (set->kind != V_MISSING && set->kind != V_NONE && set->kind != V_STR)
		return tpl_fail(r, "strip of %s", tpl_kind(set));
	if (tpl_str(r, self, &s) < 0 || tpl_work(r, s.n * (set->kind == V_STR ? set->s.n : 4)) < 0)
		return -1;
	return give_like(self, tpl_strip(s, set, left, right), out);
}

BUILTIN(s_strip)
{
	return give_stripped(r, self, &arg[0], true, true, out);
}

BUILTIN(s_lstrip)
{
	return give_stripped(r, self, &arg[0], true, false, out);
}

BUILTIN(s_rstrip)
{
	return give_stripped(r, self, &arg[0], false, true, out);
}

/* Does s begin (or end) with what, or with one of some strings? */
static int
has_end(struct run *r, str s, const struct value *what, bool end, struct value *out)
{
	const struct value *v = what;
	int64_t n = 1;
	str t;

	if (what->kind == V_TUPLE) {
		v = what->list->at;
		n = what->list->n;
	}
	for (int64_t i = 0; i < n; i++) {
		if (tpl_arg_str(r, &v[i], end ? "endswith" : "startswith", &t) < 0 ||
		    tpl_work(r, t.n) < 0)
			return -1;
		if (end ? str_ends(s, t) : str_starts(s, t))
			return give_bool(true, out);
	}
	return give_bool(false, out);
}

/* What is from character arg[1] to arg[2]. */
static int
part_of(struct run *r, const struct value *self, const struct value *arg, str *s)
{
	struct value part[3] = { arg[1], arg[2], { .kind = V_MISSING } }, v;

	*s = self->s;
	if (arg[1].kind == V_MISSING && arg[2].kind == V_MISSING)
		return 0;
	if (tpl_slice(r, self, part, &v) < 0)
		return -1;
	*s = v.s;
	return 0;
}

BUILTIN(s_startswith)
{
	str s;

	return part_of(r, self, arg, &s) < 0 ? -1 : has_end(r, s, &arg[0], false, out);
}

BUILTIN(s_endswith)
{
	str s;

	return part_of(r, self, arg, &s) < 0 ? -1 : has_end(r, s, &arg[0], true, out);
}

BUILTIN(s_removeprefix)
{
	str s = self->s, t;

	if (tpl_arg_str(r, &arg[0], "removeprefix", &t) < 0)
		return -1;
	return give_str(str_starts(s, t) ? (str){ s.p + t.n, s.n - t.n } : s, out);
}

BUILTIN(s_removesuffix)
{
	str s = self->s, t;

	if (tpl_arg_str(r, &arg[0], "removesuffix", &t) < 0)
		return -1;
	return give_str(str_ends(s, t) ? (str){ s.p, s.n - t.n } : s, out);
}

/* ---- finding ---- */

/* The last place of what in s, or -1.  Callers count a step for four places. */
static ptrdiff_t
find_last(str s, str what)
{
	for (ptrdiff_t i = s.n - what.n; i >= 0; i--)
		if (memcmp(s.p + i, what.p, (size_t)what.n) == 0)
			return i;
	return -1;
}

/* The place in characters, or -1. */
static int
place(struct run *r, const struct value *self, const struct value *what, bool last, int64_t *i)
{
	ptrdiff_t at;
	str t;

	if (tpl_arg_str(r, what, "find", &t) < 0 ||
	    tpl_work(r, last ? 4 * self->s.n * (1 + t.n / 64) : self->s.n) < 0)
		return -1;
	at = last ? find_last(self->s, t) : tpl_find_text(self->s, t, 0);
	*i = at < 0 ? -1 : utf8_count((str){ self->s.p, at });
	return 0;
}

BUILTIN(s_find)
{
	int64_t i;

	return place(r, self, &arg[0], false, &i) < 0 ? -1 : give_int(i, out);
}

BUILTIN(s_rfind)
{
	int64_t i;

	return place(r, self, &arg[0], true, &i) < 0 ? -1 : give_int(i, out);
}

BUILTIN(s_index)
{
	int64_t i;

	if (place(r, self, &arg[0], false, &i) < 0)
		return -1;
	return i < 0 ? tpl_fail(r, "index of text that is not there") : give_int(i, out);
}

BUILTIN(s_count)
{
	int64_t n = 0;
	str t;

	if (tpl_arg_str(r, &arg[0], "count", &t) < 0 || tpl_work(r, self->s.n) < 0)
		return -1;
	if (t.n == 0)
		return give_int(utf8_count(self->s) + 1, out);
	for (ptrdiff_t at = 0; (at = tpl_find_text(self->s, t, at)) >= 0; at += t.n)
		n++;
	return give_int(n, out);
}

BUILTIN(s_replace)	/* old, new, count */
{
	ptrdiff_t from = r->held.n, at = 0, next;
	int64_t most = -1;
	str s, old, new;

	if (tpl_str(r, self, &s) < 0 || tpl_str(r, &arg[0], &old) < 0 ||
	    tpl_str(r, &arg[1], &new) < 0 ||
	    (arg[2].kind != V_NONE && tpl_arg_int(r, &arg[2], "replace", &most) < 0) ||
	    tpl_work(r, s.n) < 0)
		return -1;
	while (most != 0 && (next = tpl_find_text(s, old, at)) >= 0 && next <= s.n) {
		const char *p = s.p + next;

		/* Nothing is everywhere: before each character and at the end. */
		tpl_add(r, &r->held, (str){ s.p + at, next - at });
		tpl_add(r, &r->held, new);
		at = next + old.n;
		most--;
		if (old.n > 0)
			continue;
		if (at >= s.n)
			break;
		utf8_next(&p, s.p + s.n);
		tpl_add(r, &r->held, (str){ s.p + at, p - s.p - at });
		at = p - s.p;
	}
	tpl_add(r, &r->held, (str){ s.p + at, s.n - at });
	*out = tpl_str_value(S(""));
	return tpl_held(r, from, &out->s);
}

/* ---- pieces ---- */

struct pieces {
	struct list	*list;
	int64_t		 cap;
};

static int
add_piece(struct run *r, struct pieces *p, str s)
{
	struct value *more;

	if (p->list == NULL && (p->list = tpl_list_new(r, 0)) == NULL)
		return -1;
	if (p->list->n == p->cap) {
		p->cap = p->cap > 0 ? 2 * p->cap : 8;
		if ((more = tpl_alloc(r, p->cap, sizeof(*more))) == NULL)
			return -1;
		if (p->list->n > 0)
			memcpy(more, p->list->at, (size_t)p->list->n * sizeof(*more));
		p->list->at = more;
	}
	p->list->at[p->list->n++] = tpl_str_value(s);
	return tpl_work(r, 0);
}

/* At white space, of which none is in a piece. */
static int
split_space(struct run *r, str s, int64_t most, struct pieces *pieces)
{
	struct value space = { .kind = V_MISSING };

	for (s = tpl_strip(s, &space, true, false); s.n > 0 && most != 0; most--) {
		const char *p = s.p, *end = s.p + s.n, *stop = p;

		while (p < end && (uni_class(utf8_next(&p, end)) & UNI_SPACE) == 0)
			stop = p;
		if (add_piece(r, pieces, (str){ s.p, stop - s.p }) < 0)
			return -1;
		s = tpl_strip((str){ stop, end - stop }, &space, true, false);
	}
	return s.n > 0 ? add_piece(r, pieces, tpl_strip(s, &space, false, true)) : 0;
}

BUILTIN(s_split)	/* sep, maxsplit */
{
	struct pieces pieces = { NULL };
	int64_t most = -1;
	str s = self->s, sep;
	ptrdiff_t at;

	if (tpl_arg_int(r, &arg[1], "split", &most) < 0 || tpl_work(r, s.n) < 0 ||
	    (pieces.list = tpl_list_new(r, 0)) == NULL)
		return -1;
	if (arg[0].kind == V_MISSING || arg[0].kind == V_NONE) {
		if (split_space(r, s, most, &pieces) < 0)
			return -1;
	} else {
		if (tpl_arg_str(r, &arg[0], "split", &sep) < 0)
			return -1;
		if (sep.n == 0)
			return tpl_fail(r, "split at nothing");
		for (; most != 0 && (at = tpl_find_text(s, sep, 0)) >= 0; most--) {
			if (add_piece(r, &pieces, (str){ s.p, at }) < 0)
				return -1;
			s = (str){ s.p + at + sep.n, s.n - at - sep.n };
		}
		if (add_piece(r, &pieces, s) < 0)
			return -1;
	}
	*out = tpl_list_value(pieces.list);
	return 0;
}

BUILTIN(s_rsplit)	/* sep, maxsplit */
{
	struct pieces pieces = { NULL };
	int64_t most = -1;
	str s = self->s, sep;
	ptrdiff_t at;

	if (arg[0].kind != V_STR)
		return tpl_fail(r, "rsplit needs a separator");
	sep = arg[0].s;
	if (sep.n == 0)
		return tpl_fail(r, "split at nothing");
	if (tpl_arg_int(r, &arg[1], "rsplit", &most) < 0 ||
	    (pieces.list = tpl_list_new(r, 0)) == NULL)
		return -1;
	for (; most != 0; most--) {
		if (tpl_work(r, 4 * s.n * (1 + sep.n / 64)) < 0)
			return -1;
		if ((at = find_last(s, sep)) < 0)
			break;
		if (add_piece(r, &pieces, (str){ s.p + at + sep.n, s.n - at - sep.n }) < 0)
			return -1;
		s.n = at;
	}
	if (add_piece(r, &pieces, s) < 0)
		return -1;
	for (int64_t i = 0, j = pieces.list->n - 1; i < j; i++, j--) {
		struct value v = pieces.list->at[i];

		pieces.list->at[i] = pieces.list->at[j];
		pieces.list->at[j] = v;
	}
	*out = tpl_list_value(pieces.list);
	return 0;
}

static int
split_lines(struct run *r, str s, bool keep, struct list **lines)
{
	struct pieces pieces = { NULL };
	const char *p = s.p, *end = s.p + s.n, *start = p;

	if (tpl_work(r, s.n) < 0 || (pieces.list = tpl_list_new(r, 0)) == NULL)
		return -1;
	while (p < end) {
		const char *stop = p;
		int32_t c = utf8_next(&p, end);

		if ((uni_class(c) & UNI_LINE) == 0)
			continue;
		if (c == '\r' && p < end && *p == '\n')
			p++;
		if (add_piece(r, &pieces, (str){ start, (keep ? p : stop) - start }) < 0)
			return -1;
		start = p;
	}
	if (start < end && add_piece(r, &pieces, (str){ start, end - start }) < 0)
		return -1;
	*lines = pieces.list;
	return 0;
}

BUILTIN(s_splitlines)	/* keepends */
{
	struct list *lines;

	if (split_lines(r, self->s, tpl_true(&arg[0]), &lines) < 0)
		return -1;
	*out = tpl_list_value(lines);
	return 0;
}

/* Before, what cuts, after; where it is not there: all and two empty ones. */
static int
partition(struct run *r, str s, const struct value *by, bool last, struct value *out)
{
	struct list *l = tpl_list_new(r, 3);
	ptrdiff_t at;
	str sep;

	if (l == NULL || tpl_arg_str(r, by, "partition", &sep) < 0 ||
	    tpl_work(r, 4 * s.n * (1 + sep.n / 64)) < 0)
		return -1;
	at = last ? find_last(s, sep) : tpl_find_text(s, sep, 0);
	l->at[0] = tpl_str_value(at < 0 ? last ? S("") : s : (str){ s.p, at });
	l->at[1] = tpl_str_value(at < 0 ? S("") : sep);
	l->at[2] = tpl_str_value(at < 0 ? last ? s : S("") :
	    (str){ s.p + at + sep.n, s.n - at - sep.n });
	*out = (struct value){ .kind = V_TUPLE, .list = l };
	return 0;
}

BUILTIN(s_partition)
{
	return partition(r, self->s, &arg[0], false, out);
}

BUILTIN(s_rpartition)
{
	return partition(r, self->s, &arg[0], true, out);
}

BUILTIN(s_join)
{
	struct list *l = tpl_iterate(r, &arg[0]);
	ptrdiff_t from = r->held.n;
	str s;

	if (l == NULL)
		return -1;
	for (int64_t i = 0; i < l->n; i++) {
		if (tpl_arg_str(r, &l->at[i], "join", &s) < 0 || tpl_work(r, s.n + self->s.n) < 0)
			return -1;
		if (i > 0)
			tpl_add(r, &r->held, self->s);
		tpl_add(r, &r->held, s);
	}
	*out = tpl_str_value(S(""));
	return tpl_held(r, from, &out->s);
}

/* ---- what all characters are ---- */

static int
all_are(struct run *r, str s, unsigned class, struct value *out)
{
	const char *p = s.p, *end = s.p + s.n;

	if (tpl_work(r, 4 * s.n) < 0)
		return -1;
	while (p < end)
		if ((uni_class(utf8_next(&p, end)) & class) == 0)
			return give_bool(false, out);
	return give_bool(s.n > 0, out);
}

BUILTIN(s_isdigit)
{
	return all_are(r, self->s, UNI_DIGIT, out);
}

BUILTIN(s_isalpha)
{
	return all_are(r, self->s, UNI_LETTER, out);
}

BUILTIN(s_isalnum)
{
	return all_are(r, self->s, UNI_LETTER | UNI_DIGIT, out);
}

BUILTIN(s_isspace)
{
	return all_are(r, self->s, UNI_SPACE, out);
}

/* Some letters have case, and each of those has this one. */
static int
has_case(struct run *r, const struct value *self, bool upper, struct value *out)
{
	const char *p, *end;
	bool some = false, every = true;
	str s;

	if (tpl_str(r, self, &s) < 0 || tpl_work(r, s.n) < 0)
		return -1;
	for (p = s.p, end = p + s.n; p < end; ) {
		int32_t c = utf8_next(&p, end);

		some |= is_cased(c);
		every &= !is_cased(c) || (upper ? utf8proc_isupper(c) : utf8proc_islower(c)) != 0;
	}
	return give_bool(some && every, out);
}

BUILTIN(s_isupper)
{
	return has_case(r, self, true, out);
}

BUILTIN(s_islower)
{
	return has_case(r, self, false, out);
}

/* ---- filters alone ---- */

BUILTIN(f_string)
{
	str s;

	return tpl_str(r, self, &s) < 0 ? -1 : give_like(self, s, out);
}

BUILTIN(f_safe)
{
	str s;

	if (tpl_str(r, self, &s) < 0)
		return -1;
	*out = tpl_str_value(s);
	out->safe = true;
	return 0;
}

int
tpl_escape(struct run *r, const struct value *v, struct value *out)
{
	static const char from[] = "&<>'\"";
	static const char *const to[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
	ptrdiff_t mark = r->held.n;
	str s;

	if (v->kind == V_STR && v->safe) {
		*out = *v;
		return 0;
	}
	if (tpl_str(r, v, &s) < 0 || tpl_work(r, 8 * s.n) < 0)
		return -1;
	for (ptrdiff_t i = 0; i < s.n; i++) {
		const char *at = s.p[i] != '\0' ? strchr(from, s.p[i]) : NULL;

		if (at != NULL)
			buf_add(&r->held, str_of(to[at - from]));
		else
			buf_byte(&r->held, s.p[i]);
	}
	tpl_add_as(r, &r->held, mark, s);
	*out = tpl_str_value(S(""));
	out->safe = true;
	return tpl_held(r, mark, &out->s);
}

BUILTIN(f_escape)
{
	return tpl_escape(r, self, out);
}

BUILTIN(f_tojson)	/* ensure_ascii, indent, separators, sort_keys */
{
	ptrdiff_t from = r->held.n;

	if (tpl_json(r, &r->held, self, arg) < 0)
		return -1;
	*out = tpl_str_value(S(""));
	return tpl_held(r, from, &out->s);
}

/* All lines but the first (with first: that too) begin with width spaces, or with a text. */
BUILTIN(f_indent)	/* width, first, blank */
{
	struct value space = tpl_str_value(S(" ")), pad = arg[0], four = { .kind = V_INT, .i = 4 };
	bool blank = tpl_true(&arg[2]);
	ptrdiff_t from = r->held.n;
	struct list *lines;
	str s;

	if (tpl_str(r, self, &s) < 0)
		return -1;
	if (pad.kind != V_STR &&
	    tpl_binary(r, '*', &space, pad.kind == V_MISSING ? &four : &arg[0], &pad) < 0)
		return -1;
	tpl_add(r, &r->held, s);
	buf_byte(&r->held, '\n');
	if (tpl_held(r, from, &s) < 0 || split_lines(r, s, false, &lines) < 0)
		return -1;
	for (int64_t i = 0; i < lines->n; i++) {
		if (i > 0)
			buf_byte(&r->held, '\n');
		if (i == 0 ? tpl_true(&arg[1]) : blank || lines->at[i].s.n > 0)
			tpl_add(r, &r->held, pad.s);
		tpl_add(r, &r->held, lines->at[i].s);
		if (tpl_work(r, pad.s.n) < 0)
			return -1;
	}
	return tpl_held(r, from, &s) < 0 ? -1 : give_like(self, s, out);
}

BUILTIN(f_format)
{
	struct list values = { .at = all->at, .n = all->n };
	struct value tuple = { .kind = V_TUPLE, .list = &values };
	str s;

	if (all->n_named > 0)
		return tpl_fail(r, "format by names is not supported");
	if (self->kind == V_STR && self->safe)
		return tpl_fail(r, "format of text marked as safe is not supported");
	return tpl_str(r, self, &s) < 0 ? -1 : tpl_format(r, s, &tuple, out);
}

/* The argument that what is in a field's braces names; *next: that of {}. */
static const struct value *
field_value(str field, const struct args *args, int64_t *next)
{
	int64_t i = field.n > 0 ? 0 : (*next)++;

	for (int64_t k = 0; k < args->n_named; k++)
		if (str_eq(args->named[k].name, field))
			return &args->named[k].value;
	for (ptrdiff_t k = 0; k < field.n; k++) {
		if (field.p[k] < '0' || field.p[k] > '9' || k > 3)
			return NULL;
		i = 10 * i + field.p[k] - '0';
	}
	return i < args->n ? &args->at[i] : NULL;
}

BUILTIN(s_format)
{
	ptrdiff_t from = r->held.n;
	str s = self->s;
	int64_t next = 0;

	if (tpl_work(r, s.n) < 0)
		return -1;
	for (ptrdiff_t i = 0; i < s.n; i++) {
		const char *end = memchr(s.p + i, '}', (size_t)(s.n - i));
		str field = { s.p + i + 1, end != NULL ? end - s.p - i - 1 : 0 };
		const struct value *v;

		if (s.p[i] != '{' && s.p[i] != '}') {
			tpl_add(r, &r->held, (str){ s.p + i, 1 });
		} else if (i + 1 < s.n && s.p[i + 1] == s.p[i]) {
			tpl_add(r, &r->held, (str){ s.p + i++, 1 });
		} else if (s.p[i] == '}' || end == NULL) {
			return tpl_fail(r, "a single '%c' in a format", s.p[i]);
		} else {
			if ((v = field_value(field, all, &next)) == NULL)
				return tpl_fail(r, "the field '{%.*s}' of a format has no "
				    "value, or is not supported", NAME_ARG(field));
			if (tpl_write(r, &r->held, v) < 0)
				return -1;
			i += field.n + 1;
		}
	}
	*out = tpl_str_value(S(""));
	return tpl_held(r, from, &out->s);
}

const struct builtin tpl_text_filters[] = {
	{ "lower", s_lower, "", 0 }, { "upper", s_upper, "", 0 },
	{ "capitalize", s_capitalize, "", 0 }, { "title", f_title, "", 0 },
	{ "trim", s_strip, "chars", 0 }, { "replace", s_replace, "old new count", 2 },
	{ "string", f_string, "", 0 }, { "safe", f_safe, "", 0 },
	{ "escape", f_escape, "", 0 }, { "e", f_escape, "", 0 },
	{ "tojson", f_tojson, "ensure_ascii indent separators sort_keys", 0 },
	{ "indent", f_indent, "width first blank", 0 }, { "format", f_format, "*", 0 },
	{ NULL, NULL, NULL, 0 }
};

const struct builtin tpl_str_methods[] = {
	{ "lower", s_lower, "", 0 }, { "upper", s_upper, "", 0 },
	{ "capitalize", s_capitalize, "", 0 }, { "title", s_title, "", 0 },
	{ "strip", s_strip, "chars", 0 }, { "lstrip", s_lstrip, "chars", 0 },
	{ "rstrip", s_rstrip, "chars", 0 }, { "startswith", s_startswith, "prefix start end", 1 },
	{ "endswith", s_endswith, "suffix start end", 1 },
	{ "removeprefix", s_removeprefix, "prefix", 1 },
	{ "removesuffix", s_removesuffix, "suffix", 1 }, { "find", s_find, "sub", 1 },
	{ "rfind", s_rfind, "sub", 1 }, { "index", s_index, "sub", 1 },
	{ "count", s_count, "sub", 1 }, { "replace", s_replace, "old new count", 2 },
	{ "split", s_split, "sep maxsplit", 0 }, { "rsplit", s_rsplit, "sep maxsplit", 0 },
	{ "splitlines", s_splitlines, "keepends", 0 }, { "partition", s_partition, "sep", 1 },
	{ "rpartition", s_rpartition, "sep", 1 }, { "join", s_join, "iterable", 1 },
	{ "isdigit", s_isdigit, "", 0 }, { "isnumeric", s_isdigit, "", 0 },
	{ "isdecimal", s_isdigit, "", 0 }, { "isalpha", s_isalpha, "", 0 },
	{ "isalnum", s_isalnum, "", 0 }, { "isspace", s_isspace, "", 0 },
	{ "isupper", s_isupper, "", 0 }, { "islower", s_islower, "", 0 },
	{ "format", s_format, "*", 0 }, { NULL, NULL, NULL, 0 }
};

const struct builtin tpl_case_tests[] = {
	{ "lower", s_islower, "", 0 }, { "upper", s_isupper, "", 0 }, { NULL, NULL, NULL, 0 }
};
