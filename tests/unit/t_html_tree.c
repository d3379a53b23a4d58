/*
 * Trees of pages: those that html5lib makes of tags in any order (tests/golden/trees.py),
 * what references read as, and limits.
 */
#include <stdio.h>
#include <stdlib.h>

#include "text/entities_impl.h"
#include "text/html_impl.h"
#include "../lib/tree.h"
#include "../tap.h"

static const char *const tags[] = {
	[TAG_HTML] = "html", [TAG_HEAD] = "head", [TAG_BODY] = "body", [TAG_TITLE] = "title",
	[TAG_LINK] = "link", [TAG_META] = "meta", [TAG_DIV] = "div", [TAG_SECTION] = "section",
	[TAG_ARTICLE] = "article", [TAG_MAIN] = "main", [TAG_HEADER] = "header",
	[TAG_FOOTER] = "footer", [TAG_NAV] = "nav", [TAG_ASIDE] = "aside",
	[TAG_BLOCKQUOTE] = "blockquote", [TAG_PRE] = "pre", [TAG_UL] = "ul", [TAG_OL] = "ol",
	[TAG_DL] = "dl", [TAG_H1] = "h1", [TAG_H2] = "h2", [TAG_H3] = "h3", [TAG_H4] = "h4",
	[TAG_H5] = "h5", [TAG_H6] = "h6", [TAG_P] = "p", [TAG_LI] = "li", [TAG_DT] = "dt",
	[TAG_DD] = "dd", [TAG_BR] = "br", [TAG_HR] = "hr", [TAG_TABLE] = "table",
	[TAG_CAPTION] = "caption", [TAG_TBODY] = "tbody", [TAG_THEAD] = "thead",
	[TAG_TFOOT] = "tfoot", [TAG_TR] = "tr", [TAG_TD] = "td", [TAG_TH] = "th",
	[TAG_SPAN] = "span", [TAG_SUP] = "sup", [TAG_SUB] = "sub", [TAG_Q] = "q",
	[TAG_CITE] = "cite", [TAG_TIME] = "time", [TAG_A] = "a", [TAG_B] = "b",
	[TAG_CODE] = "code", [TAG_I] = "i",
};

/* In the order of their names, as trees.tsv has them. */
static const struct {
	enum html_name	 id;
	const char	*name;
} names[] = {
	{ ATTR_CLASS, "class" }, { ATTR_HREF, "href" }, { ATTR_ID, "id" }, { ATTR_LANG, "lang" },
};

static struct arena arena;

static void
write_node(const struct html_tree *t, int32_t i, struct buf *out)
{
	const struct html_node *n = &t->node[i];

	if (n->tag == NODE_TEXT) {
		buf_add(out, n->text);
		return;
	}
	buf_fmt(out, "<%s", tags[n->tag]);
	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		str value = html_attr(n, names[k].id);

		if (value.p != NULL)
			buf_fmt(out, " %s=\"%.*s\"", names[k].name, STR_ARG(value));
	}
	buf_byte(out, '>');
	for (int32_t child = i + 1; child < n->end; child = t->node[child].end)
		write_node(t, child, out);
	buf_fmt(out, "</%s>", tags[n->tag]);
}

/* The tree of a page, written out; false when it differs. */
static bool
makes_by(bool xml, str page, str want)
{
	struct arena scratch = arena;
	struct buf out = { 0 };
	struct html_tree t;
	struct err err = { 0 };
	bool good = html_parse(&t, page, xml, &scratch, &err) == 0 && tree_is_whole(&t);

	if (good)
		write_node(&t, 0, &out);
	good = good && str_eq(buf_str(&out), want);
	if (!good)
		printf("# of '%.*s'\n# got    %.*s\n# wanted %.*s\n", STR_ARG(page),
		    STR_ARG(buf_str(&out)), STR_ARG(want));
	buf_free(&out);
	return good;
}

static bool
makes(str page, str want)
{
	return makes_by(false, page, want);
}

/* Undo \n, \r, \t and \\, in place; the length. */
static ptrdiff_t
plain(char *s)
{
	char *to = s;

	for (const char *p = s; *p != '\0'; p++)
		*to++ = *p != '\\' ? *p : *++p == 'n' ? '\n' : *p == 'r' ? '\r' : *p == 't' ? '\t' : *p;
	return to - s;
}

static void
test_random(void)
{
	FILE *f = fopen("tests/data/html/trees.tsv", "r");
	int n = 0, good = 0;
	char line[4096];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *want = strchr(line, '\t');

		if (want == NULL)
			break;
		*want++ = '\0';
		want[strcspn(want, "\n")] = '\0';
		n++;
		good += makes((str){ line, plain(line) }, (str){ want, plain(want) });
	}
	if (f != NULL)
		fclose(f);
	ok(n >= 600 && good == n, "tags in any order make html5lib's trees");
}

