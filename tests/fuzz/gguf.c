/*
 * Fuzz target: the header of a GGUF file, every value and byte it lets through,
 * and the way of a model from keys to config, parameters and their tensors.
 */
#include <stdlib.h>

#include "model/sources_impl.h"
#include "model/gguf_impl.h"
#include "token/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
values(const struct gguf *f)
{
	volatile uint64_t sum = 0;
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
			sum += (uint64_t)i;
		if (gguf_real(v, &x) || gguf_bool(v, &b))
			sum++;
		if (gguf_text(v, &s) && s.n > 0)
			sum += (uint8_t)s.p[s.n - 1];
		for (at = 0; gguf_next_text(v, &at, &s); )
			sum += s.n > 0 ? (uint8_t)s.p[s.n - 1] : 0;
		for (at = 0; gguf_next_int(v, &at, &i); )
			sum += (uint64_t)i & 1;
	}
}

/* A model that is larger than the file would only take time. */
#define PARAMS_MAX 100000

static void
model(struct gguf *f)
{
	struct config *c = calloc(1, sizeof(*c));
	struct sources files = { .gguf = f };
	struct model m = { .dev = NULL };
	struct err err;
	float *y;

	if (c != NULL && gguf_config_read(c, f, &err) == 0 && c->layers <= 64 &&
	    c->router.experts <= 64 && config_params(c) < PARAMS_MAX &&
	    model_declare(&m, c, &err) == 0 && sources_match(&files, &m, &err) == 0)
		for (int i = 0; i < m.n_weights; i++)
			if ((y = malloc((size_t)m.weight[i].n * sizeof(*y))) != NULL) {
				sources_read(&files, &m, i, y, &err);
				free(y);
			}
	free(files.source);
	model_free(&m);
	free(c);
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
	model(f);
	tokenizer_free(gguf_tokenizer(f, &err));
	gguf_close(f);
	return 0;
}
