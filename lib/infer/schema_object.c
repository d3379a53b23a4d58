#include <stdlib.h>

#include "infer/schema_impl.h"

static const struct expr *
seq(struct schema *s, const struct expr *a, const struct expr *b)
{
	return expr_seq(s->b, a, b);
}

static const struct expr *
enclosed(struct schema *s, const char *open, const struct expr *e, const char *end)
{
	const struct expr *inside = seq(s, seq(s, s->space, e), s->space);

	return seq(s, seq(s, expr_text(s->b, open), inside), expr_text(s->b, end));
}

/* e, a comma before each, min to max times. */
static const struct expr *
more(struct schema *s, const struct expr *e, int32_t min, int32_t max)
{
	return expr_repeat(s->b, seq(s, s->comma, e), min, max);
}

/* ---- properties ---- */

struct property {
	const struct expr *member;	/* its key and its value */
	bool		 required;
};

struct object {
	struct property	*property;
	int32_t		 n;
	const struct expr *other;	/* a member that is not named; NULL: none may be there */
	int32_t		 most_others;
	bool		 some;		/* at least one member */
};

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

/* What is said of a property: by its name, by patterns, or of additional ones. */
static json_t *
schema_of(struct schema *s, json_t *flat, const char *name)
{
	json_t *all = schema_keep(s, json_array()), *v;
	json_t *own = json_object_get(json_object_get(flat, "properties"), name);
	json_t *rest = json_object_get(flat, "additionalProperties");
	const char *pattern;

	if (own != NULL)
		json_array_append(all, own);
	json_object_foreach(json_object_get(flat, "patternProperties"), pattern, v)
		if (schema_matches(s, pattern, name))
			json_array_append(all, v);
	if (json_array_size(all) == 0)
		return rest != NULL ? rest : s->o.closed ? schema_keep(s, json_false()) :
		    schema_keep(s, json_true());
	if (json_array_size(all) == 1)
		return json_array_get(all, 0);
	return schema_keep(s, json_pack("{s:O}", "allOf", all));
}

/* May a key be named so at all? */
static bool
name_is_good(struct schema *s, json_t *flat, const char *name)
{
	json_t *names = json_object_get(flat, "propertyNames"), *v;
	size_t i;
	bool good = true;

	if (names == NULL || (names = schema_flat(s, names)) == NULL)
		return true;
	if (json_object_get(names, "enum") != NULL) {
		good = false;
		json_array_foreach(json_object_get(names, "enum"), i, v)
			good |= json_is_string(v) && strcmp(json_string_value(v), name) == 0;
	}
	json_array_foreach(json_object_get(names, "pattern"), i, v)
		good &= schema_matches(s, json_string_value(v), name);
	return good;
}

static const struct expr *
member(struct schema *s, const char *name, json_t *value)
{
	struct buf key = { 0 };
	ptrdiff_t mark = schema_down(s, "properties", 0);
	const struct expr *e;

	schema_down(s, name, 0);
	json_quote(&key, str_of(name));
	e = seq(s, seq(s, expr_bytes(s->b, buf_str(&key)), s->colon), schema_value(s, value));
	buf_free(&key);
	schema_up(s, mark);
	return e;
}

/* Those named, in the schema's order, then those that are required and have no schema. */
static int
read_properties(struct schema *s, json_t *flat, struct object *o)
{
	json_t *names = schema_keep(s, json_object()), *v;
	const char *name;
	size_t i;

	json_object_update(names, json_object_get(flat, "properties"));
	json_array_foreach(json_object_get(flat, "required"), i, v)
		if (json_object_get(names, json_string_value(v)) == NULL)
			json_object_set_new(names, json_string_value(v), json_true());
	o->property = arena_new(&s->b->arena, struct property,
	    (ptrdiff_t)json_object_size(names), s->b->err);
	if (o->property == NULL) {
		s->b->failed = true;
		return -1;
	}
	json_object_foreach(names, name, v) {
		struct property p = { .required = is_required(flat, name) };

		p.member = name_is_good(s, flat, name) ?
		    member(s, name, schema_of(s, flat, name)) : expr_none(s->b);
		if (p.member == NULL)
			return -1;
		/* One that cannot be: it is left out, or there is no object. */
		if (p.member->op != EXPR_NONE || p.required)
			o->property[o->n++] = p;
	}
	return 0;
}

/* ---- members that are not named ---- */

/*
 * Keys without escapes, so that no two spellings are one key, and without what
 * one dialect of patterns takes for a line's end and another does not.
 */
static const struct expr *
key_text(struct schema *s)
{
	struct chars *not = chars_new(s->b);

	chars_add(s->b, not, 0, 0x1f);
	chars_add(s->b, not, '"', '"');
	chars_add(s->b, not, '\\', '\\');
	chars_add(s->b, not, 0x7f, 0x9f);
	chars_add(s->b, not, 0x2028, 0x2029);
	chars_sort(not);
	return expr_repeat(s->b, expr_chars(s->b, chars_not(s->b, not)), 1, REPEAT_INF);
}

