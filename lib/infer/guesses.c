/* Guesses of texts that are being written (draft.h), judged in the pass of a step. */
#include <assert.h>

#include "infer/scheduler_impl.h"

void
scheduler_guess(struct scheduler *s, struct draft *d)
{
	assert(s->o.rows >= s->o.seqs + DRAFT_MAX);
	s->draft = d;
}

/* How many more tokens it may have that can be judged before they are sure. */
static int64_t
room_of(const struct scheduler *s, const struct text *t)
{
	const struct config *c = engine_config(s->e);
	int64_t n = seq_length(t->seq), room = t->r.max_tokens - t->report.tokens - 1;

	if (room > seq_steady(t->seq))
		room = seq_steady(t->seq);
	/* Where more tokens would change the positions of all, they have to be sure. */
	return model_rope_base(c, n + DRAFT_MAX) != model_rope_base(c, n) ? 0 : room;
}

/* One that has a row in this step, for the token that was drawn last. */
static bool
goes_on(const struct text *t)
{
	return !t->rests && t->given == t->n && t->report.tokens > 0 &&
	    seq_length(t->seq) - seq_computed(t->seq) == 1;
}

/* Who may have some. */
static void
ask(struct scheduler *s)
{
	s->n_guess = 0;
	for (int i = 0; i < s->n; i++) {
		struct text *t = s->text[i];

		t->guess.n = t->guess.made = 0;
		if (!goes_on(t))
			continue;
		t->guess.seq = t->seq;
		t->guess.r = &t->r;
		t->guess.matcher = &t->matcher;
		t->guess.room = room_of(s, t);
		s->guess[s->n_guess++] = &t->guess;
	}
}

int
guesses_give(struct scheduler *s, struct err *err)
{
	/* They have what prompts left of the pass. */
	int64_t rows = s->o.rows - s->n, left = s->o.pass - s->n - s->given;
	struct draft_step step = { .rows = rows < left ? rows : left, .prompt = s->given,
	    .token_seconds = s->token_seconds };

	if (s->draft == NULL)
		return 0;
	ask(s);
	if (s->n_guess > 0 && draft_guess(s->draft, s->guess, s->n_guess, &step, err) < 0)
		return -1;
	s->guessed = 0;
	for (int i = 0; i < s->n; i++) {
		struct text *t = s->text[i];

		if (t->guess.n == 0)
			continue;
		if (seq_push(t->seq, t->guess.token, t->guess.n, err) < 0)
			return -1;
		seq_want(t->seq, t->guess.n + 1);
		class_spend(s, t->r.class, t->guess.n);
		s->guessed += t->guess.n;
	}
	return 0;
}

bool
guesses_take_back(struct scheduler *s)
{
	for (int i = 0; i < s->n_guess; i++) {
		struct guess *g = s->guess[i];

		seq_truncate(g->seq, seq_length(g->seq) - g->n);
		seq_want(g->seq, 1);
		g->n = 0;
	}
	if (s->guessed == 0)
		s->n_guess = 0;
	else
		s->guessed = 0;
	return s->n_guess > 0;
}

void
guesses_judged(struct scheduler *s, double seconds)
{
	if (s->n_guess > 0)
		draft_judged(s->draft, seconds);
}
