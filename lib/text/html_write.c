/*
 * html_write - what is left of a page, as lines
 *
 * Blank space folds as in a browser: a run of it is one space, none at the
 * ends of a line.  A block asks for a line break or an empty line before and
 * after itself; what neighbours ask for is merged, not added.  Each line
 * starts with the prefix of the lists and quotations around it.
 */
#include <stdio.h>

#include "text/html_impl.h"

#define PREFIX_MAX 128		/* deeper lists are not indented further */

struct writer {
	struct html_tree *t;
	struct buf	*out;
	bool		 md;
	ptrdiff_t	 start;		/* of this page in out */
	int		 breaks;	/* newlines due before the next text */
	bool		 space;		/* a space is due */
	int		 pre;		/* inside <pre> */
	int		 grid;		/* inside a table of data */
	int		 column;
	bool		 bar;		/* a bar is due between cells */
	char		 prefix[PREFIX_MAX];
	int		 nprefix, last;	/* last: of the line before */
	char		 marker[24];	/* "- " or "12. ", ends the next line's prefix */
	int		 nmarker;
	char		 opening[16];	/* ** * ` due before the next text */
	int		 nopening;
};

static bool
at_start(const struct writer *w)
{
	return w->out->n == w->start || w->out->p[w->out->n - 1] == '\n';
}

static void
need(struct writer *w, int breaks)
{
	w->space = false;
	if (w->grid > 0) {
		w->space = true;
		return;
	}
	if (w->breaks < breaks)
		w->breaks = breaks;
}

static void
put_prefix(struct writer *w)
{
	int n = w->nprefix;

	w->last = n;
	if (w->nmarker > 0 && n >= w->nmarker) {
		buf_add(w->out, (str){ w->prefix, n - w->nmarker });
		buf_add(w->out, (str){ w->marker, w->nmarker });
	} else {
		buf_add(w->out, (str){ w->prefix, n });
		buf_add(w->out, (str){ w->marker, w->nmarker });
	}
	w->nmarker = 0;
}

/* An empty line inside a quotation still starts with its mark. */
static void
put_blank(struct writer *w)
{
	int n = w->nprefix < w->last ? w->nprefix : w->last;

	while (n > 0 && w->prefix[n - 1] == ' ')
		n--;
	buf_add(w->out, (str){ w->prefix, n });
	buf_byte(w->out, '\n');
}

/* Make the line ready for text. */
static void
begin(struct writer *w)
{
	if (w->breaks > 0 && w->out->n > w->start) {
		if (w->out->p[w->out->n - 1] != '\n')
			buf_byte(w->out, '\n');
		if (w->breaks > 1)
			put_blank(w);
	}
	w->breaks = 0;
	if (at_start(w))
		put_prefix(w);
	else if (w->bar)
		buf_add(w->out, S(" | "));
	else if (w->space && w->out->p[w->out->n - 1] != ' ')
		buf_byte(w->out, ' ');
	w->space = w->bar = false;
	if (w->nopening > 0) {
		buf_add(w->out, (str){ w->opening, w->nopening });
		w->nopening = 0;
	}
}

/*
 * The length of blank space or of nothing visible at p, and whether it is
 * blank: U+00A0 is a space here; soft hyphens, zero-width spaces and byte
 * order marks vanish.
 */
static int
blank_at(const char *p, const char *end, bool *space)
{
	uint8_t c = (uint8_t)p[0];

	*space = true;
	if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f')
		return 1;
	if (c == 0xc2 && end - p > 1) {
		*space = (uint8_t)p[1] == 0xa0;
		return *space || (uint8_t)p[1] == 0xad ? 2 : 0;
	}
	*space = false;
	if (end - p > 2 && ((c == 0xe2 && memcmp(p + 1, "\200\213", 2) == 0) ||
	    (c == 0xef && memcmp(p + 1, "\273\277", 2) == 0)))
		return 3;
	return 0;
}

