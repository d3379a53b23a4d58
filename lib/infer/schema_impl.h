/*
 * schema_impl - a JSON schema on its way to a grammar
 *
 * A schema is first made flat: references and allOf are merged into one object
 * of the keywords that this knows.  In a flat schema enum stands for const too,
 * pattern is an array, and anyOf and oneOf are arrays of what they were, for
 * there may be several.  An equal flat schema is an equal rule, which is how
 * recursion ends.
 */
#ifndef INFER_SCHEMA_IMPL_H
#define INFER_SCHEMA_IMPL_H

#include "base/json.h"
#include "infer/grammar_impl.h"

struct schema {
	struct builder	*b;
	struct schema_options o;
	json_t		*root;
	json_t		*kept;		/* all that was made on the way */
	json_t		*rules;		/* by a flat schema's text */
	struct buf	 path;		/* where in the schema: a JSON pointer */
	int		 nest;
	int64_t		 work;		/* schemas looked at */
	const struct expr *space, *colon, *comma;
	const struct expr *key;		/* any key, when it is there */
	int32_t		 any;		/* the rule of any value, or -1 */
};

/* Types as bits. */
enum {
	TYPE_NULL = 1, TYPE_BOOLEAN = 2, TYPE_INTEGER = 4, TYPE_NUMBER = 8, TYPE_STRING = 16,
	TYPE_ARRAY = 32, TYPE_OBJECT = 64, TYPE_ALL = 127
};

/* An error at the path; NULL. */
const struct expr *schema_fail(struct schema *s, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Go down by a key, or an index when key is NULL; what it returns goes to schema_up(). */
ptrdiff_t schema_down(struct schema *s, const char *key, size_t index);
void schema_up(struct schema *s, ptrdiff_t mark);

/* Keep a new value until the end, and pass it on; NULL is an error. */
json_t *schema_keep(struct schema *s, json_t *v);

/* Texts that are instances of a schema, a rule's when it is more than a scalar. */
const struct expr *schema_value(struct schema *s, json_t *schema);

/* schema_flat.c.  NULL: an error. */
json_t *schema_flat(struct schema *s, json_t *schema);
json_t *schema_both(struct schema *s, json_t *a, json_t *b);	/* two flat ones */
/* What nothing evaluated is what is additional, once no alternatives are left. */
json_t *schema_settle(struct schema *s, json_t *flat);
bool schema_matches(struct schema *s, const char *pattern, const char *text);

/* Types that a flat schema says: all, when it says nothing; an integer is a number. */
int schema_types(const json_t *flat);

/*
 * Types that it means: without any said, those whose keywords it has, for any
 * other type would pass them all, and nobody means that.
 */
int schema_meant(const json_t *flat);

/* Has it keywords of one type, that no other type has? */
bool schema_has(const json_t *flat, int type);

/* May a value be an instance of both, of two flat ones?  Told by what is simple. */
bool schema_apart(struct schema *s, json_t *a, json_t *b, int depth);

/* schema_object.c, schema_string.c, schema_number.c: of a flat schema, one type. */
const struct expr *schema_object(struct schema *s, json_t *flat);
const struct expr *schema_array(struct schema *s, json_t *flat);
const struct expr *schema_string(struct schema *s, json_t *flat);
const struct expr *schema_number(struct schema *s, json_t *flat, bool integer);

/* What has a match of a pattern, as the text inside a JSON string. */
const struct expr *schema_pattern(struct schema *s, const char *pattern);

/* A bound of lengths and counts at a key, or what is there without it. */
int32_t schema_count(struct schema *s, json_t *flat, const char *key, int32_t without);

#endif
