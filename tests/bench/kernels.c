/*
 * Attention and the kernels around the matrix products, at the shapes of
 * training a small model: kernels [DEVICE [THREADS [TYPE]]].  Prints
 * milliseconds, and GFLOP/s (attention: of the pairs that are seen) with the
 * share of the peak of multiply-adds, or GB/s with the share of what a copy of
 * as many bytes reaches.
 */
#include <math.h>
#include <string.h>

#include "bench.h"

struct bench {
	struct dev *d;
	dtype	 type;		/* of activations */
	char	 shape[64];
	double	 copy;		/* GB/s */
};

static void
flops(struct bench *b, const char *name, int kernel, const union dev_args *a, double work)
{
	double t = bench_launch(b->d, kernel, a, 0.1);

	printf("%s\t%s\t%.3f\t%.1f\tGFLOP/s\t%.2f\n", name, b->shape, t * 1e3, work / t * 1e-9,
	    work / t / dev_info(b->d)->peak_f32);
}

static void
bytes(struct bench *b, const char *name, int kernel, const union dev_args *a, double work)
{
	double t = bench_launch(b->d, kernel, a, 0.05), rate = work / t * 1e-9;

	printf("%s\t%s\t%.3f\t%.1f\tGB/s\t%.2f\n", name, b->shape, t * 1e3, rate,
	    rate / b->copy);
}

/* n random numbers of the activations' type. */
static dptr
numbers(const struct bench *b, int64_t n, uint64_t seed)
{
	dptr x = bench_floats(b->d, n, seed), y;
	union dev_args a;

	if (b->type == DTYPE_F32)
		return x;
	y = dev_alloc(b->d, n * dtype_size(b->type), &(struct err){ 0 });
	a.cast = (struct k_cast){ y, x, b->type, DTYPE_F32, n };
	dev_launch(b->d, K_CAST, &a);
	dev_free(b->d, x);
	return y;
}

/* What a copy of n bytes reaches: the measure of what follows. */
static void
copies(struct bench *b, dptr y, dptr x, int64_t n)
{
	union dev_args a = { .copy = { y, x, n } };

	b->copy = 2 * (double)n / bench_launch(b->d, K_COPY, &a, 0.05) * 1e-9;
	bytes(b, "copy", K_COPY, &a, 2 * (double)n);
}

/* seqs sequences of len tokens. */
static void
attention(struct bench *b, int64_t seqs, int64_t len, int64_t heads, int64_t kv, int64_t dim)
{
	struct dev *d = b->d;
	int64_t t = seqs * len, q = t * heads * dim, k = t * kv * dim;
	int32_t *cu = malloc((size_t)(seqs + 1) * sizeof(*cu));
	double pairs = (double)seqs * (double)len * (double)(len + 1) / 2 * (double)heads;
	union dev_args a = { 0 }, g = { 0 };
	dptr at = dev_alloc(d, (seqs + 1) * 4, &(struct err){ 0 });

	for (int64_t s = 0; s <= seqs; s++)
		cu[s] = (int32_t)(s * len);
	dev_upload(d, at, cu, (seqs + 1) * 4);
	free(cu);
	a.attention = (struct k_attention){
		.o = numbers(b, q, 1), .lse = bench_floats(d, t * heads, 2),
		.q = numbers(b, q, 3), .k = numbers(b, k, 4), .v = numbers(b, k, 5),
		.cu_seqlens = at, .type = b->type, .kv_type = b->type, .t = { .cap = t },
		.seqs = { .cap = seqs }, .heads = heads, .kv_heads = kv, .d_qk = dim, .d_v = dim,
		.ldq = heads * dim, .ldk = kv * dim, .ldv = kv * dim, .ldo = heads * dim,
		.causal = true, .scale = 1 / sqrt((double)dim),
	};
	g.attention_bwd = (struct k_attention_bwd){
		.f = a.attention, .d_o = numbers(b, q, 6), .dq = numbers(b, q, 7),
		.dk = numbers(b, k, 8), .dv = numbers(b, k, 9),
		.delta = bench_floats(d, t * heads, 10),
	};
	snprintf(b->shape, sizeof(b->shape), "%lldx%lld_h%lld/%lld_d%lld", (long long)seqs,
	    (long long)len, (long long)heads, (long long)kv, (long long)dim);
	flops(b, "attention", K_ATTENTION, &a, 4 * pairs * (double)dim);
	flops(b, "attention_bwd", K_ATTENTION_BWD, &g, 10 * pairs * (double)dim);
}

