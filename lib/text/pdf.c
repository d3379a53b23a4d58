#include "text/pdf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/progress.h"

#define MEMORY	((rlim_t)2 << 30)	/* of pdftotext */

extern char **environ;

static int
fill(int fd, str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, (size_t)s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		s.p += n;
		s.n -= n;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? -1 : 0;
}

/* Return 0 or an errno. */
static int
start(int in, int out, double seconds, pid_t *pid)
{
	char *argv[] = { "pdftotext", "-q", "-enc", "UTF-8", "-nopgbrk", "-", "-", NULL };
	struct rlimit memory = { MEMORY, MEMORY };
	struct rlimit time = { (rlim_t)seconds + 1, (rlim_t)seconds + 1 };
	posix_spawn_file_actions_t a;
	int e = posix_spawn_file_actions_init(&a);

	if (e != 0)
		return e;
	if ((e = posix_spawn_file_actions_adddup2(&a, in, STDIN_FILENO)) == 0 &&
	    (e = posix_spawn_file_actions_adddup2(&a, out, STDOUT_FILENO)) == 0 &&
	    (e = posix_spawn_file_actions_addopen(&a, STDERR_FILENO, "/dev/null", O_WRONLY,
	    0)) == 0)
		e = posix_spawnp(pid, argv[0], &a, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&a);
	if (e == 0) {
		prlimit(*pid, RLIMIT_AS, &memory, NULL);
		prlimit(*pid, RLIMIT_CPU, &time, NULL);
	}
	return e;
}

/* All that comes, until the end, the limit or the time. */
static int
collect(int fd, int64_t limit, double seconds, struct buf *out, struct err *err)
{
	double stop = progress_now() + seconds;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ptrdiff_t from = out->n;

	for (;;) {
		double left = stop - progress_now();
		char *at = buf_room(out, 65536);
		ssize_t n;

		if (at == NULL)
			return buf_ok(out, err);
		if (left <= 0 || (n = poll(&p, 1, (int)(left * 1000) + 1)) == 0)
			return err_set(err, ERR_LIMIT, "takes more than %g seconds (--timeout)",
			    seconds);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || (n = read(fd, at, 65536)) < 0)
			return err_sys(err, "read from pdftotext");
		if (n == 0)
			return 0;
		out->n += n;
		if (out->n - from > limit)
			return err_set(err, ERR_LIMIT, "text of more than %lld bytes (--max-size)",
			    (long long)limit);
	}
}

static int
run(int in, int fd[2], int64_t limit, double seconds, struct buf *out, struct err *err)
{
	pid_t pid;
	int e = start(in, fd[1], seconds, &pid), ret, status;

	close(fd[1]);
	fd[1] = -1;
	if (e == ENOENT)
		return 0;
	if (e != 0) {
		errno = e;
		return err_sys(err, "pdftotext");
	}
	if ((ret = collect(fd[0], limit, seconds, out, err)) < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret < 0)
		return -1;
	if (WIFSIGNALED(status))
		return err_set(err, ERR_FORMAT, "pdftotext: ended by signal %d", WTERMSIG(status));
	switch (WEXITSTATUS(status)) {
	case 0:
		return 1;
	case 3:
		return err_set(err, ERR_FORMAT, "a PDF that permits no copying");
	default:
		return err_set(err, ERR_FORMAT, "a PDF that pdftotext cannot read");
	}
}

int
pdf_text(str bytes, int64_t limit, double seconds, struct buf *out, struct err *err)
{
	int in = memfd_create("pdf", MFD_CLOEXEC), fd[2] = { -1, -1 }, ret;

	if (in < 0 || fill(in, bytes) < 0 || pipe2(fd, O_CLOEXEC) < 0)
		ret = err_sys(err, "a pipe to pdftotext");
	else
		ret = run(in, fd, limit, seconds, out, err);
	if (in >= 0)
		close(in);
	for (int i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return ret;
}
