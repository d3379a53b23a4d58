/*
 * warc - web archives: the records of WARC and ARC files, one after another
 *
 * WARC 0.17 to 1.1 (ISO 28500) and ARC 1 and 2, plain or in gzip, where each
 * record is a member as a rule and need not be.  A stream: memory is two
 * blocks and a record's header, whatever the size of records.
 *
 * Damage is an error of one record.  The next call goes on with the next
 * record that can be found: a header line in what is plain, a member that
 * begins with one in what is compressed.
 */
#ifndef TEXT_WARC_H
#define TEXT_WARC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define WARC_HEADER	65536	/* bytes of a record's header, at most */

enum warc_kind {
	WARC_OTHER,		/* request, metadata, revisit, ... */
	WARC_RESPONSE,		/* of a server: with an HTTP header, where http is set */
	WARC_CONVERSION,	/* of a response to text */
};

/* Slices are good until the next call; those that a record does not have are empty. */
struct warc_record {
	enum warc_kind	kind;
	bool		http;
	int64_t		size;		/* of its block */
	str		id, url, date;	/* date: as RFC 3339 writes it */
	str		type;		/* of the payload, as the archive identified it */
};

/* Where bytes come from; grew() hears how many were inflated, and may fail. */
struct warc_source {
	ptrdiff_t	(*pull)(void *ctx, void *p, ptrdiff_t n, struct err *err);
	int		(*grew)(void *ctx, int64_t n, struct err *err);
	void		*ctx;
};

struct warc;

/* Do these first bytes of a file, plain or in gzip, begin such an archive? */
bool warc_is(str head);

struct warc *warc_open(const struct warc_source *from, struct err *err);

/* Go on to the next record.  Return 1, 0 at the end, -1. */
int warc_next(struct warc *w, struct warc_record *r, struct err *err);

/* Up to n bytes of its block.  Return how many, 0 at its end, -1. */
ptrdiff_t warc_read(struct warc *w, void *p, ptrdiff_t n, struct err *err);

/*
 * Where the record at hand begins: the offset of its first byte or of its
 * gzip member, and *inside of how much comes before it in that member.
 */
int64_t warc_offset(const struct warc *w, int64_t *inside);

void warc_close(struct warc *w);

#endif