/* One new token of each sequence over a cache of len. */
static void
decode(struct bench *b, int64_t seqs, int64_t len, int64_t heads, int64_t kv, int64_t dim)
{
	enum { BLOCK = 16 };
	struct dev *d = b->d;
	int64_t blocks = (len + BLOCK - 1) / BLOCK, rows = seqs * blocks * BLOCK;
	int64_t n = 2 * seqs + 1 + seqs * blocks;
	int32_t *x = malloc((size_t)n * sizeof(*x));
	dptr at = dev_alloc(d, n * 4, &(struct err){ 0 });
	union dev_args a = { 0 };

	for (int64_t i = 0; i < n; i++)
		x[i] = (int32_t)(i <= seqs ? i : i <= 2 * seqs ? len : i - 2 * seqs - 1);
	dev_upload(d, at, x, n * 4);
	free(x);
	a.attention = (struct k_attention){
		.o = numbers(b, seqs * heads * dim, 1), .q = numbers(b, seqs * heads * dim, 3),
		.k = numbers(b, rows * kv * dim, 4), .v = numbers(b, rows * kv * dim, 5),
		.cu_seqlens = at, .key_len = dptr_add(at, (seqs + 1) * 4),
		.block_table = dptr_add(at, (2 * seqs + 1) * 4), .max_blocks = blocks,
		.block_size = BLOCK, .type = b->type, .kv_type = b->type, .t = { .cap = seqs },
		.seqs = { .cap = seqs }, .heads = heads, .kv_heads = kv, .d_qk = dim, .d_v = dim,
		.ldq = heads * dim, .ldk = kv * dim, .ldv = kv * dim, .ldo = heads * dim,
		.causal = true, .scale = 1 / sqrt((double)dim),
	};
	snprintf(b->shape, sizeof(b->shape), "%lldx%lld_h%lld/%lld_d%lld", (long long)seqs,
	    (long long)len, (long long)heads, (long long)kv, (long long)dim);
	flops(b, "decode", K_ATTENTION, &a, 4 * (double)(seqs * len * heads * dim));
}

static void
head(struct bench *b, int64_t rows, int64_t v)
{
	union dev_args a = { 0 }, g = { 0 };
	dptr x = bench_floats(b->d, rows * v, 2), y = bench_floats(b->d, rows * v, 5);
	double n = 4 * (double)(rows * v);

	snprintf(b->shape, sizeof(b->shape), "%lldx%lld", (long long)rows, (long long)v);
	copies(b, y, x, rows * v * 4);
	a.xent = (struct k_xent){ .logits = x,
		.target = dev_alloc(b->d, rows * 4, &(struct err){ 0 }),
		.lse = bench_floats(b->d, rows, 1), .logp = bench_floats(b->d, rows, 3),
		.t = { .cap = rows }, .rows = rows, .v = v, .ld = v, .type = DTYPE_F32 };
	g.xent_bwd = (struct k_xent_bwd){ .f = a.xent, .dlogp = bench_floats(b->d, rows, 4) };
	bytes(b, "xent", K_XENT, &a, n);
	bytes(b, "xent_bwd", K_XENT_BWD, &g, 2 * n);
}

