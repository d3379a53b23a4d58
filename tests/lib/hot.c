#include "hot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/quant.h"
#include "base/quant_block.h"
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
#define BLOCKS(type, name, ...)							\
MAKE(matmul_##name) { linear(h, a, z, z->t, DTYPE_##type); }			\
MAKE(row_##name) { linear(h, a, z, 1, DTYPE_##type); }
QUANT_BLOCKS(BLOCKS)

static void
linear_dx(struct hot *h, union dev_args *a, const struct hot_size *z, dtype b_type)
{
	a->matmul = (struct k_matmul){ .c = out(h, z->t * z->c), .a = in(h, z->t * z->f),
		.b = numbers(h, b_type, z->f * z->c, 1, false), .c_type = h->type,
		.a_type = h->type, .b_type = b_type, .m = { .cap = z->t }, .k = { .cap = z->f }, .n = z->c,
		.lda = z->f, .ldb = z->c, .ldc = z->c, .alpha = 1 };
}

MAKE(matmul_dx) { linear_dx(h, a, z, h->type); }

/* Rows as long as models have them. */
static void
long_dx(struct hot *h, union dev_args *a, const struct hot_size *z, dtype b_type)
{
	struct hot_size w = { .t = z->t / 4, .c = 8 * z->c, .f = z->f / 8 };

	linear_dx(h, a, &w, b_type);
}

MAKE(dx_q4_0) { long_dx(h, a, z, DTYPE_Q4_0); }
MAKE(dx_q2_k) { long_dx(h, a, z, DTYPE_Q2_K); }
MAKE(dx_q4_k) { long_dx(h, a, z, DTYPE_Q4_K); }
MAKE(dx_q6_k) { long_dx(h, a, z, DTYPE_Q6_K); }

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

/* The same width in heads of 128. */
static struct hot_size
heads_of_128(const struct hot_size *z)
{
	struct hot_size w = *z;

	w.d = 128;
	w.heads = z->heads * z->d / w.d;
	w.kv_heads = z->kv_heads * z->d / w.d;
	return w;
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

MAKE(attention_128) { struct hot_size w = heads_of_128(z); attention(h, a, &w); }
MAKE(attention_bwd_128) { struct hot_size w = heads_of_128(z); attention_bwd(h, a, &w); }
MAKE(decode_128) { struct hot_size w = heads_of_128(z); decode(h, a, &w); }

/* ---- experts ---- */

enum { EXPERTS = 8, TOP = 2 };

/* Where the rows of each begin: one has none, one few, the others many. */
static dptr
offsets(struct hot *h, int64_t rows)
{
	int32_t at[EXPERTS + 1] = { 0 };

	for (int e = 2; e < EXPERTS; e++)
		at[e] = (int32_t)(3 + rows * (e - 2) / (EXPERTS - 2) / 4 * 4);
	at[EXPERTS] = (int32_t)rows;
	return put(h, DTYPE_NONE, EXPERTS + 1, sizeof(at), at, false);
}

static void
experts_of(struct hot *h, union dev_args *a, const struct hot_size *z, dtype b_type, bool back)
{
	struct hot_size w = { .t = z->t * TOP, .c = z->c, .f = EXPERTS * z->f };
	union dev_args one = { 0 };
	struct k_matmul *p = &one.matmul;

	if (back)
		linear_dx(h, &one, &w, b_type);
	else
		linear(h, &one, &w, w.t, b_type);
	*(back ? &p->k.cap : &p->n) = z->f;
	*(back ? &p->lda : &p->ldc) = z->f;
	a->grouped = (struct k_grouped){ .p = *p, .offset = offsets(h, w.t), .groups = EXPERTS,
		.stride = z->f * z->c };
}

MAKE(experts) { experts_of(h, a, z, h->type, false); }
MAKE(experts_dx) { experts_of(h, a, z, h->type, true); }
MAKE(experts_q4_k) { experts_of(h, a, z, DTYPE_Q4_K, false); }
MAKE(experts_dx_q4_k) { experts_of(h, a, z, DTYPE_Q4_K, true); }

MAKE(experts_dw)
{
	int64_t rows = z->t * TOP;

	a->grouped = (struct k_grouped){ .p = { .c = wide_out(h, EXPERTS * z->f * z->c),
		.a = in(h, rows * z->f), .b = in(h, rows * z->c), .c_type = DTYPE_F32,
		.a_type = h->type, .b_type = h->type, .m = { .cap = z->f }, .k = { .cap = rows },
		.n = z->c, .lda = z->f, .ldb = z->c, .ldc = z->c, .ta = true, .add = true,
		.alpha = 1 }, .offset = offsets(h, rows), .groups = EXPERTS,
		.stride = z->f * z->c };
}

/* Two experts of each token. */
static dptr
chosen(struct hot *h, int64_t t)
{
	int32_t *x = must(malloc((size_t)(t * TOP) * sizeof(*x)));
	dptr at;

	for (int64_t i = 0; i < t; i++) {
		x[2 * i] = (int32_t)rng_below(5, 0, (uint64_t)i, EXPERTS);
		x[2 * i + 1] = (x[2 * i] + 1 + (int32_t)(i % (EXPERTS - 1))) % EXPERTS;
	}
	at = put(h, DTYPE_NONE, t * TOP, t * TOP * 4, x, false);
	free(x);
	return at;
}

static struct k_route
choice(struct hot *h, const struct hot_size *z, dptr weight)
{
	return (struct k_route){ .id = chosen(h, z->t), .weight = weight,
		.logits = wide_in(h, z->t * EXPERTS), .type = h->type, .t = ROWS,
		.experts = EXPERTS, .top = TOP, .groups = 1, .top_groups = 1, .normalize = true,
		.scale = 1 };
}

MAKE(route) { a->route = choice(h, z, wide_out(h, z->t * TOP)); }

MAKE(route_bwd)
{
	a->route_bwd = (struct k_route_bwd){ .f = choice(h, z, wide_in(h, z->t * TOP)),
		.dlogits = wide_out(h, z->t * EXPERTS), .dweight = wide_in(h, z->t * TOP) };
}

MAKE(route_sort)
{
	dptr id = chosen(h, z->t);

	a->route_sort = (struct k_route_sort){ offsets(h, 0), chosen(h, z->t), chosen(h, z->t), id,
		ROWS, EXPERTS, TOP };
}

MAKE(route_sum)
{
	a->route_sum = (struct k_route_sum){ numbers(h, DTYPE_F64, EXPERTS + 1, 0, true),
		wide_in(h, z->t * EXPERTS), h->type, ROWS, EXPERTS, false };
}

/* Where the rows of assignments lie: each somewhere else. */
static dptr
places(struct hot *h, int64_t n)
{
	int32_t *x = must(malloc((size_t)n * sizeof(*x)));
	dptr at;

	for (int64_t i = 0; i < n; i++)
		x[i] = (int32_t)((i * 7 + 3) % n);
	at = put(h, DTYPE_NONE, n, n * 4, x, false);
	free(x);
	return at;
}

MAKE(combine)
{
	a->combine = (struct k_combine){ out(h, z->t * z->c), in(h, z->t * TOP * z->c),
		places(h, z->t * TOP), wide_in(h, z->t * TOP), h->type, ROWS, TOP, z->c, false };
}

MAKE(combine_bwd)
{
	a->combine_bwd = (struct k_combine_bwd){ out(h, z->t * TOP * z->c),
		wide_out(h, z->t * TOP), in(h, z->t * z->c), in(h, z->t * TOP * z->c),
		places(h, z->t * TOP), wide_in(h, z->t * TOP), h->type, ROWS, TOP, z->c };
}

/* ---- recurrences ---- */

enum { WIDTH = 4, STATES = 16 };

static dptr
two_sequences(struct hot *h, const struct hot_size *z)
{
	int32_t cu[3] = { 0, (int32_t)(z->t / 8 * 5), (int32_t)z->t };

	return put(h, DTYPE_NONE, 3, sizeof(cu), cu, false);
}

static struct k_conv
convolution(struct hot *h, const struct hot_size *z, dptr y)
{
	return (struct k_conv){ .y = y, .x = in(h, z->t * z->c), .w = wide_in(h, z->c * WIDTH),
		.bias = wide_in(h, z->c), .cu_seqlens = two_sequences(h, z), .type = h->type,
		.t = ROWS, .seqs = { .cap = 2 }, .c = z->c, .width = WIDTH, .ldx = z->c };
}

MAKE(conv) { a->conv = convolution(h, z, out(h, z->t * z->c)); }

MAKE(conv_bwd)
{
	a->conv_bwd = (struct k_conv_bwd){ convolution(h, z, in(h, z->t * z->c)),
		out(h, z->t * z->c), wide_out(h, z->c * WIDTH), wide_out(h, z->c),
		in(h, z->t * z->c) };
}

/* What backward starts its pieces from is what forward keeps; any numbers do here. */
static struct k_scan
selective(struct hot *h, const struct hot_size *z, dptr y, dptr saved)
{
	return (struct k_scan){ .y = y, .x = in(h, z->t * z->c), .dt = in(h, z->t * z->c),
		.z = in(h, z->t * z->c), .a_log = numbers(h, DTYPE_F32, z->c * STATES, 0.5, false),
		.b = in(h, z->t * STATES), .c_in = in(h, z->t * STATES), .d = wide_in(h, z->c),
		.cu_seqlens = two_sequences(h, z), .saved = saved, .type = h->type, .t = ROWS,
		.seqs = { .cap = 2 }, .c = z->c, .n = STATES, .ldx = z->c, .ldz = z->c };
}

static int64_t
saved_states(const struct hot_size *z)
{
	return (z->t + SCAN_PIECE - 1) / SCAN_PIECE * STATES * z->c;
}

MAKE(scan)
{
	dptr y = out(h, z->t * z->c);

	a->scan = selective(h, z, y, wide_out(h, saved_states(z)));
}

MAKE(scan_bwd)
{
	struct k_scan f = selective(h, z, in(h, z->t * z->c), wide_in(h, saved_states(z)));
	int64_t n = z->t * z->c;

	a->scan_bwd = (struct k_scan_bwd){ f, out(h, n), out(h, n), out(h, n),
		out(h, z->t * STATES), out(h, z->t * STATES), wide_out(h, z->c * STATES),
		wide_out(h, z->c), in(h, n) };
}

/* ---- numbers of few bits ---- */

static void
fake(struct hot *h, union dev_args *a, const struct hot_size *z, dtype blocks)
{
	a->fake_quant = (struct k_fake_quant){ wide_out(h, z->f * z->c), wide_in(h, z->f * z->c),
		DTYPE_F32, blocks, z->f / 8, z->c };
}

MAKE(fake_q4_0) { fake(h, a, z, DTYPE_Q4_0); }
MAKE(fake_q2_k) { fake(h, a, z, DTYPE_Q2_K); }
MAKE(fake_q4_k) { fake(h, a, z, DTYPE_Q4_K); }
MAKE(fake_q6_k) { fake(h, a, z, DTYPE_Q6_K); }

MAKE(hadamard)
{
	a->hadamard = (struct k_hadamard){ out(h, z->t * z->c), in(h, z->t * z->c), h->type, ROWS,
		z->c, 128 };
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
#define BLOCKS_CASES(type, name, ...)						\
	{ "matmul_" #name, K_MATMUL, matmul_##name, true, DTYPE_##type == DTYPE_Q6_K ? 5e-4 : 0 }, \
	{ "row_" #name, K_MATMUL, row_##name, true, DTYPE_##type == DTYPE_Q6_K ? 5e-4 : 0 },

const struct hot_case hot_cases[] = {
	TYPED(add, K_ADD), TYPED(act, K_ACT), TYPED(act_bwd, K_ACT_BWD), TYPED(glu, K_GLU),
	TYPED(glu_bwd, K_GLU_BWD), TYPED(embed, K_EMBED), TYPED(embed_bwd, K_EMBED_BWD),
	TYPED(scatter, K_SCATTER), TYPED(rope, K_ROPE), TYPED(rmsnorm, K_RMSNORM),
	TYPED(rmsnorm_bwd, K_RMSNORM_BWD), TYPED(layernorm, K_LAYERNORM),
	TYPED(layernorm_bwd, K_LAYERNORM_BWD), TYPED(matmul, K_MATMUL),
	TYPED(matmul_dx, K_MATMUL), TYPED(matmul_dw, K_MATMUL), TYPED(matmul_row, K_MATMUL),
	QUANT_BLOCKS(BLOCKS_CASES)
	TYPED(dx_q4_0, K_MATMUL), TYPED(dx_q2_k, K_MATMUL), TYPED(dx_q4_k, K_MATMUL),
	TYPED(dx_q6_k, K_MATMUL), TYPED(bias_bwd, K_BIAS_BWD),
	TYPED(attention, K_ATTENTION), TYPED(attention_bwd, K_ATTENTION_BWD),
	TYPED(decode, K_ATTENTION), TYPED(attention_128, K_ATTENTION),
	TYPED(attention_bwd_128, K_ATTENTION_BWD), TYPED(decode_128, K_ATTENTION),
	TYPED(experts, K_GROUPED), TYPED(experts_dx, K_GROUPED), TYPED(experts_dw, K_GROUPED),
	TYPED(experts_q4_k, K_GROUPED), TYPED(experts_dx_q4_k, K_GROUPED), WIDE(route, K_ROUTE),
	WIDE(route_bwd, K_ROUTE_BWD), WIDE(route_sort, K_ROUTE_SORT),
	WIDE(route_sum, K_ROUTE_SUM), TYPED(combine, K_COMBINE),
	TYPED(combine_bwd, K_COMBINE_BWD), TYPED(conv, K_CONV), TYPED(conv_bwd, K_CONV_BWD),
	TYPED(scan, K_SCAN), TYPED(scan_bwd, K_SCAN_BWD), WIDE(fake_q4_0, K_FAKE_QUANT),
	WIDE(fake_q2_k, K_FAKE_QUANT), WIDE(fake_q4_k, K_FAKE_QUANT),
	WIDE(fake_q6_k, K_FAKE_QUANT), TYPED(hadamard, K_HADAMARD), WIDE(xent, K_XENT), TYPED(xent_bwd, K_XENT_BWD),
	TYPED(sumsq, K_SUMSQ), WIDE(adamw, K_ADAMW), WIDE(adamw_bf16, K_ADAMW),
	WIDE(adamw_u8, K_ADAMW),
};
const int hot_case_count = sizeof(hot_cases) / sizeof(hot_cases[0]);
