/* Fuzz target: a model of fastText, and what it makes of some texts. */
#include <stdlib.h>

#include "text/fasttext.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const str text[] = {
		{ "", 0 }, { "the small kernel", 16 }, { "__label__a </s> \xc3\xa9t\xc3\xa9 x", 24 },
	};
	struct err err;
	struct fasttext *f = fasttext_open_mem((str){ (const char *)p, (ptrdiff_t)n }, &err);
	struct fasttext_state s = { 0 };
	float *out;

	if (f == NULL)
		return 0;
	out = malloc((size_t)fasttext_labels(f) * sizeof(*out));
	for (size_t i = 0; i < sizeof(text) / sizeof(*text) && out != NULL; i++)
		if (fasttext_apply(f, &s, text[i], out, &err) > 0 &&
		    fasttext_label(f, fasttext_labels(f) - 1).n < 0)
			__builtin_trap();
	free(out);
	fasttext_state_free(&s);
	fasttext_close(f);
	return 0;
}
