#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "infer/grammar_impl.h"
#include "text/unicode.h"
#include "token/strmap.h"
#include "token/tokenizer.h"

/* A source on its way.  After an error the builder has it, and p is the end. */
struct gbnf {
	struct builder	 b;
	const struct tokenizer *tok;
	const char	*start, *p, *end;
	str		*name;		/* of rules, for the map */
	struct strmap	 map;
	int		 nest;
};

static int64_t
line_at(const struct gbnf *g, ptrdiff_t at)
{
	return 1 + json_lines((str){ g->start, at });
}

/* An error where the source is read; NULL. */
static const struct expr *fail(struct gbnf *g, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static const struct expr *
fail(struct gbnf *g, enum err_code code, const char *fmt, ...)
{
	char msg[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	builder_fail(&g->b, code, "line %lld: %s", (long long)line_at(g, g->p - g->start), msg);
	g->p = g->end;
	return NULL;
}

static bool
more(const struct gbnf *g)
{
	return g->p < g->end;
}

static bool
at(const struct gbnf *g, char c)
{
	return g->p < g->end && *g->p == c;
}

static bool
eat(struct gbnf *g, char c)
{
	bool there = at(g, c);

	g->p += there;
	return there;
}

static void
skip(struct gbnf *g, bool newlines)
{
	for (; more(g); g->p++) {
		if (*g->p == '#')
			while (g->p < g->end - 1 && g->p[1] != '\n' && g->p[1] != '\r')
				g->p++;
		else if (*g->p != ' ' && *g->p != '\t' &&
		    (!newlines || (*g->p != '\n' && *g->p != '\r')))
			break;
	}
}

static bool
is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '_';
}

static str
read_name(struct gbnf *g)
{
	str name = { g->p, 0 };

	for (; more(g) && is_name(*g->p); g->p++)
		name.n++;
	return name;
}

static int32_t
rule_of(struct gbnf *g, str name)
{
	int32_t i = strmap_find(&g->map, name);

	if (i >= 0)
		return i;
	if ((i = builder_rule(&g->b, name, name.p - g->start)) < 0) {
		g->p = g->end;
		return -1;
	}
	g->name[i] = g->b.rule[i].name;
	return strmap_add(&g->map, i);
}

/* ---- characters ---- */

static int
hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	    c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int32_t
hex(struct gbnf *g, int digits)
{
	int64_t c = 0;

	for (int i = 0; i < digits; i++, g->p++) {
		int x = more(g) ? hex_value(*g->p) : -1;

		if (x < 0) {
			fail(g, ERR_FORMAT, "%d hexadecimal digits expected", digits);
			return -1;
		}
		c = c * 16 + x;
	}
	if (c > CHAR_MAX_VALUE) {
		fail(g, ERR_FORMAT, "no character has so high a number");
		return -1;
	}
	return (int32_t)c;
}

/* A character of a literal or class, or -1. */
static int32_t
read_char(struct gbnf *g)
{
	static const char from[] = "nrt", to[] = "\n\r\t";
	const char *k;

	if (!more(g) || *g->p == '\n') {
		fail(g, ERR_FORMAT, "a literal or class has no end");
		return -1;
	}
	if (*g->p != '\\')
		return utf8_next(&g->p, g->end);
	if (++g->p == g->end) {
		fail(g, ERR_FORMAT, "nothing after a backslash");
		return -1;
	}
	if (eat(g, 'x'))
		return hex(g, 2);
	if (eat(g, 'u'))
		return hex(g, 4);
	if (eat(g, 'U'))
		return hex(g, 8);
	if ((k = strchr(from, *g->p)) != NULL && *k != '\0') {
		g->p++;
		return to[k - from];
	}
	if ((*g->p >= 'a' && *g->p <= 'z') || (*g->p >= 'A' && *g->p <= 'Z') ||
	    (*g->p >= '0' && *g->p <= '9')) {
		fail(g, ERR_FORMAT, "unknown escape \\%c", *g->p);
		return -1;
	}
	return utf8_next(&g->p, g->end);
}

static const struct expr *
literal(struct gbnf *g)
{
	struct buf b = { 0 };
	const struct expr *e;

	while (!eat(g, '"')) {
		int32_t c = read_char(g);
		char utf8[4];

		if (c < 0)
			break;
		if (c >= 0xd800 && c < 0xe000) {
			fail(g, ERR_FORMAT, "half of a surrogate pair is no character");
			break;
		}
		buf_add(&b, (str){ utf8, utf8_put(utf8, c) });
	}
	e = expr_bytes(&g->b, buf_str(&b));
	buf_free(&b);
	return e;
}

static const struct expr *
class(struct gbnf *g)
{
	struct chars *c = chars_new(&g->b);
	bool not = eat(g, '^');

	while (!eat(g, ']')) {
		int32_t lo = read_char(g), hi = lo;

		if (lo < 0)
			return NULL;
		if (at(g, '-') && g->end - g->p > 1 && g->p[1] != ']') {
			g->p++;
			if ((hi = read_char(g)) < 0)
				return NULL;
		}
		if (hi < lo)
			return fail(g, ERR_FORMAT, "a range of characters runs backwards");
		chars_add(&g->b, c, lo, hi);
	}
	chars_sort(c);
	return expr_chars(&g->b, not ? chars_not(&g->b, c) : c);
}

/* ---- tokens ---- */

static int32_t
token_id(struct gbnf *g)
{
	const char *start = g->p - 1;
	int64_t id = 0;
	str name;

	if (eat(g, '[')) {
		const char *digits = g->p;

		for (; more(g) && *g->p >= '0' && *g->p <= '9' && id <= INT32_MAX; g->p++)
			id = id * 10 + (*g->p - '0');
		if (g->p > digits && id <= INT32_MAX && eat(g, ']') && eat(g, '>'))
			return (int32_t)id;
		fail(g, ERR_FORMAT, "a token by number is <[number]>");
		return -1;
	}
	while (more(g) && *g->p != '>' && *g->p != '\n')
		g->p++;
	if (!eat(g, '>')) {
		fail(g, ERR_FORMAT, "a token's name has no '>'");
		return -1;
	}
	name = (str){ start, g->p - start };
	if (g->tok == NULL)
		fail(g, ERR_ARG, "a token by name, %.*s, and no tokenizer", STR_ARG(name));
	else if ((id = tokenizer_id(g->tok, name)) < 0)
		fail(g, ERR_FORMAT, "the tokenizer has no token %.*s", STR_ARG(name));
	else
		return (int32_t)id;
	return -1;
}

/* One token: its mark and its number; or any with another number. */
static const struct expr *
token(struct gbnf *g, bool not)
{
	struct builder *b = &g->b;
	const struct expr *e = expr_none(b), *same = expr_byte(b, TOKEN_MARK, TOKEN_MARK);
	int32_t id = eat(g, '<') ? token_id(g) : -1;

	if (id < 0)
		return g->b.failed ? NULL : fail(g, ERR_FORMAT, "'<' expected after '!'");
	for (int i = 3; i >= 0; i--) {
		int byte = id >> (8 * i) & 0xff;
		const struct expr *other = expr_none(b), *rest = expr_byte(b, 0, 0xff);

		if (byte > 0)
			other = expr_byte(b, 0, byte - 1);
		if (byte < 0xff)
			other = expr_alt(b, other, expr_byte(b, byte + 1, 0xff));
		other = expr_seq(b, other, expr_repeat(b, rest, i, i));
		e = expr_alt(b, e, expr_seq(b, same, other));
		same = expr_seq(b, same, expr_byte(b, byte, byte));
	}
	return not ? e : same;
}

/* ---- sequences ---- */

static const struct expr *alternatives(struct gbnf *g, bool nested);

static int32_t
number(struct gbnf *g)
{
	const char *digits = g->p;
	int64_t n = 0;

	for (; more(g) && *g->p >= '0' && *g->p <= '9' && n <= GRAMMAR_REPEAT_MAX; g->p++)
		n = n * 10 + (*g->p - '0');
	if (g->p == digits)
		fail(g, ERR_FORMAT, "a number expected in {}");
	else if (n > GRAMMAR_REPEAT_MAX)
		fail(g, ERR_LIMIT, "a repetition of more than %d", GRAMMAR_REPEAT_MAX);
	else
		return (int32_t)n;
	return -1;
}

/* {m}, {m,} or {m,n}, behind its brace. */
static const struct expr *
counted(struct gbnf *g, const struct expr *e)
{
	int32_t min, max;

	skip(g, true);
	if ((min = max = number(g)) < 0)
		return NULL;
	skip(g, true);
	if (eat(g, ',')) {
		skip(g, true);
		max = REPEAT_INF;
		if (!at(g, '}') && (max = number(g)) < 0)
			return NULL;
		skip(g, true);
	}
	if (!eat(g, '}'))
		return fail(g, ERR_FORMAT, "'}' expected");
	if (max != REPEAT_INF && max < min)
		return fail(g, ERR_FORMAT, "a repetition of at least %d and at most %d", min, max);
	return expr_repeat(&g->b, e, min, max);
}

static const struct expr *
quantified(struct gbnf *g, const struct expr *e, bool nested)
{
	for (;;) {
		const char *here = g->p;

		skip(g, nested);
		if (eat(g, '*')) {
			e = expr_repeat(&g->b, e, 0, REPEAT_INF);
		} else if (eat(g, '+')) {
			e = expr_repeat(&g->b, e, 1, REPEAT_INF);
		} else if (eat(g, '?')) {
			e = expr_repeat(&g->b, e, 0, 1);
		} else if (eat(g, '{')) {
			e = counted(g, e);
		} else {
			g->p = g->b.failed ? g->end : here;
			return e;
		}
	}
}

static const struct expr *
group(struct gbnf *g)
{
	const struct expr *e;

	if (g->nest == GRAMMAR_NEST_MAX)
		return fail(g, ERR_LIMIT, "more than %d groups in groups", GRAMMAR_NEST_MAX);
	g->nest++;
	skip(g, true);
	e = alternatives(g, true);
	g->nest--;
	return eat(g, ')') ? e : fail(g, ERR_FORMAT, "')' expected");
}

/* %json {...}: an instance of a schema. */
static const struct expr *
schema(struct gbnf *g)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK;
	const struct expr *e;
	json_error_t why;
	json_t *root;

	if (!str_eq(read_name(g), S("json")))
		return fail(g, ERR_FORMAT, "'%%json' expected");
	skip(g, true);
	if ((root = json_loadb(g->p, (size_t)(g->end - g->p), flags, &why)) == NULL)
		return fail(g, ERR_FORMAT, "a schema expected after '%%json': %s", why.text);
	g->p += why.position;
	e = schema_expr(&g->b, root, &(struct schema_options){ 0 });
	json_decref(root);
	if (e == NULL)
		g->p = g->end;
	return e;
}

