/*
 * Any bytes as a table of characters, as SentencePiece has it: what loads must
 * map texts without a fault, and be written as it was read.
 */
#include <stdlib.h>

#include "token/charsmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char text[] = "The cat's\t12 \xef\xac\x81 e\xcc\x81 \r\n\xc2\xaa\xcc\x81 "
	    "\xe3\x80\x80\xe6\xbc\xa2\xe5\xad\x97 \xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8 "
	    "\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd A\xe2\x85\xa8\x01\x7f";
	str bytes = { (const char *)p, (ptrdiff_t)n }, to;
	struct buf out = { 0 };
	struct charsmap c;
	struct err err;

	if (charsmap_load(&c, bytes, &err) < 0)
		return 0;
	charsmap_graphemes(&c, S(text), &out, &err);
	for (ptrdiff_t i = 0; i < S(text).n; i++) {
		str s = { text + i, S(text).n - i };

		if (charsmap_longest(&c, s, &to) > s.n)
			__builtin_trap();
	}
	buf_reset(&out);
	charsmap_bytes(&c, &out);
	if (!str_eq(buf_str(&out), bytes))
		__builtin_trap();
	buf_free(&out);
	charsmap_free(&c);
	return 0;
}
