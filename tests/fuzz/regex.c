/*
 * Any bytes as a regular expression.  What is taken is walked along its masks.
 */
#include "../lib/follow.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err err;
	struct grammar *g = grammar_regex((str){ (const char *)p, (ptrdiff_t)n }, &err);

	follow(g, n, 30, NULL);
	grammar_free(g);
	return 0;
}
