/*
 * C4's rules: lines that are no prose go, and what is left is judged
 *
 * Each line is trimmed and goes through the rules in the order that C4's and
 * datatrove's code have: some remove the line, and lorem ipsum or a curly
 * bracket in a line that came so far drops the whole text.
 */
#include "text/quality_impl.h"

/*
 * Bytes that are worth a closer look: one rare letter of each phrase, with the
 * letter behind it; the brackets by themselves.
 */
static const char rare[256] = {
	['j'] = 'a', ['J'] = 'a', ['k'] = 'i', ['K'] = 'i', ['v'] = 'a', ['V'] = 'a',
	['f'] = ' ', ['F'] = ' ', ['p'] = 's', ['P'] = 's', ['{'] = 1, ['['] = 1,
};

/* Is phrase (lower case), with its byte number at at p, in the line? */
static bool
phrase_at(str line, const char *p, int at, const char *phrase)
{
	ptrdiff_t n = (ptrdiff_t)strlen(phrase);

	if (p - line.p < at || line.p + line.n - (p - at) < n)
		return false;
	return strncasecmp(p - at, phrase, (size_t)n) == 0;
}

unsigned
quality_phrases(str line)
{
	unsigned has = 0;

	for (const char *p = line.p, *end = line.p + line.n; p < end; p++) {
		char behind = rare[(unsigned char)*p];

		if (behind == 0 || (behind > 1 && (p + 1 == end || (p[1] | 0x20) != behind)))
			continue;
		switch (*p | 0x20) {
		case 'j':
			if (phrase_at(line, p, 0, "javascript"))
				has |= HAS_JAVASCRIPT;
			break;
		case 'k':
			if (phrase_at(line, p, 3, "cookie policy") ||
			    phrase_at(line, p, 8, "uses cookies") ||
			    phrase_at(line, p, 10, "use of cookies") ||
			    phrase_at(line, p, 7, "use cookies"))
				has |= HAS_POLICY;
			break;
		case 'v':
			if (phrase_at(line, p, 3, "privacy policy"))
				has |= HAS_POLICY;
			break;
		case 'f':
			if (phrase_at(line, p, 7, "terms of use"))
				has |= HAS_POLICY;
			break;
		case 'p':
			if (phrase_at(line, p, 7, "lorem ipsum"))
				has |= HAS_LOREM;
			break;
		default:
			has |= (*p == '{' ? HAS_CURLY : 0) | (*p == '[' ? HAS_SQUARE : 0);
		}
	}
	return has;
}

int64_t
quality_white_words(str line, double enough, double long_word, int64_t *longest)
{
	bool short_line = (double)line.n <= long_word;
	const char *p = line.p, *end = line.p + line.n;
	int64_t words = 0, chars = 0, most = 0;

	while (p < end) {
		unsigned char c = (unsigned char)*p;
		bool space;

		if (c > ' ' && c < 0x80) {
			p++;
			chars++;
			continue;
		}
		if (c < 0x80) {
			p++;
			space = c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
		} else {
			space = (uni_class(utf8_next(&p, end)) & UNI_SPACE) != 0;
		}
		if (!space) {
			chars++;
			continue;
		}
		words += chars > 0;
		most = chars > most ? chars : most;
		chars = 0;
		if (short_line && (double)words >= enough)
			break;
	}
	words += chars > 0;
	*longest = chars > most ? chars : most;
	return words;
}

/* Bytes of [123], [edit] or [citation needed] at p, or 0. */
static ptrdiff_t
citation(const char *p, const char *end)
{
	str rest = { p, end - p };
	const char *q = p + 1;

	if (str_starts(rest, S("[edit]")))
		return 6;
	if (str_starts(rest, S("[citation needed]")))
		return 17;
	while (q < end) {
		const char *next = q;

		if ((uni_class(utf8_next(&next, end)) & UNI_DIGIT) == 0)
			break;
		q = next;
	}
	return q < end && *q == ']' ? q + 1 - p : 0;
}

