/* Put the checksums of one container right, as far as its chunks go: for fuzz targets. */
#ifndef TESTS_MEND_H
#define TESTS_MEND_H

#include "base/hash.h"

static void
mend(char *p, int64_t n, char kind)
{
	uint64_t chain, h;
	int64_t at, length;

	if (n < 64)
		return;
	memcpy(p, "\x8cllm?\r\n\x1a", 8);
	p[4] = kind;
	h = hash64((str){ p, 56 });
	memcpy(p + 56, &h, 8);
	chain = hash64((str){ p, 64 });
	for (at = 64; at + 64 <= n; at += 64 + length + (-length & 63)) {
		char *c = p + at;

		memcpy(&length, c + 8, 8);
		if (length < 0 || length > n - at - 64)
			length = 0;
		if (memcmp(c, "end ", 4) == 0) {
			memcpy(c + 24, &at, 8);
			memcpy(c + 32, &chain, 8);
		}
		memcpy(c + 8, &length, 8);
		h = hash64((str){ c + 64, length });
		memcpy(c + 16, &h, 8);
		h = hash64((str){ c, 56 });
		memcpy(c + 56, &h, 8);
		chain = hash64_seed((str){ c, 64 }, chain);
		if (length + (-length & 63) <= n - at - 64)
			memset(c + 64 + length, 0, (size_t)(-length & 63));
	}
}

#endif
