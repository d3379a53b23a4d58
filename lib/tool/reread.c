#include "tool/reread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/spill.h"
#include "tool/tool.h"

#define BLOCK	((size_t)1 << 20)

/* Copy what fd gives into a file of its own. */
static int
keep(int fd, const char *name, const char *dir)
{
	struct err err;
	int tmp = spill_file(dir, 0, &err);
	char *block = malloc(BLOCK);
	ssize_t got;

	if (tmp == -1)
		tool_fail(NULL, &err);
	if (block == NULL)
		tool_die("out of memory");
	while ((got = read(fd, block, BLOCK)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			tool_die("%s: %s", name, strerror(errno));
		for (ssize_t put, at = 0; at < got; at += put)
			if ((put = write(tmp, block + at, (size_t)(got - at))) < 0)
				tool_die("%s: cannot keep %s: %s", dir, name, strerror(errno));
	}
	free(block);
	if (lseek(tmp, 0, SEEK_SET) != 0)
		tool_die("%s: %s", dir, strerror(errno));
	return tmp;
}

/* A name by which a descriptor's file is opened anew; it stays as long as the program runs. */
static char *
name_of(int fd)
{
	static struct name {
		struct name *before;
		char text[32];
	} *last;
	struct name *name = malloc(sizeof(*name));

	if (name == NULL)
		tool_die("out of memory");
	name->before = last;
	last = name;
	snprintf(name->text, sizeof(name->text), "/dev/fd/%d", fd);
	return name->text;
}

/* One file, or the standard input.  Return where that starts, or -1. */
static off_t
prepare(char **file, const char *work, bool named)
{
	bool is_stdin = file == NULL || strcmp(*file, "-") == 0;
	const char *name = is_stdin ? "stdin" : *file;
	int fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC), tmp;
	off_t start = 0;
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		tool_die("%s: %s", name, strerror(errno));
	if (S_ISREG(st.st_mode) && is_stdin)
		start = lseek(fd, 0, SEEK_CUR);
	if (!S_ISREG(st.st_mode) || (named && start > 0)) {
		tmp = keep(fd, name, tool_work(work));
		if (!is_stdin || named) {
			*file = name_of(tmp);
		} else if (dup2(tmp, STDIN_FILENO) == -1) {
			tool_die("stdin: %s", strerror(errno));
		} else {
			close(tmp);
		}
	} else if (is_stdin && named) {
		*file = name_of(STDIN_FILENO);
	}
	if (!is_stdin)
		close(fd);
	return is_stdin ? start : -1;
}

off_t
reread_prepare(char **files, int n, const char *work)
{
	off_t start = n == 0 ? prepare(NULL, work, false) : -1;

	for (int i = 0; i < n; i++) {
		off_t at = prepare(&files[i], work, false);

		if (at >= 0)
			start = at;
	}
	return start;
}

void
reread_named(char **files, int n, const char *work)
{
	for (int i = 0; i < n; i++)
		prepare(&files[i], work, true);
}

void
reread_stdin(off_t start)
{
	if (start >= 0 && lseek(STDIN_FILENO, start, SEEK_SET) == -1)
		tool_die("stdin: %s", strerror(errno));
}
