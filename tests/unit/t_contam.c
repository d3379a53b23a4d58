/*
 * Words and their places against each other; questions that were planted, cut
 * at random, and changed, against a naive search; hits of n-grams.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/rng.h"
#include "text/contam.h"
#include "text/unicode.h"
#include "../tap.h"

static uint64_t draws;

static int
below(int n)
{
	return (int)rng_below(5, 1, draws++, (uint64_t)n);
}

static const int32_t some[] = { 'a', 'B', 'z', '0', ' ', ' ', '-', '\'', '\n', 0xe9, 0xc9, 0x301,
	0x4e2d, 0x3042, 0x130, 0x212a, 0x1f600, 0xe01, 0x5d0, 0xa0, 0x200d };

/* Do words one by one have the hashes of all? */
static bool
places(void)
{
	struct folded f = { 0 }, g = { 0 };
	struct err err;
	bool good = true;

	for (int round = 0; round < 2000 && good; round++) {
		char text[4 * 60];
		ptrdiff_t n = 0, words, one;
		const uint64_t *word, *alone;
		str last = { text, 0 };

		for (int i = below(60); i > 0; i--)
			n += utf8_put(text + n, some[below((int)(sizeof(some) / sizeof(*some)))]);
		words = folded_words(&f, (str){ text, n }, &word, &err);
		for (ptrdiff_t i = 0; i < words && good; i++) {
			str span = folded_span((str){ text, n }, i, i + 1);

			good = span.p >= last.p + last.n;
			one = folded_words(&g, span, &alone, &err);
			good &= one == 1 && alone[0] == word[i];
			last = span;
		}
		good &= folded_span((str){ text, n }, words, words + 1).p == NULL;
	}
	folded_free(&f);
	folded_free(&g);
	return good;
}

#define VOCAB	12		/* so few words that much is found by chance */

static void
random_words(int *w, int n)
{
	for (int i = 0; i < n; i++)
		w[i] = below(VOCAB);
}

static str
spell(char *to, const int *w, int n)
{
	ptrdiff_t at = 0;

	for (int i = 0; i < n; i++)
		at += snprintf(to + at, 16, "%sw%d", i % 3 == 0 ? " " : ", ", w[i]);
	return (str){ to, at };
}

static int
naive_common(const int *a, int n, const int *b, int m)
{
	int row[2][512] = { { 0 } };

	for (int i = 1; i <= n; i++)
		for (int j = 1; j <= m; j++) {
			int up = row[(i - 1) & 1][j], left = row[i & 1][j - 1];

			row[i & 1][j] = a[i - 1] == b[j - 1] ? row[(i - 1) & 1][j - 1] + 1 :
			    up > left ? up : left;
		}
	return row[n & 1][m];
}

/*
 * Each hit is what it says it is, and whatever has a question with at most one
 * word changed has a hit that is as good.
 */
static bool
scored(void)
{
	struct contam_opts o = { .type = CONTAM_SCORED, .score = 0.8, .min_words = 8 };
	int question[200], text[400];
	static char spelt[400 * 16];
	struct err err;
	bool good = true;

	for (int round = 0; round < 300 && good; round++) {
		struct contam *x = contam_new(&o, &err);
		struct contam_search s = { 0 };
		int n = 8 + below(190), m = n + below(200), at = below(m - n + 1), best = 0;

		random_words(question, n);
		random_words(text, m);
		memcpy(text + at, question, (size_t)n * sizeof(*text));
		if (round % 2 == 1)
			text[at + below(n)] = VOCAB;
		contam_add(x, 0, 1, spell(spelt, question, n), NULL, 0, &err);
		contam_ready(x, &err);
		good = contam_find(x, &s, spell(spelt, text, m), &err) == 0 && s.n > 0;
		for (ptrdiff_t i = 0; i < s.n; i++) {
			int from = (int)s.hit[i].from, to = (int)s.hit[i].to;

			good &= from >= 0 && from < to && to <= m;
			good &= s.hit[i].same == naive_common(question, n, text + from, to - from);
			good &= s.hit[i].same >= 0.8 * n;
			best = s.hit[i].same > best ? s.hit[i].same : best;
		}
		good &= best >= n - round % 2;
		contam_search_free(&s);
		contam_free(x);
	}
	return good;
}

/* The text that is found by n-grams, each word of it. */
static bool
ngrams(void)
{
	struct contam_opts o = { .type = CONTAM_NGRAM, .ngram = 8, .min_words = 8 };
	int question[40], text[300];
	static char spelt[300 * 16];
	struct err err;
	bool good = true;

	for (int round = 0; round < 300 && good; round++) {
		struct contam *x = contam_new(&o, &err);
		struct contam_search s = { 0 };
		int n = 8 + below(30), m = 100 + below(200), len = 8 + below(n - 7);
		int from = below(n - len + 1), at = below(m - len + 1);
		bool want[300] = { false }, got[300] = { false };

		random_words(question, n);
		random_words(text, m);
		memcpy(text + at, question + from, (size_t)len * sizeof(*text));
		for (int i = 0; i + 8 <= m; i++)
			for (int k = 0; k + 8 <= n; k++)
				if (memcmp(text + i, question + k, 8 * sizeof(*text)) == 0)
					memset(want + i, true, 8);
		contam_add(x, 0, 1, spell(spelt, question, n), NULL, 0, &err);
		contam_ready(x, &err);
		good = contam_find(x, &s, spell(spelt, text, m), &err) == 0;
		for (ptrdiff_t i = 0; i < s.n; i++)
			memset(got + s.hit[i].from, true, (size_t)(s.hit[i].to - s.hit[i].from));
		good &= memcmp(want, got, sizeof(want)) == 0;
		contam_search_free(&s);
		contam_free(x);
	}
	return good;
}

static void
answers(void)
{
	struct contam_opts o = { .type = CONTAM_SCORED, .score = 0.8, .min_words = 8 };
	struct err err;
	struct contam *x = contam_new(&o, &err);
	struct contam_search s = { 0 };
	str answer[2] = { S("vibrations of the air around us"), S("light") };

	ok(contam_add(x, 0, 1, S("What causes sound?"), NULL, 0, &err) == 0 &&
	    contam_short(x) == 1, "three words are too few");
	ok(contam_add(x, 0, 2, S("What causes sound?"), answer, 2, &err) == 1,
	    "with an answer they are enough");
	ok(contam_add(x, 0, 3, S("WHAT causes sound"), answer, 2, &err) == 0 &&
	    contam_again(x) == 1, "the same again is left out");
	ok(contam_ready(x, &err) == 0, "an index");
	ok(contam_find(x, &s, S("Quiz. What causes sound? A: light B: heat C: vibrations of the "
	    "air around us. Next"), &err) == 0 && s.n == 1 && s.hit[0].from == 1 &&
	    s.hit[0].to == 15, "other answers may stand between");
	ok(contam_find(x, &s, S("Nobody knows what causes sound in a light bulb, says he"),
	    &err) == 0 && s.n == 0, "the question alone is not enough");
	contam_search_free(&s);
	contam_free(x);
}

int
main(void)
{
	ok(places(), "words have their places");
	ok(scored(), "scored hits are right, and none is missed");
	ok(ngrams(), "n-grams cover what they should");
	answers();
	return tap_done();
}
