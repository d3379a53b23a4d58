/*
 * JSON schemas: what their grammars take and refuse, a case a line of a file,
 * among them what people reported of llama.cpp, vLLM, XGrammar and Outlines; and
 * random texts along the masks, which must be instances by a checker that knows
 * nothing of grammars.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "infer/matcher.h"
#include "text/unicode.h"
#include "../lib/follow.h"
#include "../tap.h"

#define CASES "tests/data/schema/cases.jsonl"

/* A line of the file: a schema, and texts that are of its grammar and not; or an error. */
struct schema_case {
	const char	*what, *error;
	json_t		*line, *schema, *yes, *no;
	bool		 closed;
};

static void
die(const char *why)
{
	printf("Bail out! %s\n", why);
	exit(1);
}

static struct schema_case *
read_cases(size_t *n)
{
	struct schema_case *all = NULL;
	FILE *f = fopen(CASES, "r");
	json_t *line;

	if (f == NULL)
		die(CASES);
	for (*n = 0; (line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)) != NULL; ++*n) {
		if ((all = realloc(all, (*n + 1) * sizeof(*all))) == NULL)
			die("out of memory");
		all[*n] = (struct schema_case){
			.line = line, .what = json_string_value(json_object_get(line, "what")),
			.error = json_string_value(json_object_get(line, "error")),
			.schema = json_object_get(line, "schema"), .yes = json_object_get(line, "yes"),
			.no = json_object_get(line, "no"),
			.closed = json_is_true(json_object_get(line, "closed")),
		};
	}
	fclose(f);
	return all;
}

static int
matches(const struct grammar *g, const char *text)
{
	struct err err;
	struct constraint *c = constraint_new(g, NULL, &err);
	struct matcher m;
	int went;

	if (c == NULL)
		return -1;
	matcher_start(&m, c);
	went = matcher_bytes(&m, str_of(text), &err);
	if (went > 0)
		went = matcher_done(&m);
	matcher_end(&m);
	constraint_free(c);
	return went;
}

static struct grammar *
compile(const struct schema_case *t, struct err *err)
{
	char *text = json_dumps(t->schema, JSON_COMPACT | JSON_ENCODE_ANY);
	struct grammar *g;

	if (text == NULL)
		die("out of memory");
	g = grammar_schema(str_of(text), &(struct schema_options){ .closed = t->closed }, err);
	free(text);
	return g;
}

static bool
texts_are(const struct grammar *g, json_t *texts, int want)
{
	bool good = true;
	json_t *v;
	size_t i;

	json_array_foreach(texts, i, v)
		if (matches(g, json_string_value(v)) != want) {
			printf("# %s: %s\n", want ? "does not match" : "matches", json_string_value(v));
			good = false;
		}
	return good;
}

static void
test_case(const struct schema_case *t)
{
	struct err err = { 0 };
	struct grammar *g = compile(t, &err);
	bool good;

	if (t->error != NULL) {
		good = g == NULL && strstr(err.msg, t->error) != NULL;
		if (!good)
			printf("# %s\n", g != NULL ? "taken" : err.msg);
	} else {
		good = g != NULL && texts_are(g, t->yes, 1) && texts_are(g, t->no, 0);
		if (g == NULL)
			printf("# %s\n", err.msg);
	}
	ok(good, t->what);
	grammar_free(g);
}

/* ---- random texts ---- */

static bool valid(json_t *root, json_t *schema, json_t *v);

static bool
is_type(json_t *v, const char *type)
{
	static const char *const names[] = { "object", "array", "string", "integer", "number", "boolean",
	    "boolean", "null" };

	if (strcmp(type, "number") == 0)
		return json_is_number(v);
	if (strcmp(type, "integer") == 0 && json_is_real(v))
		return json_real_value(v) == floor(json_real_value(v));
	return strcmp(type, names[json_typeof(v)]) == 0;
}

static bool
type_is_good(json_t *type, json_t *v, bool nullable)
{
	json_t *t;
	size_t i;
	bool good = type == NULL || (nullable && json_is_null(v));

	if (json_is_string(type))
		good |= is_type(v, json_string_value(type));
	json_array_foreach(type, i, t)
		good |= is_type(v, json_string_value(t));
	return good;
}

static bool
number_is_good(json_t *schema, double x)
{
	json_t *min = json_object_get(schema, "minimum"), *max = json_object_get(schema, "maximum");
	json_t *above = json_object_get(schema, "exclusiveMinimum");
	json_t *below = json_object_get(schema, "exclusiveMaximum"), *of = json_object_get(schema, "multipleOf");

	if (min != NULL && (x < json_number_value(min) || (json_is_true(above) && x == json_number_value(min))))
		return false;
	return (max == NULL || x <= json_number_value(max)) &&
	    (!json_is_number(above) || x > json_number_value(above)) &&
	    (!json_is_number(below) || x < json_number_value(below)) &&
	    (of == NULL || fmod(x, json_number_value(of)) == 0);
}

static bool
count_is_good(json_t *schema, const char *least, const char *most, size_t n)
{
	json_t *min = json_object_get(schema, least), *max = json_object_get(schema, most);

	return (min == NULL || (double)n >= json_number_value(min)) &&
	    (max == NULL || (double)n <= json_number_value(max));
}

