/* What is written down of answers when they are over, and what users say of them. */
#include <math.h>
#include <stdlib.h>

#include "base/progress.h"
#include "serve/reply_impl.h"

/* ---- answers ---- */

/* What rules found in a request and in an answer, lists, as one; empty: nothing. */
static void
join_verdicts(struct buf *b, const struct reply *r, const struct choice *x)
{
	struct buf answer = { 0 };

	if (x->check != NULL)
		check_verdict(x->check, &answer);
	if (answer.n > 2 && r->verdict.n > 0) {
		buf_add(b, (str){ r->verdict.p, r->verdict.n - 1 });
		buf_byte(b, ',');
		buf_add(b, (str){ answer.p + 1, answer.n - 1 });
	} else {
		buf_add(b, buf_str(answer.n > 2 ? &answer : &r->verdict));
	}
	buf_free(&answer);
}

/* What generation and choice know; the lock is held. */
static void
note_text(struct audit_entry *e, const struct reply *r, const struct choice *x)
{
	const struct generation *g = x->g;

	e->answer = reply_text(x);
	if (g->state == GENERATION_NEW || g->state == GENERATION_REFUSED)
		return;
	e->prompt_tokens = g->report.prompt;
	e->cached_tokens = g->report.cached;
	e->tokens = g->report.tokens;
	if (g->first > 0)
		e->first = g->first > r->start ? g->first - r->start : 0;
	if (g->state == GENERATION_OVER && g->report.tokens > 0)
		e->logp = g->report.logp;
	if (x->check != NULL && check_blocked(x->check))
		e->end = str_of(reply_finish(x));
	else if (g->state != GENERATION_OVER)
		e->end = str_of(text_end_name(TEXT_BROKEN_OFF));
	else if (g->report.end == TEXT_BROKEN_OFF || g->report.end == TEXT_FAILED)
		e->end = str_of(text_end_name(g->report.end));
	else
		e->end = str_of(reply_finish(x));
}

void
record_entry(struct audit_entry *e, const struct http_call *c)
{
	const struct key *key = api_key(c);

	*e = (struct audit_entry){ .peer = str_of(http_peer(c)), .route = http_path(c),
	    .prompt_tokens = -1, .cached_tokens = -1, .tokens = -1, .first = (double)NAN,
	    .seconds = (double)NAN, .logp = (double)NAN };
	/* As the log has it: who goes away before there is an answer has none. */
	e->status = http_status(c) > 0 ? http_status(c) : 499;
	if (key != NULL)
		e->key = str_of(key->name);
}

void
record_reply(const struct reply *r)
{
	struct audit_entry e;

	record_entry(&e, r->call);
	e.id = str_of(r->id);
	e.model = str_of(r->model->name);
	if (!str_eq(buf_str(&r->name), e.model))
		e.adapter = buf_str(&r->name);
	e.seconds = progress_now() - r->start;
	for (int i = 0; i < r->n; i++) {
		const struct choice *x = &r->choice[i];
		struct audit_entry one = e;
		struct buf found = { 0 };

		one.prompt = buf_str(&r->prompt[i / r->per_prompt]);
		if (x->g != NULL) {
			pthread_mutex_lock(&x->g->lock);
			note_text(&one, r, x);
			pthread_mutex_unlock(&x->g->lock);
		}
		join_verdicts(&found, r, x);
		if (found.n > 0)
			one.guard = buf_str(&found);
		audit_write(r->api->o.audit, &one);
		buf_free(&found);
	}
}

/* ---- ratings ---- */

enum { ID, RATING, COMMENT, BETTER, KEYS };

/* A text; without it stays none. */
static int
read_text(str value, const char *name, struct buf *b, str *text, struct err *err)
{
	*text = (str){ NULL, 0 };
	if (!json_given(value))
		return 0;
	return json_text(value, b, text, err) < 0 ? err_wrap(err, "key '%s'", name) : 0;
}

static int
read_rating(struct audit_rating *said, str body, struct buf b[3], struct err *err)
{
	const str key[KEYS] = { S("id"), S("rating"), S("comment"), S("better") };
	struct json_member m[KEYS];

	if (json_scan(body, key, KEYS, m, err) < 0 ||
	    read_text(m[ID].value, "id", &b[0], &said->id, err) < 0 ||
	    read_text(m[COMMENT].value, "comment", &b[1], &said->comment, err) < 0 ||
	    read_text(m[BETTER].value, "better", &b[2], &said->better, err) < 0)
		return -1;
	if (said->id.n == 0)
		return err_set(err, ERR_FORMAT, "key 'id': which answer is it?");
	if (m[RATING].value.p == NULL)
		return err_set(err, ERR_FORMAT, "key 'rating': there is none");
	return json_number(m[RATING].value, &said->rating, err) < 0 ?
	    err_wrap(err, "key 'rating'") : 0;
}

void
api_feedback(struct api *a, struct http_call *c)
{
	const struct key *key = api_key(c);
	struct audit_rating said = { .peer = str_of(http_peer(c)) };
	struct buf b[3] = { { 0 } };
	struct err err;

	if (key != NULL)
		said.key = str_of(key->name);
	if (read_rating(&said, http_body(c), b, &err) < 0)
		api_refuse(c, &err);
	else if (a->o.audit == NULL || !audit_rate(a->o.audit, &said))
		api_fail(c, 404, "invalid_request_error", NULL, NULL,
		    "what is said of answers is not kept here");
	else
		http_answer(c, 200, "application/json", S("{\"status\":\"ok\"}"));
	for (int i = 0; i < 3; i++)
		buf_free(&b[i]);
}
