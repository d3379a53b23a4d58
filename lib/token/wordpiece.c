#include "token/wordpiece.h"

#include <utf8proc.h>

#include "text/unicode.h"
#include "token/bertclass.h"

#define WORD_MAX 4096		/* bytes of a word that is looked at */

/* ---- normal form ---- */

static bool
is_chinese(int32_t c)
{
	return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
	    (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x2a6df) ||
	    (c >= 0x2a700 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
	    (c >= 0x2f800 && c <= 0x2fa1f);
}

static void
put(struct buf *out, int32_t c, bool lower)
{
	char p[4];

	/* The one character that becomes two in lower case. */
	if (lower && c == 0x130) {
		buf_add(out, S("i\xcc\x87"));
		return;
	}
	buf_add(out, (str){ p, utf8_put(p, lower ? utf8proc_tolower(c) : c) });
}

/* c with what form does to it, but for the text's cleaning. */
static void
put_char(struct buf *out, int32_t c, const struct bert_form *form)
{
	utf8proc_int32_t part[32];
	utf8proc_ssize_t n = 1;
	int boundary = 0;

	part[0] = c;
	if (form->strip && c >= 0x80 && (bert_class(c) & BERT_NEW) == 0) {
		n = utf8proc_decompose_char(c, part, 32, UTF8PROC_DECOMPOSE, &boundary);
		n = n < 0 || n > 32 ? 0 : n;
	}
	for (utf8proc_ssize_t i = 0; i < n; i++)
		if (!form->strip || (bert_class(part[i]) & BERT_MARK) == 0)
			put(out, part[i], form->lower);
}

int
bert_normalize(struct buf *out, str text, const struct bert_form *form, struct err *err)
{
	const char *p = text.p, *end = text.p + text.n;

	while (p < end) {
		int32_t c = utf8_next(&p, end);
		bool ideograph;

		if (c > ' ' && c < 0x7f) {
			buf_byte(out, (char)(form->lower && c >= 'A' && c <= 'Z' ? c + 32 : c));
			continue;
		}
		if (form->clean) {
			if ((bert_class(c) & BERT_DROP) != 0)
				continue;
			if ((uni_class(c) & UNI_SPACE) != 0)
				c = ' ';
		}
		ideograph = form->chinese && is_chinese(c);
		if (ideograph)
			buf_byte(out, ' ');
		put_char(out, c, form);
		if (ideograph)
			buf_byte(out, ' ');
	}
	return buf_ok(out, err);
}

/* ---- pieces ---- */

/*
 * The longest piece that s begins with, of at most this many bytes with the prefix
 * that room has: its id and bytes, or -1.
 */
static int32_t
longest(const struct strmap *names, ptrdiff_t most, char *room, ptrdiff_t prefix, str s,
    ptrdiff_t *n)
{
	*n = s.n < most - prefix ? s.n : most - prefix;
	if (*n > 0)
		memcpy(room + prefix, s.p, (size_t)*n);
	for (; *n > 0; --*n) {
		int32_t id;

		/* Only where a character ends. */
		if (*n < s.n && ((uint8_t)s.p[*n] & 0xc0) == 0x80)
			continue;
		if ((id = strmap_find(names, (str){ room, prefix + *n })) >= 0)
			return id;
	}
	return -1;
}

int64_t
wordpiece_word(const struct wordpiece *w, const struct strmap *names, str word, int32_t *id)
{
	char room[WORD_MAX + WORDPIECE_PREFIX];
	const char *p = word.p;
	int64_t n = 0;
	ptrdiff_t len;
	int32_t c;

	c = utf8_next(&p, word.p + word.n);
	if (w->spaces && uni_is_white(c))
		return 0;
	if (word.n > WORD_MAX || utf8_count(word) > w->longest)
		goto unknown;
	while (word.n > 0) {
		ptrdiff_t prefix = n > 0 ? w->n_prefix : 0;

		memcpy(room, w->prefix, (size_t)prefix);
		if ((id[n++] = longest(names, w->piece, room, prefix, word, &len)) < 0)
			goto unknown;
		word = (str){ word.p + len, word.n - len };
	}
	return n;
unknown:
	id[0] = w->unknown;
	return 1;
}
