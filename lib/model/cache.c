#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>

static struct tensor
layer(const char *what, int64_t i, dtype type, int64_t rows, int64_t width, dptr data)
{
	struct tensor x = { .type = type, .ndim = 2, .shape = { rows, width }, .data = data };

	snprintf(x.name, sizeof(x.name), "cache of %s %lld", what, (long long)i);
	return x;
}

int
model_cache_init(struct model_cache *cache, const struct model *m, struct dev *dev,
    int64_t blocks, int64_t block_size, struct err *err)
{
	const struct config *c = &m->config;
	dtype type = m->params.compute ? m->params.compute : DTYPE_F32;
	int64_t width = c->kv_heads * c->head_dim, rows, one;

	*cache = (struct model_cache){ .dev = dev, .blocks = blocks, .block_size = block_size };
	if (blocks < 1 || block_size < 1 || __builtin_mul_overflow(blocks, block_size, &rows) ||
	    rows > INT32_MAX || __builtin_mul_overflow(rows, width * dtype_size(type), &one) ||
	    __builtin_mul_overflow(one, 2 * c->layers, &cache->bytes))
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
	for (int64_t i = 0; i < c->layers; i++) {
		dptr at = dev != NULL ? dptr_add(cache->memory, 2 * i * one) : (dptr){ 0 };

		cache->k[i] = layer("keys", i, type, rows, width, at);
		cache->v[i] = layer("values", i, type, rows, width,
		    dev != NULL ? dptr_add(at, one) : at);
	}
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
