/*
 * surprise - how unlike some texts of reference a text is: the perplexity of its tokens
 *
 * By an interpolated Kneser-Ney model of the tokens of the references
 * (eval/ngram.h), as cc_net sorts pages by a model of Wikipedia.  Any number of threads
 * ask it, each with a state.
 */
#ifndef EVAL_SURPRISE_H
#define EVAL_SURPRISE_H

#include "token/tokenizer.h"

struct surprise;

/* What a thread has: zeroed at first. */
struct surprise_state {
	struct encoded	 encoded;
	uint32_t	*token;
	int64_t		 cap;
};

/* From a file of records or a shard; the tokenizer is borrowed.  field: key of the text. */
struct surprise *surprise_learn(const struct tokenizer *t, const char *path, int order, str field,
    struct err *err);

/* Return 1, 0 for a text that has no token to predict, -1. */
int surprise_of(const struct surprise *s, struct surprise_state *state, str text,
    double *perplexity, struct err *err);
void surprise_state_free(struct surprise_state *state);
void surprise_free(struct surprise *s);

#endif
