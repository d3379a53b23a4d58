/*
 * grammar - options that say what a text may be (infer/grammar.h)
 */
#ifndef TOOL_GRAMMAR_H
#define TOOL_GRAMMAR_H

#include "infer/grammars.h"
#include "infer/scheduler.h"
#include "tool/tool.h"

struct grammar_opts {
	const char	*gbnf, *regex, *schema;
	struct grammars	*made;		/* of it, and of what records ask for */
};

extern const struct opt grammar_options[];

/* For the option table: GRAMMAR_OPTIONS(struct gen, grammar). */
#define GRAMMAR_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = grammar_options }

/*
 * Into a request: the constraint that they make, and where records may ask for
 * others.  Dies for a grammar that is none.
 */
void grammar_begin(struct grammar_opts *o, const struct config *c, const struct tokenizer *tok,
    struct request *r);
void grammar_end(struct grammar_opts *o);

#endif
