/*
 * units - a text as a row of words, bytes, lines, paragraphs or sentences
 *
 * What a passage consists of when passages are compared.  Units are the same
 * when their hashes (128 bits) are, and what lies between units does not
 * count:
 *
 * UNIT_WORD: a run of letters, marks and digits; a character of a script that
 * writes no spaces; or a run of one other character that is not white space.
 * So white space alone does not count.
 *
 * UNIT_BYTE: each byte.
 *
 * UNIT_LINE, UNIT_PARAGRAPH, UNIT_SENTENCE: what newlines, empty lines, or
 * sentence ends (text/cut.h) separate, without white space around, and as CCNet
 * compares lines: in lower case, without accents, punctuation and controls,
 * white space as one space, each digit as 0.  One that has no letter and no digit
 * is no unit.
 */
#ifndef TEXT_UNITS_H
#define TEXT_UNITS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

enum unit_kind { UNIT_WORD, UNIT_BYTE, UNIT_LINE, UNIT_PARAGRAPH, UNIT_SENTENCE };

struct unit {
	hash128		hash;
	uint32_t	from, to;	/* bytes in the text */
};

/* Where one is in a text.  Zeroed at first; the bufs are kept from text to text. */
struct units {
	enum unit_kind	 kind;
	str		 text;		/* borrowed, at most 4 GiB */
	ptrdiff_t	 at;
	struct buf	 folded, marks;
};

/* Begin at byte at of a text. */
void units_start(struct units *u, enum unit_kind kind, str text, ptrdiff_t at);

/* The next units, at most n: return how many, 0 at the end, or -1. */
int units_next(struct units *u, struct unit *unit, int n, struct err *err);

void units_free(struct units *u);

#endif
