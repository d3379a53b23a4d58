#include "dev/check.h"
#include "dev/cuda/launch.h"

/* How each launch is cut into blocks, and what it needs beside its arguments. */

/* ---- what several kernels need ---- */

void
cuda_check_index(struct cuda *c, int kernel, int what, dptr x, struct dim t, int64_t least,
    int64_t limit)
{
	struct cuda_index i = { .x = x, .t = t, .rows = t.cap, .least = least, .limit = limit,
		.what = what };

	if (x.at != 0)
		cuda_go(c, kernel, E_index_check, DTYPE_NONE, cuda_tiles(t.cap > 0, 1), &i);
}

void
cuda_sum_columns(struct cuda *c, int kernel, enum cuda_entry entry, dtype type,
    const void *args, dptr to, struct dim t, int64_t n)
{
	struct cuda_columns add = { to, c->scratch, t, n };

	if (to.at == 0)
		return;
	cuda_go(c, kernel, entry, type,
	    cuda_tiles(cuda_over(n, 32), cuda_over(t.cap, COLUMN_ROWS)), args);
	cuda_go(c, kernel, E_columns_add, DTYPE_NONE, cuda_blocks(c, n, THREADS), &add);
}

void
cuda_add_parts(struct cuda *c, int kernel, dptr out, struct dim n, int64_t each, bool add)
{
	struct cuda_parts p = { out, c->scratch, n, each, add };

	cuda_go(c, kernel, E_parts_add, DTYPE_NONE, cuda_tiles(1, 1), &p);
}

/* ---- kernels of several launches ---- */

static void
fill(struct cuda *c, const struct k_fill *a)
{
	if (a->value == 0 && a->n > 0)
		CUDA_CALL(c, cuMemsetD8Async, a->y.at, 0,
		    (size_t)(a->n * dtype_size(a->type)), c->stream);
	else
		cuda_go(c, K_FILL, E_fill, DTYPE_NONE, cuda_blocks(c, a->n, THREADS), a);
}

static void
copy(struct cuda *c, const struct k_copy *a)
{
	if (a->bytes > 0)
		CUDA_CALL(c, cuMemcpyDtoDAsync_v2, a->y.at, a->x.at, (size_t)a->bytes, c->stream);
}

static void
embed(struct cuda *c, const struct k_embed *a)
{
	cuda_check_index(c, K_EMBED, NOTE_ID, a->id, a->t, 0, a->v);
	cuda_go(c, K_EMBED, E_embed, dtype_block(a->w_type) > 1 ? a->w_type : a->type,
	    cuda_rows(c, a->t.cap), a);
}

static void
embed_bwd(struct cuda *c, const struct k_embed_bwd *a)
{
	cuda_check_index(c, K_EMBED_BWD, NOTE_ID, a->id, a->t, 0, a->v);
	cuda_go(c, K_EMBED_BWD, E_embed_bwd, a->type, cuda_tiles(a->t.cap > 0 ? a->v : 0, 1), a);
	if (a->sumsq.at != 0 && a->t.cap > 0)
		cuda_add_parts(c, K_EMBED_BWD, a->sumsq, (struct dim){ .cap = a->v }, 1, true);
}

static void
scatter(struct cuda *c, const struct k_scatter *a)
{
	cuda_check_index(c, K_SCATTER, NOTE_SLOT, a->slot, a->t, INT32_MIN, a->rows);
	cuda_go(c, K_SCATTER, E_scatter, a->type, cuda_rows(c, a->t.cap), a);
}

static void
rope(struct cuda *c, const struct k_rope *a)
{
	cuda_check_index(c, K_ROPE, NOTE_POSITION, a->pos, a->t, 0, a->positions);
	cuda_go(c, K_ROPE, E_rope, a->type, cuda_warps(c, a->t.cap * a->heads), a);
}

/* Sums of columns come first: dx may take the place of what they read. */
static void
rmsnorm_bwd(struct cuda *c, const struct k_rmsnorm_bwd *a)
{
	cuda_sum_columns(c, K_RMSNORM_BWD, E_rmsnorm_dw, a->type, a, a->dw, a->t, a->c);
	cuda_go(c, K_RMSNORM_BWD, E_rmsnorm_dx, a->type, cuda_warps(c, a->t.cap), a);
}

