/*
 * prefix - blocks of keys and values by the tokens that lead to them, and where they are
 *
 * A block is known by its CACHE_BLOCK tokens and the block before it; a first one
 * by a root: what else decides its keys and values, and a salt that keeps those
 * apart who are to learn nothing of each other (CVE-2025-46570).  So the blocks
 * are a tree, and one that is found has these tokens and all before them: tokens
 * and parents are compared, whatever the hash (XXH3, of parent and tokens), for
 * who can make hashes collide must not read what is another's.
 *
 * A block is at home in one tier: the cache, memory below it, or a disk below that,
 * each of a number of slots; a copy that is left where it was is spare, good for as
 * long as nobody needs the slot.  Known blocks that nobody has are idle; the one
 * that has been so the longest leaves the cache for memory, memory for the disk, and
 * is forgotten where there is nothing below.  Who has a block has those before it,
 * and gives back the last first: so none leaves a tier before those that follow it,
 * and where one is lost all the same, what follows it is forgotten with it.
 *
 * This is who is where.  What moves bytes (offload_impl.h) does as it is told here, and
 * says when it has.
 */
#ifndef INFER_PREFIX_H
#define INFER_PREFIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum tier { TIER_CACHE, TIER_MEMORY, TIER_DISK, TIERS };

struct prefix_root {
	uint64_t salt;
	int64_t	base;		/* of positions */
	int64_t	adapter;
};

struct prefix;

/* Slots are numbers from 0 on.  Without some in memory there is no disk. */
struct prefix *prefix_new(const int64_t slots[TIERS], struct err *err);
void prefix_free(struct prefix *p);

/* The node of these tokens behind a parent, -1: behind the root; or -1. */
int32_t prefix_find(const struct prefix *p, const struct prefix_root *root, int32_t parent,
    const int32_t *token);

/* A slot of the cache that somebody has becomes that one, which was not found. */
void prefix_add(struct prefix *p, int32_t slot, const struct prefix_root *root, int32_t parent,
    const int32_t *token);
/* The node that a slot of the cache is, or -1; where a node can be read in a tier, or -1. */
int32_t prefix_at(const struct prefix *p, int32_t slot);
int32_t prefix_slot(const struct prefix *p, int32_t node, enum tier tier);

/* Nobody has a known slot of the cache any more; somebody has it again. */
void prefix_rest(struct prefix *p, int32_t slot);
void prefix_wake(struct prefix *p, int32_t slot);

/*
 * An idle slot, no longer known; -1: there is none.  Its bytes go to slot *to of memory
 * first, -1: nowhere.
 */
int32_t prefix_give_up(struct prefix *p, int32_t *to);

/* A node that is not in the cache is back there: its bytes are in that slot, which somebody has. */
void prefix_come_back(struct prefix *p, int32_t node, int32_t slot);

/*
 * Bytes to move between memory and disk: the next node to be written, so that memory has
 * room, or -1; can this one, which is on the disk alone, be read now?  Its slots in both
 * are its own until it has moved, well or not: then what was not is gone.
 */
struct prefix_move {
	int32_t	node, memory, disk;
};
bool prefix_write(struct prefix *p, struct prefix_move *m);
bool prefix_read(struct prefix *p, int32_t node, struct prefix_move *m);
bool prefix_moving(const struct prefix *p, int32_t node);
void prefix_moved(struct prefix *p, int32_t node, bool well);

/* Slots of memory that can be filled now. */
int64_t prefix_ready(const struct prefix *p);

int64_t prefix_idle(const struct prefix *p);
/* Slots of memory or disk in which something is; blocks that went for want of room or by faults. */
int64_t prefix_used(const struct prefix *p, enum tier tier);
int64_t prefix_lost(const struct prefix *p);

#endif
