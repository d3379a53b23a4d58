/*
 * The document stream: verdicts, changes, order, bad records, line ends,
 * limits, and the same bytes for every team size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/rng.h"
#include "text/records.h"
#include "../tap.h"

static char dir[] = "/tmp/t_records.XXXXXX";

static const char *
path(const char *name)
{
	static char p[4][128];
	static int at;
	char *to = p[at++ % 4];

	snprintf(to, sizeof(p[0]), "%s/%s", dir, name);
	return to;
}

/* The bytes of a file; the caller frees. */
static char *
slurp(const char *name, ptrdiff_t *n)
{
	struct arena a;
	struct err err;
	str s;
	char *copy;

	if (arena_init(&a, (ptrdiff_t)1 << 31, &err) < 0)
		abort();
	s = file_slurp(&a, path(name), (ptrdiff_t)1 << 30, &err);
	if (s.p == NULL) {
		arena_free(&a);
		*n = -1;
		return NULL;
	}
	copy = malloc((size_t)s.n + 1);
	memcpy(copy, s.p, (size_t)s.n + 1);
	*n = s.n;
	arena_free(&a);
	return copy;
}

static bool
holds(const char *name, const char *want)
{
	ptrdiff_t n;
	char *s = slurp(name, &n);
	bool same = s != NULL && str_eq((str){ s, n }, str_of(want));

	if (!same)
		printf("# %s: %s\n", name, s != NULL ? s : "is not there");
	free(s);
	return same;
}

struct said {
	char	message[2048];
	int	n;
};

static void
complain(void *ctx, const char *message)
{
	struct said *s = ctx;

	s->n++;
	snprintf(s->message + strlen(s->message), sizeof(s->message) - strlen(s->message),
	    "%s\n", message);
}

/* Run over one file of these bytes, to the file "out". */
static int
run(str input, const struct records_job *job, struct records_io *io, int threads,
    struct records_count *c, struct err *err)
{
	struct team *team = team_new(threads, err);
	char *file = strdup(path("in"));
	int ret;

	unlink(path("out"));
	if (team == NULL || file_write(file, input, err) < 0)
		abort();
	ret = records_run(team, job, io, &file, 1, path("out"), c, err);
	team_free(team);
	free(file);
	return ret;
}

/* ---- jobs ---- */

/* By the first letter of the text: d drops, b is bad, c changes, f fails, r removes. */
static int
by_letter(const void *ctx, void *state, struct record *r, struct err *err)
{
	(void)ctx;
	if (state != NULL)
		++*(int64_t *)state;
	r->tag[0] = (uint64_t)r->number;
	switch (r->text.n > 0 ? r->text.p[0] : 0) {
	case 'd':
		return RECORD_DROP;
	case 'b':
		return err_set(err, ERR_FORMAT, "it begins with b");
	case 'f':
		return err_set(err, ERR_IO, "it begins with f");
	case 'c':
		if (record_set_text(r, S("text"), S("C\n"), err) < 0)
			return RECORD_BAD;
		return record_set_raw(r, S("n"), S("[1]"), err) < 0 ? RECORD_BAD : RECORD_KEEP;
	case 's':	/* the same as it was: no change */
		return record_set_text(r, S("text"), r->text, err) < 0 ? RECORD_BAD : RECORD_KEEP;
	case 'r':
		return record_set_raw(r, S("text"), (str){ NULL, 0 }, err) < 0 ? RECORD_BAD :
		    RECORD_KEEP;
	}
	return RECORD_KEEP;
}

static const struct records_job letters = { .field = { "text", 4 }, .map = by_letter };

