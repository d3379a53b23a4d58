/*
 * BigCode's rules of source code, and those of tokens
 *
 * Comments are those of the style that most lines start with: of C (two slashes, or
 * slash and star), of the shell and Python (#, and three quotes), of SQL and Lua
 * (two dashes).  Inside a string nothing starts one.
 */
#include "text/census.h"
#include "text/quality_impl.h"

enum style { STYLE_C, STYLE_HASH, STYLE_DASH, STYLES };

/* A # of the C preprocessor is no comment. */
static bool
is_directive(str line)
{
	static const char *const word[] = { "include", "define", "if", "el", "end", "undef",
		"pragma", "error", "line", "import" };
	str rest = uni_trim((str){ line.p + 1, line.n - 1 });

	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		if (str_starts(rest, str_of(word[i])))
			return true;
	return false;
}

static enum style
find_style(str text)
{
	int64_t lines[STYLES] = { 0 }, semicolons = 0;
	str rest = text;

	while (rest.p != NULL) {
		str line = uni_trim(str_cut(&rest, '\n'));

		if (str_starts(line, S("//")) || str_starts(line, S("/*")))
			lines[STYLE_C]++;
		else if (str_starts(line, S("--")))
			lines[STYLE_DASH]++;
		else if (str_starts(line, S("\"\"\"")) || str_starts(line, S("'''")) ||
		    (str_starts(line, S("#")) && !is_directive(line)))
			lines[STYLE_HASH]++;
		semicolons += str_ends(line, S(";"));
	}
	if (lines[STYLE_DASH] > lines[STYLE_C] && lines[STYLE_DASH] > lines[STYLE_HASH])
		return STYLE_DASH;
	if (lines[STYLE_C] != lines[STYLE_HASH])
		return lines[STYLE_C] > lines[STYLE_HASH] ? STYLE_C : STYLE_HASH;
	return semicolons > 0 ? STYLE_C : STYLE_HASH;
}

static const char *
find(const char *p, const char *end, str what, bool behind)
{
	const char *q = p < end ? memmem(p, (size_t)(end - p), what.p, (size_t)what.n) : NULL;

	return q == NULL ? end : q + (behind ? what.n : 0);
}

/* Behind the comment at p, or p when there is none. */
static const char *
skip_comment(const char *p, const char *end, enum style style)
{
	str rest = { p, end - p };

	switch (style) {
	case STYLE_C:
		if (str_starts(rest, S("//")))
			return find(p, end, S("\n"), false);
		return str_starts(rest, S("/*")) ? find(p + 2, end, S("*/"), true) : p;
	case STYLE_DASH:
		return str_starts(rest, S("--")) ? find(p, end, S("\n"), false) : p;
	default:
		if (*p == '#')
			return find(p, end, S("\n"), false);
		if (str_starts(rest, S("\"\"\"")) || str_starts(rest, S("'''")))
			return find(p + 3, end, (str){ p, 3 }, true);
		return p;
	}
}

/* Behind the string that starts at p; one that has no end on its line is none. */
static const char *
skip_string(const char *p, const char *end)
{
	for (const char *q = p + 1; q < end && *q != '\n'; q++) {
		if (*q == *p)
			return q + 1;
		if (*q == '\\' && q + 1 < end)
			q++;
	}
	return p + 1;
}

/* Characters of comments. */
static int64_t
count_comments(str text)
{
	static const char signs[STYLES][4] = { "/\"'", "#\"'", "-\"'" };
	enum style style = find_style(text);
	bool stops[256] = { 0 };
	const char *p = text.p, *end = text.p + text.n, *q;
	int64_t chars = 0;

	for (const char *s = signs[style]; *s != '\0'; s++)
		stops[(unsigned char)*s] = true;
	while (p < end) {
		if (!stops[(unsigned char)*p]) {
			p++;
			continue;
		}
		q = skip_comment(p, end, style);
		chars += utf8_count((str){ p, q - p });
		if (q == p)
			q = *p == '"' || *p == '\'' ? skip_string(p, end) : p + 1;
		p = q;
	}
	return chars;
}

/* The longest line, how many there are, and the characters of all. */
static void
measure_lines(struct quality_run *run, int64_t *longest, int64_t *n, int64_t *sum)
{
	struct quality_lines l = quality_lines(run);
	str line;

	*longest = *n = *sum = 0;
	while (quality_line(&l, &line)) {
		int64_t chars = utf8_count(line);

		(*n)++;
		*sum += chars;
		*longest = chars > *longest ? chars : *longest;
	}
}

int
quality_code(struct quality_run *run, struct err *err)
{
	ptrdiff_t chars = quality_chars(run);
	int64_t longest, lines, sum, tokens;

	if (fails(run, CODE_MIN_CHARS, (double)chars) || fails(run, CODE_MAX_CHARS, (double)chars))
		return 1;
	if (wanted(run, CODE_LINE_CHARS) || wanted(run, CODE_MEAN_LINE_CHARS)) {
		measure_lines(run, &longest, &lines, &sum);
		if (fails(run, CODE_LINE_CHARS, (double)longest) ||
		    fails(run, CODE_MEAN_LINE_CHARS, share(sum, lines)))
			return 1;
	}
	if (wanted(run, CODE_ALNUM) &&
	    fails(run, CODE_ALNUM, share(census_of(run->text).alnum, chars)))
		return 1;
	if (wanted(run, CODE_MIN_COMMENTS) || wanted(run, CODE_MAX_COMMENTS)) {
		double comments = share(count_comments(run->text), chars);

		if (fails(run, CODE_MIN_COMMENTS, comments) ||
		    fails(run, CODE_MAX_COMMENTS, comments))
			return 1;
	}
	if (wanted(run, CODE_XML)) {
		str head = { run->text.p, run->text.n < 100 ? run->text.n : 100 };
		bool xml = head.n > 0 &&
		    memmem(head.p, (size_t)head.n, "<?xml version=", 14) != NULL;

		if (fails(run, CODE_XML, xml))
			return 1;
	}
	if (run->q->count == NULL || !wanted(run, CODE_TOKEN_CHARS))
		return 0;
	if ((tokens = quality_count_tokens(run, err)) < 0)
		return -1;
	return fails(run, CODE_TOKEN_CHARS, share(chars, tokens));
}

int
quality_tokens(struct quality_run *run, struct err *err)
{
	int64_t n = quality_count_tokens(run, err);

	if (n < 0)
		return -1;
	return fails(run, TOKENS_MIN, (double)n) || fails(run, TOKENS_MAX, (double)n);
}
