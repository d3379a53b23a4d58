/*
 * html_modes_impl - what tags and texts do to a tree: HTML's insertion modes
 *
 * Section 13.2.6 of the standard, for the elements of enum html_tag and a page that has
 * a document type.
 */
#ifndef TEXT_HTML_MODES_IMPL_H
#define TEXT_HTML_MODES_IMPL_H

#include "text/html_build_impl.h"

enum mode {
	BEFORE_HTML, BEFORE_HEAD, IN_HEAD, AFTER_HEAD, IN_BODY, IN_TABLE, IN_CAPTION, IN_TABLE_BODY,
	IN_ROW, IN_CELL, AFTER_BODY,
};

struct modes {
	struct build	 build;
	enum mode	 mode;
	int32_t		 head;		/* the element */
	bool		 newline;	/* one that comes first is left out: behind <pre> */
	struct build_bytes pending;	/* text in a table, which goes before it if not all space */
};

/* A tag; the attributes need not outlive the call. */
void modes_tag(struct modes *m, bool end, enum html_tag tag, const struct html_attr *attr,
    int nattr);

/* A text in which references are read, or one in which they are not (plain). */
void modes_text(struct modes *m, str s, bool plain);

/* <title> and what is in it. */
void modes_title(struct modes *m, str s);

void modes_end(struct modes *m);

#endif
