#include "text/contam.h"
#include "text/unicode.h"

/* The byte n characters before (n < 0) or behind p, within text. */
static const char *
walk(str text, const char *p, int64_t n)
{
	for (; n < 0 && p > text.p; n++)
		utf8_prev(text.p, &p);
	for (; n > 0 && p < text.p + text.n; n--)
		utf8_next(&p, text.p + text.n);
	return p;
}

static void
add_piece(struct buf *b, const char *from, const char *to, int64_t min_chars)
{
	str piece = uni_trim((str){ from, to > from ? to - from : 0 });

	if (piece.n == 0 || utf8_count(piece) < min_chars)
		return;
	if (b->n > 0)
		buf_add(b, S("\n\n"));
	buf_add(b, piece);
}

int64_t
contam_cut(const struct contam_search *s, str text, const struct contam_cut *how,
    struct buf *out, struct err *err)
{
	const char *done = text.p;	/* what is before is written or cut */
	int64_t cuts = 0;

	buf_reset(out);
	for (ptrdiff_t i = 0; i < s->n; i++) {
		str span = folded_span(text, s->hit[i].from, s->hit[i].to);
		const char *from = walk(text, span.p, -how->margin);

		if (i == 0 || from > done) {
			add_piece(out, done, from, how->min_chars);
			cuts++;
		}
		if (span.p + span.n > done)
			done = walk(text, span.p + span.n, how->margin);
	}
	add_piece(out, done, text.p + text.n, how->min_chars);
	return buf_ok(out, err) < 0 ? -1 : cuts;
}
