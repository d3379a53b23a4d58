/*
 * share - what ranks that train together add up at the end of a step
 *
 * Each has gradients, losses and counts of its own rows; after the sum all have
 * those of the whole step, in the same bits, and make the same update.
 */
#ifndef TRAIN_SHARE_H
#define TRAIN_SHARE_H

#include "train/optim.h"

struct share;

/* sumsq: device f64, which gets the norm of all gradients.  Launches are checked. */
struct share *share_new(struct comm *comm, struct params *params, const struct model_io *io,
    dptr sumsq, struct err *err);
void share_free(struct share *s);

/* Queue, behind a step's passes. */
void share_add(struct share *s);

/* What of n rows (or passes) is this rank's: the first one, and how many. */
struct row_range { int64_t first, n; };
struct row_range share_rows(const struct comm *comm, int64_t n);

#endif
