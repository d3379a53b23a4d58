/*
 * Repeats against a search of all earlier windows, in little memory and much;
 * buckets in memory and in a file; borders of graphemes against a whole sweep;
 * cuts; sentences.
 */
#include <stdlib.h>
#include <utf8proc.h>

#include "base/buckets.h"
#include "base/json.h"
#include "base/rng.h"
#include "text/cut.h"
#include "text/grapheme.h"
#include "text/repeats.h"
#include "text/unicode.h"
#include "../tap.h"

#define TEXTS 40

static uint64_t draws;
static struct team *team;
static bool hand_over;		/* a new process after each pass */

static int
below(int n)
{
	return (int)rng_below(5, 1, draws++, (uint64_t)n);
}

static void
buckets(void)
{
	static char room[1 << 17];
	struct err err;
	struct buckets *b = buckets_new("/tmp", 3, 12, 1 << 15, &err);
	int64_t count[3] = { 0 }, seen[3] = { 0 };
	bool right = b != NULL;

	for (int i = 0; i < 30000; i++) {
		int k = below(3);
		int32_t item[3] = { k, (int32_t)count[k]++, 7 };

		right &= buckets_add(b, k, item, &err) == 0;
	}
	ok(right && buckets_spilled(b) > 0, "items beyond memory go to a file");
	for (int k = 0; k < 3; k++) {
		const void *items;
		int64_t n;

		for (int64_t at = 0; (n = buckets_read(b, k, at, room, &items, &err)) > 0; at++)
			for (int64_t i = 0; i < n; i++) {
				int32_t item[3];

				memcpy(item, (const char *)items + i * 12, 12);
				right &= item[0] == k && item[1] == seen[k]++ && item[2] == 7;
			}
		right &= n == 0 && seen[k] == count[k] && buckets_count(b, k) == count[k];
	}
	ok(right, "and come back in order");
	buckets_free(b);
}

/* ---- repeats ---- */

static const char *const syllable[] = { "a", "b", " ", ",", ".", "中", "😀", "\n", "é", " xy" };

static struct buf text[TEXTS];

static void
make_texts(int kinds)
{
	for (int i = 0; i < TEXTS; i++) {
		buf_reset(&text[i]);
		buf_byte(&text[i], 'a');
		for (int n = below(80); n > 0; n--)
			buf_add(&text[i], str_of(syllable[below(kinds)]));
		if (i > 0 && below(3) == 0)
			buf_add(&text[i], buf_str(&text[below(i)]));
	}
}

/* All units of all texts. */
static struct unit unit[1 << 16];
static int first[TEXTS + 1];

static void
find_units(enum unit_kind kind)
{
	struct units u = { 0 };
	struct err err;

	for (int i = 0; i < TEXTS; i++) {
		int n;

		first[i + 1] = first[i];
		units_start(&u, kind, buf_str(&text[i]), 0);
		while ((n = units_next(&u, unit + first[i + 1], 7, &err)) > 0)
			first[i + 1] += n;
	}
	units_free(&u);
}

static bool
was_before(int t, int at, int n)
{
	for (int i = 0; i <= t; i++)
		for (int w = first[i]; w + n <= first[i + 1] && w < at; w++) {
			int k = 0;

			while (k < n && unit[w + k].hash.lo == unit[at + k].hash.lo)
				k++;
			if (k == n)
				return true;
		}
	return false;
}

/* Does the span [from, to) of text t come next, as the search says?  *at: where to begin. */
static bool
next_span(int t, int *at, int n, struct span *s)
{
	int end;

	while (*at + n <= first[t + 1] && !was_before(t, *at, n))
		(*at)++;
	if (*at + n > first[t + 1])
		return false;
	s->from = unit[*at].from;
	end = *at + n;
	while (++*at + n <= first[t + 1] && *at <= end)
		if (was_before(t, *at, n))
			end = *at + n;
	s->to = unit[end - 1].to;
	return true;
}

/* Pieces, one after the other, each behind its length. */
static int
put_piece(void *ctx, str piece, struct err *err)
{
	buf_add(ctx, (str){ (const char *)&piece.n, sizeof(piece.n) });
	buf_add(ctx, piece);
	return buf_ok(ctx, err);
}

static int
load_pieces(struct repeats *x, bool settled, const struct buf *b, struct err *err)
{
	for (ptrdiff_t at = 0, n; at < b->n; at += n) {
		memcpy(&n, b->p + at, sizeof(n));
		at += (ptrdiff_t)sizeof(n);
		if (repeats_load(x, settled, (str){ b->p + at, n }, err) < 0)
			return -1;
	}
	return 0;
}

