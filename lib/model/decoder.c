#include "model/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* What the layers of one recording share. */
struct build {
	struct model	*m;
	const struct config *c;
	struct tape	*t;
	struct model_io	*io;
	const struct model_cache *cache;
	struct tensor	*rope;
	struct op_mask	 mask;
	struct err	*err;
};

/* ---- parameters by name ---- */

/* The tensor of a parameter, or NULL: a missing one is the op's failure. */
static struct tensor *
weight(struct build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static struct tensor *
weight(struct build *b, const char *fmt, ...)
{
	char name[NN_NAME];
	struct param *p;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	p = params_find(&b->m->params, name);
	return p != NULL ? &p->t : NULL;
}

#define LLAMA "model.layers.%" PRId64 "."
#define GPT2 "transformer.h.%" PRId64 "."

static struct tensor *
norm(struct build *b, struct tensor *x, struct tensor *w, struct tensor *bias)
{
	return b->c->norm == NORM_RMS ? op_rmsnorm(b->t, x, w, b->c->norm_eps, 0) :
	    op_layernorm(b->t, x, w, bias, b->c->norm_eps);
}

/* ---- rope ---- */

/* Turns a position, of pair i: Llama 3 stretches the slow ones (its config.json). */
static double
rope_frequency(const struct config *c, int64_t i)
{
	double f = pow(c->rope_theta, -2.0 * (double)i / (double)c->head_dim);
	double wave = 2 * M_PI / f, original = (double)c->rope_original, s;

	if (!(c->rope_factor > 0) || wave < original / c->rope_high)
		return f;
	if (wave > original / c->rope_low)
		return f / c->rope_factor;
	s = (original / wave - c->rope_low) / (c->rope_high - c->rope_low);
	return (1 - s) * f / c->rope_factor + s * f;
}

static struct tensor *
rope_table(struct build *b, int64_t positions)
{
	const struct config *c = b->c;
	int64_t half = c->head_dim / 2, shape[2] = { positions, c->head_dim };
	bool wide = tape_wide(b->t) == DTYPE_F64;
	void *table = calloc((size_t)(positions * c->head_dim), wide ? 8 : 4);
	struct tensor *x;

	if (table == NULL) {
		err_set(b->err, ERR_NOMEM, "out of memory for the table of positions");
		return NULL;
	}
	for (int64_t i = 0; i < half; i++) {
		double f = rope_frequency(c, i);

		for (int64_t p = 0; p < positions; p++) {
			int64_t at = p * c->head_dim + i;
			double turn = (double)p * f;

			if (wide) {
				((double *)table)[at] = cos(turn);
				((double *)table)[at + half] = sin(turn);
			} else {
				((float *)table)[at] = (float)cos(turn);
				((float *)table)[at + half] = (float)sin(turn);
			}
		}
	}
	x = tape_const(b->t, "rope", tape_wide(b->t), 2, shape, table);
	free(table);
	return x;
}

/* ---- layers ---- */

static struct tensor *
attend(struct build *b, int64_t layer, struct tensor *q, struct tensor *k, struct tensor *v)
{
	const struct config *c = b->c;
	int64_t kv = c->kv_heads * c->head_dim;

	if (b->cache != NULL) {
		struct tensor *ck = &b->cache->k[layer], *cv = &b->cache->v[layer];

		/* Without k and v, q is all three of a fused projection. */
		op_scatter(b->t, ck, k ? k : q, k ? 0 : c->heads * c->head_dim, b->io->slot);
		op_scatter(b->t, cv, v ? v : q, v ? 0 : c->heads * c->head_dim + kv, b->io->slot);
		k = ck;
		v = cv;
	}
	return op_attention(b->t, q, k, v, c->heads, c->kv_heads, &b->mask);
}

static struct tensor *
llama_layer(struct build *b, struct tensor *h, int64_t i)
{
	const struct config *c = b->c;
	struct tape *t = b->t;
	struct tensor *x, *q, *k, *v, *gate, *up;

	x = norm(b, h, weight(b, LLAMA "input_layernorm.weight", i), NULL);
	q = op_linear(t, x, weight(b, LLAMA "self_attn.q_proj.weight", i),
	    weight(b, LLAMA "self_attn.q_proj.bias", i));
	k = op_linear(t, x, weight(b, LLAMA "self_attn.k_proj.weight", i),
	    weight(b, LLAMA "self_attn.k_proj.bias", i));
	v = op_linear(t, x, weight(b, LLAMA "self_attn.v_proj.weight", i),
	    weight(b, LLAMA "self_attn.v_proj.bias", i));
	q = op_rope(t, q, b->io->pos, b->rope, c->heads, false);
	k = op_rope(t, k, b->io->pos, b->rope, c->kv_heads, false);
	x = op_linear(t, attend(b, i, q, k, v), weight(b, LLAMA "self_attn.o_proj.weight", i),
	    weight(b, LLAMA "self_attn.o_proj.bias", i));
	h = op_add(t, h, x);
	x = norm(b, h, weight(b, LLAMA "post_attention_layernorm.weight", i), NULL);
	gate = op_linear(t, x, weight(b, LLAMA "mlp.gate_proj.weight", i),
	    weight(b, LLAMA "mlp.gate_proj.bias", i));
	up = op_linear(t, x, weight(b, LLAMA "mlp.up_proj.weight", i),
	    weight(b, LLAMA "mlp.up_proj.bias", i));
	x = op_linear(t, op_glu(t, gate, up, c->act), weight(b, LLAMA "mlp.down_proj.weight", i),
	    weight(b, LLAMA "mlp.down_proj.bias", i));
	return op_add(t, h, x);
}

static struct tensor *
gpt2_layer(struct build *b, struct tensor *h, int64_t i)
{
	struct tape *t = b->t;
	struct tensor *x;

	x = norm(b, h, weight(b, GPT2 "ln_1.weight", i), weight(b, GPT2 "ln_1.bias", i));
	x = op_linear(t, x, weight(b, GPT2 "attn.c_attn.weight", i),
	    weight(b, GPT2 "attn.c_attn.bias", i));
	x = op_linear(t, attend(b, i, x, NULL, NULL), weight(b, GPT2 "attn.c_proj.weight", i),
	    weight(b, GPT2 "attn.c_proj.bias", i));
	h = op_add(t, h, x);
	x = norm(b, h, weight(b, GPT2 "ln_2.weight", i), weight(b, GPT2 "ln_2.bias", i));
	x = op_linear(t, x, weight(b, GPT2 "mlp.c_fc.weight", i),
	    weight(b, GPT2 "mlp.c_fc.bias", i));
	x = op_linear(t, op_act(t, x, b->c->act), weight(b, GPT2 "mlp.c_proj.weight", i),
	    weight(b, GPT2 "mlp.c_proj.bias", i));
	return op_add(t, h, x);
}

static struct tensor *
embedding(struct build *b)
{
	return weight(b, b->c->arch == ARCH_LLAMA ? "model.embed_tokens.weight" :
	    "transformer.wte.weight");
}

/* From ids to the final norm. */
static struct tensor *
trunk(struct build *b)
{
	bool llama = b->c->arch == ARCH_LLAMA;
	struct tape *t = b->t;
	struct tensor *h;
	char name[32];

	tape_block(t, "embed");
	h = op_embed(t, embedding(b), b->io->token, 1);
	if (b->c->pos == POS_LEARNED)
		h = op_add(t, h, op_embed(t, weight(b, "transformer.wpe.weight"), b->io->pos, 1));
	for (int64_t i = 0; i < b->c->layers; i++) {
		snprintf(name, sizeof(name), "layer %" PRId64, i);
		tape_block(t, name);
		h = llama ? llama_layer(b, h, i) : gpt2_layer(b, h, i);
	}
	tape_block(t, "head");
	return llama ? norm(b, h, weight(b, "model.norm.weight"), NULL) :
	    norm(b, h, weight(b, "transformer.ln_f.weight"), weight(b, "transformer.ln_f.bias"));
}

static struct tensor *
head_weight(struct build *b)
{
	return b->c->tied ? embedding(b) : weight(b, "lm_head.weight");
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

/* What scoring and generation have in common. */
static int
begin(struct build *b, int64_t positions)
{
	struct model_io *io = b->io;

	*io = (struct model_io){ .token = token_input(b, "token", DTYPE_I32),
	    .pos = token_input(b, "pos", DTYPE_I32),
	    .cu_seqlens = seq_input(b, "cu_seqlens", 1) };
	b->mask = (struct op_mask){ .cu_seqlens = io->cu_seqlens, .causal = true,
	    .scale = 1 / sqrt((double)b->c->head_dim) };
	if (b->c->pos == POS_ROPE && (b->rope = rope_table(b, positions)) == NULL)
		return -1;
	return 0;
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

int
model_record_score(struct model *m, struct tape *t, struct model_io *io, unsigned head_flags,
    struct err *err)
{
	struct build b = { .m = m, .c = &m->config, .t = t, .io = io, .err = err };
	int64_t positions = tape_tokens(t) < b.c->context ? tape_tokens(t) : b.c->context;
	struct tensor *h, *minus;

	if (begin(&b, positions) < 0 || (minus = minus_one(&b)) == NULL)
		return -1;
	io->target = token_input(&b, "target", DTYPE_I32);
	if (tape_backward_on(t) && !(head_flags & MODEL_NO_DLOGP))
		io->dlogp = token_input(&b, "dlogp", tape_wide(t));
	h = trunk(&b);
	io->head = op_head(t, h, head_weight(&b), io->target, io->dlogp, 0,
	    head_flags & (HEAD_LSE | HEAD_ENTROPY));
	io->loss = op_dot(t, io->head.logp, minus);
	return 0;
}

/* Logits of the rows that are wanted, of all that went through the trunk. */
static void
wanted_logits(struct build *b, int64_t max_rows)
{
	struct model_io *io = b->io;

	io->row = tape_input(b->t, "row", DTYPE_I32, ROWS_WANTED, 1, &max_rows);
	io->logits = op_logits(b->t, op_gather(b->t, trunk(b), io->row), head_weight(b));
	tape_output(b->t, io->logits);
}

int
model_record_logits(struct model *m, struct tape *t, int64_t max_rows, struct model_io *io,
    struct err *err)
{
	struct build b = { .m = m, .c = &m->config, .t = t, .io = io, .err = err };

	if (begin(&b, b.c->context) < 0)
		return -1;
	wanted_logits(&b, max_rows);
	return 0;
}

int
model_record_generate(struct model *m, struct tape *t, const struct model_cache *cache,
    int64_t max_blocks, int64_t max_rows, struct model_io *io, struct err *err)
{
	struct build b = { .m = m, .c = &m->config, .t = t, .io = io, .cache = cache, .err = err };

	if (begin(&b, b.c->context) < 0)
		return -1;
	io->slot = token_input(&b, "slot", DTYPE_I32);
	io->key_len = seq_input(&b, "key_len", 0);
	io->block_table = tape_input(t, "block_table", DTYPE_I32, ROWS_FIXED, 2,
	    (int64_t[]){ tape_seqs(t), max_blocks });
	b.mask.key_len = io->key_len;
	b.mask.block_table = io->block_table;
	b.mask.block_size = cache->block_size;
	wanted_logits(&b, max_rows);
	return 0;
}
