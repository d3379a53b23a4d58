#include "dev/cuda/cuda.h"

#include <stdio.h>

#include "dev/check.h"

/* How each launch is cut into blocks, and what it needs beside its arguments. */

enum { THREADS = 256, WARPS = THREADS / 32, TILE = 64 };	/* common.cuh, matmul.cu */

/* ---- entries ---- */

#define X(name) [E_##name] = #name,
static const char *const entry_names[E_COUNT] = { CUDA_ENTRIES(X) };
#undef X

/* Of a type in names and tables; NONE: no template. */
static int
type_index(dtype type)
{
	return type == DTYPE_F32 ? 1 : type == DTYPE_BF16 ? 2 : type == DTYPE_F16 ? 3 : 0;
}

static CUfunction
function(struct cuda *c, enum cuda_entry entry, dtype type)
{
	static const char *const suffix[] = { "", "_f32", "_bf16", "_f16" };
	CUfunction *fn = &c->fn[entry][type_index(type)];
	CUresult r = CUDA_ERROR_NOT_FOUND;
	char name[64];

	snprintf(name, sizeof(name), "%s%s", entry_names[entry], suffix[type_index(type)]);
	for (int i = 0; *fn == NULL && i < c->n_modules && r == CUDA_ERROR_NOT_FOUND; i++)
		r = c->drv.cuModuleGetFunction(fn, c->module[i], name);
	if (*fn == NULL)
		cuda_ok(c, r, name);
	return *fn;
}

struct grid {
	int64_t	x, y;
};

/* Queue one kernel, of its own arguments and a struct cuda_run; none where it has no blocks. */
static void
go(struct cuda *c, int kernel, enum cuda_entry entry, dtype type, struct grid g, const void *args)
{
	struct cuda_run run = { c->note, c->scratch, kernel };
	void *params[] = { (void *)(uintptr_t)args, &run };
	CUfunction fn;

	if (g.x <= 0 || g.y <= 0 || c->failed || (fn = function(c, entry, type)) == NULL)
		return;
	cuda_ok(c, c->drv.cuLaunchKernel(fn, (unsigned)g.x, (unsigned)g.y, 1, THREADS, 1, 1, 0,
	    c->stream, params, NULL), dev_kernel_name(kernel));
}

static int64_t
over(int64_t n, int64_t each)
{
	return (n + each - 1) / each;
}

/* Blocks for n items, each so many to a block; the rest comes by steps. */
static struct grid
blocks(const struct cuda *c, int64_t n, int64_t each)
{
	int64_t most = (int64_t)c->processors * 16, want = over(n, each);

	return (struct grid){ want < most ? want : most, 1 };
}

/* Elements, of which a thread takes 16 bytes at a time. */
static struct grid
elements(const struct cuda *c, int64_t n)
{
	return blocks(c, n, (int64_t)THREADS * 4);
}

static struct grid
rows(const struct cuda *c, int64_t n)
{
	return blocks(c, n, 1);
}

static struct grid
warps(const struct cuda *c, int64_t n)
{
	return blocks(c, n, WARPS);
}

/* ---- what several kernels need ---- */

/* Are indices in their range?  Those that are not are told by dev_wait(). */
static void
check_index(struct cuda *c, int kernel, int what, dptr x, struct dim t, int64_t least,
    int64_t limit)
{
	struct cuda_index i = { .x = x, .t = t, .rows = t.cap, .least = least, .limit = limit,
		.what = what };

	if (x.at != 0)
		go(c, kernel, E_index_check, DTYPE_NONE, (struct grid){ t.cap > 0, 1 }, &i);
}

/* to += sums of columns: entry makes those of chunks of rows, in scratch. */
static void
sum_columns(struct cuda *c, int kernel, enum cuda_entry entry, dtype type, const void *args,
    dptr to, struct dim t, int64_t n)
{
	struct cuda_columns add = { to, c->scratch, t, n };

	if (to.at == 0)
		return;
	go(c, kernel, entry, type, (struct grid){ over(n, 32), over(t.cap, COLUMN_ROWS) }, args);
	go(c, kernel, E_columns_add, DTYPE_NONE, blocks(c, n, THREADS), &add);
}

/* out [+]= the parts in scratch, of n elements, one of each so many */
static void
add_parts(struct cuda *c, int kernel, dptr out, struct dim n, int64_t each, bool add)
{
	struct cuda_parts p = { out, c->scratch, n, each, add };

	go(c, kernel, E_parts_add, DTYPE_NONE, (struct grid){ 1, 1 }, &p);
}

