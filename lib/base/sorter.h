/*
 * sorter - pieces of bytes in the order of their keys, in a given amount of memory
 *
 * Pieces are added with a group and a key of two numbers, and come back group
 * by group as the caller likes, each group in the order of its keys, equal keys
 * in the order of adding.  What does not fit into memory is sorted and written
 * as a run to a file without a name; runs are merged while they are read, after
 * having been merged to fewer when memory has no room for a buffer of each.  So
 * the order never depends on the memory.  Each piece is written once and read
 * once, unless there are more runs than buffers of 64 KiB.  For one thread at a
 * time.
 */
#ifndef BASE_SORTER_H
#define BASE_SORTER_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define SORTER_MIN	((int64_t)1 << 20)	/* least memory */

struct sorter_key {
	uint64_t	a, b;
};

struct sorter;

/* dir is borrowed; groups are 0 to ngroups - 1. */
struct sorter *sorter_new(const char *dir, int64_t memory, int ngroups, struct err *err);

/* Copy a piece, of up to an eighth of the memory.  Return 0, or -1: a full disk is told here. */
int sorter_add(struct sorter *s, int group, struct sorter_key key, str bytes, struct err *err);

/* All is added. */
int sorter_end(struct sorter *s, struct err *err);

/* The next piece of a group, good until the next call for it.  Return 1, 0 at the end, -1. */
int sorter_next(struct sorter *s, int group, str *bytes, struct err *err);

/* Bytes that were written to files. */
int64_t sorter_spilled(const struct sorter *s);
void sorter_free(struct sorter *s);

#endif
