/*
 * html_scan - the part of a page that matters, in one pass
 *
 * The rules of HTML look through all open elements, and some tags move what others
 * made.  So they are given a small language: elements that carry text, attributes that
 * tell what they are for, a bounded depth.  Scripts, comments, forms and unknown
 * elements end here.
 */
#include <endian.h>
#include <stdlib.h>
#include <strings.h>

#include "text/html_modes_impl.h"

#define VALUE_MAX 1024		/* bytes of an attribute that are read */

enum kind {
	K_DROP,		/* the tag goes, what it holds stays */
	K_RAW,		/* goes with all up to its end tag */
	K_STYLE,	/* and with all to the end of the page where there is none */
	K_SCRIPT,	/* so too */
	K_TITLE,	/* kept, with markup inside taken as text */
	K_FREE,		/* kept; HTML closes these by itself, so they do not nest */
	K_BLOCK,	/* kept, nests */
	K_FORMAT,	/* kept without attributes, nests */
};

struct rule {
	char		 name[28];
	uint8_t		 kind;
	uint8_t		 tag;		/* of the element that it becomes */
	char		 role;		/* XML's: see below */
};

#define T(x) TAG_##x

/* Sorted by strcmp(), as is the next. */
static const struct rule html_rule[] = {
	{ "a", K_FREE, T(A), 0 }, { "address", K_BLOCK, T(DIV), 0 },
	{ "annotation-xml", K_RAW, 0, 0 }, { "applet", K_RAW, 0, 0 },
	{ "article", K_BLOCK, T(ARTICLE), 0 }, { "aside", K_BLOCK, T(ASIDE), 0 },
	{ "audio", K_RAW, 0, 0 }, { "b", K_FORMAT, T(B), 0 },
	{ "blockquote", K_BLOCK, T(BLOCKQUOTE), 0 }, { "body", K_FREE, T(BODY), 0 },
	{ "br", K_FREE, T(BR), 0 }, { "button", K_RAW, 0, 0 }, { "canvas", K_RAW, 0, 0 },
	{ "caption", K_FREE, T(CAPTION), 0 }, { "center", K_BLOCK, T(DIV), 0 },
	{ "cite", K_BLOCK, T(CITE), 0 }, { "code", K_FORMAT, T(CODE), 0 },
	{ "dd", K_FREE, T(DD), 0 }, { "details", K_BLOCK, T(DIV), 0 },
	{ "dir", K_BLOCK, T(UL), 0 }, { "div", K_BLOCK, T(DIV), 0 }, { "dl", K_BLOCK, T(DL), 0 },
	{ "dt", K_FREE, T(DT), 0 }, { "em", K_FORMAT, T(I), 0 },
	{ "fieldset", K_BLOCK, T(DIV), 0 }, { "figcaption", K_BLOCK, T(DIV), 0 },
	{ "figure", K_BLOCK, T(DIV), 0 }, { "footer", K_BLOCK, T(FOOTER), 0 },
	{ "h1", K_BLOCK, T(H1), 0 }, { "h2", K_BLOCK, T(H2), 0 }, { "h3", K_BLOCK, T(H3), 0 },
	{ "h4", K_BLOCK, T(H4), 0 }, { "h5", K_BLOCK, T(H5), 0 }, { "h6", K_BLOCK, T(H6), 0 },
	{ "head", K_FREE, T(HEAD), 0 }, { "header", K_BLOCK, T(HEADER), 0 },
	{ "hgroup", K_BLOCK, T(DIV), 0 }, { "hr", K_FREE, T(HR), 0 },
	{ "html", K_FREE, T(HTML), 0 }, { "i", K_FORMAT, T(I), 0 }, { "iframe", K_RAW, 0, 0 },
	{ "kbd", K_FORMAT, T(CODE), 0 }, { "li", K_FREE, T(LI), 0 },
	{ "link", K_FREE, T(LINK), 0 }, { "listing", K_BLOCK, T(PRE), 0 },
	{ "main", K_BLOCK, T(MAIN), 0 }, { "menu", K_BLOCK, T(UL), 0 },
	{ "meta", K_FREE, T(META), 0 }, { "nav", K_BLOCK, T(NAV), 0 },
	{ "noembed", K_RAW, 0, 0 }, { "noframes", K_RAW, 0, 0 }, { "noscript", K_RAW, 0, 0 },
	{ "object", K_RAW, 0, 0 }, { "ol", K_BLOCK, T(OL), 0 }, { "p", K_FREE, T(P), 0 },
	{ "pre", K_BLOCK, T(PRE), 0 }, { "q", K_BLOCK, T(Q), 0 },
	{ "samp", K_FORMAT, T(CODE), 0 }, { "script", K_SCRIPT, 0, 0 },
	{ "section", K_BLOCK, T(SECTION), 0 }, { "select", K_RAW, 0, 0 },
	{ "span", K_BLOCK, T(SPAN), 0 }, { "strong", K_FORMAT, T(B), 0 },
	{ "style", K_STYLE, 0, 0 }, { "sub", K_BLOCK, T(SUB), 0 },
	{ "summary", K_BLOCK, T(DIV), 0 }, { "sup", K_BLOCK, T(SUP), 0 },
	{ "svg", K_RAW, 0, 0 }, { "table", K_BLOCK, T(TABLE), 0 },
	{ "tbody", K_FREE, T(TBODY), 0 }, { "td", K_FREE, T(TD), 0 },
	{ "template", K_RAW, 0, 0 }, { "textarea", K_RAW, 0, 0 },
	{ "tfoot", K_FREE, T(TFOOT), 0 }, { "th", K_FREE, T(TH), 0 },
	{ "thead", K_FREE, T(THEAD), 0 }, { "time", K_BLOCK, T(TIME), 0 },
	{ "title", K_TITLE, T(TITLE), 0 }, { "tr", K_FREE, T(TR), 0 },
	{ "tt", K_FORMAT, T(CODE), 0 }, { "ul", K_BLOCK, T(UL), 0 },
	{ "var", K_FORMAT, T(I), 0 }, { "video", K_RAW, 0, 0 }, { "xmp", K_BLOCK, T(PRE), 0 },
};

