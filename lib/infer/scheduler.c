#include "infer/scheduler_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"

#define SHORT 0.05	/* seconds of a step, beyond which batches have no more of their prompts */
#define LATELY 10	/* seconds since the last interactive text, in which another one may come */

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
	s->text = calloc((size_t)s->o.seqs, sizeof(struct text *));
	s->seq = calloc((size_t)s->o.seqs, sizeof(struct seq *));
	s->guess = calloc((size_t)s->o.seqs, sizeof(struct guess *));
	s->allowed = calloc((size_t)engine_config(e)->vocab / 64 + 1, sizeof(*s->allowed));
	if (s->text == NULL || s->seq == NULL || s->guess == NULL || s->allowed == NULL) {
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

void
scheduler_free(struct scheduler *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < s->n; i++)
		text_free(s->text[i]);
	line_free(s);
	sampler_space_free(s->space);
	free(s->text);
	free(s->seq);
	free(s->guess);
	free(s->allowed);
	free(s);
}

/* ---- going on ---- */

/* It ends alone, with s->why.  1, as take(). */
static int
fail(struct scheduler *s, struct text *t)
{
	t->report.end = TEXT_FAILED;
	t->report.failed = &s->why;
	return 1;
}

/* What others computed of a prompt is its. */
static int
find_prompt(struct text *t, struct err *err)
{
	int64_t n = seq_find(t->seq, t->token, t->n, err);

	if (n < 0)
		return -1;
	if (t->report.taken_off == 0)
		t->report.cached += n - t->given;
	t->given = n;
	return 0;
}

/*
 * Will the next block of a prompt be found when this step is over?  Then one of the
 * texts before it computes the same now.
 */
static bool
is_computed(const struct scheduler *s, const struct text *t)
{
	int64_t n = t->given + CACHE_BLOCK;

	if (!s->o.keep || t->given % CACHE_BLOCK != 0 || n >= t->n)
		return false;
	for (int i = 0; s->text[i] != t; i++) {
		const struct text *o = s->text[i];

		if (o->given >= n && seq_computed(o->seq) < n && o->r.adapter == t->r.adapter &&
		    o->r.salt == t->r.salt &&
		    memcmp(o->token, t->token, (size_t)n * sizeof(*t->token)) == 0)
			return true;
	}
	return false;
}

/*
 * A piece of the prompt, of at most room tokens.  Where blocks can be found it ends at
 * one if it may, for there the next one is looked for.  Return how many, or -1.
 */
static int64_t
give_prompt(struct scheduler *s, struct text *t, int64_t room, struct err *err)
{
	int64_t n;

	if (find_prompt(t, err) < 0)
		return -1;
	if (seq_coming(t->seq) || is_computed(s, t)) {
		seq_want(t->seq, 0);
		return 0;
	}
	if ((n = t->n - t->given) > room) {
		int64_t over = (t->given + room) % CACHE_BLOCK;

		n = room > over ? room - over : room;
	}
	if (seq_push(t->seq, t->token + t->given, n, err) < 0)
		return -1;
	t->given += n;
	if (t->given < t->n)
		seq_want(t->seq, 0);
	return n;
}

/* Take those that are over out. */
static void
leave(struct scheduler *s)
{
	int kept = 0;

	for (int i = 0; i < s->n; i++) {
		if (s->text[i]->over)
			text_free(s->text[i]);
		else
			s->text[kept++] = s->text[i];
	}
	s->n = kept;
}

static int
drop(struct scheduler *s, struct err *err)
{
	int ret = line_drop(s, err);

	for (int i = 0; i < s->n && ret == 0; i++) {
		struct text *t = s->text[i];

		if (text_is_dropped(t))
			ret = text_end(t, TEXT_BROKEN_OFF, NULL, err);
	}
	leave(s);
	return ret;
}

static void
put_in_order(struct scheduler *s)
{
	for (int i = 1; i < s->n; i++) {
		struct text *t = s->text[i];
		int k = i;

		for (; k > 0 && text_before(s, t, s->text[k - 1]); k--)
			s->text[k] = s->text[k - 1];
		s->text[k] = t;
	}
}

