#include "hot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/quant.h"
#include "base/rng.h"
#include "memory.h"

/* ---- buffers ---- */

static dptr
put(struct hot *h, dtype type, int64_t n, int64_t bytes, const void *from, bool out)
{
	struct err err;
	struct hot_buf b = { .at = { 256 }, .type = type, .n = n, .out = out };

	if (h->dev != NULL) {
		b.at = dev_alloc(h->dev, bytes, &err);
		must(b.at.at != 0 && h->n < HOT_BUFS ? h : NULL);
		dev_upload(h->dev, b.at, from, bytes);
		h->buf[h->n++] = b;
	}
	return b.at;
}

/* Random numbers, the same at each making. */
static dptr
numbers(struct hot *h, dtype type, int64_t n, double std, bool out)
{
	float *x;
	void *p;
	dptr at;

	if (h->dev == NULL)
		return put(h, type, n, 0, NULL, out);
	x = must(malloc((size_t)n * sizeof(*x)));
	p = must(malloc((size_t)dtype_bytes(type, n)));
	for (int64_t i = 0; i < n; i++)
		x[i] = (float)(std * rng_normal(3, (uint64_t)h->n, (uint64_t)i));
	if (dtype_block(type) > 1)
		quant_encode(type, p, x, n, NULL);
	else
		dtype_convert(p, type, x, DTYPE_F32, n);
	at = put(h, type, n, dtype_bytes(type, n), p, out);
	free(x);
	free(p);
	return at;
}

static dptr
in(struct hot *h, int64_t n)
{
	return numbers(h, h->type, n, 1, false);
}

static dptr
out(struct hot *h, int64_t n)
{
	return numbers(h, h->type, n, 1, true);
}

static dptr
wide_in(struct hot *h, int64_t n)
{
	return numbers(h, DTYPE_F32, n, 1, false);
}

static dptr
wide_out(struct hot *h, int64_t n)
{
	return numbers(h, DTYPE_F32, n, 1, true);
}

static dptr
ids(struct hot *h, int64_t n, int64_t below)
{
	int32_t *x = must(calloc((size_t)n, sizeof(*x)));
	dptr at;

	for (int64_t i = 0; i < n && h->dev != NULL; i++)
		x[i] = (int32_t)rng_below(4, (uint64_t)h->n, (uint64_t)i, (uint64_t)below);
	at = put(h, DTYPE_NONE, n, n * 4, x, false);
	free(x);
	return at;
}

static dptr
zeros(struct hot *h)
{
	double zero = 0;

	return put(h, DTYPE_F64, 1, sizeof(zero), &zero, true);
}

void
hot_free(struct hot *h)
{
	for (int i = 0; i < h->n; i++)
		dev_free(h->dev, h->buf[i].at);
	h->n = 0;
}

/* ---- elementwise, by index ---- */

#define MAKE(name) static void							\
name(struct hot *h, union dev_args *a, const struct hot_size *z)
#define ROWS { .cap = z->t }

MAKE(add)
{
	a->add = (struct k_add){ out(h, z->t * z->c), in(h, z->t * z->c), in(h, z->t * z->c),
		h->type, ROWS, z->c, false };
}

MAKE(act)
{
	a->act = (struct k_act){ out(h, z->t * z->f), in(h, z->t * z->f), h->type, ACT_GELU_TANH,
		ROWS, z->f };
}

MAKE(act_bwd)
{
	a->act_bwd = (struct k_act_bwd){ out(h, z->t * z->f), in(h, z->t * z->f),
		in(h, z->t * z->f), h->type, ACT_GELU_TANH, ROWS, z->f, false };
}

MAKE(glu)
{
	dptr both = in(h, z->t * 2 * z->f);

	a->glu = (struct k_glu){ out(h, z->t * z->f), both,
		dptr_add(both, z->f * dtype_size(h->type)), h->type, ACT_SILU, ROWS, z->f,
		2 * z->f };
}

MAKE(glu_bwd)
{
	dptr both = in(h, z->t * 2 * z->f), grads = out(h, z->t * 2 * z->f);
	int64_t half = z->f * dtype_size(h->type);

	a->glu_bwd = (struct k_glu_bwd){ grads, dptr_add(grads, half), in(h, z->t * z->f), both,
		dptr_add(both, half), h->type, ACT_SILU, ROWS, z->f, 2 * z->f };
}

MAKE(embed)
{
	a->embed = (struct k_embed){ out(h, z->t * z->c), in(h, z->v * z->c), ids(h, z->t, z->v),
		h->type, ROWS, z->v, z->c, 1 };
}

