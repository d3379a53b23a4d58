/*
 * ahead - training what predicts further tokens (config.ahead layers)
 *
 * Each of D layers adds factor / D times the sum of its losses over the step's
 * targets to what is minimised, not to the loss that is told.
 */
#ifndef TRAIN_AHEAD_H
#define TRAIN_AHEAD_H

#include "train/trainer.h"

struct ahead;

/* Flags for model_record_score(), by the options, which are made definite; -1. */
int ahead_options(struct model *m, struct train_options *o, unsigned *flags, struct err *err);

/* NULL without such layers, which all others take, or without memory: err is filled. */
struct ahead *ahead_new(const struct model_io *io, int64_t cap_tokens, double factor,
    struct err *err);
void ahead_free(struct ahead *a);

/* Queue: no loss yet.  And the inputs of a pass; weight: of a target in the gradients. */
void ahead_begin(struct ahead *a, struct tape *t, const struct model_io *io);
void ahead_upload(struct ahead *a, struct tape *t, const struct model_io *io,
    const struct batch *b, double weight);

/* Queue: the losses; their targets; and their mean over layers, nats a target, once waited for. */
void ahead_end(struct ahead *a, struct tape *t, const struct model_io *io);
int ahead_count(struct ahead *a, struct comm *comm, struct err *err);	/* of all ranks */
double ahead_loss(const struct ahead *a, const struct model_io *io);

#endif