/* With nothing to compute until more of a text has come back: wait for it. */
static void
await(struct scheduler *s)
{
	bool coming = false;

	for (int i = 0; i < s->n; i++) {
		if (seq_computed(s->text[i]->seq) < seq_length(s->text[i]->seq))
			return;
		coming |= seq_coming(s->text[i]->seq);
	}
	if (coming)
		engine_await(s->e);
}

/*
 * Rows up to which prompts of batches may fill a step: while interactive texts come, so
 * many as are over soon, for the next one waits for them.
 */
static int64_t
batch_rows(const struct scheduler *s)
{
	int64_t rows = s->n + CACHE_BLOCK;

	if (s->interactive == 0 || progress_now() - s->interactive > LATELY)
		return s->o.pass;
	while (rows < s->o.pass && rowtime_of(&s->rowtime, rows + CACHE_BLOCK) <= SHORT)
		rows += CACHE_BLOCK;
	return rows < s->o.pass ? rows : s->o.pass;
}

/* Is nothing of it to be computed in this step?  room: rows for it, beside its first. */
static bool
rests(const struct scheduler *s, const struct text *t, int64_t room)
{
	if (t->r.class == CLASS_BATCH && s->awaited)
		return true;
	return t->given < t->n && s->rows > 0 && room < 0;
}

/*
 * Give sequences what they are to compute, a pass at most: each that is being written
 * its next token, and what is left to prompts, in pieces.  Batches rest behind a
 * piece of an interactive prompt, for its first token is awaited.
 */
static int
give(struct scheduler *s, struct err *err)
{
	int64_t left = s->o.pass - s->n, late = s->o.pass - batch_rows(s);
	int ret = 0;

	put_in_order(s);
	s->given = s->rows = 0;
	s->awaited = false;

	for (int i = 0; i < s->n && ret == 0; i++) {
		struct text *t = s->text[i];
		int64_t n = 1, room = left - (t->r.class == CLASS_BATCH ? late : 0);

		if ((t->rests = rests(s, t, room)))
			continue;
		seq_want(t->seq, 1);
		if (t->given < t->n) {
			n = give_prompt(s, t, room > 0 ? room + 1 : 1, &s->why);
			if (n < 0) {
				ret = text_end(t, TEXT_FAILED, &s->why, err);
				continue;
			}
			s->given += n;
			left -= n - 1;
			s->awaited |= t->r.class == CLASS_INTERACTIVE && n > 0;
		}
		class_spend(s, t->r.class, n);
		s->rows += n;
	}
	leave(s);
	await(s);
	return ret == 0 ? guesses_give(s, err) : ret;
}

/* The cache is full: one waits again; who is alone fails. */
static int
make_room(struct scheduler *s, struct err *err)
{
	struct text *t = text_least(s);
	struct err why;
	int ret = 0;

	if (t == NULL)
		ret = text_end(s->text[s->n - 1], TEXT_FAILED, &s->why, err);
	else if (text_take_off(s, t, &why) < 0)
		ret = text_end(t, TEXT_FAILED, &why, err);
	leave(s);
	return ret;
}

/* Compute what was given. */
static int
run(struct scheduler *s, struct err *err)
{
	for (;;) {
		int n = 0;

		for (int i = 0; i < s->n; i++)
			if (!s->text[i]->rests)
				s->seq[n++] = s->text[i]->seq;
		if (engine_run(s->e, s->seq, n, &s->why) == 0)
			return 0;
		if (s->why.code != ERR_LIMIT) {
			*err = s->why;
			return -1;
		}
		if (!guesses_take_back(s) && make_room(s, err) < 0)
			return -1;
	}
}

/* Tell who wants to know.  1: break off. */
static int
tell(struct scheduler *s, struct text *t, const float *logits, int32_t id, struct err *err)
{
	struct text_token told = { .id = id, .top = t->r.top < 0 ? NULL : s->top,
	    .n_top = t->r.top, .text = t->emit.written + t->emit.text.n };

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
	if (config_is_eos(c, id) && (!t->r.ignore_eos || t->matcher.c != NULL)) {
		t->report.end = TEXT_EOS;
		return 1;
	}
	t->report.end = TEXT_STOP;
	if ((got = emit_token(&t->emit, id, err)) != 0)
		return got;
	if (t->matcher.c != NULL) {
		if (matcher_token(&t->matcher, id, &s->why) < 0)
			return fail(s, t);
		t->report.end = TEXT_WHOLE;
		if (!matcher_can_go_on(&t->matcher))
			return 1;
	}
	t->report.end = TEXT_COUNT;
	if (t->report.tokens == t->r.max_tokens)
		return 1;
	t->report.end = TEXT_CONTEXT;
	return at->n_before == engine_context(s->e);
}

