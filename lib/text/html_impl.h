/*
 * html_impl - the steps of html_extract(), for the files html*.c alone
 *
 * clean:  bytes to a subset of HTML that is small, shallow and regular, so that
 *         what the parser sees cannot be deep, quadratic or mostly scripts
 * tree:   parser's tree to one array of nodes in document order
 * prune:  nodes that are not the page's own text are marked
 * write:  what is left, as text or markdown
 *
 * The parser is gumbo.  MyHTML parses 4 times as fast (38 against 9 MB/s in the
 * same run on a busy machine) and outlived 17 minutes of fuzzing under ASan and
 * UBSan, but that found a page of 21 kB that takes a second there, for it walks
 * all open elements at each tag; it takes memory from malloc(), so that a limit
 * of time could not leave it without a leak; and nobody has kept it since 2021.
 */
#ifndef TEXT_HTML_IMPL_H
#define TEXT_HTML_IMPL_H

#include <gumbo.h>

#include "base/guard.h"
#include "text/html.h"

/* Elements kept open at once, and formatting elements among them. */
#define HTML_DEPTH	400
#define HTML_FORMAT	16

/*
 * Append to out the part of html that matters: known elements and attributes,
 * at most HTML_DEPTH deep.  Linear in html.n.  When the guard's time is over it
 * is left half done.
 */
void html_clean(struct buf *out, str html, bool xml, const struct guard *guard);

#define NODE_TEXT	GUMBO_TAG_LAST	/* tag of a text node */

enum {
	NODE_DROP	= 1,		/* with all below it */
	NODE_LINK	= 2,		/* an element <a href> */
	NODE_ARROW	= 4,		/* a link to the next page and the like */
	NODE_GRID	= 8,		/* a table of data, not of layout */
};

struct html_node {
	int16_t		 tag;		/* GumboTag or NODE_TEXT */
	uint16_t	 flags;
	int32_t		 parent;	/* -1: none */
	int32_t		 end;		/* index after the last node below */
	int32_t		 links;		/* links below or here */
	int32_t		 arrows;	/* links to neighbour pages below or here */
	int32_t		 text_n;	/* bytes of text below, without space */
	int32_t		 link_n;	/* of these, inside links */
	int32_t		 mark;		/* the writer's own */
	str		 text;		/* of a text node */
	const GumboElement *el;		/* of an element */
};

struct html_tree {
	struct html_node *node;
	int32_t		 n;
};

/* Nodes and text live in the arena.  Return 0 or -1. */
int html_tree(struct html_tree *t, str html, struct arena *a, struct err *err);

/* The value of an attribute, or p == NULL. */
str html_attr(const struct html_node *n, const char *name);

void html_prune(struct html_tree *t);

/* Last step of it: what is beside the main part goes. */
void html_main(struct html_tree *t);

/* Mark a node and what is below it; the counts of those above go down. */
void html_drop(struct html_tree *t, int32_t i);
void html_write(struct html_tree *t, enum html_form form, struct buf *out,
    const struct guard *guard);

/* Append s with runs of blank space folded and none at the ends. */
void html_fold(struct buf *out, str s);

/* True for elements that start a line of their own. */
bool html_is_block(int tag);

#endif
