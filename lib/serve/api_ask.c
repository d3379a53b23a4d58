/* What happens to a request for texts before it is read: its place, its model, the guard. */
#include <stdlib.h>

#include "serve/check.h"
#include "serve/reply_impl.h"

/* A request at the guard. */
struct screen {
	struct errand	 errand;
	struct text_asked asked;
	struct buf	 came;		/* the body, which may outlive its call */
	struct buf	 body, verdict;
	int		 found;		/* by check_body() */
	struct err	 err;
};

static void
run(struct errand *e)
{
	struct screen *s = (struct screen *)e;

	s->found = check_body(s->asked.guards, s->asked.model->tok,
	    buf_str(&s->came), &s->body, &s->verdict, &s->err);
}

static void
drop(struct errand *e)
{
	struct screen *s = (struct screen *)e;

	buf_free(&s->came);
	buf_free(&s->body);
	buf_free(&s->verdict);
	guards_free(s->asked.guards);
	free(s);
}

static void
refuse(struct screen *s)
{
	struct text_asked *q = &s->asked;
	struct audit_entry e;

	api_fail(q->call, 400, "invalid_request_error", "content_filter", NULL,
	    "what was asked is not allowed here");
	metrics_rejected(q->api->o.metrics, "guard");
	if (q->api->o.audit == NULL)
		return;
	record_entry(&e, q->call);
	e.model = str_of(q->model->name);
	e.prompt = http_body(q->call);
	e.guard = buf_str(&s->verdict);
	audit_write(q->api->o.audit, &e);
}

/* The guard is done.  Does a reply wait now?  If not, it was answered. */
static bool
go_on(struct screen *s)
{
	struct text_asked *q = &s->asked;

	q->body = buf_str(&s->body);
	q->verdict = buf_str(&s->verdict);
	if (s->found == 0)
		return api_text(q);
	if (s->found > 0)
		refuse(s);
	else
		api_refuse(q->call, &s->err);
	return false;
}

static void
on_ready(void *ctx, struct http_call *c)
{
	struct screen *s = ctx;

	(void)c;
	if (errand_done(s->asked.api->errands, &s->errand) && go_on(s))
		drop(&s->errand);
}

static void
on_end(void *ctx, bool whole)
{
	struct screen *s = ctx;

	(void)whole;
	errand_leave(s->asked.api->errands, &s->errand);
}

static void
screen(struct text_asked *q)
{
	static const struct http_waiter waiter = { .ready = on_ready, .end = on_end };
	struct screen *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		api_refuse(q->call, &(struct err){ ERR_NOMEM, "out of memory" });
		return;
	}
	s->errand = (struct errand){ .run = run, .drop = drop, .call = q->call };
	s->asked = *q;
	s->asked.guards = guards_share(q->guards);
	buf_add(&s->came, q->body);
	if (guards_hold(q->guards, GUARD_REQUEST)) {
		http_wait(q->call, &waiter, s);
		errand_give(q->api->errands, &s->errand);
	} else {
		run(&s->errand);
		go_on(s);
		drop(&s->errand);
	}
}

static void
ask(struct api *a, struct http_call *c, bool chat)
{
	struct text_asked q = { .api = a, .call = c, .chat = chat, .body = http_body(c) };
	const str key[] = { S("model") };
	struct json_member m;
	struct err err;

	if (!api_room(a, c))
		return;
	if (json_scan(q.body, key, 1, &m, &err) < 0) {
		api_refuse(c, &err);
		return;
	}
	if ((q.model = api_model(a, c, m.value, false, &q.adapter)) == NULL)
		return;
	pthread_mutex_lock(&a->lock);
	q.guards = guards_share(a->guards);
	pthread_mutex_unlock(&a->lock);
	if (q.guards != NULL && guards_any(q.guards, GUARD_REQUEST))
		screen(&q);
	else
		api_text(&q);
	guards_free(q.guards);
}

void
api_chat(struct api *a, struct http_call *c)
{
	ask(a, c, true);
}

void
api_completions(struct api *a, struct http_call *c)
{
	ask(a, c, false);
}
