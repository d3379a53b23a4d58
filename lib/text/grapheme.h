/*
 * grapheme - where characters, as people see them, begin and end (UAX #29)
 *
 * One sweep over a text: questions are asked from its start to its end.  The
 * sweep reads what lies between them, but for ASCII, whose borders are plain.
 */
#ifndef TEXT_GRAPHEME_H
#define TEXT_GRAPHEME_H

#include <stdint.h>

#include "base/str.h"

struct graphemes {
	str		text;		/* borrowed */
	ptrdiff_t	at, from;	/* a border, and the one before it */
};

void graphemes_start(struct graphemes *g, str text);

/*
 * The last border at or before p and the first at or behind it; equal when p
 * is one.  Each p is at least the one asked for before.
 */
void graphemes_around(struct graphemes *g, ptrdiff_t p, ptrdiff_t *before, ptrdiff_t *behind);

#endif
