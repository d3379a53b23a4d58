/* Limits of pages and names that a command line cannot reach well. */
#include <stdlib.h>

#include "../tap.h"
#include "text/files_impl.h"
#include "text/html.h"
#include "text/kind.h"
#include "text/roff.h"

static struct arena arena;

static int
extract(str page, enum html_form form, struct buf *out, struct err *err)
{
	struct html_about about = { 0 };
	int ret;

	buf_reset(out);
	ret = html_extract(page, false, form, out, &about, arena, NULL, err);
	html_about_free(&about);
	return ret;
}

static bool
gives(const char *page, enum html_form form, const char *want)
{
	struct buf out = { 0 };
	struct err err = { 0 };
	bool good = extract(str_of(page), form, &out, &err) == 0 &&
	    str_eq(buf_str(&out), str_of(want));

	if (!good)
		printf("# got '%.*s'\n", STR_ARG(buf_str(&out)));
	buf_free(&out);
	return good;
}

static void
test_flow(void)
{
	ok(gives("", HTML_TEXT, ""), "nothing gives nothing");
	ok(gives("a <b> b </b> c", HTML_MARKDOWN, "a **b** c\n"), "emphasis hugs its words");
	ok(gives("a<b> </b>c", HTML_MARKDOWN, "a c\n"), "empty emphasis leaves its space");
	ok(gives("<p>a<p>b<hr>c", HTML_TEXT, "a\n\nb\n\nc\n"), "blocks stand apart");
	ok(gives("<div>a</div><div>b</div>", HTML_TEXT, "a\nb\n"), "divisions are lines");
	ok(gives("<pre>\n\n a\n\n</pre>b", HTML_TEXT, " a\n\nb\n"), "code keeps its inner space");
	ok(gives("<ul><li><ul><li>x</ul></ul>", HTML_TEXT, "  - x\n"), "an item of a list alone");
	ok(gives("<ol start=99999><li>x</ol>", HTML_TEXT, "99999. x\n"), "numbers start anywhere");
	ok(gives("<p>1 &lt; 2 &copy &#x2014;", HTML_TEXT, "1 < 2 \302\251 \342\200\224\n"),
	    "entities, closed or not");
	ok(gives("<q>a</q>", HTML_TEXT, "\"a\"\n"), "quotations have marks");
	ok(gives("<table><tr><td>a<td>b<tr><td><td>c</table>", HTML_MARKDOWN,
	    "| a | b |\n| --- | --- |\n|  | c |\n"), "a table keeps its columns");
}

/* Nothing ends a value but its length: a page without a byte behind it tells, with SAN=1. */
static void
test_end(void)
{
	static const char page[] = "x<p style=a>";
	struct buf out = { 0 };
	struct err err = { 0 };
	char *p = malloc(sizeof(page) - 1);

	if (p == NULL)
		return;
	memcpy(p, page, sizeof(page) - 1);
	ok(extract((str){ p, sizeof(page) - 1 }, HTML_TEXT, &out, &err) == 0 &&
	    str_eq(buf_str(&out), S("x\n")), "a page ends where it ends");
	free(p);
	buf_free(&out);
}

static bool
dated(const char *page, const char *want)
{
	struct html_about about = { 0 };
	struct buf out = { 0 };
	struct err err = { 0 };
	bool good = html_extract(str_of(page), false, HTML_TEXT, &out, &about, arena, NULL,
	    &err) == 0 && strcmp(about.date, want) == 0;

	if (!good)
		printf("# got '%s'\n", about.date);
	html_about_free(&about);
	buf_free(&out);
	return good;
}

static void
test_dates(void)
{
	ok(dated("<meta name=date content=2020-01-02><time datetime=2021-01-01>x</time>",
	    "2020-01-02"), "metadata before the text's own times");
	ok(dated("<time datetime='2021-01-01 10:11:12.5+0100'>x</time>",
	    "2021-01-01T10:11:12+01:00"), "a time in RFC 3339's form");
	ok(dated("<script type='application/ld+json'>{\"datePublished\" : \"2019-08-07T06:05:04Z\"}"
	    "</script>", "2019-08-07T06:05:04Z"), "linked data");
	ok(dated("<meta property=article:published_time content='May 5th'>", ""), "no date");
}

