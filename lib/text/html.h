/*
 * html - the text of a web page
 *
 * Scripts, styles, navigation, forms, headers, footers and tables of links
 * go; paragraphs, headings, lists, code and tables of data stay, with blank
 * space folded as a browser does it.  HTML is untrusted: time is linear in
 * the size of a page, memory is bounded by the arena, and no depth of nesting
 * overflows a stack.
 *
 * XML is read by the same code: the elements of DocBook, Mallard, TEI and
 * OpenDocument are taken for the HTML ones nearest to them.
 */
#ifndef TEXT_HTML_H
#define TEXT_HTML_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/guard.h"
#include "base/str.h"

enum html_form { HTML_TEXT, HTML_MARKDOWN };

/* What a page says about itself; each empty when it does not. */
struct html_about {
	struct buf	title, url;
	char		language[36];	/* BCP 47, as written */
	char		date[36];	/* of its publication, as RFC 3339 writes it */
};

void html_about_reset(struct html_about *a);
void html_about_free(struct html_about *a);

/*
 * Append the text of a page, which is UTF-8, to out; lines end in a newline.
 * The scratch arena bounds what the parser may take, the guard, which may be
 * NULL, its time.  Return 0, or -1 with ERR_LIMIT for a page that needs more.
 */
int html_extract(str page, bool xml, enum html_form form, struct buf *out,
    struct html_about *about, struct arena scratch, struct guard *guard, struct err *err);

#endif
