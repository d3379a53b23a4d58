#include "tool/talk.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "infer/chat.h"
#include "tool/tool.h"

/* One answer. */
struct answer {
	struct talk	*t;
	struct buf	 text;
};

/* Interrupts are held back for all of the conversation: was there one since the last time? */
static bool
interrupted(void)
{
	const struct timespec at_once = { 0 };
	sigset_t set;
	bool was = false;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	while (sigtimedwait(&set, NULL, &at_once) == SIGINT)
		was = true;
	return was;
}

static int
write_text(void *ctx, str text, struct err *err)
{
	struct answer *a = ctx;

	buf_add(&a->text, text);
	if (buf_ok(&a->text, err) < 0 || out_write(a->t->out, text.p, text.n, err) < 0)
		return -1;
	return out_flush(a->t->out, err);
}

static int
end_answer(void *ctx, const struct text_report *r, struct err *err)
{
	struct answer *a = ctx;

	if (r->failed != NULL) {
		*err = *r->failed;
		return -1;
	}
	if (out_write(a->t->out, "\n", 1, err) < 0 || out_flush(a->t->out, err) < 0)
		return -1;
	if (r->end == TEXT_CONTEXT)
		tool_warn("the context of %lld tokens is full",
		    (long long)engine_context(a->t->engine));
	if (a->t->verbose)
		tool_warn("%lld tokens of %lld read in %.3f s, %lld written at %.1f a second",
		    (long long)(r->prompt - r->cached), (long long)r->prompt, r->prompt_seconds,
		    (long long)r->tokens, r->seconds > 0 ? (double)r->tokens / r->seconds : 0);
	return 0;
}

/* The oldest question with its answer; a system message stays. */
static bool
forget_oldest(json_t *messages)
{
	const char *role = json_string_value(json_object_get(json_array_get(messages, 0), "role"));
	size_t first = role != NULL && strcmp(role, "system") == 0;

	if (json_array_size(messages) < first + 3)
		return false;
	json_array_remove(messages, first);
	json_array_remove(messages, first);
	return true;
}

/* The prompt, of as much of the conversation as leaves room for an answer. */
static int
make_prompt(struct talk *t, struct ids *ids, struct err *err)
{
	int64_t context = engine_holds(t->engine), room = context / 4, left = 0;

	if (room > t->request.max_tokens)
		room = t->request.max_tokens;
	for (;;) {
		ids->n = 0;
		if (chat_prompt(t->template, t->tok, t->messages, ids, err) < 0)
			return -1;
		if (ids->n <= context - room || !forget_oldest(t->messages))
			break;
		left += 2;
	}
	if (left > 0)
		tool_warn("the first %lld messages are forgotten: the context of %lld tokens is "
		    "full", (long long)left, (long long)context);
	return 0;
}

static int
answer(struct talk *t, str message, struct err *err)
{
	struct answer a = { .t = t };
	struct request r = t->request;
	struct ids ids = { 0 };
	int ret = -1;

	if (chat_say(t->messages, "user", message, err) < 0 || make_prompt(t, &ids, err) < 0)
		goto out;
	r.prompt = ids.id;
	r.n = ids.n;
	r.seq = t->seq;
	r.write = write_text;
	r.done = end_answer;
	r.ctx = &a;
	interrupted();
	if (scheduler_add(t->scheduler, &r, err) < 0)
		goto out;
	while (scheduler_running(t->scheduler) > 0)
		if (scheduler_step(t->scheduler, err) < 0 ||
		    (interrupted() && scheduler_stop(t->scheduler, err) < 0))
			goto out;
	t->request.stream++;
	ret = chat_say(t->messages, "assistant", a.text.n > 0 ? buf_str(&a.text) : S(""), err);
out:
	ids_free(&ids);
	buf_free(&a.text);
	return ret;
}

/* A line without its end; false at the end of the input. */
static bool
read_line(char **line, size_t *size, str *s)
{
	ssize_t n;

	if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
		fputs("> ", stderr);
	if ((n = getline(line, size, stdin)) < 0)
		return false;
	while (n > 0 && ((*line)[n - 1] == '\n' || (*line)[n - 1] == '\r'))
		n--;
	*s = (str){ *line, n };
	return true;
}

int
talk_run(struct talk *t, const char *message, struct err *err)
{
	sigset_t set, before;
	char *line = NULL;
	size_t size = 0;
	str s;
	int ret = 0;

	if (message != NULL)
		return answer(t, str_of(message), err);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, &before);
	while (ret == 0 && read_line(&line, &size, &s)) {
		if (s.n == 0)
			continue;
		if (utf8_bad(s) >= 0) {
			tool_warn("a message that is no UTF-8 at byte %td", utf8_bad(s));
			continue;
		}
		ret = answer(t, s, err);
	}
	if (ret == 0 && ferror(stdin))
		ret = err_sys(err, "stdin");
	interrupted();
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(line);
	return ret;
}
