/* Any bytes as a file that may be an archive: it is read to its end. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "text/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct files_opts opts = {
		.depth = 4, .ratio = 1000, .hold = 1 << 20, .exclude = { "x*" },
	};
	int fd = memfd_create("archive", 0);
	char path[32], block[4096];
	char *const paths[] = { path };
	struct err err = { 0 };
	struct files *f;
	struct file file;
	int got, failures = 0;

	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if ((f = files_open(paths, 1, &opts, &err)) == NULL)
		abort();
	while ((got = files_next(f, &file, &err)) != 0 && failures < 1000) {
		if (got < 0) {
			failures++;
			continue;
		}
		if (file.label.n == 0 || file.name.n > file.label.n)
			abort();
		for (int i = 0; i < 256 && files_read(f, block, sizeof(block), &err) > 0; i++)
			;
	}
	files_close(f);
	close(fd);
	return 0;
}