/* ---- kernels ---- */

static void
fill(struct cuda *c, const struct k_fill *a)
{
	if (a->value == 0 && a->n > 0)
		CUDA_CALL(c, cuMemsetD8Async, a->y.at, 0,
		    (size_t)(a->n * dtype_size(a->type)), c->stream);
	else
		go(c, K_FILL, E_fill, DTYPE_NONE, blocks(c, a->n, THREADS), a);
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
	check_index(c, K_EMBED, NOTE_ID, a->id, a->t, 0, a->v);
	go(c, K_EMBED, E_embed, a->type, rows(c, a->t.cap), a);
}

static void
embed_bwd(struct cuda *c, const struct k_embed_bwd *a)
{
	check_index(c, K_EMBED_BWD, NOTE_ID, a->id, a->t, 0, a->v);
	go(c, K_EMBED_BWD, E_embed_bwd, a->type, (struct grid){ a->t.cap > 0 ? a->v : 0, 1 }, a);
	if (a->sumsq.at != 0 && a->t.cap > 0)
		add_parts(c, K_EMBED_BWD, a->sumsq, (struct dim){ .cap = a->v }, 1, true);
}

static void
scatter(struct cuda *c, const struct k_scatter *a)
{
	check_index(c, K_SCATTER, NOTE_SLOT, a->slot, a->t, INT32_MIN, a->rows);
	go(c, K_SCATTER, E_scatter, a->type, rows(c, a->t.cap), a);
}

static void
rope(struct cuda *c, const struct k_rope *a)
{
	check_index(c, K_ROPE, NOTE_POSITION, a->pos, a->t, 0, a->positions);
	go(c, K_ROPE, E_rope, a->type, warps(c, a->t.cap * a->heads), a);
}

/* Sums of columns come first: dx may take the place of what they read. */
static void
rmsnorm_bwd(struct cuda *c, const struct k_rmsnorm_bwd *a)
{
	sum_columns(c, K_RMSNORM_BWD, E_rmsnorm_dw, a->type, a, a->dw, a->t, a->c);
	go(c, K_RMSNORM_BWD, E_rmsnorm_dx, a->type, warps(c, a->t.cap), a);
}

static void
layernorm_bwd(struct cuda *c, const struct k_layernorm_bwd *a)
{
	const struct k_bias_bwd b = { a->db, a->dy, a->type, a->t, a->c };

	sum_columns(c, K_LAYERNORM_BWD, E_layernorm_dw, a->type, a, a->dw, a->t, a->c);
	sum_columns(c, K_LAYERNORM_BWD, E_bias_part, a->type, &b, a->db, a->t, a->c);
	go(c, K_LAYERNORM_BWD, E_layernorm_dx, a->type, warps(c, a->t.cap), a);
}

static void
scale_bwd(struct cuda *c, const struct k_scale_bwd *a)
{
	sum_columns(c, K_SCALE_BWD, E_scale_dw, a->f.type, a, a->dw, a->f.t, a->f.c);
	if (a->dx.at != 0)
		go(c, K_SCALE_BWD, E_scale_dx, a->f.type, elements(c, a->f.t.cap * a->f.c), a);
}

static void
slice(struct cuda *c, const struct k_slice *a)
{
	int64_t heads = a->stepy == 0 ? 1 : a->heads;

	go(c, K_SLICE, E_slice, a->type, blocks(c, a->t.cap * heads * a->c, THREADS), a);
}

/* Targets of a chunk; those below 0 are none. */
static void
check_targets(struct cuda *c, int kernel, const struct k_xent *a)
{
	struct cuda_index i = { .x = a->target, .t = a->t, .from = a->row0, .rows = a->rows,
		.least = INT32_MIN, .limit = a->v, .what = NOTE_TARGET };

	if (a->target.at != 0)
		go(c, kernel, E_index_check, DTYPE_NONE, (struct grid){ 1, 1 }, &i);
}