/* DocBook, Mallard, TEI and OpenDocument. */
#define SECTION	1
#define HEADING	2
static const struct rule xml_rule[] = {
	{ "abstract", K_BLOCK, T(DIV), 0 },
	{ "annotation", K_RAW, 0, 0 },
	{ "answer", K_BLOCK, T(DIV), 0 },
	{ "appendix", K_BLOCK, T(SECTION), SECTION },
	{ "article", K_BLOCK, T(SECTION), SECTION },
	{ "blockquote", K_BLOCK, T(BLOCKQUOTE), 0 },
	{ "book", K_BLOCK, T(SECTION), SECTION },
	{ "bridgehead", K_BLOCK, T(H3), 0 },
	{ "caution", K_BLOCK, T(DIV), 0 },
	{ "chapter", K_BLOCK, T(SECTION), SECTION },
	{ "cmd", K_FORMAT, T(CODE), 0 },
	{ "code", K_FORMAT, T(CODE), 0 },
	{ "command", K_FORMAT, T(CODE), 0 },
	{ "comment", K_RAW, 0, 0 },
	{ "computeroutput", K_FORMAT, T(CODE), 0 },
	{ "copyright", K_RAW, 0, 0 },
	{ "credit", K_RAW, 0, 0 },
	{ "em", K_FORMAT, T(I), 0 },
	{ "emphasis", K_FORMAT, T(I), 0 },
	{ "entry", K_FREE, T(TD), 0 },
	{ "example", K_BLOCK, T(DIV), 0 },
	{ "figure", K_BLOCK, T(DIV), 0 },
	{ "filename", K_FORMAT, T(CODE), 0 },
	{ "footnote", K_RAW, 0, 0 },
	{ "formalpara", K_BLOCK, T(DIV), 0 },
	{ "function", K_FORMAT, T(CODE), 0 },
	{ "glossary", K_BLOCK, T(SECTION), SECTION },
	{ "glossdef", K_FREE, T(DD), 0 },
	{ "glossentry", K_BLOCK, T(DL), 0 },
	{ "glossterm", K_BLOCK, T(SPAN), 0 },
	{ "head", K_BLOCK, T(H2), HEADING },
	{ "imageobject", K_RAW, 0, 0 },
	{ "important", K_BLOCK, T(DIV), 0 },
	{ "indexterm", K_RAW, 0, 0 },
	{ "info", K_RAW, 0, 0 },
	{ "informaltable", K_BLOCK, T(TABLE), 0 },
	{ "item", K_FREE, T(LI), 0 },
	{ "itemizedlist", K_BLOCK, T(UL), 0 },
	{ "keywordset", K_RAW, 0, 0 },
	{ "list", K_BLOCK, T(UL), 0 },
	{ "listitem", K_FREE, T(LI), 0 },
	{ "literal", K_FORMAT, T(CODE), 0 },
	{ "literallayout", K_BLOCK, T(PRE), 0 },
	{ "member", K_FREE, T(LI), 0 },
	{ "note", K_BLOCK, T(DIV), 0 },
	{ "office:automatic-styles", K_RAW, 0, 0 },
	{ "option", K_FORMAT, T(CODE), 0 },
	{ "orderedlist", K_BLOCK, T(OL), 0 },
	{ "p", K_FREE, T(P), 0 },
	{ "page", K_BLOCK, T(SECTION), SECTION },
	{ "para", K_FREE, T(P), 0 },
	{ "part", K_BLOCK, T(SECTION), SECTION },
	{ "preface", K_BLOCK, T(SECTION), SECTION },
	{ "primary", K_RAW, 0, 0 },
	{ "procedure", K_BLOCK, T(OL), 0 },
	{ "programlisting", K_BLOCK, T(PRE), 0 },
	{ "question", K_BLOCK, T(DIV), 0 },
	{ "refentry", K_BLOCK, T(SECTION), SECTION },
	{ "refentrytitle", K_BLOCK, T(SPAN), 0 },
	{ "refmeta", K_RAW, 0, 0 },
	{ "refnamediv", K_BLOCK, T(DIV), 0 },
	{ "refpurpose", K_FREE, T(P), 0 },
	{ "refsect1", K_BLOCK, T(SECTION), SECTION },
	{ "refsect2", K_BLOCK, T(SECTION), SECTION },
	{ "refsection", K_BLOCK, T(SECTION), SECTION },
	{ "refsynopsisdiv", K_BLOCK, T(SECTION), SECTION },
	{ "row", K_FREE, T(TR), 0 },
	{ "screen", K_BLOCK, T(PRE), 0 },
	{ "sect1", K_BLOCK, T(SECTION), SECTION },
	{ "sect2", K_BLOCK, T(SECTION), SECTION },
	{ "sect3", K_BLOCK, T(SECTION), SECTION },
	{ "sect4", K_BLOCK, T(SECTION), SECTION },
	{ "sect5", K_BLOCK, T(SECTION), SECTION },
	{ "section", K_BLOCK, T(SECTION), SECTION },
	{ "sidebar", K_BLOCK, T(DIV), 0 },
	{ "simpara", K_FREE, T(P), 0 },
	{ "simplelist", K_BLOCK, T(UL), 0 },
	{ "step", K_FREE, T(LI), 0 },
	{ "steps", K_BLOCK, T(OL), 0 },
	{ "style", K_RAW, 0, 0 },
	{ "subtitle", K_BLOCK, T(H3), 0 },
	{ "synopsis", K_BLOCK, T(PRE), 0 },
	{ "table", K_BLOCK, T(TABLE), 0 },
	{ "table:table", K_BLOCK, T(TABLE), 0 },
	{ "table:table-cell", K_FREE, T(TD), 0 },
	{ "table:table-row", K_FREE, T(TR), 0 },
	{ "tbody", K_FREE, T(TBODY), 0 },
	{ "td", K_FREE, T(TD), 0 },
	{ "term", K_FREE, T(DT), 0 },
	{ "terms", K_BLOCK, T(DL), 0 },
	{ "text:h", K_BLOCK, T(H2), HEADING },
	{ "text:list", K_BLOCK, T(UL), 0 },
	{ "text:list-item", K_FREE, T(LI), 0 },
	{ "text:note", K_RAW, 0, 0 },
	{ "text:p", K_FREE, T(P), 0 },
	{ "text:table-of-content", K_RAW, 0, 0 },
	{ "tfoot", K_FREE, T(TFOOT), 0 },
	{ "th", K_FREE, T(TH), 0 },
	{ "thead", K_FREE, T(THEAD), 0 },
	{ "tip", K_BLOCK, T(DIV), 0 },
	{ "title", K_BLOCK, T(H2), HEADING },
	{ "toc", K_RAW, 0, 0 },
	{ "tr", K_FREE, T(TR), 0 },
	{ "userinput", K_FORMAT, T(CODE), 0 },
	{ "variablelist", K_BLOCK, T(DL), 0 },
	{ "varlistentry", K_DROP, 0, 0 },
	{ "varname", K_FORMAT, T(CODE), 0 },
	{ "warning", K_BLOCK, T(DIV), 0 },
};

