/*
 * score - the loss of documents of any length under a model
 *
 * A document longer than the context is read through windows of it that start
 * stride tokens apart; a token is a target in the first window that holds it
 * and something before it, so each is predicted once, and only a document's
 * first token never.  A smaller stride gives later targets more context.
 */
#ifndef EVAL_SCORE_H
#define EVAL_SCORE_H

#include "eval/cached.h"
#include "train/scorer.h"

struct score;

/*
 * context <= the model's, 0: all of it; stride < context, 0: context - 1.
 * kv: the type of a cache to compute through, as generation does; NONE: without.
 */
struct score *score_new(struct model *model, int64_t context, int64_t stride, dtype kv,
    struct err *err);

/* One document, or a piece of one that stands alone. */
int score_add(struct score *s, const uint32_t *token, int64_t n, int64_t source_bytes,
    struct err *err);

/* Score what is waiting and report the whole. */
int score_end(struct score *s, struct score_report *r, struct err *err);
void score_free(struct score *s);

#endif
