/*
 * folded - the words of a text, as those see them who look for the same text
 *
 * Words are runs of letters, marks and digits, in lower case; a character of a
 * script that writes no spaces is a word.  So case, punctuation and spaces make
 * no difference.  A word is known by a hash of 64 bits.
 */
#ifndef TEXT_FOLDED_H
#define TEXT_FOLDED_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* A thread's room.  Zeroed at first. */
struct folded {
	struct buf	 text, words;
};

/* The words of text, good until the next one.  Return their number or -1. */
ptrdiff_t folded_words(struct folded *f, str text, const uint64_t **word, struct err *err);

/* Where the words from, from + 1 .. to - 1 lie in text; p NULL when there are not so many. */
str folded_span(str text, ptrdiff_t from, ptrdiff_t to);
void folded_free(struct folded *f);

#endif
