#include "dev/cost.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* int32 from the device, or false. */
static bool
fetch(struct dev *dev, dptr at, int32_t *to, int64_t n)
{
	struct err err;

	if (dev == NULL || at.at == 0)
		return false;
	dev_download(dev, to, at, n * (int64_t)sizeof(*to));
	return dev_wait(dev, &err) == 0;
}

static double
count(struct dev *dev, struct dim d)
{
	int32_t n;

	if (!fetch(dev, d.n, &n, 1))
		return (double)d.cap;
	return (double)n * (double)(d.each > 0 ? d.each : 1);
}

static double
size(dtype t)
{
	if (t == DTYPE_NONE)
		t = DTYPE_F32;
	return (double)dtype_bytes(t, dtype_block(t)) / dtype_block(t);
}

/* Of what is wide beside activations of this type. */
static double
wide(dtype t)
{
	return t == DTYPE_F64 ? 8 : 4;
}

static void
matmul(struct dev *dev, const struct k_matmul *p, double groups, struct dev_cost *cost)
{
	double m = count(dev, p->m), k = count(dev, p->k), n = (double)p->n;

	cost->flops = 2 * m * n * k;
	cost->bytes = m * k * size(p->a_type) + k * n * size(p->b_type) * (p->ta ? 1 : groups) +
	    m * n * size(p->c_type) * (p->add ? 2 : 1) * (p->ta ? groups : 1);
	/* As a linear layer's: from its inputs to its outputs. */
	if (p->ta)
		snprintf(cost->shape, sizeof(cost->shape), "dw %" PRId64 "x%" PRId64, p->m.cap,
		    p->n);
	else
		snprintf(cost->shape, sizeof(cost->shape), "%s %" PRId64 "x%" PRId64,
		    p->tb ? "y" : "dx", p->tb ? p->n : p->k.cap, p->tb ? p->k.cap : p->n);
}

static void
grouped(struct dev *dev, const struct k_grouped *a, struct dev_cost *cost)
{
	double heads = a->offset.at == 0 ? (double)a->groups : 1;

	matmul(dev, &a->p, heads > 1 ? 1 : (double)a->groups, cost);
	cost->flops *= heads;
	cost->bytes *= heads;
}

/* Keys that the queries of a sequence see: queries stand at the end of its keys. */
static double
seen(const struct k_attention *a, int64_t queries, int64_t keys)
{
	double n = 0;

	if (!a->causal && a->window == 0)
		return (double)queries * (double)keys;
	for (int64_t i = 0; i < queries; i++) {
		int64_t to = a->causal ? keys - queries + i + 1 : keys;
		int64_t in = a->window > 0 && to > a->window ? a->window + a->sinks : to;

		n += (double)(in < to ? in : to);
	}
	return n;
}

/* Pairs of a query and a key that it sees, and keys of all sequences. */
static double
pairs(struct dev *dev, const struct k_attention *a, double *keys)
{
	int64_t seqs = (int64_t)count(dev, a->seqs), each, most;
	int32_t *cu = calloc((size_t)seqs + 1, sizeof(*cu)), *len = NULL;
	double n = 0;

	*keys = 0;
	if (seqs > 0 && cu != NULL && fetch(dev, a->cu_seqlens, cu, seqs + 1)) {
		len = calloc((size_t)seqs, sizeof(*len));
		if (len == NULL || !fetch(dev, a->key_len, len, seqs)) {
			free(len);
			len = NULL;
		}
		for (int64_t s = 0; s < seqs; s++) {
			each = cu[s + 1] - cu[s];
			most = len != NULL ? len[s] : each;
			n += seen(a, each, most);
			*keys += (double)most;
		}
	} else if (seqs > 0) {
		each = a->t.cap / seqs;
		most = a->block_table.at != 0 ? a->max_blocks * a->block_size : each;
		n = (double)seqs * seen(a, each, most);
		*keys = (double)seqs * (double)most;
	}
	free(len);
	free(cu);
	return n;
}

