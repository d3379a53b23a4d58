#include "text/survey.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "text/unicode.h"

#define DEPTH	4		/* of objects in which numbers are looked for */
#define GROWTH_FIRST	100	/* words before the first point of growth */

const str survey_keys[SURVEY_KEYS] = {
	[SURVEY_LANGUAGE] = { "language", 8 }, [SURVEY_SOURCE] = { "source", 6 },
	[SURVEY_URL] = { "url", 3 }, [SURVEY_LLM] = { "llm", 3 },
};

/* ---- reading ---- */

static bool
is_word(const char **at, const char *end)
{
	int32_t c = utf8_next(at, end);

	return c < 0x80 ? isalnum(c) || c == '_' : uni_is_word(c);
}

/* Hashes of the words; without a place for them, only how many. */
static int64_t
find_words(str text, uint64_t *hash)
{
	const char *p = text.p, *end = p + text.n;
	int64_t n = 0;

	while (p < end) {
		const char *start = p, *last = p;

		while (p < end && is_word(&p, end))
			last = p;
		if (last > start) {
			if (hash != NULL)
				hash[n] = hash64((str){ start, last - start });
			n++;
		}
	}
	return n;
}

static int64_t
find_lines(str text, struct survey_line *line)
{
	int64_t n = 0;

	while (text.p != NULL) {
		str s = uni_trim(str_cut(&text, '\n'));

		if (s.n == 0)
			continue;
		if (line != NULL)
			line[n] = (struct survey_line){ hash64(s), s };
		n++;
	}
	return n;
}

struct survey_record *
survey_read(const struct record *r, struct err *err)
{
	struct survey_record *c = arena_new(r->scratch, struct survey_record, 1, err);

	if (c == NULL)
		return NULL;
	*c = (struct survey_record){ .chars = utf8_count(r->text), .tokens = -1,
		.words = find_words(r->text, NULL), .lines = find_lines(r->text, NULL),
		.hash = hash64(r->text) };
	c->word = arena_new(r->scratch, uint64_t, c->words + 1, err);
	c->line = arena_new(r->scratch, struct survey_line, c->lines + 1, err);
	if (c->word == NULL || c->line == NULL)
		return NULL;
	find_words(r->text, c->word);
	find_lines(r->text, c->line);
	return c;
}

/* ---- counting ---- */

