#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"
#include "token/template_run_impl.h"

/* ---- what the parser's files share ---- */

int
tpl_parse_fail(struct parser *p, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (p->tok->type == T_EOF)
		return err_set(p->err, ERR_FORMAT, "line %d: %s, not the end", p->tok->line, why);
	return err_set(p->err, ERR_FORMAT, "line %d: %s, at '%.*s'", p->tok->line, why,
	    (int)(p->tok->text.n < 32 ? p->tok->text.n : 32), p->tok->text.p);
}

struct node *
tpl_node(struct parser *p, enum node_kind kind)
{
	struct node *n = arena_new(p->a, struct node, 1, p->err);

	if (n != NULL) {
		n->kind = kind;
		n->line = p->tok->line;
	}
	return n;
}

bool
tpl_is_name(const struct tok *t, const char *name)
{
	return t->type == T_NAME && str_eq(t->text, str_of(name));
}

bool
tpl_skip(struct parser *p, int type)
{
	if (p->tok->type != type)
		return false;
	p->tok++;
	return true;
}

bool
tpl_skip_name(struct parser *p, const char *name)
{
	if (!tpl_is_name(p->tok, name))
		return false;
	p->tok++;
	return true;
}

int
tpl_expect(struct parser *p, int type)
{
	if (tpl_skip(p, type))
		return 0;
	if (type < 256)
		return tpl_parse_fail(p, "expected '%c'", type);
	return tpl_parse_fail(p, "expected %s", type == T_BLOCK_END ? "%}" :
	    type == T_VAR_END ? "}}" : "a name");
}

bool
tpl_enter(struct parser *p)
{
	if (p->depth < TEMPLATE_DEPTH) {
		p->depth++;
		return true;
	}
	tpl_parse_fail(p, "nested more than %d deep", TEMPLATE_DEPTH);
	return false;
}

/* ---- statements ---- */

static int statements(struct parser *p, struct node **body, const char *const *end);

/* From the end of a tag to the next of these names, which becomes the next token. */
static int
body_until(struct parser *p, struct node **body, const char *const *end)
{
	tpl_skip(p, ':');
	return tpl_expect(p, T_BLOCK_END) < 0 ? -1 : statements(p, body, end);
}

/* The same with one name, which is passed. */
static int
whole_body(struct parser *p, struct node **body, const char *end)
{
	const char *const ends[] = { end, NULL };

	if (body_until(p, body, ends) < 0)
		return -1;
	p->tok++;
	return 0;
}

/* A name, a namespace's attribute, or some of them. */
static struct node *
target_one(struct parser *p)
{
	struct node *n, *attr;

	if (p->tok->type == '(') {
		p->tok++;
		if (!tpl_enter(p))
			return NULL;
		n = tpl_tuple(p, target_one, NULL);
		p->depth--;
		return n != NULL && tpl_expect(p, ')') == 0 ? n : NULL;
	}
	if (p->tok->type != T_NAME) {
		tpl_parse_fail(p, "expected a name");
		return NULL;
	}
	if ((n = tpl_primary(p)) == NULL)
		return NULL;
	if (n->kind != E_NAME) {
		p->tok--;
		tpl_parse_fail(p, "a constant gets no value");
		return NULL;
	}
	if (p->tok->type != '.' || p->tok[1].type != T_NAME)
		return n;
	if ((attr = tpl_node(p, E_ATTR)) == NULL)
		return NULL;
	attr->a = n;
	attr->text = p->tok[1].text;
	p->tok += 2;
	return attr;
}

static int
parse_for(struct parser *p, struct node *n)
{
	static const char *const ends[] = { "endfor", "else", NULL };

	n->kind = N_FOR;
	if ((n->a = tpl_tuple(p, target_one, "in")) == NULL)
		return -1;
	if (!tpl_skip_name(p, "in"))
		return tpl_parse_fail(p, "expected 'in'");
	if ((n->b = tpl_tuple(p, tpl_or, "recursive")) == NULL ||
	    (tpl_skip_name(p, "if") && (n->c = tpl_expression(p)) == NULL))
		return -1;
	if (tpl_is_name(p->tok, "recursive"))
		return tpl_parse_fail(p, "recursive loops are not supported");
	if (body_until(p, &n->body, ends) < 0)
		return -1;
	p->loops--;
	if (tpl_skip_name(p, "else"))
		return whole_body(p, &n->other, "endfor");
	p->tok++;
	return 0;
}

