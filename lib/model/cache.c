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

/*
 * What a layer keeps: its keys, values and states, as tensors of (rows, width).
 * The first PAGED have rows in blocks of a pool.
 */
struct part {
	struct tensor	*into;
	const char	*what;
	dtype		 type;
	int64_t		 rows, width;
	int		 pool;
};

enum { PARTS = 4, PAGED = 2, POOLS = 2 };

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

	part[0] = (struct part){ &cache->k[layer], "keys", type, rows, w.heads * w.k, local };
	part[1] = (struct part){ &cache->v[layer], "values", type, rows, w.heads * w.v, local };
	part[2] = (struct part){ &cache->conv[layer], "inputs", wide, cache->sizes.slots,
		scans ? (s->taps - 1) * s->inner : 0 };
	part[3] = (struct part){ &cache->scan[layer], "states", wide, cache->sizes.slots,
		scans ? s->states * s->inner : 0 };
}

/*
 * The parts of a pool whose blocks are of one size share its memory: a block of
 * each, then the next of each, so that a short text is in few pages.
 */
static void
find_strides(struct model_cache *cache, const struct model *m)
{
	struct { int64_t parts, width, rows; bool even; } pool[POOLS] = { { .even = true },
		{ .even = true } };
	struct part part[PARTS];

	for (int64_t i = 0; i < m->config.layers; i++) {
		parts_of(part, cache, m, i);
		for (int j = 0; j < PAGED; j++) {
			const struct part *p = &part[j];

			if (p->width == 0)
				continue;
			if (pool[p->pool].parts++ == 0)
				pool[p->pool].width = p->width;
			pool[p->pool].even &= p->width == pool[p->pool].width;
			pool[p->pool].rows = p->rows;
		}
	}
	for (int i = 0; i < POOLS; i++)
		cache->stride[i] = pool[i].even && pool[i].parts > 0 &&
		    pool[i].rows <= INT32_MAX / pool[i].parts ? pool[i].parts : 1;
}

/* Memory that parts share, and how many have theirs. */
struct shared {
	int64_t	start, n;
};

/* Where a part begins, or -1: too large. */
static int64_t
place(struct model_cache *cache, const struct part *p, int64_t stride, struct shared *s)
{
	int64_t row = dtype_bytes(p->type, p->width), at = cache->bytes, all;

	if (stride > 1 && s->n > 0)
		return s->start + s->n++ * cache->sizes.block_size * row;
	if (__builtin_mul_overflow(p->rows * stride, row, &all) ||
	    __builtin_add_overflow(at, (all + 63) & -64, &cache->bytes))
		return -1;
	if (stride > 1)
		*s = (struct shared){ at, 1 };
	return at;
}

/* The tensors of all layers; false when they are too large. */
static bool
lay_out(struct model_cache *cache, const struct model *m)
{
	struct shared shared[POOLS] = { { 0 } };
	struct part part[PARTS];

	cache->bytes = 0;
	find_strides(cache, m);
	for (int64_t i = 0; i < m->config.layers; i++) {
		parts_of(part, cache, m, i);
		for (int j = 0; j < PARTS; j++) {
			const struct part *p = &part[j];
			int64_t stride = j < PAGED && p->width > 0 ? cache->stride[p->pool] : 1;
			int64_t rows = p->rows * stride - (stride - 1) * cache->sizes.block_size;
			int64_t at = place(cache, p, stride, &shared[p->pool]);

			if (at < 0)
				return false;
			*p->into = layer(p->what, i, p->type, rows, p->width,
			    cache->memory.at != 0 ? dptr_add(cache->memory, at) : cache->memory);
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
