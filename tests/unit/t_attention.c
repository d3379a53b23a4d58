/*
 * Attention against double: random sequences, heads, masks, with and without
 * a paged cache; and that chunked prefill, decoding and batching change no bit.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/quant.h"
#include "../lib/kit.h"
#include "../tap.h"

enum { MAX_SEQS = 6, BLOCK = 16, MAX_BLOCKS = 128 };

struct attn_case {
	int64_t	seqs, tokens, cap, heads, kv_heads, d_qk, d_v, ldq, ldk, ldv, ldo;
	int64_t	window, sinks, rows;
	bool	causal, paged, bias, shared;	/* shared: values are in keys */
	double	softcap;
	dtype	kv_type;
	int32_t	cu[MAX_SEQS + 2], key_len[MAX_SEQS], table[MAX_SEQS * MAX_BLOCKS];
};

enum {
	B_O, B_LSE, B_Q, B_K, B_V, B_CU, B_LEN, B_TABLE, B_T, B_S, B_DO, B_DQ, B_DK, B_DV, B_DELTA,
	B_BIAS = B_DO
};

static void
fwd_args(struct kit *k, union dev_args *a)
{
	const struct attn_case *s = k->shape;

	a->attention = (struct k_attention){
		.o = kit_at(k, B_O), .lse = kit_at(k, B_LSE), .q = kit_at(k, B_Q),
		.k = kit_at(k, B_K), .v = kit_at(k, s->shared ? B_K : B_V), .cu_seqlens = kit_at(k, B_CU),
		.type = k->type, .kv_type = kit_type_of(k, B_K),
		.t = { .cap = s->cap, .n = kit_at(k, B_T) },
		.seqs = { .cap = MAX_SEQS, .n = kit_at(k, B_S) },
		.heads = s->heads, .kv_heads = s->kv_heads, .d_qk = s->d_qk, .d_v = s->d_v,
		.ldq = s->ldq, .ldk = s->ldk, .ldv = s->ldv, .ldo = s->ldo,
		.window = s->window, .sinks = s->sinks, .max_blocks = MAX_BLOCKS,
		.block_size = BLOCK, .causal = s->causal,
		.scale = 1 / sqrt((double)s->d_qk), .softcap = s->softcap,
	};
	if (s->paged && s->bias)
		a->attention.bias = kit_at(k, B_BIAS);
	if (s->paged) {
		a->attention.key_len = kit_at(k, B_LEN);
		a->attention.block_table = kit_at(k, B_TABLE);
	}
}

static void
bwd_args(struct kit *k, union dev_args *a)
{
	struct k_attention_bwd b;

	fwd_args(k, a);
	b = (struct k_attention_bwd){
		.f = a->attention, .d_o = kit_at(k, B_DO), .dq = kit_at(k, B_DQ),
		.dk = kit_at(k, B_DK), .dv = kit_at(k, B_DV), .delta = kit_at(k, B_DELTA),
	};
	a->attention_bwd = b;
}

/* Blocks of sequences whose lengths are known, the last first. */
static void
lay_blocks(struct attn_case *s)
{
	int32_t free_block = 0;

	for (int i = 0; i < s->seqs; i++)
		for (int32_t j = 0; j * BLOCK < s->key_len[i]; j++)
			s->table[i * MAX_BLOCKS + j] = free_block++;
	for (int i = 0; s->paged && i < MAX_SEQS * MAX_BLOCKS; i++)
		s->table[i] = free_block > 0 ? free_block - 1 - s->table[i] : 0;
	s->tokens = s->cu[s->seqs];
	s->rows = s->paged ? (free_block + 1) * BLOCK : s->cap;
}

