#include "token/bpe_train.h"

#include <stdlib.h>

#include "token/bpe_pairs.h"
#include "token/bpe_row.h"
#include "token/bytemap.h"
#include "token/strmap.h"

#define STEP	8	/* a threshold is this part of the one before */

/* A pair that the merge at hand makes: its new token, and a token at its left or right. */
struct made {
	uint32_t	other;
	bool		left;
	int64_t		count;
	struct places	places;
};

struct train {
	const struct bpe_opts *opts;
	struct row	 row;
	struct pairs	 pairs;
	int64_t		 threshold;
	struct made	*made;
	int64_t		 nmade, cap_made;
	uint32_t	*by_left, *by_right;	/* by the other token: its made + 1, or 0 */
	struct bpe_model *model;
	struct strmap	 names;			/* of the model's tokens */
	int64_t		 npool, cap_pool;
	int64_t		*name_off;		/* token i is at pool + name_off[i] */
};

/* The new token has a neighbour, n times more; the pair begins at cell `at'. */
static int
made(struct train *t, uint32_t other, bool left, int64_t at, int64_t n, struct err *err)
{
	uint32_t *index = &(left ? t->by_left : t->by_right)[other];

	if (*index == 0) {
		if (PAIRS_GROW(t->made, t->nmade, t->cap_made, err) < 0)
			return -1;
		t->made[t->nmade++] = (struct made){ .other = other, .left = left };
		*index = (uint32_t)t->nmade;
	}
	t->made[*index - 1].count += n;
	return places_add(&t->pairs, &t->made[*index - 1].places, at, err);
}

/* A pair is there n times less.  Those that begin with the new token are not in the set yet. */
static void
lost(struct train *t, uint32_t left, uint32_t right, uint32_t id, int64_t n)
{
	struct pair *p;

	if (left == id)
		t->made[t->by_right[right] - 1].count -= n;
	else if ((p = pairs_find(&t->pairs, pair_key(left, right))) != NULL)
		p->count -= n;
}

/* Merge the symbols at cell `at' and after it into id, if they are a and b still. */
static int
merge_at(struct train *t, int64_t at, uint32_t a, uint32_t b, uint32_t id, struct err *err)
{
	struct row *r = &t->row;
	int64_t right, end, left, n;
	uint32_t before, after;

	if (r->cell[at] != a || r->cell[right = row_after(r, at)] != b)
		return 0;
	end = row_after(r, right);
	left = row_before(r, at);
	before = r->cell[left];
	after = r->cell[end];
	n = row_count(r, at);
	row_join(r, at, right, end, (int32_t)id);
	if (!cell_is_wall(before)) {
		lost(t, before, a, id, n);
		if (made(t, before, true, left, n, err) < 0)
			return -1;
	}
	if (!cell_is_wall(after)) {
		lost(t, b, after, id, n);
		if (made(t, after, false, at, n, err) < 0)
			return -1;
	}
	return 0;
}

/* What was made joins the set if it is there often enough. */
static int
queue_made(struct train *t, uint32_t id, struct err *err)
{
	for (int64_t i = 0; i < t->nmade; i++) {
		struct made *m = &t->made[i];
		uint64_t key = m->left ? pair_key(m->other, id) : pair_key(id, m->other);

		(m->left ? t->by_left : t->by_right)[m->other] = 0;
		if (m->count < t->threshold)
			places_drop(&t->pairs, &m->places);
		else if (pairs_add(&t->pairs, key, m->count, m->places, err) < 0)
			return -1;
	}
	t->nmade = 0;
	return 0;
}

/* Merge the occurrences of a pair; of those that overlap, the left one. */
static int
merge_pair(struct train *t, struct pair *p, uint32_t id, struct err *err)
{
	struct places places = p->places;
	struct place_walk walk = { &places, places.first, 0, 0 };
	uint32_t a = (uint32_t)(p->key >> 32), b = (uint32_t)p->key;

	p->places = (struct places){ 0 };
	for (int64_t at; (at = places_next(&walk)) >= 0; )
		if (merge_at(t, at, a, b, id, err) < 0)
			return -1;
	places_drop(&t->pairs, &places);
	return queue_made(t, id, err);
}

/* Append a token's bytes (left and right) to the model. */
static int
name_token(struct train *t, str left, str right, struct err *err)
{
	struct bpe_model *m = t->model;
	int64_t n = left.n + right.n;

	if (t->npool + n > t->cap_pool) {
		int64_t cap = 2 * (t->npool + n) + 4096;
		char *old = m->pool, *p = malloc((size_t)cap);

		if (p == NULL)
			return err_set(err, ERR_NOMEM, "out of memory for the vocabulary");
		if (t->npool > 0)
			memcpy(p, old, (size_t)t->npool);
		m->pool = p;
		t->cap_pool = cap;
		for (int32_t i = 0; i < m->n; i++)
			m->token[i].p = p + t->name_off[i];
		memcpy(p + t->npool, left.p, (size_t)left.n);
		memcpy(p + t->npool + left.n, right.p, (size_t)right.n);
		free(old);
	} else {
		memcpy(m->pool + t->npool, left.p, (size_t)left.n);
		memcpy(m->pool + t->npool + left.n, right.p, (size_t)right.n);
	}
	t->name_off[m->n] = t->npool;
	m->token[m->n++] = (str){ m->pool + t->npool, n };
	t->npool += n;
	return 0;
}

