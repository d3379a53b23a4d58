/*
 * english - English text into words, and a count of its sentences
 *
 * The published thresholds of the quality rules (datatrove, FineWeb) were set
 * with spaCy's English tokenizer, so these are its words: text is cut at
 * white space, then punctuation is taken off both ends of each piece, pieces
 * are cut inside ("and/or" no, "he/she" yes), and contractions, abbreviations,
 * emoticons and URLs are known.  Other languages written with spaces come out
 * well; those without do not.  Where it differs from spaCy: letters and
 * symbols are by Unicode category and not by its lists, units are the Latin
 * ones, and a URL whose host is an IP address is not seen as one.
 *
 * A sentence ends with a word that is one terminal sign, and with the
 * punctuation behind it (spaCy's sentencizer).
 */
#ifndef TEXT_ENGLISH_H
#define TEXT_ENGLISH_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define WORD_SYMBOL	1u	/* nothing but punctuation and controls */
#define WORD_ALPHA	2u	/* a letter at least */
#define WORD_PUNCT	4u	/* category P alone */
#define WORD_TERMINAL	8u	/* one character, and it ends a sentence */

struct english_word {
	uint64_t	hash;
	uint32_t	at, bytes;	/* in the text */
	uint32_t	chars;
	uint32_t	flags;
};

/* The words of one text; owns its memory, keeps it for the next text. */
struct english_words {
	struct english_word	*word;
	ptrdiff_t	 n, cap;
	/* scratch: lengths of what was cut off the end of a piece */
	uint32_t	*tail;
	ptrdiff_t	 ntail, tailcap;
	const char	*limit;		/* end of what may be read */
	bool		 failed;
};

/* What is known of English: read-only after it was made, for any thread. */
struct english;
struct english *english_new(struct err *err);
void english_free(struct english *r);

/* Replace w by the words of text (valid UTF-8, below 2 GiB).  Return 0 or -1. */
int english_split(const struct english *r, str text, struct english_words *w, struct err *err);

/*
 * How many sentences text has, at most limit: it stops there.  An empty text
 * is one.  w is scratch.  Return the count or -1.
 */
int64_t english_sentences(const struct english *r, str text, int64_t limit, struct english_words *w,
    struct err *err);

/* The hash that a word has in english_split(). */
uint64_t english_hash(str word);

void english_words_free(struct english_words *w);

#endif
