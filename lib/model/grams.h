/*
 * grams - sums of x x^T over the inputs x of a model's matrices, for some text
 *
 * They are large, so they are computed when they are asked for, as many at a
 * time as memory is given; the text runs through the model again each time.
 * Names are GGUF's.
 */
#ifndef MODEL_GRAMS_H
#define MODEL_GRAMS_H

#include "model/inputs.h"

struct grams;

/* in and the n tokens, in pieces of piece, are borrowed. */
struct grams *grams_new(struct inputs *in, const uint32_t *token, int64_t n, int64_t piece,
    int64_t memory, struct err *err);
void grams_free(struct grams *g);

/*
 * The sum (K, K) of matrix mat of the tensor of this name, K its columns, into h.
 * 1; 0 when there is none, or no token reached it; -1.
 */
int grams_get(struct grams *g, const char *name, int64_t mat, int64_t cols, float *h,
    struct err *err);

#endif
