#include "text/units.h"

#include <utf8proc.h>

#include "text/cut.h"
#include "text/unicode.h"

enum { SPACE = 1, WORD = 2 };

/* Of ASCII: 0 for other characters. */
static const uint8_t class[128] = {
	['\t'] = SPACE, ['\n'] = SPACE, ['\v'] = SPACE, ['\f'] = SPACE, ['\r'] = SPACE,
	[0x1c] = SPACE, [0x1d] = SPACE, [0x1e] = SPACE, [0x1f] = SPACE, [' '] = SPACE,
	['0'] = WORD, ['1'] = WORD, ['2'] = WORD, ['3'] = WORD, ['4'] = WORD,
	['5'] = WORD, ['6'] = WORD, ['7'] = WORD, ['8'] = WORD, ['9'] = WORD,
	['A'] = WORD, ['B'] = WORD, ['C'] = WORD, ['D'] = WORD, ['E'] = WORD, ['F'] = WORD,
	['G'] = WORD, ['H'] = WORD, ['I'] = WORD, ['J'] = WORD, ['K'] = WORD, ['L'] = WORD,
	['M'] = WORD, ['N'] = WORD, ['O'] = WORD, ['P'] = WORD, ['Q'] = WORD, ['R'] = WORD,
	['S'] = WORD, ['T'] = WORD, ['U'] = WORD, ['V'] = WORD, ['W'] = WORD, ['X'] = WORD,
	['Y'] = WORD, ['Z'] = WORD,
	['a'] = WORD, ['b'] = WORD, ['c'] = WORD, ['d'] = WORD, ['e'] = WORD, ['f'] = WORD,
	['g'] = WORD, ['h'] = WORD, ['i'] = WORD, ['j'] = WORD, ['k'] = WORD, ['l'] = WORD,
	['m'] = WORD, ['n'] = WORD, ['o'] = WORD, ['p'] = WORD, ['q'] = WORD, ['r'] = WORD,
	['s'] = WORD, ['t'] = WORD, ['u'] = WORD, ['v'] = WORD, ['w'] = WORD, ['x'] = WORD,
	['y'] = WORD, ['z'] = WORD,
};

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
	if (c < 0x80)
		return class[c] == WORD;
	return (uni_class(c) & (UNI_LETTER | UNI_DIGIT | UNI_MARK)) != 0 && !uni_stands_alone(c);
}

static bool
is_space(int32_t c)
{
	return c < 0x80 ? class[c] == SPACE : (uni_class(c) & UNI_SPACE) != 0;
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
			if (class[b] != WORD)
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

static void
fold_char(struct buf *to, int32_t c)
{
	unsigned k = uni_class(c);
	char p[4];

	if ((k & UNI_SPACE) != 0) {
		if (to->n > 0 && to->p[to->n - 1] != ' ')
			buf_byte(to, ' ');
	} else if ((k & UNI_DIGIT) != 0) {
		buf_byte(to, '0');
	} else if ((k & (UNI_PUNCT | UNI_CONTROL | UNI_MARK)) == 0) {
		buf_add(to, (str){ p, utf8_put(p, utf8proc_tolower(c)) });
	}
}

/* The line as it is compared, in u->folded.  Return 1, 0 when nothing is to compare, -1. */
static int
fold(struct units *u, str line, struct err *err)
{
	const char *at, *end;
	int made = 0;

	buf_reset(&u->folded);
	buf_reset(&u->marks);
	if (ascii_span(line) < line.n &&
	    (made = uni_normalize(&u->marks, line, UNI_NFD, err)) < 0)
		return -1;
	if (made > 0)
		line = buf_str(&u->marks);
	for (at = line.p, end = line.p + line.n; at < end;)
		fold_char(&u->folded, utf8_next(&at, end));
	if (u->folded.n > 0 && u->folded.p[u->folded.n - 1] == ' ')
		u->folded.n--;
	if (buf_ok(&u->folded, err) < 0)
		return -1;
	for (at = u->folded.p, end = at + u->folded.n; at < end;)
		if ((uni_class(utf8_next(&at, end)) & (UNI_LETTER | UNI_DIGIT)) != 0)
			return 1;
	return 0;
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
		    class[(unsigned char)text.p[q]] == SPACE)
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
