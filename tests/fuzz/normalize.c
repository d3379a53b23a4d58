/*
 * Any UTF-8 as a text to normalize: what comes is UTF-8, and normal.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "text/normalize.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	str text = { (const char *)p, (ptrdiff_t)n }, one, two;
	struct normalizer z = { .form = UNI_NFC }, y = { .form = UNI_NFC };
	struct err err;

	if (utf8_bad(text) >= 0)
		return 0;
	if (text_normalize(&z, text, &one, &err) < 0 || utf8_bad(one) >= 0 ||
	    text_normalize(&y, one, &two, &err) != 0)
		abort();
	normalizer_free(&z);
	normalizer_free(&y);
	return 0;
}
