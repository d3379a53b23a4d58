/*
 * Expressions, in the grammar of Jinja: filters bind closer than signs, `~' closer
 * than `+', and a test takes one argument without brackets.
 */
#include <errno.h>
#include <stdlib.h>

#include "token/template_run_impl.h"

static struct node *
binary(struct parser *p, enum node_kind kind, int op, struct node *a, struct node *b)
{
	struct node *n = a != NULL && b != NULL ? tpl_node(p, kind) : NULL;

	if (n != NULL) {
		n->op = op;
		n->a = a;
		n->b = b;
		n->line = a->line;
	}
	return n;
}

static struct node *
unary(struct parser *p, enum node_kind kind, struct node *a)
{
	struct node *n = a != NULL ? tpl_node(p, kind) : NULL;

	if (n != NULL) {
		n->a = a;
		n->line = a->line;
	}
	return n;
}

/* ---- primaries ---- */

static struct node *
number(struct parser *p)
{
	const struct tok *t = p->tok;
	struct node *n = tpl_node(p, t->type == T_INT ? E_INT : E_FLOAT);
	char *end;
	bool prefix = t->text.n > 1 && t->text.p[0] == '0' && (t->text.p[1] | 32) > '9';
	char letter = prefix ? (char)(t->text.p[1] | 32) : '\0';
	int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;

	if (n == NULL)
		return NULL;
	errno = 0;
	if (t->type == T_INT)
		n->i = strtoll(t->text.p + (prefix ? 2 : 0), &end, base);
	else
		n->f = strtod(t->text.p, &end);
	if ((t->type == T_INT && errno == ERANGE) || end != t->text.p + t->text.n) {
		tpl_parse_fail(p, "'%.*s' is no number here", STR_ARG(t->text));
		return NULL;
	}
	p->tok++;
	return n;
}

/* Strings side by side are one. */
static struct node *
string(struct parser *p)
{
	struct node *n = tpl_node(p, E_STR);
	ptrdiff_t size = 0;
	char *out;

	if (n == NULL)
		return NULL;
	n->text = p->tok->text;
	if (p->tok[1].type != T_STR) {
		p->tok++;
		return n;
	}
	for (const struct tok *t = p->tok; t->type == T_STR; t++)
		size += t->text.n;
	if ((out = arena_alloc(p->a, size, 1, p->err)) == NULL)
		return NULL;
	n->text = (str){ out, size };
	for (; p->tok->type == T_STR; p->tok++) {
		memcpy(out, p->tok->text.p, (size_t)p->tok->text.n);
		out += p->tok->text.n;
	}
	return n;
}

static struct node *
name(struct parser *p)
{
	static const struct { const char *name; enum node_kind kind; int i; } constant[] = {
		{ "true", E_BOOL, 1 }, { "True", E_BOOL, 1 }, { "false", E_BOOL, 0 },
		{ "False", E_BOOL, 0 }, { "none", E_NONE, 0 }, { "None", E_NONE, 0 }
	};
	struct node *n = tpl_node(p, E_NAME);

	if (n == NULL)
		return NULL;
	n->text = p->tok->text;
	for (size_t i = 0; i < sizeof(constant) / sizeof(*constant); i++)
		if (str_eq(n->text, str_of(constant[i].name))) {
			n->kind = constant[i].kind;
			n->i = constant[i].i;
		}
	p->tok++;
	return n;
}

/* [a, b] and {k: v}; the bracket is the next token. */
static struct node *
container(struct parser *p)
{
	bool dict = p->tok->type == '{';
	int close = dict ? '}' : ']';
	struct node *n = tpl_node(p, dict ? E_DICT : E_LIST), *key, **tail;

	if (n == NULL)
		return NULL;
	tail = &n->a;
	for (p->tok++; p->tok->type != close; tail = &(*tail)->next) {
		if (n->a != NULL && tpl_expect(p, ',') < 0)
			return NULL;
		if (p->tok->type == close)
			break;
		*tail = key = tpl_expression(p);
		if (key == NULL || (dict && (tpl_expect(p, ':') < 0 ||
		    (*tail = binary(p, E_PAIR, 0, key, tpl_expression(p))) == NULL)))
			return NULL;
	}
	p->tok++;
	return n;
}

struct node *
tpl_primary(struct parser *p)
{
	struct node *n;

	switch (p->tok->type) {
	case T_NAME:
		return name(p);
	case T_STR:
		return string(p);
	case T_INT: case T_FLOAT:
		return number(p);
	case '[': case '{':
		return container(p);
	case '(':
		p->tok++;
		if (p->tok->type == ')') {
			p->tok++;
			return tpl_node(p, E_TUPLE);
		}
		n = tpl_tuple(p, tpl_expression, NULL);
		return n != NULL && tpl_expect(p, ')') == 0 ? n : NULL;
	default:
		tpl_parse_fail(p, "expected an expression");
		return NULL;
	}
}

/* ---- what follows a primary ---- */