static void
put_flow(struct writer *w, str s)
{
	const char *p = s.p, *end = s.n > 0 ? p + s.n : p;	/* p may be NULL */

	while (p < end) {
		const char *from = p;
		bool space;
		int n = blank_at(p, end, &space);

		if (n > 0) {
			w->space |= space;
			p += n;
			continue;
		}
		do {
			p++;
		} while (p < end && (uint8_t)*p > ' ' && (uint8_t)*p != 0xc2 &&
		    (uint8_t)*p != 0xe2 && (uint8_t)*p != 0xef);
		if (w->space || w->bar || w->breaks > 0 || w->nopening > 0 || at_start(w))
			begin(w);
		for (const char *bar; w->grid > 0 && w->md &&
		    (bar = memchr(from, '|', (size_t)(p - from))) != NULL; from = bar + 1) {
			buf_add(w->out, (str){ from, bar - from });
			buf_add(w->out, S("\\|"));
		}
		buf_add(w->out, (str){ from, p - from });
	}
}

static void
put_pre(struct writer *w, str s)
{
	const char *p = s.p, *end = s.p + s.n;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl == NULL ? end : nl;

		if (stop > p) {
			const char *from = p;

			if (at_start(w) || w->breaks > 0)
				begin(w);
			while ((p = memmem(from, (size_t)(stop - from), "\302\240", 2)) != NULL) {
				buf_add(w->out, (str){ from, p - from });
				buf_byte(w->out, ' ');
				from = p + 2;
			}
			buf_add(w->out, (str){ from, stop - from });
		}
		if (nl == NULL)
			return;
		/* Empty lines at the top of the block are no text. */
		if (w->breaks == 0)
			buf_byte(w->out, '\n');
		p = nl + 1;
	}
}

static void
trim(struct writer *w)
{
	while (w->out->n > w->start && (w->out->p[w->out->n - 1] == '\n' ||
	    w->out->p[w->out->n - 1] == ' '))
		w->out->n--;
}

static void
push(struct writer *w, struct html_node *n, str s)
{
	n->mark = w->nprefix;
	if (w->nprefix + s.n > PREFIX_MAX)
		return;
	memcpy(w->prefix + w->nprefix, s.p, (size_t)s.n);
	w->nprefix += (int)s.n;
}

/* The list that an item belongs to, or -1. */
static int32_t
list_of(const struct html_tree *t, int32_t i)
{
	int32_t up = t->node[i].parent;

	while (up >= 0) {
		int tag = t->node[up].tag;

		if (tag == TAG_UL || tag == TAG_OL || tag == TAG_DL)
			return up;
		if (tag == TAG_TABLE || tag == TAG_BODY || html_is_block(tag))
			return tag == TAG_DIV ? list_of(t, up) : -1;
		up = t->node[up].parent;
	}
	return -1;
}

/* Is this what a term means?  XML's list items are, in a list of terms. */
static bool
describes(const struct html_tree *t, int32_t i)
{
	int32_t list;

	if (t->node[i].tag == TAG_DD)
		return true;
	list = list_of(t, i);
	return list >= 0 && t->node[list].tag == TAG_DL;
}

static bool
is_blank(const struct html_tree *t, int32_t from, int32_t to)
{
	for (int32_t i = from; i < to; i++)
		if (t->node[i].tag != NODE_TEXT || t->node[i].text_n > 0)
			return false;
	return true;
}

/* Newlines around block i: one when it is all that an item holds. */
static int
distance(const struct html_tree *t, int32_t i)
{
	const struct html_node *n = &t->node[i], *up;

	if (n->parent < 0)
		return 2;
	up = &t->node[n->parent];
	if (up->tag != TAG_LI && up->tag != TAG_DD)
		return 2;
	if (n->tag != TAG_P)
		return 1;
	return is_blank(t, n->parent + 1, i) && is_blank(t, n->end, up->end) ? 1 : 2;
}

static void
description(struct writer *w, struct html_node *n)
{
	need(w, 1);
	if (w->md && n->text_n > 0 && w->grid == 0) {
		w->nmarker = snprintf(w->marker, sizeof(w->marker), ": ");
		push(w, n, S("  "));
		if (w->nprefix == n->mark)
			w->nmarker = 0;
	} else {
		push(w, n, S("    "));
	}
}