#define BODY(x) "<html><head></head><body>" x "</body></html>"

static void
test_text(void)
{
	ok(makes(S("<p>a<script>b</script>c<!-- d -->e"), S(BODY("<p>ace</p>"))),
	    "texts around what is left out are one");
	ok(makes(S("<table>a<tr>b<td>c</table>"),
	    S(BODY("ab<table><tbody><tr><td>c</td></tr></tbody></table>"))),
	    "so are those that go before a table");
	ok(makes(S("<pre>\r\n\na</pre>"), S(BODY("<pre>\na</pre>"))), "the first line of code");
	ok(makes(S("<pre><b>\na</pre>"), S(BODY("<pre><b>\na</b></pre>"))),
	    "stays behind a tag");
	ok(makes(S("a &ampb; &notin; &notit; &unknown; &#x; &#0; &#xd800; &#x110000; &#151; &nGt;"),
	    S(BODY("a &b; \342\210\211 \302\254it; &unknown; &#x; \357\277\275 \357\277\275 "
	    "\357\277\275 \342\200\224 \342\211\253\342\203\222"))), "references");
	ok(makes(S("<p class='a&copyb &copy= &copy; &lt'>"),
	    S(BODY("<p class=\"a&copyb &copy= \302\251 <\"></p>"))), "and those of attributes");
	ok(makes((str){ "a\0b&#0;", 7 }, S(BODY("ab\357\277\275"))), "NULs go");
	ok(makes_by(true, (str){ "<para>&lt;<![CDATA[a\0&lt;\r\nb]]></para>", 39 },
	    S(BODY("<p><a&lt;\nb</p>"))), "what XML says to take as it stands has no references");
	ok(makes(S("1 < 2 <3 </ >"), S(BODY("1 < 2 <3 "))), "signs that begin no tag");
}

static void
test_entities(void)
{
	char out[ENTITY_BYTES];
	bool sorted = true, found = true;
	int n;

	for (int i = 0; i < entities_n; i++) {
		char name[40];
		int len = snprintf(name, sizeof(name), "&%s;", entities[i].name);

		found &= entity_at(name, name + len, false, out, &n) == len && n > 0 && n <= len + 1;
		found &= (entity_at(name, name + len - 1, false, out, &n) == len - 1) ==
		    entities[i].bare || entity_at(name, name + len - 1, false, out, &n) < len - 1;
		sorted &= i == 0 || strcmp(entities[i - 1].name, entities[i].name) < 0;
	}
	ok(entities_n == 2125 && sorted, "names are sorted");
	ok(found, "each is found, and takes one byte more at most");
}

/* What takes time or memory where it is let. */
static void
test_large(void)
{
	static const struct { const char *what, *piece; int n; } list[] = {
		{ "divisions", "<div>", 200000 }, { "cells", "<table><tr><td>", 100000 },
		{ "links", "<a href=x>", 200000 }, { "emphasis in items", "<li><b><i><code>", 60000 },
		{ "paragraphs in emphasis", "<b><p></b>", 60000 },
		{ "text before tables", "<table>a<tr>b", 60000 },
		{ "languages", "<html lang=a class=b>", 100000 },
		{ "terms", "<dd><span><dt><q>", 60000 },
		{ "emphasis", "<b>", 400000 }, { "emphasis and paragraphs", "<b><p>", 100000 },
		{ "emphasis around links", "<i><a href=x>", 100000 },
		{ "rows that are left", "<table><tr><td><b></tr></b>", 60000 },
		{ "ends of all kinds", "<b><span></div></p></li></i></b></h1>", 60000 },
	};
	struct buf page = { 0 };
	struct err err = { 0 };

	for (size_t k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
		struct arena scratch = arena;
		struct html_tree t;

		buf_reset(&page);
		for (int i = 0; i < list[k].n; i++)
			buf_add(&page, str_of(list[k].piece));
		ok(html_parse(&t, buf_str(&page), false, &scratch, &err) == 0 && tree_is_whole(&t),
		    list[k].what);
	}
	arena_free(&arena);
	arena_init(&arena, 1 << 16, &err);
	{
		struct arena scratch = arena;
		struct html_tree t;

		ok(html_parse(&t, buf_str(&page), false, &scratch, &err) < 0 && err.code == ERR_LIMIT,
		    "memory has a limit");
	}
	buf_free(&page);
}

int
main(void)
{
	struct err err = { 0 };

	if (arena_init(&arena, (ptrdiff_t)1 << 30, &err) < 0)
		return 2;
	test_random();
	test_text();
	test_entities();
	test_large();
	arena_free(&arena);
	return tap_done();
}
