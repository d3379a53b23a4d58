#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "infer/schema_impl.h"
#include "text/unicode.h"

/* ---- where we are ---- */

const struct expr *
schema_fail(struct schema *s, enum err_code code, const char *fmt, ...)
{
	char msg[300];
	va_list ap;
	str path = buf_str(&s->path);

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	/* The end says more than the beginning. */
	if (path.n > 90)
		path = (str){ path.p + path.n - 90, 90 };
	builder_fail(s->b, code, "schema #%.*s: %s", STR_ARG(path), msg);
	return NULL;
}

ptrdiff_t
schema_down(struct schema *s, const char *key, size_t index)
{
	ptrdiff_t mark = s->path.n;

	if (key == NULL)
		buf_fmt(&s->path, "/%zu", index);
	else
		buf_fmt(&s->path, "/%.60s", key);
	return mark;
}

void
schema_up(struct schema *s, ptrdiff_t mark)
{
	s->path.n = mark;
}

json_t *
schema_keep(struct schema *s, json_t *v)
{
	if (v == NULL || json_array_append_new(s->kept, v) < 0)
		builder_fail(s->b, ERR_NOMEM, "out of memory");
	return v;
}

int32_t
schema_count(struct schema *s, json_t *flat, const char *key, int32_t without)
{
	json_t *v = json_object_get(flat, key);
	double x = json_number_value(v);

	if (v == NULL || s->b->failed)
		return without;
	if (!json_is_number(v) || x < 0 || x != floor(x)) {
		schema_fail(s, ERR_FORMAT, "'%s' is no count", key);
		return without;
	}
	if (x > GRAMMAR_REPEAT_MAX) {
		/* A lower bound that cannot be kept is none; an upper one may be lower. */
		if (key[0] == 'm' && key[1] == 'i')
			schema_fail(s, ERR_LIMIT, "'%s' is more than %d", key, GRAMMAR_REPEAT_MAX);
		return GRAMMAR_REPEAT_MAX;
	}
	return (int32_t)x;
}

/* ---- values that are given ---- */

static bool
number_is_instance(json_t *flat, double x)
{
	json_t *v;

	if ((schema_types(flat) & (x == floor(x) ? TYPE_INTEGER : TYPE_NUMBER)) == 0)
		return false;
	if ((v = json_object_get(flat, "minimum")) != NULL && x < json_number_value(v))
		return false;
	if ((v = json_object_get(flat, "maximum")) != NULL && x > json_number_value(v))
		return false;
	if ((v = json_object_get(flat, "exclusiveMinimum")) != NULL && x <= json_number_value(v))
		return false;
	if ((v = json_object_get(flat, "exclusiveMaximum")) != NULL && x >= json_number_value(v))
		return false;
	v = json_object_get(flat, "multipleOf");
	return v == NULL || fmod(x, json_number_value(v)) == 0;
}

static bool
string_is_instance(struct schema *s, json_t *flat, const char *text)
{
	ptrdiff_t n = utf8_count(str_of(text));
	json_t *v;
	size_t i;

	if ((schema_types(flat) & TYPE_STRING) == 0 || n < schema_count(s, flat, "minLength", 0) ||
	    n > schema_count(s, flat, "maxLength", GRAMMAR_REPEAT_MAX))
		return false;
	json_array_foreach(json_object_get(flat, "pattern"), i, v)
		if (!schema_matches(s, json_string_value(v), text))
			return false;
	return true;
}

/* Is a value of enum or const one of the rest of the schema too? */
static bool
is_instance(struct schema *s, json_t *flat, const json_t *v)
{
	bool object = json_is_object(v), array = json_is_array(v);

	if (json_is_number(v))
		return number_is_instance(flat, json_number_value(v));
	if (json_is_string(v) && strlen(json_string_value(v)) != json_string_length(v)) {
		schema_fail(s, ERR_ARG, "a value with a NUL is not supported");
		return false;
	}
	if (json_is_string(v))
		return string_is_instance(s, flat, json_string_value(v));
	if ((object && schema_has(flat, TYPE_OBJECT)) || (array && schema_has(flat, TYPE_ARRAY))) {
		schema_fail(s, ERR_ARG, "an object or array in 'enum' or 'const', and keywords "
		    "beside it, are not supported");
		return false;
	}
	return (schema_types(flat) & (object ? TYPE_OBJECT : array ? TYPE_ARRAY :
	    json_is_null(v) ? TYPE_NULL : TYPE_BOOLEAN)) != 0;
}