static void
verdicts(void)
{
	struct records_count c;
	struct err err = { 0 };
	struct codec_spec plain = { 0 };
	struct said said = { 0 };
	struct records_io io = { .keep_going = true, .complain = complain, .ctx = &said };

	io.rest = out_open(path("rest"), plain, &err);
	io.bad = out_open(path("bad"), plain, &err);
	ok(run(S("{\"text\":\"a\"}\n{\"text\":\"d\"}\n\n \n{\"text\": \"c\", \"x\":1}\r\n"
	    "{\"text\":\"b\"}\nnonsense\n{\"text\":\"s\\t\"}\n{\"text\":\"r\"}\n{\"text\":\"z\"}"),
	    &letters, &io, 1, &c, &err) == 0, "a run");
	out_commit(io.rest, &err);
	out_commit(io.bad, &err);
	ok(holds("out", "{\"text\":\"a\"}\n{\"text\": \"C\\n\", \"x\":1,\"n\":[1]}\r\n"
	    "{\"text\":\"s\\t\"}\n{}\n{\"text\":\"z\"}\n"), "what is kept and changed");
	ok(holds("rest", "{\"text\":\"d\"}\n"), "what is dropped");
	ok(holds("bad", "{\"text\":\"b\"}\nnonsense\n"), "what is bad");
	ok(c.read == 8 && c.kept == 5 && c.changed == 2 && c.dropped == 1 && c.bad == 2, "counts");
	ok(c.text_in == 7 && c.text_out == 6, "bytes of text");
	ok(said.n == 2 && strstr(said.message, "/in:6: it begins with b\n") != NULL &&
	    strstr(said.message, "/in:7: not a JSON object\n") != NULL, "messages");
	io = (struct records_io){ 0 };
	ok(run(S("{\"text\":\"a\"}\n{\"text\":\"b\"}\n"), &letters, &io, 1, &c, &err) < 0 &&
	    strstr(err.msg, "/in:2: it begins with b") != NULL && access(path("out"), F_OK) < 0,
	    "a bad record ends the run, and no file is left");
	io.keep_going = true;
	ok(run(S("{\"text\":\"f\"}\n"), &letters, &io, 2, &c, &err) < 0 && err.code == ERR_IO,
	    "a failure that is not the record's ends it, keep_going or not");
	ok(run(S("{\"a\":1}\n{\"text\":2}\n"), &letters, &io, 1, &c, &err) == 0 && c.bad == 2,
	    "no text, or one that is no string, is bad");
	ok(run(S("\xef\xbb\xbf{\"text\":\"a\"}\n"), &letters, &io, 1, &c, &err) == 0 &&
	    holds("out", "{\"text\":\"a\"}\n"), "a byte order mark is passed over");
	ok(run(S(""), &letters, &io, 1, &c, &err) == 0 && holds("out", "") && c.read == 0,
	    "nothing");
	ok(run(S("{\"text\":\"a\0\"}\n\0\n{\"text\":\"x\"}\n"), &letters, &io, 1, &c,
	    &err) == 0 && c.bad == 2 && c.kept == 1, "NUL bytes are bad");
}

/* ---- order, sink, members ---- */

struct seen {
	struct buf	b;
	int64_t		n;
};

static int
every_second(void *ctx, struct record *r, struct err *err)
{
	struct seen *s = ctx;

	if (r->index < s->n)
		return err_set(err, ERR_ARG, "out of order");
	s->n = r->index + 1;
	if (r->tag[0] != (uint64_t)r->number)
		return err_set(err, ERR_ARG, "a tag is lost");
	if (r->index % 2 != 0)
		return RECORD_DROP;
	buf_reset(&s->b);
	buf_fmt(&s->b, "%lld", (long long)r->index);
	return record_set_raw(r, S("i"), buf_str(&s->b), err) < 0 ? RECORD_BAD : RECORD_KEEP;
}

static int
into_sink(void *ctx, struct record *r, struct err *err)
{
	struct seen *s = ctx;

	(void)err;
	buf_add(&s->b, r->text);
	buf_byte(&s->b, '=');
	buf_add(&s->b, r->member[0].value);
	buf_byte(&s->b, ' ');
	return 0;
}

static void
ordered(void)
{
	struct seen s = { 0 };
	struct records_io io = { 0 };
	struct records_count c;
	struct err err = { 0 };
	const str keys[] = { S("v") };
	struct records_job job = letters;

	job.ctx = &s;
	job.order = every_second;
	ok(run(S("{\"text\":\"a\"}\n{\"text\":\"x\"}\n{\"text\":\"c\"}\n"), &job, &io, 2, &c, &err) == 0 &&
	    holds("out", "{\"text\":\"a\",\"i\":0}\n{\"text\":\"C\\n\",\"n\":[1],\"i\":2}\n"),
	    "order() sees all in order, and may drop and change");
	buf_reset(&s.b);
	job = (struct records_job){ .ctx = &s, .field = S("text"), .keys = keys, .nkeys = 1,
	    .sink = into_sink };
	ok(run(S("{\"v\":1,\"text\":\"a\\u0062\"}\n{\"text\":\"c\\n\",\"v\":\"x\"}\n"), &job, &io, 2,
	    &c, &err) == 0 && str_eq(buf_str(&s.b), S("ab=1 c\n=\"x\" ")),
	    "sink() gets text and members");
	buf_free(&s.b);
}

