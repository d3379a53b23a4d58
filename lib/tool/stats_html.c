#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/plot.h"
#include "tool/stats.h"

/* Of a chart, in SVG's units: the whole, and the margins of its plot. */
enum { WIDTH = 380, HEIGHT = 200, LEFT = 46, RIGHT = 10, TOP = 8, BOTTOM = 24 };
enum { PLOT_W = WIDTH - LEFT - RIGHT, PLOT_H = HEIGHT - TOP - BOTTOM };

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>llm-stats</title>\n<style>\n"
    ":root { color-scheme: light dark; --paper: #fbfaf7; --ink: #23221f; --soft: #6d6a62;\n"
    "  --line: #dcd8cc; --card: #fff; --c0: #2f6db3; --c1: #c8571b; --c2: #3d8b4f;\n"
    "  --c3: #8a4fa8; --c4: #b08a12; --c5: #2a8f8f; --c6: #b33a5b; --c7: #6b6b6b }\n"
    "@media (prefers-color-scheme: dark) { :root { --paper: #171613; --ink: #e9e6de;\n"
    "  --soft: #a09b8f; --line: #37342d; --card: #201e1a; --c0: #6fa8e6; --c1: #ef8a52;\n"
    "  --c2: #76c389; --c3: #c08fdd; --c4: #dcb84a; --c5: #62c5c5; --c6: #e87c98;\n"
    "  --c7: #a8a8a8 } }\n"
    "* { box-sizing: border-box }\n"
    "body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; color: var(--ink);\n"
    "  background: var(--paper); font: 15px/1.5 system-ui, sans-serif }\n"
    "h1 { font-size: 1.7rem; margin: 0 0 .25rem }\n"
    "h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem }\n"
    "h3 { font-size: .95rem; margin: 0 0 .4rem; font-weight: 600 } p { margin: .3rem 0 }\n"
    ".soft, th, figcaption { color: var(--soft) } .key { display: inline-block; width: .7em;\n"
    "  height: .7em; border-radius: 2px; margin: 0 .45em 0 0 }\n"
    "table { border-collapse: collapse; font-variant-numeric: tabular-nums }\n"
    ".wide { overflow-x: auto } th { font-weight: 500; text-align: right }\n"
    "th:first-child, td:first-child { text-align: left; padding-left: 0 }\n"
    "td, th { padding: .22rem .8rem; border-bottom: 1px solid var(--line); text-align: right;\n"
    "  white-space: nowrap }\n"
    ".grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill,\n"
    "  minmax(21rem, 1fr)) }\n"
    ".card { margin: 0; padding: .9rem 1rem; background: var(--card); min-width: 0;\n"
    "  border: 1px solid var(--line); border-radius: 8px }\n"
    "figcaption { font-size: .8rem; margin-top: .3rem }\n"
    "svg { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif }\n"
    "svg text { fill: var(--soft) } .axis { stroke: var(--line) }\n"
    ".area { fill-opacity: .16; stroke-width: 1.6 } .curve { fill: none; stroke-width: 1.8 }\n"
    ".bar { position: relative; display: flex; gap: .6rem; padding: .08rem .4rem;\n"
    "  margin: .14rem 0; font-size: .86rem; border-radius: 3px; overflow: hidden }\n"
    ".bar i { position: absolute; inset: 0 auto 0 0; opacity: .2 } .bar b { flex: 1;\n"
    "  font-weight: 400; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }\n"
    ".bar span { font-variant-numeric: tabular-nums; position: relative }\n"
    "pre { margin: .5rem 0 0; padding: .6rem .75rem; white-space: pre-wrap; font-size: .8rem;\n"
    "  overflow-wrap: anywhere; background: var(--paper); border-radius: 6px; max-height: 15rem;\n"
    "  overflow: auto; border: 1px solid var(--line) }\n"
    "details { margin: .5rem 0 } summary { cursor: pointer; list-style: none }\n"
    "</style>\n</head>\n<body>\n";

/* ---- parts ---- */

