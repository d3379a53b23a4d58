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
	const str *bytes = t->text != NULL ? t->text : t->bytes;
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
			need += bytes[id[k]].n;
		if ((to = buf_room(text, need)) == NULL)
			return buf_ok(text, err);
		for (; i < k; i++)
			if ((t->kind[id[i]] & skip) == 0)
				to = put_few(to, bytes[id[i]]);
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

/* The same, but for what is taken off the ends of the whole text. */
static void
put_inner(const struct decoders *c, struct decoder *d, str s, struct buf *text)
{
	char p[4];
	str one = { p, utf8_put(p, c->strip) };
	int32_t n = 0;

	for (; d->lead < c->lead && str_starts(s, one); d->lead++)
		s = (str){ s.p + one.n, s.n - one.n };
	if (s.n == 0)
		return;
	d->lead = c->lead;
	for (; c->tail > 0 && str_ends(s, one); n++)
		s.n -= one.n;
	/* Those that were held back are inside now. */
	for (; d->tail > 0 && s.n > 0; d->tail--)
		put_bytes(d, one, text);
	put_bytes(d, s, text);
	for (d->tail += n; d->tail > c->tail; d->tail--)
		put_bytes(d, one, text);
}

static int
put_token(struct decoder *d, struct decoders_scratch *s, int32_t id, int where,
    struct buf *text, struct err *err)
{
	const struct tokenizer *t = d->of;
	const struct decoders *c = &t->decoders;
	str bytes = tokenizer_bytes(t, id);

	if (!d->started)
		where |= DECODERS_FIRST;
	d->started = true;
	if (((where & DECODERS_FIRST) != 0 && c->first) ||
	    ((where & DECODERS_LAST) != 0 && c->last)) {
		bytes = t->name[id];
		if (decoders_token(c, s, where, &bytes, err) < 0)
			return -1;
	}
	if (c->lead + c->tail > 0)
		put_inner(c, d, bytes, text);
	else
		put_bytes(d, bytes, text);
	return 0;
}

/* A token is put when the next one is there, if it matters that it is the last. */
static int
take_token(struct decoder *d, struct decoders_scratch *s, int32_t id, struct buf *text,
    struct err *err)
{
	const struct decoders *c = &d->of->decoders;
	int32_t held = d->held - 1;

	if (c->once && d->previous == id + 1)
		return 0;
	d->previous = id + 1;
	if (!c->last)
		return put_token(d, s, id, 0, text, err);
	d->held = id + 1;
	return held < 0 ? 0 : put_token(d, s, held, 0, text, err);
}

/* Does it matter no longer where a token stands? */
static bool
is_plain(const struct decoders *c, const struct decoder *d)
{
	return !c->last && !c->once && c->tail == 0 && d->lead >= c->lead &&
	    (d->started || !c->first);
}

int
decode(const struct tokenizer *t, struct decoder *d, const int32_t *id, int64_t n,
    struct buf *text, struct err *err)
{
	struct decoders_scratch s = { 0 };
	int64_t i;
	int ret = 0;

	if (d->of == NULL && d->started)
		d->lead = t->decoders.lead;
	d->of = t;
	for (i = 0; i < n && ret == 0 && !is_plain(&t->decoders, d); i++) {
		if (id[i] < 0 || id[i] >= t->n || t->kind[id[i]] == 0)
			ret = err_set(err, ERR_FORMAT, "no token has id %d", (int)id[i]);
		else if (!d->skip_special || (t->kind[id[i]] & TOKEN_SPECIAL) == 0)
			ret = take_token(d, &s, id[i], text, err);
	}
	decoders_scratch_free(&s);
	return ret < 0 ? -1 : decode_plain(t, d, id + i, n - i, text, err);
}

int
decode_end(struct decoder *d, struct buf *text, struct err *err)
{
	struct decoders_scratch s = { 0 };
	int ret = 0;

	if (d->held > 0)
		ret = put_token(d, &s, d->held - 1, DECODERS_LAST, text, err);
	decoders_scratch_free(&s);
	if (d->n > 0)
		buf_add(text, S("\xef\xbf\xbd"));
	d->n = 0;
	d->held = d->previous = 0;
	d->tail = 0;
	return ret < 0 ? -1 : buf_ok(text, err);
}