/* A value as its text; a number with as few digits as say it. */
static const struct expr *
given(struct schema *s, json_t *v)
{
	size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
	char *text = json_dumps(v, flags | JSON_REAL_PRECISION(15));
	const struct expr *e;
	json_t *again = text == NULL ? NULL : json_loads(text, JSON_DECODE_ANY, NULL);

	if (again == NULL || !json_equal(again, v)) {
		free(text);
		text = json_dumps(v, flags | JSON_REAL_PRECISION(17));
	}
	json_decref(again);
	if (text == NULL) {
		schema_fail(s, ERR_NOMEM, "a value cannot be written");
		return NULL;
	}
	e = expr_text(s->b, text);
	free(text);
	return e;
}

static const struct expr *
enumerated(struct schema *s, json_t *flat, json_t *values)
{
	const struct expr *all = expr_none(s->b);
	json_t *v;
	size_t i;

	json_array_foreach(values, i, v)
		if (is_instance(s, flat, v))
			all = expr_alt(s->b, all, given(s, v));
	return all;
}

/* ---- types ---- */

/* Any JSON value. */
static const struct expr *
any_value(struct schema *s)
{
	static const char *const types[] = {
		"object", "array", "string", "number", "boolean", "null",
	};

	if (s->any < 0) {
		const struct expr *all = expr_none(s->b);

		if ((s->any = builder_rule(s->b, S("any value"), 0)) < 0)
			return NULL;
		for (int i = 0; i < 6; i++) {
			json_t *one = schema_keep(s, json_pack("{s:s}", "type", types[i]));

			all = expr_alt(s->b, all, schema_value(s, one));
		}
		s->b->rule[s->any].body = all;
	}
	return expr_call(s->b, s->any);
}

static const struct expr *
of_type(struct schema *s, json_t *flat, int type)
{
	switch (type) {
	case TYPE_OBJECT:
		return schema_object(s, flat);
	case TYPE_ARRAY:
		return schema_array(s, flat);
	case TYPE_STRING:
		return schema_string(s, flat);
	case TYPE_NUMBER:
	case TYPE_INTEGER:
		return schema_number(s, flat, type == TYPE_INTEGER);
	case TYPE_NULL:
		return expr_text(s->b, "null");
	default:
		return expr_alt(s->b, expr_text(s->b, "true"), expr_text(s->b, "false"));
	}
}

static const struct expr *
typed(struct schema *s, json_t *flat)
{
	const struct expr *all = expr_none(s->b);
	int types = schema_meant(flat);

	if (types == TYPE_ALL && json_object_get(flat, "type") == NULL)
		return any_value(s);
	if ((types & TYPE_NUMBER) != 0)
		types &= ~TYPE_INTEGER;
	for (int bit = 1; bit < TYPE_ALL; bit *= 2)
		if ((types & bit) != 0)
			all = expr_alt(s->b, all, of_type(s, flat, bit));
	return all;
}

/* ---- alternatives ---- */

static const struct expr *value_of_flat(struct schema *s, json_t *flat);

static bool
check_one_of(struct schema *s, json_t *branches)
{
	for (size_t i = 0; i < json_array_size(branches); i++)
		for (size_t k = 0; k < i; k++) {
			if (++s->work > GRAMMAR_RULES_MAX * 4)
				return schema_fail(s, ERR_LIMIT, "too many alternatives"), false;
			if (schema_apart(s, json_array_get(branches, i),
			    json_array_get(branches, k), 0))
				continue;
			if (s->b->failed)
				return false;
			return schema_fail(s, ERR_ARG, "oneOf: a value may be an instance of both "
			    "%zu and %zu, which is none of oneOf; use anyOf", k, i), false;
		}
	return true;
}

/* The first group of anyOf or oneOf, each alternative with all the rest. */
static const struct expr *
alternatives(struct schema *s, json_t *flat, const char *key)
{
	json_t *groups = json_object_get(flat, key), *rest = schema_keep(s, json_copy(flat)), *v;
	json_t *branches = schema_keep(s, json_array());
	json_t *others = schema_keep(s, json_copy(groups));
	const struct expr *all = expr_none(s->b);
	size_t i;

	json_array_remove(others, 0);
	if (json_array_size(others) > 0)
		json_object_set(rest, key, others);
	else
		json_object_del(rest, key);
	json_array_foreach(json_array_get(groups, 0), i, v) {
		ptrdiff_t mark = schema_down(s, key, 0);
		json_t *one;

		schema_down(s, NULL, i);
		one = schema_flat(s, v);
		if (one == NULL || (one = schema_both(s, rest, one)) == NULL)
			return NULL;
		json_array_append(branches, schema_settle(s, one));
		schema_up(s, mark);
	}
	if (strcmp(key, "oneOf") == 0 && !check_one_of(s, branches))
		return NULL;
	json_array_foreach(branches, i, v) {
		ptrdiff_t mark = schema_down(s, key, 0);

		schema_down(s, NULL, i);
		all = expr_alt(s->b, all, value_of_flat(s, v));
		schema_up(s, mark);
	}
	return all;
}