static void
layernorm_bwd(struct cuda *c, const struct k_layernorm_bwd *a)
{
	const struct k_bias_bwd b = { a->db, a->dy, a->type, a->t, a->c };

	cuda_sum_columns(c, K_LAYERNORM_BWD, E_layernorm_dw, a->type, a, a->dw, a->t, a->c);
	cuda_sum_columns(c, K_LAYERNORM_BWD, E_bias_part, a->type, &b, a->db, a->t, a->c);
	cuda_go(c, K_LAYERNORM_BWD, E_layernorm_dx, a->type, cuda_warps(c, a->t.cap), a);
}

static void
scale_bwd(struct cuda *c, const struct k_scale_bwd *a)
{
	cuda_sum_columns(c, K_SCALE_BWD, E_scale_dw, a->f.type, a, a->dw, a->f.t, a->f.c);
	if (a->dx.at != 0)
		cuda_go(c, K_SCALE_BWD, E_scale_dx, a->f.type,
		    cuda_elements(c, a->f.t.cap * a->f.c), a);
}

static void
slice(struct cuda *c, const struct k_slice *a)
{
	int64_t heads = a->stepy == 0 ? 1 : a->heads;

	cuda_go(c, K_SLICE, E_slice, a->type, cuda_blocks(c, a->t.cap * heads * a->c, THREADS), a);
}

/* Targets of a chunk; those below 0 are none. */
static void
check_targets(struct cuda *c, int kernel, const struct k_xent *a)
{
	struct cuda_index i = { .x = a->target, .t = a->t, .from = a->row0, .rows = a->rows,
		.least = INT32_MIN, .limit = a->v, .what = NOTE_TARGET };

	if (a->target.at != 0)
		cuda_go(c, kernel, E_index_check, DTYPE_NONE, cuda_tiles(1, 1), &i);
}

static void
xent(struct cuda *c, const struct k_xent *a)
{
	check_targets(c, K_XENT, a);
	cuda_go(c, K_XENT, E_xent, DTYPE_NONE, cuda_rows(c, a->rows), a);
}

static void
xent_bwd(struct cuda *c, const struct k_xent_bwd *a)
{
	check_targets(c, K_XENT_BWD, &a->f);
	cuda_go(c, K_XENT_BWD, E_xent_bwd, DTYPE_NONE, cuda_rows(c, a->f.rows), a);
}

static void
dot(struct cuda *c, int kernel, const struct k_dot *a)
{
	cuda_go(c, kernel, E_dot_part, a->type, cuda_rows(c, cuda_over(a->n.cap, SUM_PART)), a);
	cuda_add_parts(c, kernel, a->out, a->n, SUM_PART, a->add);
}

static void
sumsq(struct cuda *c, const struct k_sumsq *a)
{
	const struct k_dot d = { a->out, a->x, a->x, a->type, { .cap = a->n }, true };

	dot(c, K_SUMSQ, &d);
}

/* ---- the table ---- */

/* Each as launch_NAME(): one kernel over n elements, or a function above. */
#define LAUNCH(name) static void						\
launch_##name(struct cuda *c, int kernel, const union dev_args *a)