/* ---- sizes ---- */

static void
make_many(struct buf *b, int n)
{
	static const char letter[] = "acdsxyz";

	buf_reset(b);
	for (int i = 0; i < n; i++) {
		int len = (int)rng_below(1, 2, (uint64_t)i, i % 50 == 0 ? 300000 : 900);

		buf_fmt(b, "{\"id\":%d,\"text\":\"%c", i, letter[i % 7]);
		for (int k = 0; k < len; k++)
			buf_add(b, k % 60 == 59 ? S("\\n") : S("x"));
		buf_add(b, i % 3 == 0 ? S("\"}\r\n") : S("\"}\n"));
	}
}

static void
same_for_teams(void)
{
	struct buf in = { 0 };
	struct records_io io = { 0 };
	struct records_count c[2];
	struct err err = { 0 };
	struct seen s[2] = { 0 };
	ptrdiff_t n[2];
	char *out[2];

	make_many(&in, 600);
	for (int i = 0; i < 2; i++) {
		struct records_job job = letters;

		job.ctx = &s[i];
		job.order = every_second;
		job.state_size = sizeof(int64_t);
		if (run(buf_str(&in), &job, &io, i == 0 ? 1 : 4, &c[i], &err) < 0)
			printf("# %s\n", err.msg);
		out[i] = slurp("out", &n[i]);
		buf_free(&s[i].b);
	}
	ok(n[0] > 1000000 && n[0] == n[1] && memcmp(out[0], out[1], (size_t)n[0]) == 0,
	    "one thread and four give the same bytes");
	ok(memcmp(&c[0], &c[1], sizeof(c[0])) == 0 && c[0].read == 600, "and counts");
	free(out[0]);
	free(out[1]);
	buf_free(&in);
}

static void
splits(void)
{
	struct records_job all = { 0 };
	struct records_io io = { .split = 30 };
	struct records_count c;
	struct err err = { 0 };

	ok(run(S("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":44444444444444444444444444444444}\n{}"),
	    &all, &io, 1, &c, &err) == 0 &&
	    holds("out/00000.jsonl", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n") &&
	    holds("out/00001.jsonl", "{\"a\":44444444444444444444444444444444}\n") &&
	    holds("out/00002.jsonl", "{}\n"), "a split output");
	ok(run(S("{}\n"), &all, &io, 1, &c, &err) < 0 && strstr(err.msg, "already there") != NULL,
	    "is not written over");
	for (int i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "out/0000%d.jsonl", i);
		unlink(path(name));
	}
	rmdir(path("out"));
}

static void
limits(void)
{
	struct records_job all = { 0 };
	struct records_io io = { 0 };
	struct records_count c;
	struct err err = { 0 };
	struct said said = { 0 };
	struct team *team = team_new(1, &err);
	char *file = strdup(path("long"));
	FILE *f = fopen(file, "wb");

	/* A hole of 300 MB on one line, and a record before and after it. */
	if (team == NULL || f == NULL)
		abort();
	fputs("{\"a\":1}\n", f);
	fseek(f, 300000000, SEEK_CUR);
	fputs("\n{\"a\":2}\n", f);
	fclose(f);
	ok(records_run(team, &all, &io, &file, 1, path("out"), &c, &err) < 0 &&
	    err.code == ERR_LIMIT && strstr(err.msg, "/long:2: a record of more than") != NULL,
	    "a line of 300 MB is too long");
	io = (struct records_io){ .keep_going = true, .complain = complain, .ctx = &said };
	ok(records_run(team, &all, &io, &file, 1, path("out"), &c, &err) == 0 &&
	    holds("out", "{\"a\":1}\n{\"a\":2}\n") && c.bad == 1 &&
	    strstr(said.message, "/long:2: a record of more than") != NULL,
	    "and passed over where bad ones are");
	unlink(file);
	ok(records_run(team, &all, &io, &file, 1, path("out"), &c, &err) < 0 && err.code == ERR_IO &&
	    strstr(err.msg, "/long: cannot open") != NULL, "a file that is not there");
	free(file);
	team_free(team);
}

int
main(void)
{
	static const char *const left[] = { "in", "out", "rest", "bad" };

	if (mkdtemp(dir) == NULL)
		return 2;
	verdicts();
	ordered();
	same_for_teams();
	splits();
	limits();
	for (int i = 0; i < 4; i++)
		unlink(path(left[i]));
	rmdir(dir);
	return tap_done();
}