static const struct expr *
body(struct schema *s, json_t *flat)
{
	json_t *values = json_object_get(flat, "enum");

	if (json_object_get(flat, "anyOf") != NULL)
		return alternatives(s, flat, "anyOf");
	if (json_object_get(flat, "oneOf") != NULL)
		return alternatives(s, flat, "oneOf");
	return values != NULL ? enumerated(s, flat, values) : typed(s, flat);
}

/* Is it so small that a rule of its own would cost more? */
static bool
is_scalar(json_t *flat)
{
	if (json_object_get(flat, "anyOf") != NULL || json_object_get(flat, "oneOf") != NULL)
		return false;
	return json_object_get(flat, "enum") != NULL ||
	    (schema_meant(flat) & (TYPE_STRING | TYPE_ARRAY | TYPE_OBJECT)) == 0;
}

/* Equal schemas are one rule, which calls itself when they are recursive. */
static const struct expr *
value_of_flat(struct schema *s, json_t *flat)
{
	const struct expr *e;
	json_t *known;
	char *text;
	int32_t rule;

	if (s->b->failed || flat == NULL)
		return NULL;
	if (s->nest == GRAMMAR_NEST_MAX || ++s->work > GRAMMAR_RULES_MAX * 4)
		return schema_fail(s, ERR_LIMIT, "schemas in schemas without end");
	s->nest++;
	if (is_scalar(flat)) {
		e = body(s, flat);
	} else if ((text = json_dumps(flat, JSON_COMPACT | JSON_ENCODE_ANY)) == NULL) {
		e = schema_fail(s, ERR_NOMEM, "out of memory");
	} else if ((known = json_object_get(s->rules, text)) != NULL) {
		e = expr_call(s->b, (int32_t)json_integer_value(known));
		free(text);
	} else {
		str path = buf_str(&s->path);

		rule = builder_rule(s->b, path.n > 0 ? path : S("/"), 0);
		json_object_set_new(s->rules, text, json_integer(rule));
		free(text);
		if (rule >= 0 && (e = body(s, flat)) != NULL)
			s->b->rule[rule].body = e;
		e = expr_call(s->b, rule);
	}
	s->nest--;
	return e;
}

const struct expr *
schema_value(struct schema *s, json_t *schema)
{
	return value_of_flat(s, schema_flat(s, schema));
}

/* ---- all together ---- */

/* At most a space, or a new line and what indents it. */
static void
white_space(struct schema *s)
{
	struct builder *b = s->b;
	struct chars *indent = chars_new(b);

	s->space = expr_empty(b);
	s->colon = expr_text(b, ":");
	s->comma = expr_text(b, ",");
	if (s->o.compact)
		return;
	chars_add(b, indent, ' ', ' ');
	chars_add(b, indent, '\t', '\t');
	chars_sort(indent);
	s->space = expr_alt(b, expr_repeat(b, expr_text(b, " "), 0, 1), expr_seq(b,
	    expr_text(b, "\n"), expr_repeat(b, expr_chars(b, indent), 0, 40)));
	s->colon = expr_seq(b, s->colon, expr_repeat(b, expr_text(b, " "), 0, 1));
	s->comma = expr_seq(b, s->comma, s->space);
}

const struct expr *
schema_expr(struct builder *b, json_t *root, const struct schema_options *o)
{
	struct schema s = { .b = b, .o = *o, .root = root, .any = -1, .path.limit = 1 << 20 };
	const struct expr *e = NULL;

	s.kept = json_array();
	s.rules = json_object();
	if (s.kept == NULL || s.rules == NULL) {
		builder_fail(b, ERR_NOMEM, "out of memory");
	} else {
		white_space(&s);
		e = schema_value(&s, root);
	}
	json_decref(s.kept);
	json_decref(s.rules);
	buf_free(&s.path);
	return e;
}

struct grammar *
grammar_schema(str source, const struct schema_options *o, struct err *err)
{
	struct grammar *g = NULL;
	struct builder b;
	json_t *root;

	if (source.n > GRAMMAR_TEXT_MAX) {
		err_set(err, ERR_LIMIT, "a schema of more than %td bytes", GRAMMAR_TEXT_MAX);
		return NULL;
	}
	if ((root = json_doc(source, err)) == NULL)
		return NULL;
	if (builder_init(&b, err) == 0) {
		const struct expr *e = builder_rule(&b, S("schema"), 0) == 0 ?
		    schema_expr(&b, root, o) : NULL;

		if (e != NULL) {
			b.rule[0].body = e;
			g = grammar_compile(&b, false, err);
		}
		builder_free(&b);
	}
	json_decref(root);
	return g;
}
