/*
 * prefix - cache blocks by the tokens that lead to them
 *
 * A block is known by its CACHE_BLOCK tokens and the block before it; a first one
 * by a root: what else decides its keys and values, and a salt that keeps those
 * apart who are to learn nothing of each other (CVE-2025-46570).  So the blocks
 * are a tree, and one that is found has these tokens and all before them: tokens
 * and parents are compared, whatever the hash (XXH3, of parent and tokens), for
 * who can make hashes collide must not read what is another's.
 *
 * Known blocks that nobody has are idle; the one that has been so the longest is
 * given up first.  Who has a block has those before it, and gives back the last
 * first, so that a block is never given up before those that follow it.
 */
#ifndef INFER_PREFIX_H
#define INFER_PREFIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct prefix_root {
	uint64_t salt;
	int64_t	base;		/* of positions */
	int64_t	adapter;
};

struct prefix;

/* For blocks of these numbers, from 0 on. */
struct prefix *prefix_new(int64_t blocks, struct err *err);
void prefix_free(struct prefix *p);

/* The block of these tokens behind parent, -1: behind the root; or -1. */
int32_t prefix_find(const struct prefix *p, const struct prefix_root *root, int32_t parent,
    const int32_t *token);

/* A block that is not known, and that somebody has, becomes that one: none was found. */
void prefix_add(struct prefix *p, int32_t block, const struct prefix_root *root, int32_t parent,
    const int32_t *token);
bool prefix_has(const struct prefix *p, int32_t block);

/* Nobody has a known block any more; somebody has it again. */
void prefix_rest(struct prefix *p, int32_t block);
void prefix_wake(struct prefix *p, int32_t block);

/* An idle one, no longer known; -1: there is none.  And how many are. */
int32_t prefix_give_up(struct prefix *p);
int64_t prefix_idle(const struct prefix *p);

#endif