struct scan {
	struct modes	*modes;
	const char	*at, *end;
	bool		 xml;
	int		 sections;		/* XML: sections open, for headings */
	int		 over;			/* tags left out for depth, still open */
	struct html_attr attr[ATTR_COUNT];	/* of the tag */
	int		 nattr;
	bool		 endless[256];		/* by rule: no end tag lies ahead */
};

struct tag {
	str		 name;
	enum html_tag	 id;
	uint8_t		 kind;
	char		 role;
	uint8_t		 slot;		/* in endless[] */
	bool		 close, empty;
};

struct key {
	str		 name;
	uint64_t	 head;	/* its first 8 bytes in lower case, as a number in their order */
};

static int
by_name(const void *a, const void *b)
{
	const struct key *key = a;
	const char *entry = b;
	uint64_t head;
	int cmp;

	memcpy(&head, entry, sizeof(head));
	head = be64toh(head);
	if (key->head != head)
		return key->head < head ? -1 : 1;
	cmp = strncasecmp(key->name.p, entry, (size_t)key->name.n);
	return cmp != 0 ? cmp : -(entry[key->name.n] != '\0');
}

const void *
html_find(str name, const void *table, size_t n, size_t size)
{
	struct key key = { .name = name };

	for (int i = 0; i < 8; i++) {
		char c = i < name.n ? name.p[i] : '\0';

		key.head = key.head << 8 | (uint8_t)(c >= 'A' && c <= 'Z' ? c | 32 : c);
	}
	return bsearch(&key, table, n, size, by_name);
}