/* What another process has of what x found. */
static struct repeats *
handed_over(struct repeats *x, bool settled, enum unit_kind kind, int n, int64_t bytes)
{
	struct repeats *y;
	struct buf b = { 0 };
	struct err err;

	if (repeats_save(x, put_piece, &b, &err) < 0 ||
	    (y = repeats_new(kind, n, 0, bytes, "/tmp", &err)) == NULL ||
	    load_pieces(y, settled, &b, &err) < 0)
		abort();
	repeats_free(x);
	buf_free(&b);
	return y;
}

static struct repeats *
run_passes(enum unit_kind kind, int n, int64_t bytes)
{
	struct repeats_scan scan = { 0 };
	struct arena a;
	struct err err;
	struct repeats *x = repeats_new(kind, n, 0, bytes, "/tmp", &err);

	if (x == NULL || arena_init(&a, 1 << 22, &err) < 0)
		abort();
	for (int i = 0; i < TEXTS; i++)
		if (repeats_count(x, &scan, buf_str(&text[i]), &err) < 0)
			abort();
	if (hand_over)
		x = handed_over(x, false, kind, n, bytes);
	for (int i = 0; i < TEXTS; i++) {
		struct repeats_found f;

		if (repeats_find(x, &scan, buf_str(&text[i]), &a, &f, &err) < 0 ||
		    repeats_add(x, 2 * i, buf_str(&text[i]), &f, &err) < 0)
			abort();
		arena_reset(&a);
	}
	if (repeats_settle(x, team, &err) < 0)
		abort();
	repeats_scan_free(&scan);
	arena_free(&a);
	return hand_over ? handed_over(x, true, kind, n, bytes) : x;
}

static bool
agree(enum unit_kind kind, int n, int64_t bytes)
{
	struct repeats *x = run_passes(kind, n, bytes);
	bool right = true;
	struct err err;

	find_units(kind);
	for (int i = 0; i < TEXTS; i++) {
		struct span *got, want;
		ptrdiff_t count = repeats_next(x, 2 * i, buf_str(&text[i]), &got, &err);
		int at = first[i];

		for (ptrdiff_t k = 0; k < count; k++)
			right &= next_span(i, &at, n, &want) && want.from == got[k].from &&
			    want.to == got[k].to;
		right &= count >= 0 && !next_span(i, &at, n, &want);
	}
	repeats_free(x);
	return right;
}

static void
against_search(void)
{
	static const int length[] = { 1, 2, 3, 5, 8, 20, 50 };
	bool right[5] = { true, true, true, true, true };

	for (int round = 0; round < 20; round++) {
		make_texts(round % 2 == 0 ? 10 : 3);
		hand_over = round % 4 < 2;
		for (int kind = 0; kind < 5; kind++)
			right[kind] &= agree((enum unit_kind)kind, length[below(7)],
			    round % 3 == 0 ? 0 : 1 << 20);
	}
	ok(right[UNIT_WORD], "words");
	ok(right[UNIT_BYTE], "bytes");
	ok(right[UNIT_LINE], "lines");
	ok(right[UNIT_PARAGRAPH], "paragraphs");
	ok(right[UNIT_SENTENCE], "sentences");
}

static void
changed(void)
{
	struct repeats *x;
	struct span *span;
	struct err err = { 0 };

	make_texts(3);
	x = run_passes(UNIT_BYTE, 5, 0);
	for (int i = 0; i < TEXTS && err.code == ERR_NONE; i++)
		repeats_next(x, 2 * i, S("a"), &span, &err);
	ok(err.code == ERR_FORMAT, "a text that is another is told");
	repeats_free(x);
}

static void
wrong_pieces(void)
{
	static const char zeros[64 << 10];
	struct repeats *x = run_passes(UNIT_BYTE, 5, 0);
	struct repeats_stats was = repeats_stats(x), is;
	struct err err = { 0 };
	struct buf b = { 0 };

	ok(repeats_save(x, put_piece, &b, &err) == 0 && b.n > 100, "what was found is saved");
	repeats_free(x);
	x = repeats_new(UNIT_BYTE, 5, 0, 0, "/tmp", &err);
	ok(repeats_load(x, false, (str){ zeros, sizeof(zeros) }, &err) == -1 &&
	    err.code == ERR_FORMAT, "more than a table holds is refused");
	repeats_free(x);
	x = repeats_new(UNIT_BYTE, 5, 0, 0, "/tmp", &err);
	ok(repeats_load(x, true, (str){ b.p, 16 }, &err) == -1, "passages without their head are");
	repeats_free(x);
	x = repeats_new(UNIT_BYTE, 5, 0, 0, "/tmp", &err);
	ok(load_pieces(x, true, &b, &err) == 0, "a whole one is not");
	is = repeats_stats(x);
	ok(memcmp(&was, &is, sizeof(was)) == 0, "and the numbers are the same");
	ok(repeats_load(x, true, (str){ zeros, 16 }, &err) == -1 &&
	    repeats_load(x, true, (str){ b.p, 9 }, &err) == -1, "passages that are none are refused");
	repeats_free(x);
	buf_free(&b);
}

