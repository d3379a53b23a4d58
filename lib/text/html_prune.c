/*
 * html_prune - tell the text of a page from what every page of a site has
 *
 * In order of trust: what HTML says (nav, footer, hidden, role), what authors
 * say by custom (class and id), and what the page itself shows: blocks that
 * are mostly links, and those beside the one with nearly all of the text
 * (html_main).  A guess by name never takes nearly all of a page.
 */
#include "text/html_impl.h"

/*
 * Words of class and id, split at spaces, '-' and '_'; sorted.  Those of
 * rank 1 are sure enough to take most of a page.
 */
static int
chrome_rank(str word)
{
	static const struct word { char name[15]; int8_t rank; } list[] = {
		{ "ad", 0 }, { "addtoany", 0 }, { "ads", 0 }, { "adsbygoogle", 0 },
		{ "advert", 0 }, { "advertisement", 0 }, { "anchorjs", 0 }, { "author", 0 },
		{ "authorbox", 0 }, { "banner", 0 }, { "breadcrumb", 0 }, { "breadcrumbs", 0 },
		{ "buttons", 0 }, { "byline", 0 }, { "catlinks", 0 }, { "comment", 1 },
		{ "commentlist", 1 }, { "comments", 1 }, { "consent", 1 }, { "cookie", 1 },
		{ "cookies", 0 }, { "copyright", 0 }, { "disclaimer", 0 }, { "discussion", 1 },
		{ "disqus", 1 }, { "editsection", 0 }, { "footer", 0 }, { "gdpr", 1 },
		{ "headerlink", 0 }, { "infobar", 0 }, { "jump", 0 }, { "langs", 0 },
		{ "likes", 0 }, { "lineno", 0 }, { "linenos", 0 }, { "localtoc", 0 },
		{ "masthead", 0 }, { "menu", 0 }, { "menubar", 0 }, { "meta", 0 },
		{ "minitoc", 0 }, { "modal", 0 }, { "nav", 0 }, { "navbar", 0 },
		{ "navbox", 0 }, { "navfooter", 0 }, { "navheader", 0 }, { "navigation", 0 },
		{ "navlinks", 0 }, { "newsletter", 0 }, { "noprint", 0 }, { "pagenav", 0 },
		{ "pager", 0 }, { "pagination", 0 }, { "permalink", 0 }, { "popup", 0 },
		{ "postprofile", 0 }, { "preamble", 0 }, { "prevnext", 0 },
		{ "printfooter", 0 }, { "printfriendly", 0 }, { "profile", 0 }, { "promo", 0 },
		{ "quicknav", 0 }, { "recommended", 1 }, { "related", 1 },
		{ "relatedposts", 1 }, { "replies", 1 }, { "respond", 1 }, { "reviews", 1 },
		{ "search", 0 }, { "searchbox", 0 }, { "share", 0 }, { "sharedaddy", 0 },
		{ "sharing", 0 }, { "shortcontents", 0 }, { "sidebar", 1 },
		{ "signup", 0 }, { "sitesub", 0 }, { "skip", 0 }, { "skiplink", 0 },
		{ "social", 0 }, { "sphinxsidebar", 0 }, { "sponsored", 0 }, { "submitted", 0 },
		{ "subscribe", 0 }, { "subscription", 0 }, { "tags", 0 },
		{ "toc", 0 }, { "toolbar", 0 }, { "toplang", 0 }, { "trending", 1 },
		{ "votecell", 0 },
	};
	const struct word *at = NULL;

	if (word.n >= 2 && word.n < (ptrdiff_t)sizeof(list[0].name))
		at = html_find(word, list, sizeof(list) / sizeof(list[0]), sizeof(list[0]));
	return at == NULL ? -1 : at->rank;
}

/* "has-sidebar" and the like speak of the whole page. */
static bool
is_negation(str word)
{
	return str_eq(word, S("has")) || str_eq(word, S("with")) || str_eq(word, S("no")) ||
	    str_eq(word, S("without")) || str_eq(word, S("is")) || str_eq(word, S("hide"));
}