static int
parse_if(struct parser *p, struct node *n)
{
	static const char *const ends[] = { "elif", "else", "endif", NULL };

	for (;;) {
		n->kind = N_IF;
		if ((n->a = tpl_tuple(p, tpl_or, NULL)) == NULL ||
		    body_until(p, &n->body, ends) < 0)
			return -1;
		if (tpl_skip_name(p, "endif"))
			return 0;
		if ((n->other = tpl_node(p, N_IF)) == NULL)
			return -1;
		n = n->other;
		if (tpl_skip_name(p, "else"))
			return whole_body(p, &n->body, "endif");
		p->tok++;
	}
}

static int
parse_set(struct parser *p, struct node *n)
{
	n->kind = N_SET;
	if ((n->a = tpl_tuple(p, target_one, NULL)) == NULL)
		return -1;
	if (tpl_skip(p, '='))
		return (n->b = tpl_tuple(p, tpl_expression, NULL)) != NULL ? 0 : -1;
	n->kind = N_SET_BLOCK;
	if (p->tok->type == '|' && (n->b = tpl_filters(p, NULL, false)) == NULL)
		return -1;
	return whole_body(p, &n->body, "endset");
}

/* Names in brackets, with what they are unless said. */
static int
parse_parameters(struct parser *p, struct node **list)
{
	if (tpl_expect(p, '(') < 0)
		return -1;
	for (struct node **tail = list; p->tok->type != ')'; tail = &(*tail)->next) {
		if (tail != list && tpl_expect(p, ',') < 0)
			return -1;
		if (p->tok->type == ')')
			break;
		if ((*tail = tpl_node(p, E_NAME)) == NULL)
			return -1;
		(*tail)->text = p->tok->text;
		if (tpl_expect(p, T_NAME) < 0 ||
		    (tpl_skip(p, '=') && ((*tail)->a = tpl_expression(p)) == NULL))
			return -1;
	}
	p->tok++;
	return 0;
}

static int
parse_macro(struct parser *p, struct node *n)
{
	n->kind = N_MACRO;
	p->loops = 0;
	n->text = p->tok->text;
	if (tpl_expect(p, T_NAME) < 0 || parse_parameters(p, &n->a) < 0)
		return -1;
	return whole_body(p, &n->body, "endmacro");
}

static int
parse_call(struct parser *p, struct node *n)
{
	n->kind = N_CALL_BLOCK;
	n->text = S("caller");
	p->loops = 0;
	if ((p->tok->type == '(' && parse_parameters(p, &n->b) < 0) ||
	    (n->a = tpl_expression(p)) == NULL)
		return -1;
	if (n->a->kind != E_CALL)
		return tpl_parse_fail(p, "expected a call");
	return whole_body(p, &n->body, "endcall");
}

static int
parse_filter(struct parser *p, struct node *n)
{
	n->kind = N_FILTER_BLOCK;
	if ((n->b = tpl_filters(p, NULL, true)) == NULL)
		return -1;
	return whole_body(p, &n->body, "endfilter");
}

static int
parse_with(struct parser *p, struct node *n)
{
	struct node *set;

	n->kind = N_WITH;
	for (struct node **tail = &n->a; p->tok->type != T_BLOCK_END; tail = &set->next) {
		if (tail != &n->a && tpl_expect(p, ',') < 0)
			return -1;
		if ((*tail = set = tpl_node(p, N_SET)) == NULL ||
		    (set->a = target_one(p)) == NULL || tpl_expect(p, '=') < 0 ||
		    (set->b = tpl_expression(p)) == NULL)
			return -1;
	}
	return whole_body(p, &n->body, "endwith");
}

static int
parse_generation(struct parser *p, struct node *n)
{
	n->kind = N_GENERATION;
	p->marks = true;
	return whole_body(p, &n->body, "endgeneration");
}

