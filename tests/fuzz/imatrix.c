/* Fuzz target: importance matrices of both forms, and every entry asked for. */
#include <stdlib.h>

#include "model/imatrix.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err err;
	struct imatrix *im = imatrix_load_mem((str){ (const char *)p, (ptrdiff_t)n }, &err);

	for (int i = 0; im != NULL && i < imatrix_count(im); i++) {
		const struct imatrix_entry *e = imatrix_at(im, i);
		int64_t cols = e->n / e->mats;
		float *w = malloc((size_t)cols * sizeof(*w));

		if (imatrix_find(im, e->name) != e)
			__builtin_trap();
		for (int64_t m = 0; w != NULL && m < e->mats; m++)
			imatrix_mean(e, m, e->mats, cols, w);
		free(w);
	}
	imatrix_free(im);
	return 0;
}