/* Tensor cores take two operands of their types; the rest is fp32. */
static void
matmul(struct cuda *c, const struct k_matmul *a)
{
	struct grid g = { over(a->n, TILE), over(a->m.cap, TILE) };
	bool half = a->a_type == a->b_type && a->a_type != DTYPE_F32;

	go(c, K_MATMUL, E_matmul, half ? a->a_type : DTYPE_NONE, g, a);
	if (a->sumsq.at != 0 && g.x * g.y > 0)
		add_parts(c, K_MATMUL, a->sumsq, (struct dim){ .cap = g.x * g.y }, 1, true);
}

static void
attention_bwd(struct cuda *c, const struct k_attention_bwd *a)
{
	struct grid queries = warps(c, a->f.t.cap * a->f.heads);

	go(c, K_ATTENTION_BWD, E_attention_delta, a->f.type, queries, a);
	go(c, K_ATTENTION_BWD, E_attention_dq, a->f.type, queries, a);
	go(c, K_ATTENTION_BWD, E_attention_dkv, a->f.type, warps(c, a->f.t.cap * a->f.kv_heads), a);
}

static void
xent(struct cuda *c, const struct k_xent *a)
{
	check_targets(c, K_XENT, a);
	go(c, K_XENT, E_xent, DTYPE_NONE, rows(c, a->rows), a);
}

static void
xent_bwd(struct cuda *c, const struct k_xent_bwd *a)
{
	check_targets(c, K_XENT_BWD, &a->f);
	go(c, K_XENT_BWD, E_xent_bwd, DTYPE_NONE, rows(c, a->f.rows), a);
}

static void
dot(struct cuda *c, int kernel, const struct k_dot *a)
{
	go(c, kernel, E_dot_part, a->type, rows(c, over(a->n.cap, SUM_PART)), a);
	add_parts(c, kernel, a->out, a->n, SUM_PART, a->add);
}

static void
sumsq(struct cuda *c, const struct k_sumsq *a)
{
	const struct k_dot d = { a->out, a->x, a->x, a->type, { .cap = a->n }, true };

	dot(c, K_SUMSQ, &d);
}

