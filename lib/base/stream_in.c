#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/stream.h"
#include "base/stream_impl.h"

struct in {
	int		 fd;		/* -1: memory */
	bool		 own;		/* close fd */
	bool		 eof;		/* the source has no more */
	bool		 known;		/* codec was told from the magic */
	bool		 inside;	/* between a member's first and last byte */
	bool		 gz, zs;	/* z, zst are set up */
	enum codec	 codec;
	int64_t		 size;		/* of the file, -1 unknown */
	int64_t		 taken;		/* bytes from the source */
	const unsigned char *raw;	/* bytes taken and not yet used */
	ptrdiff_t	 nraw;
	unsigned char	*buf;		/* where raw lies, STREAM_CHUNK; NULL for memory */
	z_stream	 z;
	ZSTD_DStream	*zst;
	struct err	 failed;	/* code not ERR_NONE: every read fails with it */
};

int
fd_wait(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	while (poll(&p, 1, -1) == -1)
		if (errno != EINTR)
			return -1;
	return 0;
}

ptrdiff_t
fd_read(int fd, void *p, ptrdiff_t n)
{
	for (;;) {
		ssize_t got = read(fd, p, (size_t)n);

		if (got >= 0)
			return got;
		if (errno == EAGAIN && fd_wait(fd, POLLIN) == 0)
			continue;
		if (errno != EINTR)
			return -1;
	}
}

static struct in *
in_new(int fd, struct err *err)
{
	struct in *in = calloc(1, sizeof(*in));

	if (in != NULL && fd >= 0 && (in->buf = malloc((size_t)STREAM_CHUNK)) == NULL) {
		free(in);
		in = NULL;
	}
	if (in == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	in->fd = fd;
	in->size = -1;
	return in;
}

struct in *
in_fd(int fd, struct err *err)
{
	struct in *in = in_new(fd, err);
	struct stat st;
	off_t at;

	if (in == NULL)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		at = lseek(fd, 0, SEEK_CUR);
		in->size = st.st_size - (at > 0 && at <= st.st_size ? at : 0);
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	}
	return in;
}

struct in *
in_open(const char *path, struct err *err)
{
	struct in *in;
	int fd = STDIN_FILENO;
	bool own = path != NULL && strcmp(path, "-") != 0;

	if (own && (fd = open(path, O_RDONLY | O_CLOEXEC)) == -1) {
		err_sys(err, "cannot open");
		return NULL;
	}
	if ((in = in_fd(fd, err)) == NULL) {
		if (own)
			close(fd);
		return NULL;
	}
	in->own = own;
	return in;
}

struct in *
in_mem(str bytes, struct err *err)
{
	struct in *in = in_new(-1, err);

	if (in == NULL)
		return NULL;
	in->raw = (const unsigned char *)bytes.p;
	in->nraw = in->size = in->taken = bytes.n;
	in->eof = true;
	return in;
}

/* Keep the failure, so that reading on after it fails the same way. */
static int
fail(struct in *in, struct err *err)
{
	in->failed = *err;
	return -1;
}

/* Take more of the source behind what is there.  Return 0 or -1. */
static int
more(struct in *in, struct err *err)
{
	ptrdiff_t got;

	if (in->eof)
		return 0;
	if (in->nraw > 0)
		memmove(in->buf, in->raw, (size_t)in->nraw);
	in->raw = in->buf;
	got = fd_read(in->fd, in->buf + in->nraw, STREAM_CHUNK - in->nraw);
	if (got < 0) {
		err_sys(err, "cannot read");
		return fail(in, err);
	}
	in->eof = got == 0;
	in->nraw += got;
	in->taken += got;
	return 0;
}

/* What the first bytes say; more of them may be needed to tell. */
static enum codec
codec_of(const unsigned char *p, ptrdiff_t n, bool *unsure)
{
	static const unsigned char gz[] = { 0x1f, 0x8b, 8 };
	static const unsigned char zs[] = { 0x28, 0xb5, 0x2f, 0xfd };
	static const unsigned char skip[] = { 0x50, 0x2a, 0x4d, 0x18 };
	bool is_gz = n > 0, is_zs = n > 0, is_skip = n > 0;

	for (int i = 0; i < 4 && i < n; i++) {
		is_gz = is_gz && (i > 2 || p[i] == gz[i]);
		is_zs = is_zs && p[i] == zs[i];
		/* A frame without data: sixteen magics. */
		is_skip = is_skip && (i == 0 ? p[i] & 0xf0 : p[i]) == skip[i];
	}
	*unsure = n < (is_gz ? 3 : is_zs || is_skip ? 4 : 1);
	if (*unsure)
		return CODEC_PLAIN;
	return is_gz ? CODEC_GZIP : is_zs || is_skip ? CODEC_ZSTD : CODEC_PLAIN;
}

static int
begin_member(struct in *in, struct err *err)
{
	in->inside = true;
	if (in->codec == CODEC_GZIP) {
		if (in->gz ? inflateReset(&in->z) != Z_OK : inflateInit2(&in->z, 31) != Z_OK) {
			err_set(err, ERR_NOMEM, "out of memory");
			return fail(in, err);
		}
		in->gz = true;
		return 0;
	}
	if (!in->zs) {
		in->zst = ZSTD_createDStream();
		if (in->zst == NULL) {
			err_set(err, ERR_NOMEM, "out of memory");
			return fail(in, err);
		}
		ZSTD_DCtx_setParameter(in->zst, ZSTD_d_windowLogMax, STREAM_WINDOW_LOG);
		in->zs = true;
	}
	ZSTD_DCtx_reset(in->zst, ZSTD_reset_session_only);
	return 0;
}