/* Rows of c: norms and sums over tokens. */
static void
norms(struct bench *b, int64_t t, int64_t c)
{
	struct dev *d = b->d;
	dtype ty = b->type;
	dptr x = numbers(b, t * c, 1), y = numbers(b, t * c, 2), z = numbers(b, t * c, 3);
	dptr w = bench_floats(d, c, 4), v = bench_floats(d, c, 7);
	dptr r = bench_floats(d, t, 5), m = bench_floats(d, t, 8);
	struct dim n = { .cap = t };
	double s = (double)(dtype_size(ty) * t * c);
	union dev_args a;

	snprintf(b->shape, sizeof(b->shape), "%lldx%lld", (long long)t, (long long)c);
	copies(b, y, x, t * c * dtype_size(ty));
	a.rmsnorm = (struct k_rmsnorm){ y, x, w, r, ty, n, c, 1e-5, 0 };
	bytes(b, "rmsnorm", K_RMSNORM, &a, 2 * s);
	a.rmsnorm_bwd = (struct k_rmsnorm_bwd){ y, v, z, x, w, r, ty, n, c, 0, true };
	bytes(b, "rmsnorm_bwd", K_RMSNORM_BWD, &a, 4 * s);
	a.layernorm = (struct k_layernorm){ y, x, w, w, m, r, ty, n, c, 1e-5 };
	bytes(b, "layernorm", K_LAYERNORM, &a, 2 * s);
	a.layernorm_bwd = (struct k_layernorm_bwd){ y, v, v, z, x, w, m, r, ty, n, c, true };
	bytes(b, "layernorm_bwd", K_LAYERNORM_BWD, &a, 4 * s);
	a.bias_bwd = (struct k_bias_bwd){ v, x, ty, n, c };
	bytes(b, "bias_bwd", K_BIAS_BWD, &a, s);
	a.sumsq = (struct k_sumsq){ dev_alloc(d, 8, &(struct err){ 0 }), x, ty, t * c };
	bytes(b, "sumsq", K_SUMSQ, &a, s);
}

/* Rows of c: what is done to each element. */
static void
elements(struct bench *b, int64_t t, int64_t c)
{
	struct dev *d = b->d;
	dtype ty = b->type;
	dptr x = numbers(b, t * c, 1), y = numbers(b, t * c, 2), z = numbers(b, t * c, 3);
	dptr u = numbers(b, t * c, 6), table = bench_floats(d, t * 64, 9);
	dptr pos = dev_alloc(d, t * 4, &(struct err){ 0 });
	struct dim n = { .cap = t };
	double s = (double)(dtype_size(ty) * t * c);
	union dev_args a;

	snprintf(b->shape, sizeof(b->shape), "%lldx%lld", (long long)t, (long long)c);
	copies(b, y, x, t * c * dtype_size(ty));
	a.add = (struct k_add){ y, x, z, ty, n, c, false };
	bytes(b, "add", K_ADD, &a, 3 * s);
	a.glu = (struct k_glu){ y, x, z, ty, ACT_SILU, n, c, c };
	bytes(b, "glu silu", K_GLU, &a, 3 * s);
	a.glu_bwd = (struct k_glu_bwd){ y, u, x, x, z, ty, ACT_SILU, n, c, c };
	bytes(b, "glu_bwd silu", K_GLU_BWD, &a, 5 * s);
	a.act = (struct k_act){ y, x, ty, ACT_GELU_TANH, n, c };
	bytes(b, "gelu_tanh", K_ACT, &a, 2 * s);
	a.act.act = ACT_GELU;
	bytes(b, "gelu", K_ACT, &a, 2 * s);
	a.act_bwd = (struct k_act_bwd){ y, z, x, ty, ACT_GELU_TANH, n, c, false };
	bytes(b, "gelu_tanh_bwd", K_ACT_BWD, &a, 3 * s);
	a.act_bwd.act = ACT_GELU;
	bytes(b, "gelu_bwd", K_ACT_BWD, &a, 3 * s);
	a.rope = (struct k_rope){ y, x, pos, table, ty, n, c / 64, 64, 64, c, c, t, false, false };
	bytes(b, "rope", K_ROPE, &a, 2 * s);
	a.rope.interleaved = true;
	bytes(b, "rope pairs", K_ROPE, &a, 2 * s);
	a.embed_bwd = (struct k_embed_bwd){ .dw = bench_floats(d, t * c, 10), .dy = x, .id = pos,
	    .type = ty, .t = n, .v = t, .c = c, .scale = 1 };
	bytes(b, "embed_bwd", K_EMBED_BWD, &a, s + 8 * (double)(t * c));
	a.dropout = (struct k_dropout){ y, x, pos, ty, n, c, 0.1, 1, 2, false };
	bytes(b, "dropout", K_DROPOUT, &a, 2 * s);
	a.fill = (struct k_fill){ y, ty, t * c, 0 };
	bytes(b, "fill", K_FILL, &a, s);
}

