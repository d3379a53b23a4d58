/*
 * decoders - what tokens become when they are text again
 *
 * A decoder of tokenizer.json: ByteLevel, Replace, ByteFallback, Fuse, Strip,
 * Metaspace, WordPiece, BPEDecoder, CTC, and Sequence of them.  They work token by
 * token, so that text streams; behind Fuse, where there is one text only, those
 * that would need all of it are refused by name.
 */
#ifndef TOKEN_DECODERS_H
#define TOKEN_DECODERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define DECODERS_STEPS 16

/* Immutable.  Zeroed it joins tokens as they are. */
struct decoders {
	struct decoders_step *step;
	int		 n;
	bool		 bytes;		/* ByteLevel alone: tokens are bytes as characters */
	bool		 plain;		/* U+2581 becomes a space, <0x..> a byte, and no more */
	bool		 first, last;	/* the first or last token becomes something else */
	bool		 once;		/* of equal tokens in a row the first counts */
	/* Of the whole text: so many of a character are taken off its ends. */
	int32_t		 strip;
	int64_t		 lead, tail;
};

/* Null puts spaces between tokens, as in the reference.  What is not known is named. */
int decoders_read(struct decoders *d, const json_t *json, struct err *err);
void decoders_free(struct decoders *d);

/* A thread's memory; zeroed at first. */
struct decoders_scratch {
	struct buf	 buf[2];
	struct searcher	*searcher;
};
void decoders_scratch_free(struct decoders_scratch *s);

enum { DECODERS_FIRST = 1, DECODERS_LAST = 2 };

/* What a token becomes: *text is its name at first, and then maybe in s.  Return 0 or -1. */
int decoders_token(const struct decoders *d, struct decoders_scratch *s, int where, str *text,
    struct err *err);

#endif
