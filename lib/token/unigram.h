/*
 * unigram - the likeliest pieces of a text, each having a probability of its own
 *
 * Viterbi's algorithm over a trie of the pieces, along the bytes of the text: a
 * way ends where it does, and where no piece crosses a place the best way to it
 * is settled and written.  So the time is linear in the text, whatever it is,
 * and the memory that of the longest stretch which pieces cross (24 bytes a
 * byte).  A character that is no piece is unknown, at 10 below the least likely
 * piece; unknown ones that touch are one token, or their bytes' where the
 * vocabulary has these.
 *
 * Kudo, Subword Regularization (2018).  The sums and ties are those of Hugging
 * Face's tokenizers, in doubles; or of the package SentencePiece from 0.2.3 on, in
 * floats that begin anew beyond 100,000.
 */
#ifndef TOKEN_UNIGRAM_H
#define TOKEN_UNIGRAM_H

#include "token/darts.h"

struct unigram {
	bool		 on;
	bool		 floats;	/* sums are */
	bool		 fallback;	/* to byte_id, */
	bool		 spelled;	/* where each byte has one */
	int32_t		 unknown;	/* its token; -1: there is none */
	double		 unknown_score;
	double		 largest;	/* of all scores, without sign */
	double		*score;		/* log-probability, of each token */
	float		*step;		/* where sums are floats: what each adds */
	struct darts	 trie;
	ptrdiff_t	 longest;	/* bytes of a piece */
	const int32_t	*byte_id;	/* -1: this byte has no token */
};

/*
 * With scores (malloc'd; freed by unigram_free()), unknown and fallback set: piece[i],
 * of n, becomes token i; there is none where p is NULL or the score no number.
 * least: the smallest score of all that count.  Return 0 or -1.
 */
int unigram_init(struct unigram *u, int32_t n, const str *piece, double least, struct err *err);
void unigram_free(struct unigram *u);

/* A thread's memory; zeroed at first. */
struct unigram_node;
struct unigram_scratch {
	struct unigram_node *node;
	ptrdiff_t	 cap;
};

/*
 * Write the ids of text to id, which has room for text.n.  Return how many, or -1:
 * ERR_FORMAT for an unknown character when there is no unknown token, or ERR_NOMEM.
 */
int64_t unigram_text(const struct unigram *u, struct unigram_scratch *s, str text, int32_t *id,
    struct err *err);
void unigram_scratch_free(struct unigram_scratch *s);

/*
 * A text whose sums are floats, by words that no piece crosses.  Which way is the
 * best through a word depends on the sum before it only by its rounding, and so
 * not at all where the next best is far behind.
 */
struct unigram_sum {			/* of what came before; zeroed at first */
	float		 total;
	str		 unknown;	/* at its end, not yet written */
};

/* What unigram_settle() makes of a word, to be remembered.  Return how many; room as above. */
int64_t unigram_word(const struct unigram *u, str word, int32_t *id);

/*
 * Write the ids of words, each of which ends at base + cut[i], given the n of them all
 * that unigram_word() made.  There is room for the bytes of both words and sum->unknown.
 */
int64_t unigram_settle(const struct unigram *u, struct unigram_scratch *s, struct unigram_sum *sum,
    const char *base, const int32_t *cut, const int32_t *made, int64_t n, int32_t *id,
    struct err *err);
int64_t unigram_end(const struct unigram *u, struct unigram_sum *sum, int32_t *id,
    struct err *err);

#endif
