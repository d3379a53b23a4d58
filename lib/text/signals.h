/*
 * signals - the values of quality rules, in a record
 *
 * An object under the key "signals", written once:
 *
 *	{"hash":"…","edits":"…","words":"…","tokens":"…","gopher.words":512,…}
 *
 * hash is of the text that the values are of, as it was edited, and of the numbers
 * that rules take; edits of the rules that edited it; words and tokens of the list
 * of bad words and of the tokenizer.  What was not used has no key.  Each value has
 * its rule's name without "min-" and "max-".  Rules of URLs look at no text, and
 * have no values here.
 */
#ifndef TEXT_SIGNALS_H
#define TEXT_SIGNALS_H

#include "base/buf.h"
#include "text/quality.h"

#define SIGNALS_KEY	"signals"

/* All families whose values are kept. */
#define SIGNALS_FAMILIES	(((1u << QUALITY_FAMILIES) - 1) & ~(1u << FAMILY_URL))

/* Append the object with the values that are known.  text is as edited. */
void signals_write(struct buf *b, const struct quality *q, str text,
    const double value[QUALITY_RULES]);

/*
 * Take the values of a stored object (raw JSON; checked) into value, NAN where there is
 * none.  families: those that are wanted.  Return 1 when they are of this text and of
 * what q selects, which may be applied to them; 0 when they must be computed.
 */
int signals_read(const struct quality *q, str json, str text, unsigned families,
    double value[QUALITY_RULES]);

#endif
