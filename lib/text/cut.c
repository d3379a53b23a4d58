#include "text/cut.h"

#include "text/grapheme.h"
#include "text/unicode.h"

static bool
is_space(int32_t c)
{
	return (uni_class(c) & UNI_SPACE) != 0;
}

/* May close a quote or a bracket behind a sentence. */
static bool
closes(int32_t c)
{
	return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == '*' || c == '_' ||
	    c == 0x2019 || c == 0x201d || c == 0xbb || c == 0x203a ||
	    (c >= 0x3009 && c <= 0x301b && (c & 1) == 1) || c == 0xff09;
}

static bool
runs_on(int32_t c)
{
	return (uni_class(c) & (UNI_LETTER | UNI_DIGIT | UNI_MARK)) != 0 && !uni_stands_alone(c);
}

/* The character before p > 0, and behind it. */
static int32_t
before(str text, ptrdiff_t p)
{
	const char *at = text.p + p;

	return utf8_prev(text.p, &at);
}

static int32_t
behind(str text, ptrdiff_t p)
{
	const char *at = text.p + p;

	return utf8_next(&at, text.p + text.n);
}

static ptrdiff_t
skip_space(str text, ptrdiff_t p, ptrdiff_t end)
{
	while (p < end) {
		const char *at = text.p + p;

		if (!is_space(utf8_next(&at, text.p + end)))
			break;
		p = at - text.p;
	}
	return p;
}

static ptrdiff_t
skip_space_back(str text, ptrdiff_t p, ptrdiff_t start)
{
	while (p > start) {
		const char *at = text.p + p;

		if (!is_space(utf8_prev(text.p + start, &at)))
			break;
		p = at - text.p;
	}
	return p;
}

/* Does a sentence end at p > 0, the end of what is no white space? */
static bool
ends_sentence(str text, ptrdiff_t p, bool spaced)
{
	const char *at = text.p + p;
	int32_t c = utf8_prev(text.p, &at);

	for (int i = 0; i < 4 && closes(c) && at > text.p; i++)
		c = utf8_prev(text.p, &at);
	return (uni_class(c) & UNI_TERMINAL) != 0 && (spaced || c >= 0x80);
}

/* Is p the start of the text, of a line or of a sentence, but for white space? */
static bool
starts(str text, ptrdiff_t p, enum cut_at at)
{
	ptrdiff_t q = skip_space_back(text, p, 0);

	if (q == 0 || p == text.n || memchr(text.p + q, '\n', (size_t)(p - q)) != NULL)
		return true;
	return at == CUT_SENTENCE && !(q == p && closes(behind(text, p))) &&
	    ends_sentence(text, q, q < p);
}

ptrdiff_t
cut_sentence_end(str text, ptrdiff_t p)
{
	const char *at = text.p + p, *end = text.p + text.n;

	while (at < end) {
		int32_t c = utf8_next(&at, end);
		ptrdiff_t q = at - text.p;

		if (c == '\n')
			return q;
		if (is_space(c) ||
		    (c >= 0x80 && (closes(c) || (uni_class(c) & UNI_TERMINAL) != 0))) {
			q = skip_space(text, q, text.n);
			if (q < text.n && starts(text, q, CUT_SENTENCE))
				return q;
			at = text.p + q;
		}
	}
	return text.n;
}

/* From the first start in the span to the last one in it or right behind it. */
static struct span
whole_pieces(str text, struct span s, enum cut_at at)
{
	ptrdiff_t end = skip_space(text, s.to, text.n), p = skip_space(text, s.from, s.to);
	struct span whole = { -1, -1 };

	while (p <= end) {
		const char *next = text.p + p;
		bool space = p < text.n && is_space(utf8_next(&next, text.p + text.n));

		if (!space && starts(text, p, at)) {
			if (whole.from == -1)
				whole.from = p;
			whole.to = p;
		}
		if (p == text.n)
			break;
		p = next - text.p;
	}
	if (whole.from < 0)
		return (struct span){ s.to, s.to };
	whole.to = skip_space_back(text, whole.to, whole.from);
	return whole;
}

static struct span
whole_words(str text, struct span s)
{
	while (s.from > 0 && s.from < s.to && runs_on(before(text, s.from)) &&
	    runs_on(behind(text, s.from))) {
		const char *at = text.p + s.from;

		utf8_next(&at, text.p + text.n);
		s.from = at - text.p;
	}
	while (s.to < text.n && s.from < s.to && runs_on(before(text, s.to)) &&
	    runs_on(behind(text, s.to))) {
		const char *at = text.p + s.to;

		utf8_prev(text.p, &at);
		s.to = at - text.p;
	}
	return s;
}

/* White space around is not cut, so that what follows stays apart from what was before. */
static struct span
trim(str text, struct span s)
{
	s.to = skip_space_back(text, s.to, s.from);
	s.from = skip_space(text, s.from, s.to);
	return s;
}

ptrdiff_t
cut_align(str text, struct span *span, ptrdiff_t n, enum cut_at at)
{
	struct graphemes g;
	ptrdiff_t left = 0;

	graphemes_start(&g, text);
	for (ptrdiff_t i = 0; i < n; i++) {
		struct span s = span[i];
		ptrdiff_t other;

		graphemes_around(&g, s.from, &other, &s.from);
		graphemes_around(&g, s.to, &s.to, &other);
		if (s.from < s.to && at == CUT_WORD)
			s = trim(text, whole_words(text, s));
		else if (s.from < s.to && at != CUT_CHAR)
			s = whole_pieces(text, s, at);
		if (s.from < s.to)
			span[left++] = s;
	}
	return left;
}

/* ---- what is left ---- */

static ptrdiff_t
newlines(str s)
{
	ptrdiff_t n = 0;

	for (ptrdiff_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

/* Up to and with the last newline, which is there. */
static str
up_to_newline(str s)
{
	while (s.p[s.n - 1] != '\n')
		s.n--;
	return s;
}

/* White space for a place where left and right meet. */
static void
join(struct buf *to, str left, str right)
{
	ptrdiff_t n = newlines(left), m = newlines(right);
	str tail = right;

	if (m > 0 && n > m) {
		buf_add(to, up_to_newline(left));
		tail.n -= up_to_newline(right).n;
		tail.p += right.n - tail.n;
	} else if (n > m || right.n == 0) {
		tail = left;
	}
	buf_add(to, tail);
}

int
cut_text(struct buf *to, str text, const struct span *span, ptrdiff_t n, struct err *err)
{
	ptrdiff_t at = 0;

	buf_reset(to);
	for (ptrdiff_t i = 0; i < n; i++) {
		ptrdiff_t from = skip_space_back(text, span[i].from, at);
		ptrdiff_t last = i + 1 < n ? span[i + 1].from : text.n;
		ptrdiff_t behind_it = skip_space(text, span[i].to, last);
		str left = { text.p + from, span[i].from - from };
		str right = { text.p + span[i].to, behind_it - span[i].to };

		buf_add(to, (str){ text.p + at, from - at });
		at = behind_it;
		if (to->n == 0)
			buf_add(to, left);
		else if (at == text.n)
			buf_add(to, right);
		else
			join(to, left, right);
		if (to->n > 0 && at < text.n && left.n == 0 && right.n == 0 &&
		    runs_on(before(buf_str(to), to->n)) && runs_on(behind(text, at)))
			buf_byte(to, ' ');
	}
	buf_add(to, (str){ text.p + at, text.n - at });
	return buf_ok(to, err);
}
