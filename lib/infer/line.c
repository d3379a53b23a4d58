/* How texts come into a scheduler: the line, and places. */
#include <assert.h>
#include <stdlib.h>

#include "base/progress.h"
#include "infer/scheduler_impl.h"

/* ---- texts ---- */

struct text *
text_new(struct scheduler *s, const struct request *r, struct err *err)
{
	int64_t context = engine_context(s->e);
	struct text *t;

	assert(r->n > 0 && r->max_tokens > 0 && r->top <= TEXT_TOP);
	if (r->n > context) {
		err_set(err, ERR_LIMIT, "%lld tokens are more than the model's context of %lld",
		    (long long)r->n, (long long)context);
		return NULL;
	}
	if ((t = malloc(sizeof(*t))) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*t = (struct text){ .r = *r, .report = { .prompt = r->n }, .start = progress_now(),
	    .emit = { .tok = s->tok, .stop = r->stop, .n_stop = r->n_stop, .write = r->write,
		.ctx = r->ctx, .decoder = { .started = true, .skip_special = !r->special } } };
	/* From here on, for who asked may let go of the grammar. */
	if (r->constraint != NULL)
		matcher_start(&t->matcher, r->constraint);
	return t;
}

void
text_free(struct scheduler *s, struct text *t)
{
	s->room += t->promised;
	if (t->r.seq == NULL)
		seq_free(t->seq);
	matcher_end(&t->matcher);
	emit_free(&t->emit);
	free(t);
}

static int
tell(struct text *t, struct err *err)
{
	struct text_report *r = &t->report;

	if (t->seq == NULL)
		r->waited = progress_now() - t->start;
	else
		r->seconds = progress_now() - t->start - r->prompt_seconds;
	r->logp /= (double)(r->tokens > 0 ? r->tokens : 1);
	t->over = true;
	if (t->r.done != NULL)
		return t->r.done(t->r.ctx, r, err);
	if (r->failed == NULL)
		return 0;
	*err = *r->failed;
	return -1;
}

int
text_finish(struct text *t, struct err *err)
{
	if (t->report.end != TEXT_STOP && t->report.end != TEXT_FAILED) {
		int got = emit_end(&t->emit, err);

		if (got < 0) {
			t->over = true;
			return -1;
		}
		if (got > 0)
			t->report.end = TEXT_STOP;
	}
	return tell(t, err);
}

int
text_end(struct text *t, enum text_end end, const struct err *why, struct err *err)
{
	t->report.end = end;
	t->report.failed = why;
	return tell(t, err);
}

/* ---- places ---- */

/* Tokens of the cache that it takes at most, in whole blocks. */
static int64_t
needs(const struct scheduler *s, const struct request *r)
{
	int64_t holds = engine_holds(s->e);
	int64_t n = r->max_tokens < holds - r->n ? r->n + r->max_tokens : holds;

	return (n + CACHE_BLOCK - 1) / CACHE_BLOCK * CACHE_BLOCK;
}

int
text_begin(struct scheduler *s, struct text *t, struct err *err)
{
	int64_t promised = needs(s, &t->r);

	if (s->n > 0 && (s->n == s->o.seqs || promised > s->room))
		return 0;
	t->seq = t->r.seq;
	if (t->seq == NULL && (t->seq = seq_new(s->e, err)) == NULL)
		return -1;
	t->report.waited = progress_now() - t->start;
	t->start = progress_now();
	seq_adapt(t->seq, t->r.adapter);
	seq_salt(t->seq, t->r.salt);
	t->given = seq_keep(t->seq, t->r.prompt, t->r.n);
	/* The last token of the prompt is run again where it was: its logits are needed. */
	t->report.cached = seq_computed(t->seq) < t->r.n ? seq_computed(t->seq) : t->r.n - 1;
	s->room -= t->promised = promised;
	s->text[s->n++] = t;
	return 1;
}

int
scheduler_add(struct scheduler *s, const struct request *r, struct err *err)
{
	struct text *t = text_new(s, r, err);
	int got = t == NULL ? -1 : text_begin(s, t, err);

	if (t != NULL && got <= 0)
		text_free(s, t);
	return got;
}

/* ---- the line ---- */

int
scheduler_submit(struct scheduler *s, const struct request *r, struct err *err)
{
	struct text *t = text_new(s, r, err), **at = &s->line.first;

	if (t == NULL)
		return -1;
	while (*at != NULL)
		at = &(*at)->next;
	*at = t;
	s->line.n++;
	return 0;
}

int
scheduler_waiting(const struct scheduler *s)
{
	return s->line.n;
}

/* Take one out of the line. */
static struct text *
leave(struct scheduler *s, struct text **at)
{
	struct text *t = *at;

	*at = t->next;
	t->next = NULL;
	s->line.n--;
	return t;
}

static int
end_in_line(struct scheduler *s, struct text **at, enum text_end end, const struct err *why,
    struct err *err)
{
	struct text *t = leave(s, at);
	int ret = text_end(t, end, why, err);

	text_free(s, t);
	return ret;
}

int
line_drop(struct scheduler *s, struct err *err)
{
	for (struct text **at = &s->line.first; *at != NULL;) {
		const atomic_bool *dropped = (*at)->r.dropped;

		if (dropped == NULL || !atomic_load(dropped))
			at = &(*at)->next;
		else if (end_in_line(s, at, TEXT_BROKEN_OFF, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int
line_begin(struct scheduler *s, struct err *err)
{
	while (s->line.first != NULL) {
		int got = text_begin(s, s->line.first, &s->why);

		if (got == 0)
			return 0;
		if (got > 0)
			leave(s, &s->line.first);
		else if (end_in_line(s, &s->line.first, TEXT_FAILED, &s->why, err) < 0)
			return -1;
	}
	return 0;
}

int
line_stop(struct scheduler *s, struct err *err)
{
	int ret = 0;

	while (s->line.first != NULL) {
		struct err why;

		if (end_in_line(s, &s->line.first, TEXT_BROKEN_OFF, NULL, &why) < 0 && ret == 0) {
			*err = why;
			ret = -1;
		}
	}
	return ret;
}

void
line_free(struct scheduler *s)
{
	while (s->line.first != NULL)
		text_free(s, leave(s, &s->line.first));
}
