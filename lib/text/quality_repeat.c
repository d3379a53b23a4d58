/*
 * Gopher's rules of repetition: paragraphs, lines and n-grams seen before
 *
 * An n-gram can only be there twice if its first n - 1 words are.  So all
 * places are looked up for n = 2 alone; for each n after that only those
 * whose shorter n-gram was found more than once, and in clean text these are
 * few.  An n-gram's hash is the difference of two of a running polynomial
 * over the hashes of the words.
 */
#include "text/quality_impl.h"

#define BASE 0xd6e8feb86659fd93u	/* of the polynomial: odd */

/* An n-gram: how often it is there. */
struct gram {
	uint64_t	hash;
	uint32_t	count, first;	/* first: a word's index */
};

/* A place whose n-gram may be repeated, and which n-gram it is. */
struct place {
	uint32_t	at, gram;
};

struct level {
	const uint64_t	*hash;		/* running hashes, one more than words */
	const uint32_t	*chars;		/* running characters, likewise */
	ptrdiff_t	 words;
	int		 n;
	struct place	*place;
	ptrdiff_t	 nplaces;
	struct gram	*gram;
	ptrdiff_t	 ngrams;
};

static void *
array(struct buf *b, ptrdiff_t n, ptrdiff_t size, struct err *err)
{
	void *p;

	buf_reset(b);
	b->limit = PTRDIFF_MAX / 4;
	p = buf_room(b, (n + 1) * size);
	if (p == NULL)
		buf_ok(b, err);
	return p;
}

/* Count the n-grams of l->place; l->n words each. */
static int
count_grams(struct level *l, struct quality_state *s, struct err *err)
{
	uint64_t mask, power = 1;
	uint32_t *slot = quality_table(s, l->nplaces, &mask, err);

	l->gram = array(&s->grams, l->nplaces, (ptrdiff_t)sizeof(*l->gram), err);
	if (slot == NULL || l->gram == NULL)
		return -1;
	for (int i = 0; i < l->n; i++)
		power *= BASE;
	l->ngrams = 0;
	for (ptrdiff_t i = 0; i < l->nplaces; i++) {
		uint32_t at = l->place[i].at;
		uint64_t h = l->hash[at + (uint32_t)l->n] - l->hash[at] * power;
		uint64_t k = quality_slot(h ^ h >> 32, mask);

		while (slot[k] != 0 && l->gram[slot[k] - 1].hash != h)
			k = (k + 1) & mask;
		if (slot[k] == 0) {
			l->gram[l->ngrams++] = (struct gram){ h, 0, at };
			slot[k] = (uint32_t)l->ngrams;
		}
		l->gram[slot[k] - 1].count++;
		l->place[i].gram = slot[k] - 1;
	}
	return 0;
}

/* Keep the places whose n-gram is there more than once. */
static void
keep_repeated(struct level *l)
{
	ptrdiff_t n = 0;

	for (ptrdiff_t i = 0; i < l->nplaces; i++)
		if (l->gram[l->place[i].gram].count > 1)
			l->place[n++] = l->place[i];
	l->nplaces = n;
}

/* For the next n: places too near to the end go. */
static void
lengthen(struct level *l)
{
	l->n++;
	while (l->nplaces > 0 && l->place[l->nplaces - 1].at + l->n > l->words)
		l->nplaces--;
}

/* Characters of the most frequent n-gram, the spaces inside it included. */
static int64_t
top_chars(const struct level *l)
{
	struct gram top = { 0, 1, 0 };	/* without a repeated one the first counts */

	if (l->words < l->n)
		return 0;
	for (ptrdiff_t i = 0; i < l->ngrams; i++)
		if (l->gram[i].count > top.count)
			top = l->gram[i];
	return (int64_t)top.count *
	    (l->chars[top.first + (uint32_t)l->n] - l->chars[top.first] + (uint32_t)l->n - 1);
}

/*
 * Characters of n-grams that were there before: such a one is counted and
 * stepped over, so that no word counts twice.
 */
