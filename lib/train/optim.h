/*
 * optim - the update of all trainable parameters, and the guard of the step
 *
 * AdamW for all, or Muon for the matrices between hidden layers and AdamW for
 * the rest.  The moments live on the device in two flat arrays laid out as the
 * gradients.  An update is a fixed list of launches, recorded once.
 */
#ifndef TRAIN_OPTIM_H
#define TRAIN_OPTIM_H

#include "train/trainer.h"

struct optim;

/* loss: device f64, the sum of -logp that the passes of a step add up. */
struct optim *optim_new(struct params *params, dptr loss, const struct train_options *o,
    struct err *err);
void optim_free(struct optim *o);

/* Queue: gradients and loss to zero, the step's numbers to the device. */
void optim_begin(struct optim *o, const struct train_state *state, double rate,
    int64_t targets);

/* Queue: norm, guard, update.  *step is filled when the device has been waited for. */
void optim_update(struct optim *o, struct dev_step *step);

/* optimizer.safetensors in dir: m.NAME and v.NAME, and the guard's history. */
int optim_save(struct optim *o, const char *dir, struct err *err);
int optim_restore(struct optim *o, const char *dir, struct err *err);

#endif
