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

/* Heads of a layer's keys, and elements of each and of its value; 0: it keeps none. */
struct widths {
	int64_t	heads, k, v;
};

static struct widths
widths_of(const struct model *m, int64_t layer)
{
	const struct config *c = &m->config;

	if (c->mixer[layer] == MIXER_SCAN)
		return (struct widths){ 1, 0, 0 };
	if (c->mixer[layer] != MIXER_LATENT)
		return (struct widths){ c->kv_heads, c->head_dim, c->head_dim };
	if (latent_cached(m, layer))
		return (struct widths){ 1, c->kv_rank + c->rope_dims, 0 };
	return (struct widths){ c->kv_heads, c->head_dim, c->v_dim };
}

/* What a layer keeps: its keys, values and states, as tensors of (rows, width). */
struct part {
	struct tensor	*into;
	const char	*what;
	dtype		 type;
	int64_t		 rows, width;
};

enum { PARTS = 4 };

static void
parts_of(struct part part[PARTS], const struct model_cache *cache, const struct model *m,
    int64_t layer)
{
	const struct config *c = &m->config;
	const struct scan_sizes *s = &c->scan;
	bool scans = c->mixer[layer] == MIXER_SCAN;
	bool local = c->mixer[layer] == MIXER_LOCAL && cache->sizes.local > 0;
	int64_t rows = (local ? cache->sizes.local : cache->sizes.blocks) *
	    cache->sizes.block_size;
	dtype type = cache->sizes.type, wide = params_wide(&m->params);
	struct widths w = widths_of(m, layer);

	part[0] = (struct part){ &cache->k[layer], "keys", type, rows, w.heads * w.k };
	part[1] = (struct part){ &cache->v[layer], "values", type, rows, w.heads * w.v };
	part[2] = (struct part){ &cache->conv[layer], "inputs", wide, cache->sizes.slots,
		scans ? (s->taps - 1) * s->inner : 0 };
	part[3] = (struct part){ &cache->scan[layer], "states", wide, cache->sizes.slots,
		scans ? s->states * s->inner : 0 };
}

/* The tensors of all layers, one behind the other; false when they are too large. */
static bool
lay_out(struct model_cache *cache, const struct model *m)
{
	struct part part[PARTS];
	int64_t one;

	cache->bytes = 0;
	for (int64_t i = 0; i < m->config.layers; i++) {
		parts_of(part, cache, m, i);
		for (int j = 0; j < PARTS; j++) {
			const struct part *p = &part[j];

			*p->into = layer(p->what, i, p->type, p->rows, p->width,
			    cache->memory.at != 0 ? dptr_add(cache->memory, cache->bytes) :
			    cache->memory);
			if (__builtin_mul_overflow(p->rows, dtype_bytes(p->type, p->width), &one) ||
			    __builtin_add_overflow(cache->bytes, (one + 63) & -64, &cache->bytes))
				return false;
		}
	}
	return true;
}

/* Is a head's part of each row whole blocks of the type, and what is value of a latent? */
static int
check_type(const struct model *m, dtype type, struct err *err)
{
	for (int64_t i = 0; i < m->config.layers; i++) {
		struct widths w = widths_of(m, i);
		int64_t v = w.v > 0 || w.k == 0 ? w.v : m->config.kv_rank;

		if (w.k % dtype_block(type) != 0 || v % dtype_block(type) != 0)
			return err_set(err, ERR_ARG, "a cache of %s is for heads of a multiple of "
			    "%d, not of %lld", dtype_name(type), dtype_block(type),
			    (long long)(w.k % dtype_block(type) != 0 ? w.k : v));
	}
	return 0;
}

int
model_cache_init(struct model_cache *cache, const struct model *m, struct dev *dev,
    const struct cache_sizes *sizes, struct err *err)
{
	size_t layers = (size_t)m->config.layers;
	int64_t rows, blocks = sizes->blocks, block_size = sizes->block_size;
	int64_t slots = sizes->slots;

	*cache = (struct model_cache){ .dev = dev, .sizes = *sizes };
	if (sizes->type == DTYPE_NONE)
		cache->sizes.type = m->params.compute ? m->params.compute : DTYPE_F32;
	if (check_type(m, cache->sizes.type, err) < 0)
		return -1;
	cache->k = calloc(PARTS * layers, sizeof(*cache->k));
	if (cache->k == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	cache->v = cache->k + layers;
	cache->conv = cache->v + layers;
	cache->scan = cache->conv + layers;
	if (blocks < 1 || block_size < 1 || slots < 1 ||
	    sizes->local < 0 || sizes->local > blocks ||
	    __builtin_mul_overflow(blocks, block_size, &rows) || rows > INT32_MAX ||
	    slots > INT32_MAX || !lay_out(cache, m)) {
		model_cache_free(cache);
		return err_set(err, ERR_LIMIT, "a cache of %lld blocks of %lld tokens",
		    (long long)blocks, (long long)block_size);
	}
	if (dev == NULL)
		return 0;
	if ((cache->memory = dev_alloc(dev, cache->bytes, err)).at == 0) {
		model_cache_free(cache);
		return -1;
	}
	lay_out(cache, m);
	return 0;
}

void
model_cache_free(struct model_cache *cache)
{
	if (cache->memory.at != 0)
		dev_free(cache->dev, cache->memory);
	free(cache->k);
	*cache = (struct model_cache){ 0 };
}

int64_t
model_cache_local(const struct config *c, int64_t seqs, int64_t pass, int64_t block_size,
    int64_t all)
{
	int64_t each = (c->window + LOCAL_SPARE + block_size - 1) / block_size + 3, n;
	bool any = false;

	for (int64_t i = 0; i < c->layers; i++)
		any |= c->mixer[i] == MIXER_LOCAL;
	n = seqs * each + (pass + block_size - 1) / block_size + 1;
	return any && n < all ? n : 0;
}
