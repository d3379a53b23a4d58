/* Any bytes as a web archive: read to its end, and each block as an HTTP response. */
#include <stdlib.h>

#include "text/http.h"
#include "text/warc.h"

#define OUTPUT_MAX (16 << 20)	/* a small file can inflate to anything */

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct source {
	str	rest;
	int64_t	grown;
};

static ptrdiff_t
pull(void *ctx, void *p, ptrdiff_t n, struct err *err)
{
	struct source *s = ctx;

	(void)err;
	/* Cuts fall anywhere, but for the same input in the same places. */
	if (n > 1 + s->rest.n % 997)
		n = 1 + s->rest.n % 997;
	if (n > s->rest.n)
		n = s->rest.n;
	if (n > 0)
		memcpy(p, s->rest.p, (size_t)n);
	s->rest = (str){ s->rest.p + n, s->rest.n - n };
	return n;
}

static int
grew(void *ctx, int64_t n, struct err *err)
{
	struct source *s = ctx;

	s->grown += n;
	return s->grown > OUTPUT_MAX ? err_set(err, ERR_LIMIT, "too large") : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct source s = { .rest = { (const char *)p, (ptrdiff_t)n } };
	const struct warc_source from = { pull, grew, &s };
	struct buf block = { 0 }, chunks = { 0 }, inflated = { 0 };
	struct warc_record r;
	struct err err = { 0 };
	struct warc *w = warc_open(&from, &err);
	int64_t inside;
	int got, failures = 0;

	if (w == NULL)
		abort();
	while ((got = warc_next(w, &r, &err)) != 0 && s.grown <= OUTPUT_MAX) {
		ptrdiff_t have = 0;
		struct http h;

		if (warc_offset(w, &inside) < 0 || inside < 0)
			abort();
		if (got < 0) {
			/* Each failure takes at least a byte. */
			if (++failures > (int)(n + s.grown))
				abort();
			continue;
		}
		buf_reset(&block);
		do {
			char *at = buf_room(&block, 4096);

			if (at == NULL)
				abort();
			have = warc_read(w, at, 4096, &err);
			block.n += have > 0 ? have : 0;
		} while (have > 0);
		if (block.n > r.size)
			abort();
		if (http_response(buf_str(&block), 1 << 20, &chunks, &inflated, &h, &err) == 0 &&
		    h.body.n > 0 && h.body.p == NULL)
			abort();
	}
	warc_close(w);
	buf_free(&block);
	buf_free(&chunks);
	buf_free(&inflated);
	return 0;
}
