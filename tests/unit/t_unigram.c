/*
 * Unigram by words: what is remembered of a word, with the sum before it, gives
 * the ids that one Viterbi over the whole text gives, whatever rounding does:
 * vocabularies whose scores tie and nearly do, sums that grow until a step is
 * lost, unknown characters spelled in bytes and not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../draw.h"
#include "../tap.h"
#include "token/sentence.h"
#include "token/unigram.h"

#define PIECES	60
#define TOKENS	(PIECES + 256 + 1)
#define TEXT	4000

static void
draw_text(struct buf *b, int chars, uint32_t letters)
{
	static const char *const letter[] = { "a", "b", " ", "c", "\xc3\xa9", "\xe4\xb8\xad", "d",
	    "\xf0\x9f\x99\x82", "." };

	buf_reset(b);
	while (chars-- > 0)
		buf_add(b, str_of(letter[draw(letters)]));
}

struct vocab {
	struct unigram	 u;
	struct sentence_cuts cuts;
	int32_t		 byte_id[256];
	str		 piece[TOKENS];
	struct buf	 text[PIECES];
};

static bool
vocab_make(struct vocab *v, int scale)
{
	struct sentence s = { .on = true, .whole = draw(2) == 0 };
	int fallback = (int)draw(3);
	double least = 0;
	struct err err;

	*v = (struct vocab){ .u = { .floats = true, .fallback = fallback > 0,
	    .unknown = TOKENS - 1, .byte_id = v->byte_id } };
	v->u.score = calloc(TOKENS, sizeof(*v->u.score));
	for (int i = 0; i < PIECES; i++) {
		do
			draw_text(&v->text[i], 1 + (int)draw(4), 7);
		while (!s.whole && sentence_inner(buf_str(&v->text[i])));
		v->piece[i] = buf_str(&v->text[i]);
		/* Few values, so that sums tie; times a number that is no power of two. */
		v->u.score[i] = (double)(float)(-1.0 * scale * (1 + draw(8)) *
		    (draw(8) == 0 ? 1.0001 : 1));
		least = v->u.score[i] < least ? v->u.score[i] : least;
	}
	for (int b = 0; b < 256; b++)
		v->byte_id[b] = fallback == 2 && b % 3 == 0 ? -1 : PIECES + b;
	sentence_cuts(&v->cuts, &s, v->piece, PIECES);
	return unigram_init(&v->u, TOKENS, v->piece, least, &err) == 0;
}

static void
vocab_free(struct vocab *v)
{
	unigram_free(&v->u);
	for (int i = 0; i < PIECES; i++)
		buf_free(&v->text[i]);
}

/* Ids of a text by words; n of them at a time. */
static int64_t
by_words(const struct vocab *v, struct unigram_scratch *s, str text, int32_t *id)
{
	const char *base = text.p, *end = text.p + text.n;
	struct unigram_sum sum = { 0 };
	int64_t n = 0, got;
	struct err err;

	while (base < end) {
		int32_t cut[SENTENCE_ROOM], made[4 * TEXT];
		int words = sentence_words(&v->cuts, base, end, cut, SENTENCE_ROOM);
		int64_t some = 0;

		for (int i = 0, from = 0; i < words; from = cut[i++])
			some += unigram_word(&v->u, (str){ base + from, cut[i] - from },
			    made + some);
		if ((got = unigram_settle(&v->u, s, &sum, base, cut, made, some, id + n,
		    &err)) < 0)
			return -1;
		n += got;
		base += cut[words - 1];
	}
	got = unigram_end(&v->u, &sum, id + n, &err);
	return got < 0 ? -1 : n + got;
}

/* Of texts that are each the longer, how many differ. */
static int
wrong(struct vocab *v, int texts)
{
	static int32_t want[4 * TEXT], got[4 * TEXT];
	struct unigram_scratch s = { 0 };
	struct buf text = { 0 };
	struct err err;
	int bad = 0;

	for (int i = 1; i <= texts; i++) {
		int64_t n, m;

		draw_text(&text, 1 + (int)draw((uint32_t)(TEXT * i / texts)), 3 + draw(7));
		n = unigram_text(&v->u, &s, buf_str(&text), want, &err);
		m = by_words(v, &s, buf_str(&text), got);
		if (n >= 0 && n == m && memcmp(want, got, (size_t)n * sizeof(*got)) == 0)
			continue;
		for (int64_t k = 0; bad == 0 && k < n; k++)
			if (want[k] != got[k]) {
				printf("# id %d of %d (%d) is %d, not %d\n", (int)k, (int)n, (int)m,
				    got[k], want[k]);
				break;
			}
		bad++;
	}
	unigram_scratch_free(&s);
	buf_free(&text);
	return bad;
}

int
main(void)
{
	static const int scales[] = { 1, 3, 37, 1001, 100003 };

	for (size_t i = 0; i < sizeof(scales) / sizeof(*scales); i++) {
		char what[64];
		int bad = 0;

		for (int k = 0; k < 40; k++) {
			struct vocab *v = calloc(1, sizeof(*v));

			bad += v == NULL || !vocab_make(v, scales[i]) || wrong(v, 10) > 0;
			if (v != NULL)
				vocab_free(v);
			free(v);
		}
		snprintf(what, sizeof(what), "words and a whole text, scores of %d", scales[i]);
		ok(bad == 0, what);
	}
	return tap_done();
}