/* What a sequence is made of; NULL without an error: none begins here. */
static const struct expr *
item(struct gbnf *g)
{
	if (eat(g, '"'))
		return literal(g);
	if (eat(g, '['))
		return class(g);
	if (eat(g, '('))
		return group(g);
	if (eat(g, '.'))
		return expr_chars(&g->b, chars_not(&g->b, chars_new(&g->b)));
	if (eat(g, '%'))
		return schema(g);
	if (at(g, '<') || at(g, '!'))
		return token(g, eat(g, '!'));
	if (more(g) && is_name(*g->p))
		return expr_call(&g->b, rule_of(g, read_name(g)));
	return NULL;
}

static const struct expr *
sequence(struct gbnf *g, bool nested)
{
	const struct expr *all = expr_empty(&g->b), *e;

	while ((e = item(g)) != NULL) {
		all = expr_seq(&g->b, all, quantified(g, e, nested));
		skip(g, nested);
	}
	return all;
}

static const struct expr *
alternatives(struct gbnf *g, bool nested)
{
	const struct expr *all = sequence(g, nested);

	while (eat(g, '|')) {
		skip(g, true);
		all = expr_alt(&g->b, all, sequence(g, nested));
	}
	return all;
}

static void
rule(struct gbnf *g)
{
	str name = read_name(g);
	int32_t i;

	if (name.n == 0) {
		fail(g, ERR_FORMAT, "a rule's name expected");
		return;
	}
	if ((i = rule_of(g, name)) < 0)
		return;
	skip(g, false);
	if (g->b.rule[i].body != NULL) {
		fail(g, ERR_FORMAT, "rule '%.*s' is there twice", STR_ARG(name));
		return;
	}
	if (!str_starts((str){ g->p, g->end - g->p }, S("::="))) {
		fail(g, ERR_FORMAT, "'::=' expected after '%.*s'", STR_ARG(name));
		return;
	}
	g->p += 3;
	skip(g, true);
	g->b.rule[i].body = alternatives(g, false);
	if (more(g) && *g->p != '\n' && *g->p != '\r')
		fail(g, ERR_FORMAT, "unexpected '%c'", *g->p);
}

