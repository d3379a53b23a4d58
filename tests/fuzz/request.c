/*
 * Any bytes as a request to a server, its first line the path and the rest the body,
 * down to what its model writes: HTTP is here, and everything behind it is as it is
 * served.  Each is answered, with a status that is not the server's fault, and what is
 * said to be JSON is.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/toytok.h"
#include "base/json.h"
#include "base/stream.h"
#include "serve/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char template[] =
    "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{% for m in messages %}"
    "{{ m.role }}: {{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>{{ c.function.arguments | tojson }}"
    "</tool_call>{% endfor %}\n{% endfor %}{% if thinking %}<think>{% endif %}";
static const char rules[] = "request redact pii email\nrequest block pattern /forbidden/\n";

/* ---- HTTP, of one call at a time ---- */

struct http_call {
	str		 path, body;
	bool		 waits, streams, woken;
	int		 status;
	const char	*type;
	struct buf	 answer;
	const struct http_waiter *waiter;
	void		*ctx, *note;
};

static struct http_options http;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;

struct http *
http_open(const struct http_options *o, struct err *err)
{
	(void)err;
	http = *o;
	return (struct http *)&http;
}

void
http_close(struct http *h)
{
	(void)h;
}

int
http_port(const struct http *h)
{
	(void)h;
	return 0;
}

void
http_refuse(struct http *h)
{
	(void)h;
}

int
http_answering(struct http *h)
{
	(void)h;
	return 0;
}

str
http_method(const struct http_call *c)
{
	return c->body.n > 0 ? S("POST") : S("GET");
}

str
http_path(const struct http_call *c)
{
	return c->path;
}

str
http_body(const struct http_call *c)
{
	return c->body;
}

str
http_header(const struct http_call *c, const char *name)
{
	(void)c;
	return strcmp(name, "Host") == 0 ? S("localhost") : (str){ NULL, 0 };
}

const char *
http_peer(const struct http_call *c)
{
	(void)c;
	return "unix";
}

int
http_status(const struct http_call *c)
{
	return c->status;
}

void
http_note(struct http_call *c, void *note)
{
	c->note = note;
}

void *
http_noted(const struct http_call *c)
{
	return c->note;
}

void
http_wait(struct http_call *c, const struct http_waiter *w, void *ctx)
{
	/* A request at the guard is given to its answer when that is done. */
	if (c->waits)
		c->waiter->end(c->ctx, true);
	c->waits = true;
	c->waiter = w;
	c->ctx = ctx;
}

void
http_wake(struct http_call *c)
{
	pthread_mutex_lock(&lock);
	c->woken = true;
	pthread_cond_signal(&woken);
	pthread_mutex_unlock(&lock);
}

void
http_set(struct http_call *c, const char *name, const char *value)
{
	(void)c;
	if (name[0] == '\0' || strpbrk(value, "\r\n") != NULL)
		abort();
}

void
http_answer(struct http_call *c, int status, const char *type, str body)
{
	if (c->status != 0)
		abort();
	c->status = status;
	c->type = type;
	buf_add(&c->answer, body);
}

void
http_stream(struct http_call *c, int status, const char *type)
{
	if (c->status != 0 || !c->waits)
		abort();
	c->status = status;
	c->type = type;
	c->streams = true;
}

/* ---- answers ---- */

/* A key once in an object, too; but a reader that has no NUL in keys is not asked then. */
static void
check_json(str s)
{
	struct err err;
	json_t *doc;

	if (s.n == 0 || (s.p[0] != '{' && s.p[0] != '['))
		abort();
	if (s.p[0] == '{' && json_scan(s, NULL, 0, NULL, &err) < 0)
		abort();
	if (memmem(s.p, (size_t)s.n, "\\u0000", 6) != NULL)
		return;
	if ((doc = json_doc(s, &err)) == NULL)
		abort();
	json_decref(doc);
}

static void
check_answer(const struct http_call *c)
{
	str all = buf_str(&c->answer), event = { NULL, 0 };

	if (c->status < 200 || c->status >= 500)
		abort();
	if (c->type != NULL && strcmp(c->type, "application/json") == 0)
		check_json(all);
	if (!c->streams)
		return;
	while (all.n > 0) {
		event = str_cut(&all, '\n');
		if (str_cut(&all, '\n').n != 0)
			abort();
		if (str_starts(event, S("data: {")))
			check_json((str){ event.p + 6, event.n - 6 });
	}
	if (!str_eq(event, S("data: [DONE]")))
		abort();
}

