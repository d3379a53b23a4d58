/*
 * features - the words of a text, and several of them in a row, as numbers below 2^bits
 *
 * A token is a run of letters and digits, and of characters from U+0080 to U+1FFF,
 * ASCII in lower case; a run of white space with a line end in it; or any other
 * character but a space.  A feature is the hash of one token, or of up to so many
 * in a row; or of some characters of a token, which "<" and ">" enclose.
 */
#ifndef TEXT_FEATURES_H
#define TEXT_FEATURES_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define FEATURES_WORDS	8	/* most words in a row */
#define FEATURES_CHARS	16	/* most characters */

struct features_opts {
	int	words;			/* in a row, from 1 */
	int	chars_min, chars_max;	/* of tokens; 0: none */
	int	bits;			/* 8 to 30 */
};

/* Features; grown by features_of(), freed by the caller. */
struct features {
	uint32_t	*id;
	int64_t		 n, cap;
};

/* Replace what is in f by the features of text.  Return 0 or -1. */
int features_of(const struct features_opts *o, str text, struct features *f, struct err *err);
void features_free(struct features *f);

#endif
