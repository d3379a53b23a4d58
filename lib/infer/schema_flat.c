#include <math.h>
#include <stdlib.h>

#include "infer/matcher.h"
#include "infer/schema_impl.h"
#include "text/unicode.h"

/* ---- keywords ---- */

enum keyword { KEY_UNKNOWN, KEY_KEEP, KEY_SPECIAL, KEY_REFUSED };

static enum keyword
keyword_of(const char *key)
{
	static const char *const keep[] = {
		"type", "enum", "properties", "patternProperties", "additionalProperties",
		"required", "minProperties", "maxProperties", "propertyNames", "items",
		"prefixItems", "minItems", "maxItems", "minLength", "maxLength", "format",
		"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
		"unevaluatedProperties", "unevaluatedItems",
	}, *const special[] = {
		"$ref", "allOf", "anyOf", "oneOf", "const", "pattern", "nullable",
		"additionalItems", "uniqueItems", "not", "$id", "id",
	}, *const refused[] = {
		"if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies",
		"contains", "minContains", "maxContains", "$dynamicRef", "$recursiveRef",
	};

	for (size_t i = 0; i < sizeof(keep) / sizeof(*keep); i++)
		if (strcmp(key, keep[i]) == 0)
			return KEY_KEEP;
	for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++)
		if (strcmp(key, special[i]) == 0)
			return KEY_SPECIAL;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (strcmp(key, refused[i]) == 0)
			return KEY_REFUSED;
	return KEY_UNKNOWN;
}

static json_t *
refuse(struct schema *s, const char *what)
{
	schema_fail(s, ERR_ARG, "'%s' is not supported", what);
	return NULL;
}

/* ---- references ---- */

/* One step of a pointer, its escapes undone; to has room for it. */
static void
unescape_step(str step, char *to)
{
	for (ptrdiff_t i = 0; i < step.n; i++) {
		unsigned hex;
		char digits[3] = { 0 };

		if (step.p[i] == '~' && i + 1 < step.n) {
			*to++ = step.p[++i] == '1' ? '/' : '~';
		} else if (step.p[i] == '%' && i + 2 < step.n) {
			memcpy(digits, step.p + i + 1, 2);
			hex = (unsigned)strtoul(digits, NULL, 16);
			*to++ = (char)hex;
			i += 2;
		} else {
			*to++ = step.p[i];
		}
	}
	*to = '\0';
}

static json_t *
resolve(struct schema *s, const char *ref)
{
	str rest = str_of(ref);
	json_t *at = s->root;
	char step[256];

	if (*ref != '#' || (ref[1] != '/' && ref[1] != '\0')) {
		schema_fail(s, ERR_ARG, "$ref '%.100s' is not a place in the schema (#/...)", ref);
		return NULL;
	}
	str_cut(&rest, '/');
	while (rest.p != NULL && at != NULL) {
		str part = str_cut(&rest, '/');

		if (part.n >= (ptrdiff_t)sizeof(step))
			at = NULL;
		else
			unescape_step(part, step);
		if (json_is_array(at))
			at = json_array_get(at, (size_t)strtoul(step, NULL, 10));
		else
			at = json_object_get(at, step);
	}
	if (at == NULL)
		schema_fail(s, ERR_FORMAT, "$ref '%.100s' is not there", ref);
	return at;
}

/* ---- types ---- */

static const char *const type_names[] = {
	"null", "boolean", "integer", "number", "string", "array", "object",
};

static int
type_bit(const char *name)
{
	for (int i = 0; name != NULL && i < 7; i++)
		if (strcmp(name, type_names[i]) == 0)
			return 1 << i;
	return 0;
}

/* A number may be an integer. */
static int
type_bits(const json_t *type)
{
	int bits = 0;
	size_t i;
	json_t *v;

	if (type == NULL)
		return TYPE_ALL;
	if (json_is_string(type))
		bits = type_bit(json_string_value(type));
	json_array_foreach(type, i, v)
		bits |= type_bit(json_string_value(v));
	return bits & TYPE_NUMBER ? bits | TYPE_INTEGER : bits;
}

