#include "tool/stages.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/progress.h"
#include "fmt/checkpoint.h"
#include "tool/reread.h"
#include "tool/stages_impl.h"

struct whole {
	struct stages	*s;
	const char	*dir;		/* of temporary files */
	int		 lock;
	int		 hidden;	/* a file of signs that has no name, or -1 */
	char		**input;	/* paths */
	char		**signs;	/* paths, owned */
	int		 n;		/* inputs */
	int		 nsigns;
	struct merge_source *source;
	int		 nsources;
	struct index	 index;
	struct merge	*merge;
	int		 runs;		/* of apply that are to come */
	struct records_count applied;
};

static char *
make_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *
make_path(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	if (vasprintf(&p, fmt, ap) < 0)
		tool_die("out of memory");
	va_end(ap);
	return p;
}

static void
find_inputs(struct whole *w, char **files)
{
	static char dash[] = "-", *standard[] = { dash, NULL };

	w->input = files[0] != NULL ? files : standard;
	while (w->input[w->n] != NULL)
		w->n++;
	reread_named(w->input, w->n, w->s->work);
	if ((w->signs = calloc((size_t)w->n + 1, sizeof(*w->signs))) == NULL)
		tool_die("out of memory");
}

char *
stage_path(const struct stages *s, char *const *input, int n, const char *suffix)
{
	struct buf b = { 0 };
	struct stat st;
	struct err err;
	char hex[33];

	if (dedup_settings(s->d, &b, &err) < 0)
		tool_fail(NULL, &err);
	buf_fmt(&b, " %d %s", s->io->keep_going, VERSION);
	for (int i = 0; i < n; i++) {
		if (stat(input[i], &st) < 0) {
			err_sys(&err, "%s: cannot open", input[i]);
			tool_fail(NULL, &err);
		}
		buf_fmt(&b, " %lld %lld.%09ld %lld %s", (long long)st.st_size,
		    (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ino,
		    input[i]);
	}
	if (buf_ok(&b, &err) < 0)
		tool_fail(NULL, &err);
	hash128_hex(hash128_of(buf_str(&b)), hex);
	buf_free(&b);
	return make_path("%s/%s.%s", s->work, hex, suffix);
}

static void
show(void *ctx, int64_t records, int64_t done, int64_t total)
{
	const struct whole *w = ctx;
	char line[160], size[32];

	(void)records;
	human_bytes(size, sizeof(size), (double)done);
	snprintf(line, sizeof(line), "signing: %s%s", size, total < 0 ? " and on" : "");
	tool_progress(line, w->s->io->quiet, w->s->io->verbose);
}

/* Sign these inputs into one file.  out may be a failure to open it, which err tells. */
static void
map(struct whole *w, struct team *team, char **input, int n, struct out *out, struct err *err)
{
	struct mapper m = { .s = w->s };
	struct records_job job = mapper_job(w->s);
	struct records_io io = {
		.keep_going = w->s->io->keep_going, .progress = show, .ctx = w,
	};
	struct records_count c = { 0 };
	struct err ignored;
	int ret;

	w->s->d->user = &m;
	if (mapper_begin(&m, out, err) < 0)
		tool_fail(NULL, err);
	ret = records_run(team, &job, &io, input, n, NULL, &c, err);
	if (mapper_end(&m, &c, ret < 0, ret < 0 ? &ignored : err) < 0)
		tool_fail(NULL, err);
}

/* One file of signs for each input, unless it is there. */
static void
map_each(struct whole *w, struct team *team)
{
	struct err err;

	for (w->nsigns = 0; w->nsigns < w->n; w->nsigns++) {
		char *path = stage_path(w->s, &w->input[w->nsigns], 1, "signs");

		w->signs[w->nsigns] = path;
		if (access(path, F_OK) != 0)
			map(w, team, &w->input[w->nsigns], 1,
			    out_open(path, (struct codec_spec){ CODEC_PLAIN, 0 }, &err), &err);
	}
}

static void
map_all(struct whole *w)
{
	struct err err;
	struct team *team = team_new(tool_threads(w->s->io->threads, 1), &err);

	if (team == NULL)
		tool_fail(NULL, &err);
	w->s->d->named = w->s->keep || w->s->d->clusters != NULL || w->s->index != NULL;
	if (w->s->keep) {
		map_each(w, team);
	} else {
		map(w, team, w->input, w->n, out_spill(w->dir, &w->hidden, &err), &err);
		w->signs[w->nsigns++] = make_path("/dev/fd/%d", w->hidden);
	}
	tool_progress(NULL, w->s->io->quiet, w->s->io->verbose);
	team_free(team);
}

/* Verdicts come in the order that records are asked about in. */
static int
drop_judged(void *ctx, struct record *r, struct err *err)
{
	struct dedup *d = ctx;
	struct whole *w = d->user;
	struct judged v;
	int64_t number;
	str name;

	if (merge_next(w->merge, &v, err) < 0)
		return RECORD_BAD;
	if (v.source == 0)
		return RECORD_KEEP;
	if (d->clusters != NULL && (merge_kept(w->merge, &v, &name, &number, err) < 0 ||
	    dedup_tell(d, r->index, (str){ (const char *)(uintptr_t)r->tag[0],
	    (ptrdiff_t)r->tag[1] }, number, name, v.jaccard, err) < 0))
		return RECORD_BAD;
	return RECORD_DROP;
}

static int
name_record(const void *ctx, void *state, struct record *r, struct err *err)
{
	str name = dedup_name(r, err);

	(void)ctx;
	(void)state;
	r->tag[0] = (uint64_t)(uintptr_t)name.p;
	r->tag[1] = (uint64_t)name.n;
	return name.p != NULL ? RECORD_KEEP : RECORD_BAD;
}

/* Inputs must be what they were when they were signed. */
static int
check(void *ctx, struct err *err)
{
	const struct dedup *d = ctx;
	struct whole *w = d->user;
	const struct records_count *c = w->s->io->run;
	int64_t records = 0, text = 0;

	w->runs--;
	w->applied.read += c->read;
	w->applied.text_in += c->text_in;
	for (int i = w->nsources - w->nsigns; i < w->nsources; i++) {
		records += w->source[i].sums.records;
		text += w->source[i].sums.text;
	}
	if (w->runs == 0 ? w->applied.read == records && w->applied.text_in == text :
	    w->applied.read <= records)
		return 0;
	return err_set(err, ERR_IO, "an input changed while it was read");
}

static void
merge_all(struct whole *w)
{
	struct stages *s = w->s;
	struct err err;

	w->source = stage_sources(&w->index, w->signs, w->nsigns);
	w->nsources = w->index.n + w->nsigns;
	if ((w->merge = merge_new(s->d, w->source, w->nsources, w->dir, &err)) == NULL ||
	    merge_run(w->merge, s->memory, &err) < 0)
		tool_fail(NULL, &err);
}

static int
apply_all(struct whole *w)
{
	struct stages *s = w->s;
	struct records_job job = {
		.ctx = s->d, .field = s->job.field, .keys = s->job.keys, .nkeys = s->job.nkeys,
		.map = s->d->clusters != NULL ? name_record : NULL, .order = drop_judged,
	};

	s->d->user = w;
	s->io->check = check;
	w->runs = filter_each_file(s->io) ? w->n : 1;
	return filter_main(s->tool, s->io, w->input, &job);
}

bool
stages_plan(struct stages *s, char *const *files)
{
	const struct dedup_method *m = s->d->method;
	int64_t bytes = 0;
	struct stat st;

	s->keep = false;
	if (files[0] == NULL)
		return false;
	for (; *files != NULL; files++) {
		if (stat(*files, &st) < 0 || !S_ISREG(st.st_mode))
			return false;
		bytes += st.st_size;
	}
	s->keep = s->work != NULL;
	if (m->sign == NULL)
		return false;
	return s->keep || (m->sets ? bytes > s->memory / 2 : bytes / 8 > s->memory);
}

int
stages_run(struct stages *s, char **files)
{
	struct whole w = { .s = s, .dir = tool_work(s->work), .lock = -1, .hidden = -1,
	    .index.lock = -1 };
	struct err err;
	int status;

	if (s->keep && (w.lock = run_lock(s->work, &err)) == -1)
		tool_fail(NULL, &err);
	if (s->index != NULL && index_open(&w.index, s->index, s->d, &err) < 0)
		tool_fail(NULL, &err);
	find_inputs(&w, files);
	map_all(&w);
	merge_all(&w);
	status = apply_all(&w);
	/* Only now: whoever has no output must be able to try again. */
	if (status != TOOL_FAIL && s->index != NULL && index_add(&w.index, s->d, w.merge,
	    w.source, w.nsources, &err) < 0)
		tool_fail(NULL, &err);
	for (int i = 0; i < w.nsigns; i++) {
		if (s->keep)
			unlink(w.signs[i]);
		free(w.signs[i]);
	}
	merge_free(w.merge);
	index_close(&w.index);
	free(w.signs);
	free(w.source);
	if (w.hidden != -1)
		close(w.hidden);
	if (w.lock != -1)
		close(w.lock);
	return status;
}
