/*
 * Passes over all of the input before its records are cut.  With a work directory what
 * they found is kept in one file there, which each pass that ends replaces.
 */
#include <stdlib.h>
#include <unistd.h>

#include "fmt/checkpoint.h"
#include "fmt/chunk.h"
#include "tool/stages_impl.h"

#define KEPT_KIND	'W'
#define KEPT_VERSION	1

struct ahead {
	struct stages	*s;
	char		*path;		/* of the file, or NULL */
};

static int
put(void *ctx, str piece, struct err *err)
{
	return chunk_put(ctx, "part", NULL, piece, err);
}

static int
keep(const struct ahead *a, int done, struct err *err)
{
	const struct dedup *d = a->s->d;
	struct out *out = out_open(a->path, (struct codec_spec){ CODEC_PLAIN, 0 }, err);
	const int64_t arg[4] = { done };
	struct chunk_writer w = { 0 };

	if (out == NULL)
		return -1;
	if (chunk_begin(&w, out, KEPT_KIND, KEPT_VERSION, KEPT_VERSION, err) == 0 &&
	    chunk_put(&w, "done", arg, (str){ "", 0 }, err) == 0 &&
	    d->method->save(d, put, &w, err) == 0 && chunk_finish(&w, err) == 0)
		return out_commit(out, err);
	out_abort(out);
	return -1;
}

static int
after(void *ctx, int done, struct team *team, struct err *err)
{
	struct dedup *d = ctx;
	const struct ahead *a = d->user;

	if (done == d->method->nahead && d->method->settle(d, team, err) < 0)
		return -1;
	return a->path != NULL ? keep(a, done, err) : 0;
}

/* Read it.  Return how many passes it is of, or -1. */
static int
load(struct dedup *d, struct in *in, struct err *err)
{
	struct chunk_reader r = {
		.in = in, .name = "kept pass", .kind = KEPT_KIND, .version = KEPT_VERSION,
	};
	struct buf b = { 0 };
	struct chunk c;
	const void *p;
	int done = 0, got = chunk_start(&r, err);

	while (got > 0 && (got = chunk_next(&r, &c, err)) > 0) {
		if (strcmp(c.id, "done") == 0 && c.arg[0] > 0 && c.arg[0] <= d->method->nahead)
			done = (int)c.arg[0];
		else if (strcmp(c.id, "part") != 0 || done == 0)
			got = err_set(err, ERR_FORMAT, "not what a pass found");
		else if ((got = chunk_payload(&r, &c, true, &b, &p, err)) == 0)
			got = d->method->load(d, done, (str){ p, c.length }, err) == 0 ? 1 : -1;
	}
	buf_free(&b);
	return got < 0 ? -1 : done;
}

static int
resume(const struct ahead *a)
{
	struct err err = { 0 };
	struct in *in;
	int done = -1;

	if (a->path == NULL || access(a->path, F_OK) != 0)
		return 0;
	if ((in = in_open(a->path, &err)) != NULL)
		done = load(a->s->d, in, &err);
	if (done < 0) {
		err_wrap(&err, "%s", a->path);
		tool_fail(NULL, &err);
	}
	in_close(in);
	return done;
}

int
stages_ahead(struct stages *s, char **files)
{
	const struct dedup_method *m = s->d->method;
	struct ahead a = { .s = s };
	int lock = -1, n = 0, status;
	struct err err;

	while (files[n] != NULL)
		n++;
	if (s->keep && (lock = run_lock(s->work, &err)) == -1)
		tool_fail(NULL, &err);
	if (s->keep)
		a.path = stage_path(s, files, n, "passes");
	s->d->user = &a;
	filter_ahead(s->tool, s->io, files, m->ahead, m->nahead, resume(&a), after, s->d);
	status = filter_main(s->tool, s->io, files, &s->job);
	if (a.path != NULL)
		unlink(a.path);
	free(a.path);
	if (lock != -1)
		close(lock);
	return status;
}
