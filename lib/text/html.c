#include "text/html_impl.h"


void
html_about_reset(struct html_about *a)
{
	buf_reset(&a->title);
	buf_reset(&a->url);
	a->language[0] = a->date[0] = '\0';
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

/* A date, and a time behind it if there is one: RFC 3339's forms of ISO 8601. */
static bool
set_date(struct html_about *a, str s)
{
	static const char form[] = "0000-00-00T00:00:00";
	ptrdiff_t n = 0;

	while (s.n > 0 && *s.p == ' ') {
		s.p++;
		s.n--;
	}
	for (; n < 19 && n < s.n; n++)
		if (form[n] == '0' ? s.p[n] < '0' || s.p[n] > '9' :
		    s.p[n] != form[n] && !(n == 10 && s.p[n] == ' '))
			break;
	if (n < 10 || str_starts(s, S("0000")))
		return false;
	memcpy(a->date, s.p, 10);
	a->date[10] = '\0';
	if (n < 19)
		return true;
	/* The zone: Z, or an offset with a colon or without. */
	memcpy(a->date + 10, s.p + 10, 9);
	a->date[10] = 'T';
	s = (str){ s.p + 19, s.n - 19 };
	if (s.n > 1 && *s.p == '.')
		do {
			s.p++;
			s.n--;
		} while (s.n > 0 && *s.p >= '0' && *s.p <= '9');
	memcpy(a->date + 19, "Z", 2);
	if (s.n >= 5 && (*s.p == '+' || *s.p == '-')) {
		bool colon = s.p[3] == ':';

		if (colon && s.n < 6)
			return true;
		memcpy(a->date + 19, s.p, 3);
		a->date[22] = ':';
		memcpy(a->date + 23, s.p + 3 + colon, 2);
		a->date[25] = '\0';
		for (int i = 20; i < 25; i++)
			if (i != 22 && (a->date[i] < '0' || a->date[i] > '9'))
				memcpy(a->date + 19, "Z", 2);
	}
	return true;
}

/* How much a name of metadata says about the date of publication: 0 nothing. */
static int
dates(str name)
{
	static const char *const list[] = {
		"dcterms.date", "dc.date", "date", "pubdate", "publish-date", "publish_date",
		"publication_date", "citation_publication_date", "citation_date",
		"sailthru.date", "parsely-pub-date", "dc.date.issued", "dcterms.issued",
		"dc.date.created", "dcterms.created", "datecreated", "datepublished",
		"og:published_time", "article:published_time",
	};
	int n = (int)(sizeof(list) / sizeof(list[0]));

	for (int i = n; i-- > 0; )
		if (str_like(name, list[i]))
			return i + 2;
	return 0;
}

/* What an element says of the page's date; *best is how sure the one so far is. */
static void
date(const struct html_node *n, struct html_about *a, int *best)
{
	int sure = dates(html_attr(n, ATTR_ITEMPROP));
	str value = html_attr(n, ATTR_CONTENT);

	if (n->tag == TAG_TIME) {
		value = html_attr(n, ATTR_DATETIME);
		sure = sure > 0 ? sure : 1;
	} else if (sure == 0 && (sure = dates(html_attr(n, ATTR_PROPERTY))) == 0) {
		sure = dates(html_attr(n, ATTR_NAME));
	}
	if (sure > *best && value.n > 0 && set_date(a, value))
		*best = sure;
}

/* What <html> and <head> tell, and the first heading when they are silent. */
static void
tell(const struct html_tree *t, struct html_about *a)
{
	int32_t heading = -1;
	int sure = 0;

	for (int32_t i = 0; i < t->n; i++) {
		const struct html_node *n = &t->node[i];

		switch (n->tag) {
		case TAG_HTML: case TAG_BODY: case TAG_SECTION:
			if (n->parent > 0 && t->node[n->parent].tag != TAG_BODY)
				break;
			set_language(a, html_attr(n, ATTR_LANG));
			set_language(a, html_attr(n, ATTR_XML_LANG));
			break;
		case TAG_TITLE:
			title(t, i, a);
			break;
		case TAG_META: case TAG_TIME:
			date(n, a, &sure);
			break;
		case TAG_LINK:
			if (a->url.n == 0 && str_eq(html_attr(n, ATTR_REL), S("canonical")))
				html_fold(&a->url, html_attr(n, ATTR_HREF));
			break;
		case TAG_H1: case TAG_H2:
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

/* What the guard may leave anywhere: all of its memory is the arena's. */
struct parse {
	str		 page;
	bool		 xml;
	struct html_tree t;
	struct arena	 arena;
	struct err	*err;
	int		 ret;
};

static void
parse(void *ctx)
{
	struct parse *b = ctx;

	if ((b->ret = html_parse(&b->t, b->page, b->xml, &b->arena, b->err)) == 0)
		html_prune(&b->t);
}

int
html_extract(str page, bool xml, enum html_form form, struct buf *out,
    struct html_about *about, struct arena scratch, struct guard *guard, struct err *err)
{
	struct parse b = { .page = page, .xml = xml, .arena = scratch, .err = err };

	if (guard_call(guard, parse, &b) < 0 || guard_over(guard))
		return guard_fail(guard, err);
	if (b.ret < 0)
		return -1;
	tell(&b.t, about);
	html_write(&b.t, form, out, guard);
	if (guard_over(guard))
		return guard_fail(guard, err);
	return buf_ok(&about->title, err) < 0 || buf_ok(&about->url, err) < 0 ? -1 :
	    buf_ok(out, err);
}
