/* How many guesses, and for whom. */
#include <math.h>
#include <stdlib.h>

#include "infer/draft_impl.h"

enum {
	TRY_EVERY = 64,		/* steps between tries that do not look as if they paid */
	LOOK_EVERY = 32		/* steps with guesses until one without, to know what that takes */
};

#define PAYS 1.04	/* times the tokens a second without */
/* Of the time, what tries may take; and in hand is no more than so many steps. */
#define LOSS 0.01
#define IN_HAND 8
/* How much one guess tells of those of its text, and of all. */
#define OF_TEXT 0.1
#define OF_ALL 0.02

static struct draft *
draft_new(int64_t most, struct err *err)
{
	struct draft *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	d->most = most;
	for (int i = 0; i < DRAFT_KINDS; i++)
		d->part[i] = 0.4 + 0.15 * i;
	return d;
}

struct draft *
draft_lookup(int64_t most, struct err *err)
{
	return draft_new(most, err);
}

int
draft_check(const struct config *c, struct err *err)
{
	return !config_recurrent(c) ? 0 : err_set(err, ERR_ARG, "guesses have to be taken back, "
	    "and the states of %s cannot", arch_name(c->arch));
}

/* It guesses by an engine, which is the draft's from here on unless it is that of the texts. */
static int
set_engine(struct draft *d, struct engine *e, struct err *err)
{
	const struct config *c = engine_config(e);
	size_t seqs = (size_t)engine_settings(e)->seqs;

	d->e = e;
	d->at = calloc(seqs, sizeof(*d->at));
	d->seq = calloc(seqs, sizeof(*d->seq));
	d->allowed = calloc((size_t)c->vocab / 64 + 1, sizeof(*d->allowed));
	if (d->at == NULL || d->seq == NULL || d->allowed == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->space = sampler_space_new(c->vocab, err);
	return d->space == NULL ? -1 : 0;
}

struct draft *
draft_early(struct engine *e, int64_t most, struct err *err)
{
	struct draft *d = draft_new(most, err);

	if (d == NULL)
		return NULL;
	d->early = true;
	if (draft_check(engine_config(e), err) < 0 || set_engine(d, e, err) < 0) {
		draft_free(d);
		return NULL;
	}
	return d;
}

/* A model of guesses is to have the tokens of another one's tokenizer. */
static int
check_model(const struct model *m, const char *path, const struct tokenizer *tok,
    struct err *err)
{
	hash128 ours = tokenizer_fingerprint(tok), theirs;
	struct tokenizer *other = model_tokenizer(path, err);

	if (other == NULL)
		return -1;
	theirs = tokenizer_fingerprint(other);
	tokenizer_free(other);
	if (ours.lo != theirs.lo || ours.hi != theirs.hi)
		return err_set(err, ERR_FORMAT, "%s: not the tokenizer of the model", path);
	if (tokenizer_vocab(tok) > m->config.vocab)
		return err_set(err, ERR_FORMAT, "%s: the tokenizer has %d tokens, the model %lld",
		    path, tokenizer_vocab(tok), (long long)m->config.vocab);
	return draft_check(&m->config, err);
}

static struct engine_options
settings(const struct config *c, int64_t seqs, int64_t cache)
{
	struct engine_options o = { .seqs = seqs, .cache = cache, .keep = seqs > 0 };

	if (seqs == 0) {
		o.sinks = CACHE_BLOCK;
		o.window = engine_window_most(c, o.sinks);
	}
	return o;
}

int
draft_model_size(const char *path, const struct tokenizer *tok, int64_t seqs, int64_t cache,
    int64_t *weights, int64_t *engine, struct err *err)
{
	struct engine_options o;
	struct model m = { 0 };
	int ret = -1;

	if (model_open(&m, path, err) == 0 && check_model(&m, path, tok, err) == 0 &&
	    (*weights = model_weights(&m, err)) >= 0) {
		o = settings(&m.config, seqs, cache);
		*engine = engine_bytes(&m, &o, err);
		ret = *engine < 0 ? -1 : 0;
	}
	model_free(&m);
	return ret;
}

struct draft *
draft_model(const char *path, struct dev *dev, const struct tokenizer *tok, int64_t seqs,
    int64_t cache, int64_t most, struct err *err)
{
	struct draft *d = draft_new(most, err);
	struct engine_options o;
	struct engine *e;

	if (d == NULL)
		return NULL;
	if (model_load(&d->m, path, dev, false, err) == 0 &&
	    check_model(&d->m, path, tok, err) == 0) {
		o = settings(&d->m.config, seqs, cache);
		if ((e = engine_new(&d->m, &o, err)) != NULL && set_engine(d, e, err) == 0)
			return d;
	}
	draft_free(d);
	return NULL;
}

void
draft_free(struct draft *d)
{
	if (d == NULL)
		return;
	sampler_space_free(d->space);
	if (!d->early)
		engine_free(d->e);
	model_free(&d->m);
	free(d->allowed);
	free(d->at);
	free(d->seq);
	free(d);
}

int64_t
draft_rows(int64_t seqs)
{
	return seqs + (seqs * DRAFT_MAX < DRAFT_ROWS ? seqs * DRAFT_MAX : DRAFT_ROWS);
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

void
guess_free(struct guess *g)
{
	seq_free(g->own);
	g->own = NULL;
}

/* ---- how many ---- */

/*
 * Guesses one by one, first those that speed up a text the most.  All texts wait for those
 * of one, so what they bring is weighed in proportion: the sum of the logarithms of how
 * fast each goes on is to grow.  Where all are alike, that is tokens a second.
 */
struct plan {
	struct guess *of[DRAFT_ROWS];
	double	gain[DRAFT_ROWS];	/* tokens */
	double	worth[DRAFT_ROWS];	/* to its text */
	double	price[DRAFT_ROWS];	/* seconds to guess it */
	int64_t	n;
};

/* The text that one more guess speeds up the most; NULL: all have what they could. */
static struct guess *
most_helped(const struct draft *d)
{
	struct guess *best = NULL;

	for (int i = 0; i < d->n; i++) {
		struct guess *g = d->g[i];

		if (g->asked < g->able && (best == NULL ||
		    g->next * best->tokens > best->next * g->tokens))
			best = g;
	}
	return best;
}

static void
plan(const struct draft *d, int64_t most, struct plan *p)
{
	int64_t others[DRAFT_MAX] = { 0 };
	struct guess *g;

	p->n = 0;
	while (p->n < most && p->n < DRAFT_ROWS && (g = most_helped(d)) != NULL) {
		p->of[p->n] = g;
		p->gain[p->n] = g->next;
		p->worth[p->n] = log1p(g->next / g->tokens);
		p->price[p->n] = draft_price(d, g, others[g->asked]++);
		g->tokens += g->next;
		g->next *= g->part[g->kind];
		g->asked++;
		p->n++;
	}
}

/* How many of them go with prompts: while each costs less than a token takes without them. */
static int64_t
beside_prompt(struct draft *d, const struct draft_step *step, const struct plan *p, int64_t n,
    double each)
{
	double more;
	int64_t i = 0;

	if (n == 0 || step->token_seconds == 0)
		return 0;
	more = (rowtime_of(&d->pass, d->n + n) - rowtime_of(&d->pass, d->n)) / (double)n;
	d->row = more > step->token_seconds ? more : step->token_seconds;
	while (i < n && p->gain[i] * each > d->row + p->price[i])
		i++;
	return i;
}

static int64_t
how_many(struct draft *d, const struct draft_step *step, const struct plan *p)
{
	double base = rowtime_of(&d->pass, d->n), tokens = d->n, own = 0, worth = 0;
	double best = d->n * log(PAYS), each = 0;
	int64_t n = 0;

	if (d->always)
		return p->n;
	if (!rowtime_knows(&d->pass, d->n) || d->hand < 0 || d->with >= LOOK_EVERY)
		return 0;
	for (int64_t i = 0; i < p->n; i++) {
		double seconds, value;

		own += p->price[i];
		seconds = rowtime_of(&d->pass, d->n + i + 1) + own;
		tokens += p->gain[i];
		worth += p->worth[i];
		value = worth - d->n * log(seconds / base);
		if (value > best) {
			best = value;
			each = seconds / tokens;
			n = i + 1;
		}
	}
	if (d->beside)
		return beside_prompt(d, step, p, n, each);
	if (n == 0 && d->without >= TRY_EVERY)
		n = p->n < 2 ? p->n : 2;
	return n;
}

/* ---- what came of it ---- */

bool
draft_drawn(struct guess *g, int32_t id)
{
	g->drawn++;
	if (g->right >= g->made || g->token[g->right] != id)
		return false;
	return g->right++ < g->n;
}

static void
learn_guess(struct draft *d, struct guess *g, bool right)
{
	double *all = &d->part[g->kind], *its = &g->part[g->kind];

	*all += OF_ALL * (right - *all);
	*its += OF_TEXT * (right - *its);
}

/* Not to be sure ends a run of guesses, as a wrong one does. */
static void
learn_text(struct draft *d, struct guess *g)
{
	int64_t told = d->e != NULL ? g->asked : g->made;

	for (int64_t i = 0; i < told && i < g->drawn; i++)
		learn_guess(d, g, i < g->right);
	if (g->right > g->n)
		g->right = g->n;
}

/* What a step lost by its guesses; less than nothing where they brought something. */
static double
loss(const struct draft *d, double seconds, int64_t guesses, int64_t right)
{
	double without = rowtime_of(&d->pass, d->n);
	double more = d->beside ? d->row * (double)guesses : seconds - without;

	return d->seconds + more - (double)right * without / d->n;
}

void
draft_judged(struct draft *d, double seconds)
{
	int64_t guesses = 0, asked = 0, right = 0;
	double most, known;

	for (int i = 0; i < d->n; i++) {
		learn_text(d, d->g[i]);
		asked += d->g[i]->asked;
		guesses += d->g[i]->n;
		right += d->g[i]->right;
	}
	/* Who waits for something else is not slow because of guesses. */
	known = rowtime_of(&d->pass, d->n + guesses);
	if (!d->beside && known > 0 && seconds > 2 * known)
		seconds = 2 * known;
	d->hand += LOSS * (seconds + d->seconds);
	if (asked > 0 && known > 0)
		d->hand -= loss(d, seconds, guesses, right);
	most = IN_HAND * (rowtime_of(&d->pass, d->n) + d->follow);
	if (d->hand > most)
		d->hand = most;
	/* The first step warms up. */
	if (!d->beside && d->report.steps > 0)
		rowtime_learn(&d->pass, d->n + guesses, seconds);
	d->without = asked == 0 ? d->without + 1 : 0;
	d->with = asked > 0 ? d->with + 1 : 0;
	d->report.steps++;
	d->report.guesses += guesses;
	d->report.right += right;
}

/* ---- a step ---- */

static void
begin(struct draft *d, struct guess *g)
{
	for (int i = 0; i < DRAFT_KINDS && !g->known; i++)
		g->part[i] = d->part[i];
	g->known = true;
	g->n = g->right = g->made = g->asked = g->able = g->drawn = 0;
	if (g->room > 0)
		draft_look(d, g);
	g->next = g->part[g->kind];
	g->tokens = 1;
}

int
draft_guess(struct draft *d, struct guess *const *g, int n, const struct draft_step *step,
    struct err *err)
{
	struct plan p;
	int64_t want;

	d->g = g;
	d->n = n;
	d->beside = step->prompt > 0;
	d->row = d->seconds = 0;
	for (int i = 0; i < n; i++)
		begin(d, g[i]);
	plan(d, step->rows, &p);
	want = how_many(d, step, &p);
	while (p.n > want)
		p.of[--p.n]->asked--;
	return draft_make(d, err);
}
