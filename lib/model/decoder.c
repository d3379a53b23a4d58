/* One layer for all families, from the config's numbers and the family's names. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/adapter_impl.h"
#include "model/inputs.h"
#include "model/quantize_impl.h"

/* ---- parameters by name ---- */

struct tensor *
weight(struct build *b, const char *name, const char *suffix)
{
	char full[2 * NN_NAME];
	struct param *p;

	snprintf(full, sizeof(full), "%s%s%s", b->prefix, name, suffix);
	p = params_find(&b->m->params, full);
	return p != NULL ? &p->t : NULL;
}

/* As it will be when it is quantized; rows that are no blocks of any type stay. */
static struct tensor *
fake_quant(struct build *b, struct tensor *w)
{
	dtype type = mix_fitting(b->m->fake_quant, w->shape[1]);

	return dtype_block(type) > 1 ? op_fake_quant(b->t, w, type) : w;
}

struct tensor *
matrix(struct build *b, const char *name)
{
	struct tensor *w = weight(b, name, ".weight");

	return b->m->fake_quant != DTYPE_NONE && w != NULL ? fake_quant(b, w) : w;
}

struct tensor *
linear(struct build *b, struct tensor *x, const char *name)
{
	struct tensor *w = matrix(b, name), *bias = weight(b, name, ".bias");

	if (b->m->inputs != NULL)
		inputs_note(b->m->inputs, b->t, x, weight(b, name, ".weight"), NULL);
	if (b->m->adapter != NULL)
		return adapter_linear(b->m->adapter, b->t, &b->m->params, x, w, bias);
	if (b->io->first != NULL)
		return adapters_linear(b->m->adapters, b->t, &b->m->params, x, w, bias,
		    b->io->first);
	return op_linear(b->t, x, w, bias);
}

static struct tensor *
rmsnorm(struct build *b, struct tensor *x, const char *name)
{
	return op_rmsnorm(b->t, x, weight(b, name, ".weight"), b->c->norm_eps, b->c->norm_plus);
}

struct tensor *
norm(struct build *b, struct tensor *x, const char *name)
{
	if (name == NULL)
		return x;
	return b->c->norm == NORM_RMS ? rmsnorm(b, x, name) : op_layernorm(b->t, x,
	    weight(b, name, ".weight"), weight(b, name, ".bias"), b->c->norm_eps);
}

/* ---- layers ---- */

struct tensor *
turned(struct build *b, struct tensor *x, int64_t d)
{
	int64_t n = d & -d;

	if (b->cache->sizes.plain || dtype_block(b->cache->sizes.type) == 1)
		return x;
	return op_hadamard(b->t, x, n < HADAMARD_MAX ? n : HADAMARD_MAX);
}

/* Through the cache: queries meet keys, turned alike, and values are turned back at the end. */
static struct tensor *
attend_cached(struct build *b, int64_t layer, struct tensor *q, struct tensor *k,
    struct tensor *v, const struct op_mask *mask)
{
	const struct config *c = b->c;
	struct tensor *ck = &b->cache->k[layer], *cv = &b->cache->v[layer];
	bool local = mask == &b->mask[1] && b->io->local_slot != NULL;
	struct tensor *slot = local ? b->io->local_slot : b->io->slot;
	int64_t at = c->heads * c->head_dim, d_v = cv->shape[1] / c->kv_heads;
	bool fused = k == NULL;

	q = turned(b, q, c->head_dim);
	k = fused ? q : turned(b, k, c->head_dim);
	v = fused ? q : turned(b, v, d_v);
	op_scatter(b->t, ck, k, fused ? at : 0, slot, c->kv_heads, mask->block_size);
	op_scatter(b->t, cv, v, fused ? at + ck->shape[1] : 0, slot, c->kv_heads,
	    mask->block_size);
	return turned(b, op_attention(b->t, q, ck, cv, c->heads, c->kv_heads, mask), d_v);
}

struct tensor *
attend(struct build *b, int64_t layer, struct tensor *q, struct tensor *k, struct tensor *v)
{
	const struct config *c = b->c;
	const struct op_mask *mask = &b->mask[c->mixer[layer] == MIXER_LOCAL];

	if (b->cache != NULL)
		return attend_cached(b, layer, q, k, v, mask);
	return op_attention(b->t, q, k, v, c->heads, c->kv_heads, mask);
}

