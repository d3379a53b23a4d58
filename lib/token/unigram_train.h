/*
 * unigram_train - pieces and their probabilities, from counted words
 *
 * The substrings of the words that are most frequent for their length begin;
 * then the probabilities are estimated (EM), and pieces whose loss costs the
 * least are dropped, a quarter each time, until the vocabulary has its size.
 * A piece has at most 16 characters, all of one script, a space only before
 * them, and nothing with a line end.  Kudo, Subword Regularization (2018); the
 * steps are those of SentencePiece.
 *
 * Sums are of integers, so the result is the same for any number of threads.
 * Memory: about 22 bytes for each byte of the distinct words, in a file beyond
 * a limit, and 60 for each of the pieces that begin.
 */
#ifndef TOKEN_UNIGRAM_TRAIN_H
#define TOKEN_UNIGRAM_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/team.h"
#include "token/words.h"

/* Count the words of a text whose spaces are U+2581; tmp is the caller's, for reuse. */
int unigram_add_text(struct words *w, struct buf *tmp, str text, struct err *err);

struct unigram_opts {
	int32_t		 vocab;		/* tokens in all; fewer when there are no more pieces */
	const str	*special;
	int		 nspecial;
	bool		 fallback;	/* tokens for the 256 bytes, for unknown characters */
	double		 coverage;	/* the part of all characters that are pieces: 0.9995 */
	const char	*dir;		/* of files */
	int64_t		 memory;	/* bytes before there are files */
	struct team	*team;
	void		(*progress)(void *ctx, int64_t pieces, int64_t of);	/* or NULL */
	void		*ctx;
};

/* Ids: the specials, <unk>, the bytes, the pieces from the likeliest on. */
struct unigram_model {
	int32_t	 n;
	str	*token;			/* in the arena, as all is */
	double	*logp;			/* NAN: a special one, 0: a byte */
	int32_t	 unknown;		/* <unk>, after the specials */
	bool	 fallback;
	double	 encoded;		/* tokens that all words become, on average */
	struct arena arena;
};

/* Train on words that are settled.  Return 0 or -1; the model is to be freed in both cases. */
int unigram_train(struct words *words, const struct unigram_opts *o, struct unigram_model *m,
    struct err *err);
void unigram_model_free(struct unigram_model *m);

#endif
