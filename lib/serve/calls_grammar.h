/*
 * calls_grammar - that a model calls a tool, and with arguments of its schema
 */
#ifndef SERVE_CALLS_GRAMMAR_H
#define SERVE_CALLS_GRAMMAR_H

#include "serve/calls_ask.h"
#include "token/tokenizer.h"

/*
 * Append GBNF of what a model may write: calls in this form where one is required; else
 * JSON of the schema, p NULL where there is none, or calls; or any text, then calls,
 * where a tool is strict and a mark tells calls from text.  Thoughts that the prompt
 * began come first.  A schema that grammars cannot hold is an error of a tool that is
 * strict; another's arguments may then be any object.  1; 0: it may write anything, or
 * JSON of the schema and nothing before it; -1.
 */
int calls_grammar(enum calls_format f, const struct tokenizer *tok, const struct calls_asked *a,
    str schema, bool thinking, struct buf *gbnf, struct err *err);

#endif
