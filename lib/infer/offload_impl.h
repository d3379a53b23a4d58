/*
 * offload_impl - the tiers below a cache of keys and values: private to lib/infer
 *
 * Blocks that the cache gives up are copied to memory on the device's queue, and nobody
 * waits for that.  Where memory is nearly full a thread of its own writes the oldest to
 * a file without a name, and it reads back what is asked for; what would come faster
 * than it writes is dropped.  Which block is where is said by prefix.h.  A block that
 * cannot be written, or read with the checksum (XXH3) that it had, is one that was not
 * kept; the first such fault is told.
 *
 * One thread uses it, that of the engine.
 */
#ifndef INFER_OFFLOAD_IMPL_H
#define INFER_OFFLOAD_IMPL_H

#include "infer/engine_impl.h"

/* As the engine's options say, for its cache and pool.  Its memory is used as it fills. */
struct offload *offload_new(struct engine *e, struct err *err);
void offload_free(struct offload *o);

/* Bytes of a block; blocks that go into memory, or on the disk, by the engine's options. */
int64_t offload_bytes(const struct engine *e);
int64_t offload_slots(const struct engine *e, enum tier tier);
void offload_sizes(const struct engine *e, struct engine_offloaded *s);
/* Is there room for one where there is to be some, and can there be a file?  0 or -1. */
int offload_check(const struct engine *e, struct err *err);

/* Queue a copy of a block to a slot of memory, or back.  The latter is 0 or -1. */
void offload_down(struct offload *o, int32_t slot, int32_t block);
int offload_up(struct offload *o, int32_t block, int32_t slot, struct err *err);

/* What was queued is done: dev_wait() has returned. */
void offload_settled(struct offload *o);

/* See what has moved, and give the thread more to write.  0 or -1. */
int offload_turn(struct offload *o, struct err *err);

/*
 * Begin to read a node that is on the disk alone.  0: to compute it is quicker; 1, also
 * when there will be room for it soon; or -1.
 */
int offload_read(struct offload *o, int32_t node, struct err *err);

/* Is there no room in memory for what is given up, until something has moved? */
bool offload_is_full(const struct offload *o);

/* Blocks that are brought back at once, at most. */
int64_t offload_batch(const struct offload *o);

#endif
