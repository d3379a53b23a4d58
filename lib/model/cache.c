#include <stdio.h>
#include <stdlib.h>

#include "model/model_impl.h"

static struct tensor
layer(const char *what, int64_t i, dtype type, int64_t rows, int64_t width, dptr data)
{
	struct tensor x = { .type = type, .ndim = 2, .shape = { rows, width }, .data = data };

	snprintf(x.name, sizeof(x.name), "cache of %s %lld", what, (long long)i);
	return x;
}

void
cache_widths(const struct config *c, int64_t layer, int64_t *k, int64_t *v)
{
	(void)layer;
	*k = *v = c->kv_heads * c->head_dim;
}

/* Bytes of all layers, or -1 when they are too many. */
static int64_t
bytes_of(const struct config *c, int64_t rows, dtype type)
{
	int64_t bytes = 0, k, v, one;

	for (int64_t i = 0; i < c->layers; i++) {
		cache_widths(c, i, &k, &v);
		if (__builtin_mul_overflow(rows, (k + v) * dtype_size(type), &one) ||
		    __builtin_add_overflow(bytes, one, &bytes))
			return -1;
	}
	return bytes;
}

/* The tensors of each layer, one behind the other. */
static void
lay_out(struct model_cache *cache, const struct config *c, int64_t rows, dtype type)
{
	dptr at = cache->memory;
	int64_t k, v;

	for (int64_t i = 0; i < c->layers; i++) {
		cache_widths(c, i, &k, &v);
		cache->k[i] = layer("keys", i, type, rows, k, at);
		if (at.at != 0)
			at = dptr_add(at, rows * k * dtype_size(type));
		cache->v[i] = layer("values", i, type, rows, v, at);
		if (at.at != 0)
			at = dptr_add(at, rows * v * dtype_size(type));
	}
}

int
model_cache_init(struct model_cache *cache, const struct model *m, struct dev *dev,
    int64_t blocks, int64_t block_size, struct err *err)
{
	const struct config *c = &m->config;
	dtype type = m->params.compute ? m->params.compute : DTYPE_F32;
	int64_t rows;

	*cache = (struct model_cache){ .dev = dev, .blocks = blocks, .block_size = block_size };
	if (blocks < 1 || block_size < 1 || __builtin_mul_overflow(blocks, block_size, &rows) ||
	    rows > INT32_MAX || (cache->bytes = bytes_of(c, rows, type)) < 0)
		return err_set(err, ERR_LIMIT, "a cache of %lld blocks of %lld tokens",
		    (long long)blocks, (long long)block_size);
	cache->k = calloc((size_t)c->layers, sizeof(*cache->k));
	cache->v = calloc((size_t)c->layers, sizeof(*cache->v));
	if (cache->k == NULL || cache->v == NULL) {
		model_cache_free(cache);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	if (dev != NULL && (cache->memory = dev_alloc(dev, cache->bytes, err)).at == 0) {
		model_cache_free(cache);
		return -1;
	}
	lay_out(cache, c, rows, type);
	return 0;
}

void
model_cache_free(struct model_cache *cache)
{
	if (cache->memory.at != 0)
		dev_free(cache->dev, cache->memory);
	free(cache->k);
	free(cache->v);
	*cache = (struct model_cache){ 0 };
}