static int64_t
repeated_chars(const struct level *l)
{
	int64_t chars = 0;
	uint32_t next = 0;

	for (ptrdiff_t i = 0; i < l->nplaces; i++) {
		uint32_t at = l->place[i].at;
		struct gram *g = &l->gram[l->place[i].gram];

		if (at < next)
			continue;
		if (g->count > 0) {
			g->count = 0;		/* seen */
			continue;
		}
		chars += l->chars[at + (uint32_t)l->n] - l->chars[at];
		next = at + (uint32_t)l->n;
	}
	return chars;
}

static int
start_level(struct level *l, struct quality_state *s, struct err *err)
{
	const struct english_words *w = &s->words;
	uint64_t *hash = array(&s->sums, w->n + 1, (ptrdiff_t)sizeof(*hash), err);
	uint32_t *chars = array(&s->place[1], w->n + 1, (ptrdiff_t)sizeof(*chars), err);
	struct place *place = array(&s->place[0], w->n, (ptrdiff_t)sizeof(*place), err);

	if (hash == NULL || chars == NULL || place == NULL)
		return -1;
	hash[0] = 0;
	chars[0] = 0;
	for (ptrdiff_t i = 0; i < w->n; i++) {
		hash[i + 1] = hash[i] * BASE + w->word[i].hash;
		chars[i + 1] = chars[i] + w->word[i].chars;
		place[i].at = (uint32_t)i;
	}
	*l = (struct level){ .hash = hash, .chars = chars, .words = w->n, .n = 1,
	    .place = place, .nplaces = w->n };
	return 0;
}

static int
judge_grams(struct quality_run *run, struct err *err)
{
	ptrdiff_t chars = quality_chars(run);
	struct level l;
	int last = 0;

	for (int n = 2; n <= 10; n++)
		if (wanted(run, REP_TOP_2GRAM + n - 2))
			last = n;
	if (last == 0)
		return 0;
	if (quality_words(run, err) < 0 || start_level(&l, run->s, err) < 0)
		return -1;
	for (int n = 2; n <= last; n++) {
		double value;

		lengthen(&l);
		if (count_grams(&l, run->s, err) < 0)
			return -1;
		keep_repeated(&l);
		if (wanted(run, REP_TOP_2GRAM + n - 2)) {
			value = share(n < 5 ? top_chars(&l) : repeated_chars(&l), chars);
			if (fails(run, REP_TOP_2GRAM + n - 2, value))
				return 1;
		}
	}
	return 0;
}

/* Pieces of a text between runs of least newlines or more; one that is empty at an end counts. */
static int
pieces(struct quality_run *run, str text, int least, struct quality_repeats *r, struct err *err)
{
	const char *p = text.p, *end = text.p + text.n, *q;

	for (;;) {
		for (q = p; (q = q < end ? memchr(q, '\n', (size_t)(end - q)) : NULL) != NULL; q++)
			if (least == 1 || (q + 1 < end && q[1] == '\n'))
				break;
		if (q == NULL)
			q = end;
		if (quality_item_add(run->s, (str){ p, q - p }, utf8_count((str){ p, q - p }),
		    err) < 0)
			return -1;
		if (q == end)
			break;
		for (p = q; p < end && *p == '\n'; p++)
			continue;
	}
	return quality_items_end(run->s, r, err);
}

int
quality_repeat(struct quality_run *run, struct err *err)
{
	ptrdiff_t chars = quality_chars(run);
	struct quality_repeats r;

	if (chars == 0)		/* nothing is repetition through and through */
		for (int i = REP_PARAGRAPHS; i <= REP_DUP_10GRAM; i++)
			if (fails(run, i, 1))
				return 1;
	if (wanted(run, REP_PARAGRAPHS) || wanted(run, REP_PARAGRAPH_CHARS)) {
		if (pieces(run, uni_trim(run->text), 2, &r, err) < 0)
			return -1;
		if (fails(run, REP_PARAGRAPHS, share(r.repeated, r.items)) ||
		    fails(run, REP_PARAGRAPH_CHARS, share(r.chars, chars)))
			return 1;
	}
	if (wanted(run, REP_LINES) || wanted(run, REP_LINE_CHARS)) {
		if (pieces(run, run->text, 1, &r, err) < 0)
			return -1;
		if (fails(run, REP_LINES, share(r.repeated, r.items)) ||
		    fails(run, REP_LINE_CHARS, share(r.chars, chars)))
			return 1;
	}
	return judge_grams(run, err);
}