static void
draw_case(struct kit *k, struct attn_case *s, bool paged)
{
	static const int32_t lens[] = { 0, 1, 2, 5, 47, 48, 49, 64, 95, 96, 97, 130, 200, 384, 390 };
	static const int64_t dims[] = { 4, 8, 24, 32, 40, 64, 80 };
	static const dtype types[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16 };

	*s = (struct attn_case){ .seqs = kit_draw(k, 0, MAX_SEQS), .paged = paged };
	s->kv_heads = kit_draw(k, 1, 2);
	s->heads = s->kv_heads * kit_draw(k, 1, 3);
	s->d_qk = dims[kit_draw(k, 0, 6)];
	s->d_v = kit_draw(k, 0, 3) == 0 ? dims[kit_draw(k, 0, 6)] : s->d_qk;
	s->causal = kit_draw(k, 0, 3) != 0;
	s->window = s->causal && kit_draw(k, 0, 2) == 0 ? kit_draw(k, 1, 90) : 0;
	s->sinks = s->window > 0 ? kit_draw(k, 0, 1) * 4 : 0;
	s->softcap = kit_draw(k, 0, 3) == 0 ? 2 : 0;
	k->act = types[kit_draw(k, 0, 2)];
	s->kv_type = kit_draw(k, 0, 1) == 0 ? k->act : types[kit_draw(k, 0, 2)];
	for (int i = 0; i < s->seqs; i++) {
		int32_t n = lens[kit_draw(k, 0, paged ? 12 : 14)];

		s->cu[i + 1] = s->cu[i] + n;
		/* Now and then of more than one segment. */
		s->key_len[i] = paged ? n + (int32_t)kit_draw(k, 0, 1) *
		    (int32_t)kit_draw(k, 1, kit_draw(k, 0, 3) == 0 ? 1800 : 150) : n;
	}
	s->cap = s->cu[s->seqs] + kit_draw(k, 0, 4);
	lay_blocks(s);
	s->ldq = s->heads * s->d_qk + kit_draw(k, 0, 1) * 3;
	/* A cache's rows are longer for each head. */
	s->ldk = s->kv_heads * s->d_qk + kit_draw(k, 0, 1) * (paged ? s->kv_heads : 5);
	s->ldv = s->kv_heads * s->d_v + kit_draw(k, 0, 1) * (paged ? s->kv_heads : 2);
	s->bias = kit_draw(k, 0, 1) == 0;
	s->shared = paged && s->d_v <= s->d_qk && kit_draw(k, 0, 2) == 0;
	if (s->shared)
		s->ldv = s->ldk;
	s->ldo = s->heads * s->d_v + kit_draw(k, 0, 1);
}

static void
common_bufs(struct kit *k, const struct attn_case *s)
{
	int32_t t = (int32_t)s->tokens, n = (int32_t)s->seqs;
	int64_t keys = s->paged ? s->rows : s->tokens;

	kit_in(k, s->cap * s->ldq, s->tokens * s->ldq, 1.5);
	kit_in_as(k, s->kv_type, s->rows * s->ldk, keys * s->ldk, 1.5);
	kit_in_as(k, s->kv_type, s->rows * s->ldv, keys * s->ldv, 1);
	kit_ints(k, MAX_SEQS + 1, s->cu);
	kit_ints(k, MAX_SEQS, s->key_len);
	kit_ints(k, MAX_SEQS * MAX_BLOCKS, s->table);
	kit_ints(k, 1, &t);
	kit_ints(k, 1, &n);
}

static void
describe(const struct attn_case *s)
{
	printf("# %s heads %d/%d d %d/%d causal %d window %d sinks %d cap %g paged %d lens",
	    dtype_name(s->kv_type), (int)s->heads, (int)s->kv_heads, (int)s->d_qk, (int)s->d_v, s->causal,
	    (int)s->window, (int)s->sinks, s->softcap, s->paged);
	for (int i = 0; i < s->seqs; i++)
		printf(" %d/%d", s->cu[i + 1] - s->cu[i], s->key_len[i]);
	printf("\n");
}

static bool
forward_agrees(struct kit *k, const struct attn_case *s, double tol)
{
	bool good;

	k->shape = s;
	kit_out(k, s->cap * s->ldo);
	kit_wide_out(k, s->cap * s->heads);
	common_bufs(k, s);
	kit_wide_in(k, s->rows * s->kv_heads, s->rows * s->kv_heads, 1);
	good = kit_agrees(k, K_ATTENTION, fwd_args, tol);
	if (!good)
		describe(s);
	kit_reset(k);
	return good;
}

static bool
drawn_forward_agrees(struct kit *k, bool paged)
{
	struct attn_case s;

	draw_case(k, &s, paged);
	return forward_agrees(k, &s, 5e-6);
}

/* A buffer that holds what the reference computed. */
static int
known(struct kit *k, int buf, double *values)
{
	for (int64_t i = 0; i < k->buf[buf].n; i++)
		values[i] = kit_want(k, buf, i);
	return 0;
}

