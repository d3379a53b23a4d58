#include <stdlib.h>

#include "infer/schema_impl.h"

/*
 * What formats are written as here: texts that every reading of the format
 * takes.  Leap days and seconds, for one, are left out.
 */
#define OCTET	"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define H16	"[0-9A-Fa-f]{1,4}"
#define LABEL	"[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,20}){0,2}"
#define HOST	LABEL "(?:\\." LABEL "){0,4}"
#define DATE	"[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|" \
		"(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
#define TIME	"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?" \
		"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define DAYS	"[0-9]{1,3}D"
#define CLOCK	"T(?:[0-9]{1,2}H(?:[0-9]{1,2}M(?:[0-9]{1,2}S)?)?|" \
		"[0-9]{1,2}M(?:[0-9]{1,2}S)?|[0-9]{1,2}S)"
#define POINTER	"(?:/(?:[A-Za-z0-9_.-]|~[01]){0,64}){0,16}"
#define URI	"(?:https?|ftp)://" HOST "(?::[1-9][0-9]{0,3})?(?:/[A-Za-z0-9._~-]{0,64}){0,16}" \
		"(?:\\?[A-Za-z0-9._~=&-]{0,128})?(?:#[A-Za-z0-9._~-]{0,64})?"
#define ATOM	"[A-Za-z0-9_+-]{1,20}"
#define EMAIL	ATOM "(?:\\." ATOM "){0,2}@" LABEL "(?:\\." LABEL "){1,3}"

static const struct { const char *name, *pattern; } formats[] = {
	{ "date", DATE }, { "time", TIME }, { "date-time", DATE "T" TIME },
	{ "duration", "P(?:[0-9]{1,4}W|(?:[0-9]{1,4}Y(?:[0-9]{1,2}M(?:" DAYS ")?)?|"
	    "[0-9]{1,2}M(?:" DAYS ")?|" DAYS ")(?:" CLOCK ")?|" CLOCK ")" },
	{ "email", EMAIL }, { "idn-email", EMAIL }, { "hostname", HOST }, { "idn-hostname", HOST },
	{ "ipv4", "(?:" OCTET "\\.){3}" OCTET },
	{ "ipv6", "(?:" H16 ":){7}" H16 "|::(?:" H16 "(?::" H16 "){0,5})?|"
	    H16 "(?::" H16 "){0,2}::(?:" H16 "(?::" H16 "){0,3})?" },
	{ "uri", URI }, { "uri-reference", URI }, { "iri", URI }, { "iri-reference", URI },
	{ "uuid", "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}" },
	{ "json-pointer", POINTER }, { "relative-json-pointer", "(?:0|[1-9][0-9]{0,2})" POINTER },
	{ "regex", NULL }, { "uri-template", NULL },
};

const struct expr *
schema_pattern(struct schema *s, const char *pattern)
{
	const struct expr *e = regex_parse(s->b, str_of(pattern),
	    (struct regex_options){ .search = true, .json = true });
	char why[300];

	if (e == NULL && s->b->failed && strncmp(s->b->err->msg, "schema", 6) != 0) {
		memcpy(why, s->b->err->msg, sizeof(why) - 1);
		why[sizeof(why) - 1] = '\0';
		s->b->failed = false;
		schema_fail(s, s->b->err->code, "pattern '%.60s': %s", pattern, why);
	}
	return e;
}

/* A pattern of this file, as the whole text; NULL without a failure: none that is known. */
static const struct expr *
format(struct schema *s, const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (strcmp(name, formats[i].name) != 0)
			continue;
		if (formats[i].pattern == NULL)
			return schema_fail(s, ERR_ARG, "format '%s' is not supported", name);
		return regex_parse(s->b, str_of(formats[i].pattern),
		    (struct regex_options){ .json = true });
	}
	return NULL;
}

/* A character in its one spelling: what patterns are made of. */
static const struct expr *
plain_char(struct schema *s)
{
	return json_chars(s->b, chars_not(s->b, chars_new(s->b)));
}

/* Four digits that are a high, low or no surrogate, and not zero. */
static const struct expr *
hex4(struct schema *s, const char *pattern)
{
	return regex_parse(s->b, str_of(pattern), (struct regex_options){ 0 });
}

/* A character however it is spelled. */
static const struct expr *
any_char(struct schema *s)
{
	struct builder *b = s->b;
	struct chars *not = chars_new(b);
	const struct expr *raw, *code, *pair, *letter;

	chars_add(b, not, 0, 0x1f);
	chars_add(b, not, '"', '"');
	chars_add(b, not, '\\', '\\');
	chars_sort(not);
	raw = expr_chars(b, chars_not(b, not));
	letter = hex4(s, "[\"\\\\/bfnrt]");
	code = hex4(s, "u(?:0(?:0(?:0[1-9a-fA-F]|[1-9a-fA-F][0-9a-fA-F])|"
	    "[1-9a-fA-F][0-9a-fA-F]{2})|[1-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2})");
	pair = hex4(s, "u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}");
	return expr_alt(b, raw, expr_seq(b, expr_text(b, "\\"),
	    expr_alt(b, expr_alt(b, letter, code), pair)));
}

static bool
is_one_char(const struct expr *e)
{
	if (e->op == EXPR_ALT)
		return e->a->op == EXPR_CHARS && e->b->op == EXPR_SEQ &&
		    e->b->a->op == EXPR_BYTES && e->b->b->op == EXPR_CHARS &&
		    e->b->a->bytes.n == 1 && e->b->a->bytes.p[0] == '\\';
	return e->op == EXPR_CHARS;
}

/* A body and its length: where one class repeats, its count has both. */
static const struct expr *
with_length(struct schema *s, const struct expr *e, int32_t min, int32_t max)
{
	if (e == NULL || (min == 0 && max == REPEAT_INF))
		return e;
	if (e->op == EXPR_REPEAT && is_one_char(e->a)) {
		if (e->min > min)
			min = e->min;
		if (max == REPEAT_INF || (e->max != REPEAT_INF && e->max < max))
			max = e->max;
		if (max != REPEAT_INF && max < min)
			return expr_none(s->b);
		return expr_repeat(s->b, e->a, min, max);
	}
	return expr_and(s->b, e, expr_repeat(s->b, plain_char(s), min, max));
}

static const struct expr *
quoted(struct schema *s, const struct expr *e)
{
	return expr_seq(s->b, expr_seq(s->b, expr_text(s->b, "\""), e), expr_text(s->b, "\""));
}

const struct expr *
schema_string(struct schema *s, json_t *flat)
{
	json_t *patterns = json_object_get(flat, "pattern"), *v;
	const char *name = json_string_value(json_object_get(flat, "format"));
	int32_t min = schema_count(s, flat, "minLength", 0);
	int32_t max = schema_count(s, flat, "maxLength", REPEAT_INF);
	const struct expr *e = name == NULL ? NULL : format(s, name), *one;
	size_t i;

	json_array_foreach(patterns, i, v) {
		if ((one = schema_pattern(s, json_string_value(v))) == NULL)
			return NULL;
		e = e == NULL ? one : expr_and(s->b, e, one);
	}
	if (s->b->failed)
		return NULL;
	if (max != REPEAT_INF && max < min)
		return expr_none(s->b);
	if (e != NULL)
		return quoted(s, with_length(s, e, min, max));
	return quoted(s, expr_repeat(s->b, any_char(s), min, max));
}
