/*
 * json - records at memory speed, documents by jansson
 *
 * The scanner works on one JSON object without building a tree.  It checks
 * all of the syntax (RFC 8259) and the UTF-8, and finds top-level keys.  What
 * is not changed keeps its bytes.  Nesting is limited to JSON_DEPTH.
 *
 * Whole documents (config.json and the like) are read by json_doc_load() and are
 * jansson's json_t, which the caller decrefs.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define JSON_DEPTH 512

/* A top-level member of a scanned object. */
struct json_member {
	str	key;		/* between its quotes, as written */
	str	value;		/* as written, no space around */
};

/*
 * Check the object and find n keys: member[i].value has p == NULL when key[i]
 * is not there; a key that is there twice gives the last one, as most readers
 * do.  Return 0, or -1 with the byte offset in the message.
 */
int json_scan(str object, const str *key, int n, struct json_member *member, struct err *err);

/*
 * The same, and those of the object that the value of key in is, if it is one.
 * Large members of members are checked once so.
 */
struct json_find {
	const str *key;
	int	n;
	struct json_member *member;
};
int json_scan_in(str object, const struct json_find *find, const str *in,
    const struct json_find *in_it, struct err *err);

/* Is a raw value there, and not null? */
static inline bool
json_given(str value)
{
	return value.p != NULL && !str_eq(value, S("null"));
}

/* Walk all members: *at starts at 0.  Return 1, 0 at the end, -1. */
int json_next(str object, ptrdiff_t *at, struct json_member *m, struct err *err);

/*
 * Walk the elements of an array, or the members of an object, that was checked,
 * each as written: *at starts at 1.  False at the end.
 */
bool json_element(str array, ptrdiff_t *at, str *element);
bool json_member(str object, ptrdiff_t *at, struct json_member *m);

/* Walk those of the next element instead, if it is an array; and go on behind it. */
bool json_enter(str array, ptrdiff_t *at);
void json_leave(str array, ptrdiff_t *at);

/*
 * The text of a string value (quotes included).  Without escapes it is the
 * slice itself, else it is written to b, which is emptied first.  A lone
 * surrogate becomes U+FFFD.  Return 0, or -1 when value is no string.
 */
int json_text(str value, struct buf *b, str *text, struct err *err);

/*
 * Write the text of a checked string, without its quotes, to a place of s.n
 * bytes; return its length, which is at most s.n.
 */
ptrdiff_t json_unescape(char *to, str s);

/* Append text as a JSON string with quotes; broken UTF-8 becomes U+FFFD. */
void json_quote(struct buf *b, str text);

/* A number value.  Return 0 or -1. */
int json_number(str value, double *x, struct err *err);

/*
 * Append object to b with n members set to new raw values: those there are
 * replaced in place, others are added at the end, and all other bytes stay.
 * A set with value.p == NULL removes the key.
 */
struct json_set {
	str	key;		/* plain text, without escapes */
	str	value;		/* raw JSON */
};
int json_splice(struct buf *b, str object, const struct json_set *set, int n, struct err *err);

/* Newlines in s. */
int64_t json_lines(str s);

/* Offset of the first byte that is not UTF-8, or -1 when all is well. */
ptrdiff_t utf8_bad(str s);

/* A document from bytes or a file (plain, gzip, zstd); errors give line and column. */
json_t *json_doc(str bytes, struct err *err);
json_t *json_doc_load(const char *path, struct err *err);

/* Write it atomically, indented by two, keys in insertion order. */
int json_doc_save(const char *path, const json_t *doc, struct err *err);

#endif
