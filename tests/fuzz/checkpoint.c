/* Fuzz target: checksums.json of a checkpoint, beside one small file. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fmt/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int
put(int dir, const char *name, const void *p, size_t n)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	int rc = fd >= 0 && write(fd, p, n) == (ssize_t)n ? 0 : -1;

	close(fd);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char path[] = "/tmp/fuzz-checkpoint.XXXXXX";
	struct err err;
	int dir;

	if (mkdtemp(path) == NULL || (dir = open(path, O_RDONLY | O_DIRECTORY)) == -1)
		return 0;
	if (put(dir, "state.json", "{}\n", 3) == 0 && put(dir, "checksums.json", p, n) == 0)
		checkpoint_verify(path, &err);
	unlinkat(dir, "state.json", 0);
	unlinkat(dir, "checksums.json", 0);
	close(dir);
	rmdir(path);
	return 0;
}
