/*
 * grammar - what a text may be: GBNF, a regular expression, or a JSON schema
 *
 * All three become one form: rules over bytes that call each other, so that a
 * token that holds a part of a character is judged as any other.  A grammar is
 * immutable, needs its source no longer, and may be shared by threads.
 *
 * Sources are untrusted.  Their size, nesting, rules and compiled size are
 * limited; counted repetition is counted while matching and never written out;
 * what cannot be honoured is an error that says where.  See llm-grammar(5).
 */
#ifndef INFER_GRAMMAR_H
#define INFER_GRAMMAR_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct tokenizer;
struct grammar;

#define GRAMMAR_TEXT_MAX	((ptrdiff_t)1 << 20)	/* bytes of source */
#define GRAMMAR_RULES_MAX	16384
#define GRAMMAR_SIZE_MAX	(1 << 19)		/* instructions */
#define GRAMMAR_NEST_MAX	200			/* groups in groups, schemas in schemas */
#define GRAMMAR_REPEAT_MAX	1000000			/* a bound of {m,n} */

/*
 * GBNF as llama.cpp documents it.  tok gives <token> its id, and is needed for
 * nothing else: NULL refuses tokens by name.
 */
struct grammar *grammar_gbnf(str source, const struct tokenizer *tok, struct err *err);

/* A regular expression that the whole text matches. */
struct grammar *grammar_regex(str source, struct err *err);

/*
 * A JSON schema (draft 2020-12, and what is different in drafts 4 to 7): any
 * text of the grammar is an instance.  Not every instance is a text: properties
 * come in the schema's order, white space is limited, and numbers are.
 */
struct schema_options {
	bool	closed;		/* properties and items that are not named may not be there */
	bool	compact;	/* no white space */
};
struct grammar *grammar_schema(str source, const struct schema_options *o, struct err *err);

void grammar_free(struct grammar *g);

#endif
