/*
 * sampling - what a model writes while it is trained
 *
 * Borrows the model; each text is a function of its weights, the seed and the
 * step.
 */
#ifndef EVAL_SAMPLING_H
#define EVAL_SAMPLING_H

#include "base/json.h"
#include "model/model.h"

struct sampling;

/* dir: where the tokenizer is.  prompt is borrowed. */
struct sampling *sampling_new(struct model *model, const char *dir, const char *prompt,
    uint64_t seed, struct err *err);
/* What it takes beside a declared model, but for the tokenizer; -1: a failure. */
int64_t sampling_bytes(struct model *model, struct err *err);

void sampling_free(struct sampling *s);

/* A text of at most 64 tokens, or NULL. */
json_t *sampling_text(struct sampling *s, int64_t step, struct err *err);

#endif
