/*
 * grammar_impl - expressions, which the three languages build, and the program
 * that they become
 *
 * A builder owns expressions in its arena.  An expression may be used several
 * times, and is compiled once a use.  After a failure a builder gives back
 * NULL, and takes NULL, so that a run of calls needs one check at its end.
 */
#ifndef INFER_GRAMMAR_IMPL_H
#define INFER_GRAMMAR_IMPL_H

#include <jansson.h>

#include "base/arena.h"
#include "infer/grammar.h"

enum { CHAR_MAX_VALUE = 0x10ffff, REPEAT_INF = -1, CATEGORIES = 30 };

/* Code points: after chars_sort(), ranges in order and apart. */
struct span {
	int32_t	lo, hi;
};
struct chars {
	struct span	*span;
	int32_t		 n, cap;
};

enum expr_op {
	EXPR_EMPTY,	/* the empty text */
	EXPR_NONE,	/* no text at all */
	EXPR_BYTES,
	EXPR_BYTE,	/* one byte, min to max, that need be no character */
	EXPR_CHARS,	/* one character of a set */
	EXPR_SEQ,	/* a, then b; long ones lean to the left */
	EXPR_ALT,	/* a or b; long ones lean to the left */
	EXPR_REPEAT,	/* a, min to max times */
	EXPR_CALL,	/* a rule */
	EXPR_AND,	/* what is a and b too, both without calls */
	EXPR_MINUS,	/* what is a and not b */
	EXPR_MULTIPLE	/* decimal digits, of a multiple of min */
};

struct expr {
	enum expr_op	 op;
	int32_t		 min, max;	/* REPEAT; max REPEAT_INF: no bound */
	int32_t		 rule;
	int32_t		 size;		/* instructions, at least; saturates */
	str		 bytes;
	const struct chars *chars;
	const struct expr *a, *b;
};

struct rule {
	str		 name;
	const struct expr *body;	/* NULL: not defined yet */
	ptrdiff_t	 at;		/* where it was first named in the source */
};

struct builder {
	struct arena	 arena;
	struct rule	*rule;
	int32_t		 n_rules;
	struct chars	*category[CATEGORIES];	/* of Unicode, as patterns ask for them */
	bool		 failed;
	struct err	*err;
};

int builder_init(struct builder *b, struct err *err);
void builder_free(struct builder *b);

/* Say what is wrong, if nothing was before; NULL. */
struct expr *builder_fail(struct builder *b, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A new rule, or -1. */
int32_t builder_rule(struct builder *b, str name, ptrdiff_t at);

const struct expr *expr_empty(struct builder *b);
const struct expr *expr_none(struct builder *b);
const struct expr *expr_bytes(struct builder *b, str bytes);	/* copied */
const struct expr *expr_byte(struct builder *b, int lo, int hi);
const struct expr *expr_text(struct builder *b, const char *text);
const struct expr *expr_chars(struct builder *b, const struct chars *c);	/* kept */
const struct expr *expr_seq(struct builder *b, const struct expr *x, const struct expr *y);
const struct expr *expr_alt(struct builder *b, const struct expr *x, const struct expr *y);
const struct expr *expr_repeat(struct builder *b, const struct expr *x, int32_t min, int32_t max);
const struct expr *expr_call(struct builder *b, int32_t rule);
const struct expr *expr_and(struct builder *b, const struct expr *x, const struct expr *y);
const struct expr *expr_minus(struct builder *b, const struct expr *x, const struct expr *y);

const struct expr *expr_multiple(struct builder *b, int32_t of);

struct chars *chars_new(struct builder *b);
void chars_add(struct builder *b, struct chars *c, int32_t lo, int32_t hi);
void chars_add_set(struct builder *b, struct chars *c, const struct chars *more);
void chars_sort(struct chars *c);
/* All characters but those; surrogates are none. */
struct chars *chars_not(struct builder *b, const struct chars *sorted);

/* The program: a nondeterministic automaton over bytes. */
enum { CODE_END = 0, CODE_DEAD = 1 };	/* these two are always there */

enum op {
	OP_END,		/* the rule's or repetition's end: go on where the frame says */
	OP_BYTE,	/* a byte lo to hi, then x */
	OP_SPLIT,	/* x or y */
	OP_CALL,	/* push a frame, go to x; its end goes to y.  y is END: no frame */
	OP_REPEAT,	/* push a frame that counts, go to x; enough ends go to y */
	OP_DEAD		/* nothing from here ends */
};

struct code {
	uint8_t	op, lo, hi;
	bool	empty;		/* from here, an end may come without a byte */
	int32_t	x, y;
	int32_t	min, max;
};

struct grammar {
	struct arena	 arena;
	struct code	*code;
	int32_t		 n, start;
	bool		 tokens;	/* has tokens by id: see TOKEN_MARK */
	/* bytes that no instruction tells apart are one class */
	uint8_t		 class_of[256];
	uint8_t		 byte_of[256];	/* one of the class */
	int32_t		 n_classes;
};

/*
 * A token by its id is five bytes, for an automaton over bytes knows nothing
 * else: this one, which UTF-8 has not, and the id, the high byte first.
 */
enum { TOKEN_MARK = 0xff };

/*
 * The program of a builder's rules, the start being rule 0.  When no text
 * matches that is an error, unless none may: then the start is OP_DEAD.
 */
struct grammar *grammar_compile(struct builder *b, bool none, struct err *err);

/* grammar_emit.c: instructions of expressions, from the back to the front. */
struct emitter {
	struct builder	*b;
	struct code	*code;
	int32_t		 n, cap;
	int32_t		 nest;
};

/* Of e, followed by what is at next: where it begins, or -1. */
int32_t emit(struct emitter *m, const struct expr *e, int32_t next);
int32_t emit_code(struct emitter *m, struct code c);
int32_t emit_split(struct emitter *m, int32_t x, int32_t y);

/* grammar_dfa.c: of an AND or MINUS. */
int32_t emit_product(struct emitter *m, const struct expr *e, int32_t next);

/*
 * A regular expression as an expression.  search: it may match anywhere in the
 * text, as a JSON schema's pattern does, else it is the whole.  json: of the
 * text inside a JSON string, in its one canonical spelling.
 */
struct regex_options {
	bool	search, json;
};
const struct expr *regex_parse(struct builder *b, str source, struct regex_options o);

/* Instances of a JSON schema, which is needed no longer. */
const struct expr *schema_expr(struct builder *b, json_t *root, const struct schema_options *o);

/* Characters as they are spelled inside a JSON string: see regex_options. */
const struct expr *json_chars(struct builder *b, const struct chars *sorted);

#endif
