#include <stdarg.h>
#include <stdio.h>
#include <utf8proc.h>

#include "base/json.h"
#include "infer/grammar_impl.h"
#include "text/unicode.h"

/* A pattern on its way.  After an error the builder has it, and p is the end. */
struct regex {
	struct builder	*b;
	const char	*start, *p, *end;
	struct regex_options o;
	int		 nest;
};

static const struct expr *fail(struct regex *r, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static const struct expr *
fail(struct regex *r, enum err_code code, const char *fmt, ...)
{
	char msg[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	builder_fail(r->b, code, "byte %td of the pattern: %s", r->p - r->start, msg);
	r->p = r->end;
	return NULL;
}

static bool
at(const struct regex *r, char c)
{
	return r->p < r->end && *r->p == c;
}

static bool
eat(struct regex *r, char c)
{
	bool there = at(r, c);

	r->p += there;
	return there;
}

static bool
eat_text(struct regex *r, str s)
{
	bool there = str_starts((str){ r->p, r->end - r->p }, s);

	r->p += there ? s.n : 0;
	return there;
}

/* ---- sets ---- */

/*
 * In a JSON string quotes, backslashes and controls are escapes.  Each has one
 * spelling here, so that texts and their spellings can be compared; controls
 * without a short one are left out.
 */
const struct expr *
json_chars(struct builder *b, const struct chars *sorted)
{
	static const char from[] = "\"\\\b\t\n\f\r", to[] = "\"\\btnfr";
	struct chars *raw = chars_new(b), *letter = chars_new(b);
	const struct expr *e;

	for (int32_t i = 0; sorted != NULL && i < sorted->n; i++) {
		int32_t lo = sorted->span[i].lo, hi = sorted->span[i].hi;

		for (int k = 0; k < 7; k++)
			if (from[k] >= lo && from[k] <= hi)
				chars_add(b, letter, to[k], to[k]);
		if (lo < 0x20)
			lo = 0x20;
		for (int k = 0; k < 2; k++) {
			if (lo <= from[k] && from[k] <= hi) {
				if (lo < from[k])
					chars_add(b, raw, lo, from[k] - 1);
				lo = from[k] + 1;
			}
		}
		if (lo <= hi)
			chars_add(b, raw, lo, hi);
	}
	chars_sort(letter);
	e = expr_chars(b, raw);
	if (letter == NULL || letter->n == 0)
		return e;
	return expr_alt(b, e, expr_seq(b, expr_text(b, "\\"), expr_chars(b, letter)));
}

static const struct expr *
one_of(struct regex *r, struct chars *c)
{
	chars_sort(c);
	return r->o.json ? json_chars(r->b, c) : expr_chars(r->b, c);
}

/* Any text at all: what a search passes over. */
static const struct expr *
anything(struct regex *r)
{
	return expr_repeat(r->b, one_of(r, chars_not(r->b, chars_new(r->b))), 0, REPEAT_INF);
}

/* Add \d, \w, \s and their opposites: ASCII, which all dialects agree on. */
static void
add_class(struct regex *r, struct chars *c, char name)
{
	static const struct { char name; int n; struct span span[4]; } class[] = {
		{ 'd', 1, { { '0', '9' } } },
		{ 'w', 4, { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } } },
		{ 's', 2, { { '\t', '\r' }, { ' ', ' ' } } },
	};

	for (int k = 0; k < 3; k++) {
		struct chars *set;

		if ((name | 0x20) != class[k].name)
			continue;
		set = chars_new(r->b);
		for (int i = 0; i < class[k].n; i++)
			chars_add(r->b, set, class[k].span[i].lo, class[k].span[i].hi);
		chars_add_set(r->b, c, name == class[k].name ? set : chars_not(r->b, set));
	}
}

/* The categories of Unicode, each found once a builder. */
static void
find_categories(struct builder *b)
{
	int32_t from = 0, category = (int32_t)utf8proc_category(0);

	for (int32_t i = 0; i < CATEGORIES; i++)
		b->category[i] = chars_new(b);
	for (int32_t c = 1; c <= CHAR_MAX_VALUE + 1; c++) {
		int32_t k = c > CHAR_MAX_VALUE ? -1 : (int32_t)utf8proc_category(c);

		if (k == category)
			continue;
		chars_add(b, b->category[category], from, c - 1);
		from = c;
		category = k;
	}
}

/* \p{L}, \p{Lu}, \pL and \P of the same, behind the p. */
static void
add_property(struct regex *r, struct chars *c, bool not)
{
	const char *end = at(r, '{') ? memchr(r->p, '}', (size_t)(r->end - r->p)) : NULL;
	str name = { r->p, r->p < r->end };
	struct chars *set = chars_new(r->b);
	bool found = false;

	if (end != NULL)
		name = (str){ r->p + 1, end - r->p - 1 };
	if (r->b->category[0] == NULL)
		find_categories(r->b);
	for (int32_t first = 0; first < CATEGORIES && !r->b->failed && name.n > 0; first++) {
		const struct chars *of = r->b->category[first];
		const char *code;

		if (of == NULL || of->n == 0)
			continue;
		code = utf8proc_category_string(of->span[0].lo);
		if (str_eq(name, str_of(code)) || (name.n == 1 && *name.p == code[0])) {
			chars_add_set(r->b, set, of);
			found = true;
		}
	}
	if (!found) {
		fail(r, ERR_FORMAT, "\\p{%.*s} is not a general category of Unicode",
		    name.n < 40 ? (int)name.n : 40, name.p);
		return;
	}
	r->p = end != NULL ? end + 1 : r->p + 1;
	chars_sort(set);
	chars_add_set(r->b, c, not ? chars_not(r->b, set) : set);
}

/* ---- characters ---- */

static int32_t
hex(struct regex *r, int least, int most)
{
	int64_t c = 0;
	int n = 0;

	for (; n < most && r->p < r->end; n++, r->p++) {
		char x = *r->p;
		int v = x >= '0' && x <= '9' ? x - '0' : x >= 'a' && x <= 'f' ? x - 'a' + 10 :
		    x >= 'A' && x <= 'F' ? x - 'A' + 10 : -1;

		if (v < 0)
			break;
		c = c * 16 + v;
	}
	if (n < least || c > CHAR_MAX_VALUE) {
		fail(r, ERR_FORMAT, "a character's number expected");
		return -1;
	}
	return (int32_t)c;
}

/* \x41 \x{41} \u0041 \u{41} and a surrogate pair of two, behind the letter. */
static int32_t
numbered(struct regex *r, char letter)
{
	int32_t c, low;

	if (eat(r, '{')) {
		c = hex(r, 1, 6);
		if (c >= 0 && !eat(r, '}')) {
			fail(r, ERR_FORMAT, "'}' expected");
			return -1;
		}
	} else {
		c = letter == 'x' ? hex(r, 2, 2) : hex(r, 4, 4);
	}
	if (c >= 0xd800 && c < 0xdc00 && eat_text(r, S("\\u"))) {
		low = hex(r, 4, 4);
		if (low >= 0xdc00 && low < 0xe000)
			return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		c = low < 0 ? -1 : low;
	}
	if (c >= 0xd800 && c < 0xe000) {
		fail(r, ERR_FORMAT, "half of a surrogate pair is no character");
		return -1;
	}
	return c;
}

/*
 * What follows a backslash: a character, which is returned, or a class, which
 * is added to c, and -1.
 */
static int32_t
escape(struct regex *r, struct chars *c, bool in_class)
{
	static const char from[] = "nrtfv0", to[] = "\n\r\t\f\v";
	char x = r->p < r->end ? *r->p : '\0';
	const char *k;

	if (r->p == r->end) {
		fail(r, ERR_FORMAT, "nothing after a backslash");
		return -1;
	}
	if ((unsigned char)x >= 0x80)
		return utf8_next(&r->p, r->end);
	r->p++;
	if (strchr("dDwWsS", x) != NULL) {
		add_class(r, c, x);
		return -1;
	}
	if (x == 'p' || x == 'P') {
		add_property(r, c, x == 'P');
		return -1;
	}
	if (x == 'x' || x == 'u')
		return numbered(r, x);
	if (x == 'b' && in_class)
		return '\b';
	if ((k = strchr(from, x)) != NULL)
		return to[k - from];
	r->p--;
	if (x >= '1' && x <= '9')
		fail(r, ERR_FORMAT, "a back reference is not supported, for it is not regular");
	else if (x == 'b' || x == 'B')
		fail(r, ERR_FORMAT, "\\%c, the boundary of a word, is not supported", x);
	else if ((x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z'))
		fail(r, ERR_FORMAT, "\\%c is not supported", x);
	else
		return *r->p++;
	return -1;
}

/* One end of a range, or a class, and -1. */
static int32_t
class_item(struct regex *r, struct chars *c)
{
	if (r->p == r->end) {
		fail(r, ERR_FORMAT, "a class has no ']'");
		return -1;
	}
	if (eat(r, '\\'))
		return escape(r, c, true);
	if (str_starts((str){ r->p, r->end - r->p }, S("[:"))) {
		fail(r, ERR_FORMAT, "classes by name, as [:alpha:], are not supported");
		return -1;
	}
	return utf8_next(&r->p, r->end);
}

static const struct expr *
class(struct regex *r)
{
	struct chars *c = chars_new(r->b);
	bool not = eat(r, '^');

	if (at(r, ']'))
		return fail(r, ERR_FORMAT, "']' first in a class means this or that: write \\]");
	while (!eat(r, ']') && !r->b->failed) {
		int32_t lo = class_item(r, c), hi = lo;

		if (at(r, '-') && r->end - r->p > 1 && r->p[1] != ']' && !r->b->failed) {
			r->p++;
			hi = class_item(r, c);
			if (lo < 0 || hi < 0)
				return fail(r, ERR_FORMAT, "a class is no end of a range");
		}
		if (hi < lo)
			return fail(r, ERR_FORMAT, "a range of characters runs backwards");
		if (lo >= 0)
			chars_add(r->b, c, lo, hi);
	}
	chars_sort(c);
	return one_of(r, not ? chars_not(r->b, c) : c);
}

/* ---- groups and anchors ---- */

static const struct expr *alternatives(struct regex *r, bool first, bool last);

/* Behind the ')' that closes the group at p, or the end. */
static const char *
closing(const struct regex *r)
{
	const char *p = r->p;
	bool in_class = false;
	int depth = 0;

	for (; p < r->end; p++) {
		if (*p == '\\' && p + 1 < r->end)
			p++;
		else if (in_class)
			in_class = *p != ']';
		else if (*p == '[')
			in_class = true;
		else if (*p == '(')
			depth++;
		else if (*p == ')' && --depth == 0)
			return p + 1;
	}
	return p;
}

/* Does a repetition stand there? */
static bool
repeats(const struct regex *r, const char *p)
{
	return p < r->end && strchr("*+?{", *p) != NULL;
}

static bool
group_kind(struct regex *r)
{
	const struct { str mark; const char *what; } refused[] = {
		{ S("?="), "lookahead" }, { S("?!"), "negative lookahead" },
		{ S("?<="), "lookbehind" }, { S("?<!"), "negative lookbehind" },
		{ S("?>"), "an atomic group" }, { S("?("), "a condition" },
		{ S("?#"), "a comment" }, { S("?P="), "a back reference" },
		{ S("?P>"), "recursion" }, { S("?R"), "recursion" },
	};
	const char *end;

	if (!at(r, '?'))
		return true;
	if (eat_text(r, S("?:")))
		return true;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (str_starts((str){ r->p, r->end - r->p }, refused[i].mark)) {
			fail(r, ERR_FORMAT, "%s, (%.*s, is not supported", refused[i].what,
			    STR_ARG(refused[i].mark));
			return false;
		}
	if ((eat_text(r, S("?<")) || eat_text(r, S("?P<"))) &&
	    (end = memchr(r->p, '>', (size_t)(r->end - r->p))) != NULL) {
		r->p = end + 1;
		return true;
	}
	fail(r, ERR_FORMAT, "flags, as (?i), are not supported");
	return false;
}

static const struct expr *
group(struct regex *r, bool first, bool last)
{
	const struct expr *e;

	if (r->nest == GRAMMAR_NEST_MAX)
		return fail(r, ERR_LIMIT, "more than %d groups in groups", GRAMMAR_NEST_MAX);
	r->p++;
	if (!group_kind(r))
		return NULL;
	r->nest++;
	e = alternatives(r, first, last);
	r->nest--;
	return eat(r, ')') ? e : fail(r, ERR_FORMAT, "')' expected");
}

/* ---- sequences ---- */

/* {m}, {m,} and {m,n} at p; anything else after a brace is text. */
static bool
bounds(const struct regex *r, const char **end, int64_t *min, int64_t *max)
{
	const char *p = r->p + 1, *digits = p;

	*min = 0;
	for (; p < r->end && *p >= '0' && *p <= '9'; p++)
		if (*min <= GRAMMAR_REPEAT_MAX)
			*min = *min * 10 + (*p - '0');
	if (p == digits || p == r->end)
		return false;
	*max = *min;
	if (*p == ',') {
		*max = 0;
		for (digits = ++p; p < r->end && *p >= '0' && *p <= '9'; p++)
			if (*max <= GRAMMAR_REPEAT_MAX)
				*max = *max * 10 + (*p - '0');
		if (p == digits)
			*max = REPEAT_INF;
	}
	*end = p + 1;
	return p < r->end && *p == '}';
}

static const struct expr *
repeated(struct regex *r, const struct expr *e)
{
	int64_t min, max;
	const char *end;

	if (eat(r, '*')) {
		min = 0;
		max = REPEAT_INF;
	} else if (eat(r, '+')) {
		min = 1;
		max = REPEAT_INF;
	} else if (eat(r, '?')) {
		min = 0;
		max = 1;
	} else if (at(r, '{') && bounds(r, &end, &min, &max)) {
		r->p = end;
	} else {
		return e;
	}
	if (min > GRAMMAR_REPEAT_MAX || max > GRAMMAR_REPEAT_MAX)
		return fail(r, ERR_LIMIT, "a repetition of more than %d", GRAMMAR_REPEAT_MAX);
	if (max != REPEAT_INF && max < min)
		return fail(r, ERR_FORMAT, "a repetition of at least %lld and at most %lld",
		    (long long)min, (long long)max);
	if (at(r, '+'))
		return fail(r, ERR_FORMAT, "a possessive repetition is not supported");
	/* Of few or of many: the same texts. */
	eat(r, '?');
	if (at(r, '*') || at(r, '+') || at(r, '?'))
		return fail(r, ERR_FORMAT, "a repetition of a repetition");
	return expr_repeat(r->b, e, (int32_t)min, (int32_t)max);
}

static const struct expr *
atom(struct regex *r)
{
	struct chars *c = chars_new(r->b);
	int64_t min, max;
	const char *end;
	int32_t x;

	if (eat(r, '['))
		return class(r);
	if (eat(r, '.')) {
		/* What is a line's end to any dialect. */
		chars_add(r->b, c, '\n', '\n');
		chars_add(r->b, c, '\r', '\r');
		chars_add(r->b, c, 0x2028, 0x2029);
		return one_of(r, chars_not(r->b, c));
	}
	if (strchr("*+?", *r->p) != NULL || (*r->p == '{' && bounds(r, &end, &min, &max)))
		return fail(r, ERR_FORMAT, "nothing to repeat before '%c'", *r->p);
	if (str_starts((str){ r->p, r->end - r->p }, S("{,")))
		return fail(r, ERR_FORMAT, "'{,' means this or that: write {0, or \\{");
	x = eat(r, '\\') ? escape(r, c, false) : utf8_next(&r->p, r->end);
	if (x >= 0)
		chars_add(r->b, c, x, x);
	return one_of(r, c);
}

/*
 * first: nothing of the pattern comes before; last: nothing after.  There, ^
 * and $ may be; where they are not, a search passes over any text.  A group
 * that is first or last, and not repeated, takes that upon itself.
 */
static const struct expr *
sequence(struct regex *r, bool first, bool last)
{
	const struct expr *all = expr_empty(r->b), *e;
	bool lead = first, tail = last;

	while (first && eat(r, '^'))
		lead = false;
	while (r->p < r->end && *r->p != '|' && *r->p != ')') {
		const char *behind = *r->p == '(' ? closing(r) : r->p;
		bool alone, ends = behind == r->end || *behind == '|' || *behind == ')';

		if (*r->p == '^' || *r->p == '$') {
			bool inside = r->end - r->p > 1 && strchr("|)$", r->p[1]) == NULL;

			if (*r->p == '^' || !last || inside)
				return fail(r, ERR_FORMAT, "'%c' inside a pattern is not supported",
				    *r->p);
			r->p++;
			tail = false;
			continue;
		}
		alone = *r->p == '(' && !repeats(r, behind);
		if (alone) {
			e = group(r, lead, ends && tail);
			tail &= !ends;
		} else {
			if (lead && r->o.search)
				all = expr_seq(r->b, all, anything(r));
			e = repeated(r, *r->p == '(' ? group(r, false, false) : atom(r));
		}
		lead = false;
		all = expr_seq(r->b, all, e);
		if (r->b->failed)
			return NULL;
	}
	if ((lead || tail) && r->o.search)
		all = expr_seq(r->b, all, anything(r));
	return all;
}

static const struct expr *
alternatives(struct regex *r, bool first, bool last)
{
	const struct expr *all = sequence(r, first, last);

	while (eat(r, '|'))
		all = expr_alt(r->b, all, sequence(r, first, last));
	return all;
}

const struct expr *
regex_parse(struct builder *b, str source, struct regex_options o)
{
	struct regex r = { .b = b, .o = o, .start = source.p, .p = source.p,
	    .end = source.p + source.n };
	const struct expr *e;

	if (source.n > GRAMMAR_TEXT_MAX)
		return fail(&r, ERR_LIMIT, "more than %td bytes", GRAMMAR_TEXT_MAX);
	if (utf8_bad(source) >= 0)
		return fail(&r, ERR_FORMAT, "no UTF-8");
	e = alternatives(&r, true, true);
	if (r.p < r.end)
		return fail(&r, ERR_FORMAT, "')' without '('");
	return b->failed ? NULL : e;
}

struct grammar *
grammar_regex(str source, struct err *err)
{
	struct builder b;
	struct grammar *g = NULL;
	const struct expr *e;

	if (builder_init(&b, err) < 0)
		return NULL;
	if (builder_rule(&b, S("root"), 0) == 0 &&
	    (e = regex_parse(&b, source, (struct regex_options){ 0 })) != NULL) {
		b.rule[0].body = e;
		g = grammar_compile(&b, false, err);
	}
	builder_free(&b);
	return g;
}