static json_t *
type_of_bits(struct schema *s, int bits)
{
	json_t *type = schema_keep(s, json_array());

	if ((bits & TYPE_NUMBER) != 0)
		bits &= ~TYPE_INTEGER;
	for (int i = 0; i < 7; i++)
		if ((bits >> i & 1) != 0)
			json_array_append_new(type, json_string(type_names[i]));
	return type;
}

int
schema_types(const json_t *flat)
{
	return type_bits(json_object_get(flat, "type"));
}

bool
schema_has(const json_t *flat, int type)
{
	static const struct { int type; const char *key[9]; } of[] = {
		{ TYPE_OBJECT, { "properties", "patternProperties", "additionalProperties",
		    "required", "minProperties", "maxProperties", "propertyNames",
		    "unevaluatedProperties" } },
		{ TYPE_ARRAY, { "items", "prefixItems", "minItems", "maxItems",
		    "unevaluatedItems" } },
		{ TYPE_STRING, { "minLength", "maxLength", "pattern", "format" } },
		{ TYPE_NUMBER, { "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
		    "multipleOf" } },
	};

	for (int i = 0; i < 4; i++)
		for (int k = 0; of[i].type == type && of[i].key[k] != NULL; k++)
			if (json_object_get(flat, of[i].key[k]) != NULL)
				return true;
	return false;
}

int
schema_meant(const json_t *flat)
{
	int bits = 0;

	if (json_object_get(flat, "type") != NULL)
		return schema_types(flat);
	for (int bit = TYPE_NUMBER; bit <= TYPE_OBJECT; bit *= 2)
		bits |= schema_has(flat, bit) ? bit : 0;
	return bits == 0 ? TYPE_ALL : (bits & TYPE_NUMBER) != 0 ? bits | TYPE_INTEGER : bits;
}

static int
type_of_value(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return TYPE_OBJECT;
	case JSON_ARRAY:
		return TYPE_ARRAY;
	case JSON_STRING:
		return TYPE_STRING;
	case JSON_INTEGER:
		return TYPE_INTEGER | TYPE_NUMBER;
	case JSON_REAL:
		return json_real_value(v) == floor(json_real_value(v)) ?
		    TYPE_INTEGER | TYPE_NUMBER : TYPE_NUMBER;
	case JSON_TRUE:
	case JSON_FALSE:
		return TYPE_BOOLEAN;
	default:
		return TYPE_NULL;
	}
}

static bool
types_are_known(const json_t *type)
{
	size_t i;
	json_t *v;

	if (json_is_string(type))
		return type_bit(json_string_value(type)) != 0;
	json_array_foreach(type, i, v)
		if (type_bit(json_string_value(v)) == 0)
			return false;
	return json_array_size(type) > 0;
}

/* ---- two schemas at once ---- */

static json_t *
all_of(struct schema *s, json_t *a, json_t *b)
{
	if (a == NULL || b == NULL || json_equal(a, b))
		return a == NULL ? b : a;
	return schema_keep(s, json_pack("{s:[O,O]}", "allOf", a, b));
}

static json_t *
joined(struct schema *s, json_t *a, json_t *b)
{
	json_t *both = schema_keep(s, json_copy(a));

	json_array_extend(both, b);
	return both;
}

bool
schema_matches(struct schema *s, const char *pattern, const char *text)
{
	struct rule rule = { 0 };
	struct builder sub = { .rule = &rule, .n_rules = 1, .err = s->b->err };
	struct constraint *c = NULL;
	struct grammar *g = NULL;
	struct matcher m;
	struct err err;
	bool match = false;

	rule.body = regex_parse(s->b, str_of(pattern), (struct regex_options){ .search = true });
	if (rule.body == NULL)
		return false;
	if ((g = grammar_compile(&sub, true, s->b->err)) == NULL ||
	    (c = constraint_new(g, NULL, s->b->err)) == NULL) {
		s->b->failed = true;
	} else {
		matcher_start(&m, c);
		match = matcher_bytes(&m, str_of(text), &err) == 1 && matcher_done(&m);
		matcher_end(&m);
	}
	constraint_free(c);
	grammar_free(g);
	return match;
}

