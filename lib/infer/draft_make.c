/* Guesses, by lookup, or by an engine. */
#include <math.h>

#include "base/progress.h"
#include "infer/draft_impl.h"

enum {
	NGRAM_MIN = 2, NGRAM_MAX = 16,	/* tokens that a lookup goes by */
	FOLLOW = 256,		/* tokens of texts that a smaller model reads in a step */
	STAYS = 64		/* steps over which it pays what it has read */
};

/* A guess that the guesser itself gives less than this, it keeps to itself. */
#define SURE 0.3

/* ---- by lookup ---- */

/*
 * What followed the last time that the text had the longest end of it, searched
 * from the end.  Return how many tokens are the same, or 0.
 */
static int64_t
look_up(const int32_t *t, int64_t n, int64_t *at)
{
	int64_t best = NGRAM_MIN - 1;

	for (int64_t end = n - 1; end >= NGRAM_MIN && best < NGRAM_MAX; end--) {
		int64_t same = 0;

		while (same < end && same < NGRAM_MAX && t[end - 1 - same] == t[n - 1 - same])
			same++;
		if (same > best) {
			best = same;
			*at = end;
		}
	}
	return best < NGRAM_MIN ? 0 : best;
}

static int
kind_of(int64_t same)
{
	return same < 3 ? 0 : same < 5 ? 1 : same < 9 ? 2 : 3;
}

void
draft_look(struct draft *d, struct guess *g)
{
	const int32_t *t = seq_tokens(g->seq);
	int64_t n = seq_length(g->seq), most = d->most < g->room ? d->most : g->room, at, same;

	if (d->e != NULL) {
		g->kind = DRAFT_KINDS - 1;
		g->able = g->left_out || (!d->early && n > engine_context(d->e)) ? 0 : most;
		return;
	}
	if ((same = look_up(t, n, &at)) == 0)
		return;
	g->kind = kind_of(same);
	g->able = g->made = most;
	/* Past the end the text is thought to repeat itself. */
	for (int64_t i = 0; i < most; i++)
		g->token[i] = at + i < n ? t[at + i] : g->token[at + i - n];
}

/* As far as its grammar allows. */
static void
take(struct guess *g)
{
	g->n = g->asked;
	if (g->n == 0 || g->matcher->c == NULL)
		return;
	matcher_copy(&g->at, g->matcher);
	for (int64_t i = 0; i < g->n; i++) {
		struct err why;

		if (matcher_token(&g->at, g->token[i], &why) <= 0)
			g->n = g->asked = g->made = i;
	}
	matcher_end(&g->at);
}

/* ---- by an engine ---- */

double
draft_price(const struct draft *d, const struct guess *g, int64_t others)
{
	int64_t behind;
	double price;

	if (d->e == NULL)
		return 0;
	if (rowtime_of(&d->own, 1) == 0)
		return rowtime_of(&d->pass, 1) * (others == 0 ? 0.1 : 0.01);
	if (d->early)
		return rowtime_of(&d->own, 1);
	price = rowtime_of(&d->own, others + 1) - (others > 0 ? rowtime_of(&d->own, others) : 0);
	behind = seq_length(g->seq) - (g->own != NULL ? seq_computed(g->own) : 0);
	if (g->asked == 0 && behind > DRAFT_MAX)
		price += rowtime_of(&d->own, behind) / STAYS;
	return price;
}

/* It guesses no more in this step. */
static void
stop(struct guess *g)
{
	g->made = g->n;
	matcher_end(&g->at);
}

/* The next token of a text as the engine has it, if that is sure.  Does it go on?  1 or 0; -1. */
static int
next(struct draft *d, struct guess *g, struct seq *s, struct err *err)
{
	int64_t vocab = engine_config(d->e)->vocab;
	struct sampler_at at = { .logits = seq_logits(s), .before = seq_tokens(s),
	    .n_before = seq_length(s), .stream = g->r->stream,
	    .index = (uint64_t)seq_length(s) };
	struct err why;
	int32_t id;

	if (g->at.c != NULL) {
		if (matcher_mask(&g->at, d->allowed, vocab, &why) <= 0)
			return 0;
		at.allowed = d->allowed;
	}
	id = sampler_pick(&g->r->sampler, d->space, &at);
	if (id < 0 || (!d->always && exp(logits_logp(at.logits, vocab, id)) < SURE))
		return 0;
	g->token[g->n++] = id;
	if (g->n == g->asked || (g->at.c != NULL && matcher_token(&g->at, id, &why) <= 0))
		return 0;
	return seq_push(s, &id, 1, err) < 0 ? -1 : 1;
}

/* There is no room for what the smaller model has of it. */
static void
leave_out(struct guess *g)
{
	guess_free(g);
	g->left_out = true;
}

