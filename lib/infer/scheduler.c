#include "infer/scheduler.h"

#include <assert.h>
#include <stdlib.h>

#include "base/progress.h"
#include "infer/draft.h"
#include "infer/emit.h"
#include "infer/matcher.h"

/* A text that is being written. */
struct text {
	struct request	 r;
	struct seq	*seq;
	int64_t		 given;		/* tokens of the prompt that seq has */
	int64_t		 promised;	/* tokens of the cache */
	struct emit	 emit;
	struct matcher	*matcher;	/* NULL: it may be anything */
	struct text_report report;
	double		 start;
	bool		 over;
};

struct scheduler {
	struct engine	*e;
	const struct tokenizer *tok;
	struct engine_options o;
	struct sampler_space *space;
	struct text	*text;
	int		 n;
	struct seq	**seq;		/* of one step */
	int64_t		 room;		/* tokens of the cache, not promised */
	uint64_t	*allowed;	/* a bit a token */
	struct token_logp top[TEXT_TOP];
	struct draft	*draft;		/* NULL: none */
	const int32_t	*guess;		/* of this step, for its only text */
	int64_t		 n_guess;
};

const char *
text_end_name(enum text_end end)
{
	static const char *const name[] = { "count", "eos", "stop", "whole", "context",
	    "broken off" };

	return name[end];
}

struct scheduler *
scheduler_new(struct engine *e, const struct tokenizer *tok, struct err *err)
{
	struct scheduler *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	s->e = e;
	s->tok = tok;
	s->o = *engine_settings(e);
	s->room = s->o.cache;
	s->text = calloc((size_t)s->o.seqs, sizeof(*s->text));
	s->seq = calloc((size_t)s->o.seqs, sizeof(struct seq *));
	s->allowed = calloc((size_t)engine_config(e)->vocab / 64 + 1, sizeof(*s->allowed));
	if (s->text == NULL || s->seq == NULL || s->allowed == NULL) {
		scheduler_free(s);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if ((s->space = sampler_space_new(engine_config(e)->vocab, err)) == NULL) {
		scheduler_free(s);
		return NULL;
	}
	return s;
}

static void
release(struct scheduler *s, struct text *t)
{
	s->room += t->promised;
	if (t->r.seq == NULL)
		seq_free(t->seq);
	if (t->matcher != NULL)
		matcher_end(t->matcher);
	free(t->matcher);
	emit_free(&t->emit);
}

void
scheduler_free(struct scheduler *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < s->n; i++)
		release(s, &s->text[i]);
	sampler_space_free(s->space);
	free(s->text);
	free(s->seq);
	free(s->allowed);
	free(s);
}

void
scheduler_guess(struct scheduler *s, struct draft *d)
{
	assert(s->o.rows >= s->o.seqs + DRAFT_MAX);
	s->draft = d;
}

int
scheduler_running(const struct scheduler *s)
{
	return s->n;
}

/* ---- beginning ---- */

/* Tokens of the cache that it takes at most, in whole blocks. */
static int64_t
needs(const struct scheduler *s, const struct request *r)
{
	int64_t holds = engine_holds(s->e);
	int64_t n = r->max_tokens < holds - r->n ? r->n + r->max_tokens : holds;

	return (n + CACHE_BLOCK - 1) / CACHE_BLOCK * CACHE_BLOCK;
}

