/*
 * unigram_train_impl - what the steps of the training share
 */
#ifndef TOKEN_UNIGRAM_TRAIN_IMPL_H
#define TOKEN_UNIGRAM_TRAIN_IMPL_H

#include "base/spill.h"
#include "token/darts.h"
#include "token/unigram_train.h"

#define PIECE_CHARS	16		/* of a piece, at most */
#define PART_MAX	4096		/* bytes of a part, nearly */
#define SEEDS		1000000		/* pieces at first, at most */

/* A distinct word, or what lies between characters that are no pieces. */
struct part {
	int64_t	at;			/* in text */
	int32_t	n;			/* bytes */
	int64_t	count;
};

struct corpus {
	struct spill	 spill;
	char		*text;
	int64_t		 n;
	struct part	*part;
	int64_t		 nparts;
	int64_t		 total;		/* characters that the parts have, times their counts, */
	int64_t		 weight;	/* and the counts of the words */
	int64_t		*chars;		/* how often each code point is there; 0: no piece */
};

struct subword {
	str	text;
	double	score;			/* log-probability; while seeds are found, how good */
	bool	single;			/* one character: never dropped */
};

struct subwords {
	struct subword	*piece;
	int64_t		 n, cap;
};

/* Lay out the words without characters beyond the coverage.  Return 0 or -1. */
int corpus_init(struct corpus *c, struct words *words, const struct unigram_opts *o,
    struct err *err);
void corpus_free(struct corpus *c);

/* The pieces that begin, their scores set. */
int seed_pieces(struct subwords *p, struct corpus *c, struct team *team, struct err *err);

/* Estimate the probabilities once; *tokens is how many the corpus has on average. */
int em_step(struct subwords *p, const struct corpus *c, struct team *team, double *tokens,
    struct err *err);

/* Keep n pieces: those without which the corpus is the least likely. */
int prune_pieces(struct subwords *p, const struct corpus *c, int64_t n, struct team *team,
    struct err *err);

/* Score descending, then bytes. */
int piece_order(const void *a, const void *b);

#endif