static bool
backward_agrees(struct kit *k, const struct attn_case *s, double tol)
{
	double *o, *lse;
	bool good;

	k->shape = s;
	kit_out(k, s->cap * s->ldo);
	kit_wide_out(k, s->cap * s->heads);
	common_bufs(k, s);
	good = kit_agrees(k, K_ATTENTION, fwd_args, 5e-6);
	/* Backward takes o and lse of the reference, rounded to their types. */
	o = malloc((size_t)(s->cap * s->ldo) * sizeof(*o) + 1);
	lse = malloc((size_t)(s->cap * s->heads) * sizeof(*lse) + 1);
	known(k, B_O, o);
	known(k, B_LSE, lse);
	for (int i = 0; i < 2; i++) {
		struct kit_buf *b = &k->buf[i];
		double *from = b->from, *to = i == 0 ? o : lse;

		for (int64_t j = 0; j < b->n; j++) {
			char t[8];

			dtype_convert(t, b->type, &to[j], DTYPE_F64, 1);
			dtype_convert(&from[j], DTYPE_F64, t, b->type, 1);
		}
		b->out = false;
	}
	kit_in(k, s->cap * s->ldo, s->tokens * s->ldo, 1);
	kit_out(k, s->cap * s->ldq);
	kit_out_as(k, s->kv_type, s->cap * s->ldk);
	kit_out_as(k, s->kv_type, s->cap * s->ldv);
	kit_wide_out(k, s->cap * s->heads);
	k->buf[B_DELTA].out = true;
	good = good && kit_agrees(k, K_ATTENTION_BWD, bwd_args, tol);
	if (!good)
		describe(s);
	free(o);
	free(lse);
	kit_reset(k);
	return good;
}

static bool
drawn_backward_agrees(struct kit *k)
{
	struct attn_case s;

	/* Of sequences of one token the gradients are zeros: nothing to be relative to. */
	do
		draw_case(k, &s, false);
	while (s.tokens > 0 && s.tokens <= s.seqs);
	return backward_agrees(k, &s, 1e-5);
}

/* ---- what a GPU's kernels differ in ---- */

/* Sizes of heads and their padding, masks, rows that lie badly, segments of 256 keys. */
static const struct telling {
	dtype	act;
	struct attn_case s;
} telling[] = {
	{ DTYPE_BF16, { .heads = 4, .kv_heads = 2, .d_qk = 64, .d_v = 64, .causal = true, .seqs = 4,
	    .cu = { 0, 0, 1, 131, 195 }, .kv_type = DTYPE_BF16 } },
	{ DTYPE_F16, { .heads = 3, .kv_heads = 1, .d_qk = 80, .d_v = 80, .causal = true, .seqs = 2,
	    .cu = { 0, 97, 100 }, .window = 50, .sinks = 4, .kv_type = DTYPE_F16 } },
	{ DTYPE_BF16, { .heads = 2, .kv_heads = 2, .d_qk = 192, .d_v = 128, .softcap = 2, .seqs = 2,
	    .cu = { 0, 65, 68 }, .kv_type = DTYPE_BF16 } },
	{ DTYPE_F16, { .heads = 1, .kv_heads = 1, .d_qk = 96, .d_v = 256, .causal = true, .seqs = 1,
	    .cu = { 0, 70 }, .kv_type = DTYPE_F16 } },
	{ DTYPE_BF16, { .heads = 2, .kv_heads = 1, .d_qk = 44, .d_v = 20, .causal = true, .seqs = 1,
	    .cu = { 0, 33 }, .ldq = 1, .ldk = 5, .ldo = 3, .kv_type = DTYPE_BF16 } },
	{ DTYPE_F32, { .heads = 2, .kv_heads = 2, .d_qk = 24, .d_v = 24, .causal = true, .seqs = 2,
	    .cu = { 0, 5, 40 }, .kv_type = DTYPE_F32 } },
	{ DTYPE_BF16, { .heads = 8, .kv_heads = 2, .d_qk = 64, .d_v = 64, .causal = true, .seqs = 4, .paged = true,
	    .cu = { 0, 1, 2, 7, 47 }, .key_len = { 530, 20, 261, 300 }, .bias = true,
	    .kv_type = DTYPE_BF16 } },
	{ DTYPE_F16, { .heads = 4, .kv_heads = 1, .d_qk = 128, .d_v = 128, .causal = true, .seqs = 3,
	    .paged = true, .cu = { 0, 1, 3, 30 }, .key_len = { 600, 513, 290 }, .window = 100,
	    .kv_type = DTYPE_F16 } },
	{ DTYPE_BF16, { .heads = 2, .kv_heads = 2, .d_qk = 256, .d_v = 256, .causal = true, .seqs = 1,
	    .paged = true, .cu = { 0, 1 }, .key_len = { 300 }, .softcap = 2, .kv_type = DTYPE_BF16 } },
	{ DTYPE_F32, { .heads = 2, .kv_heads = 1, .d_qk = 64, .d_v = 64, .causal = true, .seqs = 1,
	    .paged = true, .cu = { 0, 2 }, .key_len = { 310 }, .kv_type = DTYPE_F32 } },
	{ DTYPE_F32, { .heads = 4, .kv_heads = 2, .d_qk = 128, .d_v = 128, .causal = true, .seqs = 2,
	    .paged = true, .cu = { 0, 1, 12 }, .key_len = { 270, 40 }, .kv_type = DTYPE_BF16 } },
	{ DTYPE_BF16, { .heads = 2, .kv_heads = 1, .d_qk = 96, .d_v = 64, .causal = true, .seqs = 1,
	    .cu = { 0, 45 }, .window = 20, .kv_type = DTYPE_F32 } },
	{ DTYPE_F32, { .heads = 1, .kv_heads = 1, .d_qk = 256, .d_v = 256, .seqs = 1, .softcap = 3,
	    .cu = { 0, 35 }, .kv_type = DTYPE_F32 } },
	{ DTYPE_BF16, { .heads = 2, .kv_heads = 1, .d_qk = 264, .d_v = 20, .causal = true, .seqs = 1,
	    .cu = { 0, 33 }, .kv_type = DTYPE_BF16 } },
};