/* Append the line to b without citations; return how many there were. */
static int64_t
add_without_citations(struct buf *b, str line)
{
	const char *p = line.p, *end = line.p + line.n, *q;
	int64_t n = 0;

	while ((q = memchr(p, '[', (size_t)(end - p))) != NULL) {
		ptrdiff_t len = citation(q, end);

		buf_add(b, (str){ p, q - p + (len == 0) });
		p = q + (len == 0 ? 1 : len);
		n += len > 0;
	}
	buf_add(b, (str){ p, end - p });
	return n;
}

static bool
ends_well(str line)
{
	char c = line.n > 0 ? line.p[line.n - 1] : '\0';

	return (c == '.' || c == '?' || c == '!' || c == '"' || c == '\'') &&
	    !str_ends(line, S("..."));
}

struct c4 {
	int64_t	sentences;
	int64_t	lorem, curly;		/* lines */
	int64_t	wanted;			/* sentences to count at most */
};

/*
 * Append a line to the edited text, a newline before it, or leave it out.
 * Return 1 when the whole text is to be dropped.
 */
static int
take_line(struct quality_run *run, struct c4 *c, struct buf *out, str line, struct err *err)
{
	const struct quality *q = run->q;
	ptrdiff_t start = out->n;
	unsigned has = (run->seen & QUALITY_PHRASES) != 0 ? quality_phrases(line) : 0;
	int64_t longest, words = quality_white_words(line, q->limit[C4_LINE_WORDS],
	    q->limit[C4_WORD_CHARS], &longest);
	int because = -1;

	if (edits(run, C4_WORD_CHARS) && (double)longest > q->limit[C4_WORD_CHARS]) {
		run->removed[C4_WORD_CHARS]++;
		return 0;
	}
	if (start > 0)
		buf_byte(out, '\n');
	if ((has & HAS_SQUARE) != 0 && edits(run, C4_CITATIONS))
		run->removed[C4_CITATIONS] += add_without_citations(out, line);
	else
		buf_add(out, line);
	if (out->failed)
		return buf_ok(out, err);
	line = (str){ out->p + start + (start > 0), out->n - start - (start > 0) };
	if (edits(run, C4_TERMINAL) && !ends_well(line))
		because = C4_TERMINAL;
	else if (edits(run, C4_LINE_WORDS) && (double)words < q->limit[C4_LINE_WORDS])
		because = C4_LINE_WORDS;
	if (because < 0 && (has & HAS_LOREM) != 0 &&
	    fails(run, C4_LOREM_IPSUM, (double)++c->lorem))
		return 1;
	if (because < 0 && (has & HAS_JAVASCRIPT) != 0 && edits(run, C4_JAVASCRIPT))
		because = C4_JAVASCRIPT;
	if (because < 0 && (has & HAS_CURLY) != 0 &&
	    fails(run, C4_CURLY_BRACKET, (double)++c->curly))
		return 1;
	if (because < 0 && (has & HAS_POLICY) != 0 && edits(run, C4_POLICY))
		because = C4_POLICY;
	if (because >= 0) {
		run->removed[because]++;
		out->n = start;
		return 0;
	}
	if (c->sentences < c->wanted) {
		int64_t n = english_sentences(q->words, line, c->wanted - c->sentences,
		    &run->s->words, err);

		if (n < 0)
			return -1;
		c->sentences += n;
	}
	return 0;
}

/* How many sentences must be counted to know. */
static int64_t
sentences_wanted(const struct quality_run *run)
{
	double limit = run->q->limit[C4_SENTENCES];

	if (run->value != NULL)
		return INT64_MAX;
	if (!run->q->on[C4_SENTENCES])
		return 0;
	return limit < 1e15 ? (int64_t)limit + 1 : INT64_MAX;
}

int
quality_c4(struct quality_run *run, struct err *err)
{
	struct c4 c = { .wanted = sentences_wanted(run) };
	struct quality_lines l = quality_lines(run);
	struct buf *out = quality_edit_start(run);
	str line;

	if (run->value != NULL)
		run->value[C4_LOREM_IPSUM] = run->value[C4_CURLY_BRACKET] = 0;
	while (quality_line(&l, &line)) {
		int got = take_line(run, &c, out, uni_trim(line), err);

		if (got != 0)
			return got;
	}
	run->have_words = false;
	if (fails(run, C4_SENTENCES, (double)c.sentences))
		return 1;
	quality_edit_end(run, out);
	return 0;
}
