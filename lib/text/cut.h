/*
 * cut - passages out of a text, at borders that leave it readable
 *
 * A cut shrinks until both its ends are borders of the kind asked for, and
 * never splits what people see as one character.  A sentence ends with a
 * terminal sign and what closes quotes and brackets behind it, before white
 * space (or at once, when the sign is no ASCII: CJK), or with its line.
 */
#ifndef TEXT_CUT_H
#define TEXT_CUT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum cut_at { CUT_CHAR, CUT_WORD, CUT_SENTENCE, CUT_LINE };

struct span {
	ptrdiff_t	from, to;	/* bytes */
};

/*
 * Shrink n spans, which are in order and apart, to borders.  Return how many
 * are left; the others are gone.
 */
ptrdiff_t cut_align(str text, struct span *span, ptrdiff_t n, enum cut_at at);

/*
 * The text without the spans, to to, which is emptied first.  Where white space
 * meets white space over a cut, that with more newlines stays, and the
 * indentation of what follows; two words that would join get a space.  Return
 * 0 or -1.
 */
int cut_text(struct buf *to, str text, const struct span *span, ptrdiff_t n, struct err *err);

/* Where the sentence that has the character at p ends, white space behind it included. */
ptrdiff_t cut_sentence_end(str text, ptrdiff_t p);

#endif
