/*
 * prune - zeros in place of the weights that matter least
 *
 * Of each matrix between layers, row by row: a share of its weights, or two of
 * every four.  What matters least is what is smallest, or smallest times the
 * root mean square of its input (Wanda, arXiv 2306.11695).
 */
#ifndef MODEL_PRUNE_H
#define MODEL_PRUNE_H

#include "model/imatrix.h"
#include "model/model.h"

struct prune_options {
	double	share;		/* of zeros, in [0, 1) */
	bool	two_of_four;	/* instead: the two largest of every four weights stay */
	const struct imatrix *imatrix;	/* NULL: by size alone */
};

struct prune_report {
	int64_t	weights, zeros;	/* of all matrices that were pruned; what was 0 counts */
	int64_t	matrices;
	int64_t	blind;		/* matrices without importance, where there is a matrix of it */
};

/* n weights y with importance w, or NULL: those that go become 0.  scratch holds n floats. */
void prune_row(float *y, const float *w, int64_t n, const struct prune_options *o,
    float *scratch);

/* The matrices of a writable model (model.h). */
int model_prune(struct model *m, const struct prune_options *o, struct prune_report *r,
    struct err *err);

#endif
