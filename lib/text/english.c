#include <stdlib.h>

#include "text/english_impl.h"

#define BLOCKS 64		/* of 64 bytes, looked at in one go */

/* A text on its way into pieces. */
struct scan {
	const char *at, *end;
	const char *from, *to;		/* what bits tells of, and that blanks follow */
	struct english_bits bits[BLOCKS + 2];
};

struct english *
english_new(struct err *err)
{
	struct english *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		err_set(err, ERR_NOMEM, "no memory for the rules of words");
		return NULL;
	}
	if (english_specials(r, err) < 0) {
		english_free(r);
		return NULL;
	}
	return r;
}

void
english_free(struct english *r)
{
	free(r);
}

void
english_words_free(struct english_words *w)
{
	free(w->word);
	free(w->tail);
	*w = (struct english_words){ 0 };
}

/* Bytes of the white space beyond ASCII at p, or 0. */
static inline int
high_space(const char *p, const char *end)
{
	unsigned char c = (unsigned char)*p;

	if (c != 0xc2 && (c < 0xe1 || c > 0xe3))
		return 0;
	if (c == 0xe2 && end - p >= 3 && p[1] == '\x80' && (unsigned char)p[2] > 0x8a &&
	    (unsigned char)p[2] < 0xa8)
		return 0;	/* dashes and quotes */
	return (uni_class(utf8_next(&p, end)) & UNI_SPACE) == 0 ? 0 : c == 0xc2 ? 2 : 3;
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c < ' ');
}

/* Bytes of white space at p, or 0. */
static int
space(const char *p, const char *end)
{
	return is_blank(*p) ? 1 : (signed char)*p < 0 ? high_space(p, end) : 0;
}

/* The next piece, a byte at a time: one that is long, or may end at white space beyond ASCII. */
static bool
walk_piece(struct scan *s, struct english_piece *x)
{
	const char *p = s->at, *end = s->end, *q;
	int n;

	while (p < end && (n = space(p, end)) > 0)
		p += n;
	for (q = p; q < end && space(q, end) == 0; q++)
		continue;
	*x = (struct english_piece){ .p = p, .end = q,
		.gap = p - s->at > 1 || (p > s->at && *s->at != ' ') };
	s->at = q;
	return p < q;
}

static void
start(struct scan *s, str text)
{
	s->at = s->from = s->to = text.p;
	s->end = text.p + text.n;
	s->bits[0] = s->bits[1] = (struct english_bits){ 0 };
}

/* Look at what is ahead. */
static void
look(struct scan *s)
{
	ptrdiff_t n = s->end - s->at;

	n = n < BLOCKS * 64 ? n : BLOCKS * 64;
	s->from = s->at;
	s->to = s->at + n;
	english_simd()->bits(s->from, n, s->bits);
	s->bits[n / 64 + 1] = (struct english_bits){ 0 };
}

/* Cut the next piece off.  At the end of the text it is empty. */
static inline bool
next_piece(struct scan *s, struct english_piece *x)
{
	const struct english_bits *b;
	const char *p = s->at;
	int shift, skip, n;
	uint64_t solid;

	if (s->to - p < 64 && s->to < s->end)
		look(s);
	b = s->bits + (p - s->from) / 64;
	shift = (int)((p - s->from) % 64);
	solid = english_ahead(b[0].solid, b[1].solid, shift);
	if (solid == 0 || solid == UINT64_MAX)
		return walk_piece(s, x);
	skip = __builtin_ctzll(solid);
	n = __builtin_ctzll(~(solid >> skip));
	if (skip + n == 64 ||
	    english_ahead(b[0].lead, b[1].lead, shift) << (63 - skip - n) != 0)
		return walk_piece(s, x);
	x->p = p + skip;
	x->end = s->at = x->p + n;
	x->gap = skip > 1 || (skip == 1 && *p != ' ');
	x->bits = b + (shift + skip) / 64;
	x->shift = (shift + skip) % 64;
	x->marked = english_ahead(x->bits[0].high, x->bits[1].high, x->shift) << (63 - n) == 0;
	x->letter = english_ahead(x->bits[0].letter, x->bits[1].letter, x->shift);
	return true;
}

static int
out_of_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "no memory for the words of a text");
}

int
english_split(const struct english *r, str text, struct english_words *w, struct err *err)
{
	struct scan s;
	struct english_piece x;

	w->n = 0;
	w->limit = text.p + text.n;
	if (text.n > INT32_MAX)
		return err_set(err, ERR_LIMIT, "a text of %td bytes is too long", text.n);
	start(&s, text);
	while (next_piece(&s, &x))
		if (english_piece(r, text.p, &x, w) < 0)
			return out_of_memory(err);
	return 0;
}

int64_t
english_sentences(const struct english *r, str text, int64_t limit, struct english_words *w,
    struct err *err)
{
	struct scan s;
	struct english_piece x;
	bool ended = false;
	int64_t n = 1;

	w->limit = text.p + text.n;
	start(&s, text);
	while (s.at < s.end && n < limit) {
		bool more = next_piece(&s, &x);

		if (x.gap && ended) {
			n++;		/* white space of its own starts a sentence */
			ended = false;
		}
		if (!more)
			break;
		w->n = 0;
		if (english_piece(r, text.p, &x, w) < 0)
			return out_of_memory(err);
		for (ptrdiff_t i = 0; i < w->n; i++) {
			unsigned flags = w->word[i].flags;

			if (ended && (flags & (WORD_PUNCT | WORD_TERMINAL)) == 0) {
				n++;
				ended = false;
			} else if ((flags & WORD_TERMINAL) != 0) {
				ended = true;
			}
		}
	}
	return n < limit ? n : limit;
}
