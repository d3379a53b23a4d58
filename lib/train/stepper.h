/*
 * stepper - whole training steps on made-up tokens, for benchmarks and profiles
 *
 * Forward, backward and update of a model with rows of random tokens, the same
 * in each step: what llm-train does but for reading shards.  Token i of the
 * stream is a function of i and the vocabulary alone (stepper_token), so that
 * other programs can be given the same work.
 */
#ifndef TRAIN_STEPPER_H
#define TRAIN_STEPPER_H

#include "train/trainer.h"

struct stepper;

struct stepper_options {
	int64_t	rows, context;		/* sequences a step, tokens each */
	struct train_options train;	/* batch and micro are not looked at */
};

/* Constant rate, no clipping: what other programs can do just so. */
struct train_options stepper_adamw(void);

/*
 * Load a model, to train it with grads; or one of random weights by its name,
 * "gpt2-124m", "llama-30m" or "tiny".  m is zeroed but for params.compute;
 * model_free() it also after a failure.
 */
int stepper_model(struct model *m, const char *name, struct dev *dev, bool grads,
    struct err *err);

/* Borrows the model, which has gradients.  NULL with err filled. */
struct stepper *stepper_new(struct model *m, const struct stepper_options *o, struct err *err);
void stepper_free(struct stepper *s);

/* One step; *loss in nats a token. */
int stepper_step(struct stepper *s, double *loss, struct err *err);

/* Of one step: 3 forward passes' worth; attention by the pairs that are seen. */
double stepper_flops(const struct stepper *s);

/* Row r has tokens r (context + 1) to (r + 1)(context + 1): inputs, and a step on, targets. */
int32_t stepper_token(int64_t i, int64_t vocab);

#endif
