/*
 * RefinedWeb's rules of lines, as DCLM's code has them: lines that a page's
 * furniture left go, and a text that was mostly such is no text
 */
#include <strings.h>

#include "text/census.h"
#include "text/quality_impl.h"

static const char *const counted[] = {
	"likes", "shares", "comments", "retweets", "reposts", "quotes", "bookmarks", "upvotes",
	"downvotes", "downloads", "views", "followers",
};
#define NCOUNTED ((int)(sizeof(counted) / sizeof(counted[0])))

static const char *
skip_signs(const char *p, const char *end)
{
	while (p < end) {
		const char *next = p;

		if (uni_is_word(utf8_next(&next, end)))
			break;
		p = next;
	}
	return p;
}

/* Signs, a number such as 3, 1,234 or 5.1k, blanks, what is counted, and signs. */
static bool
is_counter(str line)
{
	const char *end = line.p + line.n, *p = skip_signs(line.p, end), *q;

	if (p == end || *p < '0' || *p > '9')
		return false;
	while (p < end && ((*p >= '0' && *p <= '9') || *p == ',' || *p == '.'))
		p++;
	if (p < end && (*p | 0x20) != 0x20 && strchr("kmb", *p | 0x20) != NULL)
		p++;
	for (q = p; q < end && (*q == ' ' || *q == '\t'); q++)
		continue;
	if (q == p)
		return false;
	for (int i = 0; i < NCOUNTED; i++) {
		ptrdiff_t n = (ptrdiff_t)strlen(counted[i]);

		if (end - q >= n && strncasecmp(q, counted[i], (size_t)n) == 0)
			return skip_signs(q + n, end) == end;
	}
	return false;
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Where phrase (lower case, its first byte a letter) is in the line, or NULL. */
static const char *
find_phrase(str line, str phrase)
{
	for (const char *p = line.p; p + phrase.n <= line.p + line.n; p++)
		if ((*p | 0x20) == phrase.p[0] &&
		    strncasecmp(p, phrase.p, (size_t)phrase.n) == 0)
			return p;
	return NULL;
}

/*
 * The line without the phrases, in b when it is not a slice of the line; how
 * many there were is added to *n.
 */
static str
without_phrases(str line, struct buf *b, int64_t *n)
{
	const str cart = S("items in cart"), in = S("sign-in"), more = S("read more");
	const char *p, *done = line.p;

	buf_reset(b);
	while ((p = find_phrase((str){ done, line.p + line.n - done }, cart)) != NULL) {
		buf_add(b, (str){ done, p - done - (p > done && is_blank(p[-1])) });
		done = p + cart.n;
		(*n)++;
	}
	if (done > line.p) {
		buf_add(b, (str){ done, line.p + line.n - done });
		line = buf_str(b);
	}
	p = line.n > 0 ? line.p + line.n : NULL;
	if (str_ends(line, S("...")))
		p -= 3;
	else if (str_ends(line, S("\xe2\x80\xa6")))
		p -= 3;
	else
		p = NULL;
	if (p != NULL && p - line.p >= more.n &&
	    strncasecmp(p - more.n, more.p, (size_t)more.n) == 0) {
		line.n = p - more.n - line.p;
		line.n -= line.n > 0 && is_blank(line.p[line.n - 1]);
		(*n)++;
	}
	if (line.n >= in.n && strncasecmp(line.p, in.p, (size_t)in.n) == 0) {
		ptrdiff_t k = in.n + (line.n > in.n && is_blank(line.p[in.n]));

		line = (str){ line.p + k, line.n - k };
		(*n)++;
	}
	return line;
}

struct lines {
	int64_t	words, removed;
	int64_t	newlines;		/* before the next line */
};

/* The rule that removes the line, or -1. */
static int
judge_line(const struct quality_run *run, str line, int64_t words)
{
	const double *limit = run->q->limit;
	struct census c = census_of(line);

	if (edits(run, LINES_UPPER) && share(c.upper, c.chars) > limit[LINES_UPPER])
		return LINES_UPPER;
	if (edits(run, LINES_DIGITS) && share(c.digits, c.chars) > limit[LINES_DIGITS])
		return LINES_DIGITS;
	if (edits(run, LINES_COUNTERS) && c.ascii_digits > 0 && words <= 8 && is_counter(line))
		return LINES_COUNTERS;
	if (edits(run, LINES_WORDS) && (double)words < limit[LINES_WORDS])
		return LINES_WORDS;
	return -1;
}

static void
take_line(struct quality_run *run, struct lines *l, struct buf *out, str line)
{
	const double *limit = run->q->limit;
	int64_t longest, words = quality_white_words(line, HUGE_VAL, 0, &longest), left = words;
	int because = judge_line(run, line, words);

	l->words += words;
	if (because < 0 && edits(run, LINES_PHRASES) && (double)words <= limit[LINES_PHRASES]) {
		int64_t n = 0;
		str rest = without_phrases(line, &run->s->line, &n);

		if (n > 0) {
			run->removed[LINES_PHRASES] += n;
			left = quality_white_words(rest, HUGE_VAL, 0, &longest);
			line = rest;
		}
	}
	if (because >= 0)
		run->removed[because]++;
	if (because >= 0 || left == 0) {
		l->removed += words;
		return;
	}
	l->removed += words - left;
	if (out->n > 0)
		for (int64_t i = 0; i < l->newlines; i++)
			buf_byte(out, '\n');
	l->newlines = 0;
	buf_add(out, line);
}

int
quality_line_rules(struct quality_run *run, struct err *err)
{
	double most = edits(run, LINES_NEWLINES) ? run->q->limit[LINES_NEWLINES] : (double)INFINITY;
	struct buf *out = quality_edit_start(run);
	struct lines l = { 0 };
	str rest = run->text;
	int64_t row = 0;	/* newlines since the last line that was not empty */

	while (rest.p != NULL && rest.n > 0) {
		str line = str_cut(&rest, '\n');

		if (line.n > 0) {
			take_line(run, &l, out, line);
			row = 0;
		}
		if (rest.p == NULL)
			break;
		if ((double)++row <= most)
			l.newlines++;
		else
			run->removed[LINES_NEWLINES]++;
	}
	if (buf_ok(out, err) < 0)
		return -1;
	quality_edit_end(run, out);
	return fails(run, LINES_REMOVED, share(l.removed, l.words));
}
