/*
 * html_clean - the part of a page that matters, in one pass
 *
 * The parser behind us is faithful and therefore slow, and quadratic or
 * recursive on pages made to hurt it.  So it is given a small language:
 * elements that carry text, attributes that tell what they are for, a bounded
 * depth.  Scripts, comments, forms and unknown elements end here.
 *
 * How deep the parser's tree gets is counted on the safe side: an end tag
 * closes an element only where HTML's rules surely let it.
 */
#include <strings.h>

#include "text/html_impl.h"

enum kind {
	K_DROP,		/* the tag goes, what it holds stays */
	K_RAW,		/* goes with all up to its end tag */
	K_TITLE,	/* kept, with markup inside taken as text */
	K_FREE,		/* kept; HTML closes these by itself, so they do not nest */
	K_BLOCK,	/* kept, nests */
	K_FENCE,	/* kept, nests, and end tags outside cannot reach in */
	K_INLINE,	/* kept, nests, and its end tag reaches past no block */
	K_FORMAT,	/* kept without attributes; the parser reopens these */
	K_LINK,		/* as K_FORMAT, with attributes */
};

struct rule {
	uint8_t		 kind;
	int16_t		 as;		/* GumboTag written instead; 0: itself */
};

#define T(x) GUMBO_TAG_##x

static const struct rule html_rule[GUMBO_TAG_LAST + 1] = {
	[T(HTML)] = { K_FREE, 0 }, [T(HEAD)] = { K_FREE, 0 }, [T(BODY)] = { K_FREE, 0 },
	[T(TITLE)] = { K_TITLE, 0 }, [T(LINK)] = { K_FREE, 0 }, [T(META)] = { K_FREE, 0 },
	[T(P)] = { K_FREE, 0 }, [T(LI)] = { K_FREE, 0 }, [T(DT)] = { K_FREE, 0 },
	[T(DD)] = { K_FREE, 0 }, [T(BR)] = { K_FREE, 0 }, [T(HR)] = { K_FREE, 0 },
	[T(TR)] = { K_FREE, 0 }, [T(TD)] = { K_FREE, 0 }, [T(TH)] = { K_FREE, 0 },
	[T(THEAD)] = { K_FREE, 0 }, [T(TBODY)] = { K_FREE, 0 }, [T(TFOOT)] = { K_FREE, 0 },
	[T(CAPTION)] = { K_FREE, 0 }, [T(TABLE)] = { K_FENCE, 0 },
	[T(DIV)] = { K_BLOCK, 0 }, [T(SECTION)] = { K_BLOCK, 0 },
	[T(ARTICLE)] = { K_BLOCK, 0 }, [T(MAIN)] = { K_BLOCK, 0 },
	[T(HEADER)] = { K_BLOCK, 0 }, [T(FOOTER)] = { K_BLOCK, 0 },
	[T(NAV)] = { K_BLOCK, 0 }, [T(ASIDE)] = { K_BLOCK, 0 },
	[T(ADDRESS)] = { K_BLOCK, T(DIV) }, [T(HGROUP)] = { K_BLOCK, T(DIV) },
	[T(CENTER)] = { K_BLOCK, T(DIV) }, [T(FIELDSET)] = { K_BLOCK, T(DIV) },
	[T(DETAILS)] = { K_BLOCK, T(DIV) }, [T(SUMMARY)] = { K_BLOCK, T(DIV) },
	[T(FIGURE)] = { K_BLOCK, T(DIV) }, [T(FIGCAPTION)] = { K_BLOCK, T(DIV) },
	[T(BLOCKQUOTE)] = { K_BLOCK, 0 }, [T(PRE)] = { K_BLOCK, 0 },
	[T(LISTING)] = { K_BLOCK, T(PRE) }, [T(XMP)] = { K_BLOCK, T(PRE) },
	[T(H1)] = { K_BLOCK, 0 }, [T(H2)] = { K_BLOCK, 0 }, [T(H3)] = { K_BLOCK, 0 },
	[T(H4)] = { K_BLOCK, 0 }, [T(H5)] = { K_BLOCK, 0 }, [T(H6)] = { K_BLOCK, 0 },
	[T(UL)] = { K_BLOCK, 0 }, [T(OL)] = { K_BLOCK, 0 }, [T(DL)] = { K_BLOCK, 0 },
	[T(DIR)] = { K_BLOCK, T(UL) }, [T(MENU)] = { K_BLOCK, T(UL) },
	[T(SPAN)] = { K_INLINE, 0 }, [T(SUP)] = { K_INLINE, 0 }, [T(SUB)] = { K_INLINE, 0 },
	[T(Q)] = { K_INLINE, 0 }, [T(CITE)] = { K_INLINE, 0 }, [T(TIME)] = { K_INLINE, 0 },
	[T(KBD)] = { K_FORMAT, T(CODE) }, [T(SAMP)] = { K_FORMAT, T(CODE) },
	[T(VAR)] = { K_FORMAT, T(I) },
	[T(TT)] = { K_FORMAT, T(CODE) }, [T(CODE)] = { K_FORMAT, 0 },
	[T(B)] = { K_FORMAT, 0 }, [T(STRONG)] = { K_FORMAT, T(B) },
	[T(I)] = { K_FORMAT, 0 }, [T(EM)] = { K_FORMAT, T(I) },
	[T(A)] = { K_LINK, 0 },
	[T(SCRIPT)] = { K_RAW, 0 }, [T(STYLE)] = { K_RAW, 0 }, [T(NOSCRIPT)] = { K_RAW, 0 },
	[T(TEMPLATE)] = { K_RAW, 0 }, [T(IFRAME)] = { K_RAW, 0 },
	[T(NOFRAMES)] = { K_RAW, 0 }, [T(NOEMBED)] = { K_RAW, 0 }, [T(SVG)] = { K_RAW, 0 },
	[T(OBJECT)] = { K_RAW, 0 }, [T(VIDEO)] = { K_RAW, 0 }, [T(AUDIO)] = { K_RAW, 0 },
	[T(CANVAS)] = { K_RAW, 0 }, [T(APPLET)] = { K_RAW, 0 }, [T(SELECT)] = { K_RAW, 0 },
	[T(TEXTAREA)] = { K_RAW, 0 }, [T(BUTTON)] = { K_RAW, 0 },
	[T(ANNOTATION_XML)] = { K_RAW, 0 },
};

