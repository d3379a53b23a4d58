/*
 * q, k and v are three tensors, or one matrix of a fused projection with its
 * columns in that order; both run the same kernel, by strides.
 */
#include "nn/nn_impl.h"

enum { Q, K, V, CU_SEQLENS, KEY_LEN, BLOCK_TABLE };

static struct mem
columns(struct tape *t, const struct op *op, struct mem m, int which)
{
	const struct k_attention *f = &op->f.attention;
	int64_t at = which == Q ? 0 : f->heads * f->d_qk;

	if (which == V)
		at += f->kv_heads * f->d_qk;
	return mem_at(m, tape_bytes(t, at));
}

static struct mem
part(struct tape *t, const struct op *op, int which)
{
	return op->in[K] == NULL ? columns(t, op, mem_of(op->in[Q]), which) :
	    mem_of(op->in[which]);
}

#define FIELD(name) (base + offsetof(struct k_attention, name))

/* Forward's addresses, in a struct k_attention at base of the launch's arguments. */
static void
bind_forward(struct tape *t, const struct op *op, size_t base)
{
	tape_bind_dim(t, FIELD(t), op->in[Q], 0, op->in[Q]->shape[0], 1);
	tape_bind_seqs(t, FIELD(seqs));
	tape_bind(t, FIELD(o), mem_of(op->out[0]));
	tape_bind(t, FIELD(lse), op->kept[0]);
	tape_bind(t, FIELD(q), part(t, op, Q));
	tape_bind(t, FIELD(k), part(t, op, K));
	tape_bind(t, FIELD(v), part(t, op, V));
	tape_bind(t, FIELD(cu_seqlens), mem_of(op->in[CU_SEQLENS]));
	tape_bind(t, FIELD(key_len), mem_of(op->in[KEY_LEN]));
	tape_bind(t, FIELD(block_table), mem_of(op->in[BLOCK_TABLE]));
}

static void
backward(struct tape *t, struct op *op)
{
	struct tensor *q = op->in[Q];
	bool fused = op->in[K] == NULL;
	struct mem dq = grad_begin(t, q);
	struct mem dk = fused ? columns(t, op, dq, K) : grad_begin(t, op->in[K]);
	struct mem dv = fused ? columns(t, op, dq, V) : grad_begin(t, op->in[V]);
	struct mem delta = mem_wide(t, q, op->f.attention.heads);
	union dev_args *a = tape_launch(t, K_ATTENTION_BWD);

	a->attention_bwd.f = op->f.attention;
	bind_forward(t, op, offsetof(union dev_args, attention_bwd.f));
	BIND(t, attention_bwd.d_o, grad_of(t, op->out[0]));
	BIND(t, attention_bwd.dq, dq);
	BIND(t, attention_bwd.dk, dk);
	BIND(t, attention_bwd.dv, dv);
	BIND(t, attention_bwd.delta, delta);
	grad_end(t, q, dq);
	if (!fused) {
		grad_end(t, op->in[K], dk);
		grad_end(t, op->in[V], dv);
	}
}

static const struct op_kind attention = { "attention", backward };

/* Values are the beginning of keys, which a cache has once. */
static bool
shared_shapes(struct k_attention *f, const struct tensor *k, int64_t d_v)
{
	f->ldv = f->ldk = k->shape[1];
	f->d_qk = f->ldk / f->kv_heads;
	f->d_v = d_v;
	f->kv_type = k->type;
	return is_matrix(k) && f->ldk % f->kv_heads == 0 && d_v <= f->d_qk &&
	    f->heads * f->d_qk <= f->ldq;
}

