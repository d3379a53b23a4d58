/*
 * grammars - the constraints of a tokenizer, each made once from its source
 *
 * Texts that ask for the same grammar share its constraint, and with it what was
 * found of its masks.  One that nobody holds and no text is written by is kept
 * for the next who ask, as long as it is among the last GRAMMARS_KEPT of those.
 * One thread at a time.
 */
#ifndef INFER_GRAMMARS_H
#define INFER_GRAMMARS_H

#include "infer/matcher.h"
#include "model/model.h"

enum grammar_kind { GRAMMAR_GBNF, GRAMMAR_REGEX, GRAMMAR_SCHEMA };
enum { GRAMMARS_KEPT = 8 };

struct grammars;

/* tok is borrowed; the ends of text are the config's. */
struct grammars *grammars_new(const struct tokenizer *tok, const struct config *c,
    struct err *err);
void grammars_free(struct grammars *g);

/* That of a source, to be released; NULL for one that is none (infer/grammar.h). */
struct constraint *grammars_hold(struct grammars *g, enum grammar_kind kind, str source,
    struct err *err);
void grammars_release(struct grammars *g, struct constraint *c);	/* NULL: nothing */

#endif
