/*
 * Attention and the kernels around the matrix products, at the shapes of
 * training a small model: kernels [DEVICE [THREADS]].  Prints milliseconds and
 * GFLOP/s (attention: of the pairs that are seen) or GB/s.
 */
#include <math.h>
#include <string.h>

#include "bench.h"

static void
row(const char *name, const char *shape, double t, double work, const char *unit)
{
	printf("%s\t%s\t%.3f\t%.1f\t%s\n", name, shape, t * 1e3, work / t * 1e-9, unit);
}

/* seqs sequences of len tokens; d_o etc. for the backward pass. */
static void
attention(struct dev *d, int64_t seqs, int64_t len, int64_t heads, int64_t kv, int64_t dim)
{
	struct err err = { 0 };
	int64_t t = seqs * len, q = t * heads * dim, k = t * kv * dim;
	int32_t *cu = malloc((size_t)(seqs + 1) * sizeof(*cu));
	double pairs = (double)seqs * (double)len * (double)(len + 1) / 2 * (double)heads;
	union dev_args a = { 0 }, b = { 0 };
	dptr at = dev_alloc(d, (seqs + 1) * 4, &err);
	char shape[64];

	for (int64_t s = 0; s <= seqs; s++)
		cu[s] = (int32_t)(s * len);
	dev_upload(d, at, cu, (seqs + 1) * 4);
	free(cu);
	a.attention = (struct k_attention){
		.o = bench_floats(d, q, 1), .lse = bench_floats(d, t * heads, 2),
		.q = bench_floats(d, q, 3), .k = bench_floats(d, k, 4), .v = bench_floats(d, k, 5),
		.cu_seqlens = at, .type = DTYPE_F32, .kv_type = DTYPE_F32, .t = { .cap = t },
		.seqs = { .cap = seqs }, .heads = heads, .kv_heads = kv, .d_qk = dim, .d_v = dim,
		.ldq = heads * dim, .ldk = kv * dim, .ldv = kv * dim, .ldo = heads * dim,
		.causal = true, .scale = 1 / sqrt((double)dim),
	};
	b.attention_bwd = (struct k_attention_bwd){
		.f = a.attention, .d_o = bench_floats(d, q, 6), .dq = bench_floats(d, q, 7),
		.dk = bench_floats(d, k, 8), .dv = bench_floats(d, k, 9),
		.delta = bench_floats(d, t * heads, 10),
	};
	snprintf(shape, sizeof(shape), "%lldx%lld_h%lld/%lld_d%lld", (long long)seqs,
	    (long long)len, (long long)heads, (long long)kv, (long long)dim);
	row("attention", shape, bench_launch(d, K_ATTENTION, &a, 0.1),
	    4 * pairs * (double)dim, "GFLOP/s");
	row("attention_bwd", shape, bench_launch(d, K_ATTENTION_BWD, &b, 0.1),
	    10 * pairs * (double)dim, "GFLOP/s");
}

static void
head(struct dev *d, int64_t rows, int64_t v)
{
	union dev_args a = { 0 }, b = { 0 };
	char shape[64];
	dptr f = bench_floats(d, rows, 1);

	a.xent = (struct k_xent){ .logits = bench_floats(d, rows * v, 2),
		.target = dev_alloc(d, rows * 4, &(struct err){ 0 }), .lse = f,
		.logp = bench_floats(d, rows, 3), .t = { .cap = rows }, .rows = rows, .v = v,
		.ld = v, .type = DTYPE_F32 };
	b.xent_bwd = (struct k_xent_bwd){ .f = a.xent, .dlogp = bench_floats(d, rows, 4) };
	snprintf(shape, sizeof(shape), "%lldx%lld", (long long)rows, (long long)v);
	row("xent", shape, bench_launch(d, K_XENT, &a, 0.1), 8 * (double)(rows * v), "GB/s");
	row("xent_bwd", shape, bench_launch(d, K_XENT_BWD, &b, 0.1), 8 * (double)(rows * v),
	    "GB/s");
}

static void
rows_of(struct dev *d, int64_t t, int64_t c)
{
	dptr x = bench_floats(d, t * c, 1), y = bench_floats(d, t * c, 2);
	dptr z = bench_floats(d, t * c, 3), w = bench_floats(d, c, 4), r = bench_floats(d, t, 5);
	dptr u = bench_floats(d, t * c, 6);
	struct dim n = { .cap = t };
	double bytes = 4 * (double)(t * c);
	char shape[64];
	union dev_args a;

	snprintf(shape, sizeof(shape), "%lldx%lld", (long long)t, (long long)c);
	a.add = (struct k_add){ y, x, y, DTYPE_F32, n, c, false };
	row("add", shape, bench_launch(d, K_ADD, &a, 0.05), 3 * bytes, "GB/s");
	a.rmsnorm = (struct k_rmsnorm){ y, x, w, r, DTYPE_F32, n, c, 1e-5, 0 };
	row("rmsnorm", shape, bench_launch(d, K_RMSNORM, &a, 0.05), 2 * bytes, "GB/s");
	a.rmsnorm_bwd = (struct k_rmsnorm_bwd){ y, w, z, x, w, r, DTYPE_F32, n, c, 0, true };
	row("rmsnorm_bwd", shape, bench_launch(d, K_RMSNORM_BWD, &a, 0.05), 4 * bytes, "GB/s");
	a.glu = (struct k_glu){ y, x, z, DTYPE_F32, ACT_SILU, n, c, c };
	row("glu silu", shape, bench_launch(d, K_GLU, &a, 0.05), 3 * bytes, "GB/s");
	a.glu_bwd = (struct k_glu_bwd){ y, u, x, x, z, DTYPE_F32, ACT_SILU, n, c, c };
	row("glu_bwd silu", shape, bench_launch(d, K_GLU_BWD, &a, 0.05), 5 * bytes, "GB/s");
	a.act = (struct k_act){ y, x, DTYPE_F32, ACT_GELU_TANH, n, c };
	row("gelu_tanh", shape, bench_launch(d, K_ACT, &a, 0.05), 2 * bytes, "GB/s");
	a.act.act = ACT_GELU;
	row("gelu", shape, bench_launch(d, K_ACT, &a, 0.05), 2 * bytes, "GB/s");
	a.sumsq = (struct k_sumsq){ dev_alloc(d, 8, &(struct err){ 0 }), x, DTYPE_F32, t * c };
	row("sumsq", shape, bench_launch(d, K_SUMSQ, &a, 0.05), bytes, "GB/s");
	a.fill = (struct k_fill){ y, DTYPE_F32, t * c, 0 };
	row("fill", shape, bench_launch(d, K_FILL, &a, 0.05), bytes, "GB/s");
}

