#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/spill.h"
#include "base/stream.h"
#include "base/stream_impl.h"

#define TEMP_EXTRA 32	/* what a temporary name may add to the final one */
#define TEMP_TRIES 1000

struct out {
	int		 fd;
	bool		 own;		/* close fd */
	char		*path;		/* as it was given, for messages */
	char		*final, *temp;	/* temp is renamed to final; NULL: written in place */
	bool		 nameless;	/* the file has no name yet, not even temp */
	struct codec_spec codec;
	int64_t		 bytes;
	unsigned char	*buf;		/* plain bytes not yet passed on */
	ptrdiff_t	 n;
	unsigned char	*packed;	/* room for what the codec gives */
	z_stream	 z;
	bool		 gz;
	ZSTD_CStream	*zst;
	struct err	 failed;	/* code not ERR_NONE: everything fails with it */
};

int
codec_parse(str s, struct codec_spec *spec, struct err *err)
{
	str name = str_cut(&s, ':');
	enum codec codec;
	int least = 0, most = 0, level = 0, sign = 1;

	if (str_eq(name, S("none")))
		codec = CODEC_PLAIN;
	else if (str_eq(name, S("gzip"))) {
		codec = CODEC_GZIP;
		least = 1;
		most = 9;
	} else if (str_eq(name, S("zstd"))) {
		codec = CODEC_ZSTD;
		least = -7;
		most = ZSTD_maxCLevel();
	} else
		return err_set(err, ERR_ARG, "no compression '%.*s': none, gzip and zstd are known",
		    name.n < 40 ? (int)name.n : 40, name.p);
	if (s.p != NULL) {
		if (s.n > 0 && *s.p == '-') {
			sign = -1;
			s = (str){ s.p + 1, s.n - 1 };
		}
		for (ptrdiff_t i = 0; i < s.n && i < 4; i++)
			level = s.p[i] >= '0' && s.p[i] <= '9' ? level * 10 + s.p[i] - '0' : 9999;
		level *= sign;
		if (s.n < 1 || s.n > 3 || most == 0 || level < least || level > most ||
		    level == 0)
			return err_set(err, ERR_ARG, most == 0 ? "'none' has no levels" :
			    "levels of %.*s are %d to %d", STR_ARG(name), least, most);
	}
	*spec = (struct codec_spec){ codec, level };
	return 0;
}

int
fd_write(int fd, const void *p, ptrdiff_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t done = write(fd, at, (size_t)n);

		if (done < 0) {
			if (errno == EINTR || (errno == EAGAIN && fd_wait(fd, POLLOUT) == 0))
				continue;
			return -1;
		}
		at += done;
		n -= done;
	}
	return 0;
}

static int
fail(struct out *out, struct err *err)
{
	out->failed = *err;
	return -1;
}

static int
put(struct out *out, const void *p, ptrdiff_t n, struct err *err)
{
	if (fd_write(out->fd, p, n) == 0)
		return 0;
	err_sys(err, "%s: cannot write", out->path);
	return fail(out, err);
}

static int
put_gzip(struct out *out, int flush, struct err *err)
{
	out->z.next_in = out->buf;
	out->z.avail_in = (uInt)out->n;
	do {
		out->z.next_out = out->packed;
		out->z.avail_out = (uInt)STREAM_CHUNK;
		deflate(&out->z, flush);
		if (put(out, out->packed, STREAM_CHUNK - out->z.avail_out, err) == -1)
			return -1;
	} while (out->z.avail_out == 0);
	return 0;
}

static int
put_zstd(struct out *out, ZSTD_EndDirective end, struct err *err)
{
	ZSTD_inBuffer from = { out->buf, (size_t)out->n, 0 };
	size_t left;

	do {
		ZSTD_outBuffer to = { out->packed, (size_t)STREAM_CHUNK, 0 };

		left = ZSTD_compressStream2(out->zst, &to, &from, end);
		if (ZSTD_isError(left)) {
			err_set(err, ERR_NOMEM, "%s: zstd: %s", out->path, ZSTD_getErrorName(left));
			return fail(out, err);
		}
		if (put(out, out->packed, (ptrdiff_t)to.pos, err) == -1)
			return -1;
	} while (from.pos < from.size || (end != ZSTD_e_continue && left > 0));
	return 0;
}

enum how { MORE, FLUSH, END };

