/*
 * chunk - the container of every binary file of ours
 *
 * A container is a header of 64 bytes, chunks, and an END chunk.  A chunk is
 * a header of 64 bytes and a payload, which zeros fill up to a multiple of 64;
 * so payloads are aligned for any use in a mapping, and stay so when files
 * are concatenated.  All numbers are little-endian.
 *
 *	container	 0  magic 8c 'l' 'l' 'm' KIND 0d 0a 1a
 *			 8  u16 version that wrote it
 *			10  u16 oldest version that can read it
 *			12  zeros
 *			56  u64 XXH3 of bytes 0 to 55
 *	chunk		 0  id, four letters, digits or spaces
 *			 4  u32 flags
 *			 8  i64 length of the payload
 *			16  u64 XXH3 of the payload
 *			24  i64[4] arguments, their meaning is the id's
 *			56  u64 XXH3 of bytes 0 to 55
 *
 * An unknown chunk whose id begins with an upper-case letter may be skipped,
 * one in lower case may not.  END ("end ") has the bytes before it and the
 * chained hash of all headers as arguments, so a chunk that is lost, added or
 * moved shows, as does a cut.
 *
 * The writer never seeks, the reader reads a stream or a mapping.  Whoever
 * declares the struct owns it; in, out and map stay the caller's.
 */
#ifndef FMT_CHUNK_H
#define FMT_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/stream.h"

#define CHUNK_ALIGN	64
#define CHUNK_MAX	((int64_t)1 << 34)	/* bytes of a payload */

struct chunk {
	char		id[5];		/* NUL after it */
	uint32_t	flags;
	int64_t		length;
	uint64_t	hash;
	int64_t		arg[4];
	int64_t		at;		/* of its header in the stream */
};

struct chunk_writer {
	struct out	*out;
	int64_t		 bytes;		/* of this container */
	uint64_t	 chain;
};

/* Write the container's header. */
int chunk_begin(struct chunk_writer *w, struct out *out, char kind, int version, int oldest,
    struct err *err);

/* Write one chunk; arg is 4 numbers or NULL. */
int chunk_put(struct chunk_writer *w, const char *id, const int64_t *arg, str payload,
    struct err *err);

/* Write END.  Commits nothing. */
int chunk_finish(struct chunk_writer *w, struct err *err);

struct chunk_reader {
	struct in	*in;		/* either this */
	str		 map;		/* or this, when in is NULL */
	const char	*name;		/* of the format, for messages: "shard" */
	char		 kind;
	int		 version;	/* of the reader */
	int		 written;	/* version that wrote the container */
	int64_t		 at, start;	/* in the stream; of this container */
	uint64_t	 chain;
	int64_t		 pending;	/* bytes left of the current payload, padding included */
	struct chunk	 last;		/* whose they are */
};

/*
 * Set in or map, name, kind and version, and zero the rest.  Read the header
 * of the next container.  Return 1, 0 at the end of the input, -1.
 */
int chunk_start(struct chunk_reader *r, struct err *err);

/*
 * Read the header of the next chunk.  The payload of the last, when it was not
 * taken, is skipped; in a stream its hash is checked all the same.
 * Return 1, 0 at a sound END, -1.  Errors name the byte.
 */
int chunk_next(struct chunk_reader *r, struct chunk *c, struct err *err);

/*
 * The payload of the chunk that chunk_next() gave: *p is in the mapping, or in
 * b, whose old contents go.  Its hash is checked unless it is mapped and check
 * is false.
 */
int chunk_payload(struct chunk_reader *r, const struct chunk *c, bool check, struct buf *b,
    const void **p, struct err *err);

/* For a chunk the caller does not know: 0 when it may be skipped, else -1. */
int chunk_unknown(const struct chunk_reader *r, const struct chunk *c, struct err *err);

#endif
