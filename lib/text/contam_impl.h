/*
 * contam_impl - the index of contam.c, which contam_find.c reads
 */
#ifndef TEXT_CONTAM_IMPL_H
#define TEXT_CONTAM_IMPL_H

#include "text/contam.h"
#include "text/hashset.h"

struct seed {
	uint64_t	 hash;
	int32_t		 item;
	int32_t		 at;		/* its first word in the item */
};

/* All seeds of one length. */
struct seeds {
	struct seed	*seed;		/* sorted by hash */
	int64_t		 n, cap;
	uint32_t	*slot;		/* place of a hash in seed, + 1 */
	uint64_t	*bits;		/* which hashes there are, roughly */
	int		 slot_log, bits_log;
};

struct contam {
	struct contam_opts opts;
	struct contam_item *item;
	int64_t		 items, item_cap;
	uint64_t	*word;
	int64_t		 words, word_cap;
	struct seeds	 seeds[CONTAM_NGRAM_MAX + 1];	/* by length */
	struct folded	 folded;
	struct buf	 text;
	struct spill	 spill;
	struct hashset	 known;		/* the questions' words */
	int64_t		 too_short, again;
};

/* The hash of n words is seed_mix() of h = h * SEED_P + word over them. */
#define SEED_P 0x9e3779b97f4a7c15u

static inline uint64_t
seed_mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

#endif