/* Pass the buffer on. */
static int
drain(struct out *out, enum how how, struct err *err)
{
	static const int gz[] = { Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH };
	static const ZSTD_EndDirective zs[] = { ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end };
	int rc;

	switch (out->codec.codec) {
	case CODEC_GZIP:
		rc = put_gzip(out, gz[how], err);
		break;
	case CODEC_ZSTD:
		rc = put_zstd(out, zs[how], err);
		break;
	default:
		rc = put(out, out->buf, out->n, err);
		break;
	}
	out->n = 0;
	return rc;
}

static int
start_codec(struct out *out, struct err *err)
{
	int level = out->codec.level;

	if (out->codec.codec == CODEC_PLAIN)
		return 0;
	out->packed = malloc((size_t)STREAM_CHUNK);
	if (out->packed != NULL && out->codec.codec == CODEC_GZIP)
		out->gz = deflateInit2(&out->z, level != 0 ? level : Z_DEFAULT_COMPRESSION,
		    Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK;
	else if (out->packed != NULL && (out->zst = ZSTD_createCStream()) != NULL) {
		ZSTD_CCtx_setParameter(out->zst, ZSTD_c_compressionLevel, level);
		ZSTD_CCtx_setParameter(out->zst, ZSTD_c_checksumFlag, 1);
	}
	if (out->gz || out->zst != NULL)
		return 0;
	return err_set(err, ERR_NOMEM, "out of memory");
}

static void
out_free(struct out *out)
{
	if (out->gz)
		deflateEnd(&out->z);
	ZSTD_freeCStream(out->zst);
	if (out->own)
		close(out->fd);
	free(out->path);
	free(out->final);
	free(out->temp);
	free(out->buf);
	free(out->packed);
	free(out);
}

/* temp: a hidden name beside the final one that differs from other writers'. */
static void
name_temp(struct out *out, int try)
{
	const char *slash = strrchr(out->final, '/');
	int dir = slash != NULL ? (int)(slash + 1 - out->final) : 0;

	snprintf(out->temp, strlen(out->final) + TEMP_EXTRA, "%.*s.%.200s.%d-%d.tmp", dir,
	    out->final, out->final + dir, (int)getpid(), try);
}

/*
 * A file without a name, where the system has that: then nothing is left
 * behind by a tool that is killed.  Return its descriptor or -1.
 */
static int
open_nameless(const char *final)
{
	const char *slash = strrchr(final, '/');
	char *dir = slash == NULL ? strdup(".") : strndup(final, (size_t)(slash + 1 - final));
	int fd = -1;

	if (dir != NULL && access("/proc/self/fd", X_OK) == 0)
		fd = open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
	free(dir);
	return fd;
}

static int
open_temp(struct out *out, mode_t mode, struct err *err)
{
	if ((out->temp = malloc(strlen(out->final) + TEMP_EXTRA)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if ((out->fd = open_nameless(out->final)) >= 0)
		out->nameless = true;
	for (int i = 0; out->fd < 0 && i < TEMP_TRIES; i++) {
		name_temp(out, i);
		out->fd = open(out->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (out->fd < 0 && errno != EEXIST)
			break;
	}
	if (out->fd >= 0) {
		out->own = true;
		/* Not ours to change, perhaps: then it is as if it were new. */
		if (mode != 0 && fchmod(out->fd, mode) == -1)
			errno = 0;
		return 0;
	}
	err_sys(err, "%s: cannot create", out->path);
	free(out->temp);
	out->temp = NULL;
	return -1;
}

/* Give the nameless file a name, for only a name can be renamed over another. */
static int
link_temp(struct out *out)
{
	char proc[48];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", out->fd);
	for (int i = 0; i < TEMP_TRIES; i++) {
		name_temp(out, i);
		if (linkat(AT_FDCWD, proc, AT_FDCWD, out->temp, AT_SYMLINK_FOLLOW) == 0) {
			out->nameless = false;
			return 0;
		}
		if (errno != EEXIST)
			break;
	}
	return -1;
}

/*
 * A name that is there is kept as what it is: a link leads to the file that is
 * replaced, a file hands on its mode, a pipe or a device is written in place.
 */
static int
open_file(struct out *out, struct err *err)
{
	struct stat st;

	if (stat(out->path, &st) == -1) {
		out->final = strdup(out->path);
		if (out->final == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		return open_temp(out, 0, err);
	}
	if (S_ISREG(st.st_mode)) {
		if ((out->final = realpath(out->path, NULL)) == NULL)
			return err_sys(err, "%s: cannot create", out->path);
		return open_temp(out, st.st_mode & 07777, err);
	}
	if ((out->fd = open(out->path, O_WRONLY | O_CLOEXEC)) == -1)
		return err_sys(err, "%s: cannot open", out->path);
	out->own = true;
	return 0;
}

/* One that writes to standard output so far.  path is for messages. */
static struct out *
new_out(const char *path, struct codec_spec spec, struct err *err)
{
	struct out *out = calloc(1, sizeof(*out));

	if (out == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	out->fd = STDOUT_FILENO;
	out->codec = spec;
	out->path = strdup(path);
	out->buf = malloc((size_t)STREAM_CHUNK);
	if (out->path == NULL || out->buf == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	else if (start_codec(out, err) == 0)
		return out;
	out_abort(out);
	return NULL;
}

struct out *
out_open(const char *path, struct codec_spec spec, struct err *err)
{
	bool standard = path == NULL || strcmp(path, "-") == 0;
	struct out *out = new_out(standard ? "standard output" : path, spec, err);

	if (out == NULL || standard || open_file(out, err) == 0)
		return out;
	out_abort(out);
	return NULL;
}

struct out *
out_spill(const char *dir, int *fd, struct err *err)
{
	struct out *out = new_out(dir, (struct codec_spec){ CODEC_PLAIN, 0 }, err);

	if (out == NULL)
		return NULL;
	if ((out->fd = *fd = spill_file(dir, 0, err)) != -1)
		return out;
	out_abort(out);
	return NULL;
}

int
out_write(struct out *out, const void *p, ptrdiff_t n, struct err *err)
{
	const char *at = p;

	if (out->failed.code != ERR_NONE) {
		*err = out->failed;
		return -1;
	}
	out->bytes += n;
	/*
	 * A codec sees whole buffers only, so that the compressed bytes do not
	 * depend on how the caller cut them.
	 */
	if (out->codec.codec == CODEC_PLAIN && out->n + n >= STREAM_CHUNK) {
		if (drain(out, MORE, err) == -1)
			return -1;
		if (n >= STREAM_CHUNK)
			return put(out, at, n, err);
	}
	while (n > 0) {
		ptrdiff_t part = STREAM_CHUNK - out->n < n ? STREAM_CHUNK - out->n : n;

		memcpy(out->buf + out->n, at, (size_t)part);
		out->n += part;
		at += part;
		n -= part;
		if (out->n == STREAM_CHUNK && drain(out, MORE, err) == -1)
			return -1;
	}
	return 0;
}

int
out_flush(struct out *out, struct err *err)
{
	if (out->failed.code != ERR_NONE) {
		*err = out->failed;
		return -1;
	}
	return drain(out, FLUSH, err);
}

int
out_patch(struct out *out, int64_t at, const void *p, ptrdiff_t n, struct err *err)
{
	ptrdiff_t done = 0;

	if (out_flush(out, err) == -1)
		return -1;
	while (done < n) {
		ssize_t got = pwrite(out->fd, (const char *)p + done, (size_t)(n - done),
		    at + done);

		if (got < 0 && errno != EINTR) {
			err_sys(err, "%s: cannot write what comes before", out->path);
			return fail(out, err);
		}
		done += got > 0 ? got : 0;
	}
	return 0;
}

int64_t
out_bytes(const struct out *out)
{
	return out->bytes;
}

/* Make the new name last through a power cut.  Not every file system can. */
static void
sync_dir(const char *path)
{
	char *dir = strdup(path), *slash = dir != NULL ? strrchr(dir, '/') : NULL;
	int fd;

	if (slash != NULL)
		slash[slash == dir] = '\0';
	fd = dir == NULL ? -1 : open(slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(dir);
}

static int
finish(struct out *out, struct err *err)
{
	int rc;

	if (out->failed.code != ERR_NONE) {
		*err = out->failed;
		return -1;
	}
	if (drain(out, END, err) == -1)
		return -1;
	if (out->temp != NULL && fsync(out->fd) == -1)
		return err_sys(err, "%s: cannot write", out->path);
	if (out->nameless && link_temp(out) == -1)
		return err_sys(err, "%s: cannot create", out->path);
	if (!out->own)
		return 0;
	rc = close(out->fd);
	out->own = false;
	if (rc == -1)
		return err_sys(err, "%s: cannot write", out->path);
	if (out->temp == NULL)
		return 0;
	if (rename(out->temp, out->final) == -1)
		return err_sys(err, "%s: cannot create", out->path);
	free(out->temp);
	out->temp = NULL;
	sync_dir(out->final);
	return 0;
}

int
out_commit(struct out *out, struct err *err)
{
	int rc = finish(out, err);

	out_abort(out);
	return rc;
}

void
out_abort(struct out *out)
{
	if (out == NULL)
		return;
	if (out->temp != NULL && !out->nameless)
		unlink(out->temp);
	out_free(out);
}
