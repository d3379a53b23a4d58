#include "serve/calls_impl.h"

enum state { NEW, THOUGHT, TEXT, OPENED, NAME, VALUE, AFTER };
enum member { OTHER, CALLED, ARGUMENTS, KNOWN };
enum got { GO_ON, WHOLE, NO_CALL }; /* of a byte */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const struct calls_form *
form(const struct calls *c)
{
	return &calls_forms[c->format];
}

static str
from(const struct calls *c, ptrdiff_t at)
{
	/* Of nothing there is no place to count from. */
	return at == 0 ? buf_str(&c->held) : (str){ c->held.p + at, c->held.n - at };
}

/* Its length without the beginning of a character at its end. */
static ptrdiff_t
whole(str s)
{
	ptrdiff_t n = s.n;

	while (n > 0 && s.n - n < 3 && (s.p[n - 1] & 0xc0) == 0x80)
		n--;
	if (n > 0 && (s.p[n - 1] & 0xc0) == 0xc0) {
		int first = (unsigned char)s.p[n - 1];
		int takes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;

		return s.n - n + 1 < takes ? n - 1 : s.n;
	}
	return s.n;
}

static int
tell(struct calls *c, enum calls_event e, str text, struct err *err)
{
	bool piece = e == CALLS_CONTENT || e == CALLS_THOUGHT || e == CALLS_ARGUMENTS;

	return piece && text.n == 0 ? 0 : c->tell(c->ctx, e, c->n, text, err);
}

/* What is held up to here. */
static int
tell_to(struct calls *c, enum calls_event e, ptrdiff_t end, struct err *err)
{
	str text = from(c, c->start);

	text.n = end - c->start;
	c->start = end;
	return tell(c, e, text, err);
}

/* ---- text and its marks ---- */

enum mark { NO_MARK, MAYBE, OPEN, LIST, THINK, THINK_END };

/* Does s begin with the mark, or may it yet? */
static bool
matches(str s, str mark, bool last, enum mark is, enum mark *found)
{
	if (mark.n == 0 || s.n == 0 || s.p[0] != mark.p[0])
		return false;
	if (str_starts(s, mark))
		*found = is;
	else if (!last && str_starts(mark, s))
		*found = MAYBE;
	else
		return false;
	return true;
}

static enum mark
mark_at(const struct calls *c, str s, bool last, ptrdiff_t *len)
{
	const struct calls_form *f = form(c);
	const struct {
		str text;
		enum mark is;
		bool now;
	} mark[] = {
		{ S("</think>"), THINK_END, c->state == THOUGHT },
		{ S("<think>"), THINK,
		    c->state == TEXT && c->thoughts && !c->thought && !c->started },
		{ f->open, OPEN, c->state == TEXT && c->tools != NULL },
		{ f->list, LIST, c->state == TEXT && c->tools != NULL },
		{ f->list_end, LIST, c->state == TEXT && c->tools != NULL && c->n > 0 },
	};
	enum mark found = NO_MARK;

	for (size_t i = 0; i < sizeof(mark) / sizeof(*mark); i++)
		if (mark[i].now && matches(s, mark[i].text, last, mark[i].is, &found)) {
			*len = mark[i].text.n;
			return found;
		}
	*len = 0;
	return f->bare && c->state == TEXT && c->tools != NULL && !c->started &&
		(s.p[0] == '{' || s.p[0] == '[') ?
	    OPEN :
	    NO_MARK;
}

static void
begin_call(struct calls *c)
{
	c->state = OPENED;
	c->one = (struct calls_one){ 0 };
	c->json = (struct calls_json){ .at = JSON_VALUE };
}

/*
 * Text up to a mark.  White space is told once something follows it that is not one.
 * 1: the state is another; 0: more is needed; -1.
 */
