#include "token/charsmap.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/base64.h"
#include "base/json.h"
#include "text/unicode.h"

#define SHORT	6		/* bytes of a grapheme that is no longer looked up whole */

static uint32_t
load32(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Each value has to be the place of a whole character. */
static int
check(const struct charsmap *c, struct err *err)
{
	ptrdiff_t bad = utf8_bad((str){ c->text, c->n });

	if (bad >= 0)
		return err_set(err, ERR_FORMAT, "charsmap: byte %td of its text is not UTF-8", bad);
	for (uint32_t i = 0; i < c->trie.n; i++) {
		uint32_t unit = c->trie.unit[i], to = i ^ darts_way(unit), value;

		if ((unit & DARTS_VALUE) != 0 || (unit & DARTS_LEAF) == 0)
			continue;
		value = to < c->trie.n ? c->trie.unit[to] & ~DARTS_VALUE : UINT32_MAX;
		if (value >= c->n || ((uint8_t)c->text[value] & 0xc0) == 0x80)
			return err_set(err, ERR_FORMAT, "charsmap: unit %u leads to no text",
			    (unsigned)i);
	}
	return 0;
}

static void
note_ascii(struct charsmap *c)
{
	for (int a = 0; a < 128; a++) {
		uint32_t at = darts_root(&c->trie);
		int32_t value = -1;

		darts_step(&c->trie, &at, (uint8_t)a, &value);
		/* CR is the one that makes a grapheme with another. */
		c->same[a] = value < 0 && a != '\r';
	}
}

int
charsmap_load(struct charsmap *c, str bytes, struct err *err)
{
	uint32_t size = bytes.n >= 4 ? load32(bytes.p) : 0;

	*c = (struct charsmap){ .on = true };
	if (bytes.n < 4 || size % 4 != 0 || size >= bytes.n - 4 || size / 4 > DARTS_MAX)
		return err_set(err, ERR_FORMAT, "charsmap of %td bytes that says its table has "
		    "%u", bytes.n, (unsigned)size);
	c->trie.n = size / 4;
	c->n = bytes.n - 4 - size;
	c->trie.unit = malloc((size_t)size + 1);
	/* A NUL ends the last in any case. */
	c->text = calloc((size_t)c->n + 1, 1);
	if (c->trie.unit == NULL || c->text == NULL) {
		charsmap_free(c);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	for (uint32_t i = 0; i < c->trie.n; i++)
		c->trie.unit[i] = load32(bytes.p + 4 + 4 * (ptrdiff_t)i);
	memcpy(c->text, bytes.p + 4 + size, (size_t)c->n);
	if (check(c, err) < 0) {
		charsmap_free(c);
		return -1;
	}
	note_ascii(c);
	return 0;
}

int
charsmap_load64(struct charsmap *c, str text, struct err *err)
{
	struct buf bytes = { 0 };
	int ret = base64_decode(&bytes, text, err);

	if (ret < 0)
		err_wrap(err, "charsmap");
	else
		ret = charsmap_load(c, buf_str(&bytes), err);
	buf_free(&bytes);
	return ret;
}

void
charsmap_free(struct charsmap *c)
{
	darts_free(&c->trie);
	free(c->text);
	*c = (struct charsmap){ 0 };
}

static void
put32(struct buf *out, uint32_t x)
{
	for (int i = 0; i < 4; i++)
		buf_byte(out, (char)(x >> 8 * i));
}

void
charsmap_bytes(const struct charsmap *c, struct buf *out)
{
	put32(out, c->trie.n * 4);
	for (uint32_t i = 0; i < c->trie.n; i++)
		put32(out, c->trie.unit[i]);
	buf_add(out, (str){ c->text, c->n });
}

/* Put what stands for the shortest entry that s begins with; false when there is none. */
static bool
put_shortest(const struct charsmap *c, str s, struct buf *out)
{
	uint32_t at = darts_root(&c->trie);
	int32_t value = -1;

	for (ptrdiff_t i = 0; i < s.n && value < 0; i++)
		if (s.p[i] == '\0' || !darts_step(&c->trie, &at, (uint8_t)s.p[i], &value))
			return false;
	if (value >= 0)
		buf_add(out, str_of(c->text + value));
	return value >= 0;
}

/* The grapheme at p ends where? */
static const char *
grapheme(const char *p, const char *end, bool *one)
{
	int32_t c = utf8_next(&p, end);
	utf8proc_int32_t state = 0;

	*one = true;
	while (p < end) {
		const char *q = p;
		int32_t next = utf8_next(&q, end);

		if (utf8proc_grapheme_break_stateful(c, next, &state))
			break;
		*one = false;
		c = next;
		p = q;
	}
	return p;
}

int
charsmap_graphemes(const struct charsmap *c, str text, struct buf *out, struct err *err)
{
	const char *p = text.p, *end = text.p + text.n;

	while (p < end) {
		const char *from = p, *q;
		bool one;

		while (p + 1 < end && (uint8_t)p[0] < 128 && (uint8_t)p[1] < 128 &&
		    c->same[(uint8_t)p[0]])
			p++;
		if (p > from)
			buf_add(out, (str){ from, p - from });
		q = grapheme(p, end, &one);
		if (!one && q - p < SHORT && put_shortest(c, (str){ p, q - p }, out))
			p = q;
		while (p < q) {
			from = p;
			utf8_next(&p, q);
			if (!put_shortest(c, (str){ from, p - from }, out))
				buf_add(out, (str){ from, p - from });
		}
	}
	return buf_ok(out, err);
}

ptrdiff_t
charsmap_longest(const struct charsmap *c, str s, str *to)
{
	uint32_t at = darts_root(&c->trie);
	int32_t value = -1, best = -1;
	ptrdiff_t n = 0;

	for (ptrdiff_t i = 0; i < s.n && darts_step(&c->trie, &at, (uint8_t)s.p[i], &value); i++)
		if (value >= 0) {
			best = value;
			n = i + 1;
		}
	if (best >= 0)
		*to = str_of(c->text + best);
	return n;
}
