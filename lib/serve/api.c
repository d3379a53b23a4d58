#include "serve/api_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/progress.h"

/* ---- answers ---- */

void
api_error_body(struct buf *b, const char *type, const char *code, const char *param,
    const char *message)
{
	buf_add(b, S("{\"error\":{\"message\":"));
	json_quote(b, str_of(message));
	buf_fmt(b, ",\"type\":\"%s\",\"param\":", type);
	if (param != NULL)
		json_quote(b, str_of(param));
	else
		buf_add(b, S("null"));
	buf_add(b, S(",\"code\":"));
	if (code != NULL)
		json_quote(b, str_of(code));
	else
		buf_add(b, S("null"));
	buf_add(b, S("}}"));
}

void
api_fail(struct http_call *c, int status, const char *type, const char *code, const char *param,
    const char *fmt, ...)
{
	struct buf b = { 0 };
	char message[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	api_error_body(&b, type, code, param, message);
	http_answer(c, status, "application/json", buf_str(&b));
	buf_free(&b);
}

void
api_refuse(struct http_call *c, const struct err *why)
{
	char param[64];

	/* No fault of the request, which may come again. */
	if (why->code == ERR_NOMEM || why->code == ERR_IO || why->code == ERR_STOP) {
		http_set(c, "Retry-After", "1");
		api_fail(c, 503, "server_error", NULL, NULL, "%s", why->msg);
	} else if (sscanf(why->msg, "key '%63[^']'", param) == 1)
		api_fail(c, 400, "invalid_request_error", NULL, param, "%s", why->msg);
	else
		api_fail(c, 400, "invalid_request_error",
		    why->code == ERR_LIMIT ? "context_length_exceeded" : NULL, NULL, "%s",
		    why->msg);
}

void
api_ok(struct http_call *c, struct buf *json)
{
	struct err err;

	if (buf_ok(json, &err) < 0)
		api_fail(c, 500, "server_error", NULL, NULL, "%s", err.msg);
	else
		http_answer(c, 200, "application/json", buf_str(json));
	buf_free(json);
}

void
api_id(struct api *a, const char *prefix, char *id, size_t n)
{
	snprintf(id, n, "%s%016llx%08llx", prefix, (unsigned long long)a->run,
	    (unsigned long long)atomic_fetch_add(&a->count, 1));
}

/* ---- models ---- */

/* The model or adapter of a name, if the key may use it; without a name the first of its kind. */
static struct served *
find_model(struct api *a, const struct key *key, str name, bool vectors, int *adapter)
{
	for (int i = 0; i < a->o.n_models; i++) {
		struct served *s = a->o.model[i];
		bool is = name.p == NULL ? (s->embedder != NULL) == vectors :
		    str_eq(name, str_of(s->name));

		if ((is || (name.p != NULL && (*adapter = served_adapter(s, name)) > 0)) &&
		    (key == NULL || key_may_use(key, name.p != NULL ? name : str_of(s->name))))
			return s;
	}
	return NULL;
}

static void
no_model(struct http_call *c, str name)
{
	api_fail(c, 404, "invalid_request_error", "model_not_found", "model",
	    "no model is named '%.*s'", (int)(name.n < 200 ? name.n : 200), name.p);
}

struct served *
api_model(struct api *a, struct http_call *c, str value, bool vectors, int *adapter)
{
	struct buf b = { 0 };
	struct served *found = NULL;
	struct err err;
	str name = { NULL, 0 };

	*adapter = 0;
	if (json_given(value) && json_text(value, &b, &name, &err) < 0) {
		api_fail(c, 400, "invalid_request_error", NULL, "model", "key 'model': no text");
	} else if ((found = find_model(a, api_key(c), name, vectors, adapter)) == NULL) {
		if (name.p == NULL)
			name = vectors ? S("for vectors") : S("for texts");
		no_model(c, name);
	} else if ((found->embedder != NULL) != vectors) {
		api_fail(c, 400, "invalid_request_error", NULL, "model",
		    vectors ? "'%s' writes texts, and makes no vectors" :
		    "'%s' makes vectors, and writes no texts", found->name);
		found = NULL;
	}
	buf_free(&b);
	return found;
}

const struct tokenizer *
api_tokens(struct api *a, struct http_call *c, str value, struct served **of)
{
	int adapter;
	struct served *s = api_model(a, c, value, a->o.model[0]->embedder != NULL, &adapter);

	if (s == NULL)
		return NULL;
	*of = s;
	return s->embedder != NULL ? embed_tokenizer(s->embedder) : s->tok;
}

/* ---- who may ask ---- */

static str
without_port(str host)
{
	ptrdiff_t n = host.n;

	while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
		n--;
	if (n > 0 && host.p[n - 1] == ':' &&
	    (host.p[0] == '[' || memchr(host.p, ':', (size_t)n - 1) == NULL))
		host.n = n - 1;
	return host;
}

/*
 * A page of another site whose name was made to lead here (DNS rebinding) has
 * that name as Host.  Where others are to reach us, they have keys.
 */
static bool
is_our_name(const struct api *a, str host)
{
	static const char *const local[] = { "localhost", "127.0.0.1", "[::1]" };

	host = without_port(host);
	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
		if (str_like(host, local[i]))
			return true;
	for (int i = 0; a->o.names != NULL && a->o.names[i] != NULL; i++)
		if (str_like(host, a->o.names[i]))
			return true;
	return str_like(host, a->o.host);
}

static bool
is_our_origin(str origin, str host)
{
	str rest = origin;

	if (str_starts(origin, S("http://")))
		rest = (str){ origin.p + 7, origin.n - 7 };
	else if (str_starts(origin, S("https://")))
		rest = (str){ origin.p + 8, origin.n - 8 };
	return host.p != NULL && str_eq(rest, host);
}

/* Another origin that may ask is told so. */
static bool
is_allowed_origin(const struct api *a, struct http_call *c, str origin)
{
	if (a->o.cors == NULL ||
	    (strcmp(a->o.cors, "*") != 0 && !str_eq(origin, str_of(a->o.cors))))
		return false;
	http_set(c, "Access-Control-Allow-Origin", a->o.cors);
	http_set(c, "Vary", "Origin");
	return true;
}

static bool
may_come_from(struct api *a, struct http_call *c)
{
	str host = http_header(c, "Host"), origin = http_header(c, "Origin");

	if (a->o.local && host.p != NULL && !is_our_name(a, host)) {
		api_fail(c, 403, "invalid_request_error", NULL, NULL,
		    "'%.*s' is not a name of this server", STR_ARG(without_port(host)));
		return false;
	}
	if (origin.p != NULL && !is_our_origin(origin, host) && !is_allowed_origin(a, c, origin)) {
		api_fail(c, 403, "invalid_request_error", NULL, NULL,
		    "pages of '%.*s' may not ask here", STR_ARG(origin));
		return false;
	}
	return true;
}

struct key *
api_key(const struct http_call *c)
{
	return http_noted(c);
}

/* Does it come with a key, where there are keys?  If not, it was answered. */
static bool
has_key(struct api *a, struct http_call *c)
{
	str given = http_header(c, "Authorization");
	struct key *key = NULL;

	if (a->o.keys == NULL)
		return true;
	if (given.p != NULL && str_starts_like(given, "Bearer "))
		key = keys_find(a->o.keys, str_trim((str){ given.p + 7, given.n - 7 }));
	if (key == NULL) {
		http_set(c, "WWW-Authenticate", "Bearer");
		api_fail(c, 401, "invalid_request_error", "invalid_api_key", NULL,
		    given.p == NULL ? "a key is needed: Authorization: Bearer KEY" :
		    "the key is none of this server's");
		metrics_rejected(a->o.metrics, "key");
		return false;
	}
	http_note(c, key);
	return true;
}

bool
api_room(struct api *a, struct http_call *c)
{
	int waiting = worker_waiting(a->o.worker);

	if (atomic_load(&a->ending)) {
		api_fail(c, 503, "unavailable_error", NULL, NULL, "the server ends");
		return false;
	}
	if (a->errands != NULL)
		waiting += errands_waiting(a->errands);
	if (waiting < a->o.waiting)
		return true;
	metrics_rejected(a->o.metrics, "waiting");
	http_set(c, "Retry-After", "1");
	api_fail(c, 429, "rate_limit_exceeded", "queue_full", NULL,
	    "%lld requests wait already", (long long)a->o.waiting);
	return false;
}

/* ---- routes ---- */

static void
health(struct api *a, struct http_call *c)
{
	if (atomic_load(&a->ending))
		api_fail(c, 503, "unavailable_error", NULL, NULL, "the server ends");
	else
		http_answer(c, 200, "application/json", S("{\"status\":\"ok\"}"));
}

/* One of them: its name ends the path. */
static void
one_model(struct api *a, struct http_call *c)
{
	str name = http_path(c);
	const struct served *s;
	int adapter = 0;

	name.p += strlen("/v1/models/");
	name.n -= (ptrdiff_t)strlen("/v1/models/");
	if ((s = find_model(a, api_key(c), name, false, &adapter)) == NULL)
		no_model(c, name);
	else
		api_model_told(a, c, s, adapter);
}

/* What ends in '/' is all below it. */
static const struct route {
	const char	*path, *method;
	void		(*call)(struct api *a, struct http_call *c);
	bool		 open;		/* also without a key */
} routes[] = {
	{ "/health", "GET", health, true },
	{ "/v1/health", "GET", health, true },
	{ "/v1/models", "GET", api_models, false },
	{ "/v1/models/", "GET", one_model, false },
	{ "/v1/chat/completions", "POST", api_chat, false },
	{ "/v1/completions", "POST", api_completions, false },
	{ "/v1/embeddings", "POST", api_embeddings, false },
	{ "/tokenize", "POST", api_tokenize, false },
	{ "/detokenize", "POST", api_detokenize, false },
	{ "/v1/feedback", "POST", api_feedback, false },
	{ "/metrics", "GET", api_metrics, false },
	{ "/slots", "GET", api_slots, false },
};

static bool
is_method(const struct route *r, str method)
{
	return str_eq(method, str_of(r->method)) ||
	    (str_eq(method, S("HEAD")) && strcmp(r->method, "GET") == 0);
}

static void
preflight(struct http_call *c)
{
	http_set(c, "Access-Control-Allow-Methods", "GET, POST");
	http_set(c, "Access-Control-Allow-Headers", "Authorization, Content-Type");
	http_set(c, "Access-Control-Max-Age", "600");
	http_answer(c, 204, NULL, S(""));
}

static void
route(struct api *a, struct http_call *c, const struct route *r)
{
	if (!is_method(r, http_method(c))) {
		http_set(c, "Allow", r->method);
		api_fail(c, 405, "invalid_request_error", NULL, NULL, "%s takes %s", r->path,
		    r->method);
	} else if (r->open || has_key(a, c)) {
		r->call(a, c);
	}
}

static const struct route *
route_of(const struct http_call *c)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		str path = str_of(routes[i].path);

		if (str_ends(path, S("/")) ? str_starts(http_path(c), path) :
		    str_eq(http_path(c), path))
			return &routes[i];
	}
	return NULL;
}

