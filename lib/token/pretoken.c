#include "token/pretoken.h"

#include <stdlib.h>

#include "base/buf.h"
#include "text/unicode.h"
#include "token/bertclass.h"
#include "token/bytemap.h"
#include "token/pretoken_impl.h"
#include "token/uclass.h"

/* A part of a slice: what matched, or what lies between matches. */
struct range {
	const char	*p, *end;
	bool		 match;
};

/* Where a stage is in its slice. */
struct place {
	str		 slice;
	bool		 first;		/* it is what the whole text begins with */
	const char	*at;		/* up to here all is given out */
	struct matches	 it;		/* of a pattern */
	struct range	 found;		/* a match not given out yet, when p != NULL */
	struct range	 ahead;		/* a range not given out yet, when p != NULL */
	struct buf	 text;		/* the slice, rewritten */
};

struct pretoken_walk {
	const struct pretoken *p;
	struct place	 place[PRETOKEN_STAGES];
	str		 rest;		/* of the slice that is being cut */
	const char	*end;		/* of the text that it lies in */
	struct searcher	*searcher;
};

struct pretoken_walk *
pretoken_walk_new(const struct pretoken *p, struct err *err)
{
	struct pretoken_walk *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	w->p = p;
	for (int i = 0; i < p->n; i++)
		if (p->stage[i].pattern != NULL && w->searcher == NULL &&
		    (w->searcher = searcher_new(err)) == NULL) {
			pretoken_walk_free(w);
			return NULL;
		}
	return w;
}

void
pretoken_walk_free(struct pretoken_walk *w)
{
	if (w == NULL)
		return;
	for (int i = 0; i < PRETOKEN_STAGES; i++)
		buf_free(&w->place[i].text);
	searcher_free(w->searcher);
	free(w);
}

/* ---- rewriting ---- */

/* A mark for each space, and one before them all. */
static void
put_marks(const struct stage *s, struct place *p, str slice)
{
	char mark[4];
	str m = { mark, utf8_put(mark, s->one) };
	bool has = str_starts(slice, m) || (slice.n > 0 && slice.p[0] == ' ');

	if (!has && slice.n > 0 && (s->prepend == PREPEND_ALWAYS ||
	    (s->prepend == PREPEND_FIRST && p->first)))
		buf_add(&p->text, m);
	while (slice.n > 0) {
		buf_add(&p->text, str_cut(&slice, ' '));
		if (slice.p != NULL)
			buf_add(&p->text, m);
	}
}

/* Give a stage its slice. */
static int
place_start(struct pretoken_walk *w, int i, str slice, bool first, struct err *err)
{
	const struct stage *s = &w->p->stage[i];
	struct place *p = &w->place[i];

	p->first = first;
	if (s->rewrite != REWRITE_NOT) {
		buf_reset(&p->text);
		if (s->rewrite == REWRITE_MARK) {
			put_marks(s, p, slice);
		} else if (s->rewrite == REWRITE_BYTES) {
			bytemap_spell(&p->text, slice);
		} else {
			if (slice.n > 0 && slice.p[0] != ' ')
				buf_byte(&p->text, ' ');
			buf_add(&p->text, slice);
		}
		if (buf_ok(&p->text, err) < 0)
			return -1;
		slice = buf_str(&p->text);
		w->end = slice.p + slice.n;
	}
	p->slice = slice;
	p->at = slice.p;
	p->it = (struct matches){ .last = -1 };
	p->found.p = p->ahead.p = NULL;
	return 0;
}

int
pretoken_start(struct pretoken_walk *w, str text, bool first, struct err *err)
{
	if (text.n == 0)
		text.p = "";
	w->rest = (str){ text.p, 0 };
	w->end = text.p + text.n;
	if (w->searcher != NULL)
		searcher_start(w->searcher, text.n);
	for (int i = 1; i < w->p->n; i++) {
		w->place[i].slice = w->rest;
		w->place[i].at = text.p;
		w->place[i].found.p = w->place[i].ahead.p = NULL;
	}
	if (w->p->n > 0)
		return place_start(w, 0, text, first, err);
	w->rest = text;
	return 0;
}

/* ---- cutting ---- */

/* Find the next match of a pattern.  Return 1, 0, -1. */
static int
find_split(struct pretoken_walk *w, const struct stage *s, struct place *p, struct err *err)
{
	int got = onig_next(s->pattern, w->searcher, p->slice, &p->it, err);

	if (got > 0)
		p->found = (struct range){ p->slice.p + p->it.start, p->slice.p + p->it.end,
		    true };
	return got;
}

static bool
is_one(const struct stage *s, const uint8_t *class, const char *at, const char *end, int *len)
{
	const char *p = at;
	int32_t c;

	if (s->chars == CHARS_NUMBER)
		return (uclass_at(class, at, end, len) & UC_N) != 0;
	if (s->chars == CHARS_SPACE)
		return (uclass_at(class, at, end, len) & UC_SPACE) != 0;
	c = utf8_next(&p, end);
	*len = (int)(p - at);
	return s->chars == CHARS_ONE ? c == s->one : (bert_class(c) & BERT_PUNCT) != 0;
}

