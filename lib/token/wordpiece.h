/*
 * wordpiece - the words of BERT and its kin, and the pieces that they are made of
 *
 * A text is made plain (bert_normalize), cut at white space and punctuation
 * (SCAN_BERT), and each word is the longest piece that it begins with, then the
 * longest that it goes on with, and so on; a word that is not made of pieces is
 * one unknown token.  Wu et al. (2016); Devlin et al., BERT (2019).
 */
#ifndef TOKEN_WORDPIECE_H
#define TOKEN_WORDPIECE_H

#include "base/buf.h"
#include "token/strmap.h"

#define WORDPIECE_LONGEST 100	/* wordpiece.longest, where nothing says */
#define WORDPIECE_PREFIX 16	/* bytes of the prefix of pieces inside a word, at most */

struct wordpiece {
	bool		 on;
	bool		 spaces;	/* white space comes as words, which give no token */
	int32_t		 unknown;
	int64_t		 longest;	/* characters of a word that is looked at */
	char		 prefix[WORDPIECE_PREFIX];
	ptrdiff_t	 n_prefix;
	ptrdiff_t	 piece;		/* bytes of the longest name */
};

struct bert_form {
	bool	clean;		/* no controls, and one kind of space */
	bool	chinese;	/* space around ideographs */
	bool	strip, lower;	/* no accents, no upper case */
};

/* Append text in this form to out.  Return 0 or -1. */
int bert_normalize(struct buf *out, str text, const struct bert_form *form, struct err *err);

/*
 * Write the ids of word to id, which has room for word.n; return how many: none
 * of white space, where that comes as words.  names: of the vocabulary.
 */
int64_t wordpiece_word(const struct wordpiece *w, const struct strmap *names, str word,
    int32_t *id);

#endif
