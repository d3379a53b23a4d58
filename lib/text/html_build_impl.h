/*
 * html_build_impl - a tree that grows as a page is read: nodes, open elements, and
 * formatting elements that are to be opened again
 *
 * The terms are those of the HTML standard, section 13.2.  Nodes are indices; node 0 is
 * the document.  All memory is the arena's.  What a token needs is made sure of before it
 * (build_room), so that nothing here fails; only texts and attributes can find no room,
 * and then `full' is set and they are left out.
 */
#ifndef TEXT_HTML_BUILD_IMPL_H
#define TEXT_HTML_BUILD_IMPL_H

#include "text/html_impl.h"

#define BUILD_NODES 64		/* that a token makes, at most */

#define BIT(tag) ((uint64_t)1 << TAG_##tag)
_Static_assert(NODE_TEXT < 64, "sets of tags are bits of a word");

/* Elements that end a search for an open one: for all, for items, for parts of tables. */
#define SCOPE	(BIT(HTML) | BIT(TABLE) | BIT(TD) | BIT(TH) | BIT(CAPTION))
#define SCOPE_LIST (SCOPE | BIT(OL) | BIT(UL))
#define SCOPE_TABLE (BIT(HTML) | BIT(TABLE))

#define BLOCKS	(BIT(DIV) | BIT(SECTION) | BIT(ARTICLE) | BIT(MAIN) | BIT(HEADER) | BIT(FOOTER) | \
	BIT(NAV) | BIT(ASIDE) | BIT(BLOCKQUOTE) | BIT(PRE) | BIT(UL) | BIT(OL) | BIT(DL))
#define SECTIONS (BIT(TBODY) | BIT(TFOOT) | BIT(THEAD))
#define ROWS	(BIT(TABLE) | SECTIONS | BIT(TR))
#define PARTS	(BIT(CAPTION) | SECTIONS | BIT(TR) | BIT(TD) | BIT(TH))
#define HEADINGS (BIT(H1) | BIT(H2) | BIT(H3) | BIT(H4) | BIT(H5) | BIT(H6))
#define FORMATS	(BIT(A) | BIT(B) | BIT(CODE) | BIT(I))
#define PHRASES	(FORMATS | BIT(SPAN) | BIT(SUP) | BIT(SUB) | BIT(Q) | BIT(CITE) | BIT(TIME))
#define IMPLIED	(BIT(DD) | BIT(DT) | BIT(LI) | BIT(P))	/* end tags that may be left out */

struct build_bytes {
	const char	*p;
	int32_t		 n, cap;	/* room for them in the arena; 0: they are the page's own */
};

struct build_node {
	int32_t		 parent, first, last, prev, next;	/* 0: none */
	int16_t		 tag;
	bool		 open;
	union {
		struct {
			const struct html_attr *attr;
			int32_t		 nattr;
		};
		struct build_bytes text;
	};
};

struct build_list {
	int32_t		*p, n, cap;
};

struct build {
	struct arena	*arena;
	struct build_node *node;
	int32_t		 n, cap;
	struct build_list open;		/* the stack; its first is <html> */
	struct build_list format;	/* active formatting elements; 0: a marker */
	bool		 raw;		/* the page has carriage returns or NULs */
	bool		 foster;	/* texts and elements in a table go before it */
	bool		 full;
};

struct build_token {
	enum { TOKEN_START, TOKEN_END, TOKEN_TEXT, TOKEN_EOF } kind;
	enum html_tag	 tag;
	const struct html_attr *attr;
	int		 nattr;
	str		 text;
	bool		 blank;		/* a text of space alone */
};

static inline bool
build_is(const struct build *b, int32_t node, uint64_t set)
{
	return (set >> b->node[node].tag & 1) != 0;
}

/* The current node. */
static inline int32_t
build_top(const struct build *b)
{
	return b->open.p[b->open.n - 1];
}

void build_begin(struct build *b, str page, struct arena *a);

/* Room for one token more.  Return false when the arena has none. */
bool build_grow(struct build *b);

static inline bool
build_room(struct build *b)
{
	return (b->n + BUILD_NODES <= b->cap && b->open.n + BUILD_NODES <= b->open.cap &&
	    b->format.n + BUILD_NODES <= b->format.cap) || build_grow(b);
}

/* n bytes of the arena, or NULL. */
void *build_take(struct build *b, ptrdiff_t n);

enum build_source { READ_TEXT, READ_VALUE, READ_PLAIN };	/* PLAIN: without references */

/* What is written so, without carriage returns and NULs; the page's own where it can be. */
str build_read(struct build *b, str s, enum build_source source);

void build_append(struct build *b, struct build_bytes *to, str s);
void build_text(struct build *b, str s);
int32_t build_insert(struct build *b, const struct build_token *t);	/* and open it */
int32_t build_implied(struct build *b, enum html_tag tag);	/* one without attributes */
void build_merge(struct build *b, int32_t node, const struct build_token *t);

/* The open elements. */
void build_open(struct build *b, int32_t node);
void build_pop(struct build *b);
void build_pop_to(struct build *b, uint64_t set);	/* up to and with one of these */
void build_clear_to(struct build *b, uint64_t set);	/* up to one of these */
bool build_in_scope(const struct build *b, uint64_t set, uint64_t scope);
void build_end_implied(struct build *b, uint64_t but);

/* The formatting elements. */
void build_format(struct build *b, int32_t node);	/* one more */
void build_mark(struct build *b);
void build_unmark(struct build *b);			/* forget those up to the mark */
void build_reopen(struct build *b);
void build_forget(struct build *b, int32_t node);	/* it is neither open nor reopened */
int32_t build_formatting(const struct build *b, enum html_tag tag);	/* the newest, or 0 */

/* An end tag of a formatting element: the adoption agency.  False: treat it as any other. */
bool build_adopt(struct build *b, enum html_tag tag);

/* Nodes in document order. */
void build_tree(struct build *b, struct html_tree *t);

#endif