MAKE(embed_bwd)
{
	a->embed_bwd = (struct k_embed_bwd){ .dw = wide_out(h, z->v * z->c),
		.dy = in(h, z->t * z->c), .id = ids(h, z->t, z->v), .type = h->type, .t = ROWS,
		.v = z->v, .c = z->c, .scale = 1 };
}

MAKE(scatter)
{
	int64_t c = z->kv_heads * z->d;
	int32_t *slot = must(malloc((size_t)z->t * sizeof(*slot)));

	for (int64_t i = 0; i < z->t; i++)
		slot[i] = (int32_t)(z->t - 1 - i);
	a->scatter = (struct k_scatter){ out(h, z->t * c), in(h, z->t * c),
		put(h, DTYPE_NONE, z->t, z->t * 4, slot, false), h->type, ROWS, c, c, z->t,
		DTYPE_NONE, z->kv_heads, 16 };
	free(slot);
}

MAKE(rope)
{
	int64_t n = z->heads * z->d;

	a->rope = (struct k_rope){ .y = out(h, z->t * n), .x = in(h, z->t * n),
		.table = wide_in(h, z->t * z->d), .type = h->type, .t = ROWS, .heads = z->heads,
		.d = z->d, .rot = z->d, .ldx = n, .ldy = n, .positions = z->t };
}

/* ---- norms ---- */

MAKE(rmsnorm)
{
	a->rmsnorm = (struct k_rmsnorm){ out(h, z->t * z->c), in(h, z->t * z->c),
		wide_in(h, z->c), wide_out(h, z->t), h->type, ROWS, z->c, 1e-5, 0 };
}

MAKE(rmsnorm_bwd)
{
	a->rmsnorm_bwd = (struct k_rmsnorm_bwd){ out(h, z->t * z->c), wide_out(h, z->c),
		in(h, z->t * z->c), in(h, z->t * z->c), wide_in(h, z->c), wide_in(h, z->t),
		h->type, ROWS, z->c, 0, false };
}

MAKE(layernorm)
{
	a->layernorm = (struct k_layernorm){ out(h, z->t * z->c), in(h, z->t * z->c),
		wide_in(h, z->c), wide_in(h, z->c), wide_out(h, z->t), wide_out(h, z->t), h->type,
		ROWS, z->c, 1e-5 };
}

MAKE(layernorm_bwd)
{
	a->layernorm_bwd = (struct k_layernorm_bwd){ out(h, z->t * z->c), wide_out(h, z->c),
		wide_out(h, z->c), in(h, z->t * z->c), in(h, z->t * z->c), wide_in(h, z->c),
		wide_in(h, z->t), wide_in(h, z->t), h->type, ROWS, z->c, false };
}

/* ---- products ---- */

static void
linear(struct hot *h, union dev_args *a, const struct hot_size *z, int64_t m, dtype b_type)
{
	a->matmul = (struct k_matmul){ .c = out(h, m * z->f), .a = in(h, m * z->c),
		.b = numbers(h, b_type, z->f * z->c, 1, false), .c_type = h->type,
		.a_type = h->type, .b_type = b_type, .m = { .cap = m }, .k = { .cap = z->c },
		.n = z->f, .lda = z->c, .ldb = z->c, .ldc = z->f, .tb = true, .alpha = 1 };
}

MAKE(matmul) { linear(h, a, z, z->t, h->type); }
MAKE(matmul_row) { linear(h, a, z, 1, h->type); }
MAKE(matmul_q4_0) { linear(h, a, z, z->t, DTYPE_Q4_0); }
MAKE(matmul_q8_0) { linear(h, a, z, z->t, DTYPE_Q8_0); }
MAKE(matmul_q4_k) { linear(h, a, z, z->t, DTYPE_Q4_K); }
MAKE(matmul_q6_k) { linear(h, a, z, z->t, DTYPE_Q6_K); }
MAKE(row_q4_0) { linear(h, a, z, 1, DTYPE_Q4_0); }
MAKE(row_q8_0) { linear(h, a, z, 1, DTYPE_Q8_0); }
MAKE(row_q4_k) { linear(h, a, z, 1, DTYPE_Q4_K); }
MAKE(row_q6_k) { linear(h, a, z, 1, DTYPE_Q6_K); }

MAKE(matmul_dx)
{
	a->matmul = (struct k_matmul){ .c = out(h, z->t * z->c), .a = in(h, z->t * z->f),
		.b = in(h, z->f * z->c), .c_type = h->type, .a_type = h->type, .b_type = h->type,
		.m = ROWS, .k = { .cap = z->f }, .n = z->c, .lda = z->f, .ldb = z->c, .ldc = z->c,
		.alpha = 1 };
}