/*
 * Of a telling case: ld is what rows have beside their heads.  Tensor cores take
 * weights and their gradients rounded, so gradients are as far off as rounding again.
 */
static bool
telling_agrees(struct kit *k, const struct telling *from)
{
	struct attn_case s = from->s;
	bool half = from->act == s.kv_type && from->act != DTYPE_F32;
	double tol = !half ? 1e-5 : from->act == DTYPE_BF16 ? 0x1p-8 : 0x1p-10;

	s.ldq += s.heads * s.d_qk;
	s.ldk += s.kv_heads * s.d_qk;
	s.ldv += s.kv_heads * s.d_v;
	s.ldo += s.heads * s.d_v;
	s.cap = s.cu[s.seqs] + 3;
	for (int i = 0; i < s.seqs; i++)
		s.key_len[i] = s.paged ? s.key_len[i] : s.cu[i + 1] - s.cu[i];
	lay_blocks(&s);
	k->act = from->act;
	return forward_agrees(k, &s, 5e-6) && (s.paged || backward_agrees(k, &s, tol));
}

/* ---- the same bits however the work is cut, in every type of cache ---- */

enum { LEN = 1700, HEADS = 6, KV = 2, D = 64, CACHE = 1712, ROW = KV * D };

static const dtype kv_types[] = { DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0, DTYPE_Q4_0 };

struct whole {
	struct team	*team;
	struct dev	*d;
	dtype		 type, act;	/* of the cache, of queries */
	int64_t		 window;
	dptr		 q, k, v, o, lse, cu, len, table;
	char		*out;
};

/*
 * Queries of the one sequence in parts, part i from end[i] to end[i + 1], each a
 * sequence of its own whose keys up to its end are in the cache.
 */
