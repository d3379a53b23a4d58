#include "token/unigram.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PENALTY	10.0		/* of an unknown character, below the least likely piece */
#define RESET	100000.0	/* beyond this a sum in floats begins anew */
#define WORD	62		/* bytes of those that unigram_word() makes */

/* The best way to a place in the text, and the score of the next best. */
struct unigram_node {
	double	score, second;
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

/* What each token adds to a sum: a character's first byte does so for all of it. */
static int
set_steps(struct unigram *u, int32_t n, struct err *err)
{
	if ((u->step = malloc((size_t)n * sizeof(*u->step))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int32_t i = 0; i < n; i++)
		u->step[i] = (float)u->score[i];
	for (int b = 0; b < 256 && u->spelled; b++)
		u->step[u->byte_id[b]] = (b & 0xc0) == 0x80 ? 0 : (float)u->unknown_score;
	return 0;
}

int
unigram_init(struct unigram *u, int32_t n, const str *piece, double least, struct err *err)
{
	struct darts_key *key = malloc((size_t)n * sizeof(*key));
	int64_t keys = 0;
	int ret;

	u->on = true;
	u->unknown_score = u->floats ? (double)(float)(least - PENALTY) : least - PENALTY;
	u->largest = fabs(u->unknown_score);
	u->spelled = u->fallback;
	for (int b = 0; b < 256 && u->spelled; b++)
		u->spelled = u->byte_id[b] >= 0;
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
		u->largest = fmax(u->largest, fabs(u->score[i]));
		if (s.n > u->longest)
			u->longest = s.n;
	}
	ret = darts_build(&u->trie, key, keys, err);
	free(key);
	return ret < 0 || (u->floats && set_steps(u, n, err) < 0) ? -1 : 0;
}

void
unigram_free(struct unigram *u)
{
	free(u->score);
	free(u->step);
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

static void
put_bytes(struct writer *w, str s)
{
	for (ptrdiff_t i = 0; i < s.n; i++)
		w->id[w->n++] = w->u->byte_id[(uint8_t)s.p[i]];
}

/* The unknown text: its bytes, if each has a token, or one token. */
static int
put_unknown(struct writer *w, struct err *err)
{
	const struct unigram *u = w->u;
	bool bytes = u->fallback;

	for (ptrdiff_t i = 0; i < w->unknown.n && bytes; i++)
		bytes = u->byte_id[(uint8_t)w->unknown.p[i]] >= 0;
	if (bytes) {
		put_bytes(w, w->unknown);
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
	if (id == w->u->unknown && w->u->spelled) {
		put_bytes(w, piece);
		return 0;
	}
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
offer(struct unigram_node *to, double score, int32_t n, int32_t id, bool floats)
{
	if (floats)
		score = (double)(float)score;
	if (to->from != 0 && !(score > to->score)) {
		to->second = score > to->second ? score : to->second;
		return;
	}
	to->second = to->from != 0 ? to->score : -(double)INFINITY;
	to->score = score;
	to->from = n;
	to->id = id;
}

/* Sums of node[at] and the reached ones behind go on from 0, so that floats can tell them. */
static void
reset(struct unigram_node *node, int32_t at, int32_t reach)
{
	float offset = (float)node[at].score;

	for (int32_t i = at; i <= reach || i == at; i++)
		if (i == at || node[i].from != 0)
			node[i].score = (double)((float)node[i].score - offset);
}

/*
 * Take the ways from node[at], in the text s from there, on to the nodes behind.
 * *reach: the last that a way leads to.  Return the bytes of the character.
 */
static inline int32_t
extend(const struct unigram *u, struct unigram_node *node, int32_t at, str s, int32_t *reach,
    bool floats)
{
	uint32_t place = darts_root(&u->trie);
	int32_t one = char_bytes(s.p[0]), id;
	bool single = false;
	double score;

	if (one > s.n)
		one = (int32_t)s.n;
	if (floats && fabs(node[at].score) > RESET)
		reset(node, at, *reach);
	score = node[at].score;
	for (ptrdiff_t i = 0; i < s.n && darts_step(&u->trie, &place, (uint8_t)s.p[i], &id); ) {
		i++;
		if (id < 0)
			continue;
		while (*reach < at + i)
			node[++*reach].from = 0;
		offer(&node[at + i], u->score[id] + score, (int32_t)i, id, floats);
		single |= i == one;
	}
	if (!single) {
		while (*reach < at + one)
			node[++*reach].from = 0;
		offer(&node[at + one], u->unknown_score + score, one, u->unknown, floats);
	}
	return one;
}

/* Unknown text at its end is not yet written. */
static int
put_text(struct writer *w, struct unigram_scratch *s, str text, double *total, struct err *err)
{
	const struct unigram *u = w->u;
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

			if (put_way(w, s->node, p, at, err) < 0)
				return -1;
			p += at;
			at = reach = 0;
			s->node[0] = (struct unigram_node){ .score = score };
		}
		if (reserve(s, at + 1 + (left < ahead ? left : ahead), err) < 0)
			return -1;
		at += extend(u, s->node, at, (str){ p + at, left }, &reach, u->floats);
	}
	*total = s->node[at].score;
	return put_way(w, s->node, p, at, err);
}

int64_t
unigram_text(const struct unigram *u, struct unigram_scratch *s, str text, int32_t *id,
    struct err *err)
{
	struct writer w = { .u = u, .id = id };
	double total = 0;

	if (put_text(&w, s, text, &total, err) < 0 || (w.unknown.n > 0 && put_unknown(&w, err) < 0))
		return -1;
	return w.n;
}

/* ---- words in floats ---- */

/*
 * Sums up to an exponent are rounded by less than what the best way through a
 * word is ahead of the next; the first id of a word has this exponent in the bits
 * where floats have theirs.  NEVER: none is so small.
 */
#define ID_BITS	23
#define ID_MASK	(((uint32_t)1 << ID_BITS) - 1)
#define NEVER	1u

static inline uint32_t
bits_of(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* Below which power of two a sum may be before a word of n characters, so far ahead. */
static uint32_t
exponent_for(const struct unigram *u, double ahead, int32_t n)
{
	/* Each of n sums adds half a unit in the last place to both ways, at most. */
	double most = ahead / (1.01 * n * 0x1p-23) - n * u->largest;

	if (!(most >= 1.0))
		return NEVER;
	return bits_of(most < (double)FLT_MAX ? (float)most : INFINITY) >> ID_BITS;
}

int64_t
unigram_word(const struct unigram *u, str word, int32_t *id)
{
	struct unigram_node node[WORD + 1];
	struct writer w = { .u = u, .id = id };
	double ahead = (double)INFINITY;
	int32_t n = (int32_t)word.n, reach = 0, chars = 0;

	id[0] = (int32_t)(NEVER << ID_BITS);
	if (n > WORD)
		return 1;
	node[0] = (struct unigram_node){ 0 };
	for (int32_t at = 0; at < n; chars++)
		at += extend(u, node, at, (str){ word.p + at, n - at }, &reach, false);
	for (int32_t at = n; at > 0; at -= node[at].from) {
		ahead = fmin(ahead, node[at].score - node[at].second);
		if (node[at].id == u->unknown && !u->spelled)
			return 1;
	}
	put_way(&w, node, word.p, n, NULL);
	id[0] |= (int32_t)(exponent_for(u, ahead, chars) << ID_BITS);
	return w.n;
}

/* The bits of a sum that is too large for words as they are remembered. */
static uint32_t
too_large(const struct writer *w)
{
	double near = RESET - WORD * w->u->largest;

	return w->unknown.n > 0 || near < 0 ? 0 : bits_of((float)near);
}

int64_t
unigram_settle(const struct unigram *u, struct unigram_scratch *s, struct unigram_sum *sum,
    const char *base, const int32_t *cut, const int32_t *made, int64_t n, int32_t *id,
    struct err *err)
{
	struct writer w = { .u = u, .id = id, .unknown = sum->unknown };
	uint32_t most = too_large(&w);
	float total = sum->total;
	int word = -1;

	for (int64_t i = 0; i < n; i++) {
		uint32_t exponent = (uint32_t)made[i] >> ID_BITS;
		uint32_t bits = bits_of(total) & INT32_MAX;
		uint32_t least = bits < most ? bits >> ID_BITS | NEVER : UINT32_MAX;

		word += exponent != 0;
		/* That of what goes on in a word becomes the largest. */
		if (exponent - 1 < least) {
			double score = (double)total;
			int32_t from = word > 0 ? cut[word - 1] : 0;

			w.n = id - w.id;
			if (put_text(&w, s, (str){ base + from, cut[word] - from }, &score,
			    err) < 0)
				return -1;
			id = w.id + w.n;
			total = (float)score;
			most = too_large(&w);
			while (i + 1 < n && (uint32_t)made[i + 1] >> ID_BITS == 0)
				i++;
			continue;
		}
		*id = (int32_t)((uint32_t)made[i] & ID_MASK);
		total += u->step[*id++];
	}
	sum->total = total;
	sum->unknown = w.unknown;
	return id - w.id;
}

int64_t
unigram_end(const struct unigram *u, struct unigram_sum *sum, int32_t *id, struct err *err)
{
	struct writer w = { .u = u, .id = id, .unknown = sum->unknown };

	return w.unknown.n > 0 && put_unknown(&w, err) < 0 ? -1 : w.n;
}
