#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/stream.h"

#define PIECE ((ptrdiff_t)1 << 20)

str
file_slurp(struct arena *a, const char *path, ptrdiff_t limit, struct err *err)
{
	const str none = { NULL, 0 };
	struct in *in = in_open(path, err);
	ptrdiff_t n = 0, got = -1, cap, piece;
	char *p;

	if (in == NULL) {
		err_wrap(err, "%s", path);
		return none;
	}
	/*
	 * All there is, until the size is known; what is not used is given back.
	 * A decompressor may leave scraps behind its last byte, and arenas give
	 * zeros: so it sees pieces, and the last is wiped.
	 */
	cap = a->end - a->at - 64;
	if (cap > limit + 1)
		cap = limit + 1;
	if ((p = arena_alloc(a, cap > 0 ? cap : 1, 1, err)) != NULL) {
		do {
			piece = n < PIECE ? PIECE / 16 : PIECE;
			if (piece > cap - n)
				piece = cap - n;
			got = in_read(in, p + n, piece, err);
			n += got > 0 ? got : 0;
		} while (got > 0 && n < cap);
		memset(p + n, 0, (size_t)(cap - n < piece ? cap - n : piece));
	}
	in_close(in);
	if (p == NULL || got < 0) {
		err_wrap(err, "%s", path);
		return none;
	}
	if (n >= cap) {
		err_set(err, ERR_LIMIT, "%s: more than %td bytes", path, cap - 1);
		return none;
	}
	p[n] = '\0';
	a->at = p + n + 1;
	return (str){ p, n };
}

int
file_write(const char *path, str bytes, struct err *err)
{
	struct out *out = out_open(path, (struct codec_spec){ CODEC_PLAIN, 0 }, err);

	if (out == NULL)
		return -1;
	if (out_write(out, bytes.p, bytes.n, err) == -1) {
		out_abort(out);
		return -1;
	}
	return out_commit(out, err);
}

int
file_map(const char *path, str *bytes, struct err *err)
{
	struct stat st;
	void *p = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return err_sys(err, "%s: cannot open", path);
	if (fstat(fd, &st) == -1) {
		close(fd);
		return err_sys(err, "%s: cannot read", path);
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, ERR_IO, "%s: not a plain file", path);
	}
	if (st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return err_sys(err, "%s: cannot map", path);
	*bytes = (str){ p != NULL ? p : "", st.st_size };
	return 0;
}

void
file_unmap(str bytes)
{
	if (bytes.n > 0)
		munmap((void *)(uintptr_t)bytes.p, (size_t)bytes.n);
}

const char *
file_first(const char *dir, const char *const *name)
{
	char path[4096];

	for (; *name != NULL; name++)
		if (snprintf(path, sizeof(path), "%s/%s", dir, *name) < (int)sizeof(path) &&
		    access(path, F_OK) == 0)
			return *name;
	return NULL;
}
