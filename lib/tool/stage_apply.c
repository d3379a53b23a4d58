/*
 * Records without those that a list says.  The list is read along with them,
 * so memory does not depend on its length.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "text/lines.h"
#include "tool/stages_impl.h"

struct list {
	struct stages	*s;
	char *const	*files;
	bool		 each;		/* a list for each output */
	char		 path[4096];
	struct lines	*lines;
	int64_t		 line, first, records, text, dropped;
	int64_t		 next;		/* the next record to drop, -1: no more */
};

static int
whole(str value, int64_t *to, struct err *err)
{
	double x;

	if (value.p == NULL || json_number(value, &x, err) < 0 || x < 0 || x > 0x1p53)
		return err_set(err, ERR_FORMAT, "not a line of a list of what to drop");
	*to = (int64_t)x;
	return 0;
}

static int
next_dropped(struct list *l, struct err *err)
{
	static const str key[] = { { "index", 5 } };
	struct json_member m;
	int64_t was = l->next;
	str line;
	int got = lines_next(l->lines, &line, err);

	l->line++;
	l->next = -1;
	if (got == 0 && l->dropped != 0)
		return err_set(err, ERR_FORMAT, "the list is cut short: %lld records are missing",
		    (long long)l->dropped);
	if (got <= 0)
		return got;
	if (json_scan(line, key, 1, &m, err) < 0 || whole(m.value, &l->next, err) < 0)
		return -1;
	l->next -= l->first;
	l->dropped--;
	if (l->next <= was || l->next >= l->records)
		return err_set(err, ERR_FORMAT, "record %lld is out of order or beyond the input",
		    (long long)(l->next + l->first));
	return 0;
}

static int
read_head(struct list *l, struct err *err)
{
	static const str key[] = {
		{ "records", 7 }, { "text_bytes", 10 }, { "first", 5 }, { "dropped", 7 },
	};
	int64_t *to[] = { &l->records, &l->text, &l->first, &l->dropped };
	struct json_member m[4];
	str line;
	int got = lines_next(l->lines, &line, err);

	l->line++;
	if (got == 0)
		return err_set(err, ERR_FORMAT, "an empty file is no list of what to drop");
	if (got < 0 || json_scan(line, key, 4, m, err) < 0)
		return -1;
	for (int i = 0; i < 4; i++)
		if (whole(m[i].value, to[i], err) < 0)
			return -1;
	return next_dropped(l, err);
}

static int
find_list(struct list *l, const char *out, struct err *err)
{
	const char *drop = l->s->drop, *name = l->each ? out : l->files[0];
	struct stat st;
	int n;

	if (stat(drop, &st) < 0)
		return err_sys(err, "%s", drop);
	if (!S_ISDIR(st.st_mode)) {
		n = snprintf(l->path, sizeof(l->path), "%s", drop);
	} else {
		if (!l->each && (name == NULL || l->files[1] != NULL))
			return err_set(err, ERR_ARG, "%s: a directory of lists is for -o dir/, or "
			    "one file to read", drop);
		n = snprintf(l->path, sizeof(l->path), "%s/%.*s.drop", drop,
		    STR_ARG(stage_name(name)));
	}
	return n < (int)sizeof(l->path) ? 0 : err_set(err, ERR_ARG, "%s: name too long", drop);
}

static void
close_list(struct list *l)
{
	if (l->lines != NULL)
		lines_close(l->lines);
	l->lines = NULL;
	l->line = 0;
	l->next = -1;
}

static int
begin(void *ctx, const char *out, struct codec_spec codec, struct err *err)
{
	struct list *l = ctx;
	char *path = l->path;

	(void)codec;
	close_list(l);
	if (find_list(l, out, err) < 0)
		return -1;
	if ((l->lines = lines_open(&path, 1, err)) == NULL)
		return -1;
	return read_head(l, err) < 0 ? err_wrap(err, "%s:%lld", l->path, (long long)l->line) : 0;
}

static int
drop_listed(void *ctx, struct record *r, struct err *err)
{
	struct list *l = ctx;
	int64_t index = r->index - l->s->io->first;

	if (index != l->next)
		return RECORD_KEEP;
	if (next_dropped(l, err) == 0)
		return RECORD_DROP;
	err_wrap(err, "%s:%lld", l->path, (long long)l->line);
	err->code = ERR_ARG;
	return RECORD_BAD;
}

/* Was the list made for these records? */
static int
check(void *ctx, struct err *err)
{
	const struct list *l = ctx;
	const struct records_count *c = l->s->io->run;

	if (c->read == l->records && c->text_in == l->text && l->next == -1)
		return 0;
	return err_set(err, ERR_ARG, "%s: made for %lld records with %lld bytes of text, and "
	    "these are %lld with %lld", l->path, (long long)l->records, (long long)l->text,
	    (long long)c->read, (long long)c->text_in);
}

int
stage_apply(struct stages *s, char **files)
{
	struct list l = { .s = s, .files = files, .next = -1 };
	struct records_job job = { .ctx = &l, .field = s->job.field, .order = drop_listed };
	int status;

	if (s->drop == NULL)
		tool_usage("--stage apply needs --drop");
	l.each = filter_each_file(s->io);
	s->io->begin = begin;
	s->io->check = check;
	s->io->ctx = &l;
	s->io->more_stats = NULL;
	status = filter_main(s->tool, s->io, files, &job);
	close_list(&l);
	return status;
}
