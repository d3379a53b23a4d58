/*
 * Gopher's rules of quality: how long words are, how many, and of what
 */
#include "text/quality_impl.h"

static const char *const stop_words[] = { "the", "be", "to", "of", "and", "that", "have", "with" };
#define NSTOP ((int)(sizeof(stop_words) / sizeof(stop_words[0])))

struct counts {
	int64_t	words, chars;		/* of words that are not symbols alone */
	int64_t	alpha;
	unsigned stop;			/* a bit for each that was seen */
};

int
quality_stop_words(struct quality *q, struct err *err)
{
	for (int i = 0; i < NSTOP; i++) {
		uint64_t h = english_hash(str_of(stop_words[i]));
		uint64_t k = h % QUALITY_STOP_SLOTS;

		if (q->stop_bit[k] != 0)
			return err_set(err, ERR_LIMIT, "two stop words in a slot");
		q->stop[k] = h;
		q->stop_bit[k] = (uint8_t)(1u << i);
	}
	return 0;
}

static void
count_words(const struct quality *q, const struct english_words *w, struct counts *c)
{
	for (ptrdiff_t i = 0; i < w->n; i++) {
		const struct english_word *x = &w->word[i];
		uint64_t k = x->hash % QUALITY_STOP_SLOTS;
		unsigned real = (x->flags & WORD_SYMBOL) == 0;

		/* No branches here: they would be as unpredictable as text is. */
		c->words += real;
		c->chars += x->chars & -real;
		c->alpha += (x->flags & WORD_ALPHA) != 0;
		c->stop |= q->stop_bit[k] & -(unsigned)(q->stop[k] == x->hash);
	}
}

/* Hash signs, and ellipses of both kinds, none overlapping. */
static void
count_signs(const struct quality_run *run, int64_t *hashes, int64_t *ellipses)
{
	str text = run->text;
	const char *p, *end = text.p + text.n;

	*hashes = *ellipses = 0;
	if (text.n == 0 || (run->seen & QUALITY_SIGNS) == 0)
		return;
	for (p = text.p; (p = memchr(p, '#', (size_t)(end - p))) != NULL; p++)
		(*hashes)++;
	for (p = text.p; (p = memchr(p, '.', (size_t)(end - p))) != NULL; p++)
		if (end - p >= 3 && p[1] == '.' && p[2] == '.') {
			(*ellipses)++;
			p += 2;
		}
	for (p = text.p; (p = memchr(p, 0xa6, (size_t)(end - p))) != NULL; p++)
		*ellipses += p - text.p >= 2 && p[-1] == '\x80' && p[-2] == '\xe2';
}

static void
count_lines(struct quality_run *run, int64_t *lines, int64_t *bullets, int64_t *ellipses)
{
	struct quality_lines l = quality_lines(run);
	str line;

	*lines = *bullets = *ellipses = 0;
	while (quality_line(&l, &line)) {
		line = uni_trim(line);
		(*lines)++;
		*bullets += str_starts(line, S("-")) || str_starts(line, S("\xe2\x80\xa2"));
		*ellipses += str_ends(line, S("...")) || str_ends(line, S("\xe2\x80\xa6"));
	}
}

int
quality_gopher(struct quality_run *run, struct err *err)
{
	struct counts c = { 0 };
	int64_t n, hashes, ellipses, lines, bullets, ends;

	if (quality_words(run, err) < 0)
		return -1;
	n = run->s->words.n;
	count_words(run->q, &run->s->words, &c);
	if (fails(run, GOPHER_MIN_WORDS, (double)c.words) ||
	    fails(run, GOPHER_MAX_WORDS, (double)c.words) ||
	    fails(run, GOPHER_MIN_MEAN_LENGTH, share(c.chars, c.words)) ||
	    fails(run, GOPHER_MAX_MEAN_LENGTH, share(c.chars, c.words)))
		return 1;
	count_lines(run, &lines, &bullets, &ends);
	count_signs(run, &hashes, &ellipses);
	if (fails(run, GOPHER_HASHES, share(hashes, n)) ||
	    fails(run, GOPHER_ELLIPSES, share(ellipses, n)))
		return 1;
	return fails(run, GOPHER_BULLET_LINES, share(bullets, lines)) ||
	    fails(run, GOPHER_ELLIPSIS_LINES, share(ends, lines)) ||
	    fails(run, GOPHER_ALPHA_WORDS, share(c.alpha, n)) ||
	    fails(run, GOPHER_STOP_WORDS, __builtin_popcount(c.stop));
}
