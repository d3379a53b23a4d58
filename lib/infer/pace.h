/*
 * pace - a prompt, and tokens one by one after it, for benchmarks
 *
 * Tokens are made up: what comes of them is not looked at, but is all computed.
 */
#ifndef INFER_PACE_H
#define INFER_PACE_H

#include "infer/engine.h"

struct pace;

/* Borrows the model; ERR_LIMIT when both are more than its context. */
struct pace *pace_new(struct model *m, int64_t prompt, int64_t tokens, struct err *err);
void pace_free(struct pace *p);

/* Seconds of the prompt, and of all tokens after it. */
int pace_run(struct pace *p, double *prompt, double *tokens, struct err *err);

/*
 * Bytes of matrices that a token reads: all, but of a table of embeddings a row,
 * and of experts its own.
 */
double pace_bytes(const struct model *m);

#endif