/* Arguments in brackets, the first of which is the next token: false is a failure. */
static bool
arguments(struct parser *p, struct node **list)
{
	bool keyword = false;

	if (tpl_expect(p, '(') < 0)
		return false;
	for (struct node **tail = list; p->tok->type != ')'; tail = &(*tail)->next) {
		if (tail != list && tpl_expect(p, ',') < 0)
			return false;
		if (p->tok->type == ')')
			break;
		if (p->tok->type == '*' || p->tok->type == T_POW)
			return tpl_parse_fail(p, "* and ** arguments are not supported") == 0;
		if (p->tok->type == T_NAME && p->tok[1].type == '=') {
			str key = p->tok->text;

			p->tok += 2;
			keyword = true;
			if ((*tail = unary(p, E_KEYWORD, tpl_expression(p))) == NULL)
				return false;
			(*tail)->text = key;
		} else if (keyword) {
			return tpl_parse_fail(p, "an argument after named ones") == 0;
		} else if ((*tail = tpl_expression(p)) == NULL) {
			return false;
		}
	}
	p->tok++;
	return true;
}

/* What is in a subscript's brackets: an index, or a slice's three parts. */
static struct node *
subscript(struct parser *p)
{
	struct node *from = NULL, *n;

	if (p->tok->type != ':' && ((from = tpl_expression(p)) == NULL || p->tok->type != ':'))
		return from;
	if ((n = tpl_node(p, E_SLICE)) == NULL)
		return NULL;
	p->tok++;
	n->b = from;
	if (p->tok->type != ':' && p->tok->type != ']' && (n->c = tpl_expression(p)) == NULL)
		return NULL;
	if (tpl_skip(p, ':') && p->tok->type != ']' && (n->other = tpl_expression(p)) == NULL)
		return NULL;
	return n;
}

static struct node *
item(struct parser *p, struct node *of)
{
	struct node *n;

	p->tok++;
	if ((n = subscript(p)) == NULL || tpl_expect(p, ']') < 0)
		return NULL;
	if (n->kind != E_SLICE || n->a != NULL)
		return binary(p, E_ITEM, 0, of, n);
	n->a = of;
	return n;
}

static struct node *
attribute(struct parser *p, struct node *of)
{
	struct node *n;

	p->tok++;
	if (p->tok->type == T_INT)
		return binary(p, E_ITEM, 0, of, number(p));
	if (p->tok->type != T_NAME) {
		tpl_parse_fail(p, "expected a name after the dot");
		return NULL;
	}
	if ((n = unary(p, E_ATTR, of)) != NULL)
		n->text = (p->tok++)->text;
	return n;
}

static struct node *
call(struct parser *p, struct node *of)
{
	struct node *n = unary(p, E_CALL, of);

	return n != NULL && arguments(p, &n->b) ? n : NULL;
}

struct node *
tpl_postfix(struct parser *p, struct node *n)
{
	while (n != NULL)
		if (p->tok->type == '.')
			n = attribute(p, n);
		else if (p->tok->type == '[')
			n = item(p, n);
		else if (p->tok->type == '(')
			n = call(p, n);
		else
			break;
	return n;
}

/* The name of a filter or test that is the next token. */
static struct node *
named(struct parser *p, enum node_kind kind, struct node *of)
{
	struct node *n = tpl_node(p, kind);

	if (n == NULL)
		return NULL;
	if (p->tok->type != T_NAME) {
		tpl_parse_fail(p, "expected the name of a %s", kind == E_TEST ? "test" : "filter");
		return NULL;
	}
	n->a = of;
	n->text = (p->tok++)->text;
	n->builtin = kind == E_TEST ? tpl_find_test(n->text) : tpl_find_filter(n->text);
	return n;
}

static struct node *
test(struct parser *p, struct node *of)
{
	bool not = tpl_skip_name(p, "not");
	struct node *n = named(p, E_TEST, of);
	int type = p->tok->type;

	if (n == NULL)
		return NULL;
	if (type == '(') {
		if (!arguments(p, &n->b))
			return NULL;
	} else if (((type == T_NAME && !tpl_is_name(p->tok, "else") && !tpl_is_name(p->tok, "or") &&
	    !tpl_is_name(p->tok, "and")) || type == T_STR || type == T_INT || type == T_FLOAT ||
	    type == '[' || type == '{')) {
		if (tpl_is_name(p->tok, "is")) {
			tpl_parse_fail(p, "a test of a test needs brackets");
			return NULL;
		}
		if ((n->b = tpl_postfix(p, tpl_primary(p))) == NULL)
			return NULL;
	}
	return not ? unary(p, E_NOT, n) : n;
}

struct node *
tpl_filters(struct parser *p, struct node *n, bool first)
{
	for (; first || tpl_skip(p, '|'); first = false) {
		n = named(p, E_FILTER, n);
		if (n == NULL || (p->tok->type == '(' && !arguments(p, &n->b)))
			return NULL;
	}
	return n;
}

static struct node *
filters_and_tests(struct parser *p, struct node *n)
{
	while (n != NULL)
		if (p->tok->type == '|')
			n = tpl_filters(p, n, false);
		else if (tpl_skip_name(p, "is"))
			n = test(p, n);
		else if (p->tok->type == '(')
			n = call(p, n);
		else
			break;
	return n;
}

