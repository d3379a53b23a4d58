/*
 * roff - the text of a manual page, without a formatter
 *
 * Reads the man(7) and mdoc(7) macros as they are used: sections, paragraphs,
 * lists, literal blocks, fonts, links.  Requests that compute are left out.
 * Lines are filled; what does not look like roff comes through as it is.
 */
#ifndef TEXT_ROFF_H
#define TEXT_ROFF_H

#include "base/buf.h"
#include "base/str.h"
#include "text/html.h"

/*
 * Append the text of page to out and its name and section to title.  For want of
 * memory out fails, as appending to it would.
 */
void roff_extract(str page, enum html_form form, struct buf *out, struct buf *title);

#endif
