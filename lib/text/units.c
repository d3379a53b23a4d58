#include "text/units.h"

#include <utf8proc.h>

#include "text/cut.h"
#include "text/unicode.h"

void
units_start(struct units *u, enum unit_kind kind, str text, ptrdiff_t at)
{
	u->kind = kind;
	u->text = text;
	u->at = at;
}

/* ---- words ---- */

static bool
is_word(int32_t c)
{
	return (uni_class(c) & (UNI_LETTER | UNI_DIGIT | UNI_MARK)) != 0 && !uni_stands_alone(c);
}

static bool
is_space(int32_t c)
{
	return (uni_class(c) & UNI_SPACE) != 0;
}

/* Behind the word that begins at p < end, or behind a run of what is none. */
static const char *
word_end(const char *p, const char *end)
{
	const char *next = p;
	int32_t c = utf8_next(&next, end);
	bool word = is_word(c);

	if (c >= 0x80 && uni_stands_alone(c))
		return next;
	for (p = next; p < end; p = next) {
		unsigned char b = (unsigned char)*p;
		int32_t d;

		if (word && b < 0x80) {
			if ((uni_ascii[b] & (UNI_LETTER | UNI_DIGIT)) == 0)
				break;
			next = p + 1;
			continue;
		}
		d = utf8_next(&next, end);
		if (word ? !is_word(d) : d != c)
			break;
	}
	return p;
}

static int
next_words(struct units *u, struct unit *unit, int n)
{
	const char *text = u->text.p, *end = text + u->text.n, *p = text + u->at;
	int i = 0;

	while (i < n && p < end) {
		const char *next = p;

		if (is_space(utf8_next(&next, end))) {
			p = next;
			continue;
		}
		next = word_end(p, end);
		unit[i++] = (struct unit){
			hash128_of((str){ p, next - p }), (uint32_t)(p - text),
			(uint32_t)(next - text),
		};
		p = next;
	}
	u->at = p - text;
	return i;
}

/* ---- bytes ---- */

static int
next_bytes(struct units *u, struct unit *unit, int n)
{
	const unsigned char *p = (const unsigned char *)u->text.p;
	int i;

	for (i = 0; i < n && u->at < u->text.n; i++, u->at++) {
		uint64_t x = (uint64_t)p[u->at] + 1;

		unit[i] = (struct unit){
			{ x * 0x9e3779b97f4a7c15u, x * 0xc2b2ae3d27d4eb4fu },
			(uint32_t)u->at, (uint32_t)u->at + 1,
		};
	}
	return i;
}

/* ---- lines, paragraphs, sentences ---- */

/* The line as it is compared, in u->folded.  Return 1, 0 when nothing is to compare, -1. */
static int
fold(struct units *u, str line, struct err *err)
{
	const char *at, *end;
	unsigned all = 0;
	int made = 0;
	char *start, *to;

	buf_reset(&u->folded);
	buf_reset(&u->marks);
	if (ascii_span(line) < line.n &&
	    (made = uni_normalize(&u->marks, line, UNI_NFD, err)) < 0)
		return -1;
	if (made > 0)
		line = buf_str(&u->marks);
	/* A small letter may take a byte more than its capital; what is broken takes 3. */
	if ((start = to = buf_room(&u->folded, 3 * line.n)) == NULL)
		return buf_ok(&u->folded, err);
	for (at = line.p, end = line.p + line.n; at < end;) {
		int32_t c = utf8_next(&at, end);
		unsigned k = uni_class(c);

		all |= k;
		if ((k & UNI_SPACE) != 0) {
			if (to > start && to[-1] != ' ')
				*to++ = ' ';
		} else if ((k & UNI_DIGIT) != 0) {
			*to++ = '0';
		} else if (c < 0x80 && (k & UNI_LETTER) != 0) {
			*to++ = (char)(c | 0x20);
		} else if ((k & (UNI_PUNCT | UNI_CONTROL | UNI_MARK)) == 0) {
			to += utf8_put(to, utf8proc_tolower(c));
		}
	}
	if (to > start && to[-1] == ' ')
		to--;
	u->folded.n = to - start;
	return (all & (UNI_LETTER | UNI_DIGIT)) != 0;
}

/* The end of the piece that begins at p: where its newline is, or the end. */
static ptrdiff_t
piece_end(const struct units *u, ptrdiff_t p)
{
	str text = u->text;

	if (u->kind == UNIT_SENTENCE)
		return cut_sentence_end(text, p);
	for (;;) {
		const char *nl = memchr(text.p + p, '\n', (size_t)(text.n - p));
		ptrdiff_t q;

		if (nl == NULL)
			return text.n;
		p = q = nl - text.p + 1;
		if (u->kind == UNIT_LINE)
			return p;
		while (q < text.n && text.p[q] != '\n' && (signed char)text.p[q] >= 0 &&
		    is_space((unsigned char)text.p[q]))
			q++;
		if (q == text.n || text.p[q] == '\n')
			return q;
	}
}

static int
next_pieces(struct units *u, struct unit *unit, int n, struct err *err)
{
	int i = 0;

	while (i < n && u->at < u->text.n) {
		ptrdiff_t end = piece_end(u, u->at);
		str piece = uni_trim((str){ u->text.p + u->at, end - u->at });
		int is = fold(u, piece, err);

		u->at = end;
		if (is < 0)
			return -1;
		if (is == 0)
			continue;
		unit[i++] = (struct unit){
			hash128_of(buf_str(&u->folded)), (uint32_t)(piece.p - u->text.p),
			(uint32_t)(piece.p + piece.n - u->text.p),
		};
	}
	return i;
}

int
units_next(struct units *u, struct unit *unit, int n, struct err *err)
{
	switch (u->kind) {
	case UNIT_WORD:
		return next_words(u, unit, n);
	case UNIT_BYTE:
		return next_bytes(u, unit, n);
	case UNIT_LINE:
	case UNIT_PARAGRAPH:
	case UNIT_SENTENCE:
		break;
	}
	return next_pieces(u, unit, n, err);
}

void
units_free(struct units *u)
{
	buf_free(&u->folded);
	buf_free(&u->marks);
}
