/*
 * optim - the update of all trainable parameters, and the guard of the step
 *
 * AdamW, Lion or Adafactor for all, or Muon for the matrices between hidden
 * layers and AdamW for the rest.  What an optimizer remembers lives on the
 * device in one allocation.  An update is a fixed list of launches, recorded
 * once; it leaves gradients as they are (tape_zero_grads() begins the next step).
 */
#ifndef TRAIN_OPTIM_H
#define TRAIN_OPTIM_H

#include "train/trainer.h"

struct optim;

/* loss: device f64, the sum of -logp that the passes of a step add up. */
struct optim *optim_new(struct params *params, dptr loss, const struct train_options *o,
    struct err *err);
void optim_free(struct optim *o);

/* What optim_new() takes of the device for a sealed list of parameters, bytes. */
int64_t optim_bytes(const struct params *params, const struct train_options *o);

/* Queue: loss to zero, the step's numbers to the device. */
void optim_begin(struct optim *o, const struct train_state *state, double rate,
    int64_t targets);

/*
 * Queue: guard, update, by gradients whose squares were added to optim_sumsq().
 * *step is filled when the device has been waited for.
 */
void optim_update(struct optim *o, struct dev_step *step);

/* The struct dev_step of the device, and its sumsq, which optim_begin() sets to zero. */
dptr optim_step(const struct optim *o);
dptr optim_sumsq(const struct optim *o);

/*
 * Queue: the weights and their moving average change places (train_options.ema);
 * once more, and all is as before.
 */
void optim_swap(struct optim *o);

/* optimizer.safetensors in dir (llm-checkpoint(5)). */
int optim_save(struct optim *o, const char *dir, struct err *err);
int optim_restore(struct optim *o, const char *dir, struct err *err);

#endif
