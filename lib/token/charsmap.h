/*
 * charsmap - characters to what stands for them, as SentencePiece has it
 *
 * A table that a trainer made of a normal form (NFKC with or without case, and
 * rules of its own): a trie of what is replaced, and the replacements.  It comes
 * from a file, and nothing in it is trusted.
 */
#ifndef TOKEN_CHARSMAP_H
#define TOKEN_CHARSMAP_H

#include "base/buf.h"
#include "token/darts.h"

struct charsmap {
	bool		 on;
	struct darts	 trie;		/* to offsets in text */
	char		*text;		/* replacements, each ended by NUL */
	ptrdiff_t	 n;
	bool		 same[128];	/* this character, alone, is not replaced */
};

/* bytes: of "precompiled_charsmap", or in Base64 as in tokenizer.json.  Return 0 or -1. */
int charsmap_load(struct charsmap *c, str bytes, struct err *err);
int charsmap_load64(struct charsmap *c, str text, struct err *err);
void charsmap_free(struct charsmap *c);

/* Append the bytes that it was loaded from. */
void charsmap_bytes(const struct charsmap *c, struct buf *out);

/*
 * Append text to out as Hugging Face's Precompiled does: what a grapheme of
 * less than 6 bytes begins with stands for all of it, else each character for
 * itself.  Return 0 or -1.
 */
int charsmap_graphemes(const struct charsmap *c, str text, struct buf *out, struct err *err);

/* The longest entry that s begins with: its bytes, or 0, and what stands for it. */
ptrdiff_t charsmap_longest(const struct charsmap *c, str s, str *to);

#endif
