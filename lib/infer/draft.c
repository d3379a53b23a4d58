#include "infer/draft.h"

#include <math.h>
#include <stdlib.h>

#include "base/progress.h"

enum {
	KINDS = 4,		/* of guesses, by how good they should be */
	NGRAM_MIN = 2, NGRAM_MAX = 16,	/* tokens that a lookup goes by */
	PLAIN = 3,		/* steps at first without guesses, to know what they cost */
	TRY_EVERY = 32		/* steps between tries that do not look as if they paid */
};

/* A guess that the guesser itself gives less than this, it keeps to itself. */
#define SURE 0.3
/* What tries may cost, of all the time; what is in hand counts for no more steps than this. */
#define LOSS 0.02
#define IN_HAND 4

struct draft {
	int64_t		 most;
	struct engine	*e;		/* of guesses; NULL: lookup */
	bool		 early, always;
	struct seq	*seq;		/* of a model */
	struct sampler_space *space;
	int32_t		 token[DRAFT_MAX];
	int64_t		 asked, n;	/* guesses; less when it was not sure */
	int		 kind;
	/* what was learnt */
	double		 right[KINDS];	/* the part of guesses that is */
	double		 cost[DRAFT_MAX + 1];	/* seconds of a step with so many; 0: unknown */
	double		 spent, lost, start;
	int64_t		 since;		/* steps without guesses */
	struct draft_report report;
};

static struct draft *
draft_new(int64_t most, struct err *err)
{
	struct draft *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	d->most = most;
	for (int i = 0; i < KINDS; i++)
		d->right[i] = 0.4 + 0.15 * i;
	return d;
}

struct draft *
draft_lookup(int64_t most, struct err *err)
{
	return draft_new(most, err);
}

static struct draft *
with_engine(struct engine *e, int64_t most, struct err *err)
{
	struct draft *d;

	if (config_recurrent(engine_config(e))) {
		err_set(err, ERR_ARG, "guesses have to be taken back, and the states of %s cannot",
		    arch_name(engine_config(e)->arch));
		return NULL;
	}
	if ((d = draft_new(most, err)) == NULL)
		return NULL;
	d->e = e;
	d->kind = KINDS - 1;
	if ((d->space = sampler_space_new(engine_config(e)->vocab, err)) == NULL) {
		draft_free(d);
		return NULL;
	}
	return d;
}

struct draft *
draft_model(struct engine *e, int64_t most, struct err *err)
{
	struct draft *d = with_engine(e, most, err);

	if (d != NULL && (d->seq = seq_new(e, err)) == NULL) {
		draft_free(d);
		return NULL;
	}
	return d;
}

struct draft *
draft_early(struct engine *e, int64_t most, struct err *err)
{
	struct draft *d = with_engine(e, most, err);

	if (d != NULL)
		d->early = true;
	return d;
}

void
draft_free(struct draft *d)
{
	if (d == NULL)
		return;
	seq_free(d->seq);
	sampler_space_free(d->space);
	free(d);
}

void
draft_always(struct draft *d)
{
	d->always = true;
}

const struct draft_report *
draft_report(const struct draft *d)
{
	return &d->report;
}

/* ---- how many ---- */

/* Seconds of a step with n guesses: as measured, or on a line from what was. */
static double
cost_of(const struct draft *d, int64_t n)
{
	int64_t known = n;

	if (d->cost[n] > 0)
		return d->cost[n];
	while (known > 0 && d->cost[known] == 0)
		known--;
	if (known == 0)
		for (known = n; known < DRAFT_MAX && d->cost[known] == 0; known++)
			;
	/* Not measured at all: as if a guess cost a tenth of a step. */
	if (d->cost[known] == 0 || known == 0)
		return d->cost[0] * (1 + 0.1 * (double)n);
	return d->cost[0] + fmax(0, d->cost[known] - d->cost[0]) * (double)n / (double)known;
}

/* Tokens of a step with n guesses, of which each is right with probability p. */
static double
yield_of(double p, int64_t n)
{
	double sum = 1, all = p;

	for (int64_t i = 0; i < n; i++, all *= p)
		sum += all;
	return sum;
}

static int64_t
how_many(const struct draft *d, int kind, int64_t most)
{
	double best = 1.02 / d->cost[0];
	int64_t n = 0;

	if (d->always)
		return most;
	for (int64_t i = 1; i <= most; i++) {
		double rate = yield_of(d->right[kind], i) / cost_of(d, i);

		if (rate > best) {
			best = rate;
			n = i;
		}
	}
	if (n == 0 && d->since >= TRY_EVERY)
		n = most < 2 ? most : 2;
	return n;
}