/* The highest rank of the words in a name, or -1. */
static int
names_chrome(str value)
{
	const char *p = value.p, *end = value.n > 0 ? p + value.n : p;
	bool negated = false;
	int rank = -1, got;

	while (p < end) {
		str word = { p, 0 };

		while (p < end && *p != ' ' && *p != '-' && *p != '_' && *p != '\n' && *p != '\t')
			p++;
		word.n = p - word.p;
		if (!negated && (got = chrome_rank(word)) > rank)
			rank = got;
		negated = p < end && *p == '-' && is_negation(word);
		p++;
	}
	return rank;
}

static bool
one_of(str s, const char *const *list)
{
	for (; *list != NULL; list++)
		if (str_like(s, *list))
			return true;
	return false;
}

static bool
has(str s, str part)
{
	return s.n >= part.n && memmem(s.p, (size_t)s.n, part.p, (size_t)part.n) != NULL;
}

bool
html_is_block(int tag)
{
	switch (tag) {
	case TAG_P: case TAG_DIV: case TAG_SECTION:
	case TAG_ARTICLE: case TAG_MAIN: case TAG_HEADER:
	case TAG_FOOTER: case TAG_NAV: case TAG_ASIDE:
	case TAG_BLOCKQUOTE: case TAG_PRE: case TAG_UL:
	case TAG_OL: case TAG_DL: case TAG_LI: case TAG_DT:
	case TAG_DD: case TAG_TABLE: case TAG_CAPTION:
	case TAG_TR: case TAG_TD: case TAG_TH: case TAG_HR:
	case TAG_H1: case TAG_H2: case TAG_H3:
	case TAG_H4: case TAG_H5: case TAG_H6:
		return true;
	default:
		return false;
	}
}

/* What the element says of itself, by HTML's own means. */
static bool
declared(const struct html_node *n, bool in_article)
{
	static const char *const roles[] = {
		"navigation", "banner", "contentinfo", "search", "complementary",
		"menu", "menubar", "toolbar", "dialog", "alertdialog", "tablist",
		"doc-toc", "doc-pagelist", "doc-index", "doc-backlink", NULL
	};
	str style;

	switch (n->tag) {
	case TAG_HEAD:
	case TAG_NAV:
	case TAG_ASIDE:
		return true;
	case TAG_FOOTER:
		return !in_article;
	default:
		break;
	}
	if (n->nattr == 0)
		return false;
	if (one_of(html_attr(n, ATTR_ROLE), roles) || html_attr(n, ATTR_HIDDEN).p != NULL ||
	    str_eq(html_attr(n, ATTR_ARIA_HIDDEN), S("true")))
		return true;
	style = html_attr(n, ATTR_STYLE);
	return has(style, S("display:none")) || has(style, S("display: none"));
}

/* A link to a neighbour: the next page, the contents, the top. */
static bool
is_arrow(const struct html_tree *t, int32_t i)
{
	static const char *const words[] = {
		"prev", "previous", "next", "up", "home", "top", "contents", "index",
		"table of contents", "back to top", "previous page", "next page", "back",
		"<<", ">>", "\302\253", "\302\273", "\342\206\220", "\342\206\222",
		"prev page", "[top]", "[prev]", "[next]", "[up]", "[contents]", "[index]",
		"modules", "<", ">", "next >", "< prev", "up to index", NULL
	};
	static const char *const rels[] = {
		"prev", "previous", "next", "up", "start", "contents", "index", NULL
	};
	const struct html_node *n = &t->node[i], *child;
	str s;

	s = html_attr(n, ATTR_REL);
	if (s.p != NULL && one_of(s, rels))
		return true;
	s = html_attr(n, ATTR_ACCESSKEY);
	if (s.p != NULL && s.n == 1)
		return true;
	for (int32_t j = i + 1; j < n->end; j++) {
		child = &t->node[j];
		if (child->tag != NODE_TEXT)
			continue;
		for (s = child->text; s.n > 0 && (uint8_t)*s.p <= ' '; s.n--)
			s.p++;
		while (s.n > 0 && (uint8_t)s.p[s.n - 1] <= ' ')
			s.n--;
		if (s.n > 0)
			return one_of(s, words);
	}
	return false;
}