/* A key and its closing quote as a rule, which so ends in one place. */
static const struct expr *
key_rule(struct schema *s, const struct expr *e)
{
	int32_t rule = builder_rule(s->b, S("key"), 0);

	if (rule < 0 || e == NULL)
		return NULL;
	s->b->rule[rule].body = seq(s, e, expr_text(s->b, "\""));
	return expr_call(s->b, rule);
}

static const struct expr *
any_key(struct schema *s)
{
	if (s->key == NULL)
		s->key = key_rule(s, key_text(s));
	return s->key;
}

/* All keys that are none of the names, and in and out of patterns, as a rule. */
static const struct expr *
other_key(struct schema *s, json_t *flat, const char *in)
{
	json_t *named = schema_keep(s, json_object()), *v;
	json_t *patterns = json_object_get(flat, "patternProperties");
	json_t *names = json_object_get(flat, "propertyNames");
	const struct expr *e, *not = expr_none(s->b);
	const char *name;
	struct buf key = { 0 };
	size_t i;

	json_object_update(named, json_object_get(flat, "properties"));
	json_array_foreach(json_object_get(flat, "required"), i, v)
		json_object_set_new(named, json_string_value(v), json_true());
	if (json_object_size(named) == 0 && patterns == NULL && names == NULL)
		return any_key(s);
	e = key_text(s);
	json_object_foreach(named, name, v) {
		buf_reset(&key);
		json_quote(&key, str_of(name));
		not = expr_alt(s->b, not, expr_bytes(s->b, (str){ key.p + 1, key.n - 2 }));
	}
	buf_free(&key);
	json_object_foreach(patterns, name, v)
		if (in == NULL || strcmp(name, in) != 0)
			not = expr_alt(s->b, not, schema_pattern(s, name));
	if (in != NULL)
		e = expr_and(s->b, e, schema_pattern(s, in));
	if (names != NULL && (names = schema_flat(s, names)) != NULL) {
		/* The keys as strings, less their quotes: a rule has no place in a product. */
		json_array_foreach(json_object_get(names, "pattern"), i, v)
			e = expr_and(s->b, e, schema_pattern(s, json_string_value(v)));
	}
	if (not == NULL || e == NULL)
		return NULL;
	return key_rule(s, not->op == EXPR_NONE ? e : expr_minus(s->b, e, not));
}

static const struct expr *
other_member(struct schema *s, json_t *flat, const char *in, json_t *value)
{
	const char *keyword = in != NULL ? "patternProperties" : "additionalProperties";
	ptrdiff_t mark = schema_down(s, keyword, 0);
	const struct expr *e;

	if (in != NULL)
		schema_down(s, in, 0);
	e = seq(s, seq(s, expr_text(s->b, "\""), other_key(s, flat, in)), s->colon);
	e = seq(s, e, schema_value(s, value));
	schema_up(s, mark);
	return e;
}

/* Keywords of propertyNames that keys are held to. */
static int
check_names(struct schema *s, json_t *flat)
{
	static const char *const known[] = { "type", "pattern", "enum", "minLength", NULL };
	json_t *names = json_object_get(flat, "propertyNames"), *v;
	const char *key;

	if (names == NULL)
		return 0;
	if ((names = schema_flat(s, names)) == NULL)
		return -1;
	json_object_foreach(names, key, v) {
		bool good = false;

		for (int i = 0; known[i] != NULL; i++)
			good |= strcmp(key, known[i]) == 0;
		if (!good || (strcmp(key, "minLength") == 0 && json_number_value(v) > 1))
			return schema_fail(s, ERR_ARG, "'%s' in propertyNames is not supported",
			    key), -1;
	}
	return 0;
}

static int
read_others(struct schema *s, json_t *flat, struct object *o)
{
	json_t *rest = json_object_get(flat, "additionalProperties"), *v, *names, *values;
	const struct expr *all = expr_none(s->b);
	const char *pattern;
	size_t i;

	if (check_names(s, flat) < 0)
		return -1;
	names = json_object_get(flat, "propertyNames");
	values = names == NULL ? NULL : json_object_get(schema_flat(s, names), "enum");
	/* Keys from a list are as good as named. */
	json_array_foreach(values, i, v) {
		const char *name = json_string_value(v);

		if (name != NULL && !is_required(flat, name) &&
		    json_object_get(json_object_get(flat, "properties"), name) == NULL)
			all = expr_alt(s->b, all, member(s, name, schema_of(s, flat, name)));
	}
	if (values == NULL) {
		json_object_foreach(json_object_get(flat, "patternProperties"), pattern, v)
			if (!json_is_false(v))
				all = expr_alt(s->b, all, other_member(s, flat, pattern, v));
		if (rest == NULL)
			rest = schema_keep(s, s->o.closed ? json_false() : json_true());
		if (!json_is_false(rest))
			all = expr_alt(s->b, all, other_member(s, flat, NULL, rest));
	}
	if (all == NULL)
		return -1;
	o->other = all->op == EXPR_NONE ? NULL : all;
	return 0;
}

/* ---- the object ---- */