static int
parse_break(struct parser *p, struct node *n)
{
	n->kind = N_BREAK;
	return p->loops > 0 ? 0 : tpl_parse_fail(p, "break outside of a loop");
}

static int
parse_continue(struct parser *p, struct node *n)
{
	n->kind = N_CONTINUE;
	return p->loops > 0 ? 0 : tpl_parse_fail(p, "continue outside of a loop");
}

static const struct {
	const char	*name;
	int		(*parse)(struct parser *, struct node *);
} tags[] = {
	{ "for", parse_for }, { "if", parse_if }, { "set", parse_set }, { "macro", parse_macro },
	{ "call", parse_call }, { "filter", parse_filter }, { "with", parse_with },
	{ "generation", parse_generation }, { "break", parse_break },
	{ "continue", parse_continue },
};

/* From the name of a tag to the end of the tag that closes it. */
static struct node *
statement(struct parser *p)
{
	struct node *n = tpl_node(p, N_TEXT);

	if (n == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++) {
		int loops = p->loops;

		if (!tpl_skip_name(p, tags[i].name))
			continue;
		p->loops = i == 0 ? loops + 1 : loops;
		if (tags[i].parse(p, n) < 0 || tpl_expect(p, T_BLOCK_END) < 0)
			return NULL;
		p->loops = loops;
		return n;
	}
	tpl_parse_fail(p, "a statement that is not known");
	return NULL;
}

static bool
at_end(const struct parser *p, const char *const *end)
{
	for (; end != NULL && *end != NULL; end++)
		if (tpl_is_name(p->tok, *end))
			return true;
	return false;
}

/* Statements up to a tag of one of these names, which becomes the next token; NULL: to the end. */
static int
statements(struct parser *p, struct node **body, const char *const *end)
{
	struct node *n;

	if (!tpl_enter(p))
		return -1;
	for (*body = NULL; p->tok->type != T_EOF; *body = n, body = &n->next) {
		if (p->tok->type == T_BLOCK) {
			p->tok++;
			if (at_end(p, end)) {
				p->depth--;
				return 0;
			}
			if ((n = statement(p)) == NULL)
				return -1;
			continue;
		}
		if ((n = tpl_node(p, N_TEXT)) == NULL)
			return -1;
		if (p->tok->type == T_DATA) {
			n->text = (p->tok++)->text;
			continue;
		}
		p->tok++;
		n->kind = N_OUT;
		if ((n->a = tpl_tuple(p, tpl_expression, NULL)) == NULL ||
		    tpl_expect(p, T_VAR_END) < 0)
			return -1;
	}
	p->depth--;
	return end == NULL ? 0 : tpl_parse_fail(p, "expected %s", end[0]);
}

struct template *
template_parse(str source, struct err *err)
{
	struct template *t = calloc(1, sizeof(*t));
	struct parser p = { .err = err };

	if (t == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (source.n > TEMPLATE_SOURCE_MAX)
		err_set(err, ERR_LIMIT, "a template of more than %td bytes", TEMPLATE_SOURCE_MAX);
	else if (utf8_bad(source) >= 0)
		err_set(err, ERR_FORMAT, "not UTF-8 at byte %td", utf8_bad(source));
	else if (arena_init(&t->arena, 65536 + 512 * source.n, err) == 0) {
		p.a = &t->arena;
		if ((p.tok = tpl_lex(p.a, source, err)) != NULL &&
		    (t->source = arena_str(p.a, source, err)).p != NULL &&
		    statements(&p, &t->body, NULL) == 0) {
			t->marks = p.marks;
			t->hash = hash64(source);
			return t;
		}
	}
	if (t->arena.base != NULL)
		err_wrap(err, "chat template");
	template_free(t);
	return NULL;
}

void
template_free(struct template *t)
{
	if (t == NULL)
		return;
	arena_free(&t->arena);
	free(t);
}

bool
template_marks(const struct template *t)
{
	return t->marks;
}

str
template_source(const struct template *t)
{
	return t->source;
}

uint64_t
template_fingerprint(const struct template *t)
{
	return t->hash;
}
