#include "serve/check.h"

#include <stdlib.h>

struct check {
	struct errand	 errand;	/* the end, where it is held back */
	struct errands	*thread;
	struct guard_stream *stream;
	struct buf	 text;		/* that passed */
	bool		 hold, last, blocked;
};

/* An errand has what it works on until it is done. */
static bool
is_away(struct check *k)
{
	return k->errand.state != ERRAND_NEW && !errand_done(k->thread, &k->errand);
}

static void
end(struct check *k)
{
	struct err err;

	if (guard_stream_end(k->stream, &k->text, &err) != 0)
		k->blocked = true;
}

static void
run(struct errand *e)
{
	end((struct check *)e);
}

static void
drop(struct errand *e)
{
	struct check *k = (struct check *)e;

	guard_stream_free(k->stream);
	buf_free(&k->text);
	free(k);
}

struct check *
check_new(struct guards *g, struct errands *thread, struct http_call *call, struct err *err)
{
	struct check *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	k->errand = (struct errand){ .run = run, .drop = drop, .call = call };
	k->thread = thread;
	k->hold = guards_hold(g, GUARD_RESPONSE);
	if ((k->stream = guard_stream_new(g, GUARD_RESPONSE, err)) == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

void
check_free(struct check *k)
{
	if (k == NULL)
		return;
	if (k->errand.state == ERRAND_NEW)
		drop(&k->errand);
	else
		errand_leave(k->thread, &k->errand);
}

void
check_add(struct check *k, str more, bool last)
{
	struct err err;

	if (k->last)
		return;
	if (more.n > 0 && guard_stream_write(k->stream, more, &k->text, &err) != 0)
		k->blocked = true;
	k->last = last || k->blocked;
	if (k->blocked || !last)
		return;
	if (k->hold)
		errand_give(k->thread, &k->errand);
	else
		end(k);
}

str
check_text(struct check *k)
{
	return is_away(k) ? S("") : buf_str(&k->text);
}

bool
check_over(struct check *k)
{
	return k->last && !is_away(k);
}

bool
check_blocked(struct check *k)
{
	return check_over(k) && k->blocked;
}

void
check_verdict(struct check *k, struct buf *b)
{
	if (!is_away(k))
		guard_stream_verdict(k->stream, b);
}
