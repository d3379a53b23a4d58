/*
 * Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434).  Keys and values
 * come from a latent of kv_rank, and a part of keys that turns with positions is
 * all heads'.  These two are what the cache has of a token, and queries meet them
 * as one head's.  Where an adapter changes how heads' keys and values are made of
 * a latent, and where no kernel takes heads as wide, the cache has those.
 */
#include <stdio.h>

#include "model/adapter_impl.h"

#define KV_B "self_attn.kv_b_proj"
#define HEAD_MOST 1024		/* elements, of K_ATTENTION */

/* These norms have an epsilon of their own, whatever the config says. */
#define LATENT_EPS 1e-6

int
latent_check(const struct config *c, struct err *err)
{
	const int64_t size[] = { c->kv_rank, c->rope_dims, c->v_dim, c->head_dim - c->rope_dims };
	static const char *const name[] = { "rank of keys and values", "turning part of a head",
	    "size of values", "other part of a head" };

	for (int i = 0; i < 4; i++)
		if (size[i] < 1 || size[i] > SIZE_LIMIT)
			return err_set(err, ERR_ARG, "%s of %lld: out of range", name[i],
			    (long long)size[i]);
	if (c->q_rank < 0 || c->q_rank > SIZE_LIMIT)
		return err_set(err, ERR_ARG, "rank of queries of %lld: out of range",
		    (long long)c->q_rank);
	if (c->kv_heads != c->heads)
		return err_set(err, ERR_ARG, "keys have as many heads as queries here");
	return 0;
}

void
decl_latent(struct decl *d)
{
	const struct config *c = d->c;
	int64_t q = c->heads * c->head_dim, nope = c->head_dim - c->rope_dims;

	if (c->q_rank > 0) {
		decl_linear(d, "self_attn.q_a_proj", d->std, c->q_rank, c->width, c->qkv_bias);
		decl_norm(d, "self_attn.q_a_layernorm", c->q_rank);
		decl_linear(d, "self_attn.q_b_proj", d->std, q, c->q_rank, false);
	} else {
		decl_linear(d, "self_attn.q_proj", d->std, q, c->width, false);
	}
	decl_linear(d, "self_attn.kv_a_proj_with_mqa", d->std, c->kv_rank + c->rope_dims,
	    c->width, c->qkv_bias);
	decl_norm(d, "self_attn.kv_a_layernorm", c->kv_rank);
	decl_linear(d, KV_B, d->std, c->heads * (nope + c->v_dim), c->kv_rank,
	    false);
	decl_linear(d, d->names->out, d->out_std, c->width, c->heads * c->v_dim, c->out_bias);
}

bool
latent_cached(const struct model *m, int64_t layer)
{
	char name[2 * NN_NAME];
	size_t n;

	model_layer_prefix(&m->config, layer, name);
	n = strlen(name);
	snprintf(name + n, sizeof(name) - n, KV_B ".weight");
	return m->config.kv_rank + m->config.rope_dims <= HEAD_MOST && !is_adapted(m, name);
}

static struct tensor *
latent_norm(struct build *b, struct tensor *x, const char *name)
{
	return op_rmsnorm(b->t, x, weight(b, name, ".weight"), LATENT_EPS, 0);
}

/* Latents and pe through the cache, by queries that take over what makes keys of them. */
static struct tensor *
attend_latents(struct build *b, int64_t layer, struct tensor *q, struct tensor *latent,
    struct tensor *pe)
{
	const struct config *c = b->c;
	struct tensor *w = matrix(b, KV_B), *cache = &b->cache->k[layer], *y;
	int64_t nope = c->head_dim - c->rope_dims, whole = c->kv_rank | c->rope_dims;
	struct op_mask mask = b->mask[0];

	mask.shared = c->kv_rank;
	q = turned(b, op_absorb_query(b->t, q, w, c->heads, nope), whole);
	op_scatter(b->t, cache, turned(b, op_join(b->t, latent, pe), whole), 0, b->io->slot, 1,
	    mask.block_size);
	y = op_attention(b->t, q, cache, NULL, c->heads, 1, &mask);
	return op_absorb_value(b->t, turned(b, y, whole), w, c->heads, nope);
}

/* Keys and values as heads see them. */
static struct tensor *
attend_heads(struct build *b, int64_t layer, struct tensor *q, struct tensor *latent,
    struct tensor *pe)
{
	const struct config *c = b->c;
	struct tensor *k, *v;

	op_latent(b->t, linear(b, latent, KV_B), pe, c->heads, c->head_dim - c->rope_dims, &k,
	    &v);
	return attend(b, layer, q, k, v);
}

struct tensor *
latent_attention(struct build *b, struct tensor *x, int64_t layer)
{
	const struct config *c = b->c;
	struct tape *t = b->t;
	enum rope_order order = c->rope_interleaved ? TURN_PAIRS : TURN_HALVES;
	struct tensor *q, *latent, *part[2];

	if (c->q_rank > 0)
		q = linear(b, latent_norm(b, linear(b, x, "self_attn.q_a_proj"),
		    "self_attn.q_a_layernorm"), "self_attn.q_b_proj");
	else
		q = linear(b, x, "self_attn.q_proj");
	q = op_rope_tail(t, q, b->turn, b->rope[0], c->heads, order);
	op_split(t, linear(b, x, "self_attn.kv_a_proj_with_mqa"), c->kv_rank, part);
	latent = latent_norm(b, part[0], "self_attn.kv_a_layernorm");
	part[1] = op_rope(t, part[1], b->turn, b->rope[0], 1, order);
	q = (b->cache != NULL && latent_cached(b->m, layer) ? attend_latents : attend_heads)(b,
	    layer, q, latent, part[1]);
	return linear(b, q, b->names->out);
}
