#include "serve/reply_impl.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/progress.h"

/* ---- what may be told ---- */

str
reply_text(const struct choice *x)
{
	return x->check != NULL ? check_text(x->check) : buf_str(&x->g->text);
}

/* Let the guard see what came since.  Nobody waits for what it ends. */
static void
check_more(struct choice *x)
{
	struct generation *g = x->g;
	struct buf more = { 0 };
	bool last;

	if (x->check == NULL || check_over(x->check))
		return;
	pthread_mutex_lock(&g->lock);
	if (g->text.n > x->checked)
		buf_add(&more, (str){ g->text.p + x->checked, g->text.n - x->checked });
	last = g->state == GENERATION_OVER;
	x->checked = g->text.n;
	pthread_mutex_unlock(&g->lock);
	check_add(x->check, buf_str(&more), last);
	buf_free(&more);
	if (check_blocked(x->check) && x->watch.call != NULL) {
		generation_unwatch(g, &x->watch);
		x->watch.call = NULL;
	}
}

/* Will nothing more come? */
static bool
is_over(const struct choice *x)
{
	return x->check != NULL ? check_over(x->check) : x->g->state == GENERATION_OVER;
}

/* By a failure or the end of the server, which it tells, and not by the guard. */
static bool
is_broken(const struct choice *x)
{
	return x->g->state == GENERATION_OVER && x->g->failure.code != ERR_NONE &&
	    (x->check == NULL || !check_blocked(x->check));
}

/* ---- parts ---- */

static void
put_head(struct buf *b, const struct reply *r, bool chunk)
{
	buf_fmt(b, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", r->id,
	    r->chat ? chunk ? "chat.completion.chunk" : "chat.completion" : "text_completion",
	    (long long)r->created);
	json_quote(b, buf_str(&r->name));
	buf_add(b, S(",\"system_fingerprint\":\"llm-" VERSION "\",\"choices\":["));
}

/* "stop" too where nothing more may follow by its grammar. */
const char *
reply_finish(const struct choice *x)
{
	if (x->check != NULL && check_blocked(x->check))
		return "content_filter";
	switch (x->g->report.end) {
	case TEXT_COUNT:
	case TEXT_CONTEXT:
		return "length";
	default:
		return x->calls.n > 0 ? "tool_calls" : "stop";
	}
}

static void
put_logp(struct buf *b, double logp)
{
	/* JSON has no infinity: what cannot be is as unlikely as OpenAI has it. */
	buf_fmt(b, "%.9g", isfinite(logp) ? logp : -9999.0);
}

static void
put_bytes(struct buf *b, str bytes)
{
	buf_byte(b, '[');
	for (ptrdiff_t i = 0; i < bytes.n; i++)
		buf_fmt(b, i > 0 ? ",%d" : "%d", (unsigned char)bytes.p[i]);
	buf_byte(b, ']');
}

static void
put_token(struct buf *b, const struct reply *r, int32_t id, double logp)
{
	str bytes = tokenizer_bytes(r->model->tok, id);

	buf_add(b, S("{\"token\":"));
	json_quote(b, bytes);
	buf_add(b, S(",\"logprob\":"));
	put_logp(b, logp);
	buf_add(b, S(",\"bytes\":"));
	put_bytes(b, bytes);
}

/* Of a chat: tokens from..to of a generation. */
static void
put_chat_logprobs(struct buf *b, const struct reply *r, const struct generation *g, int64_t from,
    int64_t to)
{
	buf_add(b, S(",\"logprobs\":{\"content\":["));
	for (int64_t i = from; i < to; i++) {
		const struct generation_token *t = &g->token[i];

		if (i > from)
			buf_byte(b, ',');
		put_token(b, r, t->id, t->logp);
		buf_add(b, S(",\"top_logprobs\":["));
		for (int64_t k = 0; k < t->n_top; k++) {
			if (k > 0)
				buf_byte(b, ',');
			put_token(b, r, g->top[t->top + k].id, g->top[t->top + k].logp);
			buf_byte(b, '}');
		}
		buf_add(b, S("]}"));
	}
	buf_add(b, S("],\"refusal\":null}"));
}

/* A token of a completion, as OpenAI has one that is no whole characters: "bytes:\xe2\x82". */
static void
put_piece(struct buf *b, str bytes)
{
	if (utf8_bad(bytes) < 0) {
		json_quote(b, bytes);
		return;
	}
	buf_add(b, S("\"bytes:"));
	for (ptrdiff_t i = 0; i < bytes.n; i++)
		buf_fmt(b, "\\\\x%02x", (unsigned char)bytes.p[i]);
	buf_byte(b, '"');
}