static int32_t
ink(str s)
{
	int32_t n = 0;

	for (ptrdiff_t i = 0; i < s.n; i++)
		n += (uint8_t)s.p[i] > ' ';
	return n;
}

/* First pass: sizes, from the leaves up, and what is declared. */
static void
measure(struct html_tree *t)
{
	bool in_article = false;
	int32_t article_end = 0;

	for (int32_t i = 0; i < t->n; i++) {
		struct html_node *n = &t->node[i];

		if (i >= article_end)
			in_article = false;
		if (n->tag == TAG_ARTICLE && !in_article) {
			in_article = true;
			article_end = n->end;
		}
		if (n->tag == NODE_TEXT) {
			n->text_n = ink(n->text);
			continue;
		}
		if (declared(n, in_article)) {
			n->flags |= NODE_DROP;
			i = n->end - 1;
		} else if ((n->flags & NODE_LINK) != 0) {
			n->links = 1;
			n->arrows = is_arrow(t, i);
		}
	}
}

static void
add_up(struct html_tree *t)
{
	for (int32_t i = t->n; i-- > 1; ) {
		struct html_node *n = &t->node[i], *up = &t->node[n->parent];

		if ((n->flags & NODE_DROP) != 0)
			continue;
		if ((n->flags & NODE_LINK) != 0)
			n->link_n = n->text_n;
		up->links += n->links;
		up->arrows += n->arrows;
		up->text_n += n->text_n;
		up->link_n += n->link_n;
	}
}

/* A line of links to other pages, or a list of them. */
static bool
is_linkage(const struct html_node *n)
{
	int64_t text = n->text_n, link = n->link_n;

	if (n->links == 0 || !html_is_block(n->tag) ||
	    (n->tag >= TAG_H1 && n->tag <= TAG_H6))
		return false;
	if (n->arrows > 0 && text < 400 && link * 10 >= text * (n->arrows > 1 ? 2 : 4))
		return true;
	switch (n->tag) {
	case TAG_P:
	case TAG_TD:
	case TAG_DD:
		return n->links >= 3 && link * 10 >= text * 9;
	case TAG_LI:
	case TAG_DT:
	case TAG_TH:
	case TAG_TR:
	case TAG_PRE:
		return false;
	default:
		return n->links >= 2 && link * 10 >= text * 7;
	}
}

/* A header of the site, not of the text: no heading of the first level. */
static bool
is_masthead(const struct html_tree *t, int32_t i)
{
	for (int32_t j = i; j < t->node[i].end; j++)
		if (t->node[j].tag == TAG_H1 || t->node[j].tag == TAG_H2)
			return false;
	return true;
}

static bool
by_custom(const struct html_tree *t, int32_t i, int64_t whole)
{
	const struct html_node *n = &t->node[i];
	str class, id;
	int rank, by_id;

	if (n->tag == TAG_HEADER && is_masthead(t, i))
		return true;
	if (n->nattr == 0 || n->tag == TAG_BODY ||
	    n->tag == TAG_MAIN || n->tag == TAG_ARTICLE ||
	    n->tag == TAG_HTML || n->tag == TAG_CODE)
		return false;
	class = html_attr(n, ATTR_CLASS);
	id = html_attr(n, ATTR_ID);
	/* On a heading or a section of a text, an id is its anchor: "Related work". */
	if (!html_is_block(n->tag) || (n->tag >= TAG_H1 && n->tag <= TAG_H6) ||
	    n->tag == TAG_DT || n->tag == TAG_SECTION || str_eq(class, S("section")))
		id.n = 0;
	if (str_eq(class, S("header")) && n->link_n * 2LL > n->text_n)
		return true;
	/* As a whole, since functions have signatures too. */
	if (str_eq(class, S("signature")) && n->text_n * 2LL <= whole)
		return true;
	rank = names_chrome(class);
	if (id.n > 0 && (by_id = names_chrome(id)) > rank)
		rank = by_id;
	return rank > 0 ? n->text_n * 10LL <= whole * 9 : rank == 0 && n->text_n * 2LL <= whole;
}

