#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/spill.h"
#include "tool/filter_impl.h"

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

static void
copy_input(int to)
{
	static char bytes[1 << 16];
	ssize_t n;

	while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) != 0) {
		ssize_t done = 0, m;

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			tool_die("stdin: %s", strerror(errno));
		for (; done < n; done += m)
			if ((m = write(to, bytes + done, (size_t)(n - done))) == -1)
				tool_die("cannot copy the standard input: %s", strerror(errno));
	}
}

/* Make the standard input one that can be read again. */
static void
keep_input(const char *dir)
{
	struct err err;
	int fd;

	if (lseek(STDIN_FILENO, 0, SEEK_CUR) != -1)
		return;
	if ((fd = spill_file(dir, 0, &err)) == -1)
		tool_fail(NULL, &err);
	copy_input(fd);
	if (lseek(fd, 0, SEEK_SET) == -1 || dup2(fd, STDIN_FILENO) == -1)
		tool_die("stdin: %s", strerror(errno));
	close(fd);
}

int64_t
filter_again(char **files, const char *dir)
{
	char dash[] = "-", *standard[] = { dash, NULL };
	int64_t bytes = 0;
	struct stat st;

	for (files = *files == NULL ? standard : files; *files != NULL; files++) {
		bool in = strcmp(*files, "-") == 0;

		if (in)
			keep_input(dir);
		if (in ? fstat(STDIN_FILENO, &st) == -1 : stat(*files, &st) == -1)
			continue;	/* who opens it will say why */
		if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
			tool_die("%s: is read more than once, so it must be a file", *files);
		bytes += st.st_size;
	}
	return bytes;
}

void
filter_ahead(const struct tool *t, struct filter_opts *o, char **files,
    const struct records_job *jobs, int n,
    int (*settle)(void *ctx, struct team *team, struct err *err), void *ctx)
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
	for (int i = 0; i < n; i++) {
		struct records_job job = jobs[i];

		job.ctx = ctx;
		if (o->field != NULL)
			job.field = filter_field(o);
		snprintf(what, sizeof(what), "records in pass %d of %d", i + 1, n + 1);
		progress_start(&a.f.progress, o->verbose ? 1 : 0.25);
		if (records_run(a.f.team, &job, &io, files, nfiles, NULL, &count, &err) < 0)
			tool_fail(NULL, &err);
		if (start != -1 && lseek(STDIN_FILENO, start, SEEK_SET) == -1)
			tool_die("stdin: %s", strerror(errno));
	}
	tool_progress(NULL, o->quiet, o->verbose);
	if (settle(ctx, a.f.team, &err) < 0)
		tool_fail(NULL, &err);
	team_free(a.f.team);
}
