#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tool/stats.h"

#define NAME	24	/* columns of a name */
#define COLUMN	16	/* and of a number */

static const char *const totals[][2] = {
	{ "records", "records" }, { "bytes", "bytes" }, { "text_bytes", "bytes of text" },
	{ "words", "words" }, { "lines", "lines" }, { "tokens", "tokens" },
};
#define TOTALS (sizeof(totals) / sizeof(totals[0]))

static const char *const measures[] = { "count", "min", "p5", "p50", "p95", "max", "mean" };
#define MEASURES (sizeof(measures) / sizeof(measures[0]))

/* Right-aligned in a column. */
static void
column(struct buf *b, const char *s, ptrdiff_t n)
{
	buf_fmt(b, "%*s%.*s", (int)(n < COLUMN ? COLUMN - n : 1), "", (int)n, s);
}

static void
number_column(struct buf *b, const json_t *number)
{
	struct buf s = { 0 };

	stats_number(&s, number);
	column(b, s.p, s.n);
	buf_free(&s);
}

static void
share_column(struct buf *b, double part, double whole)
{
	char s[32];

	snprintf(s, sizeof(s), whole > 0 ? "%.2f%%" : "-", 100 * part / whole);
	column(b, s, (ptrdiff_t)strlen(s));
}

static double
value_of(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static void
put_totals(struct buf *b, const json_t *corpora)
{
	const json_t *first = json_array_get(corpora, 0), *second = json_array_get(corpora, 1);
	const json_t *c;
	size_t i;

	buf_fmt(b, "%-*s", NAME, "");
	json_array_foreach(corpora, i, c) {
		const char *name = json_string_value(json_object_get(c, "name"));
		ptrdiff_t n = (ptrdiff_t)strlen(name), skip = n < COLUMN ? 0 : n - COLUMN + 1;

		column(b, name + skip, n - skip);
	}
	if (json_array_size(corpora) == 2)
		column(b, "change", 6);
	buf_byte(b, '\n');
	for (size_t k = 0; k < TOTALS; k++) {
		const char *key = totals[k][0];

		if (json_object_get(first, key) == NULL)
			continue;
		buf_fmt(b, "%-*s", NAME, totals[k][1]);
		json_array_foreach(corpora, i, c)
			number_column(b, json_object_get(c, key));
		if (json_array_size(corpora) == 2)
			share_column(b, value_of(second, key) - value_of(first, key),
			    value_of(first, key));
		buf_byte(b, '\n');
	}
}

/* One row: a share of each corpus that a member of it has. */
static void
put_share(struct buf *b, const json_t *corpora, const char *what, const char *member,
    const char *part, const char *whole)
{
	const json_t *c;
	size_t i;

	buf_fmt(b, "%-*s", NAME, what);
	json_array_foreach(corpora, i, c) {
		const json_t *o = json_object_get(c, member);

		share_column(b, value_of(o, part), whole != NULL ? value_of(o, whole) :
		    value_of(c, "text_bytes"));
	}
	buf_byte(b, '\n');
}

static void
put_vocabulary(struct buf *b, const json_t *corpora)
{
	static const char *const keys[][2] = { { "distinct", "distinct words" },
	    { "heaps_beta", "growth of words, beta" } };
	const json_t *c;
	size_t i;

	for (int k = 0; k < 2; k++) {
		buf_fmt(b, "%-*s", NAME, keys[k][1]);
		json_array_foreach(corpora, i, c)
			number_column(b, json_object_get(json_object_get(c, "vocabulary"),
			    keys[k][0]));
		buf_byte(b, '\n');
	}
}

static void
put_fields(struct buf *b, const json_t *report)
{
	const json_t *corpora = json_object_get(report, "corpora"), *field, *of;
	size_t i, k;

	buf_fmt(b, "\n%-*s", NAME, "of a record");
	for (size_t m = 0; m < MEASURES; m++)
		column(b, measures[m], (ptrdiff_t)strlen(measures[m]));
	buf_byte(b, '\n');
	json_array_foreach(json_object_get(report, "fields"), i, field) {
		json_array_foreach(json_object_get(field, "of"), k, of) {
			const json_t *c = json_array_get(corpora, k);
			bool several = json_array_size(corpora) > 1;

			if (json_is_null(of))
				continue;
			buf_fmt(b, "%-*s", NAME, json_string_value(json_object_get(field, "name")));
			for (size_t m = 0; m < MEASURES; m++)
				number_column(b, json_object_get(of, measures[m]));
			if (several)
				buf_fmt(b, "  %s", json_string_value(json_object_get(c, "name")));
			buf_byte(b, '\n');
		}
	}
}

/* A string without what moves a cursor, in so many columns at most. */
static void
put_plain(struct buf *b, const char *s, int most)
{
	for (; *s != '\0' && most > 0; s++) {
		buf_byte(b, (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s);
		most -= ((unsigned char)s[1] & 0xc0) != 0x80;
	}
}

static void
put_leaders(struct buf *b, const json_t *corpora, const char *key, const char *title)
{
	const json_t *c, *e;
	size_t i, k;

	json_array_foreach(corpora, i, c) {
		const json_t *l = json_object_get(c, key), *top = json_object_get(l, "top");

		if (json_array_size(top) == 0)
			continue;
		buf_fmt(b, "\n%s", title);
		if (json_array_size(corpora) > 1)
			buf_fmt(b, " of %s", json_string_value(json_object_get(c, "name")));
		buf_byte(b, '\n');
		json_array_foreach(top, k, e) {
			if (k == 10)
				break;
			number_column(b, json_object_get(e, "count"));
			share_column(b, value_of(e, "count"), value_of(l, "total"));
			buf_add(b, S("  "));
			put_plain(b, json_string_value(json_object_get(e, "key")), 100);
			buf_byte(b, '\n');
		}
	}
}

static void
put_rules(struct buf *b, const json_t *dropped)
{
	const json_t *rule;
	size_t i;

	if (dropped == NULL)
		return;
	buf_fmt(b, "\ndropped, by rule, of ");
	stats_number(b, json_object_get(dropped, "records"));
	buf_byte(b, '\n');
	json_array_foreach(json_object_get(dropped, "rules"), i, rule) {
		number_column(b, json_object_get(rule, "records"));
		share_column(b, value_of(rule, "records"), value_of(dropped, "records"));
		buf_fmt(b, "  %s\n", json_string_value(json_object_get(rule, "rule")));
	}
}

void
stats_text(const json_t *report, struct buf *b)
{
	const json_t *corpora = json_object_get(report, "corpora");

	put_totals(b, corpora);
	put_share(b, corpora, "texts seen before", "texts", "repeats", "total");
	put_share(b, corpora, "lines seen before", "text_lines", "repeats", "total");
	put_share(b, corpora, "  bytes of those", "text_lines", "repeated_bytes", NULL);
	put_vocabulary(b, corpora);
	put_fields(b, report);
	put_leaders(b, corpora, "languages", "languages");
	put_leaders(b, corpora, "domains", "domains");
	put_leaders(b, corpora, "sources", "sources");
	put_leaders(b, corpora, "repeated_lines", "lines that come again");
	put_rules(b, json_object_get(report, "dropped"));
}

/* ---- TSV ---- */

static void
put_cell(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++)
		buf_byte(b, (unsigned char)*s < 0x20 ? ' ' : *s);
}

/* Every number below an object as a row: corpus, what, key, measure, value. */
static void
put_row(struct buf *b, const char *corpus, const char *what, const char *key,
    const char *measure, const json_t *value)
{
	if (!json_is_number(value))
		return;
	put_cell(b, corpus);
	buf_byte(b, '\t');
	put_cell(b, what);
	buf_byte(b, '\t');
	put_cell(b, key);
	buf_fmt(b, "\t%s\t%.12g\n", measure, json_number_value(value));
}

static void
put_corpus(struct buf *b, const char *name, const json_t *c)
{
	const char *key, *inner;
	json_t *value, *v, *e;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)c, key, value) {
		put_row(b, name, key, "", "total", value);
		json_object_foreach(value, inner, v)
			put_row(b, name, key, "", inner, v);
		json_array_foreach(json_object_get(value, "top"), i, e) {
			const char *what = json_string_value(json_object_get(e, "key"));

			put_row(b, name, key, what, "count", json_object_get(e, "count"));
			put_row(b, name, key, what, "error", json_object_get(e, "error"));
		}
	}
	json_array_foreach(json_object_get(c, "rules"), i, e) {
		const char *what = json_string_value(json_object_get(e, "rule"));

		put_row(b, name, "rules", what, "records", json_object_get(e, "records"));
		put_row(b, name, "rules", what, "text_bytes", json_object_get(e, "text_bytes"));
	}
}

void
stats_tsv(const json_t *report, struct buf *b)
{
	const json_t *corpora = json_object_get(report, "corpora"), *c, *field, *of;
	const char *key;
	json_t *value;
	size_t i, k;

	buf_add(b, S("corpus\twhat\tkey\tmeasure\tvalue\n"));
	json_array_foreach(corpora, i, c)
		put_corpus(b, json_string_value(json_object_get(c, "name")), c);
	json_array_foreach(json_object_get(report, "fields"), i, field)
		json_array_foreach(json_object_get(field, "of"), k, of)
			json_object_foreach((json_t *)(uintptr_t)of, key, value)
				put_row(b, json_string_value(json_object_get(json_array_get(corpora,
				    k), "name")), "field",
				    json_string_value(json_object_get(field, "name")), key, value);
	if ((c = json_object_get(report, "dropped")) != NULL)
		put_corpus(b, json_string_value(json_object_get(c, "name")), c);
}