static void
item(struct writer *w, int32_t i)
{
	struct html_node *n = &w->t->node[i];
	int32_t list = list_of(w->t, i);
	int tag = list < 0 ? TAG_UL : w->t->node[list].tag;

	if (tag == TAG_DL) {
		description(w, n);
		return;
	}
	/* A marker with no text of its own gives way to the first below it. */
	if (tag == TAG_OL)
		w->nmarker = snprintf(w->marker, sizeof(w->marker), "%d. ",
		    ++w->t->node[list].mark);
	else
		w->nmarker = snprintf(w->marker, sizeof(w->marker), "- ");
	push(w, n, (str){ "                        ", w->nmarker });
	if (w->nprefix == n->mark)
		w->nmarker = 0;
	need(w, 1);
}

static void
language(struct writer *w, const struct html_node *n)
{
	str class = html_attr(n, ATTR_CLASS), word;

	if (class.p == NULL && n->end > 0 && n[1].tag == TAG_CODE)
		class = html_attr(&n[1], ATTR_CLASS);
	while (class.p != NULL) {
		word = str_cut(&class, ' ');
		for (int i = 0; i < 2; i++) {
			str lead = i == 0 ? S("language-") : S("highlight-");

			if (str_starts(word, lead)) {
				buf_add(w->out, (str){ word.p + lead.n, word.n - lead.n });
				return;
			}
		}
	}
}

static void
toggle(struct writer *w, const char *mark, bool open)
{
	int n = (int)strlen(mark);

	if (!w->md || w->pre > 0)
		return;
	if (open) {
		if (w->nopening + n <= (int)sizeof(w->opening)) {
			memcpy(w->opening + w->nopening, mark, (size_t)n);
			w->nopening += n;
		}
	} else if (w->nopening >= n) {
		w->nopening -= n;	/* nothing was inside */
	} else {
		buf_add(w->out, str_of(mark));
	}
}

static void
row_end(struct writer *w, struct html_node *row)
{
	struct html_node *table = row;

	w->space = w->bar = false;
	w->grid--;
	if (!w->md || w->column == 0) {
		need(w, 1);
		return;
	}
	while (table->parent >= 0 && table->tag != TAG_TABLE)
		table = &w->t->node[table->parent];
	buf_add(w->out, S(" |"));
	if (table->mark++ == 0) {
		buf_byte(w->out, '\n');
		put_prefix(w);
		for (int i = 0; i < w->column; i++)
			buf_add(w->out, S("| --- "));
		buf_byte(w->out, '|');
	}
	need(w, 1);
}

static void
cell(struct writer *w)
{
	w->space = false;
	if (!w->md) {
		/* Empty cells are left out. */
		w->bar = w->breaks == 0 && !at_start(w);
	} else if (w->column++ > 0) {
		buf_add(w->out, S(" | "));
	} else {
		begin(w);
		buf_add(w->out, S("| "));
	}
}

static bool
in_grid(const struct writer *w, const struct html_node *n)
{
	for (int i = 0; i < 3 && n->parent >= 0; i++) {
		n = &w->t->node[n->parent];
		if (n->tag == TAG_TABLE)
			return (n->flags & NODE_GRID) != 0;
	}
	return false;
}

static void
pre_begin(struct writer *w, const struct html_node *n)
{
	need(w, 2);
	if (w->pre++ > 0 || w->grid > 0)
		return;
	w->nopening = 0;
	if (w->md) {
		begin(w);
		buf_add(w->out, S("```"));
		language(w, n);
		buf_byte(w->out, '\n');
	}
}

static void
pre_end(struct writer *w)
{
	if (--w->pre > 0 || w->grid > 0)
		return;
	trim(w);
	if (w->md) {
		buf_byte(w->out, '\n');
		put_prefix(w);
		buf_add(w->out, S("```"));
	}
	need(w, 2);
}