/* DocBook, Mallard, TEI and OpenDocument; sorted by strcmp(). */
#define SECTION	1
#define HEADING	2
static const struct xml_rule {
	char	name[28];
	struct rule rule;
	char	role;
} xml_rule[] = {
	{ "abstract", { K_BLOCK, T(DIV) }, 0 },
	{ "annotation", { K_RAW, 0 }, 0 },
	{ "answer", { K_BLOCK, T(DIV) }, 0 },
	{ "appendix", { K_BLOCK, T(SECTION) }, SECTION },
	{ "article", { K_BLOCK, T(SECTION) }, SECTION },
	{ "blockquote", { K_BLOCK, T(BLOCKQUOTE) }, 0 },
	{ "book", { K_BLOCK, T(SECTION) }, SECTION },
	{ "bridgehead", { K_BLOCK, T(H3) }, 0 },
	{ "caution", { K_BLOCK, T(DIV) }, 0 },
	{ "chapter", { K_BLOCK, T(SECTION) }, SECTION },
	{ "cmd", { K_FORMAT, T(CODE) }, 0 },
	{ "code", { K_FORMAT, T(CODE) }, 0 },
	{ "command", { K_FORMAT, T(CODE) }, 0 },
	{ "comment", { K_RAW, 0 }, 0 },
	{ "computeroutput", { K_FORMAT, T(CODE) }, 0 },
	{ "copyright", { K_RAW, 0 }, 0 },
	{ "credit", { K_RAW, 0 }, 0 },
	{ "em", { K_FORMAT, T(I) }, 0 },
	{ "emphasis", { K_FORMAT, T(I) }, 0 },
	{ "entry", { K_FREE, T(TD) }, 0 },
	{ "example", { K_BLOCK, T(DIV) }, 0 },
	{ "figure", { K_BLOCK, T(DIV) }, 0 },
	{ "filename", { K_FORMAT, T(CODE) }, 0 },
	{ "footnote", { K_RAW, 0 }, 0 },
	{ "formalpara", { K_BLOCK, T(DIV) }, 0 },
	{ "function", { K_FORMAT, T(CODE) }, 0 },
	{ "glossary", { K_BLOCK, T(SECTION) }, SECTION },
	{ "glossdef", { K_FREE, T(DD) }, 0 },
	{ "glossentry", { K_BLOCK, T(DL) }, 0 },
	{ "glossterm", { K_INLINE, T(SPAN) }, 0 },
	{ "head", { K_BLOCK, T(H2) }, HEADING },
	{ "imageobject", { K_RAW, 0 }, 0 },
	{ "important", { K_BLOCK, T(DIV) }, 0 },
	{ "indexterm", { K_RAW, 0 }, 0 },
	{ "info", { K_RAW, 0 }, 0 },
	{ "informaltable", { K_FENCE, T(TABLE) }, 0 },
	{ "item", { K_FREE, T(LI) }, 0 },
	{ "itemizedlist", { K_BLOCK, T(UL) }, 0 },
	{ "keywordset", { K_RAW, 0 }, 0 },
	{ "list", { K_BLOCK, T(UL) }, 0 },
	{ "listitem", { K_FREE, T(LI) }, 0 },
	{ "literal", { K_FORMAT, T(CODE) }, 0 },
	{ "literallayout", { K_BLOCK, T(PRE) }, 0 },
	{ "member", { K_FREE, T(LI) }, 0 },
	{ "note", { K_BLOCK, T(DIV) }, 0 },
	{ "office:automatic-styles", { K_RAW, 0 }, 0 },
	{ "option", { K_FORMAT, T(CODE) }, 0 },
	{ "orderedlist", { K_BLOCK, T(OL) }, 0 },
	{ "p", { K_FREE, T(P) }, 0 },
	{ "page", { K_BLOCK, T(SECTION) }, SECTION },
	{ "para", { K_FREE, T(P) }, 0 },
	{ "part", { K_BLOCK, T(SECTION) }, SECTION },
	{ "preface", { K_BLOCK, T(SECTION) }, SECTION },
	{ "primary", { K_RAW, 0 }, 0 },
	{ "procedure", { K_BLOCK, T(OL) }, 0 },
	{ "programlisting", { K_BLOCK, T(PRE) }, 0 },
	{ "question", { K_BLOCK, T(DIV) }, 0 },
	{ "refentry", { K_BLOCK, T(SECTION) }, SECTION },
	{ "refentrytitle", { K_INLINE, T(SPAN) }, 0 },
	{ "refmeta", { K_RAW, 0 }, 0 },
	{ "refnamediv", { K_BLOCK, T(DIV) }, 0 },
	{ "refpurpose", { K_FREE, T(P) }, 0 },
	{ "refsect1", { K_BLOCK, T(SECTION) }, SECTION },
	{ "refsect2", { K_BLOCK, T(SECTION) }, SECTION },
	{ "refsection", { K_BLOCK, T(SECTION) }, SECTION },
	{ "refsynopsisdiv", { K_BLOCK, T(SECTION) }, SECTION },
	{ "row", { K_FREE, T(TR) }, 0 },
	{ "screen", { K_BLOCK, T(PRE) }, 0 },
	{ "sect1", { K_BLOCK, T(SECTION) }, SECTION },
	{ "sect2", { K_BLOCK, T(SECTION) }, SECTION },
	{ "sect3", { K_BLOCK, T(SECTION) }, SECTION },
	{ "sect4", { K_BLOCK, T(SECTION) }, SECTION },
	{ "sect5", { K_BLOCK, T(SECTION) }, SECTION },
	{ "section", { K_BLOCK, T(SECTION) }, SECTION },
	{ "sidebar", { K_BLOCK, T(DIV) }, 0 },
	{ "simpara", { K_FREE, T(P) }, 0 },
	{ "simplelist", { K_BLOCK, T(UL) }, 0 },
	{ "step", { K_FREE, T(LI) }, 0 },
	{ "steps", { K_BLOCK, T(OL) }, 0 },
	{ "style", { K_RAW, 0 }, 0 },
	{ "subtitle", { K_BLOCK, T(H3) }, 0 },
	{ "synopsis", { K_BLOCK, T(PRE) }, 0 },
	{ "table", { K_FENCE, T(TABLE) }, 0 },
	{ "table:table", { K_FENCE, T(TABLE) }, 0 },
	{ "table:table-cell", { K_FREE, T(TD) }, 0 },
	{ "table:table-row", { K_FREE, T(TR) }, 0 },
	{ "tbody", { K_FREE, T(TBODY) }, 0 },
	{ "td", { K_FREE, T(TD) }, 0 },
	{ "term", { K_FREE, T(DT) }, 0 },
	{ "terms", { K_BLOCK, T(DL) }, 0 },
	{ "text:h", { K_BLOCK, T(H2) }, HEADING },
	{ "text:list", { K_BLOCK, T(UL) }, 0 },
	{ "text:list-item", { K_FREE, T(LI) }, 0 },
	{ "text:note", { K_RAW, 0 }, 0 },
	{ "text:p", { K_FREE, T(P) }, 0 },
	{ "text:table-of-content", { K_RAW, 0 }, 0 },
	{ "tfoot", { K_FREE, T(TFOOT) }, 0 },
	{ "th", { K_FREE, T(TH) }, 0 },
	{ "thead", { K_FREE, T(THEAD) }, 0 },
	{ "tip", { K_BLOCK, T(DIV) }, 0 },
	{ "title", { K_BLOCK, T(H2) }, HEADING },
	{ "toc", { K_RAW, 0 }, 0 },
	{ "tr", { K_FREE, T(TR) }, 0 },
	{ "userinput", { K_FORMAT, T(CODE) }, 0 },
	{ "variablelist", { K_BLOCK, T(DL) }, 0 },
	{ "varlistentry", { K_DROP, 0 }, 0 },
	{ "varname", { K_FORMAT, T(CODE) }, 0 },
	{ "warning", { K_BLOCK, T(DIV) }, 0 },
};

