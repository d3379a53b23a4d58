/*
 * sentence - text as SentencePiece has it, for BPE over characters and Unigram
 *
 * A space is a part of the word behind it: U+2581 in vocabularies, a space
 * here.  A character that has no token is its bytes, <0x00> to <0xFF>.  Kudo
 * and Richardson, SentencePiece (2018).
 */
#ifndef TOKEN_SENTENCE_H
#define TOKEN_SENTENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct sentence {
	bool	on;
	bool	late;		/* behind added tokens, which are found in text as it is */
	bool	prefix;		/* a space comes before each text, */
	bool	first;		/* but not behind a token in it, */
	bool	lacking;	/* nor when it has one */
	bool	whole;		/* some token has a space inside: text is one word */
	bool	split;		/* each space begins a word, whatever tokens there are */
	bool	words;		/* white space parts words, and each has one space before it */
};

/* A component of tokenizer.json into s: 1, 0 when it is not of this kind, -1. */
int sentence_normalizer(struct sentence *s, const json_t *json, struct err *err);
int sentence_pre(struct sentence *s, const json_t *json, struct err *err);

/* What a token's name stands for, never longer than it; and the byte of <0x..>, or -1. */
ptrdiff_t sentence_bytes(char *to, str name);
int sentence_byte(str name);
bool sentence_inner(str bytes);		/* has it a space behind another character? */

/* Text with spaces for U+2581, and one before it (words: before each) when it is to be. */
void sentence_text(const struct sentence *s, struct buf *to, str text, bool prefix);

/*
 * Between which two bytes text is cut into words: before spaces, where no token
 * has one inside; and where no token at all has these two side by side, so that
 * no merge joins them.
 */
struct sentence_cuts {
	uint8_t	between[256 * 256];	/* 0 or 1, by both as they lie in memory */
};

/* token: n of them; NULL: cut before spaces alone. */
void sentence_cuts(struct sentence_cuts *c, const struct sentence *s, const str *token, int32_t n);

/*
 * Cut words off [p, end), p < end: word i ends at p + cut[i].  At most max, which is
 * SENTENCE_ROOM or more, or a little less; return how many, at least 1.
 */
#define SENTENCE_ROOM	128
int sentence_words(const struct sentence_cuts *c, const char *p, const char *end, int32_t *cut,
    int max);

#endif
