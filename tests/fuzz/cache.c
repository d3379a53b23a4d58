/*
 * Fuzz target: the cache of a sequence; as it is, and with its checksums put
 * right, so that what they guard is reached.  What is loaded goes on.
 */
#include <stdlib.h>

#include "base/stream.h"
#include "../lib/mend.h"
#include "../lib/tiny.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
read_one(struct engine *e, str bytes)
{
	struct err err;
	struct in *in = in_mem(bytes, &err);
	struct seq *s = in == NULL ? NULL : seq_read(e, in, &err);

	if (s != NULL)
		engine_run(e, &s, 1, &err);
	seq_free(s);
	if (in != NULL)
		in_close(in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct tiny t;
	struct err err;
	char *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL || tiny_open(&t, &err) < 0)
		abort();
	read_one(t.e, (str){ (const char *)p, (ptrdiff_t)n });
	memcpy(copy, p, n);
	mend(copy, (int64_t)n, 'K');
	read_one(t.e, (str){ copy, (ptrdiff_t)n });
	free(copy);
	tiny_close(&t);
	return 0;
}
