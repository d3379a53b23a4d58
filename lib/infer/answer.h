/*
 * answer - requests that come with a JSON object, answered in their order
 *
 * An answer is the object with more keys: completion, token_count,
 * mean_logprob, end, and tokens when their log-probabilities were asked for.  Texts are written
 * together, as many as the engine takes; those that are whole early wait for
 * those before them.
 */
#ifndef INFER_ANSWER_H
#define INFER_ANSWER_H

#include "infer/request.h"

struct answers;

struct answers_total {
	int64_t	texts, prompt, tokens;	/* tokens of prompts, and that were drawn */
	int64_t	full;			/* texts that the context ended */
};

/* line() gets each answer, without a newline. */
struct answers *answers_new(struct scheduler *s, const struct tokenizer *tok,
    int (*line)(void *ctx, str answer, struct err *err), void *ctx, struct err *err);
void answers_free(struct answers *a);

/* What both borrow is good until answers_finish(); write, token, done and ctx are set here. */
int answers_add(struct answers *a, const struct request *r, str object, struct err *err);

const struct answers_total *answers_total(const struct answers *a);

/* Until all are answered. */
int answers_finish(struct answers *a, struct err *err);

#endif
