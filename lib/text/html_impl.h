/*
 * html_impl - the steps of html_extract(), for the files html*.c alone
 *
 * scan:   bytes to the tags and texts that matter, few, shallow and regular
 * modes:  what a tag does to the tree, by the rules of HTML
 * build:  the tree: its nodes, and which elements are open
 * prune:  nodes that are not the page's own text are marked
 * write:  what is left, as text or markdown
 *
 * The tree is the one that HTML's standard asks for, of the elements that the scan
 * lets through: forms, scripts, frames and what is not HTML have no rules here.
 */
#ifndef TEXT_HTML_IMPL_H
#define TEXT_HTML_IMPL_H

#include "base/guard.h"
#include "text/html.h"

#define HTML_DEPTH 512		/* elements open at once, about: those of browsers */

/* Elements that can be in a tree, and texts. */
enum html_tag {
	TAG_NONE, TAG_HTML, TAG_HEAD, TAG_BODY, TAG_TITLE, TAG_LINK, TAG_META,
	TAG_DIV, TAG_SECTION, TAG_ARTICLE, TAG_MAIN, TAG_HEADER, TAG_FOOTER, TAG_NAV, TAG_ASIDE,
	TAG_BLOCKQUOTE, TAG_PRE, TAG_UL, TAG_OL, TAG_DL,
	TAG_H1, TAG_H2, TAG_H3, TAG_H4, TAG_H5, TAG_H6,
	TAG_P, TAG_LI, TAG_DT, TAG_DD, TAG_BR, TAG_HR,
	TAG_TABLE, TAG_CAPTION, TAG_TBODY, TAG_THEAD, TAG_TFOOT, TAG_TR, TAG_TD, TAG_TH,
	TAG_SPAN, TAG_SUP, TAG_SUB, TAG_Q, TAG_CITE, TAG_TIME,
	TAG_A, TAG_B, TAG_CODE, TAG_I,
	NODE_TEXT,
};

/* Attributes that say what an element is for. */
enum html_name {
	ATTR_CLASS, ATTR_ID, ATTR_ROLE, ATTR_HREF, ATTR_REL, ATTR_LANG, ATTR_XML_LANG, ATTR_STYLE,
	ATTR_ACCESSKEY, ATTR_START, ATTR_HIDDEN, ATTR_ARIA_HIDDEN, ATTR_ARIA_LABEL, ATTR_DATETIME,
	ATTR_NAME, ATTR_PROPERTY, ATTR_CONTENT, ATTR_ITEMPROP, ATTR_COUNT,
};

struct html_attr {
	enum html_name	 name;
	str		 value;		/* as written; in a tree, with its references read */
};

enum {
	NODE_DROP	= 1,		/* with all below it */
	NODE_LINK	= 2,		/* an element <a href> */
	NODE_ARROW	= 4,		/* a link to the next page and the like */
	NODE_GRID	= 8,		/* a table of data, not of layout */
};

struct html_node {
	int16_t		 tag;		/* enum html_tag */
	uint16_t	 flags;
	int32_t		 parent;	/* -1: none */
	int32_t		 end;		/* index after the last node below */
	int32_t		 links;		/* links below or here */
	int32_t		 arrows;	/* links to neighbour pages below or here */
	int32_t		 text_n;	/* bytes of text below, without space */
	int32_t		 link_n;	/* of these, inside links */
	int32_t		 mark;		/* the writer's own */
	int32_t		 nattr;
	const struct html_attr *attr;	/* of an element */
	str		 text;		/* of a text */
};

struct html_tree {
	struct html_node *node;		/* in document order; the first is <html> */
	int32_t		 n;
};

/*
 * The tree of a page.  Its nodes live in the arena; texts that need no change are the page's
 * own.  It may be left at any time (guard_call).  Return 0 or -1.
 */
int html_parse(struct html_tree *t, str page, bool xml, struct arena *a, struct err *err);

/* The value of an attribute, or p == NULL. */
str html_attr(const struct html_node *n, enum html_name name);

void html_prune(struct html_tree *t);

/* Last step of it: what is beside the main part goes. */
void html_main(struct html_tree *t);

/* Mark a node and what is below it; the counts of those above go down. */
void html_drop(struct html_tree *t, int32_t i);
void html_write(struct html_tree *t, enum html_form form, struct buf *out,
    const struct guard *guard);

/* Append s with runs of blank space folded and none at the ends. */
void html_fold(struct buf *out, str s);

static inline bool
html_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

/*
 * The entry of that name, in any case, or NULL.  Each of the n entries of a table begins with
 * its name, with NULs behind it, in an array of 8 bytes or more; they are sorted by strcmp().
 */
const void *html_find(str name, const void *table, size_t n, size_t size);

/* True for elements that start a line of their own. */
bool html_is_block(int tag);

#endif
