#include "answer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

void
answer_free(struct answer *a)
{
	buf_free(&a->text);
	free(a->gap);
	*a = (struct answer){ 0 };
}

static int
wrong(struct err *err, const char *what)
{
	return err_set(err, ERR_FORMAT, "%s", what);
}

static const char *
string_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* Text may have NULs in it; p NULL: there is none. */
static str
text_of(const json_t *o, const char *key)
{
	const json_t *s = json_object_get(o, key);

	return (str){ json_string_value(s), (ptrdiff_t)json_string_length(s) };
}

static int
add_gap(struct answer *a, double gap)
{
	if (a->n_gap == a->cap_gap) {
		int64_t cap = a->cap_gap * 2 + 32;
		double *p = realloc(a->gap, (size_t)cap * sizeof(*p));

		if (p == NULL)
			return -1;
		a->gap = p;
		a->cap_gap = cap;
	}
	a->gap[a->n_gap++] = gap;
	return 0;
}

/* What each object of a kind has: its name, id, time and model. */
static int
read_frame(struct answer *a, const json_t *o, const char *object, struct err *err)
{
	const char *id = string_of(o, "id"), *name = string_of(o, "object");

	if (name == NULL || strcmp(name, object) != 0)
		return err_set(err, ERR_FORMAT, "object is not %s", object);
	if (id == NULL || strlen(id) == 0 || strlen(id) >= sizeof(a->id))
		return wrong(err, "no id");
	if (a->id[0] != '\0' && strcmp(a->id, id) != 0)
		return wrong(err, "another id in the same stream");
	snprintf(a->id, sizeof(a->id), "%s", id);
	if (!json_is_integer(json_object_get(o, "created")) || string_of(o, "model") == NULL)
		return wrong(err, "no created, or no model");
	return 0;
}

static int
read_usage(struct answer *a, const json_t *usage, struct err *err)
{
	const json_t *p = json_object_get(usage, "prompt_tokens");
	const json_t *c = json_object_get(usage, "completion_tokens");
	const json_t *t = json_object_get(usage, "total_tokens");

	if (!json_is_integer(p) || !json_is_integer(c) || !json_is_integer(t))
		return wrong(err, "usage without its three counts");
	a->prompt = json_integer_value(p);
	a->completion = json_integer_value(c);
	if (a->prompt < 1 || a->completion < 0 ||
	    a->prompt + a->completion != json_integer_value(t))
		return wrong(err, "counts of usage do not add up");
	return 0;
}

static int
read_finish(struct answer *a, const json_t *choice, struct err *err)
{
	const json_t *f = json_object_get(choice, "finish_reason");

	if (f == NULL)
		return wrong(err, "no finish_reason");
	if (json_is_null(f))
		return 0;
	if (!json_is_string(f) || a->finish[0] != '\0')
		return wrong(err, "a second finish_reason");
	snprintf(a->finish, sizeof(a->finish), "%s", json_string_value(f));
	if (strcmp(a->finish, "stop") != 0 && strcmp(a->finish, "length") != 0)
		return err_set(err, ERR_FORMAT, "finish_reason '%s'", a->finish);
	return 0;
}

/* The one choice, or NULL. */
static const json_t *
only_choice(const json_t *o)
{
	const json_t *list = json_object_get(o, "choices"), *c = json_array_get(list, 0);

	return json_array_size(list) == 1 && json_is_object(c) &&
	    json_is_integer(json_object_get(c, "index")) &&
	    json_integer_value(json_object_get(c, "index")) == 0 ? c : NULL;
}

static int
read_whole(struct answer *a, const struct exchange *e, bool chat, struct err *err)
{
	json_t *o = json_doc(buf_str(&e->body), err);
	const json_t *c, *m;
	int ret = -1;
	str text;

	if (o == NULL)
		return err_wrap(err, "the answer");
	if (!str_starts_like(str_of(e->type), "application/json"))
		wrong(err, "the type of the answer is not JSON");
	else if (read_frame(a, o, chat ? "chat.completion" : "text_completion", err) < 0)
		;
	else if ((c = only_choice(o)) == NULL)
		wrong(err, "there is not one choice");
	else {
		m = chat ? json_object_get(c, "message") : c;
		text = text_of(m, chat ? "content" : "text");
		if (text.p == NULL || (chat && (string_of(m, "role") == NULL ||
		    strcmp(string_of(m, "role"), "assistant") != 0)))
			wrong(err, "no text, or no role");
		else if (read_finish(a, c, err) == 0 &&
		    read_usage(a, json_object_get(o, "usage"), err) == 0) {
			buf_add(&a->text, text);
			ret = buf_ok(&a->text, err);
		}
	}
	json_decref(o);
	if (ret == 0 && a->finish[0] == '\0')
		return wrong(err, "no finish_reason");
	return ret;
}

