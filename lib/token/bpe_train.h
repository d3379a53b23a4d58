/*
 * bpe_train - the merges of byte-level BPE, from counted words
 *
 * The most frequent pair of neighbours becomes a token; of equally frequent
 * ones the pair with the lower left id, then the lower right id.  Vocabulary
 * and merges equal those of Hugging Face's BpeTrainer.  Counts have 64 bits.
 *
 * Each merge costs time in proportion to its occurrences in the distinct words,
 * and the whole about N log N.  Memory: about 24 N bytes, N the bytes of the
 * distinct words, and 40 for each pair ever seen.
 */
#ifndef TOKEN_BPE_TRAIN_H
#define TOKEN_BPE_TRAIN_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "token/words.h"

#define BPE_SPECIALS	1024		/* special tokens, at most */

/* Ids: the specials, the 256 bytes in the order of bytemap.h, what was merged. */
struct bpe_model {
	int32_t	 n;			/* tokens */
	int32_t	 nspecial;
	str	*token;			/* bytes of each; of a special one its name */
	int32_t	(*merge)[2];		/* nmerges pairs, in order of rank */
	int64_t	 nmerges;
	int64_t	 encoded;		/* tokens that all words seen have become */
	char	*pool;
};

/*
 * Train up to vocab tokens in all; fewer when there are no more pairs.  No
 * token but the special one itself is ever spelt like a special one.
 */
int bpe_train(const struct words *words, int32_t vocab, const str *special, int nspecial,
    struct bpe_model *m, struct err *err);
void bpe_model_free(struct bpe_model *m);

#endif
