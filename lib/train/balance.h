/*
 * balance - experts that are equally busy: losses of routers, biases of choice
 *
 * Nothing is done for models without experts.  Factors of losses are the
 * config's; what is balanced by biases (arXiv 2408.15664) is counted on the
 * device over the passes of a step, and moved after its update.
 */
#ifndef TRAIN_BALANCE_H
#define TRAIN_BALANCE_H

#include "train/trainer.h"

/* Take the options into the model's config, before it is recorded. */
int balance_options(struct model *m, struct train_options *o, struct err *err);

/* Queue: no counts and losses yet, and a token weighs share in the gradients of a step. */
void balance_begin(struct tape *t, const struct model_io *io, double share);

/* Queue: biases by the counts, unless the step is skipped; loss[2] when waited for. */
void balance_end(struct model *m, struct tape *t, const struct model_io *io, dptr step,
    double rate, double loss[2]);

#endif
