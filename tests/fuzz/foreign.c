/*
 * Fuzz target: token files of other programs.  The first byte says whose (n, l,
 * m); of m, two bytes follow with the length of the index, then it and the ids.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fmt/shard_convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
put(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (fd == -1 || write(fd, p, n) != (ssize_t)n)
		abort();
	close(fd);
}

static void
import(enum foreign kind, char *name)
{
	char *files[] = { name, NULL };
	struct shard_info info = { .eos = -1 };
	struct shard_writer *w;
	struct err err;
	struct out *out;

	if (foreign_vocab_all(kind, files, &info.vocab, &err) != 0)
		return;
	out = out_open("/dev/null", (struct codec_spec){ CODEC_PLAIN, 0 }, &err);
	w = out == NULL ? NULL : shard_create(out, &info, (str){ NULL, 0 }, &err);
	if (w != NULL)
		foreign_import(kind, files, 0, w, NULL, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char dir[] = "/tmp/fuzz-foreign.XXXXXX", bin[64], idx[64];
	enum foreign kind = FOREIGN_NANOGPT;
	size_t index = 0;

	if (n < 3 || mkdtemp(dir) == NULL)
		return 0;
	snprintf(bin, sizeof(bin), "%s/a.bin", dir);
	snprintf(idx, sizeof(idx), "%s/a.idx", dir);
	if (p[0] == 'l')
		kind = FOREIGN_LLMC;
	if (p[0] == 'm') {
		kind = FOREIGN_MEGATRON;
		index = (size_t)(p[1] | p[2] << 8);
		index = index > n - 3 ? n - 3 : index;
	}
	put(idx, p + 3, index);
	put(bin, p + 3 + index, n - 3 - index);
	import(kind, bin);
	unlink(bin);
	unlink(idx);
	rmdir(dir);
	return 0;
}
