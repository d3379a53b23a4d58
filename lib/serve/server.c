#include "serve/server.h"

#include <stdlib.h>

struct server {
	const char	*rules;
	struct keys	*keys;
	struct metrics	*metrics;
	struct guards	*guards;
	struct kept	*kept;
	struct audit	*audit;
	struct house	*house;
	struct worker	*worker;
	struct api	*api;
	struct http	*http;
};

static int
open_records(struct server *s, const struct server_options *o, struct err *err)
{
	struct audit_options a = o->audit;

	a.metrics = s->metrics;
	if (a.log == NULL && a.feedback == NULL)
		return 0;
	return (s->audit = audit_open(&a, err)) == NULL ? -1 : 0;
}

static int
open_house(struct server *s, const struct server_options *o, struct err *err)
{
	struct house_options h = o->house;

	h.model = o->api.model;
	h.n_models = o->api.n_models;
	h.metrics = s->metrics;
	return (s->house = house_new(&h, err)) == NULL ? -1 : 0;
}

static int
open_all(struct server *s, const struct server_options *o, struct err *err)
{
	struct http_options h = o->http;
	struct api_options a = o->api;

	if ((o->key_file != NULL && (s->keys = keys_load(o->key_file, err)) == NULL) ||
	    (o->rules != NULL && (s->guards = guards_load(o->rules, err)) == NULL) ||
	    (s->metrics = metrics_new(VERSION, a.model[0]->name, o->device, err)) == NULL ||
	    open_records(s, o, err) < 0 ||
	    (o->keep_answers > 0 &&
	    (s->kept = kept_new(o->keep_answers, o->keep_for, err)) == NULL) ||
	    open_house(s, o, err) < 0 ||
	    (s->worker = worker_new(a.model, a.n_models, s->house, s->metrics, o->failed,
	    o->ctx, err)) == NULL)
		return -1;
	s->rules = o->rules;
	a.keys = s->keys;
	a.metrics = s->metrics;
	a.guards = s->guards;
	a.kept = s->kept;
	a.audit = s->audit;
	a.house = s->house;
	a.worker = s->worker;
	if ((s->api = api_new(&a, err)) == NULL)
		return -1;
	h.handle = api_handle;
	h.over = api_over;
	h.ctx = s->api;
	return (s->http = http_open(&h, err)) == NULL ? -1 : 0;
}

struct server *
server_open(const struct server_options *o, struct err *err)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (open_all(s, o, err) < 0) {
		server_close(s);
		return NULL;
	}
	return s;
}

int
server_port(const struct server *s)
{
	return http_port(s->http);
}

static int
reread_rules(struct server *s, struct err *err)
{
	struct guards *g = guards_load(s->rules, err);

	if (g == NULL)
		return -1;
	api_guard(s->api, g);
	guards_free(g);
	return 0;
}

void
server_reread(struct server *s, void (*warn)(void *ctx, const char *line), void *ctx)
{
	struct err err;

	if (s->keys != NULL && keys_reload(s->keys, &err) < 0)
		warn(ctx, err.msg);
	if (s->rules != NULL && reread_rules(s, &err) < 0)
		warn(ctx, err.msg);
	if (house_reread(s->house, &err) < 0)
		warn(ctx, err.msg);
	if (s->audit != NULL && audit_reopen(s->audit, &err) < 0)
		warn(ctx, err.msg);
}

void
server_refuse(struct server *s)
{
	api_end(s->api);
	http_refuse(s->http);
}

int
server_left(struct server *s)
{
	int jobs = worker_jobs(s->worker), calls = http_answering(s->http);

	return calls > jobs ? calls : jobs;
}

void
server_close(struct server *s)
{
	if (s == NULL)
		return;
	/* Who waits for an answer goes before what answers. */
	http_close(s->http);
	worker_free(s->worker);
	house_free(s->house);
	api_free(s->api);
	audit_close(s->audit);
	guards_free(s->guards);
	kept_free(s->kept);
	metrics_free(s->metrics);
	keys_free(s->keys);
	free(s);
}
