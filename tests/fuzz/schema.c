/*
 * Any bytes as a JSON schema.  What is taken is walked along its masks, and a
 * whole text is JSON.
 */
#include <stdlib.h>

#include "base/json.h"
#include "../lib/follow.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf text = { 0 };
	struct err err;

	for (int i = 0; i < 2; i++) {
		struct grammar *g = grammar_schema((str){ (const char *)p, (ptrdiff_t)n },
		    &(struct schema_options){ .closed = i, .compact = i }, &err);

		buf_reset(&text);
		if (follow(g, n, 40, &text) == 1) {
			json_t *v = json_loadb(text.p, (size_t)text.n,
			    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

			if (v == NULL)
				abort();
			json_decref(v);
		}
		grammar_free(g);
	}
	buf_free(&text);
	return 0;
}
