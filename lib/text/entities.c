/*
 * Entities of HTML in plain text
 *
 * Names are looked up by the parser of HTML, one at a time: few texts have any.
 */
#include <gumbo.h>

#include "base/json.h"
#include "text/normalize.h"

#define NAME_MAX_BYTES 24	/* of what is between & and ; */

/* The characters of a reference ("&name;"), in b; empty when it is none. */
static void
look_up(struct buf *b, str reference)
{
	GumboOutput *out = gumbo_parse_with_options(&kGumboDefaultOptions, reference.p,
	    (size_t)reference.n);
	const GumboNode *node = out->root;
	const GumboVector *in = &node->v.element.children;

	buf_reset(b);
	if (in->length > 0) {
		node = in->data[in->length - 1];	/* the body */
		in = &node->v.element.children;
		if (in->length == 1) {
			node = in->data[0];
			if (node->type == GUMBO_NODE_TEXT || node->type == GUMBO_NODE_WHITESPACE)
				buf_add(b, str_of(node->v.text.text));
		}
	}
	gumbo_destroy_output(&kGumboDefaultOptions, out);
	/* A name that is none is left as it stands, and one without a ; in part. */
	if (b->n > 0 && b->p[b->n - 1] == ';')
		buf_reset(b);
}

/* Bytes of the reference at p, or 0. */
static ptrdiff_t
reference_at(const char *p, const char *end)
{
	const char *q = p + 1;

	if (q < end && *q == '#')
		q++;
	for (; q < end && q - p <= NAME_MAX_BYTES + 1; q++) {
		bool word = (*q >= '0' && *q <= '9') || ((*q | 0x20) >= 'a' && (*q | 0x20) <= 'z');

		if (*q == ';' && q - p > 1)
			return q + 1 - p;
		if (!word)
			return 0;
	}
	return 0;
}

int
entities_decode(struct buf *out, str text, struct err *err)
{
	const char *p = text.p, *end = p + text.n, *done = p;
	struct buf characters = { 0 };
	int ret = 0;

	if (text.n == 0 || memchr(p, '&', (size_t)text.n) == NULL ||
	    memchr(p, '<', (size_t)text.n) != NULL)
		return 0;
	while (p < end && (p = memchr(p, '&', (size_t)(end - p))) != NULL) {
		ptrdiff_t n = reference_at(p, end);

		if (n > 0) {
			look_up(&characters, (str){ p, n });
			if (characters.failed)
				break;
			if (characters.n > 0 && utf8_bad(buf_str(&characters)) < 0) {
				buf_add(out, (str){ done, p - done });
				buf_add(out, buf_str(&characters));
				done = p + n;
				ret = 1;
			}
		}
		p += n > 0 ? n : 1;
	}
	if (ret == 1)
		buf_add(out, (str){ done, end - done });
	if (buf_ok(&characters, err) < 0 || buf_ok(out, err) < 0)
		ret = -1;
	buf_free(&characters);
	return ret;
}