static struct tensor *
attention(struct build *b, struct tensor *x, int64_t layer)
{
	const struct config *c = b->c;
	const struct arch_names *n = b->names;
	struct tensor *rope = b->rope[c->mixer[layer] == MIXER_LOCAL], *q, *k, *v, *part[2];

	if (n->qkv != NULL) {
		q = linear(b, x, n->qkv);
		if (c->pos == POS_LEARNED)
			return linear(b, attend(b, layer, q, NULL, NULL), n->out);
		op_split(b->t, q, c->heads * c->head_dim, part);
		q = part[0];
		op_split(b->t, part[1], c->kv_heads * c->head_dim, part);
		k = part[0];
		v = part[1];
	} else {
		q = linear(b, x, n->q);
		k = linear(b, x, n->k);
		v = linear(b, x, n->v);
	}
	if (c->qk_norm != QK_NORM_NONE) {
		q = rmsnorm(b, q, n->q_norm);
		k = rmsnorm(b, k, n->k_norm);
	}
	if (c->pos == POS_ROPE) {
		/* Then heads are as those of other files, to the last bit. */
		enum rope_order order = c->rope_interleaved ? TURN_TO_HALVES : TURN_HALVES;

		q = op_rope(b->t, q, b->turn, rope, c->heads, order);
		k = op_rope(b->t, k, b->turn, rope, c->kv_heads, order);
	}
	return linear(b, attend(b, layer, q, k, v), n->out);
}

static struct tensor *
mlp(struct build *b, struct tensor *x)
{
	const struct arch_names *n = b->names;

	if (n->gate_up != NULL)
		x = op_glu(b->t, linear(b, x, n->gate_up), NULL, b->c->act);
	else if (b->c->gated)
		x = op_glu(b->t, linear(b, x, n->gate), linear(b, x, n->up), b->c->act);
	else
		x = op_act(b->t, linear(b, x, n->up), b->c->act);
	return linear(b, x, n->down);
}

static struct tensor *
drop(struct build *b, struct tensor *x)
{
	return b->io->step == NULL ? x : op_dropout(b->t, x, b->io->step, b->m->dropout,
	    b->m->seed, b->drops++);
}

/* h + x, where the norm of that name is of x, or of the sum in encoders. */
static struct tensor *
sum(struct build *b, struct tensor *h, struct tensor *x, const char *name)
{
	if (b->c->encoder)
		return norm(b, op_add(b->t, h, drop(b, x)), name);
	return op_add(b->t, h, drop(b, norm(b, x, name)));
}

struct tensor *
decoder_layer(struct build *b, struct tensor *h, int64_t i)
{
	const struct arch_names *n = b->names;
	struct tensor *x;

	x = norm(b, h, n->pre_mixer);
	if (b->c->mixer[i] == MIXER_SCAN)
		x = scan_mixer(b, x, i);
	else
		x = b->c->mixer[i] == MIXER_LATENT ? latent_attention(b, x, i) :
		    attention(b, x, i);
	h = sum(b, h, x, n->post_mixer);
	if (b->c->mlp[i] == MLP_NONE)
		return h;
	x = norm(b, h, n->pre_mlp);
	x = b->c->mlp[i] == MLP_EXPERTS ? experts(b, x) : mlp(b, x);
	return sum(b, h, x, n->post_mlp);
}

/* What transformers multiplies embeddings by: in the type of weights. */
static double
embed_scale(const struct build *b)
{
	double s = sqrt((double)b->c->width);

	if (!b->c->embed_scaled)
		return 1;
	return b->m->params.compute == DTYPE_BF16 ? (double)bf16_to_f32(f32_to_bf16((float)s)) : s;
}

/* From ids to the final norm. */
static struct tensor *
trunk(struct build *b)
{
	struct tape *t = b->t;
	struct tensor *h;
	char name[32];

	tape_block(t, "embed");
	h = op_embed(t, weight(b, b->names->embed, ".weight"), b->io->token, embed_scale(b));
	if (b->names->positions != NULL)
		h = op_add(t, h, op_embed(t, weight(b, b->names->positions, ".weight"),
		    b->io->pos, 1));
	if (b->io->segment != NULL)
		h = op_add(t, h, op_embed(t, weight(b, b->names->segments, ".weight"),
		    b->io->segment, 1));
	h = drop(b, norm(b, h, b->names->embed_norm));
	for (int64_t i = 0; i < b->layers; i++) {
		snprintf(name, sizeof(name), "layer %" PRId64, i);
		tape_block(t, name);
		snprintf(b->prefix, sizeof(b->prefix), b->names->layer, (long long)i);
		h = decoder_layer(b, h, i);
		b->prefix[0] = '\0';
	}
	tape_block(t, "head");
	return norm(b, h, b->names->final_norm);
}

