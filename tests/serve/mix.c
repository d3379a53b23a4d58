#include "mix.h"

#include <stdio.h>
#include <stdlib.h>

#include "bad.h"
#include "base/json.h"
#include "base/rng.h"

const char *const kind_name[KINDS] = {
	"completion", "completion stream", "chat", "chat stream", "cancelled", "slow reader",
	"half a request", "half closed", "bad",
};

enum { STREAM_ASK = 1, STREAM_TASK };

static const char *const words[] = {
	"Once", "upon", "a", "time", "little", "girl", "dog", "cat", "tree", "house", "was",
	"happy", "big", "red", "ball", "friend", "went", "to", "the", "park", "and", "saw",
	"\xc3\xa9t\xc3\xa9", "\xe4\xb8\xad\xe6\x96\x87", "\xf0\x9f\x98\x80", "said", "Mom", "day",
};

static uint64_t
draw(const struct mix *m, uint64_t stream, int64_t i, uint64_t what, uint64_t n)
{
	return rng_below(m->seed, stream, (uint64_t)i * 64 + what, n);
}

static double
unit(const struct mix *m, int64_t i, uint64_t what)
{
	return rng_unit(m->seed, STREAM_TASK, (uint64_t)i * 64 + what);
}

static void
make_prompt(const struct mix *m, int64_t i, struct buf *b)
{
	int64_t n = 2 + (int64_t)draw(m, STREAM_ASK, i, 0, 30);

	buf_fmt(b, "%lld", (long long)i);
	for (int64_t j = 0; j < n; j++)
		buf_fmt(b, " %s", words[draw(m, STREAM_ASK, i, 8 + (uint64_t)j,
		    sizeof(words) / sizeof(*words))]);
}

static int
make_ask(const struct mix *m, int64_t i, struct ask *a, struct err *err)
{
	static const double temperatures[] = { 0, 0, 0.7, 1, 1.5 };
	struct buf prompt = { 0 }, *b = &a->fields;

	a->chat = rng_unit(m->seed, STREAM_ASK, (uint64_t)i * 64 + 1) < m->chats;
	a->most = 1 + (int)draw(m, STREAM_ASK, i, 2, (uint64_t)m->tokens);
	make_prompt(m, i, &prompt);
	if (m->model != NULL)
		buf_fmt(b, "\"model\":\"%s\",", m->model);
	buf_fmt(b, "\"max_tokens\":%d,\"seed\":%lld,\"temperature\":%g,", a->most,
	    (long long)draw(m, STREAM_ASK, i, 3, 1 << 30),
	    temperatures[draw(m, STREAM_ASK, i, 4, 5)]);
	if (draw(m, STREAM_ASK, i, 5, 4) == 0)
		buf_add(b, S("\"top_p\":0.9,"));
	if (draw(m, STREAM_ASK, i, 6, 6) == 0)
		buf_add(b, S("\"stop\":[\".\",\"the end\"],"));
	buf_add(b, a->chat ? S("\"messages\":[{\"role\":\"user\",\"content\":") : S("\"prompt\":"));
	json_quote(b, buf_str(&prompt));
	if (a->chat)
		buf_add(b, S("}]"));
	buf_free(&prompt);
	return buf_ok(b, err);
}

