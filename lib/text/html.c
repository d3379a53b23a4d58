#include "text/html_impl.h"

#include <strings.h>

void
html_about_reset(struct html_about *a)
{
	buf_reset(&a->title);
	buf_reset(&a->url);
	a->language[0] = '\0';
}

void
html_about_free(struct html_about *a)
{
	buf_free(&a->title);
	buf_free(&a->url);
}

/* The text below node i as one line. */
static void
line_of(const struct html_tree *t, int32_t i, struct buf *b)
{
	for (int32_t j = i + 1; j < t->node[i].end; j++) {
		if ((t->node[j].flags & NODE_DROP) != 0)
			j = t->node[j].end - 1;
		else if (t->node[j].tag == NODE_TEXT)
			buf_add(b, t->node[j].text);
		if (b->n > 4096)
			return;
	}
}

static void
set_language(struct html_about *a, str s)
{
	if (s.n == 0 || s.n >= (ptrdiff_t)sizeof(a->language) || a->language[0] != '\0')
		return;
	for (ptrdiff_t i = 0; i < s.n; i++)
		if (!((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z') && s.p[i] != '-' &&
		    !(s.p[i] >= '0' && s.p[i] <= '9'))
			return;
	memcpy(a->language, s.p, (size_t)s.n);
	a->language[s.n] = '\0';
}

static void
title(const struct html_tree *t, int32_t i, struct html_about *a)
{
	struct buf line = { 0 };

	if (a->title.n > 0)
		return;
	line_of(t, i, &line);
	html_fold(&a->title, buf_str(&line));
	a->title.failed |= line.failed;
	buf_free(&line);
}

/* What <html> and <head> tell, and the first heading when they are silent. */
static void
tell(const struct html_tree *t, struct html_about *a)
{
	int32_t heading = -1;

	for (int32_t i = 0; i < t->n; i++) {
		const struct html_node *n = &t->node[i];

		switch (n->tag) {
		case GUMBO_TAG_HTML: case GUMBO_TAG_BODY: case GUMBO_TAG_SECTION:
			if (n->parent > 0 && t->node[n->parent].tag != GUMBO_TAG_BODY)
				break;
			set_language(a, html_attr(n, "lang"));
			set_language(a, html_attr(n, "xml:lang"));
			break;
		case GUMBO_TAG_TITLE:
			title(t, i, a);
			break;
		case GUMBO_TAG_LINK:
			if (a->url.n == 0 && str_eq(html_attr(n, "rel"), S("canonical")))
				html_fold(&a->url, html_attr(n, "href"));
			break;
		case GUMBO_TAG_H1: case GUMBO_TAG_H2:
			if (heading < 0)
				heading = i;
			break;
		default:
			break;
		}
	}
	if (heading >= 0)
		title(t, heading, a);
}

int
html_extract(str page, bool xml, enum html_form form, struct buf *out,
    struct html_about *about, struct arena scratch, struct err *err)
{
	struct buf clean = { .limit = (ptrdiff_t)1 << 30 };
	struct html_tree t;
	int ret = -1;

	html_clean(&clean, page, xml);
	if (buf_ok(&clean, err) < 0 || html_tree(&t, buf_str(&clean), &scratch, err) < 0)
		goto out;
	html_prune(&t);
	tell(&t, about);
	html_write(&t, form, out);
	if (buf_ok(&about->title, err) == 0 && buf_ok(&about->url, err) == 0)
		ret = buf_ok(out, err);
out:
	buf_free(&clean);
	return ret;
}
