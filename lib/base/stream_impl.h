/*
 * stream_impl - what the halves of stream share
 */
#ifndef BASE_STREAM_IMPL_H
#define BASE_STREAM_IMPL_H

#include <stddef.h>

#include "base/err.h"

#define STREAM_CHUNK	((ptrdiff_t)256 << 10)	/* bytes asked of the system at once */

/* A zstd frame may ask for a window of 2^31: what `zstd --long=31' writes. */
#define STREAM_WINDOW_LOG 31

/* Wait until a descriptor that does not block is ready.  Return 0 or -1. */
int fd_wait(int fd, short events);

/* read() until something comes.  Return how many, 0 at the end, -1 and errno. */
ptrdiff_t fd_read(int fd, void *p, ptrdiff_t n);

/* write() all of it.  Return 0, or -1 and errno. */
int fd_write(int fd, const void *p, ptrdiff_t n);

#endif
