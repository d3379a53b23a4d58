/*
 * draft - guesses of the next tokens, which one pass of the model then judges
 *
 * Guesses come from the text itself (what followed the same tokens before), from
 * a smaller model, or from the first layers of the model.  A text does not
 * depend on them: each token is drawn from the model's own logits, as it would
 * be without, and guesses are kept as far as they are what is drawn.
 *
 * How many are made follows from what they brought and what they cost, by the
 * clock: none while they do not pay, but for a try now and then.  What tries may
 * lose is bounded to a small part of the time spent.
 */
#ifndef INFER_DRAFT_H
#define INFER_DRAFT_H

#include "infer/scheduler.h"

enum { DRAFT_MAX = 16 };	/* guesses at once */

/* At most most guesses at once, 1 to DRAFT_MAX. */
struct draft *draft_lookup(int64_t most, struct err *err);
/* By an engine for one sequence, of a model with the same tokens; it is borrowed. */
struct draft *draft_model(struct engine *e, int64_t most, struct err *err);
/* By the engine of the texts, which has early layers. */
struct draft *draft_early(struct engine *e, int64_t most, struct err *err);
void draft_free(struct draft *d);

/* Guess as much as is possible, whether it pays or not: to test, and to measure what is right. */
void draft_always(struct draft *d);

/*
 * Guess what follows the tokens of s, which are all of a text so far; room is how
 * many more it may have.  How many, 0 or more, and *token; or -1.
 */
int64_t draft_guess(struct draft *d, struct seq *s, const struct request *r, int64_t room,
    const int32_t **token, struct err *err);

/* So many of the last guesses were right; the clock runs from draft_guess() to here. */
void draft_judged(struct draft *d, int64_t right);

struct draft_report {
	int64_t	steps, guesses, right;	/* passes; tokens guessed, and rightly */
};
const struct draft_report *draft_report(const struct draft *d);

#endif
