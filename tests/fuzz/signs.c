/*
 * Fuzz target: a file of signs; as it is, and with its checksums put right, so
 * that what they guard is reached.  Each sign is read again at its place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fmt/signs.h"
#include "../lib/mend.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
read_all(const char *p, size_t n)
{
	struct signs_reader r;
	struct signs_sums sums;
	struct sign s, again;
	struct buf b = { 0 };
	struct err err;
	char path[64];
	int fd = memfd_create("signs", 0);

	if (fd == -1 || write(fd, p, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (signs_open(&r, path, &err) == 0)
		while (signs_next(&r, &s, &err) > 0) {
			if (signs_fetch(fd, path, s.at, r.key_bytes, &again, &b, &err) < 0 ||
			    again.index != s.index || again.n != s.n ||
			    memcmp(again.key, s.key, (size_t)r.key_bytes) != 0 ||
			    !str_eq(again.name, s.name))
				abort();
		}
	signs_close(&r);
	signs_count(path, &sums, &err);
	buf_free(&b);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	read_all((const char *)p, n);
	memcpy(copy, p, n);
	mend(copy, (int64_t)n, SIGNS_KIND);
	read_all(copy, n);
	free(copy);
	return 0;
}