static void
tag_find(const struct scan *c, struct tag *t)
{
	const struct rule *rules = c->xml ? xml_rule : html_rule, *r;
	size_t n = c->xml ? sizeof(xml_rule) / sizeof(*rules) : sizeof(html_rule) / sizeof(*rules);

	if (t->name.n >= (ptrdiff_t)sizeof(r->name) ||
	    (r = html_find(t->name, rules, n, sizeof(*rules))) == NULL)
		return;
	t->slot = (uint8_t)(r - rules);
	t->role = r->role;
	t->kind = r->kind;
	t->id = r->tag;
	if (t->role == HEADING) {
		int level = c->sections < 1 ? 1 : c->sections > 6 ? 6 : c->sections;

		t->id = TAG_H1 + (unsigned)level - 1;
	}
}

/* The end tag </name that ends raw text, or NULL. */
static const char *
find_end(const char *p, const char *end, str name)
{
	while (p < end && (p = memchr(p, '<', (size_t)(end - p))) != NULL) {
		if (end - p > name.n + 2 && p[1] == '/' &&
		    strncasecmp(p + 2, name.p, (size_t)name.n) == 0 &&
		    (html_is_space(p[name.n + 2]) || p[name.n + 2] == '/' || p[name.n + 2] == '>'))
			return p;
		p++;
	}
	return NULL;
}

/* Is a tag let through, as deep as the tree is?  An end tag behind a start tag that was not
 * is taken for its own. */
static bool
admit(struct scan *c, const struct tag *t)
{
	if (t->kind == K_FREE)
		return true;
	if (t->close && c->over > 0) {
		c->over--;
		return false;
	}
	if (!t->close && c->modes->build.open.n >= HTML_DEPTH) {
		c->over++;
		return false;
	}
	return true;
}

