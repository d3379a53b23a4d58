/* A chat's text as what it says: content, thoughts and calls of tools. */
#include <stdlib.h>

#include "serve/calls_ask.h"
#include "serve/reply_impl.h"

static void
put_member(struct buf *b, const char *key, str text)
{
	buf_fmt(b, "\"%s\":", key);
	json_quote(b, text);
}

/* A call up to its arguments, which are a string. */
static void
put_call(struct buf *b, const struct reply *r, int choice, int index, str name)
{
	char id[CALLS_ID];

	calls_id(str_of(r->id), choice, index, id);
	buf_fmt(b, "\"id\":\"%s\",\"type\":\"function\",\"function\":{", id);
	put_member(b, "name", name);
	buf_add(b, S(",\"arguments\":"));
}

static void
set_up(const struct reply *r, struct choice *x)
{
	x->calls.format = r->model->calls;
	x->calls.tools = r->tools;
	x->calls.single = r->single;
	x->calls.thoughts = true;
	x->calls.thinking = r->thinking;
}

/* ---- whole ---- */

struct whole {
	const struct reply *r;
	int choice;
	struct buf content, thought, calls;
};

static int
add(void *ctx, enum calls_event e, int index, str text, struct err *err)
{
	struct whole *w = ctx;

	if (e == CALLS_CONTENT)
		buf_add(&w->content, text);
	else if (e == CALLS_THOUGHT)
		buf_add(&w->thought, text);
	else if (e == CALLS_BEGIN) {
		buf_add(&w->calls, index > 0 ? S(",{") : S("{"));
		put_call(&w->calls, w->r, w->choice, index, text);
	} else if (e == CALLS_ARGUMENTS)
		json_quote(&w->calls, text);
	else
		buf_add(&w->calls, S("}}"));
	(void)err;
	return 0;
}

void
said_whole(const struct reply *r, int i)
{
	struct choice *x = &r->choice[i];
	struct whole w = { .r = r, .choice = i };
	struct buf *b = &x->said;
	struct err err;

	set_up(r, x);
	x->calls.tell = add;
	x->calls.ctx = &w;
	if (calls_feed(&x->calls, reply_text(x), &err) < 0 ||
	    calls_end(&x->calls, &err) < 0 || buf_ok(&w.content, &err) < 0 ||
	    buf_ok(&w.thought, &err) < 0 || buf_ok(&w.calls, &err) < 0)
		b->failed = true;
	if (w.content.n == 0 && x->calls.n > 0)
		buf_add(b, S("\"content\":null"));
	else
		put_member(b, "content", buf_str(&w.content));
	if (w.thought.n > 0) {
		buf_byte(b, ',');
		put_member(b, "reasoning_content", buf_str(&w.thought));
	}
	if (x->calls.n > 0) {
		buf_add(b, S(",\"tool_calls\":["));
		buf_add(b, buf_str(&w.calls));
		buf_byte(b, ']');
	}
	buf_free(&w.content);
	buf_free(&w.thought);
	buf_free(&w.calls);
}

/* ---- in pieces ---- */

struct pieces {
	struct reply *r;
	int choice;
};

static int
stream(void *ctx, enum calls_event e, int index, str text, struct err *err)
{
	struct pieces *p = ctx;
	struct choice *x = &p->r->choice[p->choice];
	struct buf *b = &x->said;

	if (e == CALLS_END || e == CALLS_BROKEN)
		return 0;
	buf_reset(b);
	if (e == CALLS_CONTENT)
		put_member(b, "content", text);
	else if (e == CALLS_THOUGHT)
		put_member(b, "reasoning_content", text);
	else {
		buf_fmt(b, "\"tool_calls\":[{\"index\":%d,", index);
		if (e == CALLS_BEGIN) {
			put_call(b, p->r, p->choice, index, text);
			buf_add(b, S("\"\"}}]"));
		} else {
			buf_add(b, S("\"function\":{"));
			put_member(b, "arguments", text);
			buf_add(b, S("}}]"));
		}
	}
	reply_chunk(p->r, p->choice, buf_str(b), x->g->n_token, NULL);
	return buf_ok(b, err);
}

void
said_more(struct reply *r, int i, str text, bool last)
{
	struct choice *x = &r->choice[i];
	struct pieces p = { r, i };
	struct err err;

	set_up(r, x);
	x->calls.pieces = true;
	x->calls.tell = stream;
	x->calls.ctx = &p;
	if (calls_feed(&x->calls, text, &err) < 0 || (last && calls_end(&x->calls, &err) < 0))
		r->out.failed = true;
}
