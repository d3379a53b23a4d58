/*
 * warc_gzip - the bytes of an archive, inflated where they are in gzip
 */
#include "text/warc_impl.h"

#define TRIAL	256		/* inflated bytes that tell whether a member is a record */

static bool
is_magic(const char *p, ptrdiff_t n)
{
	return n >= 4 && memcmp(p, "\37\213\10", 3) == 0 && (uint8_t)p[3] < 32;
}

bool
warc_is(str head)
{
	char text[TRIAL];
	z_stream z = { 0 };
	ptrdiff_t n;
	int ret;

	if (!is_magic(head.p, head.n))
		return warc_begins(head);
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return false;
	z.next_in = (Bytef *)(uintptr_t)head.p;
	z.avail_in = (uInt)head.n;
	z.next_out = (Bytef *)text;
	z.avail_out = sizeof(text);
	ret = inflate(&z, Z_SYNC_FLUSH);
	n = (ptrdiff_t)sizeof(text) - (ptrdiff_t)z.avail_out;
	inflateEnd(&z);
	return (ret == Z_OK || ret == Z_STREAM_END || ret == Z_BUF_ERROR) &&
	    warc_begins((str){ text, n });
}

/* Have more raw bytes behind those at hand.  Return 1, 0 at the end, -1. */
static int
more(struct warc_bytes *b, struct err *err)
{
	ptrdiff_t got;

	if (b->ended)
		return 0;
	if (b->raw_i > 0) {
		memmove(b->raw, b->raw + b->raw_i, (size_t)(b->raw_n - b->raw_i));
		b->raw_at += b->raw_i;
		b->raw_n -= b->raw_i;
		b->raw_i = 0;
	}
	got = b->from.pull(b->from.ctx, b->raw + b->raw_n, WARC_BLOCK - b->raw_n, err);
	if (got <= 0) {
		b->ended = true;
		return (int)got;
	}
	b->raw_n += got;
	return 1;
}

/* Begin the member at hand.  What is no gzip between members is damage. */
static int
begin_member(struct warc_bytes *b, struct err *err)
{
	int got = 1;

	while (b->raw_n - b->raw_i < 4 && (got = more(b, err)) > 0)
		;
	if (got < 0 || b->raw_n == b->raw_i)
		return got < 0 ? -1 : 0;
	b->member = b->raw_at + b->raw_i;
	b->taken = 0;
	b->broken = true;
	if (!is_magic(b->raw + b->raw_i, b->raw_n - b->raw_i))
		return err_set(err, ERR_FORMAT, "no gzip member where one should begin");
	if (inflateReset(&b->z) != Z_OK)
		return err_set(err, ERR_FORMAT, "damaged gzip member");
	b->broken = false;
	b->in_member = true;
	return 1;
}

/* Inflate some bytes of the member at hand; none when it ended. */
static int
inflate_some(struct warc_bytes *b, struct err *err)
{
	int ret, got;

	if (b->raw_i == b->raw_n && (got = more(b, err)) <= 0) {
		b->in_member = false;
		return got < 0 ? -1 : err_set(err, ERR_FORMAT, "truncated gzip member");
	}
	b->z.next_in = (Bytef *)b->raw + b->raw_i;
	b->z.avail_in = (uInt)(b->raw_n - b->raw_i);
	b->z.next_out = (Bytef *)b->block;
	b->z.avail_out = WARC_BLOCK;
	ret = inflate(&b->z, Z_NO_FLUSH);
	b->raw_i = b->raw_n - (ptrdiff_t)b->z.avail_in;
	b->n = WARC_BLOCK - (ptrdiff_t)b->z.avail_out;
	if (ret == Z_STREAM_END) {
		b->in_member = false;
	} else if (ret != Z_OK && ret != Z_BUF_ERROR) {
		b->in_member = false;
		b->broken = true;
		b->n = 0;
		return err_set(err, ret == Z_MEM_ERROR ? ERR_NOMEM : ERR_FORMAT,
		    "damaged gzip member: %s", b->z.msg == NULL ? "no deflate data" : b->z.msg);
	}
	return b->from.grew(b->from.ctx, b->n, err);
}

int
warc_fill(struct warc_bytes *b, struct err *err)
{
	int got;

	if (!b->started) {
		b->started = true;
		if ((got = more(b, err)) <= 0)
			return got;
		b->gzip = is_magic(b->raw, b->raw_n);
		if (b->gzip && inflateInit2(&b->z, 15 + 16) != Z_OK)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	b->taken += b->n;
	b->i = b->n = 0;
	if (!b->gzip) {
		if (b->raw_i == b->raw_n && (got = more(b, err)) <= 0)
			return got;
		b->n = b->raw_n - b->raw_i;
		memcpy(b->block, b->raw + b->raw_i, (size_t)b->n);
		b->raw_i = b->raw_n;
		return 1;
	}
	while (b->n == 0) {
		if (!b->in_member && (got = begin_member(b, err)) <= 0)
			return got;
		if (inflate_some(b, err) < 0)
			return -1;
	}
	return 1;
}

int
warc_fill_member(struct warc_bytes *b, struct err *err)
{
	b->taken += b->n;
	b->i = b->n = 0;
	while (b->in_member && b->n == 0)
		if (inflate_some(b, err) < 0)
			return -1;
	return b->n > 0;
}

int
warc_at_record(struct warc_bytes *b, struct err *err)
{
	int got = 1;

	while (b->raw_n - b->raw_i < 2 * TRIAL && (got = more(b, err)) > 0)
		;
	return got < 0 ? -1 : warc_is((str){ b->raw + b->raw_i, b->raw_n - b->raw_i });
}

int
warc_find_member(struct warc_bytes *b, struct err *err)
{
	const char *p;
	int got;

	/* What was taken for data of a damaged member may hold the next one. */
	b->raw_i = b->member >= b->raw_at && b->member - b->raw_at < b->raw_n ?
	    (ptrdiff_t)(b->member - b->raw_at) + 1 : 0;
	b->i = b->n = 0;
	b->in_member = false;
	for (;;) {
		p = memchr(b->raw + b->raw_i, '\37', (size_t)(b->raw_n - b->raw_i));
		b->raw_i = p == NULL ? b->raw_n : p - b->raw;
		if (b->raw_n - b->raw_i < WARC_BLOCK / 2 && !b->ended) {
			if ((got = more(b, err)) < 0)
				return -1;
			continue;
		}
		if (b->raw_i == b->raw_n) {
			b->broken = false;
			return 0;
		}
		if (is_magic(b->raw + b->raw_i, b->raw_n - b->raw_i) &&
		    warc_is((str){ b->raw + b->raw_i, b->raw_n - b->raw_i })) {
			b->broken = false;
			return 1;
		}
		b->raw_i++;
	}
}

void
warc_bytes_end(struct warc_bytes *b)
{
	if (b->gzip)
		inflateEnd(&b->z);
}
