/*
 * warc_impl - bytes of an archive, for warc*.c alone
 */
#ifndef TEXT_WARC_IMPL_H
#define TEXT_WARC_IMPL_H

#include <zlib.h>

#include "text/warc.h"

#define WARC_BLOCK	65536

/*
 * What is in gzip is inflated a member at a time: a new member begins only when
 * all of the one before was taken, so that a byte's member is known.
 */
struct warc_bytes {
	struct warc_source from;
	bool		 gzip, started, ended;
	bool		 in_member, broken;	/* broken: find another member */
	z_stream	 z;
	int64_t		 raw_at;		/* offset of raw[0] */
	int64_t		 member, taken;		/* where it begins; bytes taken of it */
	ptrdiff_t	 raw_i, raw_n, i, n;
	char		 raw[WARC_BLOCK], block[WARC_BLOCK];
};

/* Make block[i] to block[n] some bytes.  Return 1, 0 at the end, -1. */
int warc_fill(struct warc_bytes *b, struct err *err);

/* The same, where all were taken, to the end of the gzip member and not beyond. */
int warc_fill_member(struct warc_bytes *b, struct err *err);

/* Between members: does the next one begin with a record?  Return 1, 0 or -1. */
int warc_at_record(struct warc_bytes *b, struct err *err);

/* After a failure: go to the next member that begins with a record. */
int warc_find_member(struct warc_bytes *b, struct err *err);

/* Does the text begin with a line that begins a record? */
bool warc_begins(str s);

void warc_bytes_end(struct warc_bytes *b);

#endif