static int
read_text(struct calls *c, bool last, struct err *err)
{
	enum calls_event e = c->state == THOUGHT ? CALLS_THOUGHT : CALLS_CONTENT;
	ptrdiff_t i = c->start, solid, len = 0, n = c->held.n;
	enum mark m = NO_MARK;

	while (c->trim && i < n && is_space(c->held.p[i]))
		c->start = ++i;
	/* What was read and not told is white space. */
	solid = c->start;
	for (i = i < c->at ? c->at : i; i < n; i++) {
		if ((m = mark_at(c, from(c, i), last, &len)) != NO_MARK)
			break;
		if (is_space(c->held.p[i]))
			continue;
		solid = i + 1;
		c->started |= c->state == TEXT;
		c->trim = false;
	}
	c->at = i;
	if (m == NO_MARK && !last && solid == n) {
		solid = c->start + whole((str){ c->held.p + c->start, solid - c->start });
		c->at = solid;
	} else if (m == NO_MARK && c->state == TEXT && c->n == 0) {
		solid = last ? n : solid;
	}
	if (tell_to(c, e, solid, err) < 0)
		return -1;
	if (m == NO_MARK || m == MAYBE)
		return 0;
	c->at += len;
	if (m == OPEN) {
		begin_call(c);
		c->one.bare = len == 0;
		return 1;
	}
	c->start = c->at;
	c->trim = true;
	c->thought |= m == THINK_END;
	c->state = m == THINK ? THOUGHT : TEXT;
	return 1;
}

/* ---- a call ---- */

static bool
is_tool(const struct calls *c, str name)
{
	json_t *tool;
	size_t i;

	json_array_foreach (c->tools, i, tool) {
		const json_t *s = json_object_get(json_object_get(tool, "function"), "name");

		if (json_is_string(s) &&
		    str_eq(name, (str){ json_string_value(s), (ptrdiff_t)json_string_length(s) }))
			return true;
	}
	return false;
}

static int
begin(struct calls *c, struct err *err)
{
	if (c->one.begun)
		return 0;
	c->one.begun = true;
	return tell(c, CALLS_BEGIN, buf_str(&c->name), err);
}

/* Tell what there is of the arguments of a call that has begun. */
static int
tell_arguments(struct calls *c, struct err *err)
{
	str s = buf_str(&c->arguments);
	ptrdiff_t n = whole(s), rest = s.n - n;

	if (buf_ok(&c->arguments, err) < 0 || tell(c, CALLS_ARGUMENTS, (str){ s.p, n }, err) < 0)
		return -1;
	if (rest > 0)
		memmove(c->arguments.p, s.p + n, (size_t)rest);
	c->arguments.n = rest;
	return 0;
}

static int
end_call(struct calls *c, enum calls_event e, struct err *err)
{
	if (begin(c, err) < 0 || tell_arguments(c, err) < 0 || tell(c, e, S(""), err) < 0)
		return -1;
	c->one.told = true;
	c->n++;
	c->over = c->single;
	return 0;
}

/* What was read is no call, or no more of one. */
static int
no_call(struct calls *c, struct err *err)
{
	bool told = c->one.told;

	c->state = told ? AFTER : TEXT;
	c->started = true;
	if (told || c->one.begun) {
		c->start = c->at;
		return told ? 1 : end_call(c, CALLS_BROKEN, err) < 0 ? -1 : 1;
	}
	return tell_to(c, CALLS_CONTENT, c->at, err) < 0 ? -1 : 1;
}