static int
read_counts(struct schema *s, json_t *flat, struct object *o)
{
	int32_t min = schema_count(s, flat, "minProperties", 0), required = 0;
	int32_t max = schema_count(s, flat, "maxProperties", REPEAT_INF);

	for (int32_t i = 0; i < o->n; i++)
		required += o->property[i].required;
	o->some = min > 0;
	/* A key may be there twice, and counts once: one is all that is certain. */
	if (min > 1 && min > required)
		return schema_fail(s, ERR_ARG, "'minProperties' above 1 and above the number of "
		    "required ones is not supported"), -1;
	if (max != REPEAT_INF && max < o->n)
		return schema_fail(s, ERR_ARG, "'maxProperties' below the number of properties is "
		    "not supported"), -1;
	o->most_others = max == REPEAT_INF ? max : max - o->n;
	if (o->most_others == 0)
		o->other = NULL;
	return 0;
}

static const struct expr *
as_rule(struct schema *s, const struct expr *e)
{
	int32_t rule = builder_rule(s->b, S("rest of an object"), 0);

	if (rule < 0 || e == NULL)
		return NULL;
	s->b->rule[rule].body = e;
	return expr_call(s->b, rule);
}

/*
 * Members in order, a comma before each but the first.  Which is the first is
 * open as long as none is required; what follows one is a rule then, for each of
 * those before it may come first.
 */
static const struct expr *
members(struct schema *s, const struct object *o)
{
	const struct expr *after = expr_empty(s->b), *first, *others;
	int32_t rules = 0;

	while (rules < o->n && !o->property[rules].required)
		rules++;
	first = o->some ? expr_none(s->b) : expr_empty(s->b);
	if (o->other != NULL) {
		int32_t left = o->most_others == REPEAT_INF ? REPEAT_INF : o->most_others - 1;

		others = seq(s, o->other, more(s, o->other, 0, left));
		first = expr_alt(s->b, others, first);
		after = more(s, o->other, 0, o->most_others);
	}
	if (rules > 0 && o->other != NULL)
		after = as_rule(s, after);
	for (int32_t i = o->n - 1; i >= 0; i--) {
		const struct property *p = &o->property[i];
		const struct expr *here = seq(s, p->member, after);

		first = p->required ? here : expr_alt(s->b, here, first);
		after = seq(s, expr_repeat(s->b, seq(s, s->comma, p->member), p->required, 1),
		    after);
		if (i > 0 && i <= rules)
			after = as_rule(s, after);
	}
	return first;
}

const struct expr *
schema_object(struct schema *s, json_t *flat)
{
	struct object o = { .most_others = REPEAT_INF };

	if (read_properties(s, flat, &o) < 0 || read_others(s, flat, &o) < 0 ||
	    read_counts(s, flat, &o) < 0)
		return NULL;
	return enclosed(s, "{", members(s, &o), "}");
}

/* ---- arrays ---- */

/* Items of a list of schemas, then any number of others. */
static const struct expr *
tuple(struct schema *s, json_t *prefix, const struct expr *rest, int32_t min, int32_t max)
{
	int32_t n = (int32_t)json_array_size(prefix);
	const struct expr *e = expr_empty(s->b);

	if (rest != NULL && rest->op != EXPR_NONE && (max == REPEAT_INF || max > n))
		e = more(s, rest, min > n ? min - n : 0, max == REPEAT_INF ? max : max - n);
	else if (min > n)
		return expr_none(s->b);
	for (int32_t i = n - 1; i >= 0; i--) {
		ptrdiff_t mark = schema_down(s, "prefixItems", 0);
		const struct expr *item;

		schema_down(s, NULL, (size_t)i);
		item = schema_value(s, json_array_get(prefix, (size_t)i));
		schema_up(s, mark);
		if (max != REPEAT_INF && i >= max)
			continue;
		e = seq(s, i > 0 ? seq(s, s->comma, item) : item, e);
		if (i >= min)
			e = expr_repeat(s->b, e, 0, 1);
	}
	return e;
}

const struct expr *
schema_array(struct schema *s, json_t *flat)
{
	json_t *items = json_object_get(flat, "items");
	json_t *prefix = json_object_get(flat, "prefixItems");
	int32_t min = schema_count(s, flat, "minItems", 0);
	int32_t max = schema_count(s, flat, "maxItems", REPEAT_INF);
	const struct expr *e, *item;
	ptrdiff_t mark = schema_down(s, "items", 0);

	if (items == NULL)
		items = schema_keep(s, s->o.closed && prefix != NULL ? json_false() : json_true());
	item = schema_value(s, items);
	schema_up(s, mark);
	if (max != REPEAT_INF && max < min)
		return expr_none(s->b);
	if (json_array_size(prefix) > 0) {
		e = tuple(s, prefix, item, min, max);
	} else if (max == 0 || (item != NULL && item->op == EXPR_NONE)) {
		e = min > 0 ? expr_none(s->b) : expr_empty(s->b);
	} else {
		e = seq(s, item, more(s, item, min > 0 ? min - 1 : 0,
		    max == REPEAT_INF ? max : max - 1));
		e = min == 0 ? expr_repeat(s->b, e, 0, 1) : e;
	}
	return enclosed(s, "[", e, "]");
}
