/*
 * bpe_train - the merges of byte-level BPE, from counted words
 *
 * The most frequent pair of neighbours becomes a token; of equally frequent
 * ones the pair with the lower left id, then the lower right id.  Vocabulary
 * and merges equal those of Hugging Face's BpeTrainer.  Counts have 64 bits.
 *
 * Each merge costs time in proportion to its occurrences in the distinct words,
 * and the whole about N log N, N the bytes of the distinct words.  Memory: 4 N
 * bytes, 8 for each word, and about 2 for each place of the pairs that are
 * frequent enough to come next; beyond a limit these are in files.
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

struct bpe_opts {
	int32_t		 vocab;		/* tokens in all; fewer when there are no more pairs */
	const str	*special;
	int		 nspecial;
	const char	*dir;		/* of files */
	int64_t		 memory;	/* bytes of words and places before there are files */
	void		(*progress)(void *ctx, int64_t tokens, int64_t of);	/* or NULL */
	void		*ctx;
};

/*
 * Train on words that are settled.  No token but the special one itself is
 * ever spelt like a special one.
 */
int bpe_train(struct words *words, const struct bpe_opts *o, struct bpe_model *m,
    struct err *err);
void bpe_model_free(struct bpe_model *m);

#endif
