/*
 * muon_impl - momentum, made orthogonal, as the update of a matrix: private to lib/train
 *
 * Five steps of a Newton-Schulz iteration turn the momentum's singular values
 * to about one; the update is scaled by 0.2 sqrt(max(rows, columns)), so that
 * its size is AdamW's and one learning rate serves both.  K. Jordan et al.,
 * Muon (2024); the scale is that of arXiv 2502.16982.  Of a stacked parameter
 * (experts, rows, columns) each matrix is made orthogonal by itself.
 */
#ifndef TRAIN_MUON_IMPL_H
#define TRAIN_MUON_IMPL_H

#include "train/optim_impl.h"

struct muon;		/* scratch for the largest hidden parameter */
struct muon *muon_new(struct params *params, struct err *err);
void muon_free(struct muon *m);

/* What muon_new() takes of the device, bytes. */
int64_t muon_bytes(const struct params *params);

/* Add the update of one parameter with its momentum in s. */
void muon_record(struct muon *m, struct optim *o, const struct param *p, const struct slot *s);

#endif