static bool
prefill_parts(struct whole *w, int n, const int32_t *end)
{
	int32_t cu[MAX_SEQS + 1] = { 0 };
	int64_t row = HEADS * D * dtype_size(w->act), at = end[0] * row;
	struct err err = { 0 };
	union dev_args a = { .attention = {
		.o = dptr_add(w->o, at), .lse = w->lse, .q = dptr_add(w->q, at), .k = w->k,
		.v = w->v, .cu_seqlens = w->cu, .key_len = w->len, .block_table = w->table,
		.type = w->act, .kv_type = w->type, .t = { .cap = end[n] - end[0] },
		.seqs = { .cap = n }, .heads = HEADS, .kv_heads = KV, .d_qk = D, .d_v = D,
		.ldq = HEADS * D, .ldk = ROW, .ldv = ROW, .ldo = HEADS * D, .window = w->window,
		.sinks = w->window > 0 ? 4 : 0, .max_blocks = CACHE / BLOCK,
		.block_size = BLOCK, .causal = true, .scale = 0.2,
	} };

	for (int i = 1; i <= n; i++)
		cu[i] = end[i] - end[0];
	dev_upload(w->d, w->cu, cu, sizeof(cu));
	dev_upload(w->d, w->len, end + 1, 4 * n);
	dev_launch(w->d, K_ATTENTION, &a);
	dev_download(w->d, w->out + at, dptr_add(w->o, at), (end[n] - end[0]) * row);
	return dev_wait(w->d, &err) == 0;
}

static bool
prefill(struct whole *w, int32_t from, int32_t to)
{
	return prefill_parts(w, 1, (int32_t[]){ from, to });
}

/* A cache of this type of rows of x, which lie in order in it: block i is i. */
static dptr
cache_of(struct whole *w, dptr x)
{
	struct err err = { 0 };
	dptr y = dev_alloc(w->d, dtype_bytes(w->type, CACHE * ROW), &err);
	dptr slots = dev_alloc(w->d, 4 * CACHE, &err);
	int32_t slot[CACHE];
	union dev_args a = { .scatter = { .y = y, .x = x, .slot = slots, .type = DTYPE_F32,
		.t = { .cap = CACHE }, .c = ROW, .ldx = ROW, .rows = CACHE, .y_type = w->type,
		.parts = KV, .block_size = BLOCK } };

	for (int32_t i = 0; i < CACHE; i++)
		slot[i] = i;
	dev_upload(w->d, slots, slot, sizeof(slot));
	dev_launch(w->d, K_SCATTER, &a);
	return y;
}

static void
open_whole(struct whole *w, const char *isa, int threads, dtype type, dtype act, int64_t window)
{
	struct err err = { 0 };
	float *x = malloc(4 * CACHE * HEADS * D);
	int32_t table[MAX_SEQS][CACHE / BLOCK];
	dptr rows;

	*w = (struct whole){ .team = team_new(threads, &err), .type = type, .act = act,
	    .window = window, .out = malloc(4 * LEN * HEADS * D) };
	w->d = dev_open(isa, w->team, DEV_STRICT, &err);
	for (int64_t i = 0; i < CACHE * HEADS * D; i++)
		x[i] = (float)(i % 1013 * 7919 % 1013) / 300 - 1.7f;
	for (int i = 0; i < CACHE / BLOCK; i++)
		for (int s = 0; s < MAX_SEQS; s++)
			table[s][i] = (i * 5 + 3) % (CACHE / BLOCK);
	w->q = dev_alloc(w->d, 4 * LEN * HEADS * D, &err);
	w->o = dev_alloc(w->d, 4 * LEN * HEADS * D, &err);
	w->lse = dev_alloc(w->d, 4 * LEN * HEADS, &err);
	w->cu = dev_alloc(w->d, 4 * (MAX_SEQS + 1), &err);
	w->len = dev_alloc(w->d, 4 * MAX_SEQS, &err);
	w->table = dev_alloc(w->d, sizeof(table), &err);
	rows = dev_alloc(w->d, 4 * CACHE * ROW, &err);
	dtype_convert(w->out, act, x, DTYPE_F32, LEN * HEADS * D);
	dev_upload(w->d, w->q, w->out, LEN * HEADS * D * dtype_size(act));
	dev_upload(w->d, w->table, table, sizeof(table));
	dev_upload(w->d, rows, x + 100, 4 * CACHE * ROW);
	w->k = cache_of(w, rows);
	dev_upload(w->d, rows, x + 77, 4 * CACHE * ROW);
	w->v = cache_of(w, rows);
	free(x);
}

static void
close_whole(struct whole *w)
{
	free(w->out);
	dev_close(w->d);
	team_free(w->team);
}

