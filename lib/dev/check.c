#include "dev/check.h"

static int
bad_type(const char *device, int kernel, dtype t, struct err *err)
{
	return err_set(err, ERR_DEVICE, "%s: no kernel for %s on %s", dev_kernel_name(kernel),
	    dtype_name(t), device);
}

static int
bad_shape(int kernel, const char *why, struct err *err)
{
	return err_set(err, ERR_ARG, "%s: %s", dev_kernel_name(kernel), why);
}

static bool
is_float(dtype t)
{
	return t == DTYPE_F64 || t == DTYPE_F32 || t == DTYPE_F16 || t == DTYPE_BF16;
}

/* Of activations, keys and values. */
static bool
is_active(dtype t)
{
	return t == DTYPE_F32 || t == DTYPE_BF16 || t == DTYPE_F16;
}

static bool
is_cached(dtype t)
{
	return is_active(t) || t == DTYPE_Q8_0 || t == DTYPE_Q4_0;
}

static int
check_scatter(const char *device, const struct k_scatter *a, struct err *err)
{
	dtype to = a->y_type == DTYPE_NONE ? a->type : a->y_type;
	int64_t parts = a->parts > 0 ? a->parts : 1;

	if (!is_cached(to))
		return bad_type(device, K_SCATTER, to, err);
	if (a->c % (parts * dtype_block(to)) != 0)
		return bad_shape(K_SCATTER, "parts of rows are no whole blocks", err);
	if (a->block_size > 0 && a->rows % a->block_size != 0)
		return bad_shape(K_SCATTER, "rows are no whole blocks", err);
	return 0;
}

static int
check_hadamard(const struct k_hadamard *a, struct err *err)
{
	if (a->n < 1 || a->n > HADAMARD_MAX || (a->n & (a->n - 1)) != 0)
		return bad_shape(K_HADAMARD, "n is no power of two up to 1024", err);
	if (a->c % a->n != 0)
		return bad_shape(K_HADAMARD, "rows are no whole parts of n", err);
	return 0;
}

static int
check_attention(const char *device, int kernel, const struct k_attention *a, struct err *err)
{
	int64_t each = dtype_block(a->kv_type);

	if (a->block_table.at != 0 ? !is_cached(a->kv_type) : !is_active(a->kv_type))
		return bad_type(device, kernel, a->kv_type, err);
	if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads != 0)
		return bad_shape(kernel, "heads are no multiple of kv_heads", err);
	if (a->d_qk < 1 || a->d_v < 1 || a->d_qk > 1024 || a->d_v > 1024)
		return bad_shape(kernel, "head size outside 1..1024", err);
	if (a->ldq < a->heads * a->d_qk || a->ldk < a->kv_heads * a->d_qk ||
	    a->ldv < a->kv_heads * a->d_v || a->ldo < a->heads * a->d_v)
		return bad_shape(kernel, "rows overlap", err);
	if (a->block_table.at != 0 && (a->key_len.at == 0 || a->block_size < 1))
		return bad_shape(kernel, "a block table without lengths or block size", err);
	if (a->block_table.at != 0 && (a->ldk % (a->kv_heads * each) != 0 ||
	    a->ldv % (a->kv_heads * each) != 0 || a->d_qk % each != 0 || a->d_v % each != 0))
		return bad_shape(kernel, "heads are no whole blocks of a cache", err);
	if (a->bias.at != 0 && (a->block_table.at == 0 || kernel == K_ATTENTION_BWD))
		return bad_shape(kernel, "a bias without a block table, or backward", err);
	if (kernel == K_ATTENTION_BWD && a->key_len.at != 0)
		return bad_shape(kernel, "no gradient through a cache", err);
	return 0;
}

/* b of blocks: rows of whole ones, and products that need no gradient of it. */
static int
check_blocks(int kernel, const struct k_matmul *a, struct err *err)
{
	int64_t block = dtype_block(a->b_type);

	if (a->ta || a->k.n.at != 0)
		return bad_shape(kernel, "quantized weights have no gradient", err);
	if ((a->tb ? a->k.cap : a->n) % block != 0 || a->ldb % block != 0)
		return bad_shape(kernel, "rows of quantized weights are not whole blocks", err);
	return 0;
}

