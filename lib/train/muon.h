/*
 * muon - momentum, made orthogonal, as the update of a matrix
 *
 * Five steps of a Newton-Schulz iteration turn the momentum's singular values
 * to about one; the update is scaled by 0.2 sqrt(max(rows, columns)), so that
 * its size is AdamW's and one learning rate serves both.  K. Jordan et al.,
 * Muon (2024); the scale is that of arXiv 2502.16982.
 */
#ifndef TRAIN_MUON_H
#define TRAIN_MUON_H

#include "train/trainer.h"

/* A list of launches that grows; a failure to grow sticks. */
struct launches {
	struct launch {
		int		kernel;
		union dev_args	args;
	}	*list;
	int	 n, cap;
	bool	 failed;
};

void launches_add(struct launches *l, int kernel, const union dev_args *args);

struct muon;		/* scratch for the largest hidden matrix */
struct muon *muon_new(struct params *params, struct err *err);
void muon_free(struct muon *m);

/* Add the update of one matrix; momentum is its f32 array, step the guard's. */
void muon_record(struct muon *m, struct launches *l, const struct param *p, dptr momentum,
    dptr step, const struct train_options *o);

#endif
