#include "dev/trials.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"

enum { OPERANDS = 32, PIECE = 1 << 14, WIDTH = 768, EXPERTS = 8, TOP = 2 };

struct bench {
	struct dev	*dev;
	const struct trials_options *o;
	dptr		 memory[OPERANDS];	/* of this trial */
	int		 n;
	struct err	*err;
	bool		 failed;
	_Alignas(64) char piece[2][PIECE * 4];	/* random numbers, and counts */
	char		 shape[64];
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- operands ---- */

static dptr
take(struct bench *b, int64_t bytes)
{
	if (b->failed || b->n == OPERANDS)
		return (dptr){ 0 };
	b->memory[b->n] = dev_alloc(b->dev, bytes, b->err);
	if (b->memory[b->n].at == 0)
		b->failed = true;
	return b->memory[b->n++];
}

/* Random numbers in [-1, 1), the same ones again after PIECE of them. */
static dptr
random_of(struct bench *b, int64_t n, dtype type)
{
	int64_t size = dtype_size(type), step = PIECE;
	float x[PIECE / 64];
	char *piece = b->piece[0];
	dptr p = take(b, n * size);

	for (int64_t i = 0; i < PIECE; i += PIECE / 64) {
		for (int64_t j = 0; j < PIECE / 64; j++)
			x[j] = (float)(2 * rng_unit(1, (uint64_t)b->n, (uint64_t)(i + j)) - 1);
		dtype_convert(piece + i * size, type, x, DTYPE_F32, PIECE / 64);
	}
	for (int64_t i = 0; i < n && p.at != 0; i += step)
		dev_upload(b->dev, dptr_add(p, i * size), piece,
		    (n - i < step ? n - i : step) * size);
	return p;
}

static dptr
act(struct bench *b, int64_t width)
{
	return random_of(b, b->o->tokens * width, b->o->type);
}

static dptr
wide(struct bench *b, int64_t n)
{
	return random_of(b, n, DTYPE_F32);
}

/* Each number is (i / each) * step, from 0 again at most. */
static dptr
ints(struct bench *b, int64_t n, int64_t each, int64_t step, int64_t most)
{
	dptr p = take(b, n * 4);
	int32_t *x = (int32_t *)(void *)b->piece[1];

	for (int64_t i = 0; i < n && p.at != 0; i += PIECE) {
		int64_t k = n - i < PIECE ? n - i : PIECE;

		for (int64_t j = 0; j < k; j++)
			x[j] = (int32_t)((i + j) / each * step % most);
		dev_upload(b->dev, dptr_add(p, i * 4), x, k * 4);
	}
	return p;
}

/* ---- running ---- */

static void
finish(struct bench *b)
{
	struct err ignored;

	dev_wait(b->dev, &ignored);
	for (int i = 0; i < b->n; i++)
		dev_free(b->dev, b->memory[i]);
	b->n = 0;
	b->shape[0] = '\0';
}

static void
measure(struct bench *b, int kernel, const union dev_args *a)
{
	struct trial t = { .name = dev_kernel_name(kernel), .shape = b->shape, .seconds = 1e9 };
	double start = now();
	int runs = 0;

	if (b->o->only != NULL && strncmp(t.name, b->o->only, strlen(b->o->only)) != 0)
		return;
	if (b->failed || dev_check(b->dev, kernel, a, b->err) < 0 ||
	    dev_wait(b->dev, b->err) < 0) {
		b->failed = true;
		return;
	}
	while (runs++ < 3 || now() - start < b->o->seconds) {
		double at = now();

		dev_launch(b->dev, kernel, a);
		if (dev_wait(b->dev, b->err) < 0) {
			b->failed = true;
			return;
		}
		at = now() - at;
		t.seconds = at < t.seconds ? at : t.seconds;
	}
	dev_cost(b->dev, kernel, a, &t.cost);
	t.weights = kernel == K_MATMUL ? a->matmul.b_type :
	    kernel == K_GROUPED ? a->grouped.p.b_type : DTYPE_NONE;
	if (b->shape[0] == '\0')
		t.shape = t.cost.shape;
	b->o->each(b->o->ctx, &t);
}

/* ---- the kernels ---- */

/* A linear layer's three products: y = x w^T, dx = dy w, dw += dy^T x. */
static void
linear(struct bench *b, int64_t out, int64_t in, int64_t groups)
{
	int64_t t = b->o->tokens;
	dtype ty = b->o->type;
	dptr x = act(b, in), y = act(b, out), w = random_of(b, groups * out * in, ty);
	dptr dw = wide(b, groups * out * in);
	struct k_matmul p[3] = {
		{ .c = y, .a = x, .b = w, .m = { .cap = t }, .k = { .cap = in }, .n = out,
		    .lda = in, .ldb = in, .ldc = out, .tb = true, .c_type = ty },
		{ .c = x, .a = y, .b = w, .m = { .cap = t }, .k = { .cap = out }, .n = in,
		    .lda = out, .ldb = in, .ldc = in, .c_type = ty },
		{ .c = dw, .a = y, .b = x, .m = { .cap = out }, .k = { .cap = t }, .n = in,
		    .lda = out, .ldb = in, .ldc = in, .ta = true, .c_type = DTYPE_F32 },
	};

	for (int i = 0; i < 3; i++) {
		union dev_args a = { .matmul = p[i] };

		a.matmul.a_type = a.matmul.b_type = ty;
		a.matmul.alpha = 1;
		a.matmul.loose = true;	/* as training has it */
		if (groups > 1)
			a.grouped = (struct k_grouped){ .p = a.matmul, .groups = groups,
			    .stride = out * in,
			    .offset = ints(b, groups + 1, 1, t / groups, t + 1) };
		measure(b, groups > 1 ? K_GROUPED : K_MATMUL, &a);
	}
	finish(b);
}

/* n elements in blocks; bytes that are small make every fp16 number finite. */
static dptr
blocks_of(struct bench *b, int64_t n, dtype type)
{
	int64_t bytes = dtype_bytes(type, n), step = sizeof(b->piece[0]);
	dptr p = take(b, bytes);

	for (int64_t i = 0; i < step; i++)
		b->piece[0][i] = (char)rng_below(1, 1, (uint64_t)i, 64);
	for (int64_t i = 0; i < bytes && p.at != 0; i += step)
		dev_upload(b->dev, dptr_add(p, i), b->piece[0],
		    bytes - i < step ? bytes - i : step);
	return p;
}

/* y = x w^T with quantized weights: a prompt, and a token, for which they come from memory. */
static void
quantized(struct bench *b, int64_t out, int64_t in, dtype type)
{
	int64_t t = b->o->tokens;
	dtype ty = b->o->type;
	union dev_args a = { .matmul = { .c = act(b, out), .a = act(b, in),
	    .b = blocks_of(b, out * in, type), .k = { .cap = in }, .n = out, .lda = in, .ldb = in,
	    .ldc = out, .tb = true, .c_type = ty, .a_type = ty, .b_type = type, .alpha = 1 } };
	int64_t rows[] = { t / 2, 8, 1 };

	for (int i = 0; i < 3; i++) {
		snprintf(b->shape, sizeof(b->shape), "%s %" PRId64 "x%" PRId64 ", %" PRId64
		    " rows", dtype_name(type), out, in, rows[i]);
		a.matmul.m.cap = rows[i];
		measure(b, K_MATMUL, &a);
	}
	finish(b);
}

static void
attention(struct bench *b, int64_t len, int64_t heads, int64_t kv, int64_t dim)
{
	int64_t t = b->o->tokens;
	dtype ty = b->o->type;
	union dev_args a = { .attention = {
		.o = act(b, heads * dim), .lse = wide(b, t * heads), .q = act(b, heads * dim),
		.k = act(b, kv * dim), .v = act(b, kv * dim), .type = ty, .kv_type = ty,
		.t = { .cap = t }, .seqs = { .cap = t / len }, .heads = heads, .kv_heads = kv,
		.d_qk = dim, .d_v = dim, .ldq = heads * dim, .ldk = kv * dim, .ldv = kv * dim,
		.ldo = heads * dim, .causal = true, .scale = 1 / sqrt((double)dim),
		.cu_seqlens = ints(b, t / len + 1, 1, len, t + 1),
	} };
	union dev_args back = { .attention_bwd = {
		.f = a.attention, .d_o = act(b, heads * dim), .dq = act(b, heads * dim),
		.dk = act(b, kv * dim), .dv = act(b, kv * dim), .delta = wide(b, t * heads),
	} };

	snprintf(b->shape, sizeof(b->shape), "%" PRId64 "/%" PRId64 " of %" PRId64 ", rows of %"
	    PRId64, heads, kv, dim, len);
	measure(b, K_ATTENTION, &a);
	measure(b, K_ATTENTION_BWD, &back);
	finish(b);
}

static void
norms(struct bench *b, struct dim t, int64_t c)
{
	dtype ty = b->o->type;
	dptr x = act(b, c), y = act(b, c), z = act(b, c), w = wide(b, c), v = wide(b, c);
	dptr r = wide(b, b->o->tokens), m = wide(b, b->o->tokens), dw = wide(b, c), db = wide(b, c);
	union dev_args a;

	a.rmsnorm = (struct k_rmsnorm){ y, x, w, r, ty, t, c, 1e-5, 0 };
	measure(b, K_RMSNORM, &a);
	a.rmsnorm_bwd = (struct k_rmsnorm_bwd){ z, dw, y, x, w, r, ty, t, c, 0, true };
	measure(b, K_RMSNORM_BWD, &a);
	a.layernorm = (struct k_layernorm){ y, x, w, v, m, r, ty, t, c, 1e-5 };
	measure(b, K_LAYERNORM, &a);
	a.layernorm_bwd = (struct k_layernorm_bwd){ z, dw, db, y, x, w, m, r, ty, t, c, true };
	measure(b, K_LAYERNORM_BWD, &a);
	finish(b);
}

static void
between(struct bench *b, struct dim t, int64_t c)
{
	dtype ty = b->o->type;
	int64_t n = b->o->tokens;
	dptr x = act(b, c), y = act(b, c), z = act(b, c), u = act(b, c), v = act(b, c);
	union dev_args a;

	a.add = (struct k_add){ y, x, z, ty, t, c, false };
	measure(b, K_ADD, &a);
	a.act = (struct k_act){ y, x, ty, ACT_GELU_TANH, t, c };
	measure(b, K_ACT, &a);
	a.act_bwd = (struct k_act_bwd){ y, z, x, ty, ACT_GELU_TANH, t, c, false };
	measure(b, K_ACT_BWD, &a);
	a.glu = (struct k_glu){ y, x, z, ty, ACT_SILU, t, c, c };
	measure(b, K_GLU, &a);
	a.glu_bwd = (struct k_glu_bwd){ u, v, y, x, z, ty, ACT_SILU, t, c, c };
	measure(b, K_GLU_BWD, &a);
	a.bias_bwd = (struct k_bias_bwd){ wide(b, c), x, ty, t, c };
	measure(b, K_BIAS_BWD, &a);
	a.rope = (struct k_rope){ .y = y, .x = x, .pos = ints(b, n, 1, 1, n),
	    .table = wide(b, n * 64), .type = ty, .t = t, .heads = c / 64, .d = 64, .rot = 64,
	    .ldx = c, .ldy = c, .positions = n };
	measure(b, K_ROPE, &a);
	a.embed = (struct k_embed){ y, random_of(b, n * c, ty), ints(b, n, 1, 7, n), ty, t, n, c,
	    1 };
	measure(b, K_EMBED, &a);
	a.embed_bwd = (struct k_embed_bwd){ .dw = wide(b, n * c), .dy = x,
	    .id = ints(b, n, 1, 7, n), .type = ty, .dw_type = DTYPE_NONE, .t = t, .v = n, .c = c,
	    .scale = 1 };
	measure(b, K_EMBED_BWD, &a);
	finish(b);
}

static void
head(struct bench *b, int64_t rows, int64_t v)
{
	union dev_args a = { .xent = { .logits = wide(b, rows * v),
	    .target = ints(b, rows, 1, 1, v), .lse = wide(b, rows), .logp = wide(b, rows),
	    .t = { .cap = rows }, .rows = rows, .v = v, .ld = v, .type = DTYPE_F32 } };
	union dev_args back = { .xent_bwd = { .f = a.xent, .dlogits = a.xent.logits,
	    .dlogp = wide(b, rows), .ld = v, .type = DTYPE_F32 } };

	snprintf(b->shape, sizeof(b->shape), "%" PRId64 "x%" PRId64, rows, v);
	measure(b, K_XENT, &a);
	measure(b, K_XENT_BWD, &back);
	finish(b);
}

static void
updates(struct bench *b, int64_t n)
{
	struct dev_step s = { .scale = 1, .lr = 1e-3, .step = 10 };
	dptr p = wide(b, n), g = wide(b, n), step = take(b, sizeof(s));
	struct moment m = { .at = take(b, n * 4) }, v = { .at = take(b, n * 4) };
	union dev_args a = { .adamw = { .p = p, .g = g, .step = step, .m = m, .v = v,
	    .moments = DTYPE_F32, .n = n, .lr_scale = 1, .beta1 = 0.9, .beta2 = 0.95,
	    .eps = 1e-8, .decay = 0.1 } };

	if (step.at != 0)
		dev_upload(b->dev, step, &s, sizeof(s));
	measure(b, K_ADAMW, &a);
	a = (union dev_args){ .lion = { .p = p, .g = g, .step = step, .m = m,
	    .moments = DTYPE_F32, .n = n, .lr_scale = 1, .beta1 = 0.9, .beta2 = 0.99 } };
	measure(b, K_LION, &a);
	a = (union dev_args){ .sumsq = { take(b, 8), p, DTYPE_F32, n } };
	measure(b, K_SUMSQ, &a);
	a = (union dev_args){ .dot = { take(b, 8), p, g, DTYPE_F32, { .cap = n }, false } };
	measure(b, K_DOT, &a);
	a = (union dev_args){ .fill = { g, DTYPE_F32, n, 0 } };
	measure(b, K_FILL, &a);
	a = (union dev_args){ .copy = { g, p, n * 4 } };
	measure(b, K_COPY, &a);
	a = (union dev_args){ .cast = { g, p, DTYPE_BF16, DTYPE_F32, n } };
	measure(b, K_CAST, &a);
	finish(b);
}

static void
recurrences(struct bench *b, struct dim t, int64_t c)
{
	int64_t n = b->o->tokens, states = 16, pieces = (n + SCAN_PIECE - 1) / SCAN_PIECE;
	dtype ty = b->o->type;
	union dev_args a = { .conv = { .y = act(b, c), .x = act(b, c), .w = wide(b, c * 4),
	    .bias = wide(b, c), .cu_seqlens = ints(b, 2, 1, n, n + 1), .type = ty, .t = t,
	    .seqs = { .cap = 1 }, .c = c, .width = 4, .ldx = c } };
	union dev_args back = { .conv_bwd = { .f = a.conv, .dx = act(b, c), .dw = wide(b, c * 4),
	    .dbias = wide(b, c), .dy = act(b, c) } };

	measure(b, K_CONV, &a);
	measure(b, K_CONV_BWD, &back);
	finish(b);
	a = (union dev_args){ .scan = { .y = act(b, c), .x = act(b, c), .dt = act(b, c),
	    .z = act(b, c), .a_log = wide(b, c * states), .b = act(b, states),
	    .c_in = act(b, states), .d = wide(b, c), .cu_seqlens = ints(b, 2, 1, n, n + 1),
	    .saved = wide(b, pieces * states * c), .type = ty, .t = t, .seqs = { .cap = 1 },
	    .c = c, .n = states, .ldx = c, .ldz = c } };
	measure(b, K_SCAN, &a);
	back = (union dev_args){ .scan_bwd = { .f = a.scan, .dx = act(b, c), .ddt = act(b, c),
	    .dz = act(b, c), .db = act(b, states), .dc = act(b, states),
	    .da_log = wide(b, c * states), .dd = wide(b, c), .dy = act(b, c) } };
	measure(b, K_SCAN_BWD, &back);
	finish(b);
}

/* Rows of experts are TOP for each token. */
static void
experts(struct bench *b, struct dim t, int64_t c)
{
	int64_t n = b->o->tokens;
	dtype ty = b->o->type;
	dptr id = take(b, n * TOP * 4), offset = take(b, (EXPERTS + 1) * 4);
	dptr token = take(b, n * TOP * 4), row = take(b, n * TOP * 4), weight = wide(b, n * TOP);
	union dev_args a = { .route = { .id = id, .weight = weight, .logits = wide(b, n * EXPERTS),
	    .type = ty, .t = t, .experts = EXPERTS, .top = TOP, .groups = 1, .top_groups = 1,
	    .scale = 1 } };

	measure(b, K_ROUTE, &a);
	a = (union dev_args){ .route_sort = { offset, token, row, id, t, EXPERTS, TOP } };
	measure(b, K_ROUTE_SORT, &a);
	a = (union dev_args){ .combine = { .y = act(b, c), .x = random_of(b, n * TOP * c, ty),
	    .row = row, .weight = weight, .type = ty, .t = t, .top = TOP, .c = c } };
	measure(b, K_COMBINE, &a);
	a = (union dev_args){ .combine_bwd = { .dx = random_of(b, n * TOP * c, ty),
	    .dweight = wide(b, n * TOP), .dy = act(b, c), .x = a.combine.x, .row = row,
	    .weight = weight, .type = ty, .t = t, .top = TOP, .c = c } };
	measure(b, K_COMBINE_BWD, &a);
	finish(b);
}

int
trials_run(struct dev *dev, const struct trials_options *o, struct err *err)
{
	struct bench b = { .dev = dev, .o = o, .err = err };
	struct dim t = { .cap = o->tokens };
	int64_t chunk = o->tokens < 1024 ? o->tokens / 4 : 256;
	static const dtype type[] = { DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K, DTYPE_Q8_0 };

	linear(&b, WIDTH, WIDTH, 1);
	linear(&b, 3 * WIDTH, WIDTH, 1);
	linear(&b, 4 * WIDTH, WIDTH, 1);
	linear(&b, WIDTH, 4 * WIDTH, 1);
	linear(&b, WIDTH, WIDTH, EXPERTS);
	for (int i = 0; i < 4; i++)
		quantized(&b, o->tokens * 32, 2048, type[i]);
	for (int64_t len = 64; len <= o->tokens; len *= 4)
		attention(&b, len, 12, 12, 64);
	attention(&b, o->tokens, 12, 4, 64);
	norms(&b, t, WIDTH);
	between(&b, t, 4 * WIDTH);
	head(&b, chunk, 50257);
	updates(&b, o->tokens * 4096);
	recurrences(&b, t, 2 * WIDTH);
	experts(&b, t, WIDTH);
	return b.failed ? -1 : 0;
}