/* What b says of a property that only a names: nothing when it is one of b's own. */
static json_t *
additional(struct schema *s, json_t *b, const char *name)
{
	json_t *more = json_object_get(b, "additionalProperties"), *v;
	const char *pattern;

	if (more == NULL || json_is_true(more) ||
	    json_object_get(json_object_get(b, "properties"), name) != NULL)
		return NULL;
	json_object_foreach(json_object_get(b, "patternProperties"), pattern, v)
		if (schema_matches(s, pattern, name))
			return NULL;
	return more;
}

/*
 * properties, patternProperties and additionalProperties of both.  A pattern of
 * one is subject to what the other says of additional ones, even where it is
 * not additional there: fewer texts, never more.
 */
static void
merge_object(struct schema *s, json_t *to, json_t *a, json_t *b)
{
	json_t *props = schema_keep(s, json_object()), *patterns = schema_keep(s, json_object());
	json_t *more[2] = { json_object_get(a, "additionalProperties"),
	    json_object_get(b, "additionalProperties") }, *side[2] = { a, b }, *v;
	const char *key;

	for (int i = 0; i < 2; i++) {
		json_object_foreach(json_object_get(side[i], "properties"), key, v) {
			json_t *other = json_object_get(json_object_get(side[1 - i],
			    "properties"), key);

			if (other == NULL)
				other = additional(s, side[1 - i], key);
			if (json_object_get(props, key) == NULL)
				json_object_set(props, key, all_of(s, v, other));
		}
		json_object_foreach(json_object_get(side[i], "patternProperties"), key, v) {
			json_t *other = json_object_get(json_object_get(side[1 - i],
			    "patternProperties"), key);

			if (other == NULL && !json_is_true(more[1 - i]))
				other = more[1 - i];
			if (json_object_get(patterns, key) == NULL)
				json_object_set(patterns, key, all_of(s, v, other));
		}
	}
	if (json_object_size(props) > 0)
		json_object_set(to, "properties", props);
	if (json_object_size(patterns) > 0)
		json_object_set(to, "patternProperties", patterns);
	if (more[0] != NULL || more[1] != NULL)
		json_object_set(to, "additionalProperties", all_of(s, more[0], more[1]));
}

static void
merge_items(struct schema *s, json_t *to, json_t *a, json_t *b)
{
	json_t *x = json_object_get(a, "prefixItems"), *y = json_object_get(b, "prefixItems");
	json_t *rest_x = json_object_get(a, "items"), *rest_y = json_object_get(b, "items");
	size_t n = json_array_size(x) > json_array_size(y) ? json_array_size(x) :
	    json_array_size(y);
	json_t *prefix = schema_keep(s, json_array());

	for (size_t i = 0; i < n; i++) {
		json_t *p = json_array_get(x, i), *q = json_array_get(y, i);

		json_array_append(prefix, all_of(s, p != NULL ? p : rest_x,
		    q != NULL ? q : rest_y));
	}
	if (n > 0)
		json_object_set(to, "prefixItems", prefix);
	if (rest_x != NULL || rest_y != NULL)
		json_object_set(to, "items", all_of(s, rest_x, rest_y));
}

static json_t *
common_values(struct schema *s, json_t *a, json_t *b)
{
	json_t *both = schema_keep(s, json_array()), *v, *w;
	size_t i, k;

	json_array_foreach(a, i, v)
		json_array_foreach(b, k, w)
			if (json_equal(v, w)) {
				json_array_append(both, v);
				break;
			}
	return both;
}