/* An object has a key once: of tokens of the same bytes the likeliest is told. */
static void
put_alternatives(struct buf *b, const struct reply *r, const struct token_logp *top, int64_t n)
{
	const struct tokenizer *tok = r->model->tok;

	buf_byte(b, '{');
	for (int64_t k = 0; k < n; k++) {
		str bytes = tokenizer_bytes(tok, top[k].id);
		int64_t same = 0;

		while (!str_eq(bytes, tokenizer_bytes(tok, top[same].id)))
			same++;
		if (same < k)
			continue;
		if (k > 0)
			buf_byte(b, ',');
		put_piece(b, bytes);
		buf_byte(b, ':');
		put_logp(b, top[k].logp);
	}
	buf_byte(b, '}');
}

/* Of a completion: four lists. */
static void
put_text_logprobs(struct buf *b, const struct reply *r, const struct generation *g, int64_t from,
    int64_t to, ptrdiff_t before)
{
	static const char *const list[] = { "{\"tokens\":[", "],\"token_logprobs\":[",
	    "],\"top_logprobs\":[", "],\"text_offset\":[" };

	buf_add(b, S(",\"logprobs\":"));
	for (int k = 0; k < 4; k++) {
		buf_add(b, str_of(list[k]));
		for (int64_t i = from; i < to; i++) {
			const struct generation_token *t = &g->token[i];

			if (i > from)
				buf_byte(b, ',');
			if (k == 0)
				put_piece(b, tokenizer_bytes(r->model->tok, t->id));
			else if (k == 1)
				put_logp(b, t->logp);
			else if (k == 2)
				put_alternatives(b, r, g->top + t->top, t->n_top);
			else
				buf_fmt(b, "%lld", (long long)(t->text + before));
		}
	}
	buf_add(b, S("]}"));
}

static void
put_logprobs(struct buf *b, const struct reply *r, const struct generation *g, int64_t from,
    int64_t to, ptrdiff_t before)
{
	if (!r->logprobs)
		buf_add(b, S(",\"logprobs\":null"));
	else if (r->chat)
		put_chat_logprobs(b, r, g, from, to);
	else
		put_text_logprobs(b, r, g, from, to, before);
}

/* Of a chat's text the tokens of its thoughts, up to the mark that ends them. */
static int64_t
thought_tokens(const struct reply *r, const struct generation *g)
{
	bool over;
	str thought = calls_thought(buf_str(&g->text), r->thinking, &over);

	return over ? generation_tokens(g, thought.n) : g->report.tokens;
}

/* Prompts are counted once, however many choices each has. */
static void
put_usage(struct buf *b, const struct reply *r)
{
	int64_t prompt = 0, cached = 0, drawn = 0, thought = 0;

	for (int i = 0; i < r->n; i++) {
		struct generation *g = r->choice[i].g;

		pthread_mutex_lock(&g->lock);
		if (i % r->per_prompt == 0) {
			prompt += g->report.prompt;
			cached += g->report.cached;
		}
		drawn += g->report.tokens;
		thought += r->chat ? thought_tokens(r, g) : 0;
		pthread_mutex_unlock(&g->lock);
	}
	buf_fmt(b, ",\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,"
	    "\"total_tokens\":%lld,\"prompt_tokens_details\":{\"cached_tokens\":%lld},"
	    "\"completion_tokens_details\":{\"reasoning_tokens\":%lld}}", (long long)prompt,
	    (long long)drawn, (long long)(prompt + drawn), (long long)cached, (long long)thought);
}

/* ---- a whole answer ---- */

static void
put_choice(struct buf *b, const struct reply *r, int i)
{
	struct choice *x = &r->choice[i];
	struct generation *g = x->g;
	ptrdiff_t before = 0;

	pthread_mutex_lock(&g->lock);
	buf_fmt(b, i > 0 ? ",{\"index\":%d," : "{\"index\":%d,", i);
	if (r->chat) {
		said_whole(r, i);
		buf_add(b, S("\"message\":{\"role\":\"assistant\","));
		buf_add(b, buf_str(&x->said));
		buf_add(b, S(",\"refusal\":null}"));
	} else if (r->echo != NULL) {
		struct buf all = { 0 };

		before = r->echo[i / r->per_prompt].n;
		buf_add(&all, buf_str(&r->echo[i / r->per_prompt]));
		buf_add(&all, reply_text(x));
		buf_add(b, S("\"text\":"));
		json_quote(b, buf_str(&all));
		buf_free(&all);
	} else {
		buf_add(b, S("\"text\":"));
		json_quote(b, reply_text(x));
	}
	put_logprobs(b, r, g, 0, g->n_token, before);
	buf_fmt(b, ",\"finish_reason\":\"%s\"}", reply_finish(x));
	pthread_mutex_unlock(&g->lock);
}

