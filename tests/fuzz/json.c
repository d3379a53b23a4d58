/*
 * Any bytes through the scanner and jansson.  What the scanner takes, it must
 * copy byte for byte when nothing is set, and its texts survive quoting.
 */
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
check_text(str value, struct buf *b)
{
	struct buf quoted = { 0 }, again = { 0 };
	struct err err;
	str text, same;

	check(json_text(value, b, &text, &err) == 0);
	check(utf8_bad(text) == -1);
	json_quote(&quoted, text);
	check(json_text(buf_str(&quoted), &again, &same, &err) == 0 && str_eq(text, same));
	buf_free(&quoted);
	buf_free(&again);
}

/* All elements, those of arrays in it too. */
static void
check_array(str array, ptrdiff_t *at)
{
	str element;

	for (;;) {
		if (json_enter(array, at)) {
			check_array(array, at);
			json_leave(array, at);
		} else if (!json_element(array, at, &element)) {
			return;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const str object = { (const char *)p, (ptrdiff_t)n }, key[] = { S("text"), S("a") };
	const struct json_set set[] = { { S("a"), S("[1]") }, { S("text"), { NULL, 0 } } };
	struct json_member m, found[2], inner[2];
	struct buf b = { 0 }, out = { 0 };
	struct err err;
	ptrdiff_t at = 0;
	double x;
	int got, in_it;

	while ((got = json_next(object, &at, &m, &err)) > 0) {
		if (m.value.p[0] == '"')
			check_text(m.value, &b);
		else
			json_number(m.value, &x, &err);
		if (m.value.p[0] == '[') {
			ptrdiff_t in = 1;

			check_array(m.value, &in);
			check(in == m.value.n - 1);
		}
	}
	check(json_scan(object, key, 2, found, &err) == got);
	in_it = json_scan_in(object, &(struct json_find){ key, 2, found }, &key[1],
	    &(struct json_find){ key, 2, inner }, &err);
	check(in_it == 0 || got < 0);	/* there is one level more in it */
	if (got == 0) {
		for (at = (const char *)memchr(p, '{', n) + 1 - object.p; json_member(object, &at, &m);)
			;
		check(at == (const char *)memrchr(object.p, '}', n) - object.p);
		check(json_splice(&out, object, NULL, 0, &err) == 0);
		check(str_eq(buf_str(&out), object));
		buf_reset(&out);
		check(json_splice(&out, object, set, 2, &err) == 0);
		check(json_scan(buf_str(&out), key, 2, found, &err) == 0);
		check(found[0].value.p == NULL && str_eq(found[1].value, S("[1]")));
	}
	json_decref(json_doc(object, &err));
	buf_free(&b);
	buf_free(&out);
	return 0;
}
