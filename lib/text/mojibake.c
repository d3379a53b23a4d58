/*
 * UTF-8 read as CP1252 or Latin-1 and encoded again
 *
 * Two readings compete for a run such as "Ã©": the characters as they are,
 * and the UTF-8 that their bytes spell.  The second is taken only where the
 * first is not something that people write; see certain().
 */
#include <stdbool.h>

#include "base/json.h"
#include "text/normalize.h"

/* Where CP1252 differs from Latin-1; 0 is not defined there. */
static const uint16_t cp1252[32] = {
	0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
	0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0,
	0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
	0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
};

/* The byte above ASCII that c was read from, or -1. */
static int
byte_of(int32_t c)
{
	if (c >= 0x80 && c <= 0xff)
		return c;
	if (c < 0x152 || c > 0x2122)
		return -1;
	for (int i = 0; i < 32; i++)
		if (cp1252[i] == c)
			return 0x80 + i;
	return -1;
}

struct run {
	bool	c1;		/* has U+0080..U+009F, which nobody types */
	int	n;		/* sequences in its bytes */
	int	lead;		/* first byte of the first */
	bool	sure;		/* one of them settles it by itself */
};

static int
sequence_length(unsigned char lead)
{
	return lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

static void
study(struct run *r, str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.p;

	r->n = 0;
	r->lead = p[0];
	for (ptrdiff_t i = 0; i < bytes.n; i += sequence_length(p[i])) {
		r->n++;
		/* General punctuation (â€™), currency (â‚¬), letter-like (â„¢). */
		if (p[i] == 0xe2 && (p[i + 1] == 0x80 || p[i + 1] == 0x82 || p[i + 1] == 0x84))
			r->sure = true;
		/* Emoji, the byte order mark, the replacement character. */
		if (p[i] == 0xf0 && p[i + 1] == 0x9f)
			r->sure = true;
		if (p[i] == 0xef && (p[i + 1] == 0xbb || p[i + 1] == 0xbf))
			r->sure = true;
	}
}

/*
 * before and after are the characters beside the run, 0 at the text's ends.
 * A capital at the end of a word and a sign after it can be meant ("CAFÉ’S"),
 * and so can a small letter, an ellipsis and a quote ("entité…”"): one such
 * sequence alone proves nothing.
 */
static bool
certain(const struct run *r, str bytes, int32_t before, int32_t after)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	bool inside = (uni_class(before) & UNI_LOWER) != 0 && (uni_class(after) & UNI_LOWER) != 0;

	if (r->c1 || r->sure || r->n >= 2)
		return true;
	if (r->lead == 0xc2)
		return p[1] >= 0xa0 && (uni_class(before) & UNI_UPPER) == 0;
	if (r->lead == 0xc3)
		return (uni_class(before) & UNI_UPPER) == 0;
	return r->lead < 0xe0 && inside;
}

/*
 * Find the next run that may be mojibake: its first character is the lead of
 * a sequence and its second no ASCII.  Without one *run is not set.
 */
static bool
next_suspect(const char **at, const char *end)
{
	const char *p = *at;

	while ((p = memchr(p, 0xc3, (size_t)(end - p))) != NULL) {
		if (end - p >= 4 && (unsigned char)p[1] >= 0x82 && (unsigned char)p[1] <= 0xb4 &&
		    (signed char)p[2] < 0) {
			*at = p;
			return true;
		}
		p++;
	}
	return false;
}

/* The whole run around *at: bytes that it was read from into b. */
static int
read_run(struct buf *b, const char *start, const char *end, const char *at, str *span,
    struct run *r)
{
	const char *p = at, *q;

	while (p > start) {
		q = p;
		if (byte_of(utf8_prev(start, &q)) < 0)
			break;
		p = q;
	}
	span->p = p;
	buf_reset(b);
	while (p < end) {
		int32_t c;
		int byte;

		q = p;
		c = utf8_next(&q, end);
		byte = byte_of(c);
		if (byte < 0)
			break;
		r->c1 |= c < 0xa0;
		buf_byte(b, (char)byte);
		p = q;
	}
	span->n = p - span->p;
	return b->failed ? -1 : 0;
}

int
mojibake_repair(struct buf *out, str text, struct err *err)
{
	const char *at = text.p, *done = text.p, *end = text.p + text.n;
	struct buf bytes = { 0 };
	int ret = 0;

	if (text.n == 0)
		return 0;
	while (next_suspect(&at, end)) {
		struct run r = { 0 };
		str span;
		int32_t before = 0, after = 0;
		const char *p;

		if (read_run(&bytes, done, end, at, &span, &r) < 0)
			break;
		at = p = span.p + span.n;
		if (utf8_bad(buf_str(&bytes)) >= 0)
			continue;
		if (p < end)
			after = utf8_next(&p, end);
		p = span.p;
		if (p > text.p)
			before = utf8_prev(text.p, &p);
		study(&r, buf_str(&bytes));
		if (!certain(&r, buf_str(&bytes), before, after))
			continue;
		buf_add(out, (str){ done, span.p - done });
		buf_add(out, buf_str(&bytes));
		done = at;
		ret = 1;
	}
	if (ret == 1)
		buf_add(out, (str){ done, end - done });
	if (buf_ok(&bytes, err) < 0 || buf_ok(out, err) < 0)
		ret = -1;
	buf_free(&bytes);
	return ret;
}