static enum member
member_of(str key)
{
	static const struct {
		str key;
		enum member is;
	} all[] = {
		{ { "name", 4 }, CALLED },
		{ { "function", 8 }, CALLED },
		{ { "arguments", 9 }, ARGUMENTS },
		{ { "parameters", 10 }, ARGUMENTS },
		{ { "type", 4 }, KNOWN },
		{ { "id", 2 }, KNOWN },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (str_eq(key, all[i].key))
			return all[i].is;
	return OTHER;
}

/* A byte of the arguments, with what JSON wants escaped in a string escaped. */
static void
add_argument(struct calls *c, char b, bool in_string)
{
	if (!in_string || (unsigned char)b >= ' ')
		buf_byte(&c->arguments, b);
	else if (b == '\n' || b == '\t' || b == '\r')
		buf_fmt(&c->arguments, "\\%c", b == '\n' ? 'n' : b == '\t' ? 't' : 'r');
	else
		buf_fmt(&c->arguments, "\\u%04x", b);
}

/* The first byte of a member's value. */
static enum got
value_begins(struct calls *c, char b)
{
	struct calls_one *o = &c->one;

	o->from = c->at;
	if (o->member == CALLED)
		return b == '"' && !o->named ? GO_ON : NO_CALL;
	if (o->member != ARGUMENTS)
		return GO_ON;
	buf_reset(&c->arguments);
	o->inside = b == '{';
	if (o->inside)
		buf_byte(&c->arguments, b);
	return (b == '{' || b == '"' || b == 'n') && !o->given ? GO_ON : NO_CALL;
}

/* Arguments that are a string, which should hold the object, or null. */
static bool
quoted_arguments(struct calls *c, str value)
{
	struct err err;
	json_t *doc;
	bool object;
	str text;

	if (value.p[0] != '"')
		text = S("{}");
	else if (json_text(value, &c->arguments, &text, &err) < 0)
		return false;
	text = str_trim(text).n == 0 ? S("{}") : text;
	doc = json_doc(text, &err);
	object = json_is_object(doc);
	json_decref(doc);
	if (!object)
		return false;
	if (text.p != c->arguments.p) {
		buf_reset(&c->arguments);
		buf_add(&c->arguments, text);
	}
	return true;
}

/* The last byte of a member's value was read. */
static enum got
value_ends(struct calls *c)
{
	struct calls_one *o = &c->one;
	str value = { c->held.p + o->from, c->at + 1 - o->from }, name;
	struct err err;

	if (o->member == CALLED) {
		if (json_text(value, &c->name, &name, &err) < 0 || !is_tool(c, name))
			return NO_CALL;
		if (name.p != c->name.p) {
			buf_reset(&c->name);
			buf_add(&c->name, name);
		}
		o->named = true;
	} else if (o->member == ARGUMENTS) {
		if (!o->inside && !quoted_arguments(c, value))
			return NO_CALL;
		o->inside = false;
		o->given = true;
	}
	return GO_ON;
}

/* A byte of the object of a call, at the level of its members. */
static enum got
member_byte(struct calls *c, int at, char b)
{
	struct calls_one *o = &c->one;
	int now = c->json.at;

	if (at == JSON_VALUE)
		return value_begins(c, b);
	if ((at == JSON_TEXT || at == JSON_WORD) && now == JSON_NEXT)
		return value_ends(c);
	if (at == JSON_TEXT && now == JSON_COLON) {
		o->member = member_of((str){ c->held.p + o->from, c->at - o->from });
		return o->bare && o->member == OTHER ? NO_CALL : GO_ON;
	}
	if (at == JSON_KEY || at == JSON_FIRST_KEY)
		o->from = c->at + 1;
	if (c->json.depth == o->depth)
		return GO_ON;
	/* The object ends; without arguments there are none. */
	if (!o->named || o->bare)
		return NO_CALL;
	buf_reset(&c->arguments);
	buf_add(&c->arguments, S("{}"));
	o->given = true;
	return GO_ON;
}

/* A byte between calls. */
static enum got
outer_byte(struct calls *c, int at, char b)
{
	struct calls_one *o = &c->one;

	if (o->depth == 0) {
		o->depth = b == '[' ? 2 : 1;
		return GO_ON;
	}
	if (b == ']' || (at != JSON_VALUE && at != JSON_FIRST_VALUE))
		return GO_ON;
	*o = (struct calls_one){ .depth = o->depth, .bare = o->bare };
	return b == '{' ? GO_ON : NO_CALL;
}

static enum got
read_byte(struct calls *c, char b)
{
	struct calls_json *j = &c->json;
	struct calls_one *o = &c->one;
	int depth = j->depth, at = j->at;

	if (calls_json_byte(j, b) < 0)
		return NO_CALL;
	if (o->inside) {
		add_argument(c, b, at == JSON_TEXT);
		return j->depth == o->depth && j->at == JSON_NEXT ? value_ends(c) : GO_ON;
	}
	if (at <= JSON_NEXT && is_space(b))
		return GO_ON;
	if (depth < o->depth || (o->depth == 0 && !o->named))
		return outer_byte(c, at, b);
	return depth > o->depth || o->told ? GO_ON : member_byte(c, at, b);
}

/* The value that has the call or calls, byte by byte.  As read_text(). */
static int
read_value(struct calls *c, bool last, struct err *err)
{
	struct calls_one *o = &c->one;

	for (; c->at < c->held.n; c->at++) {
		char b = c->held.p[c->at];

		if (c->at - c->start > CALLS_TEXT_MAX && (b & 0xc0) != 0x80)
			return no_call(c, err);
		if (read_byte(c, b) == NO_CALL)
			return no_call(c, err);
		if (o->inside && o->named && c->pieces && begin(c, err) < 0)
			return -1;
		if (o->named && o->given && !o->told && end_call(c, CALLS_END, err) < 0)
			return -1;
		if (o->begun || o->told)
			c->start = c->at + 1;
		if (c->over || (c->json.depth == 0 && c->json.at == JSON_NEXT)) {
			if (!o->told)
				return no_call(c, err);
			c->at++;
			c->state = AFTER;
			return 1;
		}
	}
	if (o->begun && !o->told && tell_arguments(c, err) < 0)
		return -1;
	return last ? no_call(c, err) : 0;
}

/* ---- around a call ---- */

static void
skip_space(struct calls *c)
{
	while (c->at < c->held.n && is_space(c->held.p[c->at]))
		c->at++;
}

/* Behind the mark. */
static int
read_opened(struct calls *c, bool last, struct err *err)
{
	char b;

	skip_space(c);
	if (c->at == c->held.n)
		return last ? no_call(c, err) : 0;
	b = c->held.p[c->at];
	if (b != '{' && b != '[' && form(c)->args.n == 0)
		return no_call(c, err);
	c->one.from = c->at;
	c->state = b == '{' || b == '[' ? VALUE : NAME;
	return 1;
}

/* A name, up to what is between it and its arguments. */
static int
read_name(struct calls *c, bool last, struct err *err)
{
	str mark = form(c)->args, name;

	for (;; c->at++) {
		enum mark m = NO_MARK;
		char b;

		matches(from(c, c->at), mark, last, OPEN, &m);
		if (m == OPEN)
			break;
		if (c->at == c->held.n || m == MAYBE)
			return last ? no_call(c, err) : 0;
		b = c->held.p[c->at];
		if ((unsigned char)b <= ' ' || b == '{' ||
		    (c->at - c->one.from >= CALLS_NAME_MAX && (b & 0xc0) != 0x80))
			return no_call(c, err);
	}
	name = (str){ c->held.p + c->one.from, c->at - c->one.from };
	c->at += mark.n;
	/* Mistral's may be followed by an identifier. */
	if (mark.p[0] == '[')
		name = str_cut(&name, '[');
	if (!is_tool(c, name))
		return no_call(c, err);
	buf_reset(&c->name);
	buf_add(&c->name, name);
	c->one.named = true;
	c->one.member = ARGUMENTS;
	c->state = VALUE;
	return 1;
}

/* Behind a call: its end, or another one where nothing marks them. */
static int
read_after(struct calls *c, bool last)
{
	const struct calls_form *f = form(c);
	enum mark m = NO_MARK;

	c->at = c->start;
	skip_space(c);
	if (f->bare && c->at < c->held.n && strchr(";,", c->held.p[c->at]) != NULL) {
		c->at++;
		skip_space(c);
	}
	if (c->at == c->held.n && !last)
		return 0;
	matches(from(c, c->at), f->close, last, OPEN, &m);
	if (m == MAYBE)
		return 0;
	if (m == OPEN)
		c->start = c->at + f->close.n;
	if (f->bare && c->at < c->held.n && c->held.p[c->at] == '{') {
		bool bare = c->one.bare;

		begin_call(c);
		c->one.bare = bare;
		return 1;
	}
	c->state = TEXT;
	c->at = c->start;
	return 1;
}

/* ---- use ---- */

static int
run(struct calls *c, bool last, struct err *err)
{
	int got = 1;

	if (c->state == NEW) {
		c->state = c->thinking ? THOUGHT : TEXT;
		c->trim = c->thinking;
	}
	while (got > 0 && !c->over) {
		switch (c->state) {
		case OPENED:
			got = read_opened(c, last, err);
			break;
		case NAME:
			got = read_name(c, last, err);
			break;
		case VALUE:
			got = read_value(c, last, err);
			break;
		case AFTER:
			got = read_after(c, last);
			break;
		default:
			got = read_text(c, last, err);
		}
	}
	if (c->over)
		c->start = c->at = c->held.n;
	return got < 0 ? -1 : 0;
}

int
calls_feed(struct calls *c, str text, struct err *err)
{
	if (c->over)
		return 0;
	buf_add(&c->held, text);
	if (buf_ok(&c->held, err) < 0 || run(c, false, err) < 0)
		return -1;
	if (c->start > 0) {
		memmove(c->held.p, c->held.p + c->start, (size_t)(c->held.n - c->start));
		c->held.n -= c->start;
		c->at -= c->start;
		c->one.from -= c->start;
		c->start = 0;
	}
	return buf_ok(&c->name, err);
}

int
calls_end(struct calls *c, struct err *err)
{
	return run(c, true, err);
}

void
calls_free(struct calls *c)
{
	buf_free(&c->held);
	buf_free(&c->name);
	buf_free(&c->arguments);
}