/*
 * What comes next, at the start or between two members?  Return 1 when a
 * member or plain data begins, 0 at the end, -1 on failure.
 */
static int
look(struct in *in, struct err *err)
{
	bool first = !in->known, unsure;

	for (;;) {
		/* Zeros after a member are padding, as tapes and block devices leave it. */
		while (!first && in->nraw > 0 && *in->raw == 0) {
			in->raw++;
			in->nraw--;
		}
		in->codec = codec_of(in->raw, in->nraw, &unsure);
		if (!unsure || in->eof)
			break;
		if (more(in, err) == -1)
			return -1;
	}
	if (in->nraw == 0)
		return 0;
	in->known = true;
	if (in->codec != CODEC_PLAIN)
		return begin_member(in, err) == -1 ? -1 : 1;
	if (first)
		return 1;
	err_set(err, ERR_FORMAT, "byte %lld: neither gzip nor zstd after compressed data",
	    (long long)in_pos(in));
	return fail(in, err);
}

static ptrdiff_t
read_plain(struct in *in, void *p, ptrdiff_t n, struct err *err)
{
	ptrdiff_t got;

	if (in->nraw == 0 && !in->eof && n >= STREAM_CHUNK) {
		if ((got = fd_read(in->fd, p, n)) < 0) {
			err_sys(err, "cannot read");
			return fail(in, err);
		}
		in->eof = got == 0;
		in->taken += got;
		return got;
	}
	if (in->nraw == 0 && more(in, err) == -1)
		return -1;
	got = n < in->nraw ? n : in->nraw;
	if (got > 0)
		memcpy(p, in->raw, (size_t)got);
	in->raw += got;
	in->nraw -= got;
	return got;
}

static ptrdiff_t
step_gzip(struct in *in, void *p, ptrdiff_t n, struct err *err)
{
	const ptrdiff_t most = 1 << 30;
	uInt room = (uInt)(n < most ? n : most);
	int rc;

	in->z.next_in = (unsigned char *)(uintptr_t)in->raw;
	in->z.avail_in = (uInt)(in->nraw < most ? in->nraw : most);
	in->nraw -= in->z.avail_in;
	in->z.next_out = p;
	in->z.avail_out = room;
	rc = inflate(&in->z, Z_NO_FLUSH);
	in->raw = in->z.next_in;
	in->nraw += in->z.avail_in;
	if (rc == Z_STREAM_END)
		in->inside = false;
	else if (rc != Z_OK && rc != Z_BUF_ERROR) {
		err_set(err, rc == Z_MEM_ERROR ? ERR_NOMEM : ERR_FORMAT,
		    "byte %lld: damaged gzip data: %s", (long long)in_pos(in),
		    in->z.msg != NULL ? in->z.msg : zError(rc));
		return fail(in, err);
	}
	return room - in->z.avail_out;
}

static ptrdiff_t
step_zstd(struct in *in, void *p, ptrdiff_t n, struct err *err)
{
	ZSTD_inBuffer from = { in->raw, (size_t)in->nraw, 0 };
	ZSTD_outBuffer to = { p, (size_t)n, 0 };
	size_t rc = ZSTD_decompressStream(in->zst, &to, &from);

	in->raw += from.pos;
	in->nraw -= (ptrdiff_t)from.pos;
	if (ZSTD_isError(rc)) {
		err_set(err, ERR_FORMAT, "byte %lld: damaged zstd data: %s",
		    (long long)in_pos(in), ZSTD_getErrorName(rc));
		return fail(in, err);
	}
	if (rc == 0)
		in->inside = false;
	return (ptrdiff_t)to.pos;
}

ptrdiff_t
in_read(struct in *in, void *p, ptrdiff_t n, struct err *err)
{
	ptrdiff_t done = 0;

	if (in->failed.code != ERR_NONE) {
		*err = in->failed;
		return -1;
	}
	while (done < n) {
		char *at = (char *)p + done;
		ptrdiff_t got;
		int next = 1;

		/* What is there goes out before anything that may have to wait. */
		if (done > 0 && in->nraw == 0 && !in->eof && !in->inside)
			return done;
		if (!in->known || (in->codec != CODEC_PLAIN && !in->inside))
			next = look(in, err);
		if (next <= 0)
			return next == 0 || done > 0 ? done : -1;
		if (in->codec == CODEC_PLAIN)
			return read_plain(in, at, n, err);
		got = (in->codec == CODEC_GZIP ? step_gzip : step_zstd)(in, at, n - done, err);
		if (got < 0)
			return done > 0 ? done : -1;
		done += got;
		if (got > 0 || !in->inside)
			continue;
		if (in->nraw == 0 && in->eof) {
			err_set(err, ERR_FORMAT, "byte %lld: truncated %s data",
			    (long long)in->taken, in->codec == CODEC_GZIP ? "gzip" : "zstd");
			fail(in, err);
			return done > 0 ? done : -1;
		}
		if (done > 0 && in->nraw == 0)
			return done;
		if (in->nraw == 0 && more(in, err) == -1)
			return -1;
	}
	return done;
}

int64_t
in_pos(const struct in *in)
{
	return in->taken - in->nraw;
}

int64_t
in_size(const struct in *in)
{
	return in->size;
}

void
in_close(struct in *in)
{
	if (in == NULL)
		return;
	if (in->gz)
		inflateEnd(&in->z);
	ZSTD_freeDStream(in->zst);
	if (in->own)
		close(in->fd);
	free(in->buf);
	free(in);
}