static void
test_chrome(void)
{
	ok(gives("<div class='site-nav'>Menu</div><p>Text of the page.</p>", HTML_TEXT,
	    "Text of the page.\n"), "named navigation goes");
	ok(gives("<div class='has-nav'>Text</div><p>More text.</p>", HTML_TEXT,
	    "Text\n\nMore text.\n"), "\"has-nav\" is no navigation");
	ok(gives("<div id=toc><p>All of the page is in here.</p></div>", HTML_TEXT,
	    "All of the page is in here.\n"), "a name never takes all of a page");
	ok(gives("<h2 id=nav>Nav</h2><p>Text of a page on it.</p>", HTML_TEXT,
	    "Nav\n\nText of a page on it.\n"), "the anchor of a heading is no name");
	ok(gives("<p>Text of the page.</p><div class=comments><p>First, and longer than all of "
	    "the page that it is about.</p></div>", HTML_TEXT, "Text of the page.\n"),
	    "comments may be most of a page");
	ok(gives("<p>Text of a page that is long enough.</p><div><h3>Read more</h3><p>Other</p>"
	    "</div>", HTML_TEXT, "Text of a page that is long enough.\n"),
	    "a part with a heading of the trade goes");
	ok(gives("<div class=s><h2>Lists</h2><p>Text.</p></div><div class=s><h2>Comments</h2>"
	    "<p>Text about them.</p></div>", HTML_TEXT,
	    "Lists\n\nText.\n\nComments\n\nText about them.\n"),
	    "a section among its peers stays, whatever its heading");
	ok(gives("<p>Text of a page.</p><div><div><a href=a>One</a><p>More of one.</p></div>"
	    "<div><a href=b>Two</a><p>More of two.</p></div><div><a href=c>Three</a><p>More of "
	    "three.</p></div></div>", HTML_TEXT, "Text of a page.\n"), "teasers in a row go");
	ok(gives("<div class=a><p>Text that is nearly all there is, on this page, which goes on and "
	    "on for a test.</p></div><div class=b>All rights</div>", HTML_TEXT,
	    "Text that is nearly all there is, on this page, which goes on and on for a test.\n"),
	    "a small part beside the text goes");
	ok(gives("<p>x</p><p><a href=a>Next</a></p>", HTML_TEXT, "x\n"), "arrows go");
	ok(gives("<p>See <a href=a>one</a>, then <a href=b>two</a> for the rest.</p>", HTML_TEXT,
	    "See one, then two for the rest.\n"), "links in prose stay");
}

static void
test_limits(void)
{
	struct buf page = { 0 }, out = { 0 };
	struct arena small, big = arena;
	struct err err = { 0 };

	for (int i = 0; i < 100000; i++)
		buf_add(&page, S("<div>"));
	buf_add(&page, S("deep"));
	ok(extract(buf_str(&page), HTML_TEXT, &out, &err) == 0 &&
	    str_eq(buf_str(&out), S("deep\n")), "100000 nested elements");
	buf_reset(&page);
	for (int i = 0; i < 20000; i++)
		buf_add(&page, S("<p>x"));
	ok(arena_init(&small, 1 << 20, &err) == 0, "a small arena");
	arena = small;
	ok(extract(buf_str(&page), HTML_TEXT, &out, &err) < 0 && err.code == ERR_LIMIT,
	    "a page that needs more memory is refused");
	arena_free(&small);
	arena = big;
	buf_free(&page);
	buf_free(&out);
}

static void
test_names(void)
{
	struct buf b = { 0 };

	buf_add(&b, S("a.zip"));
	label_add(&b, S("/../x/./y//z.html"));
	ok(str_eq(buf_str(&b), S("a.zip!x/y/z.html")), "a path becomes a label");
	label_add(&b, S("../.."));
	ok(str_eq(buf_str(&b), S("a.zip!x/y/z.html!?")), "a path of nothing has a label too");
	label_name(&b, S("a.zip!x/page.html.gz"));
	ok(str_eq(buf_str(&b), S("page.html")), "a name loses its compression suffix");
	label_name(&b, S(".gz"));
	ok(str_eq(buf_str(&b), S(".gz")), "but not all of itself");
	buf_free(&b);
	ok(container_of(S("BZh, the letters")) == CONTAINER_NONE, "words are no bzip2");
	ok(container_of((str){ "\37\213\10\0", 4 }) == CONTAINER_PACKED, "gzip is known");
	ok(kind_of(S("x.txt"), S("<!DOCTYPE HTML>\n<p>"), S("text")) == KIND_HTML,
	    "a page is known by its content");
	ok(kind_of(S("x.1"), S(".TH X 1\n"), S("text")) == KIND_MAN, "a manual page is known");
	ok(kind_of(S("x.1"), S("1.0 is out\n"), S("text")) == KIND_TEXT, "a version is not");
	ok(kind_of(S("x"), S("{\"text\":\"a\"}\n{"), S("text")) == KIND_LINES,
	    "JSON lines are known by their first");
	ok(kind_of(S("x"), S("{\"body\":\"a\"}\n{"), S("text")) == KIND_TEXT,
	    "but without the key they are text");
}

int
main(void)
{
	struct err err;

	if (arena_init(&arena, (ptrdiff_t)1 << 30, &err) < 0)
		return 2;
	test_flow();
	test_end();
	test_chrome();
	test_dates();
	test_limits();
	test_names();
	arena_free(&arena);
	return tap_done();
}