static void
sleep_until_woken(struct http_call *c)
{
	pthread_mutex_lock(&lock);
	while (!c->woken)
		pthread_cond_wait(&woken, &lock);
	c->woken = false;
	pthread_mutex_unlock(&lock);
}

static void
read_stream(struct http_call *c)
{
	char piece[4096];
	ptrdiff_t n;

	while ((n = c->waiter->read(c->ctx, piece, sizeof(piece))) >= 0) {
		if (n == 0)
			sleep_until_woken(c);
		buf_add(&c->answer, (str){ piece, n });
	}
}

static void
answer(struct http_call *c)
{
	http.handle(http.ctx, c);
	if (c->status == 0 && !c->waits)
		abort();
	while (c->status == 0) {
		sleep_until_woken(c);
		c->waiter->ready(c->ctx, c);
	}
	if (c->streams)
		read_stream(c);
	if (c->waits)
		c->waiter->end(c->ctx, true);
	http.over(http.ctx, c, c->status, 0.001, true);
}

/* ---- the server ---- */

static char dir[] = "/tmp/fuzz-request-XXXXXX";

static void
must(bool good, const struct err *err)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", err->msg);
	exit(2);
}

static void
put_file(const char *name, str text)
{
	char path[128];
	struct err err;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	must(file_write(path, text, &err) == 0, &err);
}

static void
make_model(struct dev *dev)
{
	struct config config = { .arch = ARCH_LLAMA, .width = 8, .layers = 1, .heads = 1,
	    .kv_heads = 1, .head_dim = 8, .ffn = 8, .context = 128, .norm = NORM_RMS,
	    .pos = POS_ROPE, .act = ACT_SILU, .gated = true, .tied = true, .norm_eps = 1e-5,
	    .rope_theta = 10000, .bos = -1, .init_std = 0.5 };
	struct tokenizer *tok = toytok();
	struct buf file = { 0 };
	struct model m = { 0 };
	struct err err;

	config.vocab = tokenizer_vocab(tok);
	config.eos = tokenizer_vocab(tok) - 1;
	must(model_init(&m, &config, dev, false, 1, &err) == 0 &&
	    model_save(&m, dir, DTYPE_NONE, 0, &err) == 0, &err);
	model_free(&m);
	tokenizer_free(tok);
	toytok_file(&file);
	put_file("tokenizer.json", buf_str(&file));
	put_file("chat_template.jinja", str_of(template));
	put_file("rules", str_of(rules));
	buf_free(&file);
}

static void
failed(void *ctx, const struct err *err)
{
	(void)ctx;
	(void)err;
	abort();
}

static struct server *
open_all(void)
{
	static struct served *model[2];
	struct served_options text = { .parallel = 8 }, vectors = { .vectors = true };
	char path[128];
	struct server_options o = { .rules = path, .device = "cpu", .failed = failed,
	    .api = { .model = model, .n_models = 2, .host = "localhost", .waiting = 256,
		.local = true, .seeded = true } };
	struct err err;
	struct team *team = team_new(1, &err);
	struct dev *dev = team == NULL ? NULL : dev_open("cpu:base", team, 0, &err);
	struct server *s;

	must(dev != NULL && (mkdtemp(dir) != NULL || err_sys(&err, "%s", dir) == 0), &err);
	make_model(dev);
	dev_close(dev);
	text.device = vectors.device = "cpu:base";
	text.team = vectors.team = team;
	must((model[0] = served_open("texts", dir, &text, &err)) != NULL &&
	    (model[1] = served_open("vectors", dir, &vectors, &err)) != NULL, &err);
	snprintf(path, sizeof(path), "%s/rules", dir);
	must((s = server_open(&o, &err)) != NULL, &err);
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	must(system(path) == 0 || err_set(&err, ERR_IO, "%s", path) == 0, &err);
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct server *server;
	struct http_call c = { .body = { (const char *)p, (ptrdiff_t)n } };

	if (server == NULL)
		server = open_all();
	c.path = str_cut(&c.body, '\n');
	answer(&c);
	check_answer(&c);
	buf_free(&c.answer);
	return 0;
}
