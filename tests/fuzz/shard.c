/*
 * Fuzz target: a shard from a stream and from a mapping; as it is, and with its
 * checksums put right, so that what they guard is reached.
 */
#include <stdlib.h>

#include "fmt/shard.h"
#include "fmt/shard_impl.h"
#include "../lib/mend.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The mapped path: blocks by their headers, then rows whose bounds are not trusted. */
static void
mapped(str bytes)
{
	struct shard_stream s = { .chunks = { .map = bytes } };
	struct shard_bufs none = { 0 };
	struct shard_block b;
	struct shard_item item;
	struct err err;

	while (shard_block_next(&s, &none, &b, &err) == 1)
		for (int64_t i = 0; s.info.packed && i < b.items && i < 1000; i++) {
			uint32_t *token = malloc((size_t)s.info.row_len * 4);

			if (token != NULL)
				shard_block_row(&s.info, &b, i, token, &item, &err);
			free(token);
		}
	shard_stream_free(&s);
}

static void
read_both(str bytes)
{
	struct err err;
	struct in *in = in_mem(bytes, &err);
	struct shard_reader *r = in == NULL ? NULL : shard_open_in(in, &err);
	struct shard_item item;

	while (r != NULL && shard_next(r, &item, &err) == 1)
		continue;
	shard_close(r);
	mapped(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);

	read_both((str){ (const char *)p, (ptrdiff_t)n });
	if (copy == NULL)
		return 0;
	memcpy(copy, p, n);
	mend(copy, (int64_t)n, SHARD_KIND);
	read_both((str){ copy, (ptrdiff_t)n });
	free(copy);
	return 0;
}
