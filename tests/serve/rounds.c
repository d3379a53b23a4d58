#include <stdlib.h>

#include "run.h"
#include "server.h"

struct round {
	struct load	*l;
	const char	*name;
	struct answer	 got;
	int64_t		 over, right;
	double		 last;		/* when the last one was over */
	double		 slowest;
};

static void
round_done(void *ctx, struct exchange *e)
{
	struct round *r = ctx;
	struct task *t = e->ctx;
	struct err err;

	r->over++;
	if (mix_check(t, &r->got, &err) == RIGHT)
		r->right++;
	else
		load_wrong(r->l, r->name, &err);
	if (e->over - e->began > r->slowest)
		r->slowest = e->over - e->began;
}

/* ---- streams that nobody reads ---- */

static void
step_for(struct client *c, const struct load *l, double seconds, int64_t *most)
{
	double until = client_now() + seconds, now;

	while ((now = client_now()) < until) {
		int64_t size = server_memory(l->pid);

		if (size > *most)
			*most = size;
		client_step(c, until - now < 0.05 ? until - now : 0.05);
	}
}

int
run_idle(struct load *l, struct err *err)
{
	struct round r = { .l = l, .name = "an idle stream" };
	struct client *c = client_new(&l->to, round_done, &r, err);
	struct task *t = calloc((size_t)l->idle, sizeof(*t));
	int64_t before = server_memory(l->pid), most = before;
	double cpu, start = client_now();

	if (c == NULL || t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t i = 0; i < l->idle; i++) {
		mix_stream(&l->mix, &l->mix.ask[i % l->mix.n], &t[i]);
		t[i].e.sip = -1;
		t[i].e.fresh = true;
		t[i].e.ctx = &t[i];
		client_begin(c, &t[i].e);
		if (i % 64 == 63)
			step_for(c, l, 0.01, &most);
	}
	/* Until the server has nothing more to do. */
	do {
		cpu = server_cpu(l->pid);
		step_for(c, l, 1, &most);
	} while (server_cpu(l->pid) - cpu > 0.1 && client_now() - start < l->mix.patience);
	for (int64_t i = 0; i < l->idle; i++)
		if (t[i].e.end == END_OPEN)
			t[i].e.sip = 4096;
	while (client_open(c) > 0)
		step_for(c, l, 0.1, &most);
	printf("\nidle streams\t%lld\tright %lld\nmemory\tbefore %.1f MB\tmost %.1f MB\n",
	    (long long)l->idle, (long long)r.right, (double)before / 1e6, (double)most / 1e6);
	if (l->pid > 0 && most - before > l->idle_memory) {
		err_set(err, ERR_FORMAT, "%.1f MB", (double)(most - before) / 1e6);
		load_wrong(l, "memory of idle streams", err);
	}
	client_free(c);
	for (int64_t i = 0; i < l->idle; i++)
		exchange_reset(&t[i].e);
	free(t);
	answer_free(&r.got);
	return 0;
}

/* ---- requests that never end ---- */

static void
drip_done(void *ctx, struct exchange *e)
{
	struct round *r = ctx;
	struct err err;

	r->over++;
	if (e->end == END_CLOSED || (e->end == END_ANSWERED && e->status == 408))
		r->right++;
	else {
		err_set(&err, ERR_FORMAT, "it was not cut in %g s (%d %s)", e->patience, e->status,
		    e->why != NULL ? e->why : "");
		load_wrong(r->l, r->name, &err);
	}
	r->last = e->over;
}

static void
begin_drips(struct load *l, struct client *c, struct exchange *e)
{
	for (int64_t i = 0; i < l->drips; i++) {
		exchange_init(&e[i]);
		buf_fmt(&e[i].request, "POST /v1/completions HTTP/1.1\r\nHost: %s\r\n%s", l->mix.host,
		    i % 2 ? "Content-Length: 4000\r\n\r\n{" : "");
		for (int j = 0; j < 300; j++)
			buf_add(&e[i].request, i % 2 ? S(" ") : S("X-Header: a\r\n"));
		e[i].fresh = true;
		e[i].drip = 0.2;
		e[i].half = true;
		e[i].patience = l->drip_time;
		client_begin(c, &e[i]);
		if (i % 64 == 63)
			client_step(c, 0.01);
	}
}

int
run_drips(struct load *l, struct err *err)
{
	struct round r = { .l = l, .name = "a request that drips" }, q = { .l = l,
	    .name = "beside requests that drip" };
	struct client *c = client_new(&l->to, drip_done, &r, err);
	struct client *beside = client_new(&l->to, round_done, &q, err);
	struct exchange *e = calloc((size_t)l->drips, sizeof(*e));
	struct task t;
	double start = client_now();

	if (c == NULL || beside == NULL || e == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	begin_drips(l, c, e);
	for (int64_t i = 0; client_open(c) > 0; i++) {
		mix_plain(&l->mix, &l->mix.ask[i % l->mix.n], &t);
		t.e.ctx = &t;
		client_begin(beside, &t.e);
		while (client_open(beside) > 0) {
			client_step(beside, 0.01);
			client_step(c, 0.001);
		}
		exchange_reset(&t.e);
		client_step(c, 0.05);
	}
	printf("\ndripping requests\t%lld\tcut %lld\tafter %.1f s\nanswers beside them\t%lld\tright %lld"
	    "\tslowest %.1f ms\n", (long long)r.over, (long long)r.right, r.last - start,
	    (long long)q.over, (long long)q.right, q.slowest * 1e3);
	client_free(c);
	client_free(beside);
	for (int64_t i = 0; i < l->drips; i++)
		exchange_reset(&e[i]);
	free(e);
	answer_free(&q.got);
	return 0;
}