/* Find characters: one, or all in a row where it makes no difference. */
static int
find_chars(struct pretoken_walk *w, const struct stage *s, struct place *p)
{
	bool all = s->behavior == CONTIGUOUS || s->behavior == REMOVED;
	const char *end = p->slice.p + p->slice.n, *at = p->at, *start = NULL;

	while (at < end) {
		int len;
		bool is = is_one(s, w->p->class, at, end, &len);

		if (start != NULL && (!is || !all))
			break;
		if (is && start == NULL)
			start = at;
		at += len;
	}
	if (start == NULL)
		return 0;
	p->found = (struct range){ start, at, true };
	return 1;
}

/* The next match or gap.  Return 1, 0 at the end, -1. */
static int
range_next(struct pretoken_walk *w, const struct stage *s, struct place *p, struct range *r,
    struct err *err)
{
	const char *end = p->slice.p + p->slice.n;
	int got = 1;

	if (p->at == end)
		return 0;
	if (p->found.p == NULL)
		got = s->kind == STAGE_SPLIT ? find_split(w, s, p, err) : find_chars(w, s, p);
	if (got < 0)
		return -1;
	if (got == 0) {
		*r = (struct range){ p->at, end, false };
	} else if (p->found.p > p->at) {
		*r = (struct range){ p->at, p->found.p, false };
	} else {
		*r = p->found;
		p->found.p = NULL;
	}
	p->at = r->end;
	r->match ^= s->invert;
	return 1;
}

static bool
joins(enum behavior b, const struct range *left, const struct range *right)
{
	if (b == MERGED_PREVIOUS)
		return right->match && !left->match;
	if (b == MERGED_NEXT)
		return left->match && !right->match;
	return b == CONTIGUOUS && left->match == right->match;
}

/* The next slice of a stage that cuts at what matches; it may be empty. */
static int
split_next(struct pretoken_walk *w, const struct stage *s, struct place *p, str *slice,
    struct err *err)
{
	struct range r = p->ahead, next;
	int got = r.p != NULL;

	p->ahead.p = NULL;
	for (;;) {
		if (!got && (got = range_next(w, s, p, &r, err)) <= 0)
			return got;
		if (s->behavior != REMOVED || !r.match)
			break;
		got = 0;
	}
	slice->p = r.p;
	while (s->behavior >= MERGED_PREVIOUS) {
		if ((got = range_next(w, s, p, &next, err)) < 0)
			return -1;
		if (got == 0)
			break;
		if (!joins(s->behavior, &r, &next)) {
			p->ahead = next;
			break;
		}
		r = next;
	}
	slice->n = r.end - slice->p;
	return 1;
}

static int
length_next(const struct stage *s, struct place *p, str *slice)
{
	const char *end = p->slice.p + p->slice.n, *at = p->at;

	for (int64_t i = 0; i < s->length && at < end; i++)
		utf8_next(&at, end);
	*slice = (str){ p->at, at - p->at };
	p->at = at;
	return slice->n > 0;
}

static int
stage_next(struct pretoken_walk *w, int i, str *slice, struct err *err)
{
	const struct stage *s = &w->p->stage[i];
	struct place *p = &w->place[i];
	const char *end = p->slice.p + p->slice.n;
	int32_t cut;

	if (s->kind == STAGE_LENGTH)
		return length_next(s, p, slice);
	if (s->kind != STAGE_SCAN)
		return split_next(w, s, p, slice, err);
	if (p->at == end)
		return 0;
	if (s->scan == SCAN_NONE)
		cut = (int32_t)(end - p->at);
	else
		scan_words(s->scan, w->p->class, p->at, end, &cut, 1);
	*slice = (str){ p->at, cut };
	p->at += cut;
	return 1;
}

/* The next slice of the last stage. */
static int
slice_next(struct pretoken_walk *w, str *slice, struct err *err)
{
	int n = w->p->n, i = n - 1;

	while (i >= 0) {
		const struct place *p = &w->place[i];
		int got = stage_next(w, i, slice, err);

		if (got < 0)
			return -1;
		if (got == 0) {
			i--;
			continue;
		}
		if (slice->n == 0)
			continue;
		if (i == n - 1)
			return 1;
		if (place_start(w, i + 1, *slice, p->first && slice->p == p->slice.p, err) < 0)
			return -1;
		i++;
	}
	return 0;
}

int
pretoken_next(struct pretoken_walk *w, const char **base, const char **end, int32_t *cut,
    int max, struct err *err)
{
	int n;

	while (w->rest.n == 0) {
		int got = w->p->n > 0 ? slice_next(w, &w->rest, err) : 0;

		if (got <= 0)
			return got;
	}
	*base = w->rest.p;
	*end = w->end;
	n = scan_words(w->p->last, w->p->class, *base, *base + w->rest.n, cut, max);
	w->rest.p += cut[n - 1];
	w->rest.n -= cut[n - 1];
	return n;
}