/* Bytes are those that go to and from memory: a gradient is read and zeroed. */
static void
optimizers(struct dev *d, int64_t n)
{
	struct dev_step s = { .scale = 1, .lr = 1e-3, .step = 10 };
	struct err err = { 0 };
	dptr step = dev_alloc(d, sizeof(s), &err), m = bench_floats(d, n, 3);
	struct k_adamw w = { .p = bench_floats(d, n, 1), .g = bench_floats(d, n, 2),
		.m = { m, dev_alloc(d, n / 64, &err) },
		.v = { dev_alloc(d, n * 4, &err), dev_alloc(d, n / 64, &err) }, .step = step,
		.moments = DTYPE_F32, .n = n, .lr_scale = 1, .beta1 = 0.9, .beta2 = 0.95,
		.eps = 1e-8, .decay = 0.1 };
	struct k_lion l = { .p = w.p, .g = w.g, .m = w.m, .step = step, .moments = DTYPE_F32,
		.n = n, .lr_scale = 1, .beta1 = 0.9, .beta2 = 0.99, .decay = 0.1 };
	struct k_copy copy = { w.v.at, m, n * 4 };
	struct k_sumsq sum = { dev_alloc(d, 8, &err), w.g, DTYPE_F32, n };
	struct k_adafactor f = { .p = w.p, .g = w.g, .step = step, .row = m,
		.col = dptr_add(m, n), .rows = n / 1024, .cols = 1024, .lr_scale = 1,
		.power = -0.8, .eps = 1e-30, .clip = 1 };
	char shape[32];

	snprintf(shape, sizeof(shape), "%lldM", (long long)n >> 20);
	dev_upload(d, step, &s, sizeof(s));
	row("copy", shape, bench_launch(d, K_COPY, &(union dev_args){ .copy = copy }, 0.3),
	    8 * (double)n, "GB/s");
	row("sumsq", shape, bench_launch(d, K_SUMSQ, &(union dev_args){ .sumsq = sum }, 0.3),
	    4 * (double)n, "GB/s");
	dev_launch(d, K_FILL, &(union dev_args){ .fill = { w.v.at, DTYPE_F32, n, 0 } });
	row("adamw", shape, bench_launch(d, K_ADAMW, &(union dev_args){ .adamw = w }, 0.3),
	    32 * (double)n, "GB/s");
	row("lion", shape, bench_launch(d, K_LION, &(union dev_args){ .lion = l }, 0.3),
	    24 * (double)n, "GB/s");
	row("adafactor", shape, bench_launch(d, K_ADAFACTOR, &(union dev_args){ .adafactor = f },
	    0.3), 24 * (double)n, "GB/s");
	w.moments = DTYPE_BF16;
	dev_launch(d, K_FILL, &(union dev_args){ .fill = { w.v.at, DTYPE_F32, n, 0 } });
	row("adamw bf16", shape, bench_launch(d, K_ADAMW, &(union dev_args){ .adamw = w }, 0.3),
	    24 * (double)n, "GB/s");
	w.moments = DTYPE_U8;
	dev_launch(d, K_FILL, &(union dev_args){ .fill = { w.v.at, DTYPE_F32, n, 0 } });
	row("adamw 8bit", shape, bench_launch(d, K_ADAMW, &(union dev_args){ .adamw = w }, 0.3),
	    20 * (double)n, "GB/s");
}

int
main(int argc, char **argv)
{
	struct dev *d = bench_open(argc, argv);
	struct team *team = d->team;

	printf("name\tshape\tms\trate\tunit\n");
	attention(d, 16, 256, 4, 4, 64);
	attention(d, 32, 128, 8, 2, 32);
	attention(d, 8, 512, 4, 2, 64);
	attention(d, 8, 512, 4, 4, 128);
	attention(d, 4, 1024, 4, 4, 64);
	attention(d, 1, 4096, 4, 2, 64);
	head(d, 2048, 4096);
	head(d, 64, 151936);
	rows_of(d, 4096, 256);
	rows_of(d, 4096, 688);
	optimizers(d, (int64_t)128 << 20);
	dev_close(d);
	team_free(team);
	return 0;
}
