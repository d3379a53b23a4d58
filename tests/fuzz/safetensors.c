/* Fuzz target: the header of a safetensors file, and every byte it lets through. */
#include "fmt/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err err;
	struct st_file *f = st_open_mem((str){ (const char *)p, (ptrdiff_t)n }, &err);
	volatile unsigned char sum = 0;

	for (int i = 0; f != NULL && i < st_count(f); i++) {
		const struct st_tensor *t = st_at(f, i);

		if (st_find(f, t->name) != t)
			__builtin_trap();
		for (int64_t k = 0; k < t->bytes; k++)
			sum = (unsigned char)(sum + ((const unsigned char *)t->data)[k]);
	}
	st_close(f);
	return 0;
}
