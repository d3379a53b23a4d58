/*
 * html_main - what is beside the main part of a page, by its shape alone
 *
 * Three signs, each weak: parts that begin with a heading of the trade ("Read
 * more"); rows of teasers, which begin with a link and go on with prose; and
 * small parts beside the one that holds nearly all of the text.  None takes a
 * part that has peers of its own kind beside it that stay: those are sections.
 */

#include "text/html_impl.h"

static bool
is_heading(int tag)
{
	return tag >= TAG_H1 && tag <= TAG_H6;
}

/* An element that pages are laid out with. */
static bool
is_box(int tag)
{
	switch (tag) {
	case TAG_DIV: case TAG_SECTION: case TAG_ARTICLE:
	case TAG_MAIN: case TAG_HEADER: case TAG_FOOTER:
	case TAG_ASIDE: case TAG_UL: case TAG_TD: case TAG_TR:
	case TAG_TBODY: case TAG_TABLE:
		return true;
	default:
		return false;
	}
}

static int32_t
prose(const struct html_node *n)
{
	return n->text_n - n->link_n;
}

/* The next node beside i that is no text and was not dropped, below up; or -1. */
static int32_t
beside(const struct html_tree *t, int32_t up, int32_t i)
{
	for (i = i < 0 ? up + 1 : t->node[i].end; i < t->node[up].end; i = t->node[i].end)
		if (t->node[i].tag != NODE_TEXT && (t->node[i].flags & NODE_DROP) == 0)
			return i;
	return -1;
}

static bool
same_kind(const struct html_node *a, const struct html_node *b)
{
	return a->tag == b->tag && str_eq(html_attr(a, ATTR_CLASS), html_attr(b, ATTR_CLASS));
}

/* The first text below i that shows, or -1. */
static int32_t
first_ink(const struct html_tree *t, int32_t i)
{
	for (int32_t j = i + 1; j < t->node[i].end; j++) {
		if ((t->node[j].flags & NODE_DROP) != 0)
			j = t->node[j].end - 1;
		else if (t->node[j].tag == NODE_TEXT && t->node[j].text_n > 0)
			return j;
	}
	return -1;
}

/* The ancestor of j just below i. */
static int32_t
below(const struct html_tree *t, int32_t i, int32_t j)
{
	while (t->node[j].parent != i)
		j = t->node[j].parent;
	return j;
}

static bool
begins(str s, const char *phrase)
{
	ptrdiff_t n = (ptrdiff_t)strlen(phrase);

	return str_starts_like(s, phrase) &&
	    (s.n == n || !((s.p[n] | 32) >= 'a' && (s.p[n] | 32) <= 'z'));
}

static bool
is_trade(str s)
{
	static const char *const list[] = {
		"related", "more from", "more stories", "more on this", "more like this",
		"read more", "read next", "read also", "recommended", "you may also like",
		"you might also like", "most read", "most viewed", "most popular",
		"popular", "recent posts", "recent comments", "latest posts", "latest news",
		"comments", "responses", "discussion about", "leave a reply",
		"leave a comment", "post a comment", "share this", "sign up", "subscribe",
		"newsletter", "about the author", "about me", "written by", "who is online",
		"hot links", "categories", "tags", "archives", "blog archive",
	};

	while (s.n > 0 && ((uint8_t)*s.p <= ' ' || (*s.p >= '0' && *s.p <= '9'))) {
		s.p++;
		s.n--;
	}
	if (s.n > 60)
		return false;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (begins(s, list[i]))
			return true;
	return false;
}

/* Does another of its kind that begins with a heading stand beside it? */
static bool
has_peer(const struct html_tree *t, int32_t i)
{
	int32_t up = t->node[i].parent;

	for (int32_t j = beside(t, up, -1); j >= 0; j = beside(t, up, j)) {
		int32_t ink = j == i ? -1 : first_ink(t, j);

		if (ink >= 0 && same_kind(&t->node[i], &t->node[j]) &&
		    !is_trade(t->node[ink].text))
			return true;
	}
	return false;
}

/* A part that begins with such a heading, and is not most of the page. */
static bool
is_aside(const struct html_tree *t, int32_t i)
{
	const struct html_node *n = &t->node[i];
	int32_t ink;

	if (!is_box(n->tag) || n->tag == TAG_ARTICLE || n->tag == TAG_MAIN ||
	    n->parent < 0 || n->text_n * 10LL > t->node[0].text_n * 7LL ||
	    (ink = first_ink(t, i)) < 0 || !is_trade(t->node[ink].text))
		return false;
	/* In a heading, or alone in a box: not the first word of a sentence. */
	return t->node[below(t, i, ink)].text_n == t->node[ink].text_n &&
	    below(t, i, ink) != ink && !has_peer(t, i);
}