/* Shapes: fill f's widths and strides.  False when they do not fit. */
static bool
shapes(struct k_attention *f, const struct tensor *q, const struct tensor *k,
    const struct tensor *v, int64_t shared)
{
	if (f->heads < 1 || f->kv_heads < 1 || f->heads % f->kv_heads != 0)
		return false;
	f->ldq = q->shape[1];
	if (k == NULL) {
		f->ldk = f->ldv = f->ldq;
		f->d_qk = f->d_v = f->ldq / (f->heads + 2 * f->kv_heads);
		return v == NULL && f->ldq % (f->heads + 2 * f->kv_heads) == 0;
	}
	if (v == NULL && shared > 0)
		return shared_shapes(f, k, shared);
	if (!is_matrix(k) || !is_matrix(v) || k->shape[1] % f->kv_heads != 0 ||
	    v->shape[1] % f->kv_heads != 0 || k->shape[0] != v->shape[0])
		return false;
	f->ldk = k->shape[1];
	f->ldv = v->shape[1];
	f->d_qk = f->ldk / f->kv_heads;
	f->d_v = f->ldv / f->kv_heads;
	f->kv_type = k->type;
	return f->heads * f->d_qk <= f->ldq && v->type == k->type;
}

static bool
mask_fits(const struct tape *t, const struct op_mask *m, const struct tensor *q,
    const struct tensor *k)
{
	const struct tensor *cu = m->cu_seqlens, *len = m->key_len, *table = m->block_table;

	if (cu == NULL || cu->ndim != 1 || cu->type != DTYPE_I32 ||
	    cu->shape[0] != tape_seqs(t) + 1)
		return false;
	if (len == NULL)
		return table == NULL && (k == NULL || same_rows(q, k));
	return k != NULL && len->ndim == 1 && len->type == DTYPE_I32 &&
	    len->shape[0] == tape_seqs(t) && is_matrix(table) && table->type == DTYPE_I32 &&
	    table->shape[0] == tape_seqs(t) && m->block_size > 0;
}

struct tensor *
op_attention(struct tape *t, struct tensor *q, struct tensor *k, struct tensor *v,
    int64_t heads, int64_t kv_heads, const struct op_mask *mask)
{
	struct k_attention f = { .type = tape_type(t), .kv_type = tape_type(t),
	    .heads = heads, .kv_heads = kv_heads, .window = mask->window, .sinks = mask->sinks,
	    .block_size = mask->block_size, .causal = mask->causal, .scale = mask->scale,
	    .softcap = mask->softcap };
	struct tensor *y;
	struct op *op;
	double pairs;

	if (tape_failed(t))
		return tape_none(t);
	if (!is_activation(t, q) || !shapes(&f, q, k, v, mask->shared))
		return tape_fail(t, "attention: q %s, %lld heads, %lld of keys: do not fit",
		    shape_text(q).s, (long long)heads, (long long)kv_heads);
	if (!mask_fits(t, mask, q, k))
		return tape_fail(t, "attention: cu_seqlens, key_len or block_table do not fit");
	if (mask->key_len != NULL && tape_backward_on(t))
		return tape_fail(t, "attention: no gradient through a cache");
	f.max_blocks = mask->block_table != NULL ? mask->block_table->shape[1] : 0;
	f.ldo = heads * f.d_v;
	y = tape_rows_like(t, q, f.ldo);
	y->needs_grad = tape_wants(t, q) || tape_wants(t, k) || tape_wants(t, v);
	op = tape_op(t, &attention);
	op->in[Q] = q;
	op->in[K] = k;
	op->in[V] = v != NULL ? v : k;
	op->in[CU_SEQLENS] = mask->cu_seqlens;
	op->in[KEY_LEN] = mask->key_len;
	op->in[BLOCK_TABLE] = mask->block_table;
	op->out[0] = y;
	op->kept[0] = mem_wide(t, q, heads);
	op->f.attention = f;
	tape_launch(t, K_ATTENTION)->attention = f;
	bind_forward(t, op, offsetof(union dev_args, attention));
	/* Pairs of query and key when all sequences are equally long. */
	pairs = (double)q->shape[0] * (double)q->shape[0] / (double)tape_seqs(t);
	if (mask->causal)
		pairs /= 2;
	op->flops = 2.0 * pairs * (double)heads * (double)(f.d_qk + f.d_v);
	op->flops_backward = 2.5 * op->flops;
	op->bytes = (double)tape_bytes(t, q->shape[0] * 2 * (heads + kv_heads) * f.d_qk);
	return y;
}
