/*
 * http - the response of a server, as a web archive stores it
 *
 * Archives lie: a body may have been stored decoded beneath the header that
 * says otherwise.  So chunks and compression are undone where they are there,
 * and a body that shows none is taken as it is.
 */
#ifndef TEXT_HTTP_H
#define TEXT_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct http {
	int	status;
	str	type;		/* of the media, without parameters; empty when not told */
	str	charset;
	str	body;
};

/* Take a Content-Type apart; both slices of s, or empty. */
void http_type(str s, str *type, str *charset);

/*
 * Read a response.  The body is a slice of it, or of one of the bufs where it
 * had to be decoded, into at most limit bytes.  Return 0 or -1.
 */
int http_response(str bytes, int64_t limit, struct buf *chunks, struct buf *inflated,
    struct http *h, struct err *err);

#endif