/* ---- operators, the closest first ---- */

static struct node *
signed_(struct parser *p, bool with_filters)
{
	struct node *n;
	int type = p->tok->type;

	if (type == '-' || type == '+') {
		if (!tpl_enter(p))
			return NULL;
		p->tok++;
		n = unary(p, type == '-' ? E_NEG : E_POS, signed_(p, false));
		p->depth--;
	} else {
		n = tpl_primary(p);
	}
	n = tpl_postfix(p, n);
	return with_filters ? filters_and_tests(p, n) : n;
}

static struct node *
power(struct parser *p)
{
	struct node *n = signed_(p, true);

	while (n != NULL && tpl_skip(p, T_POW))
		n = binary(p, E_BINARY, T_POW, n, signed_(p, true));
	return n;
}

static struct node *
product(struct parser *p)
{
	struct node *n = power(p);

	while (n != NULL && (p->tok->type == '*' || p->tok->type == '/' || p->tok->type == '%' ||
	    p->tok->type == T_FLOORDIV)) {
		int op = (p->tok++)->type;

		n = binary(p, E_BINARY, op, n, power(p));
	}
	return n;
}

static struct node *
concat(struct parser *p)
{
	struct node *n = product(p), *last = n;

	if (n == NULL || p->tok->type != '~' || (n = unary(p, E_CONCAT, n)) == NULL)
		return n;
	while (tpl_skip(p, '~')) {
		if ((last->next = product(p)) == NULL)
			return NULL;
		last = last->next;
	}
	return n;
}

static struct node *
sum(struct parser *p)
{
	struct node *n = concat(p);

	while (n != NULL && (p->tok->type == '+' || p->tok->type == '-')) {
		int op = (p->tok++)->type;

		n = binary(p, E_BINARY, op, n, concat(p));
	}
	return n;
}

/* The operator of a comparison, if it is the next token, or 0. */
static int
comparison(struct parser *p)
{
	int type = p->tok->type;

	if (type == T_EQ || type == T_NE || type == T_LE || type == T_GE || type == '<' ||
	    type == '>') {
		p->tok++;
		return type;
	}
	if (tpl_skip_name(p, "in"))
		return T_IN;
	if (tpl_is_name(p->tok, "not") && tpl_is_name(p->tok + 1, "in")) {
		p->tok += 2;
		return T_NOTIN;
	}
	return 0;
}

static struct node *
compare(struct parser *p)
{
	struct node *n = sum(p), **tail = NULL;
	int op;

	while (n != NULL && (op = comparison(p)) != 0) {
		if (tail == NULL) {
			if ((n = unary(p, E_COMPARE, n)) == NULL)
				return NULL;
			tail = &n->b;
		}
		if ((*tail = unary(p, E_OPERAND, sum(p))) == NULL)
			return NULL;
		(*tail)->op = op;
		tail = &(*tail)->next;
	}
	return n;
}

static struct node *
negation(struct parser *p)
{
	struct node *n;

	if (!tpl_is_name(p->tok, "not"))
		return compare(p);
	if (!tpl_enter(p))
		return NULL;
	p->tok++;
	n = unary(p, E_NOT, negation(p));
	p->depth--;
	return n;
}

static struct node *
conjunction(struct parser *p)
{
	struct node *n = negation(p);

	while (n != NULL && tpl_skip_name(p, "and"))
		n = binary(p, E_AND, 0, n, negation(p));
	return n;
}

struct node *
tpl_or(struct parser *p)
{
	struct node *n;

	if (!tpl_enter(p))
		return NULL;
	n = conjunction(p);
	while (n != NULL && tpl_skip_name(p, "or"))
		n = binary(p, E_OR, 0, n, conjunction(p));
	p->depth--;
	return n;
}

struct node *
tpl_expression(struct parser *p)
{
	struct node *n, *then = NULL;

	if (!tpl_enter(p))
		return NULL;
	n = tpl_or(p);
	while (n != NULL && tpl_skip_name(p, "if")) {
		then = n;
		if ((n = unary(p, E_COND, tpl_or(p))) == NULL)
			break;
		n->b = then;
		if (tpl_skip_name(p, "else") && (n->c = tpl_expression(p)) == NULL)
			n = NULL;
	}
	p->depth--;
	return n;
}

struct node *
tpl_tuple(struct parser *p, struct node *(*element)(struct parser *), const char *end)
{
	struct node *first = element(p), *n, **tail;

	if (first == NULL || p->tok->type != ',' || (n = unary(p, E_TUPLE, first)) == NULL)
		return first;
	tail = &first->next;
	while (tpl_skip(p, ',')) {
		int type = p->tok->type;

		if (type == T_VAR_END || type == T_BLOCK_END || type == ')' ||
		    (end != NULL && tpl_is_name(p->tok, end)))
			break;
		if ((*tail = element(p)) == NULL)
			return NULL;
		tail = &(*tail)->next;
	}
	return n;
}