static int
check_matmul(const char *device, int kernel, const struct k_matmul *a, struct err *err)
{
	if (!is_active(a->c_type))
		return bad_type(device, kernel, a->c_type, err);
	if (!is_active(a->a_type))
		return bad_type(device, kernel, a->a_type, err);
	if (!is_active(a->b_type) && dtype_block(a->b_type) == 1)
		return bad_type(device, kernel, a->b_type, err);
	if (dtype_block(a->b_type) > 1 && check_blocks(kernel, a, err) < 0)
		return -1;
	if (a->m.n.at != 0 && a->k.n.at != 0)
		return bad_shape(kernel, "both m and k vary", err);
	if (a->sumsq.at != 0 && (a->c_type != DTYPE_F32 || dtype_block(a->b_type) > 1 ||
	    kernel != K_MATMUL))
		return bad_shape(kernel, "no squares of these are summed", err);
	if (a->lda < (a->ta ? a->m.cap : a->k.cap) || a->ldc < a->n ||
	    a->ldb < (a->tb ? a->k.cap : a->n))
		return bad_shape(kernel, "rows overlap", err);
	return 0;
}

static int
check_grouped(const char *device, const struct k_grouped *a, struct err *err)
{
	const struct k_matmul *p = &a->p;
	int64_t rows = p->ta ? p->m.cap : p->tb ? p->n : p->k.cap, ld = p->ta ? p->ldc : p->ldb;

	if (a->groups < 1)
		return bad_shape(K_GROUPED, "no groups", err);
	if (a->offset.at == 0 && (p->ta || a->step_a < p->k.cap || a->step_c < p->n ||
	    p->lda < (a->groups - 1) * a->step_a + p->k.cap ||
	    p->ldc < (a->groups - 1) * a->step_c + p->n))
		return bad_shape(K_GROUPED, "heads overlap", err);
	if (p->bias.at != 0)
		return bad_shape(K_GROUPED, "no bias of groups", err);
	if ((p->ta ? p->m.n.at : p->k.n.at) != 0)
		return bad_shape(K_GROUPED, "the wrong side varies", err);
	if (a->stride < (rows - 1) * ld + (p->ta || !p->tb ? p->n : p->k.cap))
		return bad_shape(K_GROUPED, "matrices overlap", err);
	if (a->stride % dtype_block(p->b_type) != 0)
		return bad_shape(K_GROUPED, "quantized matrices are not whole blocks", err);
	return check_matmul(device, K_GROUPED, p, err);
}

static int
check_embed(const char *device, const struct k_embed *a, struct err *err)
{
	if (a->w_type == DTYPE_NONE || is_active(a->w_type))
		return 0;
	if (dtype_block(a->w_type) == 1)
		return bad_type(device, K_EMBED, a->w_type, err);
	if (a->c % dtype_block(a->w_type) != 0)
		return bad_shape(K_EMBED, "rows of a quantized table are not whole blocks", err);
	return 0;
}

static int
check_rope(const struct k_rope *a, struct err *err)
{
	if (a->rot < 0 || a->rot > a->d || a->rot % 2 != 0)
		return bad_shape(K_ROPE, "rot is odd or larger than d", err);
	if (a->to_halves && a->rot > 1024)
		return bad_shape(K_ROPE, "more than 1024 elements change places", err);
	if (a->ldx < a->heads * a->d || a->ldy < a->heads * a->d)
		return bad_shape(K_ROPE, "rows overlap", err);
	return 0;
}

static int
check_conv(int kernel, const struct k_conv *a, struct err *err)
{
	if (a->width < 1 || a->width > CONV_WIDTH)
		return bad_shape(kernel, "width outside 1..8", err);
	if (a->ldx < a->c)
		return bad_shape(kernel, "rows overlap", err);
	if (a->state.at != 0 && (a->slot.at == 0 || a->pos.at == 0 || kernel == K_CONV_BWD))
		return bad_shape(kernel, "state without slots and positions, or backward", err);
	return 0;
}

