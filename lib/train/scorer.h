/*
 * scorer - the loss of packed rows under a model, without gradients
 *
 * Used by validation while training and by llm-eval.
 */
#ifndef TRAIN_SCORER_H
#define TRAIN_SCORER_H

#include "train/trainer.h"

/* Queue a batch as a tape's inputs. */
void batch_upload(struct tape *t, const struct model_io *io, const struct batch *b);

struct scorer;

/* A tape of its own over the model's parameters, for batches of max_tokens. */
struct scorer *scorer_new(struct model *model, int64_t max_tokens, struct err *err);
void scorer_free(struct scorer *s);

/* Add one batch to the report's sums: tokens, targets, bytes; *nats grows. */
int scorer_batch(struct scorer *s, const struct batch *b, double *nats,
    struct score_report *r, struct err *err);

/* Set the report's rates from its sums. */
void score_finish(struct score_report *r, double nats);

/* All rows of the loader, in file order; each of comm's ranks takes a part of them. */
int scorer_rows(struct scorer *s, struct loader *rows, struct comm *comm,
    struct score_report *r, struct err *err);

#endif
