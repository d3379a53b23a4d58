#include "text/http.h"

#include <zlib.h>

void
http_type(str s, str *type, str *charset)
{
	*type = str_trim(str_cut(&s, ';'));
	*charset = (str){ NULL, 0 };
	while (s.p != NULL) {
		str value = str_cut(&s, ';'), name = str_trim(str_cut(&value, '='));

		if (!str_like(name, "charset") || value.p == NULL)
			continue;
		value = str_trim(value);
		while (value.n > 0 && (*value.p == '"' || *value.p == '\'')) {
			value.p++;
			value.n--;
		}
		while (value.n > 0 && (value.p[value.n - 1] == '"' || value.p[value.n - 1] == '\''))
			value.n--;
		*charset = value;
		return;
	}
}

/* The size before a chunk, or -1; *rest goes past its line. */
static int64_t
chunk_size(str *rest)
{
	str line = str_cut(rest, '\n');
	int64_t n = 0;
	int digits = 0;

	while (digits < line.n && digits < 9) {
		char c = line.p[digits];
		int x = c >= '0' && c <= '9' ? c - '0' :
		    (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;

		if (x < 0)
			break;
		n = n * 16 + x;
		digits++;
	}
	if (digits == 0 || digits == 9)
		return -1;
	line = str_trim((str){ line.p + digits, line.n - digits });
	return line.n == 0 || *line.p == ';' ? n : -1;
}

/* What is not in chunks stays; chunks that end early give what there is. */
static void
dechunk(str *body, struct buf *to)
{
	str rest = *body;
	int64_t n;
	bool any = false;

	buf_reset(to);
	while (rest.p != NULL && (n = chunk_size(&rest)) >= 0) {
		any = true;
		if (n == 0 || rest.p == NULL)
			break;
		if (n > rest.n)
			n = rest.n;
		buf_add(to, (str){ rest.p, (ptrdiff_t)n });
		rest = (str){ rest.p + n, rest.n - (ptrdiff_t)n };
		if (rest.n > 0 && *rest.p == '\r')
			rest = (str){ rest.p + 1, rest.n - 1 };
		if (rest.n > 0 && *rest.p == '\n')
			rest = (str){ rest.p + 1, rest.n - 1 };
	}
	if (any)
		*body = buf_str(to);
}

/* Undo gzip or deflate, whichever it is.  Return 0, 1 when it is neither, -1. */
static int
gunzip(str body, int64_t limit, int bits, struct buf *to, struct err *err)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)body.p, .avail_in = (uInt)body.n };
	int ret = Z_OK;

	if (inflateInit2(&z, bits) != Z_OK)
		return err_set(err, ERR_NOMEM, "out of memory");
	buf_reset(to);
	while (ret == Z_OK && to->n <= limit) {
		char *at = buf_room(to, 65536);

		if (at == NULL)
			break;
		z.next_out = (Bytef *)at;
		z.avail_out = 65536;
		ret = inflate(&z, Z_NO_FLUSH);
		to->n += 65536 - (ptrdiff_t)z.avail_out;
	}
	inflateEnd(&z);
	if (buf_ok(to, err) < 0)
		return -1;
	if (to->n > limit)
		return err_set(err, ERR_LIMIT, "longer than %lld bytes (--max-size) when inflated",
		    (long long)limit);
	/* A body that was cut off gives what there is. */
	return ret == Z_STREAM_END || to->n > 0 ? 0 : 1;
}

static int
inflate_body(struct http *h, int64_t limit, struct buf *to, struct err *err)
{
	const int bits[] = { 15 + 32, -15 };	/* gzip or zlib, and what some call deflate */
	int ret = 1;

	for (int i = 0; i < 2 && ret == 1; i++)
		ret = gunzip(h->body, limit, bits[i], to, err);
	if (ret == 0)
		h->body = buf_str(to);
	return ret < 0 ? -1 : 0;
}

static bool
looks_gzip(str s)
{
	return s.n > 2 && memcmp(s.p, "\37\213\10", 3) == 0;
}

int
http_response(str bytes, int64_t limit, struct buf *chunks, struct buf *inflated,
    struct http *h, struct err *err)
{
	str rest = bytes, line = str_cut(&rest, '\n');
	bool chunked = false;
	str coding = { NULL, 0 };

	*h = (struct http){ .status = 200, .body = bytes };
	/* Without a header: HTTP/0.9, or the archiver left it out. */
	if (!str_starts(line, S("HTTP/")))
		return 0;
	str_cut(&line, ' ');
	line = str_trim(line);
	h->status = 0;
	for (int i = 0; i < 3 && i < line.n && line.p[i] >= '0' && line.p[i] <= '9'; i++)
		h->status = h->status * 10 + line.p[i] - '0';
	while (rest.p != NULL && (line = str_trim(str_cut(&rest, '\n'))).n > 0) {
		str name = str_trim(str_cut(&line, ':'));

		line = str_trim(line);
		if (str_like(name, "Content-Type"))
			http_type(line, &h->type, &h->charset);
		else if (str_like(name, "Transfer-Encoding"))
			chunked = line.n >= 7 &&
			    strncasecmp(line.p + line.n - 7, "chunked", 7) == 0;
		else if (str_like(name, "Content-Encoding"))
			coding = line;
	}
	h->body = rest.p == NULL ? S("") : rest;
	if (chunked)
		dechunk(&h->body, chunks);
	if (buf_ok(chunks, err) < 0)
		return -1;
	if (str_like(coding, "gzip") || str_like(coding, "x-gzip"))
		return looks_gzip(h->body) ? inflate_body(h, limit, inflated, err) : 0;
	if (str_like(coding, "deflate"))
		return inflate_body(h, limit, inflated, err);
	/* As it is, it would be taken for odd text. */
	if (str_like(coding, "br") || str_like(coding, "zstd") || str_like(coding, "compress"))
		return err_set(err, ERR_FORMAT, "Content-Encoding %.*s is not read",
		    STR_ARG(coding));
	return 0;
}
