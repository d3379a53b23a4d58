#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool/filter_impl.h"
#include "tool/reread.h"

struct ahead {
	struct filter	f;
	const char	*what;		/* for progress: pass 1 of 3 */
};

static void
show_progress(void *ctx, int64_t records, int64_t done, int64_t total)
{
	struct ahead *a = ctx;

	tool_progress_of(&a->f.progress, records, a->what, done, total, a->f.o->quiet,
	    a->f.o->verbose);
}

int64_t
filter_again(char **files, const char *work)
{
	int64_t bytes = 0;
	struct stat st;
	int n = 0;

	while (files[n] != NULL)
		n++;
	reread_prepare(files, n, work);
	for (int i = 0; i < (n > 0 ? n : 1); i++) {
		bool in = n == 0 || strcmp(files[i], "-") == 0;

		if ((in ? fstat(STDIN_FILENO, &st) : stat(files[i], &st)) == -1)
			tool_die("%s: %s", in ? "stdin" : files[i], strerror(errno));
		bytes += st.st_size;
	}
	return bytes;
}

void
filter_ahead(const struct tool *t, struct filter_opts *o, char **files,
    const struct records_job *jobs, int n, int done,
    int (*after)(void *ctx, int done, struct team *team, struct err *err), void *ctx)
{
	struct ahead a = { .f = { .tool = t, .o = o } };
	struct records_io io = { .progress = show_progress, .ctx = &a };
	struct records_count count;
	struct err err;
	char what[48];
	off_t start = lseek(STDIN_FILENO, 0, SEEK_CUR);
	int nfiles = 0;

	filter_check(&a.f);
	io.keep_going = o->keep_going;
	a.what = what;
	while (files[nfiles] != NULL)
		nfiles++;
	if ((a.f.team = team_new(tool_threads(o->threads, 1), &err)) == NULL)
		tool_fail(NULL, &err);
	for (int i = done; i < n; i++) {
		struct records_job job = jobs[i];

		job.ctx = ctx;
		if (o->field != NULL)
			job.field = filter_field(o);
		snprintf(what, sizeof(what), "records in pass %d of %d", i + 1, n + 1);
		progress_start(&a.f.progress, o->verbose ? 1 : 0.25);
		if (records_run(a.f.team, &job, &io, files, nfiles, NULL, &count, &err) < 0)
			tool_fail(NULL, &err);
		reread_stdin(start);
		tool_progress(NULL, o->quiet, o->verbose);
		if (after(ctx, i + 1, a.f.team, &err) < 0)
			tool_fail(NULL, &err);
	}
	team_free(a.f.team);
}
