/*
 * stream - bytes in and bytes out: plain, gzip, zstd
 *
 * An input knows its compression by its first bytes, never by its name, and
 * reads members that were concatenated.  An output file appears whole under
 * its name or not at all: it is written beside it, synced and renamed.
 * Truncated or damaged compressed data is an error that names the offset.
 *
 * Messages of in_*() do not name the file, for who reads knows it, and often
 * a line too; those of out_*() and file_*() begin with it.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum codec { CODEC_PLAIN, CODEC_GZIP, CODEC_ZSTD };

struct codec_spec {
	enum codec	codec;
	int		level;		/* 0: the codec's default */
};

/* "zstd", "zstd:19", "gzip", "gzip:9", "none".  Return 0 or -1. */
int codec_parse(str s, struct codec_spec *spec, struct err *err);

struct in;

/* path NULL or "-" is the standard input. */
struct in *in_open(const char *path, struct err *err);

/* Read from a descriptor that stays the caller's, or from memory. */
struct in *in_fd(int fd, struct err *err);
struct in *in_mem(str bytes, struct err *err);

/*
 * Fill up to n bytes: what there is, without waiting for more.  Return how many
 * (0 at the end only), or -1 on failure, after the bytes before it were given.
 */
ptrdiff_t in_read(struct in *in, void *p, ptrdiff_t n, struct err *err);

/* Bytes taken from the file so far, and its size or -1: for progress. */
int64_t in_pos(const struct in *in);
int64_t in_size(const struct in *in);
void in_close(struct in *in);

struct out;

/* path NULL or "-" is the standard output. */
struct out *out_open(const char *path, struct codec_spec spec, struct err *err);

/*
 * A file in dir that never has a name.  What is committed can be read by *fd, which
 * is the caller's to close, unless this fails.
 */
struct out *out_spill(const char *dir, int *fd, struct err *err);

/* Buffered; a failure sticks, and out_commit() tells it too.  Return 0 or -1. */
int out_write(struct out *out, const void *p, ptrdiff_t n, struct err *err);
int out_flush(struct out *out, struct err *err);

/*
 * Write n bytes over those at offset at, which were given before.  Only in a
 * plain file, not in a pipe.  Return 0 or -1.
 */
int out_patch(struct out *out, int64_t at, const void *p, ptrdiff_t n, struct err *err);

/* Bytes given to out_write() so far. */
int64_t out_bytes(const struct out *out);

/* Finish, sync, rename.  Frees out, also on failure.  Return 0 or -1. */
int out_commit(struct out *out, struct err *err);

/* Throw away what was written.  NULL is allowed. */
void out_abort(struct out *out);

/* A whole file into an arena, decompressed, at most limit bytes, NUL after it. */
struct arena;
str file_slurp(struct arena *a, const char *path, ptrdiff_t limit, struct err *err);

/* Write a whole small file atomically; path as for out_open(). */
int file_write(const char *path, str bytes, struct err *err);

/* A read-only mapping of a plain file. */
int file_map(const char *path, str *bytes, struct err *err);
void file_unmap(str bytes);

/* The first of these names (NULL ends them) that is in a directory, or NULL. */
const char *file_first(const char *dir, const char *const *name);

#endif
