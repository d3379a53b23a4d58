/*
 * grammar - options that say what a text may be (infer/grammar.h)
 */
#ifndef TOOL_GRAMMAR_H
#define TOOL_GRAMMAR_H

#include "infer/scheduler.h"
#include "tool/tool.h"

struct grammar_opts {
	const char	*gbnf, *regex, *schema;
	/* what is made of it */
	struct grammar	*grammar;
	struct token_trie *trie;
	struct constraint *constraint;
};

extern const struct opt grammar_options[];

/* For the option table: GRAMMAR_OPTIONS(struct gen, grammar). */
#define GRAMMAR_OPTIONS(outer, member) \
	{ .type = OPT_GROUP, .at = offsetof(outer, member), .group = grammar_options }

/* The constraint that they make, or NULL without them; dies for a grammar that is none. */
struct constraint *grammar_begin(struct grammar_opts *o, const struct config *c,
    const struct tokenizer *tok);
void grammar_end(struct grammar_opts *o);

#endif