/* Both values of one keyword as one; NULL: an error. */
static json_t *
merge_key(struct schema *s, const char *key, json_t *a, json_t *b)
{
	static const char *const larger[] = { "minimum", "exclusiveMinimum", "minLength",
	    "minItems", "minProperties" };
	static const char *const smaller[] = { "maximum", "exclusiveMaximum", "maxLength",
	    "maxItems", "maxProperties" };

	if (json_equal(a, b))
		return a;
	if (strcmp(key, "type") == 0)
		return type_of_bits(s, type_bits(a) & type_bits(b));
	if (strcmp(key, "enum") == 0)
		return common_values(s, a, b);
	if (strcmp(key, "required") == 0 || strcmp(key, "pattern") == 0 ||
	    strcmp(key, "anyOf") == 0 || strcmp(key, "oneOf") == 0)
		return joined(s, a, b);
	if (strcmp(key, "propertyNames") == 0)
		return all_of(s, a, b);
	for (int i = 0; i < 5; i++) {
		if (strcmp(key, larger[i]) == 0)
			return json_number_value(a) > json_number_value(b) ? a : b;
		if (strcmp(key, smaller[i]) == 0)
			return json_number_value(a) < json_number_value(b) ? a : b;
	}
	schema_fail(s, ERR_ARG, "two different '%s' of one value are not supported", key);
	return NULL;
}

json_t *
schema_both(struct schema *s, json_t *a, json_t *b)
{
	static const char *const together[] = { "properties", "patternProperties",
	    "additionalProperties", "items", "prefixItems" };
	json_t *to = schema_keep(s, json_object()), *side[2] = { a, b }, *v;
	const char *key;

	if (json_object_get(b, "unevaluatedProperties") != NULL ||
	    json_object_get(b, "unevaluatedItems") != NULL)
		return schema_fail(s, ERR_ARG, "what is unevaluated, in a part of a schema that "
		    "has alternatives, is not supported"), NULL;
	if (json_object_size(a) == 0 || json_object_size(b) == 0)
		return json_object_size(a) == 0 ? b : a;
	for (int i = 0; i < 2 && !s->b->failed; i++)
		json_object_foreach(side[i], key, v) {
			json_t *other = json_object_get(side[1 - i], key);
			bool pair = false;

			for (int k = 0; k < 5; k++)
				pair |= strcmp(key, together[k]) == 0;
			if (pair || json_object_get(to, key) != NULL)
				continue;
			json_object_set(to, key, other == NULL ? v : merge_key(s, key, v, other));
		}
	merge_object(s, to, a, b);
	merge_items(s, to, a, b);
	return s->b->failed ? NULL : to;
}

/* ---- flat ---- */

static json_t *
nothing(struct schema *s)
{
	return schema_keep(s, json_pack("{s:[]}", "enum"));
}

/* Drafts 4 and OpenAPI 3.0 have booleans that make the other bound exclusive. */
static void
fix_exclusive(json_t *flat, const char *bound, const char *exclusive)
{
	json_t *v = json_object_get(flat, exclusive), *at = json_object_get(flat, bound);

	if (!json_is_boolean(v))
		return;
	if (json_is_true(v) && at != NULL) {
		json_object_set(flat, exclusive, at);
		json_object_del(flat, bound);
	} else {
		json_object_del(flat, exclusive);
	}
}

/* Keywords that become others; -1: an error. */
static int
special(struct schema *s, json_t *flat, const char *key, json_t *v, bool is_root)
{
	if (strcmp(key, "const") == 0) {
		json_t *one = schema_keep(s, json_pack("[O]", v));
		json_t *had = json_object_get(flat, "enum");

		json_object_set(flat, "enum", had != NULL ? common_values(s, had, one) : one);
	} else if (strcmp(key, "pattern") == 0) {
		if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
			return schema_fail(s, ERR_FORMAT, "'pattern' is no text"), -1;
		json_object_set(flat, key, schema_keep(s, json_pack("[O]", v)));
	} else if (strcmp(key, "anyOf") == 0 || strcmp(key, "oneOf") == 0) {
		if (!json_is_array(v) || json_array_size(v) == 0)
			return schema_fail(s, ERR_FORMAT, "'%s' is no array of schemas", key), -1;
		json_object_set(flat, key, schema_keep(s, json_pack("[O]", v)));
	} else if (strcmp(key, "uniqueItems") == 0 && json_is_true(v)) {
		return refuse(s, "uniqueItems"), -1;
	} else if (strcmp(key, "not") == 0) {
		if (json_is_true(v) || (json_is_object(v) && json_object_size(v) == 0))
			json_object_update(flat, nothing(s));
		else if (!json_is_false(v))
			return refuse(s, "not"), -1;
	} else if ((strcmp(key, "$id") == 0 || strcmp(key, "id") == 0) && !is_root &&
	    json_is_string(v) && *json_string_value(v) != '#') {
		return refuse(s, "a schema with an $id of its own"), -1;
	}
	return 0;
}