struct tensor *
head_weight(struct build *b)
{
	return weight(b, b->c->tied ? b->names->embed : "lm_head", ".weight");
}

/* ---- recording ---- */

static struct tensor *
token_input(struct build *b, const char *name, dtype type)
{
	return tape_input(b->t, name, type, ROWS_TOKENS, 1, (int64_t[]){ tape_tokens(b->t) });
}

static struct tensor *
seq_input(struct build *b, const char *name, int64_t more)
{
	return tape_input(b->t, name, DTYPE_I32, ROWS_FIXED, 1,
	    (int64_t[]){ tape_seqs(b->t) + more });
}

/*
 * Tables of positions: of generation, which may go on without end, one row for
 * each token of a pass.
 */
static int
begin_rope(struct build *b, int64_t positions)
{
	const struct config *c = b->c;
	struct model_io *io = b->io;

	for (int local = 0; local < 2; local++) {
		if (local && c->rope_local_theta == 0)
			b->rope[1] = b->rope[0];
		else if (b->cache == NULL)
			b->rope[local] = rope_table(b->t, c, local, positions, b->err);
		else
			b->rope[local] = io->rope[local] = tape_input(b->t, local ? "local rope" :
			    "rope", tape_wide(b->t), ROWS_TOKENS, 2,
			    (int64_t[]){ tape_tokens(b->t), rope_dims(c) });
		if (b->rope[local] == NULL)
			return -1;
	}
	b->turn = b->cache == NULL ? io->pos : NULL;
	return 0;
}

/* What scoring and generation have in common. */
static int
begin(struct build *b, int64_t positions)
{
	const struct config *c = b->c;
	struct model_io *io = b->io;

	b->names = arch_family(c->arch)->names;
	if (b->layers == 0)
		b->layers = c->layers;
	*io = (struct model_io){ .config = c, .token = token_input(b, "token", DTYPE_I32),
	    .pos = token_input(b, "pos", DTYPE_I32),
	    .cu_seqlens = seq_input(b, "cu_seqlens", 1) };
	if (b->names->segments != NULL)
		io->segment = token_input(b, "segment", DTYPE_I32);
	b->mask[0] = (struct op_mask){ .cu_seqlens = io->cu_seqlens, .causal = !c->encoder,
	    .scale = 1 / sqrt(c->attn_scalar > 0 ? c->attn_scalar : (double)c->head_dim),
	    .softcap = c->attn_softcap };
	b->mask[1] = b->mask[0];
	b->mask[1].window = c->window;
	return c->pos == POS_ROPE ? begin_rope(b, positions) : 0;
}

