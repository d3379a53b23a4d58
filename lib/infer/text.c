/* What a text is from its request to its report. */
#include <assert.h>
#include <stdlib.h>

#include "base/progress.h"
#include "infer/scheduler_impl.h"

const char *
text_end_name(enum text_end end)
{
	static const char *const name[] = { "count", "eos", "stop", "whole", "context",
	    "broken off", "failed" };

	return name[end];
}

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
	*t = (struct text){ .r = *r, .number = s->came++, .came = progress_now(),
	    .token = r->prompt, .n = r->n, .report = { .prompt = r->n },
	    .emit = { .tok = s->tok, .stop = r->stop, .n_stop = r->n_stop, .write = r->write,
		.ctx = r->ctx, .decoder = { .started = true, .skip_special = !r->special } } };
	class_join(s, r->class);
	/* From here on, for who asked may let go of the grammar. */
	if (r->constraint != NULL)
		matcher_start(&t->matcher, r->constraint);
	return t;
}

void
text_free(struct text *t)
{
	if (t->r.seq == NULL)
		seq_free(t->seq);
	guess_free(&t->guess);
	matcher_end(&t->matcher);
	emit_free(&t->emit);
	free(t->own);
	free(t);
}

bool
text_is_dropped(const struct text *t)
{
	return t->r.dropped != NULL && atomic_load(t->r.dropped);
}

static int
tell(struct text *t, struct err *err)
{
	struct text_report *r = &t->report;
	double now = progress_now();

	if (t->began == 0)
		r->waited = now - t->came;
	else
		r->seconds = now - t->began - r->prompt_seconds;
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
		struct err more;

		if (got < 0) {
			t->report.end = TEXT_BROKEN_OFF;
			tell(t, &more);
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
