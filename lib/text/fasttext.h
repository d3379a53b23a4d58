/*
 * fasttext - supervised models of fastText, .bin and .ftz, applied as it does
 *
 * Reads versions 11 and 12, dense and quantized, with softmax, hierarchical
 * softmax, negative sampling or one-vs-all; words, n-grams of words and of
 * characters are hashed as fastText hashes them.  The file is untrusted: every
 * count is checked against its size.  Immutable once read; any number of threads
 * apply it, each with a state.
 *
 * Joulin et al., Bag of Tricks for Efficient Text Classification (2016);
 * FastText.zip (2016).
 */
#ifndef TEXT_FASTTEXT_H
#define TEXT_FASTTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct fasttext;

/* What a thread has: zeroed at first. */
struct fasttext_state {
	int32_t		*id;		/* rows of the input matrix */
	int64_t		 n, cap;
	int32_t		*hash;		/* of words */
	int64_t		 nhash, hash_cap;
	float		*hidden;	/* and what the output matrix makes of it */
};

/* Does a file begin as one of these? */
bool fasttext_is(str head);

struct fasttext *fasttext_open(const char *path, struct err *err);

/* The bytes of a model, which must outlive it. */
struct fasttext *fasttext_open_mem(str bytes, struct err *err);
int fasttext_labels(const struct fasttext *f);
str fasttext_label(const struct fasttext *f, int i);	/* without "__label__" */

/*
 * p[i]: the probability of label i, as fastText's predict says it (with 1e-5 added,
 * at most 1).  A line end in text is a space.  Return 1, 0 when no word or n-gram is known, -1.
 */
int fasttext_apply(const struct fasttext *f, struct fasttext_state *s, str text, float *p,
    struct err *err);
void fasttext_state_free(struct fasttext_state *s);
void fasttext_close(struct fasttext *f);

#endif