static void
read_rules(struct gbnf *g)
{
	rule_of(g, S("root"));
	for (skip(g, true); more(g); skip(g, true))
		rule(g);
	for (int32_t i = 0; i < g->b.n_rules && !g->b.failed; i++) {
		const struct rule *r = &g->b.rule[i];

		if (r->body != NULL)
			continue;
		if (i == 0)
			builder_fail(&g->b, ERR_FORMAT, "no rule 'root'");
		else
			builder_fail(&g->b, ERR_FORMAT, "line %lld: no rule '%.*s'",
			    (long long)line_at(g, r->at), STR_ARG(r->name));
	}
}

struct grammar *
grammar_gbnf(str source, const struct tokenizer *tok, struct err *err)
{
	struct gbnf g = { .tok = tok, .start = source.p, .p = source.p,
	    .end = source.p + source.n };
	struct grammar *made = NULL;

	if (source.n > GRAMMAR_TEXT_MAX) {
		err_set(err, ERR_LIMIT, "a grammar of more than %td bytes", GRAMMAR_TEXT_MAX);
		return NULL;
	}
	if (utf8_bad(source) >= 0) {
		err_set(err, ERR_FORMAT, "the grammar is no UTF-8 at byte %td", utf8_bad(source));
		return NULL;
	}
	if (builder_init(&g.b, err) < 0)
		return NULL;
	if ((g.name = arena_new(&g.b.arena, str, GRAMMAR_RULES_MAX, err)) != NULL &&
	    strmap_init(&g.map, GRAMMAR_RULES_MAX, g.name, err) == 0) {
		read_rules(&g);
		made = grammar_compile(&g.b, false, err);
		strmap_free(&g.map);
	}
	builder_free(&g.b);
	return made;
}