MAKE(matmul_dw)
{
	a->matmul = (struct k_matmul){ .c = wide_out(h, z->f * z->c), .a = in(h, z->t * z->f),
		.b = in(h, z->t * z->c), .sumsq = zeros(h), .c_type = DTYPE_F32,
		.a_type = h->type, .b_type = h->type, .m = { .cap = z->f }, .k = ROWS, .n = z->c,
		.lda = z->f, .ldb = z->c, .ldc = z->c, .ta = true, .add = true, .alpha = 1 };
}

MAKE(bias_bwd)
{
	a->bias_bwd = (struct k_bias_bwd){ wide_out(h, z->f), in(h, z->t * z->f), h->type, ROWS,
		z->f };
}

/* ---- attention ---- */

/* Two sequences, of five and three eighths of the tokens. */
static void
causal(struct hot *h, struct k_attention *a, const struct hot_size *z, dptr o, dptr lse)
{
	int64_t q = z->heads * z->d, kv = z->kv_heads * z->d;
	int32_t cu[3] = { 0, (int32_t)(z->t / 8 * 5), (int32_t)z->t };

	*a = (struct k_attention){ .o = o, .lse = lse, .q = in(h, z->t * q),
		.k = in(h, z->t * kv), .v = in(h, z->t * kv),
		.cu_seqlens = put(h, DTYPE_NONE, 3, sizeof(cu), cu, false), .type = h->type,
		.kv_type = h->type, .t = ROWS, .seqs = { .cap = 2 }, .heads = z->heads,
		.kv_heads = z->kv_heads, .d_qk = z->d, .d_v = z->d, .ldq = q, .ldk = kv, .ldv = kv,
		.ldo = q, .causal = true, .scale = 1 / sqrt((double)z->d) };
}

MAKE(attention)
{
	dptr o = out(h, z->t * z->heads * z->d);

	causal(h, &a->attention, z, o, wide_out(h, z->t * z->heads));
}

/* Probabilities are those that forward keeps: small next to e^lse. */
MAKE(attention_bwd)
{
	struct k_attention_bwd *b = &a->attention_bwd;
	int64_t q = z->t * z->heads * z->d, kv = z->t * z->kv_heads * z->d;
	dptr o = in(h, q), lse = numbers(h, DTYPE_F32, z->t * z->heads, 0.1, false);

	causal(h, &b->f, z, o, lse);
	b->d_o = in(h, q);
	b->dq = out(h, q);
	b->dk = out(h, kv);
	b->dv = out(h, kv);
	b->delta = wide_out(h, z->t * z->heads);
}

/* A query each of four sequences, whose keys lie in a paged cache. */
MAKE(decode)
{
	enum { SEQS = 4, BLOCK = 16 };
	int64_t q = z->heads * z->d, kv = z->kv_heads * z->d, blocks = z->keys / BLOCK;
	int32_t cu[SEQS + 1], len[SEQS], *table = must(malloc((size_t)(SEQS * blocks) * 4));

	for (int32_t i = 0; i <= SEQS; i++)
		cu[i] = i;
	for (int32_t i = 0; i < SEQS; i++)
		len[i] = (int32_t)z->keys - 37 * i;
	for (int64_t i = 0; i < SEQS * blocks; i++)
		table[i] = (int32_t)(SEQS * blocks - 1 - i);
	a->attention = (struct k_attention){ .o = out(h, SEQS * q),
		.lse = wide_out(h, SEQS * z->heads), .q = in(h, SEQS * q),
		.k = in(h, SEQS * z->keys * kv), .v = in(h, SEQS * z->keys * kv),
		.cu_seqlens = put(h, DTYPE_NONE, SEQS + 1, sizeof(cu), cu, false),
		.key_len = put(h, DTYPE_NONE, SEQS, sizeof(len), len, false),
		.block_table = put(h, DTYPE_NONE, SEQS * blocks, SEQS * blocks * 4, table, false),
		.type = h->type, .kv_type = h->type, .t = { .cap = SEQS }, .seqs = { .cap = SEQS },
		.heads = z->heads, .kv_heads = z->kv_heads, .d_qk = z->d, .d_v = z->d, .ldq = q,
		.ldk = kv, .ldv = kv, .ldo = q, .max_blocks = blocks, .block_size = BLOCK,
		.causal = true, .scale = 1 / sqrt((double)z->d) };
	free(table);
}

/* ---- the head, the end of a step ---- */

static struct k_xent
head(struct hot *h, const struct hot_size *z, dptr logits, dptr lse)
{
	return (struct k_xent){ .logits = logits, .target = ids(h, z->t, z->v), .lse = lse,
		.logp = wide_out(h, z->t), .t = ROWS, .rows = z->t, .v = z->v, .ld = z->v,
		.type = h->type };
}