static void
check_shapes(struct schema *s, json_t *flat)
{
	static const struct { const char *key; int types; } shape[] = {
		{ "enum", 1 << JSON_ARRAY }, { "properties", 1 << JSON_OBJECT },
		{ "patternProperties", 1 << JSON_OBJECT }, { "required", 1 << JSON_ARRAY },
		{ "prefixItems", 1 << JSON_ARRAY }, { "format", 1 << JSON_STRING },
		{ "minimum", 1 << JSON_INTEGER | 1 << JSON_REAL },
		{ "maximum", 1 << JSON_INTEGER | 1 << JSON_REAL },
		{ "exclusiveMinimum", 1 << JSON_INTEGER | 1 << JSON_REAL },
		{ "exclusiveMaximum", 1 << JSON_INTEGER | 1 << JSON_REAL },
		{ "multipleOf", 1 << JSON_INTEGER | 1 << JSON_REAL },
	};
	json_t *v;
	size_t i;

	for (size_t k = 0; k < sizeof(shape) / sizeof(*shape); k++)
		if ((v = json_object_get(flat, shape[k].key)) != NULL &&
		    (1 << json_typeof(v) & shape[k].types) == 0)
			schema_fail(s, ERR_FORMAT, "'%s' has a wrong type", shape[k].key);
	if ((v = json_object_get(flat, "type")) != NULL && !types_are_known(v))
		schema_fail(s, ERR_FORMAT, "'type' is none that is known");
	json_array_foreach(json_object_get(flat, "required"), i, v)
		if (!json_is_string(v))
			schema_fail(s, ERR_FORMAT, "'required' names what is no string");
}

/* The keywords of one object, before what it refers to. */
static json_t *
own_keys(struct schema *s, json_t *schema)
{
	json_t *flat = schema_keep(s, json_object()), *v, *items;
	const char *key;

	json_object_foreach(schema, key, v)
		if (keyword_of(key) == KEY_KEEP)
			json_object_set(flat, key, v);
	json_object_foreach(schema, key, v) {
		enum keyword k = keyword_of(key);

		if (k == KEY_REFUSED)
			return refuse(s, key);
		if (k == KEY_SPECIAL && special(s, flat, key, v, schema == s->root) < 0)
			return NULL;
	}
	/* Before 2020-12, an array of items is what prefixItems is. */
	items = json_object_get(flat, "items");
	if (json_is_array(items)) {
		json_object_set(flat, "prefixItems", items);
		json_object_del(flat, "items");
		if ((v = json_object_get(schema, "additionalItems")) != NULL)
			json_object_set(flat, "items", v);
	}
	fix_exclusive(flat, "minimum", "exclusiveMinimum");
	fix_exclusive(flat, "maximum", "exclusiveMaximum");
	check_shapes(s, flat);
	if (json_is_true(json_object_get(schema, "nullable")) &&
	    (v = json_object_get(flat, "type")) != NULL)
		json_object_set(flat, "type", type_of_bits(s, type_bits(v) | TYPE_NULL));
	return s->b->failed ? NULL : flat;
}

json_t *
schema_settle(struct schema *s, json_t *flat)
{
	static const char *const pair[2][2] = { { "unevaluatedProperties", "additionalProperties" },
	    { "unevaluatedItems", "items" } };

	if (json_object_get(flat, "anyOf") != NULL || json_object_get(flat, "oneOf") != NULL)
		return flat;
	for (int i = 0; i < 2; i++) {
		json_t *v = json_object_get(flat, pair[i][0]);

		if (v == NULL)
			continue;
		flat = schema_keep(s, json_copy(flat));
		if (json_object_get(flat, pair[i][1]) == NULL)
			json_object_set(flat, pair[i][1], v);
		json_object_del(flat, pair[i][0]);
	}
	return flat;
}

