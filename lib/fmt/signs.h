/*
 * signs - what the records of a file are known by, to find repeats (llm-dedup-index(5))
 *
 * A container of kind D: settings, blocks of signs in the records' order, and
 * sums.  A sign is a key of fixed size (a hash, or MinHash bands), a set of
 * shingles that may be empty, and the record's index and name.
 *
 * Writer and reader are the caller's structs, zeroed at first; out stays the
 * caller's.  Memory is two blocks of about 1 MiB, or one sign that is larger.
 */
#ifndef FMT_SIGNS_H
#define FMT_SIGNS_H

#include "fmt/chunk.h"

#define SIGNS_VERSION	1
#define SIGNS_KIND	'D'

struct sign {
	int64_t		 index;		/* of its record in the input, from 0 */
	const char	*key;		/* as many bytes as the file says */
	const uint64_t	*set;
	int64_t		 n;		/* of the set */
	str		 name;		/* raw JSON */
	int64_t		 at;		/* where it is in the file: for signs_fetch() */
};

struct signs_sums {
	int64_t	records;	/* of the input, bad ones too */
	int64_t	signs;
	int64_t	text;		/* bytes of the texts */
};

struct signs_writer {
	struct chunk_writer chunk;
	struct buf	 block;
	int64_t		 in_block, signs, key_bytes;
};

int signs_begin(struct signs_writer *w, struct out *out, str settings, int64_t key_bytes,
    struct err *err);
int signs_put(struct signs_writer *w, const struct sign *s, struct err *err);

/* Write what is left and the end; commits nothing. */
int signs_finish(struct signs_writer *w, int64_t records, int64_t text, struct err *err);
void signs_writer_free(struct signs_writer *w);

/* A place between two blocks that reading can begin at anew. */
struct signs_mark {
	struct chunk_reader chunk;
	int64_t		 signs, last;
};

struct signs_reader {
	const char	*path;		/* borrowed, for messages */
	int		 fd;
	struct in	*in;
	struct signs_mark now;		/* behind the block that is read */
	struct signs_mark block;	/* before it */
	struct buf	 bytes, settings;
	int64_t		 key_bytes;
	const char	*p, *end;	/* what is left of the block */
	int64_t		 p_at;		/* p's place in the file */
	int64_t		 taken;		/* signs of the block before p */
	bool		 done;
	struct signs_sums sums;		/* after the end */
};

/* Errors begin with the path.  A pipe or a compressed file is refused. */
int signs_open(struct signs_reader *r, const char *path, struct err *err);

/* The next sign: 1, 0 at the sound end, -1.  It is good until the next call. */
int signs_next(struct signs_reader *r, struct sign *s, struct err *err);

/* Go on behind so many signs of the block at a mark of the same file. */
int signs_seek(struct signs_reader *r, const struct signs_mark *mark, int64_t taken,
    struct err *err);

void signs_close(struct signs_reader *r);

/* What the end of a file says that it has, without reading it. */
int signs_count(const char *path, struct signs_sums *sums, struct err *err);

/* Read the sign at a place that signs_next() gave, from a descriptor, into b. */
int signs_fetch(int fd, const char *path, int64_t at, int64_t key_bytes, struct sign *s,
    struct buf *b, struct err *err);

#endif
