/*
 * gptq - blocks whose rounding errors make up for each other
 *
 * Of a matrix whose inputs x have the sums H = sum x x^T, columns are rounded
 * one after the other, those with the largest inputs first, and what a column
 * loses is taken up by those that are not rounded yet, so that the error of the
 * product stays least (GPTQ, arXiv 2210.17323).  Scales are those that
 * quant_encode_clipped() finds for the weights as they were.
 */
#ifndef BASE_GPTQ_H
#define BASE_GPTQ_H

#include "base/err.h"
#include "base/quant.h"
#include "base/team.h"

struct gptq {
	int64_t	 n;		/* columns */
	int32_t	*order;		/* that they are rounded in */
	float	*u;		/* (n, n) upper triangular, U^T U = H^-1, in that order */
	float	*weight;	/* importance of columns: H's diagonal */
	float	*within;	/* quant_within() of H */
};

/*
 * h (n, n), which is used up, and damp, of the mean of its diagonal, added to it
 * (0.01).  0, or -1: no memory, or H is no matrix of such sums.
 */
int gptq_init(struct gptq *g, float *h, int64_t n, double damp, struct team *team,
    struct err *err);
void gptq_free(struct gptq *g);

/* rows rows of n elements at y as blocks at x; a type of even steps (no IQ4). */
int gptq_encode(const struct gptq *g, dtype t, void *x, const float *y, int64_t rows,
    struct err *err);

#endif