static void
copy_name(char to[SURVEY_NAME], str s)
{
	ptrdiff_t n = s.n < SURVEY_NAME - 1 ? s.n : SURVEY_NAME - 1;

	while (n > 0 && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	memcpy(to, s.p, (size_t)n);
	to[n] = '\0';
}

static int
add_number(struct survey *c, str name, double x, struct err *err)
{
	struct survey_field *f;
	char key[SURVEY_NAME];
	int i = 0;

	if (isnan(x))
		return 0;
	copy_name(key, name);
	while (i < c->nfields && strcmp(c->field[i].name, key) != 0)
		i++;
	if (i == SURVEY_FIELDS) {
		c->more_fields++;
		return 0;
	}
	f = &c->field[i];
	if (i == c->nfields) {
		memcpy(f->name, key, sizeof(key));
		c->nfields++;
	}
	return spread_add(&f->spread, x, err);
}

/* Numbers in an object and in those that it holds, under the path to them. */
static int
add_numbers(struct survey *c, str object, str path, int depth, struct err *err)
{
	struct json_member m;
	ptrdiff_t at = 0;
	char name[SURVEY_NAME];
	double x;
	int more, n;

	while ((more = json_next(object, &at, &m, err)) > 0) {
		str v = m.value;

		n = snprintf(name, sizeof(name), "%.*s.%.*s", STR_ARG(path), STR_ARG(m.key));
		if (n >= (int)sizeof(name))
			continue;
		if (v.p[0] == '{' && depth > 1) {
			if (add_numbers(c, v, (str){ name, n }, depth - 1, err) < 0)
				return -1;
		} else if ((v.p[0] == '-' || (v.p[0] >= '0' && v.p[0] <= '9')) &&
		    !str_eq(m.key, S("id"))) {
			if (json_number(v, &x, err) < 0 ||
			    add_number(c, (str){ name, n }, x, err) < 0)
				return -1;
		}
	}
	return more;
}

static int
add_string(struct leaders *l, str value, struct err *err)
{
	struct buf b = { 0 };
	str s;
	int ret = 0;

	if (value.p != NULL && value.p[0] == '"') {
		ret = json_text(value, &b, &s, err);
		if (ret == 0 && s.n > 0)
			ret = leaders_add(l, s, err);
	}
	buf_free(&b);
	return ret;
}

/* scheme://user@www.host:port/path: the host, in lower case. */
static int
add_domain(struct leaders *l, str value, struct err *err)
{
	char host[LEADERS_KEY];
	int n = 0;
	const char *p, *end;

	if (value.p == NULL || value.p[0] != '"')
		return 0;
	value = (str){ value.p + 1, value.n - 2 };
	p = memmem(value.p, (size_t)value.n, "//", 2);
	if (p == NULL)
		return 0;
	p += 2;
	end = value.p + value.n;
	for (; p < end && strchr("/?#\\", *p) == NULL && n < LEADERS_KEY; p++) {
		if (*p == '@')
			n = 0;
		else
			host[n++] = (char)tolower((unsigned char)*p);
	}
	for (int i = 0; i < n; i++)
		if (host[i] == ':')
			n = i;
	if (n > 4 && memcmp(host, "www.", 4) == 0)
		return leaders_add(l, (str){ host + 4, n - 4 }, err);
	return n > 0 ? leaders_add(l, (str){ host, n }, err) : 0;
}

/* ---- examples ---- */

/* Of all, those with the least hashes. */
static void
add_example(struct survey_example *e, int n, const struct record *r, uint64_t hash,
    const char *value)
{
	ptrdiff_t len = r->text.n < SURVEY_EXCERPT ? r->text.n : SURVEY_EXCERPT;
	int i = n;

	hash += hash == 0;
	for (int k = 0; k < n; k++)
		if (e[k].hash == hash)
			return;
	while (i > 0 && (e[i - 1].hash == 0 || e[i - 1].hash > hash))
		i--;
	if (i == n)
		return;
	memmove(&e[i + 1], &e[i], (size_t)(n - 1 - i) * sizeof(*e));
	while (len > 0 && len < r->text.n && ((unsigned char)r->text.p[len] & 0xc0) == 0x80)
		len--;
	e[i] = (struct survey_example){ .hash = hash, .len = (int)len, .bytes = r->text.n };
	if (len > 0)
		memcpy(e[i].text, r->text.p, (size_t)len);
	copy_name(e[i].value, str_of(value));
}

/*
 * Why a record was dropped: the first member of "llm" that is an object with a
 * "rule"; else the first one's name, and else nothing.
 */
static int
find_rule(str llm, char rule[SURVEY_NAME], char why[SURVEY_NAME], struct err *err)
{
	static const str keys[] = { { "rule", 4 }, { "value", 5 }, { "limit", 5 } };
	struct json_member m, got[3];
	ptrdiff_t at = 0;
	int more;

	rule[0] = why[0] = '\0';
	if (llm.p == NULL || llm.p[0] != '{')
		return 0;
	while ((more = json_next(llm, &at, &m, err)) > 0) {
		if (rule[0] == '\0')
			copy_name(rule, m.key);
		if (m.value.p[0] != '{')
			continue;
		if (json_scan(m.value, keys, 3, got, err) < 0)
			return -1;
		if (got[0].value.p == NULL || got[0].value.n < 3 || got[0].value.p[0] != '"')
			continue;
		copy_name(rule, (str){ got[0].value.p + 1, got[0].value.n - 2 });
		if (got[1].value.p != NULL)
			snprintf(why, SURVEY_NAME, "%.*s%s%.*s", STR_ARG(got[1].value),
			    got[2].value.p != NULL ? ", limit " : "",
			    got[2].value.p != NULL ? (int)got[2].value.n : 0,
			    got[2].value.p != NULL ? got[2].value.p : "");
		return 0;
	}
	return more;
}

static int
add_rule(struct survey *c, const struct record *r, uint64_t hash, struct err *err)
{
	char name[SURVEY_NAME], why[SURVEY_NAME];
	struct survey_rule *rule;
	int i = 0;

	if (find_rule(r->member[SURVEY_LLM].value, name, why, err) < 0)
		return -1;
	if (name[0] == '\0')
		return 0;
	if (c->rule == NULL && (c->rule = calloc(SURVEY_RULES, sizeof(*c->rule))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	while (i < c->nrules && strcmp(c->rule[i].name, name) != 0)
		i++;
	if (i >= SURVEY_RULES - 1) {
		i = SURVEY_RULES - 1;
		copy_name(name, S("(others)"));
	}
	if (i >= c->nrules)
		c->nrules = i + 1;
	rule = &c->rule[i];
	memcpy(rule->name, name, sizeof(name));
	rule->records++;
	rule->text += r->text.n;
	add_example(rule->example, SURVEY_EXAMPLES, r, hash, why);
	return 0;
}

/* ---- all of it ---- */

static int
add_growth(struct survey *c, struct err *err)
{
	if (c->ngrowth == c->growth_cap) {
		int cap = 2 * c->growth_cap + 16;
		struct survey_growth *g = realloc(c->growth, (size_t)cap * sizeof(*g));

		if (g == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		c->growth = g;
		c->growth_cap = cap;
	}
	c->growth[c->ngrowth++] = (struct survey_growth){ c->words,
		tally_distinct(&c->all_words) };
	return 0;
}

/* A point each time that there are a fourth more words. */
static bool
growth_due(const struct survey *c)
{
	return c->ngrowth == 0 ? c->words >= GROWTH_FIRST :
	    c->words - c->growth[c->ngrowth - 1].words >= c->growth[c->ngrowth - 1].words / 4;
}

static int
add_content(struct survey *c, const struct survey_record *read, int64_t text, struct err *err)
{
	for (int64_t i = 0; i < read->words; i++)
		if (tally_add(&c->all_words, read->word[i], 0, err) < 0)
			return -1;
	for (int64_t i = 0; i < read->lines; i++)
		if (tally_add(&c->all_lines, read->line[i].hash, read->line[i].text.n, err) < 0 ||
		    leaders_add(&c->repeated, read->line[i].text, err) < 0)
			return -1;
	return tally_add(&c->texts, read->hash, text, err);
}

int
survey_add(struct survey *c, const struct record *r, const struct survey_record *read,
    struct err *err)
{
	c->records++;
	c->bytes += r->line.n + 1;
	c->text += r->text.n;
	c->lines += read->lines;
	c->words += read->words;
	if (add_number(c, S("characters"), (double)read->chars, err) < 0 ||
	    add_number(c, S("words"), (double)read->words, err) < 0 ||
	    add_number(c, S("lines"), (double)read->lines, err) < 0)
		return -1;
	if (read->tokens >= 0) {
		c->tokens += read->tokens;
		if (add_number(c, S("tokens"), (double)read->tokens, err) < 0)
			return -1;
	}
	if (add_numbers(c, r->line, S(""), DEPTH, err) < 0 ||
	    add_string(&c->languages, r->member[SURVEY_LANGUAGE].value, err) < 0 ||
	    add_string(&c->sources, r->member[SURVEY_SOURCE].value, err) < 0 ||
	    add_domain(&c->domains, r->member[SURVEY_URL].value, err) < 0 ||
	    add_content(c, read, r->text.n, err) < 0 || add_rule(c, r, read->hash, err) < 0)
		return -1;
	add_example(c->example, 2 * SURVEY_EXAMPLES, r, read->hash, "");
	return growth_due(c) ? add_growth(c, err) : 0;
}

static int
by_records(const void *a, const void *b)
{
	const struct survey_rule *x = a, *y = b;

	return x->records != y->records ? (x->records < y->records ? 1 : -1) :
	    strcmp(x->name, y->name);
}

int
survey_end(struct survey *c, struct err *err)
{
	leaders_sort(&c->languages);
	leaders_sort(&c->domains);
	leaders_sort(&c->sources);
	leaders_sort(&c->repeated);
	if (c->nrules > 0)
		qsort(c->rule, (size_t)c->nrules, sizeof(*c->rule), by_records);
	if (c->words > 0 && (c->ngrowth == 0 || c->growth[c->ngrowth - 1].words < c->words))
		return add_growth(c, err);
	return 0;
}

void
survey_free(struct survey *c)
{
	for (int i = 0; i < c->nfields; i++)
		spread_free(&c->field[i].spread);
	leaders_free(&c->languages);
	leaders_free(&c->domains);
	leaders_free(&c->sources);
	leaders_free(&c->repeated);
	tally_free(&c->texts);
	tally_free(&c->all_lines);
	tally_free(&c->all_words);
	free(c->growth);
	free(c->rule);
}

bool
survey_heaps(const struct survey *c, double *k, double *beta)
{
	double n = c->ngrowth, x = 0, y = 0, xx = 0, xy = 0;

	if (c->ngrowth < 3)
		return false;
	for (int i = 0; i < c->ngrowth; i++) {
		double lx = log((double)c->growth[i].words);
		double ly = log((double)c->growth[i].distinct);

		x += lx;
		y += ly;
		xx += lx * lx;
		xy += lx * ly;
	}
	*beta = (n * xy - x * y) / (n * xx - x * x);
	*k = exp((y - *beta * x) / n);
	return true;
}