/* Bytes are those that go to and from memory: a gradient is read and zeroed. */
static void
optimizers(struct bench *b, int64_t n)
{
	struct dev_step s = { .scale = 1, .lr = 1e-3, .step = 10 };
	struct err err = { 0 };
	struct dev *d = b->d;
	dptr step = dev_alloc(d, sizeof(s), &err), m = bench_floats(d, n, 3);
	struct k_adamw w = { .p = bench_floats(d, n, 1), .g = bench_floats(d, n, 2),
		.m = { m, dev_alloc(d, n / 64, &err) },
		.v = { dev_alloc(d, n * 4, &err), dev_alloc(d, n / 64, &err) }, .step = step,
		.moments = DTYPE_F32, .n = n, .lr_scale = 1, .beta1 = 0.9, .beta2 = 0.95,
		.eps = 1e-8, .decay = 0.1 };
	struct k_lion l = { .p = w.p, .g = w.g, .m = w.m, .step = step, .moments = DTYPE_F32,
		.n = n, .lr_scale = 1, .beta1 = 0.9, .beta2 = 0.99, .decay = 0.1 };
	struct k_sumsq sum = { dev_alloc(d, 8, &err), w.g, DTYPE_F32, n };
	struct k_adafactor f = { .p = w.p, .g = w.g, .step = step, .row = m,
		.col = dptr_add(m, n), .rows = n / 1024, .cols = 1024, .lr_scale = 1,
		.power = -0.8, .eps = 1e-30, .clip = 1 };

	snprintf(b->shape, sizeof(b->shape), "%lldM", (long long)n >> 20);
	dev_upload(d, step, &s, sizeof(s));
	copies(b, w.v.at, m, n * 4);
	bytes(b, "sumsq", K_SUMSQ, &(union dev_args){ .sumsq = sum }, 4 * (double)n);
	dev_launch(d, K_FILL, &(union dev_args){ .fill = { w.v.at, DTYPE_F32, n, 0 } });
	bytes(b, "adamw", K_ADAMW, &(union dev_args){ .adamw = w }, 32 * (double)n);
	bytes(b, "lion", K_LION, &(union dev_args){ .lion = l }, 24 * (double)n);
	bytes(b, "adafactor", K_ADAFACTOR, &(union dev_args){ .adafactor = f }, 24 * (double)n);
	w.moments = DTYPE_BF16;
	dev_launch(d, K_FILL, &(union dev_args){ .fill = { w.v.at, DTYPE_F32, n, 0 } });
	bytes(b, "adamw bf16", K_ADAMW, &(union dev_args){ .adamw = w }, 24 * (double)n);
	w.moments = DTYPE_U8;
	dev_launch(d, K_FILL, &(union dev_args){ .fill = { w.v.at, DTYPE_F32, n, 0 } });
	bytes(b, "adamw 8bit", K_ADAMW, &(union dev_args){ .adamw = w }, 20 * (double)n);
}

int
main(int argc, char **argv)
{
	struct bench b = { .d = bench_open(argc, argv), .type = DTYPE_F32 };
	struct team *team = b.d->team;

	if (argc > 3)
		b.type = dtype_of(str_of(argv[3]));
	printf("name\tshape\tms\trate\tunit\tshare\n");
	attention(&b, 16, 256, 4, 4, 64);
	attention(&b, 32, 128, 8, 2, 32);
	attention(&b, 8, 512, 4, 2, 64);
	attention(&b, 8, 512, 4, 4, 128);
	attention(&b, 4, 1024, 4, 4, 64);
	attention(&b, 1, 4096, 4, 2, 64);
	attention(&b, 1, 16384, 4, 2, 64);
	decode(&b, 1, 1000, 12, 12, 64);
	decode(&b, 8, 1000, 9, 3, 64);
	head(&b, 2048, 4096);
	head(&b, 64, 50257);
	norms(&b, 4096, 256);
	norms(&b, 2048, 768);
	elements(&b, 4096, 256);
	elements(&b, 2048, 3072);
	optimizers(&b, (int64_t)128 << 20);
	dev_close(b.d);
	team_free(team);
	return 0;
}