static void
put_escaped(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '<')
			buf_add(b, S("&lt;"));
		else if (c == '>')
			buf_add(b, S("&gt;"));
		else if (c == '&')
			buf_add(b, S("&amp;"));
		else if (c == '"')
			buf_add(b, S("&quot;"));
		else
			buf_byte(b, c < 0x20 && c != '\n' && c != '\t' ? ' ' : *s);
	}
}

static const char *
text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static double
value_of(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static void
put_key(struct buf *b, size_t corpus)
{
	buf_fmt(b, "<span class=\"key\" style=\"background:var(--c%d)\"></span>", (int)corpus % 8);
}

static void
put_name(struct buf *b, const json_t *corpora, size_t i)
{
	put_key(b, i);
	put_escaped(b, text_of(json_array_get(corpora, i), "name"));
}

/* ---- totals ---- */

static void
put_total(struct buf *b, const json_t *corpora, const char *key, const char *what)
{
	double before = value_of(json_array_get(corpora, 0), key);
	const json_t *c;
	size_t i;

	if (json_object_get(json_array_get(corpora, 0), key) == NULL)
		return;
	buf_fmt(b, "<tr><td>%s</td>", what);
	json_array_foreach(corpora, i, c) {
		buf_add(b, S("<td>"));
		stats_number(b, json_object_get(c, key));
		if (i > 0 && before > 0)
			buf_fmt(b, " <span class=\"soft\">%+.1f%%</span>",
			    100 * (value_of(c, key) / before - 1));
		buf_add(b, S("</td>"));
	}
	buf_add(b, S("</tr>\n"));
}

static void
put_shares(struct buf *b, const json_t *corpora, const char *what, const char *member,
    const char *part, const char *whole)
{
	const json_t *c;
	size_t i;

	buf_fmt(b, "<tr><td>%s</td>", what);
	json_array_foreach(corpora, i, c) {
		const json_t *o = json_object_get(c, member);
		double all = whole != NULL ? value_of(o, whole) : value_of(c, "text_bytes");

		buf_fmt(b, "<td>%s%.2f%%</td>", json_is_false(json_object_get(o, "exact")) ?
		    "about " : "", all > 0 ? 100 * value_of(o, part) / all : 0);
	}
	buf_add(b, S("</tr>\n"));
}

static void
put_vocabulary(struct buf *b, const json_t *corpora)
{
	const json_t *c;
	size_t i;

	buf_add(b, S("<tr><td>distinct words</td>"));
	json_array_foreach(corpora, i, c) {
		const json_t *v = json_object_get(c, "vocabulary");

		buf_fmt(b, "<td>%s", json_is_false(json_object_get(v, "exact")) ? "about " : "");
		stats_number(b, json_object_get(v, "distinct"));
		buf_add(b, S("</td>"));
	}
	buf_add(b, S("</tr>\n"));
}

static void
put_totals(struct buf *b, const json_t *corpora)
{
	buf_add(b, S("<div class=\"wide\"><table><tr><th></th>"));
	for (size_t i = 0; i < json_array_size(corpora); i++) {
		buf_add(b, S("<th>"));
		put_name(b, corpora, i);
		buf_add(b, S("</th>"));
	}
	buf_add(b, S("</tr>\n"));
	put_total(b, corpora, "records", "records");
	put_total(b, corpora, "bytes", "bytes");
	put_total(b, corpora, "text_bytes", "bytes of text");
	put_total(b, corpora, "words", "words");
	put_total(b, corpora, "lines", "lines");
	put_total(b, corpora, "tokens", "tokens");
	put_vocabulary(b, corpora);
	put_shares(b, corpora, "texts that were there before", "texts", "repeats", "total");
	put_shares(b, corpora, "lines that were there before", "text_lines", "repeats", "total");
	put_shares(b, corpora, "text in such lines", "text_lines", "repeated_bytes", NULL);
	buf_add(b, S("</table></div>\n"));
}

/* ---- charts ---- */

static void
begin_chart(struct buf *b, const struct plot_axis *x, const struct plot_axis *y, bool percent)
{
	double at;

	buf_fmt(b, "<svg viewBox=\"0 0 %d %d\" role=\"img\">\n", WIDTH, HEIGHT);
	for (int i = 0; i < y->nticks; i++)
		if (plot_place(y, y->tick[i].at, &at))
			buf_fmt(b, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
			    "y2=\"%.1f\"/>"
			    "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s%s</text>\n",
			    LEFT, WIDTH - RIGHT, TOP + PLOT_H * (1 - at), TOP + PLOT_H * (1 - at),
			    LEFT - 5, TOP + PLOT_H * (1 - at) + 4, y->tick[i].label,
			    percent ? "%" : "");
	for (int i = 0; i < x->nticks; i++)
		if (plot_place(x, x->tick[i].at, &at))
			buf_fmt(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
			    LEFT + PLOT_W * at, HEIGHT - 7, x->tick[i].label);
}

/* A point of a path, where both values are on their axes. */
static void
put_point(struct buf *b, const struct plot_axis *x, const struct plot_axis *y, double vx,
    double vy, bool first)
{
	double ax = 0, ay = 0;

	plot_place(x, fmin(fmax(vx, x->lo), x->hi), &ax);
	plot_place(y, fmin(fmax(vy, y->lo), y->hi), &ay);
	buf_fmt(b, "%c%.1f %.1f", first ? 'M' : 'L', LEFT + PLOT_W * ax, TOP + PLOT_H * (1 - ay));
}

static double
edge_of(const json_t *field, size_t i)
{
	return json_number_value(json_array_get(json_object_get(field, "edges"), i));
}

static double
percent_of(const json_t *of, size_t bin)
{
	return 100 * json_number_value(json_array_get(json_object_get(of, "bins"), bin)) /
	    value_of(of, "count");
}

static void
put_histogram(struct buf *b, const json_t *field)
{
	struct plot_axis x = { .log = json_is_true(json_object_get(field, "log")) }, y = { 0 };
	const json_t *all = json_object_get(field, "of"), *of;
	double highest = 0;
	size_t i;

	json_array_foreach(all, i, of)
		for (size_t k = 0; !json_is_null(of) && k < STATS_BINS; k++)
			highest = fmax(highest, percent_of(of, k));
	plot_axis(&x, edge_of(field, 0), edge_of(field, STATS_BINS), 5, 0);
	plot_axis(&y, 0, highest, 4, 0);
	begin_chart(b, &x, &y, true);
	json_array_foreach(all, i, of) {
		if (json_is_null(of))
			continue;
		buf_fmt(b, "<path class=\"area\" style=\"fill:var(--c%d);stroke:var(--c%d)\" d=\"",
		    (int)i % 8, (int)i % 8);
		put_point(b, &x, &y, edge_of(field, 0), 0, true);
		for (size_t k = 0; k < STATS_BINS; k++) {
			put_point(b, &x, &y, edge_of(field, k), percent_of(of, k), false);
			put_point(b, &x, &y, edge_of(field, k + 1), percent_of(of, k), false);
		}
		put_point(b, &x, &y, edge_of(field, STATS_BINS), 0, false);
		buf_add(b, S("Z\"/>\n"));
	}
	buf_add(b, S("</svg>\n"));
}

static void
put_quantiles(struct buf *b, const json_t *field)
{
	static const char *const measures[] = { "p5", "p50", "p95", "mean", "max" };
	const json_t *of;
	size_t i;

	json_array_foreach(json_object_get(field, "of"), i, of) {
		if (json_is_null(of))
			continue;
		put_key(b, i);
		for (size_t m = 0; m < sizeof(measures) / sizeof(measures[0]); m++) {
			buf_fmt(b, "%s%s ", m > 0 ? " &middot; " : "", measures[m]);
			stats_number(b, json_object_get(of, measures[m]));
		}
		buf_add(b, S("<br>\n"));
	}
}

static void
put_fields(struct buf *b, const json_t *report)
{
	const json_t *field;
	size_t i;

	buf_add(b, S("<h2>What records are like</h2>\n<p class=\"soft\">Share of records by value. "
	    "Names with a dot are numbers in the records.</p>\n<div class=\"grid\">\n"));
	json_array_foreach(json_object_get(report, "fields"), i, field) {
		buf_add(b, S("<figure class=\"card\"><h3>"));
		put_escaped(b, text_of(field, "name"));
		buf_add(b, S("</h3>\n"));
		put_histogram(b, field);
		buf_add(b, S("<figcaption>"));
		put_quantiles(b, field);
		buf_add(b, S("</figcaption></figure>\n"));
	}
	buf_add(b, S("</div>\n"));
}

static const json_t *
growth_of(const json_t *corpus)
{
	return json_object_get(json_object_get(corpus, "vocabulary"), "growth");
}

static void
put_growth(struct buf *b, const json_t *corpora)
{
	struct plot_axis x = { .log = true }, y = { .log = true };
	double x_lo = HUGE_VAL, x_hi = 0, y_lo = HUGE_VAL, y_hi = 0;
	const json_t *c, *p;
	size_t i, k;

	json_array_foreach(corpora, i, c)
		json_array_foreach(growth_of(c), k, p) {
			x_lo = fmin(x_lo, json_number_value(json_array_get(p, 0)));
			x_hi = fmax(x_hi, json_number_value(json_array_get(p, 0)));
			y_lo = fmin(y_lo, json_number_value(json_array_get(p, 1)));
			y_hi = fmax(y_hi, json_number_value(json_array_get(p, 1)));
		}
	if (x_hi == 0)
		return;
	plot_axis(&x, x_lo, x_hi, 5, 0);
	plot_axis(&y, y_lo, y_hi, 4, 0);
	buf_add(b, S("<figure class=\"card\"><h3>Distinct words, over words read</h3>\n"));
	begin_chart(b, &x, &y, false);
	json_array_foreach(corpora, i, c) {
		buf_fmt(b, "<path class=\"curve\" style=\"stroke:var(--c%d)\" d=\"", (int)i % 8);
		json_array_foreach(growth_of(c), k, p)
			put_point(b, &x, &y, json_number_value(json_array_get(p, 0)),
			    json_number_value(json_array_get(p, 1)), k == 0);
		buf_add(b, S("\"/>\n"));
	}
	buf_add(b, S("</svg>\n<figcaption>"));
	json_array_foreach(corpora, i, c) {
		const json_t *v = json_object_get(c, "vocabulary");

		if (json_object_get(v, "heaps_k") == NULL)
			continue;
		put_key(b, i);
		buf_fmt(b, "Heaps: %.3g &middot; words<sup>%.3f</sup><br>\n",
		    value_of(v, "heaps_k"), value_of(v, "heaps_beta"));
	}
	buf_add(b, S("</figcaption></figure>\n"));
}

/* ---- leaders ---- */

static void
put_bar(struct buf *b, const char *name, const json_t *count, double whole, size_t colour)
{
	double share = whole > 0 ? 100 * json_number_value(count) / whole : 0;

	buf_fmt(b, "<div class=\"bar\"><i style=\"width:%.1f%%;background:var(--c%d)\"></i><b>",
	    share, (int)colour % 8);
	put_escaped(b, name);
	buf_add(b, S("</b><span>"));
	stats_number(b, count);
	buf_fmt(b, "</span><span class=\"soft\">%.2f%%</span></div>\n", share);
}

static void
put_leaders(struct buf *b, const json_t *corpora, const char *key, const char *title)
{
	const json_t *c, *e;
	size_t i, k;

	json_array_foreach(corpora, i, c) {
		const json_t *l = json_object_get(c, key), *top = json_object_get(l, "top");
		double error = 0;

		if (json_array_size(top) == 0)
			continue;
		buf_fmt(b, "<figure class=\"card\"><h3>%s", title);
		if (json_array_size(corpora) > 1) {
			buf_add(b, S(" &middot; "));
			put_name(b, corpora, i);
		}
		buf_add(b, S("</h3>\n"));
		json_array_foreach(top, k, e) {
			put_bar(b, text_of(e, "key"), json_object_get(e, "count"),
			    value_of(l, "total"), i);
			error = fmax(error, value_of(e, "error"));
		}
		if (error > 0)
			buf_fmt(b, "<figcaption>A count is at most %.0f too high.</figcaption>",
			    error);
		buf_add(b, S("</figure>\n"));
	}
}

/* ---- examples ---- */

static void
put_examples(struct buf *b, const json_t *examples)
{
	const json_t *e;
	size_t i;

	json_array_foreach(examples, i, e) {
		const char *text = text_of(e, "text"), *value = text_of(e, "value");

		buf_add(b, S("<pre>"));
		if (value != NULL) {
			buf_add(b, S("<span class=\"soft\">value "));
			put_escaped(b, value);
			buf_add(b, S("</span>\n"));
		}
		put_escaped(b, text);
		if (value_of(e, "bytes") > (double)strlen(text))
			buf_fmt(b, "<span class=\"soft\"> &hellip; of %.0f bytes</span>",
			    value_of(e, "bytes"));
		buf_add(b, S("</pre>\n"));
	}
}

static void
put_dropped(struct buf *b, const json_t *dropped)
{
	const json_t *rules = json_object_get(dropped, "rules"), *rule;
	size_t i;

	if (dropped == NULL)
		return;
	buf_add(b, S("<h2>What was dropped, and why</h2>\n<p class=\"soft\">"));
	stats_number(b, json_object_get(dropped, "records"));
	buf_add(b, S(" records, "));
	stats_number(b, json_object_get(dropped, "text_bytes"));
	buf_add(b, S(" bytes of text</p>\n"));
	if (json_array_size(rules) == 0) {
		buf_add(b, S("<p>They do not say why.</p>\n"));
		put_examples(b, json_object_get(dropped, "examples"));
	}
	json_array_foreach(rules, i, rule) {
		buf_add(b, S("<details class=\"card\"><summary>"));
		put_bar(b, text_of(rule, "rule"), json_object_get(rule, "records"),
		    value_of(dropped, "records"), 1);
		buf_add(b, S("</summary>\n"));
		put_examples(b, json_object_get(rule, "examples"));
		buf_add(b, S("</details>\n"));
	}
}

void
stats_html(const json_t *report, struct buf *b)
{
	const json_t *corpora = json_object_get(report, "corpora"), *c;
	size_t i;

	buf_add(b, str_of(head));
	buf_add(b, S("<h1>"));
	for (i = 0; i < json_array_size(corpora); i++) {
		if (i > 0)
			buf_add(b, S(" and "));
		put_escaped(b, text_of(json_array_get(corpora, i), "name"));
	}
	buf_fmt(b, "</h1>\n<p class=\"soft\">What is in %s, by llm-stats %s</p>\n",
	    json_array_size(corpora) > 1 ? "them" : "it", text_of(report, "version"));
	buf_add(b, S("<h2>How much</h2>\n"));
	put_totals(b, corpora);
	put_dropped(b, json_object_get(report, "dropped"));
	put_fields(b, report);
	buf_add(b, S("<h2>Words, languages, where from</h2>\n<div class=\"grid\">\n"));
	put_growth(b, corpora);
	put_leaders(b, corpora, "languages", "Languages");
	put_leaders(b, corpora, "domains", "Domains");
	put_leaders(b, corpora, "sources", "Sources");
	put_leaders(b, corpora, "repeated_lines", "Lines that come again");
	buf_add(b, S("</div>\n<h2>Some of the records</h2>\n"));
	json_array_foreach(corpora, i, c) {
		buf_fmt(b, "<details%s><summary>",
		    i + 1 == json_array_size(corpora) ? " open" : "");
		put_name(b, corpora, i);
		buf_add(b, S("</summary>\n"));
		put_examples(b, json_object_get(c, "examples"));
		buf_add(b, S("</details>\n"));
	}
	buf_add(b, S("</body>\n</html>\n"));
}