static void
answer_whole(struct reply *r)
{
	struct buf b = { 0 };

	put_head(&b, r, false);
	for (int i = 0; i < r->n; i++)
		put_choice(&b, r, i);
	buf_byte(&b, ']');
	put_usage(&b, r);
	buf_byte(&b, '}');
	api_ok(r->call, &b);
}

/* ---- a stream ---- */

void
reply_chunk(struct reply *r, int i, str said, int64_t tokens, const char *reason)
{
	struct buf *b = &r->out;
	struct choice *x = &r->choice[i];

	buf_add(b, S("data: "));
	put_head(b, r, true);
	buf_fmt(b, "{\"index\":%d,", i);
	if (r->chat) {
		buf_add(b, S("\"delta\":{"));
		buf_add(b, said);
		buf_byte(b, '}');
	} else {
		buf_add(b, S("\"text\":"));
		json_quote(b, said);
	}
	put_logprobs(b, r, x->g, x->token, tokens, 0);
	if (reason != NULL)
		buf_fmt(b, ",\"finish_reason\":\"%s\"}]", reason);
	else
		buf_add(b, S(",\"finish_reason\":null}]"));
	if (r->usage)
		buf_add(b, S(",\"usage\":null"));
	buf_add(b, S("}\n\n"));
	x->begun = true;
	x->token = tokens;
}

static void
put_failure(struct reply *r, const struct err *why)
{
	buf_add(&r->out, S("data: "));
	api_error_body(&r->out, "server_error", NULL, NULL, why->msg);
	buf_add(&r->out, S("\n\n"));
}

/* What a choice has that was not told. */
static void
tell_choice(struct reply *r, int i)
{
	struct choice *x = &r->choice[i];
	struct generation *g = x->g;
	bool over;
	str text;

	check_more(x);
	pthread_mutex_lock(&g->lock);
	text = reply_text(x);
	if (text.n > 0)
		text = (str){ text.p + x->text, text.n - x->text };
	over = is_over(x);
	if (!x->begun && r->chat)
		reply_chunk(r, i, S("\"role\":\"assistant\",\"content\":\"\""), 0, NULL);
	else if (!x->begun && r->echo != NULL)
		reply_chunk(r, i, buf_str(&r->echo[i / r->per_prompt]), 0, NULL);
	if (r->chat)
		said_more(r, i, text, over);
	else if (text.n > 0)
		reply_chunk(r, i, text, g->n_token, NULL);
	x->text += text.n;
	if (over) {
		if (is_broken(x))
			put_failure(r, &g->failure);
		else
			reply_chunk(r, i, S(""), g->n_token, reply_finish(x));
		x->over = true;
	}
	pthread_mutex_unlock(&g->lock);
}

static void
tell(struct reply *r)
{
	bool over = true;

	buf_reset(&r->out);
	r->sent = 0;
	for (int i = 0; i < r->n; i++) {
		if (!r->choice[i].over)
			tell_choice(r, i);
		over = over && r->choice[i].over;
	}
	if (!over)
		return;
	if (r->usage) {
		buf_add(&r->out, S("data: "));
		put_head(&r->out, r, true);
		buf_byte(&r->out, ']');
		put_usage(&r->out, r);
		buf_add(&r->out, S("}\n\n"));
	}
	buf_add(&r->out, S("data: [DONE]\n\n"));
	r->done = true;
}

static ptrdiff_t
on_read(void *ctx, char *to, ptrdiff_t n)
{
	struct reply *r = ctx;

	if (r->sent == r->out.n) {
		if (r->done)
			return -1;
		tell(r);
		if (r->out.n == 0 && progress_now() - r->spoke > HTTP_SILENCE - 1)
			buf_add(&r->out, S(": still here\n\n"));
		if (r->out.failed)
			return -1;
		if (r->out.n > 0)
			r->spoke = progress_now();
	}
	if (n > r->out.n - r->sent)
		n = r->out.n - r->sent;
	if (n > 0)
		memcpy(to, r->out.p + r->sent, (size_t)n);
	r->sent += n;
	return n;
}

