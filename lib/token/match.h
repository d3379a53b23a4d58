/*
 * match - byte pair encoding without merging
 *
 * The ids of a word are the one sequence of tokens in which each two that are
 * neighbours, joined and encoded by themselves, are those two again.  It is
 * found from left to right: the longest token at a place that goes with the one
 * before it, and where none does, a step back.  Each place is given up once, so
 * that time is linear in the word, whatever its bytes.  GitHub's bpe crate
 * (2024) has this method.
 *
 * Whether two go together is told by undoing their merges, latest first, and
 * asking whether one across the border would have come before.  That holds
 * where a token is made by merges of rising rank.  match_init() looks which might
 * be made otherwise: words that have the bytes of such a strange one are to be
 * merged.
 */
#ifndef TOKEN_MATCH_H
#define TOKEN_MATCH_H

#include "token/bpe.h"
#include "token/darts.h"

#define MATCH_STRANGE	64

struct match {
	uint64_t	*made;		/* of each token: of what, and when */
	uint32_t	*token;		/* the longest that it begins with, and its length */
	uint32_t	*pair;		/* what two become: a hash table */
	uint32_t	 pair_mask;
	uint64_t	*some;		/* bits of the hashes that pairs have: few have one */
	struct darts	 trie;		/* of tokens of several bytes */
	struct darts	 unmade;	/* of those that are never made: 2 id + is it strange? */
	uint64_t	 strange[MATCH_STRANGE]; /* bits of the two bytes that these begin with */
	bool		 any_strange;
	int32_t		 one[256];	/* the token of a byte, or -1 */
	int32_t		 n;
};

struct tokenizer;

/*
 * For the tokens and merges of t, which must outlive it.  Return 1; 0 when these
 * merges are not of this kind, and *m is empty; or -1.
 */
int match_init(struct match *m, const struct tokenizer *t, struct err *err);
void match_free(struct match *m);

/* The token that word is and that no merges make, or -1. */
int32_t match_whole(const struct match *m, str word);

/*
 * Write the ids of word, of 1 to 2^30 bytes, to id, which has room for as many.
 * What has no token is bytes of byte_id.  Return how many; 0 when merges are to
 * tell; or -1.
 */
int64_t match_word(const struct match *m, struct bpe_scratch *s, str word,
    const int32_t byte_id[256], int32_t *id, struct err *err);

#endif
