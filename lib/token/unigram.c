#include "token/unigram.h"

#include <math.h>
#include <stdlib.h>

#define PENALTY	10.0		/* of an unknown character, below the least likely piece */

/* The best way to a place in the text. */
struct unigram_node {
	double	score;
	int32_t	from;		/* bytes before this place; 0: no way leads here yet */
	int32_t	id;
};

/* What ids are written, and the unknown text before them that is not yet. */
struct writer {
	const struct unigram *u;
	int32_t		*id;
	int64_t		 n;
	str		 unknown;
};

int
unigram_init(struct unigram *u, int32_t n, const str *piece, double least, struct err *err)
{
	struct darts_key *key = malloc((size_t)n * sizeof(*key));
	int64_t keys = 0;
	int ret;

	u->on = true;
	u->unknown_score = u->floats ? (double)(float)(least - PENALTY) : least - PENALTY;
	if (key == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < n; i++) {
		str s = piece[i];

		if (s.p == NULL || s.n == 0 || isnan(u->score[i]))
			continue;
		if (memchr(s.p, '\0', (size_t)s.n) != NULL) {
			free(key);
			return err_set(err, ERR_FORMAT, "token %d of Unigram has a NUL in it",
			    (int)i);
		}
		key[keys++] = (struct darts_key){ s, i };
		if (s.n > u->longest)
			u->longest = s.n;
	}
	ret = darts_build(&u->trie, key, keys, err);
	free(key);
	return ret;
}

void
unigram_free(struct unigram *u)
{
	free(u->score);
	darts_free(&u->trie);
	*u = (struct unigram){ 0 };
}

void
unigram_scratch_free(struct unigram_scratch *s)
{
	free(s->node);
	*s = (struct unigram_scratch){ 0 };
}

/* ---- what is written ---- */

/* The unknown text: its bytes, if each has a token, or one token. */
static int
put_unknown(struct writer *w, struct err *err)
{
	const struct unigram *u = w->u;
	bool bytes = u->fallback;

	for (ptrdiff_t i = 0; i < w->unknown.n && bytes; i++)
		bytes = u->byte_id[(uint8_t)w->unknown.p[i]] >= 0;
	if (bytes) {
		for (ptrdiff_t i = 0; i < w->unknown.n; i++)
			w->id[w->n++] = u->byte_id[(uint8_t)w->unknown.p[i]];
	} else if (u->unknown >= 0) {
		w->id[w->n++] = u->unknown;
	} else {
		return err_set(err, ERR_FORMAT, "the tokenizer has no token for '%.*s', nor for "
		    "what is unknown", (int)(w->unknown.n < 32 ? w->unknown.n : 32),
		    w->unknown.p);
	}
	w->unknown.n = 0;
	return 0;
}

static int
put(struct writer *w, int32_t id, str piece, struct err *err)
{
	if (id == w->u->unknown) {
		if (w->unknown.n == 0)
			w->unknown.p = piece.p;
		w->unknown.n += piece.n;
		return 0;
	}
	if (w->unknown.n > 0 && put_unknown(w, err) < 0)
		return -1;
	w->id[w->n++] = id;
	return 0;
}

/* The best way to node[n], from the text at p on. */
static int
put_way(struct writer *w, struct unigram_node *node, const char *p, int32_t n, struct err *err)
{
	int32_t at = n, len = node[n].from;

	/* Turn it: each then tells how long the next piece is, and which. */
	for (int32_t id = node[n].id; at > 0; ) {
		int32_t before = at - len;
		struct unigram_node back = node[before];

		node[before].from = len;
		node[before].id = id;
		at = before;
		len = back.from;
		id = back.id;
	}
	for (; at < n; at += node[at].from)
		if (put(w, node[at].id, (str){ p + at, node[at].from }, err) < 0)
			return -1;
	return 0;
}

/* ---- Viterbi ---- */

static int
reserve(struct unigram_scratch *s, ptrdiff_t n, struct err *err)
{
	ptrdiff_t cap = n + n / 2 + 64;
	struct unigram_node *node;

	if (n <= s->cap)
		return 0;
	if (n > INT32_MAX / 2)
		return err_set(err, ERR_LIMIT, "a stretch of text of %td bytes without an end", n);
	if ((node = realloc(s->node, (size_t)cap * sizeof(*node))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a word of %td bytes", n);
	s->node = node;
	s->cap = cap;
	return 0;
}

static inline int
char_bytes(char c)
{
	uint8_t b = (uint8_t)c;

	return b < 0xc0 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

/* A way of this score to *to, the last n bytes being token id. */
static inline void
offer(const struct unigram *u, struct unigram_node *to, double score, int32_t n, int32_t id)
{
	if (u->floats)
		score = (double)(float)score;
	if (to->from != 0 && !(score > to->score))
		return;
	to->score = score;
	to->from = n;
	to->id = id;
}

/*
 * Take the ways from node[at], in the text s from there, on to the nodes behind.
 * *reach: the last that a way leads to.  Return the bytes of the character.
 */
static inline int32_t
extend(const struct unigram *u, struct unigram_node *node, int32_t at, str s, int32_t *reach)
{
	double score = node[at].score;
	uint32_t place = darts_root(&u->trie);
	int32_t one = char_bytes(s.p[0]), id;
	bool single = false;

	if (one > s.n)
		one = (int32_t)s.n;
	for (ptrdiff_t i = 0; i < s.n && darts_step(&u->trie, &place, (uint8_t)s.p[i], &id); ) {
		i++;
		if (id < 0)
			continue;
		while (*reach < at + i)
			node[++*reach].from = 0;
		offer(u, &node[at + i], u->score[id] + score, (int32_t)i, id);
		single |= i == one;
	}
	if (!single) {
		while (*reach < at + one)
			node[++*reach].from = 0;
		offer(u, &node[at + one], u->unknown_score + score, one, u->unknown);
	}
	return one;
}

int64_t
unigram_text(const struct unigram *u, struct unigram_scratch *s, str text, double *total,
    int32_t *id, struct err *err)
{
	struct writer w = { .u = u, .id = id };
	const char *p = text.p, *end = text.p + text.n;
	ptrdiff_t ahead = u->longest > 4 ? u->longest : 4;
	int32_t at = 0, reach = 0;

	if (reserve(s, 1, err) < 0)
		return -1;
	s->node[0] = (struct unigram_node){ .score = *total };
	while (p + at < end) {
		ptrdiff_t left = end - (p + at);

		/* No way passes this place: the best to it is a part of the best. */
		if (at > 0 && at == reach) {
			double score = s->node[at].score;

			if (put_way(&w, s->node, p, at, err) < 0)
				return -1;
			p += at;
			at = reach = 0;
			s->node[0] = (struct unigram_node){ .score = score };
		}
		if (reserve(s, at + 1 + (left < ahead ? left : ahead), err) < 0)
			return -1;
		at += extend(u, s->node, at, (str){ p + at, left }, &reach);
	}
	*total = s->node[at].score;
	if (put_way(&w, s->node, p, at, err) < 0 ||
	    (w.unknown.n > 0 && put_unknown(&w, err) < 0))
		return -1;
	return w.n;
}