/* In chunks of 1, 3, 9 ... tokens, whose few rows go other ways than many, on 1 or 3 threads. */
static bool
chunks_agree(const char *isa, dtype type, int64_t window)
{
	struct whole w;
	float *all = malloc(4 * LEN * HEADS * D);
	bool good = true;

	open_whole(&w, isa, 2, type, DTYPE_F32, window);
	good = prefill(&w, 0, LEN);
	memcpy(all, w.out, 4 * LEN * HEADS * D);
	close_whole(&w);
	for (int threads = 1; threads < 4; threads += 2) {
		open_whole(&w, isa, threads, type, DTYPE_F32, window);
		for (int32_t at = 0, n = 1; at < LEN; at += n, n = n * 3 % 67) {
			n = at + n > LEN ? LEN - at : n;
			good = good && prefill(&w, at, at + n);
		}
		good = good && memcmp(all, w.out, 4 * LEN * HEADS * D) == 0;
		close_whole(&w);
	}
	free(all);
	return good;
}

/* On a GPU: all, chunks of 1, 3, 9 ... tokens, and a batch of parts that are cut among blocks or not. */
static bool
gpu_chunks_agree(dtype type, int64_t window, int32_t len)
{
	static const int32_t parts[] = { 60, 61, 62, 65, 80, 99 };
	struct whole w;
	int64_t row = HEADS * D * dtype_size(type);
	char *all = malloc((size_t)(len * row));
	bool good;

	open_whole(&w, "cuda", 1, type, type, window);
	good = prefill(&w, 0, len);
	memcpy(all, w.out, (size_t)(len * row));
	memset(w.out, 0, (size_t)(len * row));
	for (int32_t at = 0, n = 1; at < len; at += n, n = n * 3 % 67) {
		n = at + n > len ? len - at : n;
		good = good && prefill(&w, at, at + n);
	}
	good = good && memcmp(all, w.out, (size_t)(len * row)) == 0;
	for (int32_t by = 0; by + 99 <= len; by += len > 500 ? 464 : len) {
		int32_t end[6];

		for (int i = 0; i < 6; i++)
			end[i] = parts[i] + by;
		memset(w.out, 0, (size_t)(len * row));
		good = good && prefill_parts(&w, 5, end) && memcmp(all + end[0] * row,
		    w.out + end[0] * row, (size_t)((end[5] - end[0]) * row)) == 0;
	}
	close_whole(&w);
	free(all);
	return good;
}

/* A cache of blocks gives the bits of one of act, that of activations, of what they decode to. */
static bool
blocks_agree(const char *isa, dtype type, dtype act, int32_t len)
{
	struct whole w;
	struct err err = { 0 };
	int64_t n = CACHE * ROW, bytes = dtype_bytes(type, n), size = dtype_size(act);
	void *blocks = malloc((size_t)bytes);
	float *x = malloc((size_t)n * 4), *all = malloc(4 * LEN * HEADS * D);
	void *y = malloc((size_t)(n * size));
	bool good;

	open_whole(&w, isa, 2, type, act, 0);
	good = prefill(&w, 0, len);
	memcpy(all, w.out, (size_t)(size * len * HEADS * D));
	w.type = act;
	for (int i = 0; i < 2; i++) {
		dptr *at = i == 0 ? &w.k : &w.v;

		dev_download(w.d, blocks, *at, bytes);
		good = good && dev_wait(w.d, &err) == 0;
		quant_decode(type, x, blocks, n);
		dtype_convert(y, act, x, DTYPE_F32, n);
		*at = dev_alloc(w.d, size * n, &err);
		dev_upload(w.d, *at, y, size * n);
	}
	good = good && prefill(&w, 0, len) && memcmp(all, w.out, (size_t)(size * len * HEADS * D)) == 0;
	close_whole(&w);
	free(blocks);
	free(x);
	free(y);
	free(all);
	return good;
}

