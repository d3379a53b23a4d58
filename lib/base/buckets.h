/*
 * buckets - items thrown into many buckets, more of them than memory holds
 *
 * Each bucket keeps its items in the order in which they came, in chunks of
 * one size.  Chunks lie in memory up to a limit, then in a file without a
 * name.  An item never lies across two chunks.  The buckets own it all.
 * Adding and closing is for one thread at a time; reading, once no more is
 * added, for any number.
 */
#ifndef BASE_BUCKETS_H
#define BASE_BUCKETS_H

#include <stdint.h>

#include "base/err.h"

struct buckets;

/*
 * n buckets of items of size bytes, in about memory bytes (never less than a
 * chunk of 4 KiB for each bucket that has items).  dir is borrowed.
 */
struct buckets *buckets_new(const char *dir, int n, int64_t size, int64_t memory,
    struct err *err);

/* Return 0 or -1. */
int buckets_add(struct buckets *b, int bucket, const void *item, struct err *err);

int64_t buckets_count(const struct buckets *b, int bucket);	/* items */
int64_t buckets_spilled(const struct buckets *b);		/* bytes in the file */

/* Bytes that buckets_read() needs of room. */
int64_t buckets_chunk(const struct buckets *b);

/*
 * The items of chunk number at (from 0) of a bucket: their number, with *items
 * in room or in the buckets themselves; 0 behind the last; -1.
 */
int64_t buckets_read(const struct buckets *b, int bucket, int64_t at, void *room,
    const void **items, struct err *err);

/* Give back the memory of one bucket that was read. */
void buckets_empty(struct buckets *b, int bucket);

void buckets_free(struct buckets *b);	/* NULL is allowed */

#endif
