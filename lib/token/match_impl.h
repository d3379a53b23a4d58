/*
 * match_impl - how tokens are made, and the trie that they are sought in
 */
#ifndef TOKEN_MATCH_IMPL_H
#define TOKEN_MATCH_IMPL_H

#include "token/match.h"

#define ID_BITS		21
#define RANK_BITS	22
#define LEN_BITS	11
#define TAG_BITS	11		/* what is left of 32 bits tells pairs apart */
#define SOME_BITS	21		/* 256 KiB of bits stay in a near cache */

#define LOW(x, bits)	((uint32_t)(x) & ((1u << (bits)) - 1))

/*
 * All that is known of a token is in few bytes, for what words need of it comes
 * from memory that is far away.  Its making is a number of 64 bits: the two that
 * become it and the rank of that, from 1 on; 0: it is what words begin as.
 */
static inline uint64_t
pair_key(int32_t left, int32_t right)
{
	return (uint64_t)(uint32_t)left << ID_BITS | (uint32_t)right;
}

static inline uint32_t
made_rank(uint64_t made)
{
	return LOW(made, RANK_BITS);
}

static inline int32_t
made_left(uint64_t made)
{
	return (int32_t)(made >> (RANK_BITS + ID_BITS));
}

static inline int32_t
made_right(uint64_t made)
{
	return (int32_t)LOW(made >> RANK_BITS, ID_BITS);
}

/* Its bytes; 0: it is never made. */
static inline int32_t
token_len(const struct match *m, int32_t id)
{
	return (int32_t)LOW(m->token[id], LEN_BITS);
}

/* The longest token that it begins with, or -1. */
static inline int32_t
token_shorter(const struct match *m, int32_t id)
{
	return (int32_t)(m->token[id] >> LEN_BITS) - 1;
}

static inline uint64_t
pair_hash(uint64_t key)
{
	return key * 0x9e3779b97f4a7c15u;
}

/* Of a hash: its bit among those that pairs have, and what is in a slot of it. */
static inline uint64_t *
pair_some(const struct match *m, uint64_t hash)
{
	return &m->some[hash >> (70 - SOME_BITS)];
}

static inline uint64_t
pair_bit(uint64_t hash)
{
	return (uint64_t)1 << (hash >> (64 - SOME_BITS) & 63);
}

static inline uint32_t
pair_tag(uint64_t hash)
{
	return LOW(hash >> 21, TAG_BITS);
}

/* The rank of their merge, or UINT32_MAX. */
static inline uint32_t
pair_find(const struct match *m, int32_t left, int32_t right)
{
	uint64_t key = pair_key(left, right), hash = pair_hash(key);
	uint32_t slot;

	if ((*pair_some(m, hash) & pair_bit(hash)) == 0)
		return UINT32_MAX;
	for (uint64_t i = hash >> 32; (slot = m->pair[i & m->pair_mask]) != 0; i++)
		if (LOW(slot, TAG_BITS) == pair_tag(hash)) {
			uint64_t made = m->made[(slot >> TAG_BITS) - 1];

			if (made >> RANK_BITS == key)
				return made_rank(made);
		}
	return UINT32_MAX;
}

/* Do two tokens, joined, become themselves again? */
static inline bool
pair_stays(const struct match *m, int32_t left, int32_t right)
{
	uint32_t before = UINT32_MAX;	/* a merge across that ranks so would have come */

	for (;;) {
		uint64_t a = m->made[left], b = m->made[right];

		if (pair_find(m, left, right) < before)
			return false;
		/* The later of their merges; of equal ones the right one. */
		if (made_rank(a) > made_rank(b)) {
			before = made_rank(a);
			left = made_right(a);
		} else if (made_rank(b) > 0) {
			before = made_rank(b) + 1;
			right = made_left(b);
		} else {
			return true;
		}
	}
}

/* Has a strange token two bytes at its begin that hash like these? */
static inline unsigned
strange_hash(const char *p)
{
	return ((uint8_t)p[0] * 61u ^ (uint8_t)p[1] * 8u) % (64 * MATCH_STRANGE);
}

/* A trie's keys have no NUL; UTF-8 has no 0xff. */
static inline uint8_t
label_of(uint8_t c)
{
	return c == 0 ? 0xff : c;
}

#endif
