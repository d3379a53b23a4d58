#include "text/folded.h"

#include <utf8proc.h>

#include "text/minhash_impl.h"
#include "text/unicode.h"

#define BUF_MAX		((ptrdiff_t)1 << 36)

/* Lower case, with a space for every character that is in no word. */
static int
fold_unicode(struct buf *to, str text, struct err *err)
{
	const char *at = text.p, *end = text.p + text.n;
	char *p;

	/* A character of two bytes or more becomes at most that and two spaces. */
	buf_reset(to);
	if ((p = buf_room(to, 2 * text.n + MINHASH_PAD)) == NULL)
		return buf_ok(to, err);
	while (at < end) {
		int32_t c = utf8_next(&at, end);

		if (c < 0x80) {
			*p++ = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
		} else if ((uni_class(c) & (UNI_LETTER | UNI_DIGIT | UNI_MARK)) == 0) {
			*p++ = ' ';
		} else if (uni_stands_alone(c)) {
			*p++ = ' ';
			p += utf8_put(p, c);
			*p++ = ' ';
		} else {
			p += utf8_put(p, utf8proc_tolower(c));
		}
	}
	to->n = p - to->p;
	return 0;
}

ptrdiff_t
folded_words(struct folded *f, str text, const uint64_t **word, struct err *err)
{
	const struct minhash_simd *simd = minhash_simd();

	f->text.limit = f->words.limit = BUF_MAX;
	buf_reset(&f->text);
	buf_reset(&f->words);
	if (buf_room(&f->text, text.n + MINHASH_PAD) == NULL)
		return buf_ok(&f->text, err);
	f->text.n = text.n;
	if (!simd->lower(f->text.p, text.p, text.n) && fold_unicode(&f->text, text, err) < 0)
		return -1;
	if (buf_room(&f->words, (f->text.n / 2 + 1) * (ptrdiff_t)sizeof(uint64_t)) == NULL)
		return buf_ok(&f->words, err);
	*word = (const uint64_t *)(const void *)f->words.p;
	return simd->words(f->text.p, f->text.n, (uint64_t *)(void *)f->words.p);
}

static bool
in_word(int32_t c)
{
	return (uni_class(c) & (UNI_LETTER | UNI_DIGIT | UNI_MARK)) != 0;
}

/* The next word at or behind *at: 1 with its slice, 0 at the end. */
static int
next_word(const char **at, const char *end, str *word)
{
	const char *start = NULL;

	while (*at < end) {
		const char *c = *at;
		int32_t ch = utf8_next(at, end);
		bool in = in_word(ch);
		bool alone = in && uni_stands_alone(ch);

		if (start != NULL && (!in || alone)) {
			*at = c;
			*word = (str){ start, c - start };
			return 1;
		}
		if (in && start == NULL)
			start = c;
		if (alone)
			break;
	}
	*word = (str){ start, start != NULL ? *at - start : 0 };
	return start != NULL;
}

str
folded_span(str text, ptrdiff_t from, ptrdiff_t to)
{
	const char *at = text.p, *end = text.p + text.n;
	str word, span = { NULL, 0 };

	for (ptrdiff_t i = 0; i < to && next_word(&at, end, &word); i++) {
		if (i == from)
			span.p = word.p;
		if (i >= from)
			span.n = word.p + word.n - span.p;
	}
	return span;
}

void
folded_free(struct folded *f)
{
	buf_free(&f->text);
	buf_free(&f->words);
}
