#include "base/json.h"
#include "token/tokenizer_impl.h"

/* Length of a character by its first byte, 0 for none. */
static int
lead(uint8_t c)
{
	return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

/* May b follow first as the second byte? */
static bool
second(uint8_t first, uint8_t b)
{
	if (first == 0xe0)
		return b >= 0xa0 && b <= 0xbf;
	if (first == 0xed)
		return b >= 0x80 && b <= 0x9f;
	if (first == 0xf0)
		return b >= 0x90 && b <= 0xbf;
	if (first == 0xf4)
		return b >= 0x80 && b <= 0x8f;
	return (b & 0xc0) == 0x80;
}

/*
 * The bytes of s that begin a character, at least 1; *whole tells whether it
 * is complete, *more whether it could be if bytes followed.
 */
static int
piece(str s, bool *whole, bool *more)
{
	const uint8_t *b = (const uint8_t *)s.p;
	int n = lead(b[0]), i = 1;

	while (i < n && i < s.n && (i == 1 ? second(b[0], b[1]) : (b[i] & 0xc0) == 0x80))
		i++;
	*whole = n > 0 && i == n;
	*more = n > 0 && i < n && i == s.n;
	return i;
}

/* Append what is complete of s; each broken part is one U+FFFD.  Keep the rest in d. */
static void
put_text(struct decoder *d, str s, struct buf *text)
{
	ptrdiff_t bad;

	while (s.n > 0) {
		bool whole, more;
		int n;

		bad = utf8_bad(s);
		if (bad < 0)
			bad = s.n;
		buf_add(text, (str){ s.p, bad });
		s = (str){ s.p + bad, s.n - bad };
		if (s.n == 0)
			break;
		n = piece(s, &whole, &more);
		if (more) {
			memcpy(d->wait, s.p, (size_t)s.n);
			d->n = (int)s.n;
			break;
		}
		buf_add(text, whole ? (str){ s.p, n } : S("\xef\xbf\xbd"));
		s = (str){ s.p + n, s.n - n };
	}
}

/* Bytes of one token.  Those that wait for more come first. */
static void
put_bytes(struct decoder *d, str s, struct buf *text)
{
	char joined[16];
	bool whole, more;

	while (d->n > 0 && s.n > 0) {
		ptrdiff_t take = (ptrdiff_t)sizeof(joined) - d->n;
		int had = d->n, n;
		str j;

		if (take > s.n)
			take = s.n;
		memcpy(joined, d->wait, (size_t)had);
		memcpy(joined + had, s.p, (size_t)take);
		j = (str){ joined, had + take };
		d->n = 0;
		n = piece(j, &whole, &more);
		if (more) {
			memcpy(d->wait, joined, (size_t)j.n);
			d->n = (int)j.n;
			return;
		}
		buf_add(text, whole ? (str){ joined, n } : S("\xef\xbf\xbd"));
		if (n < had) {		/* broken: what is left of it begins anew */
			memcpy(d->wait, joined + n, (size_t)(had - n));
			d->n = had - n;
			continue;
		}
		s = (str){ s.p + (n - had), s.n - (n - had) };
	}
	put_text(d, s, text);
}

/* Append bytes, of which there are few: those behind them are overwritten. */
static inline char *
put_few(char *to, str s)
{
	memcpy(to, s.p, POOL_SLACK);
	if (s.n > POOL_SLACK)
		memcpy(to + POOL_SLACK, s.p + POOL_SLACK, (size_t)s.n - POOL_SLACK);
	return to + s.n;
}

/*
 * What stands in text from byte from on is tokens' bytes as they came, all of
 * it whole characters, most times.
 */
static void
settle(struct decoder *d, struct buf *text, ptrdiff_t from)
{
	str s = { text->p + from, text->n - from };
	ptrdiff_t bad = utf8_bad(s);
	struct buf rest = { 0 };

	if (bad < 0)
		return;
	buf_add(&rest, (str){ s.p + bad, s.n - bad });
	text->n = from + bad;
	text->failed |= rest.failed;
	put_text(d, buf_str(&rest), text);
	buf_free(&rest);
}

/* decode() where a token's bytes are the same anywhere: all are joined, then checked. */
static int
decode_plain(const struct tokenizer *t, struct decoder *d, const int32_t *id, int64_t n,
    struct buf *text, struct err *err)
{
	const uint8_t skip = d->skip_special ? TOKEN_SPECIAL : 0;
	ptrdiff_t from = text->n;
	int64_t i;

	buf_add(text, (str){ d->wait, d->n });
	d->n = 0;
	for (i = 0; i < n; ) {
		int64_t end = n - i < 256 ? n : i + 256, k;
		ptrdiff_t need = POOL_SLACK;
		char *to;

		for (k = i; k < end && (uint32_t)id[k] < (uint32_t)t->n && t->kind[id[k]] != 0; k++)
			need += t->bytes[id[k]].n;
		if ((to = buf_room(text, need)) == NULL)
			return buf_ok(text, err);
		for (; i < k; i++)
			if ((t->kind[id[i]] & skip) == 0)
				to = put_few(to, t->bytes[id[i]]);
		text->n = to - text->p;
		if (k < end)
			break;
	}
	settle(d, text, from);
	d->started |= n > 0;
	if (i < n)
		return err_set(err, ERR_FORMAT, "no token has id %d", (int)id[i]);
	return buf_ok(text, err);
}

int
decode(const struct tokenizer *t, struct decoder *d, const int32_t *id, int64_t n,
    struct buf *text, struct err *err)
{
	str bytes;

	if (!t->wordpiece.on && !t->sentence.strip)
		return decode_plain(t, d, id, n, text, err);
	for (int64_t i = 0; i < n; i++) {
		if (id[i] < 0 || id[i] >= t->n || t->kind[id[i]] == 0)
			return err_set(err, ERR_FORMAT, "no token has id %d", (int)id[i]);
		if (d->skip_special && (t->kind[id[i]] & TOKEN_SPECIAL) != 0)
			continue;
		bytes = t->bytes[id[i]];
		if ((t->wordpiece.on || t->sentence.strip) && !d->started &&
		    str_starts(bytes, S(" ")))
			bytes = (str){ bytes.p + 1, bytes.n - 1 };
		d->started = true;
		put_bytes(d, bytes, text);
	}
	return buf_ok(text, err);
}

int
decode_end(struct decoder *d, struct buf *text, struct err *err)
{
	if (d->n > 0)
		buf_add(text, S("\xef\xbf\xbd"));
	d->n = 0;
	return buf_ok(text, err);
}
