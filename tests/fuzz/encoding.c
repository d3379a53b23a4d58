/* Any bytes to UTF-8: what is said to be text is valid, and of bounded size. */
#include <stdlib.h>

#include "base/json.h"
#include "text/encoding.h"
#include "text/kind.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	str in = { (const char *)p, (ptrdiff_t)n }, s;
	struct buf b = { 0 };
	struct err err;

	for (int markup = 0; markup < 2; markup++) {
		int got = encoding_to_utf8(in, S(""), markup, &b, &s, &err);

		if (got < 0 || (got == 1 && (utf8_bad(s) >= 0 || s.n > 4 * in.n + 16)))
			abort();
	}
	kind_of(S("x.1"), in, S("text"));
	kind_of(S("x.jsonl"), in, S("text"));
	buf_free(&b);
	return 0;
}