static bool
array_is_good(json_t *root, json_t *schema, json_t *v)
{
	json_t *items = json_object_get(schema, "items"), *prefix = json_object_get(schema, "prefixItems"), *x;
	size_t i;

	if (json_is_array(items)) {
		prefix = items;
		items = json_object_get(schema, "additionalItems");
	}
	json_array_foreach(v, i, x) {
		json_t *of = i < json_array_size(prefix) ? json_array_get(prefix, i) : items;

		if (of != NULL && !valid(root, of, x))
			return false;
	}
	return count_is_good(schema, "minItems", "maxItems", json_array_size(v));
}

static bool
object_is_good(json_t *root, json_t *schema, json_t *v)
{
	json_t *props = json_object_get(schema, "properties"), *x;
	json_t *rest = json_object_get(schema, "additionalProperties");
	const char *key;
	size_t i;

	/* What patterns say is for another test, which has regular expressions. */
	if (json_object_get(schema, "patternProperties") != NULL)
		rest = NULL;
	json_object_foreach(v, key, x) {
		json_t *of = json_object_get(props, key) != NULL ? json_object_get(props, key) : rest;

		if (of != NULL && !valid(root, of, x))
			return false;
	}
	json_array_foreach(json_object_get(schema, "required"), i, x)
		if (json_object_get(v, json_string_value(x)) == NULL)
			return false;
	return count_is_good(schema, "minProperties", "maxProperties", json_object_size(v));
}

static int
how_many(json_t *root, json_t *schemas, json_t *v)
{
	json_t *x;
	size_t i;
	int n = 0;

	json_array_foreach(schemas, i, x)
		n += valid(root, x, v);
	return n;
}

static json_t *
refer(json_t *root, const char *ref)
{
	str rest = str_of(ref);
	char step[64];

	for (str_cut(&rest, '/'); rest.p != NULL;) {
		str part = str_cut(&rest, '/');

		snprintf(step, sizeof(step), "%.*s", STR_ARG(part));
		root = json_object_get(root, strcmp(step, "a~1b%20c~0") == 0 ? "a/b c~" : step);
	}
	return root;
}

/* Independent of the library, and slow: an instance, by each keyword on its own. */
static bool
valid(json_t *root, json_t *schema, json_t *v)
{
	json_t *any = json_object_get(schema, "anyOf"), *one = json_object_get(schema, "oneOf");
	json_t *all = json_object_get(schema, "allOf"), *ref = json_object_get(schema, "$ref"), *x;
	json_t *values = json_object_get(schema, "enum"), *only = json_object_get(schema, "const");
	bool good = values == NULL;
	size_t i;

	if (json_is_boolean(schema))
		return json_is_true(schema);
	json_array_foreach(values, i, x)
		good |= json_equal(x, v);
	if (!good || (only != NULL && !json_equal(only, v)) ||
	    !type_is_good(json_object_get(schema, "type"), v, json_is_true(json_object_get(schema, "nullable"))))
		return false;
	if ((any != NULL && how_many(root, any, v) == 0) || (one != NULL && how_many(root, one, v) != 1) ||
	    (all != NULL && how_many(root, all, v) != (int)json_array_size(all)) ||
	    (ref != NULL && !valid(root, refer(root, json_string_value(ref)), v)))
		return false;
	if (json_is_number(v))
		return number_is_good(schema, json_number_value(v));
	if (json_is_string(v))
		return count_is_good(schema, "minLength", "maxLength",
		    (size_t)utf8_count((str){ json_string_value(v), (ptrdiff_t)json_string_length(v) }));
	if (json_is_array(v))
		return array_is_good(root, schema, v);
	return !json_is_object(v) || object_is_good(root, schema, v);
}

/* Texts drawn of one schema that are whole, or -1: one is no instance. */
static int
draw(const struct schema_case *t, uint64_t seed, struct buf *text)
{
	const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
	struct err err;
	struct grammar *g = compile(t, &err);
	int whole = 0, bad = 0;

	for (uint64_t k = 0; k < 30; k++) {
		json_t *v;

		buf_reset(text);
		if (follow(g, seed + k, 300, text) != 1)
			continue;
		whole++;
		v = json_loadb(text->p, (size_t)text->n, flags, NULL);
		if (v == NULL || !valid(t->schema, t->schema, v)) {
			printf("# %s: %.*s\n", t->what, STR_ARG(buf_str(text)));
			bad++;
		}
		json_decref(v);
	}
	grammar_free(g);
	return bad > 0 ? -1 : whole;
}

static void
test_random(const struct schema_case *cases, size_t n)
{
	struct buf text = { 0 };
	int whole = 0, bad = 0, idle = 0;

	for (size_t i = 0; i < n; i++) {
		int got = cases[i].error != NULL ? 1 : draw(&cases[i], i * 100, &text);

		if (got == 0)
			printf("# no text of: %s\n", cases[i].what);
		whole += got;
		bad += got < 0;
		idle += got == 0;
	}
	printf("# %d whole texts\n", whole);
	ok(whole > 1000 && bad == 0, "random texts along the masks are instances");
	ok(idle == 0, "and every schema has some");
	buf_free(&text);
}

int
main(void)
{
	struct err err;
	struct schema_case *cases;
	size_t n;

	cases = read_cases(&n);
	for (size_t i = 0; i < n; i++)
		test_case(&cases[i]);
	ok(n > 100, "all cases were read");
	ok(grammar_schema(S("{\"type\":"), &(struct schema_options){ 0 }, &err) == NULL &&
	    err.code == ERR_FORMAT, "a schema is JSON");
	test_random(cases, n);
	for (size_t i = 0; i < n; i++)
		json_decref(cases[i].line);
	free(cases);
	return tap_done();
}