/* A vector of -1, so that the loss is a product of sums. */
static struct tensor *
minus_one(struct build *b)
{
	int64_t n = tape_tokens(b->t);
	bool wide = tape_wide(b->t) == DTYPE_F64;
	void *v = malloc((size_t)n * (wide ? 8 : 4));
	struct tensor *x;

	if (v == NULL) {
		err_set(b->err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	for (int64_t i = 0; i < n; i++) {
		if (wide)
			((double *)v)[i] = -1;
		else
			((float *)v)[i] = -1;
	}
	x = tape_const(b->t, "minus one", tape_wide(b->t), 1, &n, v);
	free(v);
	return x;
}

/* An encoder says nothing about the next token. */
static int
decodes(const struct config *c, struct err *err)
{
	return !c->encoder ? 0 : err_set(err, ERR_ARG, "%s is an encoder: it has no next token, "
	    "only embeddings", arch_name(c->arch));
}

int
model_record_score(struct model *m, struct tape *t, struct model_io *io, unsigned head_flags,
    struct err *err)
{
	struct build b = { .m = m, .c = &m->config, .t = t, .io = io, .err = err };
	int64_t positions = tape_tokens(t) < b.c->context ? tape_tokens(t) : b.c->context;
	struct tensor *h, *minus;
	int64_t routers;

	if (decodes(b.c, err) < 0 || begin(&b, positions) < 0 || (minus = minus_one(&b)) == NULL)
		return -1;
	io->target = token_input(&b, "target", DTYPE_I32);
	if (tape_backward_on(t) && !(head_flags & MODEL_NO_DLOGP))
		io->dlogp = token_input(&b, "dlogp", tape_wide(t));
	if (io->dlogp != NULL && (head_flags & MODEL_AHEAD))
		begin_ahead(&b);
	if (m->dropout > 0 && tape_backward_on(t)) {
		if (b.c->arch != ARCH_GPT2)
			return err_set(err, ERR_ARG, "%s has no dropout", arch_name(b.c->arch));
		io->step = tape_input(t, "step", DTYPE_I64, ROWS_FIXED, 1, (int64_t[]){ 1 });
	}
	routers = config_expert_layers(b.c, b.c->layers + io->n_ahead);
	if (tape_backward_on(t) && routers > 0)
		op_balance_begin(t, &io->balance, routers, b.c->router.experts, b.c->router_aux,
		    b.c->router_z);
	h = trunk(&b);
	if (m->adapter != NULL && adapter_recorded(m->adapter, err) < 0)
		return -1;
	io->head = op_head(t, h, head_weight(&b), io->target, io->dlogp, b.c->final_softcap,
	    m->z_loss, head_flags & (HEAD_LSE | HEAD_ENTROPY));
	io->loss = op_dot(t, io->head.logp, minus);
	record_ahead(&b, h, minus);
	if (io->balance.layers > 0)
		op_balance_end(t, &io->balance, h);
	return 0;
}

/* Logits of the rows that are wanted, of all that went through the trunk. */
static void
wanted_logits(struct build *b, int64_t max_rows)
{
	struct model_io *io = b->io;

	io->row = tape_input(b->t, "row", DTYPE_I32, ROWS_WANTED, 1, &max_rows);
	io->logits = op_logits(b->t, op_gather(b->t, trunk(b), io->row), head_weight(b));
	if (b->c->final_softcap > 0)
		io->logits = op_softcap(b->t, io->logits, b->c->final_softcap);
	tape_output(b->t, io->logits);
}

int
model_record_logits(struct model *m, struct tape *t, int64_t max_rows, struct model_io *io,
    struct err *err)
{
	struct build b = { .m = m, .c = &m->config, .t = t, .io = io, .err = err };

	if (decodes(b.c, err) < 0 || begin(&b, b.c->context) < 0)
		return -1;
	wanted_logits(&b, max_rows);
	return 0;
}

static int
record_generate(struct build *b, int64_t max_blocks, int64_t max_rows)
{
	struct model_io *io = b->io;

	if (decodes(b->c, b->err) < 0 || begin(b, b->c->context) < 0)
		return -1;
	io->slot = token_input(b, "slot", DTYPE_I32);
	io->key_len = seq_input(b, "key_len", 0);
	io->state_slot = seq_input(b, "state_slot", 0);
	if (b->m->adapters != NULL)
		io->first = tape_input(b->t, "first", DTYPE_I32, ROWS_FIXED, 1,
		    (int64_t[]){ adapters_count(b->m->adapters) + 1 });
	io->block_table = tape_input(b->t, "block_table", DTYPE_I32, ROWS_FIXED, 2,
	    (int64_t[]){ tape_seqs(b->t), max_blocks });
	if (b->cache->sizes.local > 0) {
		io->local_slot = token_input(b, "local slot", DTYPE_I32);
		io->local_table = tape_input(b->t, "local block_table", DTYPE_I32, ROWS_FIXED, 2,
		    (int64_t[]){ tape_seqs(b->t), max_blocks });
	}
	for (int i = 0; i < 2; i++) {
		b->mask[i].key_len = io->key_len;
		b->mask[i].block_table = i == 1 && io->local_table != NULL ? io->local_table :
		    io->block_table;
		b->mask[i].block_size = b->cache->sizes.block_size;
	}
	wanted_logits(b, max_rows);
	return 0;
}

int
model_record_hidden(struct model *m, struct tape *t, struct model_io *io, struct err *err)
{
	struct build b = { .m = m, .c = &m->config, .t = t, .io = io, .err = err };

	if (begin(&b, b.c->context) < 0)
		return -1;
	io->hidden = trunk(&b);
	tape_output(t, io->hidden);
	return 0;
}

int
model_record_generate(struct model *m, struct tape *t, const struct model_cache *cache,
    int64_t max_blocks, int64_t max_rows, struct model_io *io, struct err *err)
{
	struct build b = { .m = m, .c = &m->config, .t = t, .io = io, .cache = cache, .err = err };

	if (record_generate(&b, max_blocks, max_rows) < 0)
		return -1;
	return m->adapters != NULL ? adapters_recorded(m->adapters, &m->params, err) : 0;
}

int
model_record_early(struct model *m, struct tape *t, const struct model_cache *cache,
    int64_t layers, int64_t max_blocks, int64_t max_rows, struct model_io *io, struct err *err)
{
	struct build b = { .m = m, .c = &m->config, .t = t, .io = io, .cache = cache,
	    .layers = layers, .err = err };

	return record_generate(&b, max_blocks, max_rows);
}