static void
learn(double *mean, double x, double part)
{
	*mean = *mean == 0 ? x : *mean + part * (x - *mean);
}

void
draft_judged(struct draft *d, int64_t right)
{
	double t = progress_now() - d->start;

	/* The first step warms up. */
	if (d->n == d->asked && d->report.steps > 0)
		learn(&d->cost[d->n], t, 0.2);
	/* Not to be sure ends a run of guesses, as a wrong one does. */
	for (int64_t i = 0; i < d->asked && i <= right && i <= d->n; i++)
		d->right[d->kind] += 0.05 * ((i < right) - d->right[d->kind]);
	if (d->asked > 0)
		d->lost += t - (double)(right + 1) * d->cost[0];
	d->lost = fmax(d->lost, -IN_HAND * d->cost[0]);
	d->spent += t;
	d->since = d->asked == 0 ? d->since + 1 : 0;
	d->report.steps++;
	d->report.guesses += d->n;
	d->report.right += right;
}

/* ---- what ---- */

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

/* Guess one after the other; each has to be likely. */
static int
guess_on(struct draft *d, struct seq *s, const struct request *r, int64_t n, struct err *err)
{
	int64_t vocab = engine_config(d->e)->vocab;

	for (d->n = 0; d->n < n;) {
		struct sampler_at at = { .before = seq_tokens(s), .n_before = seq_length(s),
		    .stream = r->stream, .index = (uint64_t)seq_length(s) };
		int32_t id;

		if ((d->early ? engine_guess(d->e, s, err) : engine_run(d->e, &s, 1, err)) < 0)
			return -1;
		at.logits = seq_logits(s);
		id = sampler_pick(&r->sampler, d->space, &at);
		if (id < 0 || (!d->always && exp(logits_logp(at.logits, vocab, id)) < SURE))
			break;
		d->token[d->n++] = id;
		if (d->n < n && seq_push(s, &id, 1, err) < 0)
			return -1;
	}
	return 0;
}

/* The draft model's sequence gets the tokens of the text, unless some is beyond its vocabulary. */
static int
follow(struct draft *d, const struct seq *s, struct err *err)
{
	int64_t n = seq_length(s), have = seq_keep(d->seq, seq_tokens(s), n);

	for (int64_t i = have; i < n; i++)
		if (seq_tokens(s)[i] >= engine_config(d->e)->vocab)
			return 0;
	return seq_push(d->seq, seq_tokens(s) + have, n - have, err) < 0 ? -1 : 1;
}

static int
guess(struct draft *d, struct seq *s, const struct request *r, int64_t n, struct err *err)
{
	int64_t length = seq_length(s);
	int got;

	if (d->early) {
		got = guess_on(d, s, r, n, err);
		seq_truncate(s, length);
		return got;
	}
	if (length > engine_context(d->e))
		return 0;
	if ((got = follow(d, s, err)) <= 0)
		return got;
	if (n > seq_steady(d->seq))
		d->asked = n = seq_steady(d->seq);
	return guess_on(d, d->seq, r, n, err);
}

int64_t
draft_guess(struct draft *d, struct seq *s, const struct request *r, int64_t room,
    const int32_t **token, struct err *err)
{
	const int32_t *t = seq_tokens(s);
	int64_t n = seq_length(s), most = d->most < room ? d->most : room, at = 0, same;

	*token = d->token;
	d->n = d->asked = 0;
	d->start = progress_now();
	if (most <= 0 || (!d->always &&
	    (d->report.steps < PLAIN || d->lost > LOSS * d->spent)))
		return 0;
	if (d->e != NULL) {
		d->asked = how_many(d, d->kind, most);
		if (d->asked > 0 && guess(d, s, r, d->asked, err) < 0)
			return -1;
		return d->n;
	}
	if ((same = look_up(t, n, &at)) == 0)
		return 0;
	d->kind = kind_of(same);
	d->asked = d->n = how_many(d, d->kind, most);
	/* Past the end the text is thought to repeat itself. */
	for (int64_t i = 0; i < d->n; i++)
		d->token[i] = at + i < n ? t[at + i] : d->token[at + i - n];
	return d->n;
}