void
cuda_launch(struct cuda *c, int kernel, const union dev_args *a)
{
#define FLAT(NAME, name, n) case NAME:						\
	go(c, kernel, E_##name, a->name.type, elements(c, (n)), &a->name); break
#define ROWS(NAME, name) FLAT(NAME, name, a->name.t.cap * a->name.c)
#define OPTIM(NAME, name) case NAME:						\
	go(c, kernel, E_##name, DTYPE_NONE, blocks(c, a->name.n, THREADS), &a->name); break

	switch (kernel) {
	case K_FILL:		fill(c, &a->fill); break;
	case K_COPY:		copy(c, &a->copy); break;
	case K_CAST:
		go(c, kernel, E_cast, DTYPE_NONE, elements(c, a->cast.n), &a->cast);
		break;
	ROWS(K_ADD, add);
	FLAT(K_AXPBY, axpby, a->axpby.n);
	ROWS(K_ACT, act);
	ROWS(K_ACT_BWD, act_bwd);
	ROWS(K_SOFTCAP, softcap);
	ROWS(K_DROPOUT, dropout);
	ROWS(K_SCALE, scale);
	case K_SCALE_BWD:	scale_bwd(c, &a->scale_bwd); break;
	case K_GLU:
		go(c, kernel, E_glu, a->glu.type, rows(c, a->glu.t.cap), &a->glu);
		break;
	ROWS(K_GLU_BWD, glu_bwd);
	case K_SLICE:		slice(c, &a->slice); break;
	case K_EMBED:		embed(c, &a->embed); break;
	case K_EMBED_BWD:	embed_bwd(c, &a->embed_bwd); break;
	case K_SCATTER:		scatter(c, &a->scatter); break;
	case K_ROPE:		rope(c, &a->rope); break;
	case K_RMSNORM:
		go(c, kernel, E_rmsnorm, a->rmsnorm.type, warps(c, a->rmsnorm.t.cap), &a->rmsnorm);
		break;
	case K_RMSNORM_BWD:	rmsnorm_bwd(c, &a->rmsnorm_bwd); break;
	case K_LAYERNORM:
		go(c, kernel, E_layernorm, a->layernorm.type, warps(c, a->layernorm.t.cap),
		    &a->layernorm);
		break;
	case K_LAYERNORM_BWD:	layernorm_bwd(c, &a->layernorm_bwd); break;
	case K_BIAS_BWD:
		sum_columns(c, kernel, E_bias_part, a->bias_bwd.type, a, a->bias_bwd.db,
		    a->bias_bwd.t, a->bias_bwd.c);
		break;
	case K_MATMUL:		matmul(c, &a->matmul); break;
	case K_ATTENTION:
		go(c, kernel, E_attention, a->attention.type,
		    warps(c, a->attention.t.cap * a->attention.heads), &a->attention);
		break;
	case K_ATTENTION_BWD:	attention_bwd(c, &a->attention_bwd); break;
	case K_XENT:		xent(c, &a->xent); break;
	case K_XENT_BWD:	xent_bwd(c, &a->xent_bwd); break;
	case K_DOT:		dot(c, kernel, &a->dot); break;
	case K_SUMSQ:		sumsq(c, &a->sumsq); break;
	case K_GUARD:
		go(c, kernel, E_guard, DTYPE_NONE, (struct grid){ 1, 1 }, &a->guard);
		break;
	OPTIM(K_ADAMW, adamw);
	OPTIM(K_LION, lion);
	OPTIM(K_MOMENTUM, momentum);
	OPTIM(K_NORMALIZE, normalize);
	OPTIM(K_UPDATE, update);
	OPTIM(K_EMA, ema);
	OPTIM(K_SWAP, swap);
	}
#undef FLAT
#undef ROWS
#undef OPTIM
}

/* ---- what can be asked before ---- */

/* Of sums of columns. */
static int64_t
column_bytes(dptr to, struct dim t, int64_t n)
{
	return to.at != 0 ? over(t.cap, COLUMN_ROWS) * n * (int64_t)sizeof(float) : 0;
}

int64_t
cuda_scratch_bytes(int kernel, const union dev_args *a)
{
	switch (kernel) {
	case K_EMBED_BWD:
		return a->embed_bwd.sumsq.at != 0 ? a->embed_bwd.v * (int64_t)sizeof(double) : 0;
	case K_BIAS_BWD:
		return column_bytes(a->bias_bwd.db, a->bias_bwd.t, a->bias_bwd.c);
	case K_RMSNORM_BWD:
		return column_bytes(a->rmsnorm_bwd.dw, a->rmsnorm_bwd.t, a->rmsnorm_bwd.c);
	case K_LAYERNORM_BWD:
		return column_bytes(a->layernorm_bwd.dx, a->layernorm_bwd.t, a->layernorm_bwd.c);
	case K_SCALE_BWD:
		return column_bytes(a->scale_bwd.dw, a->scale_bwd.f.t, a->scale_bwd.f.c);
	case K_MATMUL:
		return a->matmul.sumsq.at == 0 ? 0 : over(a->matmul.n, TILE) *
		    over(a->matmul.m.cap, TILE) * (int64_t)sizeof(double);
	case K_DOT:
		return over(a->dot.n.cap, SUM_PART) * (int64_t)sizeof(double);
	case K_SUMSQ:
		return over(a->sumsq.n, SUM_PART) * (int64_t)sizeof(double);
	default:
		return 0;
	}
}

/* Is there a kernel?  The table has more than these. */
static bool
is_there(int kernel)
{
	switch (kernel) {
	case K_GROUPED: case K_HADAMARD: case K_CONV: case K_CONV_BWD: case K_SCAN:
	case K_SCAN_BWD: case K_ADAFACTOR: case K_ROUTE: case K_ROUTE_BWD: case K_ROUTE_SORT:
	case K_ROUTE_SUM: case K_BALANCE: case K_BALANCE_BIAS: case K_COMBINE:
	case K_COMBINE_BWD: case K_FAKE_QUANT:
		return false;
	default:
		return kernel >= 0 && kernel < K_COUNT;
	}
}

/* A type of blocks that a kernel of this device does not read or write, or NONE. */
static dtype
blocks_of(int kernel, const union dev_args *a)
{
	dtype t;

	switch (kernel) {
	case K_EMBED:		t = a->embed.w_type; break;
	case K_SCATTER:		t = a->scatter.y_type; break;
	case K_MATMUL:		t = a->matmul.b_type; break;
	case K_ATTENTION:	t = a->attention.kv_type; break;
	default:		t = DTYPE_NONE;
	}
	return t != DTYPE_NONE && dtype_block(t) > 1 ? t : DTYPE_NONE;
}

int
cuda_check(const struct cuda *c, int kernel, const union dev_args *a, struct err *err)
{
	dtype t;

	if (!is_there(kernel))
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