/* The attribute of that name, if it says something of such an element; ATTR_COUNT otherwise. */
static enum html_name
attr_find(str name, enum html_tag tag, bool *value)
{
	static const struct {
		char	name[12];
		uint8_t	tag, value_of;		/* of which it, or its value, matters; 0: of all */
	} list[ATTR_COUNT] = {
		[ATTR_CLASS] = { "class", 0, 0 }, [ATTR_ID] = { "id", 0, 0 },
		[ATTR_ROLE] = { "role", 0, 0 }, [ATTR_HREF] = { "href", 0, T(LINK) },
		[ATTR_REL] = { "rel", 0, 0 }, [ATTR_LANG] = { "lang", 0, 0 },
		[ATTR_XML_LANG] = { "xml:lang", 0, 0 }, [ATTR_STYLE] = { "style", 0, 0 },
		[ATTR_ACCESSKEY] = { "accesskey", 0, 0 }, [ATTR_START] = { "start", 0, 0 },
		[ATTR_HIDDEN] = { "hidden", 0, NODE_TEXT },
		[ATTR_ARIA_HIDDEN] = { "aria-hidden", 0, 0 },
		[ATTR_ARIA_LABEL] = { "aria-label", 0, NODE_TEXT },
		[ATTR_DATETIME] = { "datetime", T(TIME), 0 }, [ATTR_NAME] = { "name", T(META), 0 },
		[ATTR_PROPERTY] = { "property", T(META), 0 },
		[ATTR_CONTENT] = { "content", T(META), 0 }, [ATTR_ITEMPROP] = { "itemprop", 0, 0 },
	};

	for (enum html_name i = 0; i < ATTR_COUNT; i++)
		if ((*name.p | 32) == list[i].name[0] && str_like(name, list[i].name)) {
			*value = list[i].value_of == 0 || list[i].value_of == tag;
			return list[i].tag == 0 || list[i].tag == tag ? i : ATTR_COUNT;
		}
	return ATTR_COUNT;
}

static void
add_attr(struct scan *c, str name, str value, enum html_tag tag)
{
	bool keep = false;
	enum html_name id = attr_find(name, tag, &keep);

	for (int i = 0; i < c->nattr; i++)
		if (c->attr[i].name == id)
			return;
	if (id == ATTR_COUNT)
		return;
	if (!keep || value.n > VALUE_MAX)
		value.n = 0;
	c->attr[c->nattr++] = (struct html_attr){ id, value };
}

/*
 * Read attributes up to and past '>', and note those of use when they are wanted.
 * Return false when the input ends first.
 */
static bool
attributes(struct scan *c, struct tag *t, bool wanted)
{
	const char *p = c->at, *end = c->end;
	int room = 32;

	c->nattr = 0;
	for (;;) {
		str name, value = { p, 0 };

		while (p < end && (html_is_space(*p) || *p == '/'))
			p++;
		if (p == end)
			return false;
		if (*p == '>') {
			t->empty = p[-1] == '/';
			c->at = p + 1;
			return true;
		}
		for (name.p = p++; p < end && !html_is_space(*p) && *p != '/' && *p != '>' &&
		    *p != '='; )
			p++;
		name.n = p - name.p;
		while (p < end && html_is_space(*p))
			p++;
		if (p < end && *p == '=') {
			for (p++; p < end && html_is_space(*p); )
				p++;
			if (p < end && (*p == '"' || *p == '\'')) {
				char q = *p++;

				value.p = p;
				if ((p = memchr(p, q, (size_t)(end - p))) == NULL)
					return false;
				value.n = p++ - value.p;
			} else {
				for (value.p = p; p < end && !html_is_space(*p) && *p != '>'; )
					p++;
				value.n = p - value.p;
			}
		}
		if (wanted && room-- > 0)
			add_attr(c, name, value, t->id);
	}
}

/* The date in a script of linked data, as the <meta> that it stands for. */
static void
put_date(struct scan *c, str script)
{
	str key = S("\"datePublished\"");
	const char *p = memmem(script.p, (size_t)script.n, key.p, (size_t)key.n);
	const char *end = script.p + script.n, *from;

	if (p == NULL)
		return;
	for (p += key.n; p < end && (html_is_space(*p) || *p == ':'); )
		p++;
	if (p == end || *p != '"')
		return;
	for (from = ++p; p < end && p - from < 40 && *p > ' ' && *p != '"' && *p != '<'; )
		p++;
	modes_tag(c->modes, false, TAG_META, (struct html_attr[]){
	    { ATTR_ITEMPROP, S("datePublished") }, { ATTR_CONTENT, { from, p - from } } }, 2);
}

/* Go past raw text and its end tag; the tag alone when it has no end. */
static void
skip_raw(struct scan *c, const struct tag *t)
{
	const char *p;

	if (t->close || (c->xml && t->empty) || c->endless[t->slot])
		return;
	if ((p = find_end(c->at, c->end, t->name)) == NULL) {
		c->endless[t->slot] = true;
		if (t->kind != K_RAW)
			c->at = c->end;
		return;
	}
	if (t->kind == K_SCRIPT)
		put_date(c, (str){ c->at, p - c->at });
	c->at = p;
}

