/*
 * template_impl - tokens and the tree of a chat template
 */
#ifndef TOKEN_TEMPLATE_IMPL_H
#define TOKEN_TEMPLATE_IMPL_H

#include "base/arena.h"
#include "token/template.h"

/* A token's type is the operator's character, or one of these. */
enum {
	T_EOF = 256, T_DATA, T_VAR, T_VAR_END, T_BLOCK, T_BLOCK_END, T_NAME, T_STR, T_INT, T_FLOAT,
	T_EQ, T_NE, T_LE, T_GE, T_POW, T_FLOORDIV,
	T_IN, T_NOTIN		/* of a comparison, made by the parser */
};

struct tok {
	int	type;
	int	line;
	str	text;		/* of a string what it stands for */
};

/* The tokens, ended by T_EOF, or NULL.  source is kept. */
struct tok *tpl_lex(struct arena *a, str source, struct err *err);

enum node_kind {
	/* statements */
	N_TEXT,		/* text */
	N_OUT,		/* a */
	N_FOR,		/* a: target, b: what, c: condition, body, other */
	N_IF,		/* a: condition or NULL, body, other: the next branch */
	N_SET,		/* a: target, b */
	N_SET_BLOCK,	/* a: target, b: filters or NULL, body */
	N_MACRO,	/* text: name, a: parameters, body */
	N_CALL_BLOCK,	/* a: call, b: parameters, body */
	N_FILTER_BLOCK,	/* b: filters, body */
	N_WITH,		/* a: list of N_SET, body */
	N_GENERATION,	/* body */
	N_BREAK, N_CONTINUE,
	/* expressions */
	E_STR,		/* text */
	E_INT,		/* i */
	E_FLOAT,	/* f */
	E_BOOL,		/* i */
	E_NONE,
	E_NAME,		/* text; a parameter's default: a */
	E_LIST, E_TUPLE,	/* a: elements */
	E_DICT,		/* a: keys, each with its value as a E_PAIR's a and b */
	E_PAIR,
	E_ATTR,		/* a, text */
	E_ITEM,		/* a, b */
	E_SLICE,	/* a, b: from, c: to, other: step; or NULL */
	E_CALL,		/* a, b: arguments */
	E_KEYWORD,	/* an argument: text, a */
	E_FILTER, E_TEST,	/* a (NULL: what a block wrote), text, builtin, b: arguments */
	E_NOT, E_NEG, E_POS,	/* a */
	E_BINARY,	/* op, a, b */
	E_CONCAT,	/* a: list */
	E_AND, E_OR,	/* a, b */
	E_COMPARE,	/* a, b: list of E_OPERAND */
	E_OPERAND,	/* op, a */
	E_COND,		/* a: condition, b, c: otherwise, or NULL */
};

struct builtin;

struct node {
	enum node_kind		 kind;
	int			 op, line;
	struct node		*next;		/* in a list */
	struct node		*a, *b, *c, *body, *other;
	str			 text;
	union {
		int64_t			 i;
		double			 f;
		const struct builtin	*builtin;	/* NULL: not known */
	};
};

struct template {
	struct arena	 arena;
	struct node	*body;
	bool		 marks;		/* {% generation %} is there */
	str		 source;
	uint64_t	 hash;
};

struct parser {
	struct arena	*a;
	const struct tok *tok;		/* the next */
	bool		 marks;
	int		 loops;		/* around the next token */
	int		 depth;
	struct err	*err;
};

int tpl_parse_fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct node *tpl_node(struct parser *p, enum node_kind kind);
bool tpl_is_name(const struct tok *t, const char *name);
bool tpl_skip(struct parser *p, int type);
bool tpl_skip_name(struct parser *p, const char *name);
int tpl_expect(struct parser *p, int type);

/* One level deeper; false, and a message, when that is too deep. */
bool tpl_enter(struct parser *p);

/* template_expr.c; NULL is a failure. */
struct node *tpl_expression(struct parser *p);
struct node *tpl_or(struct parser *p);		/* without `if' */
struct node *tpl_tuple(struct parser *p, struct node *(*element)(struct parser *),
    const char *end);		/* end: a name that ends it too, or NULL */
struct node *tpl_primary(struct parser *p);
struct node *tpl_postfix(struct parser *p, struct node *n);

/* Filters with a bar before each; first: the first has none. */
struct node *tpl_filters(struct parser *p, struct node *n, bool first);

#endif
