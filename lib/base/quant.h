/*
 * quant - types that store blocks of elements as small integers and scales
 *
 * The layouts are those of ggml, byte for byte: Q4_0 ... Q8_0 and IQ4_NL in
 * blocks of 32 elements, Q2_K ... Q6_K and IQ4_XS of 256.  I4_32, I4_64 and
 * I4_128 have a scale in bf16, then their elements plus 8, two in a byte, the
 * lower one first.  A row is whole blocks, lowest element first.
 */
#ifndef BASE_QUANT_H
#define BASE_QUANT_H

#include "base/dtype.h"

/* y[0..n) = the elements of n / dtype_block(t) blocks at x, t a type of blocks */
void quant_decode(dtype t, float *y, const void *x, int64_t n);

#define QUANT_BLOCK_MAX 256

/*
 * The blocks at x of n finite elements of a row: the same bytes on every
 * machine.  weight[i] >= 0 is the importance of element i's column, the mean
 * square of what it is multiplied with; NULL: all are alike.  Then Q4_0 to Q8_0
 * are ggml's reference, byte for byte, and I4 are rounded as Q4_0 is; other
 * types, and all with weights, are the best scales that a search finds.
 */
void quant_encode(dtype t, void *x, const float *y, int64_t n, const float *weight);

/*
 * The same, weight not NULL, for a row whose inputs x have the sums h = sum x x^T:
 * of each block the one whose product with the inputs is nearest, out of those
 * that come of its elements cut off at 1, 0.95 .. 0.55 of the largest (AWQ, arXiv
 * 2306.00978).  within is h in its blocks of QUANT_BLOCK_MAX: row i (of n) has
 * h(i, k) at k % QUANT_BLOCK_MAX, for the k of its block.
 */
void quant_encode_clipped(dtype t, void *x, const float *y, int64_t n, const float *weight,
    const float *within);

/* within (n, QUANT_BLOCK_MAX), of h (n, n) */
void quant_within(float *within, const float *h, int64_t n);

/* What n elements lost: to sum are added those of w (back - y)^2 and w y^2; w NULL: ones. */
void quant_lost(double sum[2], const float *y, const float *back, const float *w, int64_t n);

/* How many levels an element has, and set those of the blocks at x: from 0 on, scales kept. */
int quant_levels(dtype t);
bool quant_even(dtype t);	/* of blocks whose levels are evenly spaced: all but IQ4 */
void quant_pack(dtype t, void *x, const uint8_t *q, int64_t n);

#endif