static void
enter(struct writer *w, int32_t i)
{
	struct html_node *n = &w->t->node[i];

	switch (n->tag) {
	case TAG_BR:
		if (w->pre > 0)
			put_pre(w, S("\n"));
		else
			need(w, 1);
		break;
	case TAG_HR:
		need(w, 2);
		break;
	case TAG_H1: case TAG_H2: case TAG_H3:
	case TAG_H4: case TAG_H5: case TAG_H6:
		need(w, 2);
		if (w->md && n->text_n > 0 && w->grid == 0 && w->pre == 0) {
			begin(w);
			buf_add(w->out, (str){ "###### ", n->tag - TAG_H1 + 1 });
			w->space = true;
		}
		break;
	case TAG_UL: case TAG_OL: {
		str start = html_attr(n, ATTR_START);

		need(w, distance(w->t, i));
		n->mark = 0;
		for (ptrdiff_t j = 0; j < start.n && j < 6; j++)
			if (start.p[j] >= '0' && start.p[j] <= '9')
				n->mark = n->mark * 10 + start.p[j] - '0';
		if (n->mark > 0)
			n->mark--;
		break;
	}
	case TAG_LI:
		item(w, i);
		break;
	case TAG_DD:
		description(w, n);
		break;
	case TAG_BLOCKQUOTE:
		need(w, 2);
		push(w, n, w->md ? S("> ") : S("    "));
		break;
	case TAG_PRE:
		pre_begin(w, n);
		break;
	case TAG_TABLE:
		need(w, 2);
		n->mark = 0;
		break;
	case TAG_TR:
		need(w, 1);
		n->mark = in_grid(w, n);
		if (n->mark != 0) {
			w->grid++;
			w->column = 0;
		}
		break;
	case TAG_TD: case TAG_TH:
		if (in_grid(w, n) && w->grid > 0)
			cell(w);
		else
			need(w, 1);
		break;
	case TAG_B:
		toggle(w, "**", true);
		break;
	case TAG_I:
		toggle(w, "*", true);
		break;
	case TAG_CODE:
		toggle(w, "`", true);
		break;
	case TAG_Q:
		put_flow(w, S("\""));
		break;
	case TAG_P: case TAG_DL:
		need(w, distance(w->t, i));
		break;
	case TAG_CAPTION:
		need(w, 2);
		break;
	default:
		if (html_is_block(n->tag))
			need(w, 1);
		break;
	}
}

static void
leave(struct writer *w, int32_t i)
{
	struct html_node *n = &w->t->node[i];

	switch (n->tag) {
	case TAG_H1: case TAG_H2: case TAG_H3:
	case TAG_H4: case TAG_H5: case TAG_H6:
		need(w, 2);
		break;
	case TAG_UL: case TAG_OL: case TAG_DL: case TAG_P:
		need(w, distance(w->t, i));
		break;
	case TAG_LI: case TAG_DD:
		w->nprefix = n->mark;
		w->nmarker = 0;
		need(w, describes(w->t, i) ? 2 : 1);
		break;
	case TAG_BLOCKQUOTE:
		w->nprefix = n->mark;
		need(w, 2);
		break;
	case TAG_PRE:
		pre_end(w);
		break;
	case TAG_TR:
		if (n->mark != 0)
			row_end(w, n);
		else
			need(w, 1);
		break;
	case TAG_B:
		toggle(w, "**", false);
		break;
	case TAG_I:
		toggle(w, "*", false);
		break;
	case TAG_CODE:
		toggle(w, "`", false);
		break;
	case TAG_Q:
		put_flow(w, S("\""));
		break;
	case TAG_TABLE: case TAG_CAPTION:
		need(w, 2);
		break;
	case TAG_TD: case TAG_TH: case TAG_BR:
		break;
	default:
		if (html_is_block(n->tag))
			need(w, 1);
		break;
	}
}

void
html_write(struct html_tree *t, enum html_form form, struct buf *out,
    const struct guard *guard)
{
	struct writer w = { .t = t, .out = out, .md = form == HTML_MARKDOWN };
	int32_t open = -1;

	w.start = out->n;
	for (int32_t i = 0; i <= t->n; i++) {
		while (open >= 0 && (i == t->n || t->node[open].end <= i)) {
			leave(&w, open);
			open = t->node[open].parent;
		}
		if (i == t->n || guard_over(guard))
			break;
		if ((t->node[i].flags & NODE_DROP) != 0) {
			i = t->node[i].end - 1;
		} else if (t->node[i].tag != NODE_TEXT) {
			enter(&w, i);
			open = i;
		} else if (w.pre > 0 && w.grid == 0) {
			put_pre(&w, t->node[i].text);
		} else {
			put_flow(&w, t->node[i].text);
		}
	}
	trim(&w);
	if (out->n > w.start)
		buf_byte(out, '\n');
}

void
html_fold(struct buf *out, str s)
{
	struct writer w = { .out = out, .start = out->n };

	put_flow(&w, s);
}
