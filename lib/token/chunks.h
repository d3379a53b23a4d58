/*
 * chunks - a text in pieces of at most so many tokens
 *
 * A piece ends where it is least missed: at the end of a paragraph, or of a
 * sentence where the paragraph does not fit, of a word where the sentence does
 * not, else behind a character.  Pieces are in order, and each byte is in one.
 *
 * The text is encoded once, and where its tokens end tells how many any part of
 * it has.  That is exact between spaces behind other ASCII for the byte-level
 * tokenizers whose patterns we know, of which no word goes on after such a place
 * or looks over it; what is before and behind these is encoded again, and of other
 * tokenizers all of a piece, so that its count is that of its text by itself.
 * Time is linear in the text.  Memory is 4 bytes a token of it.
 */
#ifndef TOKEN_CHUNKS_H
#define TOKEN_CHUNKS_H

#include "token/tokenizer.h"

#define CHUNK_TOKENS_MIN	8
#define CHUNK_TOKENS_MAX	((int64_t)1 << 30)

enum chunk_kind {
	CHUNK_TEXT,	/* paragraphs, sentences, words */
	CHUNK_MARKDOWN,	/* sections before these; fences are kept whole, items are sentences */
	CHUNK_LINES	/* paragraphs, lines, words: code, logs */
};

struct chunk_opts {
	enum chunk_kind	kind;
	int64_t		tokens;		/* at most so many */
	int64_t		overlap;	/* and so many, at most half, are in the next piece too */
};

struct text_chunk {
	ptrdiff_t	start, end;	/* bytes */
	int64_t		tokens;
};

/* A thread's own, for any number of texts. */
struct chunker;
struct chunker *chunker_new(const struct tokenizer *t, const struct chunk_opts *o,
    struct err *err);
void chunker_free(struct chunker *c);

/*
 * Cut text, which is UTF-8.  Return how many pieces, in *chunk until the next call, or -1:
 * a text of more than 4 GiB, or a character that has more tokens than a piece may.
 */
int64_t chunker_cut(struct chunker *c, str text, const struct text_chunk **chunk,
    struct err *err);

/* Of that text: about how many tokens a part has, as they are in the whole. */
int64_t chunker_count(const struct chunker *c, ptrdiff_t start, ptrdiff_t end);

#endif
