/*
 * kept - answers that are given again to the very same request
 *
 * A request is known by all of its bytes: a hash of 128 bits finds them, and they are compared,
 * so that no other request ever gets the answer.  The bytes are those of kept_key(): the model,
 * the prompt's tokens, every parameter that changes the answer (the seed too), and the salt of
 * the API key, so that nobody learns what others asked.  It is for the server to keep only what
 * would come out the same again.
 *
 * The least recently used go first when they would take more than the limit; none is given that
 * is older than the age.  Values are the caller's, with their size and how to free them; one
 * that is in use stays until it is dropped.  Any thread may call any function.
 */
#ifndef SERVE_KEPT_H
#define SERVE_KEPT_H

#include <stdint.h>

#include "base/buf.h"

struct kept;
struct kept_item;

/* At most so many bytes, keys and tables included; max_age in seconds, 0: for ever. */
struct kept *kept_new(int64_t max_bytes, double max_age, struct err *err);

/* No item may be in use. */
void kept_free(struct kept *k);

/* Append what a request is known by; buf_ok() says whether it is whole. */
void kept_key(struct buf *b, str model, const int32_t *ids, int64_t n_ids, str parameters,
    uint64_t salt);

/* What was kept for the key, in use until kept_drop(); NULL when there is nothing. */
struct kept_item *kept_find(struct kept *k, str key, double now);
void *kept_value(const struct kept_item *item);
void kept_drop(struct kept *k, struct kept_item *item);

/*
 * Keep a value, in place of one of the same key.  It is ours from now on: what does not fit, or
 * cannot be kept for lack of memory, is freed at once.  Return whether it is kept.
 */
bool kept_put(struct kept *k, str key, void *value, int64_t bytes, void (*free_value)(void *value),
    double now);

/* Forget all, as when a model or an adapter changes. */
void kept_clear(struct kept *k);

struct kept_stats {
	int64_t	found, missed;		/* calls of kept_find() */
	int64_t	items, bytes;
};
struct kept_stats kept_stats(struct kept *k);

#endif
