/*
 * spm - tokenizers from SentencePiece's model files
 *
 * A message of protocol buffers: pieces with scores and types, how they were
 * trained, and how text is made normal before.  Unigram and BPE; the ids are
 * those of the package SentencePiece.  Nothing in the file is trusted.
 */
#ifndef TOKEN_SPM_H
#define TOKEN_SPM_H

#include "token/charsmap.h"

#define SPM_CHARS	0x10000
enum { SPM_OTHER = 1, SPM_NEXT = 2, SPM_SPACE = 4 };	/* SPM_OTHER: not ASCII of same */

/* SentencePiece's normal form; zeroed: there is none. */
struct spm_form {
	bool		 on;
	bool		 prefix;	/* a space comes before each text */
	bool		 trim;		/* no space at the ends, and one between words */
	bool		 all;		/* all characters stay as they are */
	/* Sets of characters: */
	uint64_t	 same[SPM_CHARS / 64];	/* no entry replaces it alone, */
	uint64_t	 lone[SPM_CHARS / 64];	/* nor with others behind it */
	uint8_t		 kind[256];	/* of a byte: SPM_* */
	int32_t		 unknown;	/* token for a character that BPE has none for */
	struct charsmap	 map;
	struct darts	 user;		/* what is in text as it is; values are ids */
};

void spm_free(struct spm_form *f);

/*
 * One of a charsmap (n 0: none) and of n pieces of the user's, which are sorted.
 * The rest is set before.  Return 0 or -1.
 */
int spm_form(struct spm_form *f, str map, struct darts_key *user, int64_t n, struct err *err);

/* The score of a piece of the user's of n bytes: it wins, and the longest of several. */
double spm_user_score(ptrdiff_t n);

/* Append text in this form, with spaces for U+2581, to out.  Return 0 or -1. */
int spm_normalize(const struct spm_form *f, str text, struct buf *out, struct err *err);

/* Do the bytes of a file look like such a model? */
bool spm_is(str file);

struct tokenizer;
struct tokenizer *spm_tokenizer(str file, struct err *err);

#endif
