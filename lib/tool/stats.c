#include "tool/stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char	*name;
	double		 q;
} quantiles[] = {
	{ "p1", 0.01 }, { "p5", 0.05 }, { "p25", 0.25 }, { "p50", 0.5 }, { "p75", 0.75 },
	{ "p95", 0.95 }, { "p99", 0.99 },
};
#define QUANTILES (int)(sizeof(quantiles) / sizeof(quantiles[0]))

static json_t *
string_of(const char *s, int n)
{
	return json_stringn(s, (size_t)n);
}

/* A whole number as one. */
static json_t *
number_of(double x)
{
	if (x == floor(x) && fabs(x) < 9e15)
		return json_integer((json_int_t)x);
	return isfinite(x) ? json_real(x) : json_null();
}

static json_t *
leaders_of(const struct leaders *l, int64_t least)
{
	json_t *list = json_array();

	for (int i = 0; i < l->count && i < STATS_TOP; i++) {
		const struct leader *e = &l->leader[i];

		if (e->n - e->error < least)
			continue;
		json_array_append_new(list, json_pack("{s:o,s:I,s:I}", "key",
		    string_of(e->key, e->len), "count", (json_int_t)e->n, "error",
		    (json_int_t)e->error));
	}
	return json_pack("{s:I,s:o}", "total", (json_int_t)l->total, "top", list);
}

static json_t *
tally_of(const struct tally *t)
{
	int64_t repeats, weight;

	tally_repeats(t, &repeats, &weight);
	return json_pack("{s:I,s:I,s:I,s:I,s:b}", "total", (json_int_t)t->total, "distinct",
	    (json_int_t)tally_distinct(t), "repeats", (json_int_t)repeats, "repeated_bytes",
	    (json_int_t)weight, "exact", t->level == 0);
}

static json_t *
vocabulary_of(const struct survey *c)
{
	json_t *v = json_pack("{s:I,s:I,s:b}", "words", (json_int_t)c->words, "distinct",
	    (json_int_t)tally_distinct(&c->all_words), "exact", c->all_words.level == 0);
	json_t *growth = json_array();
	double k, beta;

	for (int i = 0; i < c->ngrowth; i++)
		json_array_append_new(growth, json_pack("[I,I]",
		    (json_int_t)c->growth[i].words, (json_int_t)c->growth[i].distinct));
	json_object_set_new(v, "growth", growth);
	if (survey_heaps(c, &k, &beta)) {
		json_object_set_new(v, "heaps_k", json_real(k));
		json_object_set_new(v, "heaps_beta", json_real(beta));
	}
	return v;
}

