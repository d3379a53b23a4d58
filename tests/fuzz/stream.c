/* Streams: any bytes, read in steps that the first byte chooses. */
#include <stdlib.h>

#include "base/stream.h"

#define OUTPUT_MAX (16 << 20)	/* a small file can decompress to anything */

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static char to[70000];
	ptrdiff_t step = n > 0 ? 1 + p[n - 1] * 257 : 1, got, all = 0;
	struct err err;
	struct in *in = in_mem((str){ (const char *)p, (ptrdiff_t)n }, &err);

	if (in == NULL)
		return 0;
	while ((got = in_read(in, to, step, &err)) > 0 && all < OUTPUT_MAX) {
		all += got;
		if (in_pos(in) > (int64_t)n)
			abort();
	}
	if (got < 0 && (err.code == ERR_NONE || in_read(in, to, step, &err) != -1))
		abort();
	in_close(in);
	return 0;
}