/* ---- borders ---- */

static void
borders(void)
{
	static const char *const piece[] = {
		"a", " ", "\r", "\n", "é", "e\xcc\x81", "中", "👨", "\xe2\x80\x8d", "🏽", "🇩", "🇪",
		"\xe0\xa4\x95", "\xe0\xa5\x8d", "한", "\xe1\x84\x80", "\xe1\x85\xa1", "\xd8\x80",
	};
	struct buf b = { 0 };
	bool right = true;

	for (int round = 0; round < 2000; round++) {
		struct graphemes g;
		bool border[512] = { true };
		const char *at, *end;
		utf8proc_int32_t state = 0;
		int32_t c, d;

		buf_reset(&b);
		for (int n = 1 + below(30); n > 0; n--)
			buf_add(&b, str_of(piece[below(18)]));
		at = b.p, end = b.p + b.n;
		for (c = utf8_next(&at, end); at < end; c = d) {
			ptrdiff_t p = at - b.p;

			d = utf8_next(&at, end);
			border[p] = utf8proc_grapheme_break_stateful(c, d, &state);
		}
		border[b.n] = true;
		graphemes_start(&g, buf_str(&b));
		for (ptrdiff_t p = below(4); p <= b.n; p += below(9)) {
			ptrdiff_t before = p, behind = p, x, y;

			while (!border[before])
				before--;
			while (!border[behind])
				behind++;
			graphemes_around(&g, p, &x, &y);
			right &= x == before && y == behind;
		}
	}
	ok(right, "graphemes, asked for here and there");
	buf_free(&b);
}

/* The text without [from, to), shrunk to borders. */
static bool
cuts(const char *s, ptrdiff_t from, ptrdiff_t to, enum cut_at at, const char *want)
{
	struct span span = { from, to };
	struct buf b = { 0 };
	struct err err;
	ptrdiff_t n = cut_align(str_of(s), &span, 1, at);
	bool right = cut_text(&b, str_of(s), &span, n, &err) == 0 && str_eq(buf_str(&b), str_of(want));

	if (!right)
		printf("# %.*s\n", STR_ARG(buf_str(&b)));
	buf_free(&b);
	return right;
}

static void
cutting(void)
{
	const char *s = "One two. Three four! Five";

	ok(cuts(s, 1, 12, CUT_CHAR, "O ee four! Five") &&
	    cuts(s, 1, 12, CUT_WORD, "One Three four! Five"),
	    "characters and words");
	ok(cuts(s, 0, 19, CUT_SENTENCE, "Three four! Five") && cuts(s, 1, 20, CUT_SENTENCE,
	    "One two. Five") && cuts(s, 1, 19, CUT_SENTENCE, s), "sentences");
	ok(cuts("a b\nc d\n\ne f", 2, 11, CUT_LINE, "a b\n\ne f"), "lines");
	ok(cuts("a\n  b c\n  d", 4, 7, CUT_WORD, "a\n  d"), "indentation stays with its line");
	ok(cuts("p\n\nb c d", 3, 6, CUT_WORD, "p\n\nd"), "the space with more newlines stays");
	ok(cuts("a b c", 0, 3, CUT_WORD, "c") && cuts("a b c\n", 2, 5, CUT_WORD, "a\n"), "ends");
	ok(cuts("a, b, c", 1, 5, CUT_WORD, "a c") && cuts("a-b-c", 1, 4, CUT_WORD, "a c"),
	    "words do not join");
	ok(cuts("中文字", 3, 6, CUT_WORD, "中字"), "characters of Han do");
	ok(cuts("中文。字。", 0, 12, CUT_SENTENCE, "字。"), "sentences of Han");
}

int
main(void)
{
	struct err err;

	team = team_new(3, &err);
	buckets();
	against_search();
	changed();
	wrong_pieces();
	borders();
	cutting();
	team_free(team);
	for (int i = 0; i < TEXTS; i++)
		buf_free(&text[i]);
	return tap_done();
}
