/* The line of those that wait. */
#include "infer/scheduler_impl.h"

void
line_put(struct scheduler *s, struct text *t)
{
	struct text **at = &s->line.first;

	while (*at != NULL && (*at)->number < t->number)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	s->line.n++;
}

int
scheduler_submit(struct scheduler *s, const struct request *r, struct err *err)
{
	struct text *t = text_new(s, r, err);

	if (t == NULL)
		return -1;
	line_put(s, t);
	return 0;
}

/* Those of it that had a place. */
static int
begun(const struct scheduler *s)
{
	int n = 0;

	for (const struct text *t = s->line.first; t != NULL; t = t->next)
		n += t->began > 0;
	return n;
}

int
scheduler_running(const struct scheduler *s)
{
	return s->n + begun(s);
}

int
scheduler_waiting(const struct scheduler *s)
{
	return s->line.n - begun(s);
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

	text_free(t);
	return ret;
}

int
line_drop(struct scheduler *s, struct err *err)
{
	for (struct text **at = &s->line.first; *at != NULL;) {
		if (!text_is_dropped(*at))
			at = &(*at)->next;
		else if (end_in_line(s, at, TEXT_BROKEN_OFF, NULL, err) < 0)
			return -1;
	}
	return 0;
}

/* Where the next one to begin is; NULL: nobody waits. */
static struct text **
next_one(struct scheduler *s)
{
	struct text **best = NULL;

	for (struct text **at = &s->line.first; *at != NULL; at = &(*at)->next)
		if (best == NULL || text_before(s, *at, *best))
			best = at;
	return best;
}

int
line_begin(struct scheduler *s, struct err *err)
{
	struct text **at, *other;

	while ((at = next_one(s)) != NULL) {
		int got = text_begin(s, *at, &s->why);

		if (got > 0) {
			leave(s, at);
			continue;
		}
		if (got < 0) {
			if (end_in_line(s, at, TEXT_FAILED, &s->why, err) < 0)
				return -1;
			continue;
		}
		if ((other = text_in_the_way(s, *at)) == NULL)
			return 0;
		if (text_take_off(s, other, &s->why) < 0)
			return 0;
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
		text_free(leave(s, &s->line.first));
}