static void
title(struct scan *c, const struct tag *t)
{
	const char *p;

	if (t->close || c->endless[t->slot])
		return;
	if ((p = find_end(c->at, c->end, t->name)) == NULL) {
		c->endless[t->slot] = true;
		return;
	}
	modes_title(c->modes, (str){ c->at, p - c->at });
	c->at = p;
}

/* A start or end tag; c->at is at its name. */
static void
element(struct scan *c, bool close)
{
	struct tag t = { .close = close };
	const char *p = c->at;
	bool kept;

	while (p < c->end && !html_is_space(*p) && *p != '/' && *p != '>')
		p++;
	t.name = (str){ c->at, p - c->at };
	c->at = p;
	tag_find(c, &t);
	if (close && t.role == SECTION && c->sections > 0)
		c->sections--;
	kept = t.kind >= K_FREE && admit(c, &t);
	if (!attributes(c, &t, kept && !close && t.kind != K_FORMAT)) {
		c->at = c->end;
		return;
	}
	if (kept)
		modes_tag(c->modes, close, t.id, c->attr, c->nattr);
	if (!close && t.role == SECTION && !t.empty)
		c->sections++;
	if (t.kind >= K_RAW && t.kind <= K_SCRIPT)
		skip_raw(c, &t);
	else if (t.kind == K_TITLE)
		title(c, &t);
	else if (c->xml && t.empty && kept) {
		t.close = true;
		if (admit(c, &t))
			modes_tag(c->modes, true, t.id, NULL, 0);
	}
}

/* After "<!" or "<?": a comment, a declaration, or CDATA. */
static void
declaration(struct scan *c)
{
	const char *p = c->at, *end = c->end;
	ptrdiff_t n = end - p;

	if (n >= 3 && memcmp(p, "!--", 3) == 0) {
		/* From its own dashes on, since <!--> is a whole comment. */
		p = memmem(p + 1, (size_t)n - 1, "-->", 3);
		c->at = p == NULL ? end : p + 3;
		return;
	}
	if (c->xml && n >= 8 && memcmp(p, "![CDATA[", 8) == 0) {
		const char *stop = memmem(p, (size_t)n, "]]>", 3);

		stop = stop == NULL ? end : stop;
		modes_text(c->modes, (str){ p + 8, stop - p - 8 }, true);
		c->at = end - stop >= 3 ? stop + 3 : end;
		return;
	}
	if (c->xml && n > 0 && *p == '!') {
		/* A document type may hold declarations of its own in [ ]. */
		const char *gt = memchr(p, '>', (size_t)n), *set = memchr(p, '[', (size_t)n);

		if (set != NULL && gt != NULL && set < gt)
			p = memmem(p, (size_t)n, "]>", 2);
		if (p == NULL)
			p = c->at;
	}
	p = memchr(p, '>', (size_t)(end - p));
	c->at = p == NULL ? end : p + 1;
}

int
html_parse(struct html_tree *t, str page, bool xml, struct arena *a, struct err *err)
{
	struct modes m = { .mode = BEFORE_HTML };
	struct scan c = { .modes = &m, .at = page.p, .xml = xml,
	    .end = page.n > 0 ? page.p + page.n : page.p };

	build_begin(&m.build, page, a);
	while (c.at < c.end && !m.build.full) {
		const char *p = memchr(c.at, '<', (size_t)(c.end - c.at));

		modes_text(&m, (str){ c.at, (p == NULL ? c.end : p) - c.at }, false);
		if (p == NULL)
			break;
		c.at = p + 1;
		if (c.at == c.end)
			break;
		if ((*c.at | 32) >= 'a' && (*c.at | 32) <= 'z') {
			element(&c, false);
		} else if (*c.at == '!' || *c.at == '?') {
			declaration(&c);
		} else if (*c.at == '/' && c.end - c.at > 1 &&
		    (c.at[1] | 32) >= 'a' && (c.at[1] | 32) <= 'z') {
			c.at++;
			element(&c, true);
		} else if (*c.at == '/') {
			declaration(&c);
		} else {
			modes_text(&m, (str){ p, 1 }, false);
		}
	}
	modes_end(&m);
	build_tree(&m.build, t);
	if (m.build.full)
		return err_set(err, ERR_LIMIT, "a page that takes more than %td MiB to parse",
		    (a->end - a->base) >> 20);
	return 0;
}
