#include "infer/answer.h"

#include <math.h>
#include <stdlib.h>

struct answer {
	struct answers	*all;
	struct answer	*next;
	str		 object;
	struct buf	 text, tokens;
	struct text_report report;
	bool		 whole;
};

struct answers {
	struct scheduler *s;
	const struct tokenizer *tok;
	int		(*line)(void *ctx, str answer, struct err *err);
	void		*ctx;
	struct answer	*first, **last;		/* in the order they came */
	struct answers_total total;
	struct buf	 out, completion, rest;
};

struct answers *
answers_new(struct scheduler *s, const struct tokenizer *tok,
    int (*line)(void *ctx, str answer, struct err *err), void *ctx, struct err *err)
{
	struct answers *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*a = (struct answers){ .s = s, .tok = tok, .line = line, .ctx = ctx };
	a->last = &a->first;
	return a;
}

static void
drop_first(struct answers *a)
{
	struct answer *x = a->first;

	if ((a->first = x->next) == NULL)
		a->last = &a->first;
	buf_free(&x->text);
	buf_free(&x->tokens);
	free(x);
}

void
answers_free(struct answers *a)
{
	if (a == NULL)
		return;
	while (a->first != NULL)
		drop_first(a);
	buf_free(&a->out);
	buf_free(&a->completion);
	buf_free(&a->rest);
	free(a);
}

const struct answers_total *
answers_total(const struct answers *a)
{
	return &a->total;
}

/* ---- what the batch says ---- */

static int
add_text(void *ctx, str text, struct err *err)
{
	struct answer *x = ctx;

	buf_add(&x->text, text);
	return buf_ok(&x->text, err);
}

/* JSON has no infinity and no NaN, which broken weights may give. */
static void
put_logp(struct buf *b, double logp)
{
	if (isfinite(logp))
		buf_fmt(b, "%.6g", logp);
	else
		buf_add(b, S("null"));
}

static void
put_token(struct buf *b, const struct tokenizer *tok, int32_t id, double logp)
{
	buf_add(b, S("{\"token\":"));
	json_quote(b, tokenizer_bytes(tok, id));
	buf_fmt(b, ",\"id\":%d,\"logprob\":", id);
	put_logp(b, logp);
}

static int
add_token(void *ctx, const struct text_token *t, struct err *err)
{
	struct answer *x = ctx;
	struct buf *b = &x->tokens;

	if (t->top == NULL)
		return 0;
	buf_byte(b, b->n == 0 ? '[' : ',');
	put_token(b, x->all->tok, t->id, t->logp);
	for (int64_t i = 0; i < t->n_top; i++) {
		buf_add(b, i == 0 ? S(",\"top_logprobs\":[") : S(","));
		put_token(b, x->all->tok, t->top[i].id, t->top[i].logp);
		buf_byte(b, '}');
	}
	buf_add(b, t->n_top > 0 ? S("]}") : S("}"));
	return buf_ok(b, err);
}

static int
set_whole(void *ctx, const struct text_report *r, struct err *err)
{
	struct answer *x = ctx;
	struct answers_total *t = &x->all->total;

	if (r->failed != NULL) {
		*err = *r->failed;
		return -1;
	}
	x->report = *r;
	x->whole = true;
	t->texts++;
	t->prompt += r->prompt;
	t->tokens += r->tokens;
	t->full += r->end == TEXT_CONTEXT;
	return 0;
}

/* ---- what comes of it ---- */

static int
write_answer(struct answers *a, struct answer *x, struct err *err)
{
	char count[32], end[32];
	struct json_set set[5] = { { S("completion") }, { S("token_count") }, { S("mean_logprob") },
	    { S("end") }, { S("tokens") } };
	int n = 4;

	buf_reset(&a->out);
	buf_reset(&a->completion);
	buf_reset(&a->rest);
	json_quote(&a->completion, buf_str(&x->text));
	put_logp(&a->rest, x->report.logp);
	set[0].value = buf_str(&a->completion);
	set[1].value = (str){ count, snprintf(count, sizeof(count), "%lld",
	    (long long)x->report.tokens) };
	set[2].value = buf_str(&a->rest);
	set[3].value = (str){ end, snprintf(end, sizeof(end), "\"%s\"",
	    text_end_name(x->report.end)) };
	if (x->tokens.n > 0) {
		buf_byte(&x->tokens, ']');
		set[n++].value = buf_str(&x->tokens);
	}
	if (buf_ok(&a->completion, err) < 0 || buf_ok(&a->rest, err) < 0 ||
	    buf_ok(&x->tokens, err) < 0 || json_splice(&a->out, x->object, set, n, err) < 0)
		return -1;
	return a->line(a->ctx, buf_str(&a->out), err);
}

/* Write those that are whole, in order. */
static int
write_whole(struct answers *a, struct err *err)
{
	while (a->first != NULL && a->first->whole) {
		if (write_answer(a, a->first, err) < 0)
			return -1;
		drop_first(a);
	}
	return 0;
}

int
answers_add(struct answers *a, const struct request *r, str object, struct err *err)
{
	struct answer *x = calloc(1, sizeof(*x));
	struct request q = *r;
	int got;

	if (x == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	x->all = a;
	x->object = object;
	*a->last = x;
	a->last = &x->next;
	q.write = add_text;
	q.token = add_token;
	q.done = set_whole;
	q.ctx = x;
	while ((got = scheduler_add(a->s, &q, err)) == 0)
		if (scheduler_step(a->s, err) < 0 || write_whole(a, err) < 0)
			return -1;
	return got < 0 ? -1 : 0;
}

int
answers_finish(struct answers *a, struct err *err)
{
	while (scheduler_running(a->s) > 0)
		if (scheduler_step(a->s, err) < 0 || write_whole(a, err) < 0)
			return -1;
	return 0;
}