/* <div><a>Headline</a> prose</div>, whatever is around the link. */
static bool
is_teaser(const struct html_tree *t, int32_t i)
{
	const struct html_node *n = &t->node[i];
	int32_t ink, part, paragraphs = 0;
	bool linked = false;

	if ((n->tag != TAG_DIV && n->tag != TAG_ARTICLE && n->tag != TAG_LI &&
	    n->tag != TAG_SECTION) || n->links == 0 || n->text_n > 400 ||
	    (ink = first_ink(t, i)) < 0)
		return false;
	part = below(t, i, ink);
	for (int32_t j = ink; j != i && !linked; j = t->node[j].parent)
		linked = (t->node[j].flags & NODE_LINK) != 0;
	for (int32_t j = i; j < n->end; j++)
		if (t->node[j].tag == TAG_PRE)
			return false;
		else
			paragraphs += t->node[j].tag == TAG_P;
	if (!linked || t->node[part].tag == TAG_P || paragraphs > 1)
		return false;
	if (n->tag != TAG_LI)
		return true;
	/* An item whose link and prose are apart. */
	part = beside(t, i, part);
	return part >= 0 && html_is_block(t->node[part].tag);
}

/* Three or more teasers of one kind in a row: they go. */
static void
drop_teasers(struct html_tree *t, int32_t up)
{
	int32_t i = beside(t, up, -1), j;

	while (i >= 0) {
		int n = 0;

		for (j = i; j >= 0 && is_teaser(t, j) && same_kind(&t->node[i], &t->node[j]);
		    j = beside(t, up, j))
			n++;
		for (; n >= 3 && i != j; i = beside(t, up, i))
			html_drop(t, i);
		i = j >= 0 && j != i ? j : beside(t, up, i);
	}
}

/* A section of the text looks like one: a heading, and prose or data below it. */
static bool
is_section(const struct html_tree *t, int32_t i, bool before)
{
	const struct html_node *n = &t->node[i];
	int32_t ink = first_ink(t, i);

	for (int32_t j = i; j < n->end; j++)
		if (t->node[j].tag == TAG_PRE || (t->node[j].flags & NODE_GRID) != 0 ||
		    (before && is_heading(t->node[j].tag)))
			return true;
	return ink >= 0 && is_heading(t->node[below(t, i, ink)].tag) && prose(n) >= 200 &&
	    n->link_n * 4LL < n->text_n;
}

/* Is i, beside the main part, no part of the text? */
static bool
is_beside(const struct html_tree *t, int32_t i, int32_t main)
{
	const struct html_node *n = &t->node[i];

	if (!is_box(n->tag) || n->tag == TAG_TBODY ||
	    n->text_n * 5LL > t->node[main].text_n)
		return false;
	if (n->tag == TAG_TD || n->tag == TAG_TR)
		return t->node[i].tag == t->node[main].tag;
	return !same_kind(n, &t->node[main]) && !is_section(t, i, i < main);
}

/* Go down to the part with nearly all of the prose, and leave what is beside it. */
static void
descend(struct html_tree *t)
{
	int32_t up = 0, i, main;

	do {
		main = -1;
		for (i = beside(t, up, -1); i >= 0; i = beside(t, up, i))
			if (prose(&t->node[i]) * 10LL >= prose(&t->node[up]) * 7LL)
				main = i;
		if (main < 0 || (t->node[main].flags & NODE_GRID) != 0 ||
		    (!is_box(t->node[main].tag) && t->node[main].tag != TAG_BODY))
			return;
		for (i = beside(t, up, -1); i >= 0; i = beside(t, up, i))
			if (i != main && is_beside(t, i, main))
				html_drop(t, i);
		up = main;
	} while (t->node[up].text_n > 0);
}

void
html_main(struct html_tree *t)
{
	for (int32_t i = 0; i < t->n; i++) {
		if (t->node[i].tag == NODE_TEXT)
			continue;
		if ((t->node[i].flags & NODE_DROP) == 0 && t->node[i].text_n > 0) {
			if (is_aside(t, i))
				html_drop(t, i);
			else
				drop_teasers(t, i);
		}
		if ((t->node[i].flags & NODE_DROP) != 0)
			i = t->node[i].end - 1;
	}
	descend(t);
}
