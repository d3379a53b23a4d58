/*
 * cached - the loss of tokens as generation would have it, through a cache
 */
#ifndef EVAL_CACHED_H
#define EVAL_CACHED_H

#include "infer/engine.h"

struct cached;

/* Windows have at most context tokens; keys and values are of type kv. */
struct cached *cached_new(struct model *model, int64_t context, dtype kv, bool plain,
    struct err *err);

/* Add to *nats what each token from done (at least 1) on cost after those before it. */
int cached_window(struct cached *c, const int32_t *token, int64_t n, int64_t done, double *nats,
    struct err *err);
void cached_free(struct cached *c);

#endif