#define ONE(name, type, grid)							\
LAUNCH(name) { cuda_go(c, kernel, E_##name, type, grid, &a->name); }
#define FLAT(name, n) ONE(name, a->name.type, cuda_elements(c, (n)))
#define ROWS(name) FLAT(name, a->name.t.cap * a->name.c)
#define OPTIM(name) ONE(name, DTYPE_NONE, cuda_blocks(c, a->name.n, THREADS))
#define MANY(name) LAUNCH(name) { (void)kernel; name(c, &a->name); }

MANY(fill) MANY(copy) MANY(embed) MANY(embed_bwd) MANY(scatter) MANY(rope) MANY(slice)
MANY(rmsnorm_bwd) MANY(layernorm_bwd) MANY(scale_bwd)
MANY(xent) MANY(xent_bwd) MANY(sumsq)
ROWS(add) ROWS(act) ROWS(act_bwd) ROWS(softcap) ROWS(dropout) ROWS(scale)
FLAT(axpby, a->axpby.n)
OPTIM(adamw) OPTIM(lion) OPTIM(momentum) OPTIM(normalize) OPTIM(update) OPTIM(ema) OPTIM(swap)
ONE(cast, DTYPE_NONE, cuda_elements(c, a->cast.n))
ONE(glu, a->glu.type, cuda_rows(c, a->glu.t.cap))
ONE(glu_bwd, a->glu_bwd.type, cuda_rows(c, a->glu_bwd.t.cap))
ONE(rmsnorm, a->rmsnorm.type, cuda_warps(c, a->rmsnorm.t.cap))
ONE(layernorm, a->layernorm.type, cuda_warps(c, a->layernorm.t.cap))
ONE(hadamard, a->hadamard.type,
    cuda_warps(c, cuda_over(a->hadamard.t.cap * a->hadamard.c, a->hadamard.n)))
LAUNCH(guard) { cuda_go(c, kernel, E_guard, DTYPE_NONE, cuda_tiles(1, 1), &a->guard); }
LAUNCH(fake_quant)
{
	const struct k_fake_quant *q = &a->fake_quant;
	int64_t block = dtype_block(q->blocks), n = q->rows * q->c / block;

	if (block == 256)
		cuda_go(c, kernel, E_fake_quant_large, DTYPE_NONE, cuda_rows(c, n), q);
	else
		cuda_go(c, kernel, E_fake_quant_small, DTYPE_NONE, cuda_blocks(c, n, THREADS / 16),
		    q);
}
LAUNCH(matmul) { (void)kernel; cuda_matmul(c, &a->matmul); }
LAUNCH(dot) { dot(c, kernel, &a->dot); }
LAUNCH(bias_bwd)
{
	cuda_sum_columns(c, kernel, E_bias_part, a->bias_bwd.type, a, a->bias_bwd.db, a->bias_bwd.t,
	    a->bias_bwd.c);
}

/* Those that are not here, no device of this kind has. */
static cuda_launcher *const launches[K_COUNT] = {
	[K_FILL] = launch_fill, [K_COPY] = launch_copy, [K_CAST] = launch_cast,
	[K_ADD] = launch_add, [K_AXPBY] = launch_axpby, [K_ACT] = launch_act,
	[K_ACT_BWD] = launch_act_bwd, [K_SOFTCAP] = launch_softcap,
	[K_DROPOUT] = launch_dropout, [K_SCALE] = launch_scale,
	[K_SCALE_BWD] = launch_scale_bwd, [K_GLU] = launch_glu, [K_GLU_BWD] = launch_glu_bwd,
	[K_SLICE] = launch_slice, [K_EMBED] = launch_embed, [K_EMBED_BWD] = launch_embed_bwd,
	[K_SCATTER] = launch_scatter, [K_ROPE] = launch_rope, [K_RMSNORM] = launch_rmsnorm,
	[K_RMSNORM_BWD] = launch_rmsnorm_bwd, [K_LAYERNORM] = launch_layernorm,
	[K_LAYERNORM_BWD] = launch_layernorm_bwd, [K_BIAS_BWD] = launch_bias_bwd,
	[K_MATMUL] = launch_matmul, [K_ATTENTION] = cuda_attention,
	[K_ATTENTION_BWD] = cuda_attention_bwd, [K_XENT] = launch_xent,
	[K_XENT_BWD] = launch_xent_bwd, [K_DOT] = launch_dot, [K_SUMSQ] = launch_sumsq,
	[K_GUARD] = launch_guard, [K_ADAMW] = launch_adamw, [K_LION] = launch_lion,
	[K_MOMENTUM] = launch_momentum, [K_NORMALIZE] = launch_normalize,
	[K_UPDATE] = launch_update, [K_EMA] = launch_ema, [K_SWAP] = launch_swap,
	[K_CONV] = cuda_conv, [K_CONV_BWD] = cuda_conv_bwd, [K_SCAN] = cuda_scan,
	[K_SCAN_BWD] = cuda_scan_bwd, [K_FAKE_QUANT] = launch_fake_quant,
	[K_HADAMARD] = launch_hadamard, [K_ADAFACTOR] = cuda_adafactor,
	[K_COLLECTIVE] = cuda_collective, [K_GROUPED] = cuda_grouped,
	[K_ROUTE] = cuda_route, [K_ROUTE_BWD] = cuda_route_bwd,
	[K_ROUTE_SORT] = cuda_route_sort, [K_ROUTE_SUM] = cuda_route_sum,
	[K_BALANCE] = cuda_balance, [K_BALANCE_BIAS] = cuda_balance_bias,
	[K_COMBINE] = cuda_combine, [K_COMBINE_BWD] = cuda_combine_bwd,
};

void
cuda_launch(struct cuda *c, int kernel, const union dev_args *a)
{
	launches[kernel](c, kernel, a);
}

/* ---- what can be asked before ---- */

int64_t
cuda_column_bytes(struct dim t, int64_t n)
{
	return cuda_over(t.cap, COLUMN_ROWS) * n * (int64_t)sizeof(float);
}

static int64_t
column_bytes(dptr to, struct dim t, int64_t n)
{
	return to.at != 0 ? cuda_column_bytes(t, n) : 0;
}

int64_t
cuda_scratch_bytes(struct cuda *c, int kernel, const union dev_args *a)
{
	switch (kernel) {
	case K_EMBED_BWD:
		return a->embed_bwd.sumsq.at != 0 ? a->embed_bwd.v * (int64_t)sizeof(double) : 0;
	case K_BIAS_BWD:
		return column_bytes(a->bias_bwd.db, a->bias_bwd.t, a->bias_bwd.c);
	case K_RMSNORM_BWD:
		return column_bytes(a->rmsnorm_bwd.dw, a->rmsnorm_bwd.t, a->rmsnorm_bwd.c);
	case K_LAYERNORM_BWD:
		return column_bytes(a->layernorm_bwd.dw.at != 0 ? a->layernorm_bwd.dw :
		    a->layernorm_bwd.db, a->layernorm_bwd.t, a->layernorm_bwd.c);
	case K_SCALE_BWD:
		return column_bytes(a->scale_bwd.dw, a->scale_bwd.f.t, a->scale_bwd.f.c);
	case K_MATMUL:
		return cuda_matmul_bytes(c, &a->matmul);
	case K_ATTENTION:
		return cuda_attention_bytes(&a->attention);
	case K_DOT:
		return cuda_over(a->dot.n.cap, SUM_PART) * (int64_t)sizeof(double);
	case K_SUMSQ:
		return cuda_over(a->sumsq.n, SUM_PART) * (int64_t)sizeof(double);
	case K_ADAFACTOR:
		return cuda_adafactor_bytes(&a->adafactor);
	case K_CONV_BWD: case K_SCAN_BWD:
		return cuda_scan_bytes(kernel, a);
	case K_GROUPED: case K_ROUTE_BWD: case K_ROUTE_SORT: case K_ROUTE_SUM:
		return cuda_moe_bytes(c, kernel, a);
	default:
		return 0;
	}
}

/* A type of blocks that a kernel of this device does not read, or NONE. */
static dtype
blocks_of(int kernel, const union dev_args *a)
{
	dtype t;

	switch (kernel) {
	case K_EMBED:		t = a->embed.w_type; break;
	case K_MATMUL:		t = a->matmul.b_type; break;
	case K_GROUPED:		t = a->grouped.p.b_type; break;
	default:		t = DTYPE_NONE;
	}
	return t == DTYPE_NONE || dtype_block(t) == 1 || cuda_has_blocks(t) ? DTYPE_NONE : t;
}

int
cuda_check(const struct cuda *c, int kernel, const union dev_args *a, struct err *err)
{
	dtype t;

	if (kernel < 0 || kernel >= K_COUNT || launches[kernel] == NULL)
		return err_set(err, ERR_DEVICE, "%s: no kernel on %s yet: use -d cpu",
		    dev_kernel_name(kernel), c->dev.info.name);
	if (dev_serves(c->dev.info.name, kernel, a, err) < 0)
		return -1;
	t = blocks_of(kernel, a);
	if (t != DTYPE_NONE)
		return err_set(err, ERR_DEVICE, "%s: no kernel for %s on %s yet: use -d cpu",
		    dev_kernel_name(kernel), dtype_name(t), c->dev.info.name);
	return 0;
}