/* ---- its life ---- */

/* What a choice is for its answer: over when all of it passed the guard. */
static enum generation_state
state_of(struct choice *x, struct err *why, bool *broken)
{
	enum generation_state state;

	check_more(x);
	pthread_mutex_lock(&x->g->lock);
	state = x->g->state;
	if (state >= GENERATION_ACCEPTED)
		state = is_over(x) ? GENERATION_OVER : GENERATION_ACCEPTED;
	*why = x->g->failure;
	*broken = is_broken(x);
	pthread_mutex_unlock(&x->g->lock);
	return state;
}

static void
on_ready(void *ctx, struct http_call *c)
{
	struct reply *r = ctx;
	bool over = true;

	for (int i = 0; i < r->n; i++) {
		struct err why;
		bool broken;

		switch (state_of(&r->choice[i], &why, &broken)) {
		case GENERATION_NEW:
			return;
		case GENERATION_REFUSED:
			api_refuse(c, &why);
			return;
		case GENERATION_ACCEPTED:
			over = false;
			break;
		case GENERATION_OVER:
			if (broken && !r->stream) {
				api_fail(c, why.code == ERR_STOP ? 503 : 500, "server_error",
				    NULL, NULL, "%s", why.msg);
				return;
			}
		}
	}
	if (r->stream) {
		r->spoke = progress_now();
		http_set(c, "Cache-Control", "no-cache");
		http_stream(c, 200, "text/event-stream");
	} else if (over) {
		answer_whole(r);
	}
}

/* Its key is free for others, and has back what was not written. */
static void
release_key(struct reply *r)
{
	int64_t drawn = 0;

	for (int i = 0; i < r->n; i++) {
		struct generation *g = r->choice[i].g;

		if (g == NULL)
			continue;
		pthread_mutex_lock(&g->lock);
		drawn += g->report.tokens;
		pthread_mutex_unlock(&g->lock);
	}
	key_release(r->api->o.keys, r->key, r->most > drawn ? r->most - drawn : 0,
	    progress_now());
}

static void
on_end(void *ctx, bool whole)
{
	struct reply *r = ctx;

	(void)whole;
	for (int i = 0; i < r->n; i++)
		if (r->choice[i].watch.call != NULL)
			generation_unwatch(r->choice[i].g, &r->choice[i].watch);
	reply_drop(r);
}

struct reply *
reply_new(struct api *a, struct http_call *c, int n, struct err *err)
{
	struct reply *r = calloc(1, sizeof(*r));

	if (r == NULL || (r->choice = calloc((size_t)n, sizeof(*r->choice))) == NULL) {
		free(r);
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	r->api = a;
	r->call = c;
	r->n = n;
	r->created = (int64_t)time(NULL);
	r->start = progress_now();
	return r;
}

void
reply_wait(struct reply *r)
{
	static const struct http_waiter waiter = { on_ready, on_read, on_end };

	http_wait(r->call, &waiter, r);
	for (int i = 0; i < r->n; i++)
		generation_watch(r->choice[i].g, &r->choice[i].watch, r->call);
	http_set(r->call, "X-Request-Id", r->id);
	if (r->kept == r->n)
		http_set(r->call, "X-Cache", "hit");
	/* Some of it may be there already. */
	http_wake(r->call);
}

static void
free_texts(struct buf *text, int n)
{
	for (int i = 0; text != NULL && i < n; i++)
		buf_free(&text[i]);
	free(text);
}

void
reply_drop(struct reply *r)
{
	if (r == NULL)
		return;
	if (r->prompt != NULL)
		record_reply(r);
	if (r->key != NULL)
		release_key(r);
	for (int i = 0; i < r->n; i++) {
		flights_leave(r->api->flights, r->choice[i].flight);
		generation_release(r->choice[i].g);
		check_free(r->choice[i].check);
		calls_free(&r->choice[i].calls);
		buf_free(&r->choice[i].said);
	}
	json_decref(r->tools);
	free_texts(r->echo, r->n / r->per_prompt);
	free_texts(r->prompt, r->n / r->per_prompt);
	free(r->choice);
	buf_free(&r->name);
	buf_free(&r->verdict);
	buf_free(&r->out);
	free(r);
}
