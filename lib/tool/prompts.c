#include "tool/prompts.h"

#include "base/progress.h"
#include "infer/chat.h"
#include "infer/grammars.h"

static int
write_line(void *ctx, str answer, struct err *err)
{
	struct prompts *p = ctx;

	if (out_write(p->out, answer.p, answer.n, err) < 0 ||
	    out_write(p->out, "\n", 1, err) < 0)
		return -1;
	return out_flush(p->out, err);
}

/* ---- one record ---- */

struct asked {
	struct request	 r;
	bool		 seeded;	/* by the record: then its place does not matter */
};

/* The messages of a record, or its text as one; NULL with err filled. */
static json_t *
messages_of(const struct prompts *p, const struct record *r, str value, struct err *err)
{
	json_t *messages;

	if (value.p != NULL) {
		if (value.p[0] != '[') {
			err_set(err, ERR_FORMAT, "not an array");
			return NULL;
		}
		return json_doc(value, err);
	}
	if ((messages = json_array()) == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if ((p->system != NULL && chat_say(messages, "system", str_of(p->system), err) < 0) ||
	    chat_say(messages, "user", r->text, err) < 0) {
		json_decref(messages);
		return NULL;
	}
	return messages;
}

/* The prompt of a record, from its text or its messages. */
static int
read_prompt(const struct prompts *p, const struct record *r, struct ids *ids, struct err *err)
{
	str value = r->member[REQUEST_KEYS].value;
	json_t *messages;
	int ret;

	if (value.p == NULL && r->text.p == NULL)
		return err_set(err, ERR_FORMAT, "no key '%.*s'", STR_ARG(r->field));
	if (value.p == NULL && !p->chat)
		return prompt_tokens(p->tok, r->text, ids, err);
	if (p->template == NULL)
		return err_set(err, ERR_FORMAT, "messages, and the model has no chat template");
	if ((messages = messages_of(p, r, value, err)) == NULL)
		return err_wrap(err, "key 'messages'");
	ret = chat_prompt(p->template, p->tok, messages, ids, err);
	json_decref(messages);
	return ret;
}

static int
map(const void *ctx, void *state, struct record *r, struct err *err)
{
	const struct prompts *p = ctx;
	struct asked *q = arena_new(r->scratch, struct asked, 1, err);
	struct ids *ids = state;
	int32_t *prompt;

	ids->n = 0;
	if (q == NULL || read_prompt(p, r, ids, err) < 0 ||
	    (prompt = arena_new(r->scratch, int32_t, ids->n, err)) == NULL)
		return RECORD_BAD;
	memcpy(prompt, ids->id, (size_t)ids->n * sizeof(*prompt));
	q->r = *p->request;
	q->r.prompt = prompt;
	q->r.n = ids->n;
	q->seeded = r->member[REQUEST_SEED].value.p != NULL;
	r->tag[0] = (uint64_t)(uintptr_t)q;
	if (request_read(&q->r, r->member, p->tok, r->scratch, err) < 0)
		return RECORD_BAD;
	if (q->r.n <= p->context)
		return RECORD_KEEP;
	grammars_release(q->r.grammars, q->r.held);
	return err_set(err, ERR_FORMAT, "%lld tokens are more than the model's context of %lld",
	    (long long)q->r.n, (long long)p->context);
}

static void
free_ids(void *state)
{
	ids_free(state);
}

static int
sink(void *ctx, struct record *r, struct err *err)
{
	struct prompts *p = ctx;
	struct asked *q = (struct asked *)(uintptr_t)r->tag[0];
	uint64_t first = q->seeded ? 0 : (uint64_t)r->index * (uint64_t)p->texts;

	for (int64_t i = 0; i < p->texts; i++) {
		q->r.stream = first + (uint64_t)i;
		if (answers_add(p->answers, &q->r, r->line, err) < 0)
			return -1;
	}
	grammars_release(q->r.grammars, q->r.held);
	return 0;
}

static int
settle(void *ctx, struct err *err)
{
	struct prompts *p = ctx;

	return answers_finish(p->answers, err);
}

/* ---- a run ---- */

static int
begin(void *ctx, const char *path, struct codec_spec codec, struct err *err)
{
	struct prompts *p = ctx;

	return (p->out = out_open(path, codec, err)) == NULL ? -1 : 0;
}

static int
end(void *ctx, bool failed, struct err *err)
{
	struct prompts *p = ctx;

	if (!failed)
		return out_commit(p->out, err);
	out_abort(p->out);
	return 0;
}

static void
more_stats(void *ctx, json_t *stats)
{
	const struct prompts *p = ctx;
	const struct answers_total *t = answers_total(p->answers);

	json_object_set_new(stats, "texts", json_integer(t->texts));
	json_object_set_new(stats, "prompt_tokens", json_integer(t->prompt));
	json_object_set_new(stats, "tokens", json_integer(t->tokens));
}

/* What there is to say about all of them, start being when they began. */
static void
report(const struct prompts *p, double start)
{
	const struct answers_total *t = answers_total(p->answers);

	if (t->full > 0)
		tool_warn("%lld text%s ended where the context of %lld tokens is full",
		    (long long)t->full, t->full > 1 ? "s" : "", (long long)p->context);
	if (p->io.verbose)
		tool_warn("%lld texts, prompts of %lld tokens, %lld more at %.1f a second",
		    (long long)t->texts, (long long)t->prompt, (long long)t->tokens,
		    (double)t->tokens / (progress_now() - start));
}

int
prompts_main(const struct tool *tool, struct prompts *p, char **files)
{
	str keys[REQUEST_KEYS + 1];
	struct records_job job = { .ctx = p, .field = filter_field(&p->io), .optional = true,
	    .keys = keys, .nkeys = REQUEST_KEYS + 1, .map = map, .sink = sink,
	    .settle = settle, .state_size = sizeof(struct ids), .state_free = free_ids };
	double start = progress_now();
	struct err err;
	int status;

	memcpy(keys, request_keys, sizeof(request_keys));
	keys[REQUEST_KEYS] = S("messages");
	p->io.ctx = p;
	p->io.begin = begin;
	p->io.end = end;
	p->io.suffix = ".jsonl";
	p->io.more_stats = more_stats;
	p->io.threads = 1;		/* the others are the model's */
	if ((p->answers = answers_new(p->scheduler, p->tok, write_line, p, &err)) == NULL)
		tool_fail(NULL, &err);
	status = filter_main(tool, &p->io, files, &job);
	report(p, start);
	answers_free(p->answers);
	return status;
}

int
prompts_one(struct prompts *p, str prompt, struct err *err)
{
	struct request r = *p->request;
	struct ids ids = { 0 };
	struct buf object = { 0 };
	double start = progress_now();
	int ret = -1;

	buf_add(&object, S("{\"prompt\":"));
	json_quote(&object, prompt);
	buf_byte(&object, '}');
	if (buf_ok(&object, err) < 0 || prompt_tokens(p->tok, prompt, &ids, err) < 0 ||
	    (p->answers = answers_new(p->scheduler, p->tok, write_line, p, err)) == NULL)
		goto out;
	r.prompt = ids.id;
	r.n = ids.n;
	for (; r.stream < (uint64_t)p->texts; r.stream++)
		if (answers_add(p->answers, &r, buf_str(&object), err) < 0)
			goto out;
	if ((ret = answers_finish(p->answers, err)) == 0)
		report(p, start);
out:
	answers_free(p->answers);
	ids_free(&ids);
	buf_free(&object);
	return ret;
}