static int
check_scan(int kernel, const struct k_scan *a, struct err *err)
{
	if (a->n < 1 || a->n > SCAN_STATES)
		return bad_shape(kernel, "states outside 1..128", err);
	if (a->ldx < a->c || a->ldz < a->c)
		return bad_shape(kernel, "rows overlap", err);
	if (a->state.at != 0 && (a->slot.at == 0 || a->pos.at == 0 || kernel == K_SCAN_BWD))
		return bad_shape(kernel, "state without slots and positions, or backward", err);
	if (kernel == K_SCAN_BWD && a->saved.at == 0)
		return bad_shape(kernel, "no states were saved", err);
	return 0;
}

static int
check_route(int kernel, const struct k_route *a, struct err *err)
{
	if (a->experts < 1 || a->experts > ROUTE_MAX_EXPERTS)
		return bad_shape(kernel, "experts outside 1..1024", err);
	if (a->groups < 1 || a->experts % a->groups != 0 || a->top_groups < 1 ||
	    a->top_groups > a->groups)
		return bad_shape(kernel, "groups do not fit the experts", err);
	if (a->top < 1 || a->top > a->top_groups * (a->experts / a->groups))
		return bad_shape(kernel, "more experts a token than there are", err);
	return 0;
}

static int
check_route_sort(const struct k_route_sort *a, struct err *err)
{
	if (a->experts < 1 || a->experts > ROUTE_MAX_EXPERTS)
		return bad_shape(K_ROUTE_SORT, "experts outside 1..1024", err);
	if (a->top < 1 || a->t.cap > INT32_MAX / a->top)
		return bad_shape(K_ROUTE_SORT, "too many assignments", err);
	return 0;
}

static int
check_update(const char *device, int kernel, dptr p_out, dtype p_type, dtype moments,
    struct err *err)
{
	if (p_out.at != 0 && p_type != DTYPE_F32 && p_type != DTYPE_BF16 && p_type != DTYPE_F16)
		return bad_type(device, kernel, p_type, err);
	if (moments != DTYPE_F32 && moments != DTYPE_BF16 && moments != DTYPE_U8)
		return bad_type(device, kernel, moments, err);
	return 0;
}

/* The type that decides, for kernels that have one. */
static dtype
main_type(int kernel, const union dev_args *a)
{
	switch (kernel) {
	case K_FILL:		return a->fill.type;
	case K_ADD:		return a->add.type;
	case K_AXPBY:		return a->axpby.type;
	case K_EMBED:		return a->embed.type;
	case K_EMBED_BWD:	return a->embed_bwd.type;
	case K_SCATTER:		return a->scatter.type;
	case K_BIAS_BWD:	return a->bias_bwd.type;
	case K_RMSNORM:		return a->rmsnorm.type;
	case K_RMSNORM_BWD:	return a->rmsnorm_bwd.type;
	case K_LAYERNORM:	return a->layernorm.type;
	case K_LAYERNORM_BWD:	return a->layernorm_bwd.type;
	case K_ROPE:		return a->rope.type;
	case K_HADAMARD:	return a->hadamard.type;
	case K_ATTENTION:	return a->attention.type;
	case K_ATTENTION_BWD:	return a->attention_bwd.f.type;
	case K_ACT:		return a->act.type;
	case K_SOFTCAP:		return a->softcap.type;
	case K_ACT_BWD:		return a->act_bwd.type;
	case K_GLU:		return a->glu.type;
	case K_GLU_BWD:		return a->glu_bwd.type;
	case K_DROPOUT:		return a->dropout.type;
	case K_FAKE_QUANT:	return a->fake_quant.type;
	case K_XENT:		return a->xent.type;
	case K_XENT_BWD:	return a->xent_bwd.type;
	case K_CONV:		return a->conv.type;
	case K_CONV_BWD:	return a->conv_bwd.f.type;
	case K_SCAN:		return a->scan.type;
	case K_SCAN_BWD:	return a->scan_bwd.f.type;
	case K_DOT:		return a->dot.type;
	case K_SUMSQ:		return a->sumsq.type;
	case K_ROUTE:		return a->route.type;
	case K_ROUTE_BWD:	return a->route_bwd.f.type;
	case K_ROUTE_SUM:	return a->route_sum.type;
	case K_COMBINE:		return a->combine.type;
	case K_COMBINE_BWD:	return a->combine_bwd.type;
	case K_SLICE:		return a->slice.type;
	case K_SCALE:		return a->scale.type;
	case K_SCALE_BWD:	return a->scale_bwd.f.type;
	default:		return DTYPE_F32;
	}
}