/* The token that is drawn at this place; -1 when nothing may follow, -2 with s->why. */
static int32_t
pick(struct scheduler *s, struct text *t, struct sampler_at *at)
{
	at->index = (uint64_t)at->n_before;
	if (t->matcher.c != NULL) {
		if (matcher_mask(&t->matcher, s->allowed, engine_config(s->e)->vocab, &s->why) < 0)
			return -2;
		at->allowed = s->allowed;
	}
	return sampler_pick(&t->r.sampler, s->space, at);
}

/* One more token, and one more for each that was guessed rightly.  As take(). */
static int
draw(struct scheduler *s, struct text *t, struct err *err)
{
	int64_t vocab = engine_config(s->e)->vocab, n = t->guess.n;
	struct sampler_at at = { .logits = seq_logits(t->seq) - n * vocab,
	    .before = seq_tokens(t->seq), .n_before = seq_length(t->seq) - n,
	    .stream = t->r.stream };
	int32_t id;
	int got;

	if (t->report.tokens == 0)
		t->report.prompt_seconds = progress_now() - t->began;
	for (;;) {
		if ((id = pick(s, t, &at)) < -1)
			return fail(s, t);
		t->report.end = TEXT_WHOLE;
		got = id < 0 ? 1 : take(s, t, &at, id, err);
		if (got != 0 || !draft_drawn(&t->guess, id))
			break;
		at.n_before++;
		at.logits += vocab;
	}
	t->report.guessed += n;
	t->report.right += n - (seq_length(t->seq) - at.n_before);
	if (at.n_before < seq_length(t->seq))
		seq_truncate(t->seq, at.n_before);
	if (got != 0)
		return got;
	return seq_push(t->seq, &id, 1, &s->why) < 0 ? fail(s, t) : 0;
}

/* What a token of a prompt takes, where a step has mostly such. */
static void
learn_speed(struct scheduler *s, double seconds)
{
	double each = seconds / (double)s->given;

	if (s->rows > 0)
		rowtime_learn(&s->rowtime, s->rows + s->guessed, seconds);
	if (s->given <= s->n + s->guessed)
		return;
	s->token_seconds += (s->token_seconds > 0 ? 0.2 : 1) * (each - s->token_seconds);
	engine_pace(s->e, s->token_seconds);
}

static int
step(struct scheduler *s, struct err *err)
{
	double seconds;

	if (drop(s, err) < 0 || line_begin(s, err) < 0 || give(s, err) < 0)
		return -1;
	seconds = -progress_now();
	if (run(s, err) < 0)
		return -1;
	seconds += progress_now();
	learn_speed(s, seconds);
	for (int i = 0; i < s->n; i++) {
		struct text *t = s->text[i];
		int got = t->rests || t->given < t->n ? 0 : draw(s, t, err);

		if (got < 0 || (got > 0 && text_finish(t, err) < 0))
			return -1;
	}
	guesses_judged(s, seconds);
	return 0;
}

int
scheduler_step(struct scheduler *s, struct err *err)
{
	int ret = step(s, err);

	leave(s);
	return ret;
}

int
scheduler_finish(struct scheduler *s, struct err *err)
{
	while (s->n > 0 || s->line.n > 0)
		if (scheduler_step(s, err) < 0)
			return -1;
	return 0;
}

int
scheduler_stop(struct scheduler *s, struct err *err)
{
	struct err why;
	int ret = 0;

	for (int i = 0; i < s->n; i++) {
		s->text[i]->report.end = TEXT_BROKEN_OFF;
		if (text_finish(s->text[i], &why) < 0 && ret == 0) {
			*err = why;
			ret = -1;
		}
	}
	leave(s);
	return line_stop(s, ret < 0 ? &why : err) < 0 ? -1 : ret;
}