/* The next token of the first n texts of d->at: how many go on, moved to the front; or -1. */
static int
next_of_all(struct draft *d, int n, struct err *err)
{
	int left = 0;

	for (int i = 0; i < n; i++) {
		struct guess *g = d->at[i];
		struct seq *s = d->seq[i];
		int got = next(d, g, s, err);

		if (got < 0)
			return -1;
		if (got == 0) {
			stop(g);
			continue;
		}
		d->at[left] = g;
		d->seq[left++] = s;
	}
	return left;
}

/* A token for each of the first n texts of d->at, and again for those that go on.  0 or -1. */
static int
rounds(struct draft *d, int n, struct err *err)
{
	int ret = 0;

	for (int i = 0; i < n; i++)
		if (d->at[i]->matcher->c != NULL)
			matcher_copy(&d->at[i]->at, d->at[i]->matcher);
	while (n > 0) {
		int64_t rows = 0;
		double start = progress_now();
		int left;

		for (int i = 0; i < n; i++)
			rows += seq_length(d->seq[i]) - seq_computed(d->seq[i]);
		ret = d->early ? engine_guess(d->e, d->seq[0], err) :
		    engine_run(d->e, d->seq, n, err);
		if (ret < 0)
			break;
		rowtime_learn(&d->own, d->early ? 1 : rows, progress_now() - start);
		if ((left = next_of_all(d, n, err)) < 0) {
			ret = -1;
			break;
		}
		n = left;
	}
	for (int i = 0; i < n; i++)
		stop(d->at[i]);
	if (ret == 0 || err->code != ERR_LIMIT)
		return ret;
	if (!d->early)
		leave_out(d->at[n - 1]);
	return 0;
}

/* By the first layers: a text after the other. */
static int
guess_early(struct draft *d, struct err *err)
{
	int ret = 0;

	for (int i = 0; i < d->n && ret == 0; i++) {
		struct guess *g = d->g[i];
		int64_t n = seq_length(g->seq);

		if (g->asked == 0)
			continue;
		d->at[0] = g;
		d->seq[0] = g->seq;
		ret = rounds(d, 1, err);
		seq_truncate(g->seq, n);
	}
	return ret;
}

/* The smaller model reads n tokens of a text.  0; or -1, ERR_LIMIT: there is no room. */
static int
read_text(struct draft *d, struct guess *g, const int32_t *token, int64_t n, struct err *err)
{
	double start = progress_now(), seconds;
	int ret;

	if (seq_push(g->own, token, n, err) < 0)
		return -1;
	seq_want(g->own, 0);
	ret = engine_run(d->e, &g->own, 1, err);
	seq_want(g->own, 1);
	seconds = progress_now() - start;
	/* To know whether it pays, one text has to be read. */
	if (d->followed)
		d->follow += 0.2 * (seconds - d->follow);
	else
		d->seconds -= seconds;
	return ret;
}

/*
 * The smaller model's sequence gets the tokens of the text, many of them only *room at
 * once.  1 when it has them all; 0 when not, or when it cannot; or -1.
 */
static int
follow(struct draft *d, struct guess *g, int64_t *room, struct err *err)
{
	const int32_t *t = seq_tokens(g->seq);
	int64_t n = seq_length(g->seq), have, more;

	if (g->own == NULL && (g->own = seq_new(d->e, err)) == NULL)
		return -1;
	seq_salt(g->own, g->r->salt);
	seq_keep(g->own, t, n);
	if ((have = seq_find(g->own, t, n, err)) < 0)
		return -1;
	for (int64_t i = have; i < n; i++)
		if (t[i] >= engine_config(d->e)->vocab) {
			leave_out(g);
			return 0;
		}
	if (n - have > 2 * DRAFT_MAX) {
		more = n - have - 1 < *room ? n - have - 1 : *room;
		if (read_text(d, g, t + have, more, err) < 0) {
			leave_out(g);
			return err->code == ERR_LIMIT ? 0 : -1;
		}
		*room -= more;
		have += more;
		if (have < n - 1)
			return 0;
		d->followed = true;
	}
	return seq_push(g->own, t + have, n - have, err) < 0 ? -1 : 1;
}

/* By a smaller model: all texts in the same rounds. */
static int
guess_model(struct draft *d, struct err *err)
{
	int64_t room = FOLLOW;
	int n = 0;

	for (int i = 0; i < d->n; i++) {
		struct guess *g = d->g[i];
		int got = 0;

		if (g->asked > 0 && (got = follow(d, g, &room, err)) < 0)
			return -1;
		if (got > 0 && g->asked > seq_steady(g->own))
			g->asked = seq_steady(g->own);
		if (got == 0 || g->asked == 0)
			continue;
		d->at[n] = g;
		d->seq[n++] = g->own;
	}
	return rounds(d, n, err);
}

int
draft_make(struct draft *d, struct err *err)
{
	double start = progress_now();
	int ret;

	if (d->e == NULL) {
		for (int i = 0; i < d->n; i++)
			take(d->g[i]);
		return 0;
	}
	ret = d->early ? guess_early(d, err) : guess_model(d, err);
	d->seconds += progress_now() - start;
	return ret;
}
