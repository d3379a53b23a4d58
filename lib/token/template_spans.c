/*
 * What the assistant said, in text of a template that does not mark it: found by
 * rendering the conversation up to each of its messages.
 *
 * Later messages may change what a template makes of earlier ones (that their
 * reasoning is left out, say).  So only what is around a message is compared: what
 * stands between that which was said before and the message itself begins with the end
 * of the turn before and with the prompt; what follows it, with the end of its turn.
 */
#include <stdlib.h>

#include "token/template_run_impl.h"

struct prefixes {
	const struct template	*t;
	struct template_input	 in;	/* of a part of the messages */
	struct buf		 text;
	struct template_marks	 marks;	/* of it */
	str			 whole;
	const struct template_spans *said;	/* of the whole */
	ptrdiff_t		 next;	/* of said: where the next message may begin */
	struct err		*err;
};

/* Render the first n messages; *tail is what follows that which was said last. */
static int
render(struct prefixes *p, const json_t *all, size_t n, bool prompt, str *tail)
{
	json_t *some = json_array();
	ptrdiff_t from = 0;
	int ret = -1;

	buf_reset(&p->text);
	p->marks.said.n = p->marks.answers.n = 0;
	for (size_t i = 0; some != NULL && i < n; i++)
		json_array_append(some, json_array_get(all, i));
	p->in.messages = some;
	p->in.prompt = prompt;
	if (some == NULL || json_array_size(some) != n)
		err_set(p->err, ERR_NOMEM, "out of memory");
	else
		ret = template_render(p->t, &p->in, &p->text, &p->marks, p->err);
	json_decref(some);
	for (ptrdiff_t i = p->marks.said.n; i-- > 0 && from == 0; )
		if (p->marks.said.at[i].who != TEMPLATE_OTHER)
			from = p->marks.said.at[i].end;
	*tail = p->text.n > from ? (str){ p->text.p + from, p->text.n - from } : S("");
	return ret;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* How far they begin alike; where both go on, to the end of a tag or a space. */
static ptrdiff_t
same(str a, str b)
{
	ptrdiff_t n = 0;

	while (n < a.n && n < b.n && a.p[n] == b.p[n])
		n++;
	if (n == a.n || n == b.n)
		return n;
	while (n > 0 && a.p[n - 1] != '>' && a.p[n - 1] != ']' && !is_space(a.p[n - 1]))
		n--;
	return n;
}

/* Is it what a message after this one said?  Those that are near count. */
static bool
is_later(int who, int than)
{
	int by = (who - than + TEMPLATE_OTHER - 1) % (TEMPLATE_OTHER - 1);

	return who != TEMPLATE_OTHER && by > 0 && by < TEMPLATE_OTHER / 2;
}

/*
 * Where message i stands, [*b, *e), and where what was said before it ends.  Of one that
 * says nothing *b is -1.
 */
static void
find_said(struct prefixes *p, size_t i, ptrdiff_t *before, ptrdiff_t *b, ptrdiff_t *e)
{
	const struct template_span *s = p->said->at;
	int who = template_who((int64_t)i);
	ptrdiff_t k = p->next, n = p->said->n, j;

	while (k < n && s[k].who != who && !is_later(s[k].who, who))
		k++;
	for (j = k; j > 0 && s[j - 1].who == TEMPLATE_OTHER; )
		j--;
	*before = j > 0 ? s[j - 1].end : 0;
	*b = k < n && s[k].who == who ? s[k].start : -1;
	*e = *before;
	for (; *b >= 0 && k < n && (s[k].who == who || s[k].who == TEMPLATE_OTHER); k++)
		if (s[k].who == who)
			*e = s[k].end;
	p->next = k;
}

/* From where the prompt for message i ends to where the message does. */
static int
find_answer(struct prefixes *p, const json_t *all, size_t i, struct template_spans *answers)
{
	ptrdiff_t before, b, e, start, end, most;
	str tail;

	find_said(p, i, &before, &b, &e);
	most = b >= 0 ? b : p->whole.n;
	if (render(p, all, i, true, &tail) < 0)
		return -1;
	start = before + same((str){ p->whole.p + before, most - before }, tail);
	if (render(p, all, i + 1, false, &tail) < 0)
		return -1;
	end = e + same((str){ p->whole.p + e, p->whole.n - e }, tail);
	while (end > start && is_space(p->whole.p[end - 1]))
		end--;
	return end < start ? 0 : tpl_add_span(answers, start, end, 0, p->err);
}

static bool
is_answer(const json_t *messages, size_t i)
{
	const char *role = json_string_value(json_object_get(json_array_get(messages, i), "role"));

	return role != NULL && strcmp(role, "assistant") == 0;
}

int
template_render_answers(const struct template *t, const struct template_input *in,
    struct buf *out, struct template_marks *marks, bool last, struct err *err)
{
	struct prefixes p = { .t = t, .in = *in, .said = &marks->said, .err = err };
	size_t n = json_array_size(in->messages), i = 0;
	ptrdiff_t start = out->n;
	int ret = template_render(t, in, out, marks, err);

	p.whole = out->n > start ? (str){ out->p + start, out->n - start } : S("");
	if (last) {
		for (i = n; i > 0 && !is_answer(in->messages, i - 1); )
			i--;
		i -= i > 0;
		if (t->marks && marks->answers.n > 1) {
			marks->answers.at[0] = marks->answers.at[marks->answers.n - 1];
			marks->answers.n = 1;
		}
	}
	for (; !t->marks && ret == 0 && i < n; i++)
		if (is_answer(in->messages, i))
			ret = find_answer(&p, in->messages, i, &marks->answers);
	if (ret < 0)
		out->n = start;
	template_marks_free(&p.marks);
	buf_free(&p.text);
	return ret;
}