json_t *
schema_flat(struct schema *s, json_t *schema)
{
	json_t *flat, *v, *ref = json_object_get(schema, "$ref");
	size_t i;

	if (s->b->failed)
		return NULL;
	if (json_is_boolean(schema))
		return json_is_true(schema) ? schema_keep(s, json_object()) : nothing(s);
	if (!json_is_object(schema))
		return schema_fail(s, ERR_FORMAT, "a schema is an object or a boolean"), NULL;
	if (s->nest == GRAMMAR_NEST_MAX || ++s->work > GRAMMAR_RULES_MAX)
		return schema_fail(s, ERR_LIMIT, "schemas in schemas without end"), NULL;
	s->nest++;
	flat = own_keys(s, schema);
	if (flat != NULL && json_is_string(ref)) {
		json_t *target = resolve(s, json_string_value(ref));

		target = target == NULL ? NULL : schema_flat(s, target);
		flat = target == NULL ? NULL : schema_both(s, flat, target);
	}
	json_array_foreach(json_object_get(schema, "allOf"), i, v) {
		json_t *part = flat == NULL ? NULL : schema_flat(s, v);

		flat = part == NULL ? NULL : schema_both(s, flat, part);
	}
	s->nest--;
	return flat == NULL ? NULL : schema_settle(s, flat);
}

/* ---- apart ---- */

static double
bound(json_t *flat, const char *key, double without)
{
	json_t *v = json_object_get(flat, key);

	return json_is_number(v) ? json_number_value(v) : without;
}

/* Are all numbers of a above those of b? */
static bool
above(json_t *a, json_t *b)
{
	double least = bound(a, "minimum", -HUGE_VAL), most = bound(b, "maximum", HUGE_VAL);
	double beyond = bound(a, "exclusiveMinimum", -HUGE_VAL);
	double below = bound(b, "exclusiveMaximum", HUGE_VAL);

	if (isinf(fmax(least, beyond)) || isinf(fmin(most, below)))
		return false;
	return least > most || beyond >= most || least >= below || beyond >= below;
}

static bool
is_required(json_t *flat, const char *name)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(flat, "required"), i, v)
		if (strcmp(json_string_value(v), name) == 0)
			return true;
	return false;
}

/* Types that values of an enumeration have. */
static int
types_of_values(const json_t *values)
{
	int bits = values == NULL ? TYPE_ALL : 0;
	json_t *v;
	size_t i;

	json_array_foreach(values, i, v)
		bits |= type_of_value(v);
	return bits;
}

/* A property that both must have and cannot share, or that one must have and the other not. */
static bool
apart_by_property(struct schema *s, json_t *a, json_t *b, int depth)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(a, "required"), i, v) {
		const char *name = json_string_value(v);
		json_t *x = json_object_get(json_object_get(a, "properties"), name);
		json_t *y = json_object_get(json_object_get(b, "properties"), name);

		if (y == NULL && json_is_false(additional(s, b, name)))
			return true;
		if (x == NULL || y == NULL || !is_required(b, name))
			continue;
		x = schema_flat(s, x);
		y = schema_flat(s, y);
		if (x != NULL && y != NULL && schema_apart(s, x, y, depth + 1))
			return true;
	}
	return false;
}

/* A text is of a type that one means, and might be an instance of what the other says. */
bool
schema_apart(struct schema *s, json_t *a, json_t *b, int depth)
{
	json_t *x = json_object_get(a, "enum"), *y = json_object_get(b, "enum");
	int types = (schema_meant(a) & schema_types(b)) | (schema_meant(b) & schema_types(a));

	types &= types_of_values(x) & types_of_values(y);
	if (types == 0)
		return true;
	if (x != NULL && y != NULL && json_array_size(common_values(s, x, y)) == 0)
		return true;
	if ((types & ~(TYPE_NUMBER | TYPE_INTEGER)) == 0 && (above(a, b) || above(b, a)))
		return true;
	if (types == TYPE_OBJECT && depth < 8)
		return apart_by_property(s, a, b, depth) || apart_by_property(s, b, a, depth);
	return false;
}