static void
attention(struct dev *dev, const struct k_attention *a, bool back, struct dev_cost *cost)
{
	double rows = count(dev, a->t), keys, n = pairs(dev, a, &keys);
	double q = rows * (double)(a->heads * a->d_qk), o = rows * (double)(a->heads * a->d_v);
	double kv = keys * (double)(a->kv_heads * (a->d_qk + a->d_v));

	/* Two products forward; backward makes the scores again and has four more. */
	cost->flops = n * (double)a->heads *
	    (double)(back ? 6 * a->d_qk + 4 * a->d_v : 2 * a->d_qk + 2 * a->d_v);
	cost->bytes = ((q + o) * size(a->type) + kv * size(a->kv_type)) * (back ? 2 : 1);
	snprintf(cost->shape, sizeof(cost->shape), "%" PRId64 "/%" PRId64 " of %" PRId64,
	    a->heads, a->kv_heads, a->d_qk);
}

/* Rows of c elements; bytes of them all that each element stands for. */
static double
each_row(struct dev *dev, struct dim t, int64_t c, double bytes)
{
	return count(dev, t) * (double)c * bytes;
}

static double
xent(struct dev *dev, const struct k_xent *a, double size)
{
	double rows = count(dev, a->t) - (double)a->row0;

	rows = rows < 0 ? 0 : rows > (double)a->rows ? (double)a->rows : rows;
	return rows * (double)a->v * size;
}

static void
recurrence(struct dev *dev, int kernel, const union dev_args *a, struct dev_cost *cost)
{
	const struct k_conv *c = &a->conv;
	const struct k_scan *s = &a->scan;
	double back = kernel == K_CONV || kernel == K_SCAN ? 1 : 2;

	if (kernel == K_CONV || kernel == K_CONV_BWD) {
		cost->flops = each_row(dev, c->t, c->c, 2 * back * (double)c->width);
		cost->bytes = each_row(dev, c->t, c->c, size(c->type) * (1 + back));
		return;
	}
	cost->flops = each_row(dev, s->t, s->c, (back > 1 ? 16 : 6) * (double)s->n);
	cost->bytes = each_row(dev, s->t, 2 * s->c + s->n, 2 * back * size(s->type));
}

/* Bytes of kernels that pass over rows. */
static double
row_bytes(struct dev *dev, int kernel, const union dev_args *a)
{
#define EACH(x, bytes) each_row(dev, a->x.t, a->x.c, bytes)
#define SIZE(x) size(a->x.type)
	switch (kernel) {
	case K_ADD:		return EACH(add, SIZE(add) * (a->add.b_row ? 2 : 3));
	case K_EMBED:		return EACH(embed, 2 * SIZE(embed));
	case K_EMBED_BWD:	return EACH(embed_bwd,
				    SIZE(embed_bwd) + 2 * wide(a->embed_bwd.type));
	case K_SCATTER:		return EACH(scatter, 2 * SIZE(scatter));
	case K_BIAS_BWD:	return EACH(bias_bwd, SIZE(bias_bwd));
	case K_RMSNORM:		return EACH(rmsnorm, 2 * SIZE(rmsnorm));
	case K_RMSNORM_BWD:	return EACH(rmsnorm_bwd,
				    SIZE(rmsnorm_bwd) * (a->rmsnorm_bwd.add ? 4 : 3));
	case K_LAYERNORM:	return EACH(layernorm, 2 * SIZE(layernorm));
	case K_LAYERNORM_BWD:	return EACH(layernorm_bwd,
				    SIZE(layernorm_bwd) * (a->layernorm_bwd.add ? 4 : 3));
	case K_ACT:		return EACH(act, 2 * SIZE(act));
	case K_ACT_BWD:		return EACH(act_bwd, SIZE(act_bwd) * (a->act_bwd.add ? 4 : 3));
	case K_GLU:		return EACH(glu, 3 * SIZE(glu));
	case K_GLU_BWD:		return EACH(glu_bwd, 5 * SIZE(glu_bwd));
	case K_HADAMARD:	return EACH(hadamard, 2 * SIZE(hadamard));
	case K_ROPE:
		return each_row(dev, a->rope.t, a->rope.heads * a->rope.d, 2 * SIZE(rope));
	case K_COMBINE:
		return EACH(combine, SIZE(combine) * (double)(a->combine.top + 1));
	case K_COMBINE_BWD:
		return EACH(combine_bwd, SIZE(combine_bwd) * (double)(2 * a->combine_bwd.top + 1));
	case K_SLICE:
		return each_row(dev, a->slice.t, a->slice.heads * a->slice.c, 2 * SIZE(slice));
	case K_SCALE:
		return EACH(scale, 2 * wide(a->scale.type));
	case K_SCALE_BWD:
		return each_row(dev, a->scale_bwd.f.t, a->scale_bwd.f.c,
		    wide(a->scale_bwd.f.type) * (a->scale_bwd.add ? 4 : 3));
	case K_ROUTE:
		return each_row(dev, a->route.t, a->route.experts, wide(a->route.type));
	case K_ROUTE_BWD:
		return each_row(dev, a->route_bwd.f.t, 2 * a->route_bwd.f.experts,
		    wide(a->route_bwd.f.type));
	case K_ROUTE_SORT:
		return each_row(dev, a->route_sort.t, 3 * a->route_sort.top, 4);
	case K_ROUTE_SUM:
		return each_row(dev, a->route_sum.t, a->route_sum.experts,
		    wide(a->route_sum.type));
	default:
		return 0;
	}
#undef EACH
#undef SIZE
}