static int
first_tokens(struct train *t, struct err *err)
{
	const struct bpe_opts *o = t->opts;
	int32_t vocab = o->vocab;
	struct bpe_model *m = t->model;
	struct bytemap map;

	if (o->nspecial > BPE_SPECIALS || vocab < 256 + o->nspecial)
		return err_set(err, ERR_ARG, "a vocabulary needs %d tokens at least, for bytes and "
		    "special tokens", 256 + o->nspecial);
	m->token = calloc((size_t)vocab, sizeof(*m->token));
	m->merge = calloc((size_t)vocab, sizeof(*m->merge));
	t->name_off = calloc((size_t)vocab, sizeof(*t->name_off));
	t->by_left = calloc((size_t)vocab, sizeof(*t->by_left));
	t->by_right = calloc((size_t)vocab, sizeof(*t->by_right));
	if (m->token == NULL || m->merge == NULL || t->name_off == NULL || t->by_left == NULL ||
	    t->by_right == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %d tokens", (int)vocab);
	if (strmap_init(&t->names, vocab, m->token, err) < 0)
		return -1;
	for (int i = 0; i < o->nspecial; i++) {
		if (o->special[i].n < 2)
			return err_set(err, ERR_ARG, "a special token has two bytes at least");
		if (name_token(t, o->special[i], S(""), err) < 0)
			return -1;
		if (strmap_add(&t->names, i) != i)
			return err_set(err, ERR_ARG, "special token '%.*s' is there twice",
			    STR_ARG(o->special[i]));
	}
	m->nspecial = o->nspecial;
	bytemap_init(&map);
	for (int i = 0; i < 256; i++) {
		char c = (char)map.order[i];

		if (name_token(t, (str){ &c, 1 }, S(""), err) < 0)
			return -1;
		strmap_add(&t->names, o->nspecial + i);
	}
	return 0;
}

/*
 * Make the token of a pair.  Return 1, 0 when it is spelt like a special one,
 * -1.  No other can be spelt like it: since a pair is merged wherever it is,
 * the same string between the same ends is always made of the same two.
 */
static int
make_token(struct train *t, uint64_t key, struct err *err)
{
	struct bpe_model *m = t->model;
	int32_t id = m->n;

	if (name_token(t, m->token[key >> 32], m->token[(uint32_t)key], err) < 0)
		return -1;
	if (strmap_add(&t->names, id) != id) {
		t->npool = t->name_off[--m->n];
		return 0;
	}
	m->merge[m->nmerges][0] = (int32_t)(key >> 32);
	m->merge[m->nmerges++][1] = (int32_t)(uint32_t)key;
	return 1;
}

/* Merge the pairs that are there at least threshold times. */
static int
merge_above(struct train *t, struct err *err)
{
	const struct bpe_opts *o = t->opts;
	struct pair *p;

	while (t->model->n < o->vocab &&
	    (p = pairs_pop(&t->pairs, t->threshold)) != NULL) {
		int made_it = make_token(t, p->key, err);

		if (made_it < 0 ||
		    (made_it > 0 && merge_pair(t, p, (uint32_t)t->model->n - 1, err) < 0))
			return -1;
		if (o->progress != NULL)
			o->progress(o->ctx, t->model->n, o->vocab);
	}
	return 0;
}

/* From one threshold to the next lower; the first is that of the most frequent pair. */
static int
merge_all(struct train *t, struct err *err)
{
	const struct bpe_opts *o = t->opts;
	int64_t most;

	t->threshold = INT64_MAX;
	while (t->model->n < o->vocab && t->threshold > 0) {
		row_close(&t->row);
		if (pairs_init(&t->pairs, &t->row, t->threshold, o->dir, o->memory / 4, &most,
		    err) < 0)
			return -1;
		if (t->pairs.n > 0 && merge_above(t, err) < 0)
			return -1;
		t->threshold = t->threshold == 1 ? 0 : most < t->threshold ? most : t->threshold;
		t->threshold = t->threshold > STEP ? t->threshold / STEP : t->threshold > 0;
		pairs_free(&t->pairs);
		t->pairs = (struct pairs){ 0 };
	}
	t->model->encoded = row_close(&t->row);
	return 0;
}

int
bpe_train(struct words *words, const struct bpe_opts *o, struct bpe_model *m, struct err *err)
{
	struct train t = { .opts = o, .model = m };
	int32_t id[256];
	int ret = -1;

	*m = (struct bpe_model){ 0 };
	if (first_tokens(&t, err) == 0) {
		for (int i = 0; i < 256; i++)
			id[(uint8_t)m->token[m->nspecial + i].p[0]] = m->nspecial + i;
		if (row_init(&t.row, words, id, o->dir, o->memory / 2, err) == 0)
			ret = merge_all(&t, err);
	}
	row_free(&t.row);
	pairs_free(&t.pairs);
	strmap_free(&t.names);
	free(t.made);
	free(t.by_left);
	free(t.by_right);
	free(t.name_off);
	if (ret < 0)
		bpe_model_free(m);
	return ret;
}

void
bpe_model_free(struct bpe_model *m)
{
	free(m->token);
	free(m->merge);
	free(m->pool);
	*m = (struct bpe_model){ 0 };
}