/* What is written are the blocks of an encoder, near what it was: half a step of 127, or of 7. */
static bool
blocks_are_near(const char *isa, dtype type)
{
	struct team *team;
	struct err err = { 0 };
	float x[2 * 32], y[2 * 32];
	char blocks[2 * 34], want[2 * 34];
	int32_t slot = 0;
	struct dev *d = dev_open(isa, team = team_new(1, &err), 0, &err);
	dptr from = dev_alloc(d, sizeof(x), &err), to = dev_alloc(d, sizeof(blocks), &err);
	dptr slots = dev_alloc(d, 4, &err);
	union dev_args a = { .scatter = { .y = to, .x = from, .slot = slots, .type = DTYPE_F32,
		.t = { .cap = 1 }, .c = 64, .ldx = 64, .rows = 1, .y_type = type } };
	bool good = true;

	for (int i = 0; i < 64; i++)
		x[i] = i < 32 ? 0 : (float)((i * 7919) % 101) - 50;
	dev_upload(d, from, x, sizeof(x));
	dev_upload(d, slots, &slot, 4);
	dev_launch(d, K_SCATTER, &a);
	dev_download(d, blocks, to, dtype_bytes(type, 64));
	quant_encode(type, want, x, 64, NULL);
	good = dev_wait(d, &err) == 0 && memcmp(blocks, want, (size_t)dtype_bytes(type, 64)) == 0;
	quant_decode(type, y, blocks, 64);
	for (int i = 0; i < 64; i++) {
		float step = type == DTYPE_Q8_0 ? 50 / 127.0f : 50 / 7.0f;

		/* The scale is rounded to fp16, and on one side a Q4_0 has no eighth step. */
		good = good && fabsf(x[i] - y[i]) <= (i < 32 ? 0 :
		    step * (type == DTYPE_Q8_0 ? 0.6f : 0.9f));
	}
	dev_close(d);
	team_free(team);
	return good;
}

static void
test_gpu(struct kit *k)
{
	for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++) {
		char what[64];

		snprintf(what, sizeof(what), "a GPU's attention, case %d", (int)i);
		ok(telling_agrees(k, &telling[i]), what);
	}
	ok(gpu_chunks_agree(DTYPE_BF16, 0, 570) && gpu_chunks_agree(DTYPE_F16, 100, 570) &&
	    gpu_chunks_agree(DTYPE_F32, 0, 280), "chunks, and batches of them, give the bits of the whole");
	ok(blocks_are_near("cuda", DTYPE_Q8_0) && blocks_are_near("cuda", DTYPE_Q4_0),
	    "a GPU's blocks are those of an encoder");
	ok(blocks_agree("cuda", DTYPE_Q8_0, DTYPE_BF16, 100) &&
	    blocks_agree("cuda", DTYPE_Q4_0, DTYPE_F16, 70) &&
	    blocks_agree("cuda", DTYPE_Q8_0, DTYPE_F32, 20), "and give the bits of what they decode to");
}

static void
test_cache(const char *isa)
{
	struct err err = { 0 };
	struct team *team = team_new(1, &err);
	struct dev *d = dev_open(isa, team, 0, &err);
	char what[96];

	if (d != NULL) {
		for (int i = 0; i < 5; i++) {
			snprintf(what, sizeof(what), "%s: chunks of a prefill over %s give the bits "
			    "of the whole", isa, dtype_name(kv_types[i]));
			ok(chunks_agree(isa, kv_types[i], 0) &&
			    (i % 2 == 0 || chunks_agree(isa, kv_types[i], 100)), what);
		}
		snprintf(what, sizeof(what), "%s: blocks give the bits of what they decode to", isa);
		ok(blocks_agree(isa, DTYPE_Q8_0, DTYPE_F32, LEN) &&
		    blocks_agree(isa, DTYPE_Q4_0, DTYPE_F32, LEN), what);
		snprintf(what, sizeof(what), "%s: which is near what was written", isa);
		ok(blocks_are_near(isa, DTYPE_Q8_0) && blocks_are_near(isa, DTYPE_Q4_0), what);
		dev_close(d);
	}
	team_free(team);
}

/* All are too many for a GPU that is made of software. */
static void
test_cpu(struct kit *k)
{
	struct dev *gpu = k->gpu;
	bool flat = true, paged = true, back = true;

	k->gpu = NULL;
	for (int i = 0; i < 30; i++) {
		flat = flat && drawn_forward_agrees(k, false);
		paged = paged && drawn_forward_agrees(k, true);
		back = back && drawn_backward_agrees(k);
	}
	ok(flat, "attention of 30 random batches");
	ok(paged, "attention over a paged cache of 30 random batches");
	ok(back, "gradients of attention of 30 random batches");
	k->gpu = gpu;
	test_cache("cpu:base");
	test_cache("cpu:avx2");
	test_cache("cpu:avx512");
}

int
main(void)
{
	struct kit k;

	if (kit_init(&k, 3) < 0)
		return 2;
	if (!k.alone)
		test_cpu(&k);
	if (k.gpu != NULL)
		test_gpu(&k);
	kit_free(&k);
	return tap_done();
}