static double
copy_size(dptr out, dtype t)
{
	return out.at != 0 ? size(t) : 0;
}

/* Bytes of updates: gradients are read, parameters and moments read and written. */
static double
update_bytes(int kernel, const union dev_args *a)
{
	const struct k_adafactor *f = &a->adafactor;

	switch (kernel) {
	case K_ADAMW:
		return (double)a->adamw.n * (12 + 4 * size(a->adamw.moments) +
		    copy_size(a->adamw.p_out, a->adamw.p_type));
	case K_LION:
		return (double)a->lion.n * (12 + 2 * size(a->lion.moments) +
		    copy_size(a->lion.p_out, a->lion.p_type));
	case K_ADAFACTOR:
		return (double)(f->rows * f->cols) * (16 + copy_size(f->p_out, f->p_type));
	case K_MOMENTUM:
		return (double)a->momentum.n * (8 + 2 * size(a->momentum.moments));
	case K_NORMALIZE:
		return (double)a->normalize.n * 8;
	case K_UPDATE:
		return (double)a->update.n * (12 + copy_size(a->update.p_out, a->update.p_type));
	case K_EMA:
		return (double)a->ema.n * 12;
	case K_SWAP:
		return (double)a->swap.n * (16 + copy_size(a->swap.p_out, a->swap.p_type));
	default:
		return 0;
	}
}

/* Bytes of kernels that pass over a flat array. */
static double
flat_bytes(struct dev *dev, int kernel, const union dev_args *a)
{
	switch (kernel) {
	case K_FILL:
		return (double)a->fill.n * size(a->fill.type);
	case K_COPY:
		return 2 * (double)a->copy.bytes;
	case K_CAST:
		return (double)a->cast.n * (size(a->cast.x_type) + size(a->cast.y_type));
	case K_AXPBY:
		return (double)a->axpby.n * size(a->axpby.type) * (a->axpby.beta != 0 ? 3 : 2);
	case K_DOT:
		return count(dev, a->dot.n) * size(a->dot.type) * (a->dot.b.at != 0 ? 2 : 1);
	case K_SUMSQ:
		return (double)a->sumsq.n * size(a->sumsq.type);
	case K_COLLECTIVE:
		return 2 * (double)a->collective.n * size(a->collective.type);
	default:
		return update_bytes(kernel, a) + row_bytes(dev, kernel, a);
	}
}

void
dev_cost(struct dev *dev, int kernel, const union dev_args *a, struct dev_cost *cost)
{
	*cost = (struct dev_cost){ 0 };
	switch (kernel) {
	case K_MATMUL:
		matmul(dev, &a->matmul, 1, cost);
		break;
	case K_GROUPED:
		grouped(dev, &a->grouped, cost);
		break;
	case K_ATTENTION:
		attention(dev, &a->attention, false, cost);
		break;
	case K_ATTENTION_BWD:
		attention(dev, &a->attention_bwd.f, true, cost);
		break;
	case K_XENT:
		cost->bytes = xent(dev, &a->xent, size(a->xent.type));
		break;
	case K_XENT_BWD:
		cost->bytes = xent(dev, &a->xent_bwd.f,
		    size(a->xent_bwd.f.type) + size(a->xent_bwd.type));
		break;
	case K_CONV: case K_CONV_BWD: case K_SCAN: case K_SCAN_BWD:
		recurrence(dev, kernel, a, cost);
		break;
	default:
		cost->bytes = flat_bytes(dev, kernel, a);
	}
}
