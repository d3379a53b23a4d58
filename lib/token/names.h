/*
 * names - BPE over characters as they stand in the vocabulary, and WordLevel
 *
 * A word begins as its characters, looked up by name: with a prefix where they
 * go on a word, and a suffix where they end one.  What has no token is its bytes,
 * <0x00> to <0xFF>, or unknown.
 */
#ifndef TOKEN_NAMES_H
#define TOKEN_NAMES_H

#include "token/bpe.h"
#include "token/strmap.h"

#define NAMES_AFFIX 64		/* bytes of a prefix or suffix */

struct names {
	bool		 on;
	bool		 whole;		/* WordLevel: the word is a token, or unknown */
	bool		 fuse;		/* unknown ones in a row are one */
	bool		 fallback;	/* to bytes */
	int32_t		 unknown;	/* -1: there is none */
	char		 affix[2][NAMES_AFFIX];	/* prefix and suffix */
	ptrdiff_t	 n_affix[2];
};

/*
 * Write the ids of word to id, which has room for word.n; return how many, or -1:
 * ERR_FORMAT for a character that has no token, or ERR_NOMEM.  words: the vocabulary.
 */
int64_t names_word(const struct names *s, const struct strmap *words, const struct bpe *bpe,
    struct bpe_scratch *scratch, str word, int32_t *id, struct err *err);

#endif
