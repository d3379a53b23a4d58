/*
 * ngram - interpolated Kneser-Ney models of token ids: the baseline to beat
 *
 * Orders 2 and 3.  One discount an order, n1 / (n1 + 2 n2) of the counts it
 * discounts; orders below the highest use continuation counts; the last falls
 * back on the uniform distribution.  Kneser and Ney, Improved backing-off for
 * m-gram language modeling (1995); Chen and Goodman (1998) for the
 * interpolated form.  Memory: 8 bytes a training token while it is built.
 */
#ifndef EVAL_NGRAM_H
#define EVAL_NGRAM_H

#include <stdint.h>

#include "base/err.h"

#define NGRAM_ORDER 3
#define NGRAM_VOCAB ((1 << 21) - 1)	/* ids are below */

struct ngram;

/* vocab: ids are below it, NGRAM_VOCAB at most. */
struct ngram *ngram_new(int order, int32_t vocab, struct err *err);

/* Count one segment: tokens that see each other. */
int ngram_add(struct ngram *g, const uint32_t *token, int64_t n, struct err *err);

/* When all is counted; no ngram_add() after it. */
int ngram_build(struct ngram *g, struct err *err);

/* log p(token[i] | those before it in its segment), nats; i >= 1. */
double ngram_logp(const struct ngram *g, const uint32_t *token, int64_t i);

void ngram_free(struct ngram *g);

#endif