int
scheduler_add(struct scheduler *s, const struct request *r, struct err *err)
{
	int64_t context = engine_context(s->e);
	struct text *t = &s->text[s->n];
	int64_t promised = needs(s, r);

	assert(r->n > 0 && r->max_tokens > 0 && r->top <= TEXT_TOP);
	if (r->n > context)
		return err_set(err, ERR_LIMIT, "%lld tokens are more than the model's context "
		    "of %lld", (long long)r->n, (long long)context);
	if (s->n > 0 && (s->n == s->o.seqs || promised > s->room))
		return 0;
	*t = (struct text){ .r = *r, .seq = r->seq,
	    .report = { .prompt = r->n }, .start = progress_now(),
	    .emit = { .tok = s->tok, .stop = r->stop, .n_stop = r->n_stop, .write = r->write,
		.ctx = r->ctx, .decoder = { .started = true, .skip_special = true } } };
	if (r->constraint != NULL) {
		if ((t->matcher = malloc(sizeof(*t->matcher))) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		matcher_start(t->matcher, r->constraint);
	}
	if (t->seq == NULL && (t->seq = seq_new(s->e, err)) == NULL) {
		release(s, t);
		return -1;
	}
	seq_adapt(t->seq, r->adapter);
	t->given = seq_keep(t->seq, r->prompt, r->n);
	/* The last token of the prompt is run again where it was: its logits are needed. */
	t->report.cached = seq_computed(t->seq) < r->n ? seq_computed(t->seq) : r->n - 1;
	s->room -= t->promised = promised;
	s->n++;
	return 1;
}

/* ---- going on ---- */

/* A piece of the prompt, of at most room tokens.  Return how many, or -1. */
static int64_t
give_prompt(struct text *t, int64_t room, struct err *err)
{
	int64_t n = t->r.n - t->given < room ? t->r.n - t->given : room;

	if (seq_push(t->seq, t->r.prompt + t->given, n, err) < 0)
		return -1;
	t->given += n;
	if (t->given < t->r.n)
		seq_want(t->seq, 0);
	return n;
}

/* What a text that is alone may go on with. */
static int
give_guesses(struct scheduler *s, struct text *t, struct err *err)
{
	const struct config *c = engine_config(s->e);
	int64_t n = seq_length(t->seq), room = t->r.max_tokens - t->report.tokens - 1;

	if (room > seq_steady(t->seq))
		room = seq_steady(t->seq);
	/* Where more tokens would change the positions of all, they have to be sure. */
	if (model_rope_base(c, n + DRAFT_MAX) != model_rope_base(c, n))
		room = 0;
	s->n_guess = draft_guess(s->draft, t->seq, &t->r, room, &s->guess, err);
	if (s->n_guess < 0 || seq_push(t->seq, s->guess, s->n_guess, err) < 0)
		return -1;
	seq_want(t->seq, s->n_guess + 1);
	return 0;
}

/* Give sequences what they are to compute: prompts in pieces, as many tokens as a pass has. */
static int
prepare(struct scheduler *s, struct err *err)
{
	int64_t left = s->o.pass - s->n;

	s->n_guess = 0;
	for (int i = 0; i < s->n; i++) {
		struct text *t = &s->text[i];
		int64_t n;

		s->seq[i] = t->seq;
		seq_want(t->seq, 1);
		if (t->given == t->r.n)
			continue;
		if ((n = give_prompt(t, left + 1, err)) < 0)
			return -1;
		left -= n - 1;
	}
	if (s->draft != NULL && s->n == 1 && s->text[0].report.tokens > 0)
		return give_guesses(s, &s->text[0], err);
	return 0;
}

/* Tell who wants to know.  1: break off. */
static int
tell(struct scheduler *s, struct text *t, const float *logits, int32_t id, struct err *err)
{
	struct text_token told = { .id = id, .top = t->r.top < 0 ? NULL : s->top,
	    .n_top = t->r.top };

	told.logp = logits_logp(logits, engine_config(s->e)->vocab, id);
	t->report.logp += told.logp;
	t->report.tokens++;
	if (t->r.token == NULL)
		return 0;
	if (told.top != NULL)
		logits_top(s->space, logits, t->r.top, s->top);
	return t->r.token(t->r.ctx, &told, err);
}

/* The token is drawn, and its text goes out.  1 when the text ends with it; 0 or -1. */
static int
take(struct scheduler *s, struct text *t, const struct sampler_at *at, int32_t id,
    struct err *err)
{
	const struct config *c = engine_config(s->e);
	int got = tell(s, t, at->logits, id, err);

	if (got != 0) {
		t->report.end = TEXT_BROKEN_OFF;
		return got;
	}
	if (config_is_eos(c, id) && (!t->r.ignore_eos || t->matcher != NULL)) {
		t->report.end = TEXT_EOS;
		return 1;
	}
	t->report.end = TEXT_STOP;
	if ((got = emit_token(&t->emit, id, err)) != 0)
		return got;
	if (t->matcher != NULL) {
		if (matcher_token(t->matcher, id, err) < 0)
			return -1;
		t->report.end = TEXT_WHOLE;
		if (!matcher_can_go_on(t->matcher))
			return 1;
	}
	t->report.end = TEXT_COUNT;
	if (t->report.tokens == t->r.max_tokens)
		return 1;
	t->report.end = TEXT_CONTEXT;
	return at->n_before == engine_context(s->e);
}

/* The token that is drawn at this place; -1 when nothing may follow, -2 for a failure. */
static int32_t
pick(struct scheduler *s, const struct text *t, struct sampler_at *at, struct err *err)
{
	at->index = (uint64_t)at->n_before;
	if (t->matcher != NULL) {
		if (matcher_mask(t->matcher, s->allowed, engine_config(s->e)->vocab, err) < 0)
			return -2;
		at->allowed = s->allowed;
	}
	return sampler_pick(&t->r.sampler, s->space, at);
}

/* One more token, and one more for each that was guessed rightly.  As take(). */
static int
draw(struct scheduler *s, struct text *t, struct err *err)
{
	int64_t vocab = engine_config(s->e)->vocab, right = 0;
	struct sampler_at at = { .logits = seq_logits(t->seq) - s->n_guess * vocab,
	    .before = seq_tokens(t->seq), .n_before = seq_length(t->seq) - s->n_guess,
	    .stream = t->r.stream };
	int32_t id;
	int got;

	if (t->report.tokens == 0)
		t->report.prompt_seconds = progress_now() - t->start;
	for (;;) {
		if ((id = pick(s, t, &at, err)) < -1)
			return -1;
		t->report.end = TEXT_WHOLE;
		got = id < 0 ? 1 : take(s, t, &at, id, err);
		if (got != 0 || right == s->n_guess || id != s->guess[right])
			break;
		right++;
		at.n_before++;
		at.logits += vocab;
	}
	if (right < s->n_guess)
		seq_truncate(t->seq, at.n_before);
	if (s->draft != NULL && s->n == 1 && t->report.tokens > 1)
		draft_judged(s->draft, right);
	return got != 0 ? got : seq_push(t->seq, &id, 1, err);
}

static int
finish(struct text *t, struct err *err)
{
	struct text_report *r = &t->report;

	if (r->end != TEXT_STOP) {
		int got = emit_end(&t->emit, err);

		if (got < 0)
			return -1;
		if (got > 0)
			r->end = TEXT_STOP;
	}
	r->seconds = progress_now() - t->start - r->prompt_seconds;
	r->logp /= (double)(r->tokens > 0 ? r->tokens : 1);
	return t->r.done != NULL ? t->r.done(t->r.ctx, r, err) : 0;
}

/* Take those that are over out. */
static void
leave(struct scheduler *s)
{
	int kept = 0;

	for (int i = 0; i < s->n; i++) {
		if (s->text[i].over)
			release(s, &s->text[i]);
		else
			s->text[kept++] = s->text[i];
	}
	s->n = kept;
}

int
scheduler_step(struct scheduler *s, struct err *err)
{
	if (prepare(s, err) < 0 || engine_run(s->e, s->seq, s->n, err) < 0)
		return -1;
	for (int i = 0; i < s->n; i++) {
		struct text *t = &s->text[i];
		int got = t->given < t->r.n ? 0 : draw(s, t, err);

		if (got < 0 || (got > 0 && finish(t, err) < 0))
			return -1;
		t->over = got > 0;
	}
	leave(s);
	return 0;
}

int
scheduler_finish(struct scheduler *s, struct err *err)
{
	while (s->n > 0)
		if (scheduler_step(s, err) < 0)
			return -1;
	return 0;
}

int
scheduler_stop(struct scheduler *s, struct err *err)
{
	for (int i = 0; i < s->n; i++) {
		s->text[i].report.end = TEXT_BROKEN_OFF;
		if (finish(&s->text[i], err) < 0)
			return -1;
		s->text[i].over = true;
	}
	leave(s);
	return 0;
}