static json_t *
examples_of(const struct survey_example *e, int n)
{
	json_t *list = json_array();

	for (int i = 0; i < n && e[i].hash != 0; i++) {
		json_t *o = json_pack("{s:o,s:I}", "text", string_of(e[i].text, e[i].len), "bytes",
		    (json_int_t)e[i].bytes);

		if (e[i].value[0] != '\0')
			json_object_set_new(o, "value", json_string(e[i].value));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
rules_of(const struct survey *c)
{
	json_t *list = json_array();

	for (int i = 0; i < c->nrules; i++)
		json_array_append_new(list, json_pack("{s:s,s:I,s:I,s:o}", "rule", c->rule[i].name,
		    "records", (json_int_t)c->rule[i].records, "text_bytes",
		    (json_int_t)c->rule[i].text, "examples",
		    examples_of(c->rule[i].example, SURVEY_EXAMPLES)));
	return list;
}

static json_t *
corpus_of(const struct survey *c)
{
	json_t *o = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "name", c->name, "records",
	    (json_int_t)c->records, "bytes", (json_int_t)c->bytes, "text_bytes",
	    (json_int_t)c->text, "words", (json_int_t)c->words, "lines", (json_int_t)c->lines);

	if (c->tokens > 0)
		json_object_set_new(o, "tokens", json_integer((json_int_t)c->tokens));
	json_object_set_new(o, "texts", tally_of(&c->texts));
	json_object_set_new(o, "text_lines", tally_of(&c->all_lines));
	json_object_set_new(o, "vocabulary", vocabulary_of(c));
	json_object_set_new(o, "languages", leaders_of(&c->languages, 1));
	json_object_set_new(o, "domains", leaders_of(&c->domains, 1));
	json_object_set_new(o, "sources", leaders_of(&c->sources, 1));
	json_object_set_new(o, "repeated_lines", leaders_of(&c->repeated, 2));
	json_object_set_new(o, "rules", rules_of(c));
	json_object_set_new(o, "examples", examples_of(c->example, 2 * SURVEY_EXAMPLES));
	return o;
}

/* ---- fields ---- */

static const struct spread *
find_field(const struct survey *c, const char *name)
{
	for (int i = 0; i < c->nfields; i++)
		if (strcmp(c->field[i].name, name) == 0)
			return &c->field[i].spread;
	return NULL;
}

/* Where bins begin and end: what nearly all values of all corpora are within. */
static json_t *
edges_of(const struct survey *c, int n, const char *name, bool *log_x, double *edge)
{
	double lo = HUGE_VAL, hi = -HUGE_VAL;
	json_t *list = json_array();

	for (int i = 0; i < n; i++) {
		const struct spread *s = find_field(&c[i], name);

		if (s == NULL)
			continue;
		lo = fmin(lo, spread_quantile(s, 0.002));
		hi = fmax(hi, spread_quantile(s, 0.998));
	}
	*log_x = lo > 0 && hi / lo > 30;
	for (int i = 0; i <= STATS_BINS; i++) {
		double at = (double)i / STATS_BINS;

		edge[i] = *log_x ? lo * pow(hi / lo, at) : lo + (hi - lo) * at;
		json_array_append_new(list, json_real(edge[i]));
	}
	return list;
}

static json_t *
spread_of(const struct spread *s, const double *edge)
{
	json_t *o = json_pack("{s:I,s:o,s:o,s:o}", "count", (json_int_t)s->n, "mean",
	    number_of(s->sum / (double)s->n), "min", number_of(s->min), "max",
	    number_of(s->max));
	json_t *bins = json_array();
	int64_t before = spread_below(s, edge[0], false);

	for (int i = 0; i < QUANTILES; i++)
		json_object_set_new(o, quantiles[i].name,
		    number_of(spread_quantile(s, quantiles[i].q)));
	for (int i = 1; i <= STATS_BINS; i++) {
		int64_t below = spread_below(s, edge[i], i == STATS_BINS);

		json_array_append_new(bins, json_integer((json_int_t)(below - before)));
		before = below;
	}
	json_object_set_new(o, "bins", bins);
	return o;
}

static json_t *
field_of(const struct survey *c, int n, const char *name)
{
	double edge[STATS_BINS + 1];
	bool log_x;
	json_t *edges = edges_of(c, n, name, &log_x, edge), *of = json_array();

	for (int i = 0; i < n; i++) {
		const struct spread *s = find_field(&c[i], name);

		json_array_append_new(of, s == NULL ? json_null() : spread_of(s, edge));
	}
	return json_pack("{s:s,s:b,s:o,s:o}", "name", name, "log", log_x, "edges", edges, "of", of);
}

/* All fields of all corpora, in the order of the first that has them. */
static json_t *
fields_of(const struct survey *c, int n)
{
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		for (int k = 0; k < c[i].nfields; k++) {
			bool first = true;

			for (int j = 0; j < i; j++)
				first &= find_field(&c[j], c[i].field[k].name) == NULL;
			if (first)
				json_array_append_new(list, field_of(c, n, c[i].field[k].name));
		}
	return list;
}

json_t *
stats_report(const struct survey *c, int n, const struct survey *dropped)
{
	json_t *corpora = json_array(), *report;

	for (int i = 0; i < n; i++)
		json_array_append_new(corpora, corpus_of(&c[i]));
	report = json_pack("{s:s,s:s,s:o,s:o}", "tool", "llm-stats", "version", VERSION, "corpora",
	    corpora, "fields", fields_of(c, n));
	if (dropped != NULL)
		json_object_set_new(report, "dropped", corpus_of(dropped));
	return report;
}

/* ---- numbers ---- */

void
stats_number(struct buf *b, const json_t *number)
{
	char digits[32];
	int n;

	if (!json_is_integer(number)) {
		if (json_is_real(number))
			buf_fmt(b, "%.4g", json_real_value(number));
		return;
	}
	n = snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(number));
	for (int i = 0; i < n; i++) {
		buf_byte(b, digits[i]);
		if ((n - i) % 3 == 1 && i + 1 < n && digits[i] != '-')
			buf_byte(b, ' ');
	}
}