MAKE(xent)
{
	dptr logits = wide_in(h, z->t * z->v);

	a->xent = head(h, z, logits, wide_out(h, z->t));
}

MAKE(xent_bwd)
{
	dptr logits = wide_in(h, z->t * z->v);

	a->xent_bwd = (struct k_xent_bwd){ .f = head(h, z, logits,
	    numbers(h, DTYPE_F32, z->t, 0.1, false)), .dlogits = out(h, z->t * z->v),
		.dlogp = wide_in(h, z->t), .ld = z->v, .type = h->type };
}

MAKE(sumsq)
{
	a->sumsq = (struct k_sumsq){ zeros(h), in(h, z->f * z->c), h->type, z->f * z->c };
}

static void
update(struct hot *h, union dev_args *a, const struct hot_size *z, dtype moments)
{
	struct dev_step step = { .scale = 0.5, .lr = 1e-2, .step = 3 };
	int64_t n = z->f * z->c, blocks = n / MOMENT_BLOCK;
	dptr p = wide_out(h, n), g = wide_in(h, n);
	dptr at = put(h, DTYPE_NONE, 1, sizeof(step), &step, false);

	a->adamw = (struct k_adamw){ .p = p, .g = g, .step = at,
		.p_out = numbers(h, DTYPE_BF16, n, 1, true), .p_type = DTYPE_BF16,
		.moments = moments, .n = n, .lr_scale = 1, .beta1 = 0.9, .beta2 = 0.95,
		.eps = 1e-8, .decay = 0.1 };
	if (moments == DTYPE_U8) {
		uint8_t *code = must(malloc((size_t)n));

		for (int64_t i = 0; i < n; i++)
			code[i] = (uint8_t)(i % 97 + 1);
		a->adamw.m.at = put(h, DTYPE_NONE, n, n, code, false);
		a->adamw.v.at = put(h, DTYPE_NONE, n, n, code, false);
		a->adamw.m.scale = numbers(h, DTYPE_F32, blocks, 0, true);
		a->adamw.v.scale = numbers(h, DTYPE_F32, blocks, 0, true);
		free(code);
	} else {
		a->adamw.m.at = numbers(h, moments, n, 0.1, true);
		a->adamw.v.at = numbers(h, moments, n, 0, true);
	}
}

MAKE(adamw) { update(h, a, z, DTYPE_F32); }
MAKE(adamw_bf16) { update(h, a, z, DTYPE_BF16); }
MAKE(adamw_u8) { update(h, a, z, DTYPE_U8); }

#define TYPED(name, kernel) { #name, kernel, name, true, 0 }
#define WIDE(name, kernel) { #name, kernel, name, false, 0 }
/* The CPU takes two parts of Q6_K at once, and drops a bit of their sums. */
#define Q6_K(name) { #name, K_MATMUL, name, true, 5e-4 }

const struct hot_case hot_cases[] = {
	TYPED(add, K_ADD), TYPED(act, K_ACT), TYPED(act_bwd, K_ACT_BWD), TYPED(glu, K_GLU),
	TYPED(glu_bwd, K_GLU_BWD), TYPED(embed, K_EMBED), TYPED(embed_bwd, K_EMBED_BWD),
	TYPED(scatter, K_SCATTER), TYPED(rope, K_ROPE), TYPED(rmsnorm, K_RMSNORM),
	TYPED(rmsnorm_bwd, K_RMSNORM_BWD), TYPED(layernorm, K_LAYERNORM),
	TYPED(layernorm_bwd, K_LAYERNORM_BWD), TYPED(matmul, K_MATMUL),
	TYPED(matmul_dx, K_MATMUL), TYPED(matmul_dw, K_MATMUL), TYPED(matmul_row, K_MATMUL),
	TYPED(matmul_q4_0, K_MATMUL), TYPED(matmul_q8_0, K_MATMUL), TYPED(matmul_q4_k, K_MATMUL),
	Q6_K(matmul_q6_k), TYPED(row_q4_0, K_MATMUL), TYPED(row_q8_0, K_MATMUL),
	TYPED(row_q4_k, K_MATMUL), Q6_K(row_q6_k), TYPED(bias_bwd, K_BIAS_BWD),
	TYPED(attention, K_ATTENTION), TYPED(attention_bwd, K_ATTENTION_BWD),
	TYPED(decode, K_ATTENTION), WIDE(xent, K_XENT), TYPED(xent_bwd, K_XENT_BWD),
	TYPED(sumsq, K_SUMSQ), WIDE(adamw, K_ADAMW), WIDE(adamw_bf16, K_ADAMW),
	WIDE(adamw_u8, K_ADAMW),
};
const int hot_case_count = sizeof(hot_cases) / sizeof(hot_cases[0]);