/* Routing is wide; all else takes every type of activations. */
static bool
serves(int kernel, dtype t)
{
	if (kernel == K_FILL)
		return is_float(t) || t == DTYPE_I32;
	if (kernel == K_FAKE_QUANT)
		return t == DTYPE_F32;
	if (kernel == K_ROUTE || kernel == K_ROUTE_BWD || kernel == K_ROUTE_SUM)
		return t == DTYPE_F32;
	return is_active(t);
}

int
dev_serves(const char *device, int kernel, const union dev_args *a, struct err *err)
{
	dtype t = main_type(kernel, a);

	if (!serves(kernel, t))
		return bad_type(device, kernel, t, err);
	switch (kernel) {
	case K_EMBED:
		return check_embed(device, &a->embed, err);
	case K_EMBED_BWD:
		if (a->embed_bwd.dw_type != DTYPE_NONE && (a->embed_bwd.dw_type != t ||
		    a->embed_bwd.sumsq.at != 0))
			return bad_type(device, kernel, a->embed_bwd.dw_type, err);
		return 0;
	case K_FAKE_QUANT:
		if (dtype_block(a->fake_quant.blocks) == 1 ||
		    a->fake_quant.c % dtype_block(a->fake_quant.blocks) != 0)
			return bad_shape(kernel, "rows are no whole blocks", err);
		return 0;
	case K_DROPOUT:
		if (!(a->dropout.p >= 0 && a->dropout.p < 1))
			return bad_shape(kernel, "p is outside [0, 1)", err);
		if (a->dropout.c < 1 || a->dropout.t.cap > ((int64_t)1 << 32) / a->dropout.c)
			return bad_shape(kernel, "more than 2^32 elements", err);
		return 0;
	case K_SCATTER:
		return check_scatter(device, &a->scatter, err);
	case K_HADAMARD:
		return check_hadamard(&a->hadamard, err);
	case K_CAST:
		if (!is_float(a->cast.x_type))
			return bad_type(device, kernel, a->cast.x_type, err);
		if (!is_float(a->cast.y_type))
			return bad_type(device, kernel, a->cast.y_type, err);
		return 0;
	case K_MATMUL:
		return check_matmul(device, kernel, &a->matmul, err);
	case K_GROUPED:
		return check_grouped(device, &a->grouped, err);
	case K_ATTENTION:
		return check_attention(device, kernel, &a->attention, err);
	case K_ATTENTION_BWD:
		return check_attention(device, kernel, &a->attention_bwd.f, err);
	case K_ROPE:
		return check_rope(&a->rope, err);
	case K_CONV:
		return check_conv(kernel, &a->conv, err);
	case K_CONV_BWD:
		return check_conv(kernel, &a->conv_bwd.f, err);
	case K_SCAN:
		return check_scan(kernel, &a->scan, err);
	case K_SCAN_BWD:
		return check_scan(kernel, &a->scan_bwd.f, err);
	case K_ROUTE:
		return check_route(kernel, &a->route, err);
	case K_ROUTE_BWD:
		return check_route(kernel, &a->route_bwd.f, err);
	case K_ROUTE_SORT:
		return check_route_sort(&a->route_sort, err);
	case K_ADAMW:
		return check_update(device, kernel, a->adamw.p_out, a->adamw.p_type,
		    a->adamw.moments, err);
	case K_LION:
		return check_update(device, kernel, a->lion.p_out, a->lion.p_type,
		    a->lion.moments, err);
	case K_ADAFACTOR:
		return check_update(device, kernel, a->adafactor.p_out, a->adafactor.p_type,
		    DTYPE_F32, err);
	case K_MOMENTUM:
		return check_update(device, kernel, (dptr){ 0 }, DTYPE_F32, a->momentum.moments,
		    err);
	case K_UPDATE:
		return check_update(device, kernel, a->update.p_out, a->update.p_type, DTYPE_F32,
		    err);
	case K_COLLECTIVE:
		if (!is_float(a->collective.type) && a->collective.type != DTYPE_I32)
			return bad_type(device, kernel, a->collective.type, err);
		return 0;
	case K_SWAP:
		return check_update(device, kernel, a->swap.p_out, a->swap.p_type, DTYPE_F32, err);
	default:
		return 0;
	}
}
