/*
 * darts - strings to numbers: a trie in one array
 *
 * The layout is that of the library darts-clone, which SentencePiece's files
 * hold: from the place of a node, xor with the next byte leads to the unit that
 * has this byte as its label and the way to the place of the child.  A walk
 * checks each index, so the units may be anything.
 */
#ifndef TOKEN_DARTS_H
#define TOKEN_DARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct darts {
	uint32_t	*unit;
	uint32_t	 n;
};

#define DARTS_VALUE	0x80000000u	/* this unit is the value of its place, */
#define DARTS_LEAF	0x100u		/* which the unit before tells there is */
#define DARTS_FAR	0x200u		/* the way is in steps of 256 */
#define DARTS_MAX	(1u << 29)	/* units: what a way can span */

static inline uint32_t
darts_way(uint32_t unit)
{
	return unit >> 10 << ((unit & DARTS_FAR) >> 6);
}

/* Where walks begin. */
static inline uint32_t
darts_root(const struct darts *d)
{
	return d->n > 0 ? darts_way(d->unit[0]) : 0;
}

/* Follow a byte.  False when no key goes on so; *value is -1 where none ends. */
static inline bool
darts_step(const struct darts *d, uint32_t *at, uint8_t byte, int32_t *value)
{
	uint32_t to = *at ^ byte, unit;

	if (to >= d->n)
		return false;
	unit = d->unit[to];
	if ((unit & (DARTS_VALUE | 0xff)) != byte)
		return false;
	*at = to ^ darts_way(unit);
	*value = (unit & DARTS_LEAF) != 0 && *at < d->n ?
	    (int32_t)(d->unit[*at] & ~DARTS_VALUE) : -1;
	return true;
}

struct darts_key {
	str	key;		/* without a NUL, and not empty */
	int32_t	value;		/* 0 and up */
	int32_t	before;		/* that of the longest key that this one goes on, or -1: set here */
};

/* Of n keys, which are sorted here; of equal ones the last counts.  Return 0 or -1. */
int darts_build(struct darts *d, struct darts_key *key, int64_t n, struct err *err);
void darts_free(struct darts *d);

#endif