/* One event's object.  seen counts those before it. */
static int
read_chunk(struct answer *a, const json_t *o, bool chat, int64_t seen, double at,
    const struct exchange *e, struct err *err)
{
	const json_t *usage = json_object_get(o, "usage"), *c, *delta;
	double when = at - (e->due > 0 ? e->due : e->began);
	str text;

	if (json_object_get(o, "error") != NULL)
		return wrong(err, "an error in the stream");
	if (read_frame(a, o, chat ? "chat.completion.chunk" : "text_completion", err) < 0)
		return -1;
	if (json_is_array(json_object_get(o, "choices")) &&
	    json_array_size(json_object_get(o, "choices")) == 0)
		return a->prompt >= 0 ? wrong(err, "usage told twice") : read_usage(a, usage, err);
	if (usage != NULL && !json_is_null(usage) && !chat && read_usage(a, usage, err) < 0)
		return -1;
	if ((c = only_choice(o)) == NULL)
		return wrong(err, "there is not one choice in an event");
	if (a->finish[0] != '\0')
		return wrong(err, "an event behind the last one");
	delta = chat ? json_object_get(c, "delta") : c;
	if (!json_is_object(delta) || (chat && (seen == 0) != (string_of(delta, "role") != NULL)))
		return wrong(err, "the role is not in the first event alone");
	text = text_of(delta, chat ? "content" : "text");
	if (!chat && text.p == NULL)
		return wrong(err, "an event without a text");
	if (text.n > 0) {
		if (a->first < 0)
			a->first = when;
		else if (add_gap(a, when - a->last) < 0)
			return wrong(err, "out of memory");
		a->last = when;
		buf_add(&a->text, text);
	}
	return read_finish(a, c, err);
}

/* One event with its empty line: 0, 1 for [DONE], -1. */
static int
read_event(struct answer *a, str event, bool chat, int64_t *seen, double at,
    const struct exchange *e, struct err *err)
{
	json_t *o;
	int ret;

	event.n -= 2;
	if (utf8_bad(event) >= 0)
		return wrong(err, "an event that is not UTF-8");
	if (event.n > 0 && event.p[0] == ':')
		return 0;	/* a comment: it keeps the connection alive */
	if (!str_starts(event, S("data: ")) || memchr(event.p, '\n', (size_t)event.n) != NULL ||
	    memchr(event.p, '\r', (size_t)event.n) != NULL)
		return wrong(err, "an event that is not one line of data");
	event = (str){ event.p + 6, event.n - 6 };
	if (str_eq(event, S("[DONE]")))
		return 1;
	if ((o = json_doc(event, err)) == NULL)
		return err_wrap(err, "an event");
	ret = read_chunk(a, o, chat, (*seen)++, at, e, err);
	json_decref(o);
	return ret;
}

static int
read_stream(struct answer *a, const struct exchange *e, bool chat, bool usage, bool part,
    struct err *err)
{
	ptrdiff_t from = 0;
	int64_t seen = 0;
	bool done = false;

	if (!str_starts_like(str_of(e->type), "text/event-stream"))
		return part && e->status == 0 ? 0 : wrong(err, "the type of the stream");
	for (int64_t i = 0; i < e->n_event; i++) {
		str event = { e->body.p + from, e->event[i].n - from };
		int got;

		if (done)
			return wrong(err, "an event behind [DONE]");
		if ((got = read_event(a, event, chat, &seen, e->event[i].at, e, err)) < 0)
			return -1;
		done = got == 1;
		from = e->event[i].n;
	}
	if (buf_ok(&a->text, err) < 0)
		return -1;
	if (part)
		return 0;
	if (!done || from != e->body.n)
		return wrong(err, "a stream that does not end with [DONE]");
	if (a->finish[0] == '\0')
		return wrong(err, "a stream without a finish_reason");
	if (usage != (a->prompt >= 0))
		return wrong(err, usage ? "no usage was told" : "usage was told unasked");
	return 0;
}

int
answer_read(struct answer *a, const struct exchange *e, bool chat, bool stream, bool usage,
    bool part, struct err *err)
{
	struct buf text = a->text;
	double *gap = a->gap;
	int64_t cap = a->cap_gap;

	buf_reset(&text);
	*a = (struct answer){ .text = text, .gap = gap, .cap_gap = cap, .prompt = -1,
	    .completion = -1, .first = -1, .last = -1 };
	return stream ? read_stream(a, e, chat, usage, part, err) : read_whole(a, e, chat, err);
}

int
answer_error(const struct exchange *e, struct err *err)
{
	json_t *o = json_doc(buf_str(&e->body), err), *error;
	int ret = 0;

	if (o == NULL)
		return err_wrap(err, "an error's body");
	error = json_object_get(o, "error");
	if (!str_starts_like(str_of(e->type), "application/json"))
		ret = wrong(err, "the type of an error is not JSON");
	else if (string_of(error, "message") == NULL || string_of(error, "message")[0] == '\0' ||
	    string_of(error, "type") == NULL)
		ret = wrong(err, "an error without message and type");
	json_decref(o);
	return ret;
}
