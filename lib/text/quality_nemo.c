/*
 * What NeMo Curator has beyond the others: shares of characters, paragraphs and
 * sentences, and the longest word
 */
#include "text/census.h"
#include "text/quality_impl.h"

static bool
in_url(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '$' && c <= '_') || c == '!';
}

/* Characters of what starts with http:// or https://. */
static int64_t
count_urls(str text)
{
	const char *p = text.p, *end = text.p + text.n;
	int64_t chars = 0;

	while (p < end && (p = memmem(p, (size_t)(end - p), "://", 3)) != NULL) {
		str before = { text.p, p - text.p };
		ptrdiff_t scheme = str_ends(before, S("https")) ? 5 :
		    str_ends(before, S("http")) ? 4 : 0;
		const char *q = p += 3;

		if (scheme == 0)
			continue;
		while (p < end && in_url((unsigned char)*p))
			p++;
		if (p > q)
			chars += scheme + 3 + (p - q);
	}
	return chars;
}

/* The share of paragraphs with a phrase of C4's; 1 with a dummy text. */
static double
boilerplate(struct quality_run *run)
{
	str text = uni_trim(run->text);
	const char *p = text.p, *end = text.p + text.n, *q;
	int64_t n = 0, bad = 0;

	quality_look(run);
	if ((run->seen & QUALITY_PHRASES) == 0)
		return 0;
	while (p < end) {
		unsigned has;

		q = memmem(p, (size_t)(end - p), "\n\n", 2);
		has = quality_phrases((str){ p, (q != NULL ? q : end) - p });
		if ((has & HAS_LOREM) != 0)
			return 1;
		n++;
		bad += (has & HAS_POLICY) != 0;
		for (p = q != NULL ? q : end; p < end && *p == '\n'; p++)
			continue;
	}
	return share(bad, n);
}

struct sentences {
	int64_t	all, open;
	const struct english_word *last;	/* of one that has no end yet */
};

static void
end_line(struct sentences *s, str text)
{
	if (s->last == NULL)
		return;
	s->all++;
	s->open += memchr(".?!\"'", text.p[s->last->at + s->last->bytes - 1], 5) == NULL;
	s->last = NULL;
}

/* A sentence ends as english.h says, or with its line. */
static void
count_sentences(const struct quality_run *run, struct sentences *s)
{
	const struct english_words *w = &run->s->words;
	str text = run->text;
	const char *end = text.p + text.n, *newline = text.p;

	*s = (struct sentences){ 0 };
	if (text.n == 0)
		return;
	newline = memchr(text.p, '\n', (size_t)text.n);
	for (ptrdiff_t i = 0; i < w->n; i++) {
		const struct english_word *x = &w->word[i];
		const char *at = text.p + x->at;

		if (newline != NULL && newline < at) {
			end_line(s, text);
			newline = memchr(at, '\n', (size_t)(end - at));
		}
		if ((x->flags & WORD_TERMINAL) != 0) {
			s->all += s->last != NULL;
			s->last = NULL;
		} else if (s->last != NULL || (x->flags & WORD_PUNCT) == 0) {
			s->last = x;
		}
	}
	end_line(s, text);
}

int
quality_nemo(struct quality_run *run, struct err *err)
{
	struct census c = census_of(run->text);
	struct sentences s;
	int64_t longest;

	if (c.chars == 0)
		for (int i = NEMO_SYMBOLS; i <= NEMO_BRACKETS; i++)
			if (fails(run, i, 1))
				return 1;
	if (c.chars > 0 && (fails(run, NEMO_SYMBOLS, share(c.chars - c.plain, c.chars)) ||
	    fails(run, NEMO_DIGITS, share(c.digits, c.chars)) ||
	    fails(run, NEMO_URLS, share(count_urls(run->text), c.chars)) ||
	    fails(run, NEMO_WHITE, share(c.white, c.chars)) ||
	    fails(run, NEMO_BRACKETS, share(c.brackets, c.chars))))
		return 1;
	if (wanted(run, NEMO_BOILERPLATE) && fails(run, NEMO_BOILERPLATE, boilerplate(run)))
		return 1;
	if (wanted(run, NEMO_OPEN_SENTENCES)) {
		if (quality_words(run, err) < 0)
			return -1;
		count_sentences(run, &s);
		if (fails(run, NEMO_OPEN_SENTENCES, share(s.open, s.all)))
			return 1;
	}
	if (!wanted(run, NEMO_WORD_CHARS))
		return 0;
	quality_white_words(run->text, (double)INFINITY, 0, &longest);
	return fails(run, NEMO_WORD_CHARS, (double)longest);
}