struct clean {
	struct buf	*out;
	const char	*at, *end;
	bool		 xml;
	int		 sections;		/* XML: sections open, for headings */
	int		 n, nformat;
	int		 over;			/* tags left out for depth, still open */
	int16_t		 open[HTML_DEPTH];
	bool		 inner[HTML_DEPTH];	/* K_INLINE */
	struct { int16_t tag, depth; } format[HTML_FORMAT];
	bool		 endless[256];		/* no end tag lies ahead */
};

struct tag {
	str		 name;
	int16_t		 id;		/* GumboTag as written out */
	uint8_t		 kind;
	char		 role;
	uint8_t		 slot;		/* in endless[] */
	bool		 close, empty;
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

static void
put_text(struct clean *c, const char *p, const char *end)
{
	const char *nul;

	while (p < end && (nul = memchr(p, '\0', (size_t)(end - p))) != NULL) {
		buf_add(c->out, (str){ p, nul - p });
		p = nul + 1;
	}
	buf_add(c->out, (str){ p, end - p });
}

/* The rule of an XML element, or NULL. */
static const struct xml_rule *
xml_find(str name)
{
	int lo = 0, hi = (int)(sizeof(xml_rule) / sizeof(xml_rule[0]));

	while (lo < hi) {
		int mid = (lo + hi) / 2;
		const char *s = xml_rule[mid].name;
		int cmp = strncasecmp(name.p, s, (size_t)name.n);

		if (cmp == 0 && s[name.n] == '\0')
			return &xml_rule[mid];
		if (cmp <= 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static void
tag_find(const struct clean *c, struct tag *t)
{
	struct rule r = { K_DROP, 0 };
	const struct xml_rule *x;

	t->id = GUMBO_TAG_UNKNOWN;
	if (t->name.n >= (ptrdiff_t)sizeof(x->name))
		return;
	if (!c->xml) {
		t->id = (int16_t)gumbo_tagn_enum(t->name.p, (unsigned)t->name.n);
		t->slot = (uint8_t)t->id;
		r = html_rule[t->id];
	} else if ((x = xml_find(t->name)) != NULL) {
		t->slot = (uint8_t)(x - xml_rule);
		t->role = x->role;
		r = x->rule;
	}
	t->kind = r.kind;
	if (r.as != 0)
		t->id = r.as;
	if (t->role == HEADING) {
		int level = c->sections < 1 ? 1 : c->sections > 6 ? 6 : c->sections;

		t->id = (int16_t)(GUMBO_TAG_H1 + level - 1);
	}
}

/* The end tag </name that ends raw text, or NULL. */
static const char *
find_end(const char *p, const char *end, str name)
{
	while (p < end && (p = memchr(p, '<', (size_t)(end - p))) != NULL) {
		if (end - p > name.n + 2 && p[1] == '/' &&
		    strncasecmp(p + 2, name.p, (size_t)name.n) == 0 &&
		    (is_space(p[name.n + 2]) || p[name.n + 2] == '/' || p[name.n + 2] == '>'))
			return p;
		p++;
	}
	return NULL;
}

static bool
is_heading(int tag)
{
	return tag >= GUMBO_TAG_H1 && tag <= GUMBO_TAG_H6;
}

/* True when the parser will surely close the newest element of this kind. */
static bool
close_nested(struct clean *c, const struct tag *t)
{
	for (int i = c->n; i-- > 0; ) {
		int open = c->open[i];

		if (open == t->id || (is_heading(open) && is_heading(t->id))) {
			c->n = i;
			return true;
		}
		if (open == GUMBO_TAG_TABLE || (t->kind == K_INLINE && !c->inner[i]))
			return false;
	}
	return false;
}

static void
close_format(struct clean *c, const struct tag *t)
{
	for (int i = c->nformat; i-- > 0; ) {
		if (c->format[i].tag != t->id)
			continue;
		for (int j = c->format[i].depth; j < c->n; j++)
			if (c->open[j] == GUMBO_TAG_TABLE)
				return;
		memmove(&c->format[i], &c->format[i + 1],
		    (size_t)(c->nformat - i - 1) * sizeof(c->format[0]));
		c->nformat--;
		return;
	}
}

/* Account for a tag.  Return false when it must be left out. */
static bool
admit(struct clean *c, const struct tag *t)
{
	bool nests = t->kind == K_BLOCK || t->kind == K_FENCE || t->kind == K_INLINE;

	if (t->kind == K_FORMAT || t->kind == K_LINK) {
		if (t->close || t->kind == K_LINK)
			close_format(c, t);
		if (t->close)
			return true;
		if (c->nformat == HTML_FORMAT)
			return false;
		c->format[c->nformat].tag = t->id;
		c->format[c->nformat++].depth = (int16_t)c->n;
		return true;
	}
	if (!nests)
		return true;
	if (t->close) {
		if (c->over > 0) {
			c->over--;
			return false;
		}
		return close_nested(c, t);
	}
	if (c->n == HTML_DEPTH) {
		c->over++;
		return false;
	}
	c->inner[c->n] = t->kind == K_INLINE;
	c->open[c->n++] = t->id;
	return true;
}

/*
 * Attributes that say what an element is for; the rest is never copied.  Some
 * matter for one element only (tag), or their value does (value_of).
 */
static bool
wanted(str name, int tag, bool *value)
{
	static const struct {
		char	name[12];
		int16_t	tag, value_of;		/* 0: any */
	} list[] = {
		{ "class", 0, 0 }, { "id", 0, 0 }, { "role", 0, 0 }, { "href", 0, T(LINK) },
		{ "rel", 0, 0 }, { "lang", 0, 0 }, { "xml:lang", 0, 0 }, { "style", 0, 0 },
		{ "accesskey", 0, 0 }, { "start", 0, 0 }, { "hidden", 0, -1 },
		{ "aria-hidden", 0, 0 }, { "aria-label", 0, -1 }, { "datetime", T(TIME), 0 },
		{ "name", T(META), 0 }, { "property", T(META), 0 },
		{ "content", T(META), 0 }, { "itemprop", 0, 0 },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if ((*name.p | 32) == list[i].name[0] &&
		    str_like(name, list[i].name)) {
			*value = list[i].value_of == 0 || list[i].value_of == tag;
			return list[i].tag == 0 || list[i].tag == tag;
		}
	return false;
}

static void
put_attr(struct clean *c, str name, str value, int tag)
{
	bool keep;
	char quote = '"';

	if (!wanted(name, tag, &keep))
		return;
	buf_byte(c->out, ' ');
	buf_add(c->out, name);
	if (!keep)
		return;
	if (value.n > 1024)
		value.n = 0;
	if (value.n > 0 && memchr(value.p, '"', (size_t)value.n) != NULL) {
		quote = '\'';
		if (memchr(value.p, '\'', (size_t)value.n) != NULL)
			value.n = 0;
	}
	buf_add(c->out, S("="));
	buf_byte(c->out, quote);
	put_text(c, value.p, value.p + value.n);
	buf_byte(c->out, quote);
}

/*
 * Read attributes up to and past '>', copying those of use when copy is set.
 * Return false when the input ends first.
 */
static bool
attributes(struct clean *c, struct tag *t, bool copy)
{
	const char *p = c->at, *end = c->end;
	int room = 32;

	for (;;) {
		str name, value = { p, 0 };

		while (p < end && (is_space(*p) || *p == '/'))
			p++;
		if (p == end)
			return false;
		if (*p == '>') {
			t->empty = p[-1] == '/';
			c->at = p + 1;
			return true;
		}
		for (name.p = p++; p < end && !is_space(*p) && *p != '/' && *p != '>' &&
		    *p != '='; )
			p++;
		name.n = p - name.p;
		while (p < end && is_space(*p))
			p++;
		if (p < end && *p == '=') {
			for (p++; p < end && is_space(*p); )
				p++;
			if (p < end && (*p == '"' || *p == '\'')) {
				char q = *p++;

				value.p = p;
				if ((p = memchr(p, q, (size_t)(end - p))) == NULL)
					return false;
				value.n = p++ - value.p;
			} else {
				for (value.p = p; p < end && !is_space(*p) && *p != '>'; )
					p++;
				value.n = p - value.p;
			}
		}
		if (copy && room-- > 0)
			put_attr(c, name, value, t->id);
	}
}

static void
put_name(struct clean *c, const struct tag *t, bool close)
{
	buf_add(c->out, close ? S("</") : S("<"));
	buf_add(c->out, str_of(gumbo_normalized_tagname((GumboTag)t->id)));
}

/* The date in a script of linked data, as the <meta> that it stands for. */
static void
put_date(struct clean *c, str script)
{
	str key = S("\"datePublished\"");
	const char *p = memmem(script.p, (size_t)script.n, key.p, (size_t)key.n);
	const char *end = script.p + script.n, *from;

	if (p == NULL)
		return;
	for (p += key.n; p < end && (is_space(*p) || *p == ':'); )
		p++;
	if (p == end || *p != '"')
		return;
	for (from = ++p; p < end && p - from < 40 && *p > ' ' && *p != '"' && *p != '<'; )
		p++;
	buf_add(c->out, S("<meta itemprop=\"datePublished\" content=\""));
	buf_add(c->out, (str){ from, p - from });
	buf_add(c->out, S("\">"));
}

/* Go past raw text and its end tag; the tag alone when it has no end. */
static void
skip_raw(struct clean *c, const struct tag *t)
{
	const char *p;

	if (t->close || (c->xml && t->empty) || c->endless[t->slot])
		return;
	if ((p = find_end(c->at, c->end, t->name)) == NULL) {
		c->endless[t->slot] = true;
		if (t->id == GUMBO_TAG_SCRIPT || t->id == GUMBO_TAG_STYLE)
			c->at = c->end;
		return;
	}
	if (t->id == GUMBO_TAG_SCRIPT)
		put_date(c, (str){ c->at, p - c->at });
	c->at = p;
}

static void
title(struct clean *c, const struct tag *t)
{
	const char *p;

	if (t->close || c->endless[GUMBO_TAG_TITLE])
		return;
	if ((p = find_end(c->at, c->end, t->name)) == NULL) {
		c->endless[GUMBO_TAG_TITLE] = true;
		return;
	}
	buf_add(c->out, S("<title>"));
	put_text(c, c->at, p);
	buf_add(c->out, S("</title>"));
	c->at = p;
}

/* A start or end tag; c->at is at its name. */
static void
element(struct clean *c, bool close)
{
	struct tag t = { .close = close };
	ptrdiff_t mark = c->out->n;
	const char *p = c->at;
	bool copy;

	while (p < c->end && !is_space(*p) && *p != '/' && *p != '>')
		p++;
	t.name = (str){ c->at, p - c->at };
	c->at = p;
	tag_find(c, &t);
	if (close && t.role == SECTION && c->sections > 0)
		c->sections--;
	copy = t.kind >= K_FREE && admit(c, &t);
	if (copy)
		put_name(c, &t, close);
	if (!attributes(c, &t, copy && !close && t.kind != K_FORMAT)) {
		c->out->n = mark;
		c->at = c->end;
		return;
	}
	if (copy)
		buf_byte(c->out, '>');
	if (!close && t.role == SECTION && !t.empty)
		c->sections++;
	if (t.kind == K_RAW)
		skip_raw(c, &t);
	else if (t.kind == K_TITLE)
		title(c, &t);
	else if (c->xml && t.empty && copy) {
		t.close = true;
		if (admit(c, &t)) {
			put_name(c, &t, true);
			buf_byte(c->out, '>');
		}
	}
}

/* After "<!" or "<?": a comment, a declaration, or CDATA. */
static void
declaration(struct clean *c)
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
		for (p += 8; p < stop; p++)
			if (*p == '<')
				buf_add(c->out, S("&lt;"));
			else if (*p == '&')
				buf_add(c->out, S("&amp;"));
			else if (*p != '\0')
				buf_byte(c->out, *p);
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

void
html_clean(struct buf *out, str html, bool xml, const struct guard *guard)
{
	struct clean c = {
		.out = out, .at = html.p, .end = html.p + html.n, .xml = xml,
	};

	/* Without it the parser would fall into quirks. */
	buf_add(out, S("<!DOCTYPE html>"));
	while (c.at < c.end && !guard_over(guard)) {
		const char *p = memchr(c.at, '<', (size_t)(c.end - c.at));

		put_text(&c, c.at, p == NULL ? c.end : p);
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
			buf_add(out, S("&lt;"));
		}
	}
}
