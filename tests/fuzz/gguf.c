/* Fuzz target: the header of a GGUF file, and every value and byte it lets through. */
#include <stdlib.h>

#include "model/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
values(const struct gguf *f)
{
	volatile int64_t sum = 0;
	ptrdiff_t at;
	int64_t i;
	double x;
	bool b;
	str s;

	for (int k = 0; k < gguf_keys(f); k++) {
		const struct gguf_value *v = gguf_key(f, k);

		if (gguf_find_key(f, v->key) != v)
			__builtin_trap();
		if (gguf_int(v, &i))
			sum += i;
		if (gguf_real(v, &x) || gguf_bool(v, &b))
			sum++;
		if (gguf_text(v, &s) && s.n > 0)
			sum += s.p[s.n - 1];
		for (at = 0; gguf_next_text(v, &at, &s); )
			sum += s.n > 0 ? s.p[s.n - 1] : 0;
		for (at = 0; gguf_next_int(v, &at, &i); )
			sum += i & 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err err;
	struct gguf *f = gguf_open_mem((str){ (const char *)p, (ptrdiff_t)n }, &err);

	if (f == NULL)
		return 0;
	values(f);
	for (int i = 0; i < gguf_count(f); i++) {
		const struct gguf_tensor *t = gguf_at(f, i);
		float *y = malloc((size_t)t->n * sizeof(*y) + 1);

		if (gguf_find(f, t->name) != t)
			__builtin_trap();
		if (y != NULL)
			gguf_decode(t, y, &err);
		free(y);
	}
	json_decref(convert_gguf_config(f, DTYPE_F32, &err));
	gguf_close(f);
	return 0;
}