void
api_handle(void *ctx, struct http_call *c)
{
	struct api *a = ctx;
	const struct route *r = route_of(c);

	if (!may_come_from(a, c))
		return;
	if (str_eq(http_method(c), S("OPTIONS")) && a->o.cors != NULL)
		preflight(c);
	else if (r != NULL)
		route(a, c, r);
	else if (!api_page(c) && has_key(a, c))
		api_fail(c, 404, "invalid_request_error", NULL, NULL,
		    "there is nothing at '%.*s'",
		    (int)(http_path(c).n < 200 ? http_path(c).n : 200), http_path(c).p);
}

static void
write_log(const struct api *a, const struct http_call *c, const struct key *key, int status,
    double seconds, bool whole)
{
	char line[512];
	str path = http_path(c);

	snprintf(line, sizeof(line), "%s %s %.*s %.*s %d %.3f s%s", http_peer(c),
	    key != NULL ? key->name : "-", STR_ARG(http_method(c)),
	    (int)(path.n < 200 ? path.n : 200), path.p, status, seconds,
	    whole ? "" : ", broken off");
	a->o.log(a->o.log_ctx, line);
}

void
api_over(void *ctx, struct http_call *c, int status, double seconds, bool whole)
{
	struct api *a = ctx;
	const struct route *r = route_of(c);
	struct key *key = api_key(c);

	/* Who goes away before there is an answer has none: nginx's number for it. */
	metrics_request(a->o.metrics, r != NULL ? r->path : "other", status > 0 ? status : 499);
	/* How long texts take; those who look at counts would drown them. */
	if (r != NULL && (r->call == api_chat || r->call == api_completions))
		metrics_observe(a->o.metrics, METRIC_REQUEST, seconds);
	if (a->o.log != NULL)
		write_log(a, c, key, status > 0 ? status : 499, seconds, whole);
	if (key != NULL)
		key_put(a->o.keys, key);
}

/* ---- begin and end ---- */

struct api *
api_new(const struct api_options *o, struct err *err)
{
	struct api *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	a->o = *o;
	pthread_mutex_init(&a->lock, NULL);
	a->guards = guards_share(o->guards);
	if (getrandom(&a->run, sizeof(a->run), 0) < 0) {
		err_sys(err, "random numbers");
		goto fail;
	}
	if ((a->flights = flights_new(o->kept, err)) == NULL)
		goto fail;
	if (o->guards != NULL && (a->errands = errands_new(err)) == NULL)
		goto fail;
	return a;
fail:
	api_free(a);
	return NULL;
}

void
api_free(struct api *a)
{
	if (a == NULL)
		return;
	errands_free(a->errands);
	flights_free(a->flights);
	guards_free(a->guards);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void
api_guard(struct api *a, struct guards *g)
{
	struct guards *old;

	pthread_mutex_lock(&a->lock);
	old = a->guards;
	a->guards = guards_share(g);
	pthread_mutex_unlock(&a->lock);
	guards_free(old);
}

void
api_end(struct api *a)
{
	atomic_store(&a->ending, true);
}
