/*
 * What the assistant said, in text of a template that does not mark it: found by
 * rendering the conversation up to each of its messages.
 */
#include <stdlib.h>

#include "token/template_run_impl.h"

struct prefixes {
	const struct template	*t;
	struct template_input	 in;	/* of a part of the messages */
	struct buf		 text;
	struct err		*err;
};

/* Render the first n messages. */
static int
render(struct prefixes *p, const json_t *all, size_t n, bool prompt)
{
	json_t *some = json_array();
	int ret = -1;

	buf_reset(&p->text);
	for (size_t i = 0; some != NULL && i < n; i++)
		json_array_append(some, json_array_get(all, i));
	p->in.messages = some;
	p->in.prompt = prompt;
	if (some == NULL || json_array_size(some) != n)
		err_set(p->err, ERR_NOMEM, "out of memory");
	else
		ret = template_render(p->t, &p->in, &p->text, NULL, p->err);
	json_decref(some);
	return ret;
}

static int
not_prefix(struct prefixes *p, size_t i)
{
	return err_set(p->err, ERR_FORMAT, "chat template: what comes after message %zu changes "
	    "the text of those before, so where it stands is not known", i);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* From where the prompt for message i ends to where the message does. */
static int
find_span(struct prefixes *p, const json_t *all, size_t i, str whole,
    struct template_spans *spans)
{
	ptrdiff_t start, end;

	if (render(p, all, i, true) < 0)
		return -1;
	if (!str_starts(whole, buf_str(&p->text)))
		return not_prefix(p, i);
	start = p->text.n;
	if (render(p, all, i + 1, false) < 0)
		return -1;
	if (!str_starts(whole, buf_str(&p->text)) || p->text.n < start)
		return not_prefix(p, i);
	for (end = p->text.n; end > start && is_space(whole.p[end - 1]); )
		end--;
	return tpl_add_span(spans, start, end, p->err);
}

int
template_render_spans(const struct template *t, const struct template_input *in, struct buf *out,
    struct template_spans *spans, struct err *err)
{
	struct prefixes p = { .t = t, .in = *in, .err = err };
	ptrdiff_t start = out->n;
	int ret = template_render(t, in, out, spans, err);
	size_t n = json_array_size(in->messages);
	str whole = S("");

	if (ret == 0 && out->n > start)
		whole = (str){ out->p + start, out->n - start };
	for (size_t i = 0; !t->marks && ret == 0 && i < n; i++) {
		const json_t *role = json_object_get(json_array_get(in->messages, i), "role");

		if (json_is_string(role) && strcmp(json_string_value(role), "assistant") == 0)
			ret = find_span(&p, in->messages, i, whole, spans);
	}
	if (ret < 0)
		out->n = start;
	buf_free(&p.text);
	return ret;
}