int
mix_make(struct mix *m, struct err *err)
{
	if ((m->ask = calloc((size_t)m->n, sizeof(*m->ask))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < m->n; i++)
		if (make_ask(m, i, &m->ask[i], err) < 0)
			return -1;
	return 0;
}

void
mix_free(struct mix *m)
{
	for (int64_t i = 0; i < m->n && m->ask != NULL; i++) {
		buf_free(&m->ask[i].fields);
		buf_free(&m->ask[i].text);
	}
	free(m->ask);
}

static void
make_request(const struct mix *m, struct task *t)
{
	const struct ask *a = t->ask;
	const char *more = !t->stream ? "" : t->usage ?
	    ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" : ",\"stream\":true";

	buf_fmt(&t->e.request, "POST /v1/%scompletions HTTP/1.1\r\nHost: %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %td\r\n\r\n{",
	    a->chat ? "chat/" : "", m->host, a->fields.n + (ptrdiff_t)strlen(more) + 2);
	buf_add(&t->e.request, buf_str(&a->fields));
	buf_fmt(&t->e.request, "%s}", more);
}

static void
make_task(const struct mix *m, const struct ask *a, bool stream, struct task *t)
{
	*t = (struct task){ .ask = a, .stream = stream,
	    .kind = (a->chat ? KIND_CHAT : KIND_COMPLETION) + stream };
	exchange_init(&t->e);
	t->e.patience = m->patience;
	make_request(m, t);
}

void
mix_plain(const struct mix *m, const struct ask *a, struct task *t)
{
	make_task(m, a, false, t);
}

void
mix_stream(const struct mix *m, const struct ask *a, struct task *t)
{
	make_task(m, a, true, t);
}

void
mix_bad(const struct mix *m, int which, struct task *t)
{
	*t = (struct task){ .kind = KIND_BAD, .which = which };
	bad_make(which, &t->e, m->host, m->chats > 0);
}

void
mix_task(const struct mix *m, int64_t i, struct task *t)
{
	double u = unit(m, i, 0);

	if (u < m->bad) {
		mix_bad(m, (int)draw(m, STREAM_TASK, i, 2, (uint64_t)bad_count()), t);
		return;
	}
	*t = (struct task){ .ask = &m->ask[draw(m, STREAM_TASK, i, 1, (uint64_t)m->n)] };
	exchange_init(&t->e);
	t->stream = unit(m, i, 3) < 0.6;
	t->usage = unit(m, i, 4) < 0.5;
	t->e.patience = m->patience;
	t->e.fresh = unit(m, i, 5) < 0.25;
	t->kind = t->ask->chat ? KIND_CHAT : KIND_COMPLETION;
	if (t->stream)
		t->kind++;
	if ((u -= m->bad) < m->cancelled) {
		t->kind = KIND_CANCELLED;
		if (t->stream)
			t->e.cancel = (int)draw(m, STREAM_TASK, i, 6, 9);
		else
			t->e.leave = 1e-3 + 0.05 * unit(m, i, 6);
	} else if ((u -= m->cancelled) < m->slow) {
		t->kind = KIND_SLOW;
		t->e.sip = 1 + (ptrdiff_t)draw(m, STREAM_TASK, i, 6, 256);
		t->e.fresh = true;
	} else if ((u -= m->slow) < m->half) {
		t->kind = unit(m, i, 6) < 0.5 ? KIND_HALF : KIND_SHUT;
		t->e.fresh = true;
		t->e.half = t->kind == KIND_HALF;
		t->e.shut = t->kind == KIND_SHUT;
		if (t->e.half)
			t->e.patience = 2;
	}
	make_request(m, t);
}

int
mix_learn(struct ask *a, const struct task *t, struct answer *got, struct err *err)
{
	if (t->e.end != END_ANSWERED || t->e.status != 200)
		return err_set(err, ERR_FORMAT, "alone, it gives %s (%d): %.*s",
		    t->e.why != NULL ? t->e.why : "no answer", t->e.status,
		    (int)(t->e.body.n < 300 ? t->e.body.n : 300),
		    t->e.body.n > 0 ? t->e.body.p : "");
	if (answer_read(got, &t->e, a->chat, false, false, false, err) < 0)
		return -1;
	if (got->completion > a->most)
		return err_set(err, ERR_FORMAT, "%lld tokens, at most %d were asked for",
		    (long long)got->completion, a->most);
	if (strcmp(got->finish, "length") == 0 && got->completion != a->most)
		return err_set(err, ERR_FORMAT, "it ends for its length, which it has not");
	buf_reset(&a->text);
	buf_add(&a->text, buf_str(&got->text));
	if (buf_ok(&a->text, err) < 0)
		return -1;
	snprintf(a->finish, sizeof(a->finish), "%s", got->finish);
	a->prompt = got->prompt;
	a->completion = got->completion;
	return 0;
}

/* Is the answer that of its request, or the beginning of it? */
static enum outcome
compare(const struct task *t, const struct answer *a, bool part, struct err *err)
{
	const struct ask *k = t->ask;
	str text = buf_str(&a->text), all = buf_str(&k->text);

	if (part ? !str_starts(all, text) : !str_eq(text, all)) {
		err_set(err, ERR_FORMAT, "text '%.*s', alone '%.*s'", (int)text.n, text.p, (int)all.n,
		    all.p);
		return WRONG;
	}
	if (part)
		return CANCELLED;
	if (strcmp(a->finish, k->finish) != 0) {
		err_set(err, ERR_FORMAT, "ends by %s, alone by %s", a->finish, k->finish);
		return WRONG;
	}
	if (a->prompt >= 0 && (a->prompt != k->prompt || a->completion != k->completion)) {
		err_set(err, ERR_FORMAT, "%lld and %lld tokens, alone %lld and %lld",
		    (long long)a->prompt, (long long)a->completion, (long long)k->prompt,
		    (long long)k->completion);
		return WRONG;
	}
	return RIGHT;
}

static enum outcome
check_answer(const struct task *t, struct answer *a, bool part, struct err *err)
{
	const struct exchange *e = &t->e;

	if (e->status == 429 || e->status == 503) {
		if (e->status == 429 && !e->retry_after) {
			err_set(err, ERR_FORMAT, "429 without Retry-After");
			return WRONG;
		}
		return part || answer_error(e, err) == 0 ? REFUSED : WRONG;
	}
	if (e->status != 200 && !(part && e->status == 0)) {
		err_set(err, ERR_FORMAT, "status %d: %.*s", e->status,
		    (int)(e->body.n < 300 ? e->body.n : 300), e->body.n > 0 ? e->body.p : "");
		return WRONG;
	}
	if (part && !t->stream)
		return CANCELLED;
	if (answer_read(a, e, t->ask->chat, t->stream, t->usage, part, err) < 0)
		return WRONG;
	return compare(t, a, part, err);
}

enum outcome
mix_check(const struct task *t, struct answer *a, struct err *err)
{
	*err = (struct err){ 0 };
	if (t->kind == KIND_BAD)
		return bad_check(t->which, &t->e, err) < 0 ? WRONG :
		    t->e.end == END_ANSWERED ? RIGHT : CUT;
	switch (t->e.end) {
	case END_ANSWERED:
		if (t->kind == KIND_HALF)
			return t->e.status == 408 || t->e.status == 400 ? RIGHT : WRONG;
		return check_answer(t, a, false, err);
	case END_CANCELLED:
		return check_answer(t, a, true, err);
	case END_CLOSED:
		/* Who closed its half may be taken for one that went away. */
		if (t->kind == KIND_HALF || t->kind == KIND_SHUT)
			return CUT;
		err_set(err, ERR_FORMAT, "closed after %.1f s, before its answer was whole (%d, %td bytes)",
		    t->e.over - t->e.began, t->e.status, t->e.body.n);
		return WRONG;
	case END_LATE:
		if (t->kind == KIND_HALF)
			return CANCELLED;
		err_set(err, ERR_FORMAT, "no whole answer in %g s", t->e.patience);
		return WRONG;
	default:
		err_set(err, ERR_FORMAT, "%s", t->e.why != NULL ? t->e.why : "no connection");
		return WRONG;
	}
}
