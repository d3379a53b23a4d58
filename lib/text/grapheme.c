#include "text/grapheme.h"

#include <utf8proc.h>

#include "text/unicode.h"

/* Between two characters of ASCII is a border wherever they stand, but in CR LF. */
static bool
plain_border(str text, ptrdiff_t p)
{
	const char *s = text.p + p;

	return (signed char)s[-1] >= 0 && (signed char)s[0] >= 0 &&
	    !(s[-1] == '\r' && s[0] == '\n');
}

void
graphemes_start(struct graphemes *g, str text)
{
	*g = (struct graphemes){ .text = text };
}

/* Move to the next border. */
static void
step(struct graphemes *g)
{
	const char *end = g->text.p + g->text.n, *at = g->text.p + g->at, *next;
	utf8proc_int32_t state = 0;
	int32_t c = utf8_next(&at, end), d;

	g->from = g->at;
	for (; at < end; at = next, c = d) {
		next = at;
		d = utf8_next(&next, end);
		if (utf8proc_grapheme_break_stateful(c, d, &state))
			break;
	}
	g->at = at - g->text.p;
}

void
graphemes_around(struct graphemes *g, ptrdiff_t p, ptrdiff_t *before, ptrdiff_t *behind)
{
	if (p <= 0 || p >= g->text.n || plain_border(g->text, p)) {
		*before = *behind = p;
		return;
	}
	if (p > g->at) {
		ptrdiff_t q = p - 1;

		while (q > g->at && !plain_border(g->text, q))
			q--;
		g->at = g->from = q;
	}
	while (g->at < p)
		step(g);
	*before = g->at == p ? p : g->from;
	*behind = g->at;
}
