#include <stdlib.h>

#include "base/json.h"
#include "base/stream.h"
#include "run.h"

/*
 * A line of the file is an object: path and body of the request; at, in seconds from the
 * start, when it comes, or nothing: when a connection is free; key of who asks; class,
 * which its record gets, too.  What is asked for as a stream is timed event by event.
 */
struct line {
	struct exchange	 e;
	double		 at;		/* < 0: when there is room */
	str		 class;
	bool		 chat, stream, usage;
};

struct replay {
	struct load	*l;
	struct line	*line;
	int64_t		 n, begun;
	double		 start;
	struct answer	 got;
};

enum { PATH, BODY, WHEN, CLASS, KEY, FIELDS };

static int
read_line(struct replay *r, str text, struct line *line, struct err *err)
{
	const str key[FIELDS] = { S("path"), S("body"), S("at"), S("class"),
	    S("key") };
	const str inner[] = { S("stream"), S("stream_options") };
	struct json_member m[FIELDS], in[2];
	struct buf b = { 0 }, k = { 0 };
	str path, name = { NULL, 0 };

	*line = (struct line){ .at = -1 };
	exchange_init(&line->e);
	if (json_scan(text, key, FIELDS, m, err) < 0 || json_text(m[PATH].value, &b, &path, err) < 0 ||
	    json_scan(m[BODY].value, inner, 2, in, err) < 0 ||
	    (m[WHEN].value.p != NULL && json_number(m[WHEN].value, &line->at, err) < 0) ||
	    (m[KEY].value.p != NULL && json_text(m[KEY].value, &k, &name, err) < 0)) {
		buf_free(&b);
		buf_free(&k);
		return -1;
	}
	line->class = m[CLASS].value.p != NULL ? m[CLASS].value : S("null");
	line->chat = str_eq(path, S("/v1/chat/completions"));
	line->stream = str_eq(in[0].value, S("true"));
	line->usage = in[1].value.p != NULL;
	line->e.patience = r->l->mix.patience;
	line->e.ctx = line;
	buf_fmt(&line->e.request, "POST %.*s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: %td\r\n", STR_ARG(path), r->l->mix.host, m[BODY].value.n);
	if (name.n > 0)
		buf_fmt(&line->e.request, "Authorization: Bearer %.*s\r\n", STR_ARG(name));
	buf_add(&line->e.request, S("\r\n"));
	buf_add(&line->e.request, m[BODY].value);
	buf_free(&b);
	buf_free(&k);
	return buf_ok(&line->e.request, err);
}

static int
read_file(struct replay *r, str *all, struct err *err)
{
	str rest;
	int ret = 0;

	if (file_map(r->l->replay, all, err) < 0)
		return -1;
	r->line = calloc((size_t)json_lines(*all) + 1, sizeof(*r->line));
	if (r->line == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (rest = *all; ret == 0 && rest.n > 0; r->n++) {
		ret = read_line(r, str_cut(&rest, '\n'), &r->line[r->n], err);
		if (ret < 0)
			err_wrap(err, "%s:%lld", r->l->replay, (long long)r->n + 1);
	}
	return ret;
}

static void
replay_done(void *ctx, struct exchange *e)
{
	static const char *const ends[] = { "open", "answered", "closed", "cancelled", "late", "broken",
	    "unreached" };
	struct replay *r = ctx;
	struct line *line = e->ctx;
	struct buf text = { 0 };
	struct err err = { 0 };
	double from = e->due > 0 ? e->due : e->began, most = 0;

	if (e->end == END_ANSWERED && e->status == 200) {
		if (answer_read(&r->got, e, line->chat, line->stream, line->usage, false, &err) < 0)
			load_wrong(r->l, "replay", &err);
	} else {
		answer_free(&r->got);
		r->got.prompt = r->got.completion = -1;
		r->got.first = -1;
	}
	for (int64_t i = 0; i < r->got.n_gap; i++)
		most = r->got.gap[i] > most ? r->got.gap[i] : most;
	json_quote(&text, buf_str(&r->got.text));
	printf("{\"class\":%.*s,\"end\":\"%s\",\"status\":%d,\"at\":%.6f,\"first\":%.6f,\"total\":%.6f,"
	    "\"gap\":%.6f,\"prompt\":%lld,\"completion\":%lld,\"text\":%.*s}\n", STR_ARG(line->class),
	    ends[e->end], e->status, from - r->start, r->got.first, e->over - from, most,
	    (long long)r->got.prompt, (long long)r->got.completion, (int)text.n, text.p);
	buf_free(&text);
	exchange_reset(e);
}

/* Begin what is due; return the seconds until the next one is. */
static double
begin_due(struct replay *r, struct client *c)
{
	while (r->begun < r->n) {
		struct line *line = &r->line[r->begun];
		double now = client_now();

		if (line->at >= 0 && now < r->start + line->at)
			return r->start + line->at - now;
		if (line->at < 0 && client_open(c) >= r->l->connections)
			return 1;
		line->e.due = line->at >= 0 ? r->start + line->at : 0;
		r->begun++;
		client_begin(c, &line->e);
	}
	return 1;
}

int
run_replay(struct load *l, struct err *err)
{
	struct replay r = { .l = l };
	str all = { NULL, 0 };
	struct client *c = client_new(&l->to, replay_done, &r, err);
	int ret;

	if (c == NULL)
		return -1;
	if ((ret = read_file(&r, &all, err)) == 0) {
		r.start = client_now();
		do {
			client_step(c, begin_due(&r, c));
		} while (r.begun < r.n || client_open(c) > 0);
	}
	client_free(c);
	answer_free(&r.got);
	free(r.line);
	file_unmap(all);
	return ret;
}