void
html_drop(struct html_tree *t, int32_t i)
{
	struct html_node *n = &t->node[i];

	n->flags |= NODE_DROP;
	for (int32_t up = n->parent; up >= 0; up = t->node[up].parent) {
		t->node[up].links -= n->links;
		t->node[up].arrows -= n->arrows;
		t->node[up].text_n -= n->text_n;
		t->node[up].link_n -= n->link_n;
	}
}

/*
 * Where a page has one main part with a fair share of the text, the rest goes.
 * Return the node to start from.
 */
static int32_t
find_main(const struct html_tree *t)
{
	int32_t found = -1;

	for (int32_t i = 0; i < t->n; i++) {
		const struct html_node *n = &t->node[i];

		if (n->tag == NODE_TEXT)
			continue;
		if ((n->flags & NODE_DROP) != 0) {
			i = n->end - 1;
			continue;
		}
		if (n->tag != TAG_MAIN && !str_eq(html_attr(n, ATTR_ROLE), S("main")))
			continue;
		if (found >= 0)
			return -1;
		found = i;
		i = n->end - 1;
	}
	return found >= 0 && t->node[found].text_n * 3LL >= t->node[0].text_n ? found : -1;
}

static void
keep_only(struct html_tree *t, int32_t i)
{
	int32_t end = t->node[i].end;

	for (int32_t j = 0; j < t->n; j++) {
		struct html_node *n = &t->node[j];

		if (j == i) {
			j = end - 1;
		} else if (n->tag == NODE_TEXT || n->end <= i || j >= end) {
			if ((n->flags & NODE_DROP) == 0)
				html_drop(t, j);
			j = n->end - 1;
		}
	}
}

/* A table of data has rows of several small cells and no table inside. */
static bool
is_grid(const struct html_tree *t, int32_t i)
{
	int32_t cells = 0, rows = 0, blocks = 0;

	for (int32_t j = i + 1; j < t->node[i].end; j++) {
		switch (t->node[j].tag) {
		case TAG_TABLE: case TAG_PRE: case TAG_SECTION:
		case TAG_H1: case TAG_H2: case TAG_H3:
			return false;
		case TAG_TR:
			rows++;
			break;
		case TAG_TD: case TAG_TH:
			cells++;
			if (t->node[j].text_n > 1000)
				return false;
			break;
		case TAG_P: case TAG_LI: case TAG_DIV:
			blocks++;
			break;
		default:
			break;
		}
	}
	/* Cells that span rows leave rows with a single one. */
	return rows > 0 && cells > 1 && cells * 10LL >= rows * 13LL && blocks <= 2 * cells;
}

/* A page of headings alone, its lists of links gone, says nothing. */
static bool
is_bare(const struct html_tree *t)
{
	int64_t text = t->node[0].text_n;

	for (int32_t i = 0; i < t->n; i++) {
		const struct html_node *n = &t->node[i];

		if ((n->flags & NODE_DROP) != 0) {
			i = n->end - 1;
		} else if (n->tag >= TAG_H1 && n->tag <= TAG_H6) {
			text -= n->text_n;
			i = n->end - 1;
		}
	}
	return text <= 0;
}

void
html_prune(struct html_tree *t)
{
	int64_t whole;
	int32_t i;

	measure(t);
	add_up(t);
	if ((i = find_main(t)) >= 0)
		keep_only(t, i);
	whole = t->node[0].text_n;
	for (i = 0; i < t->n; i++) {
		struct html_node *n = &t->node[i];

		if (n->tag == NODE_TEXT)
			continue;
		if ((n->flags & NODE_DROP) == 0 &&
		    (by_custom(t, i, whole) || (n->text_n > 0 && is_linkage(n))))
			html_drop(t, i);
		if ((n->flags & NODE_DROP) != 0)
			i = n->end - 1;
		else if (n->tag == TAG_TABLE && is_grid(t, i))
			n->flags |= NODE_GRID;
	}
	html_main(t);
	if (is_bare(t))
		t->node[0].flags |= NODE_DROP;
}
