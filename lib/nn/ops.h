/*
 * ops - what a tape can record
 *
 * Shapes are (rows, width) with rows the tokens.  Each op checks shapes, adds
 * its launches to the current block, and knows its cost; one file each in
 * lib/nn/op_*.c.  Weights are params' tensors (&param->t).
 */
#ifndef NN_OPS_H
#define NN_OPS_H

#include "nn/nn.h"

/* (T, C) = w[id] * scale; w (V, C), id (T) int32 */
struct tensor *op_embed(struct tape *t, struct tensor *w, struct tensor *id, double scale);

/* (T, N) = x (T, K) w^T + bias; w (N, K); bias (N) or NULL */
struct tensor *op_linear(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *bias);

/*
 * (N, K) = w as blocks of this type give it back, to train for them; the gradient
 * passes straight through.  fp32 alone.
 */
struct tensor *op_fake_quant(struct tape *t, struct tensor *w, dtype blocks);

/* (R, V) = x w^T, in wide numbers: the head of what generates, the choice of experts. */
struct tensor *op_logits(struct tape *t, struct tensor *x, struct tensor *w);

/*
 * (T, N) = x w[g]^T of the rows from first[g] to first[g + 1] of each group g; x
 * (T, K), w (G, N, K), first (G + 1) int32.  It is added to y in place, or for
 * NULL a new tensor, which has nothing in other rows.  No gradient passes.
 */
struct tensor *op_groups(struct tape *t, struct tensor *x, struct tensor *w,
    struct tensor *first, struct tensor *y);

/* (T, C) = a + b */
struct tensor *op_add(struct tape *t, struct tensor *a, struct tensor *b);

/* Over the last d elements: width C for a layer's norm, head_dim for q/k norm. */
struct tensor *op_rmsnorm(struct tape *t, struct tensor *x, struct tensor *w, double eps,
    double w_plus);
struct tensor *op_layernorm(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *b,
    double eps);

/* Where a pair lies in a head: apart by half, side by side, or first so and then apart. */
enum rope_order { TURN_HALVES, TURN_PAIRS, TURN_TO_HALVES };

/*
 * x (T, heads * d) turned by pos (T) int32; table (positions, rot) from rope_table(), or with
 * pos NULL (T, rot), a row for each of x.
 */
struct tensor *op_rope(struct tape *t, struct tensor *x, struct tensor *pos, struct tensor *table,
    int64_t heads, enum rope_order order);

/* The same of the last rot elements of each head, not the first. */
struct tensor *op_rope_tail(struct tape *t, struct tensor *x, struct tensor *pos,
    struct tensor *table, int64_t heads, enum rope_order order);

/* Each n elements of x turned by the Walsh-Hadamard matrix over the root of n, a power of two. */
struct tensor *op_hadamard(struct tape *t, struct tensor *x, int64_t n);

/*
 * x / (1 - p), or 0 with probability p: a function of (seed, *step, number, element).
 * step (1) int64 is the caller's input; number tells ops of a tape apart.
 */
struct tensor *op_dropout(struct tape *t, struct tensor *x, struct tensor *step, double p,
    uint64_t seed, uint64_t number);

/* act(x), and act(gate) * up with both of width F, or x (T, 2F) when up is NULL */
struct tensor *op_act(struct tape *t, struct tensor *x, enum dev_act act);
struct tensor *op_glu(struct tape *t, struct tensor *gate, struct tensor *up, enum dev_act act);

/*
 * (T, C) = alpha x w r + bias: columns by w and r (C), both wide and NULL for
 * ones; bias as of op_linear().  w is a parameter, r takes no gradient.
 */
struct tensor *op_scale(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *r,
    struct tensor *bias, double alpha);

/*
 * (N), wide: 1 over the root of the mean square of each row of w + alpha b a,
 * w (N, K), b (N, R), a (R, K), all parameters.  No gradient: DoRA has none
 * through its norms (section 4.3 of arXiv 2402.09353).
 */
struct tensor *op_row_norm(struct tape *t, struct tensor *w, struct tensor *a, struct tensor *b,
    double alpha);

/* How the tokens attend: sequences, cache, mask. */
struct op_mask {
	struct tensor	*cu_seqlens;	/* (S + 1) int32 */
	struct tensor	*key_len;	/* (S) int32, with a cache, else NULL */
	struct tensor	*block_table;	/* (S, max_blocks) int32, or NULL */
	int64_t		 block_size, window, sinks;
	int64_t		 shared;	/* elements of a key that are its value, without v */
	bool		 causal;
	double		 scale, softcap;
};

/*
 * (T, heads * d_v); with a cache k and v are its tensors (rows, kv_heads * d),
 * in op_scatter()'s order with kv_heads parts, of any type, and q may be wider:
 * its first columns are taken; without v the first mask.shared elements of each
 * key are its value (latent attention).  k and v NULL: q is all three, (T, (heads + 2
 * kv_heads) d), as a fused projection leaves them.
 */
struct tensor *op_attention(struct tape *t, struct tensor *q, struct tensor *k, struct tensor *v,
    int64_t heads, int64_t kv_heads, const struct op_mask *mask);

/*
 * Write C columns of x (T, ..) from column on into cache (R, C) of any type, at
 * slot (T) int32 (< 0: not), in K_SCATTER's order.  No gradient.
 */
void op_scatter(struct tape *t, struct tensor *cache, struct tensor *x, int64_t column,
    struct tensor *slot, int64_t parts, int64_t block_size);

/* cap tanh(x / cap), of logits.  No gradient. */
struct tensor *op_softcap(struct tape *t, struct tensor *x, double cap);

/* Where sequences lie, and go on: slot (S) int32 names a row of states, in generation only. */
struct op_sequences {
	struct tensor	*cu_seqlens;	/* (S + 1) int32 */
	struct tensor	*pos, *slot;	/* (T), (S) int32; NULL in training */
};

/*
 * Causal convolution of each channel: x (T, C), w (C, width) or (C, 1, width),
 * bias (C) or NULL, both wide.  state: NULL, or wide (slots, (width - 1) * C) in generation.
 */
struct tensor *op_conv(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *bias,
    const struct op_sequences *q, struct tensor *state);

/* Mamba's gated scan (K_SCAN): (T, C); state: NULL, or wide (slots, N * C). */
struct op_scan_in {
	struct tensor	*x, *dt, *z;	/* (T, C); dt before softplus */
	struct tensor	*b, *c;		/* (T, N) */
	struct tensor	*a_log, *d;	/* (C, N), (C), wide */
};
struct tensor *op_scan(struct tape *t, const struct op_scan_in *in,
    const struct op_sequences *q, struct tensor *state);

/* (N, C) = x[row]; row (N) int32: the tokens whose logits are wanted. */
struct tensor *op_gather(struct tape *t, struct tensor *x, struct tensor *row);

/*
 * The head, in chunks: the logits of all tokens never exist at once.
 * target (T) int32, < 0 for none.  logp, lse, entropy are (T) outputs; the
 * last two may be left NULL by flags.  Gradients: dlogp (T), an input the
 * caller fills before the step with d loss / d logp, which lets one pass over
 * the chunks do forward and backward (pretraining knows it is -1 / targets).
 * With dlogp NULL the backward pass takes the gradients of logp and lse (of
 * tape_seed() or of ops) and recomputes logits.  entropy has no gradient.
 * z_loss z > 0: gradients are those of logp - z lse^2 (arXiv 2204.02311).
 */
struct op_head { struct tensor *logp, *lse, *entropy; };
enum { HEAD_LSE = 1, HEAD_ENTROPY = 2 };
struct op_head op_head(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *target,
    struct tensor *dlogp, double softcap, double z_loss, unsigned flags);

/* The columns of x before this one, and from it on. */
void op_split(struct tape *t, struct tensor *x, int64_t column, struct tensor *y[2]);

/* The columns of a, then those of b. */
struct tensor *op_join(struct tape *t, struct tensor *a, struct tensor *b);

/*
 * Keys (T, heads * (nope + rope)) and values (T, heads * v) of latent attention:
 * kv (T, heads * (nope + v)) has both parts of each head side by side, pe (T,
 * rope) is every head's.
 */
void op_latent(struct tape *t, struct tensor *kv, struct tensor *pe, int64_t heads, int64_t nope,
    struct tensor **k, struct tensor **v);

/*
 * The same with keys that are latents and pe, and values that are latents, of one
 * head for all queries, by w (heads * (nope + v), rank) that would make kv.
 * Queries (T, heads * (rank + rope)) from q (T, heads * (nope + rope)), and what
 * is (T, heads * v) of what attention gives, x (T, heads * rank).  No gradient.
 */
struct tensor *op_absorb_query(struct tape *t, struct tensor *q, struct tensor *w,
    int64_t heads, int64_t nope);
struct tensor *op_absorb_value(struct tape *t, struct tensor *x, struct tensor *w,
    int64_t heads, int64_t nope);

/* out (1) f64 += sum of a * b (b NULL: of a), kept over replays until tape_zero().  No gradient. */
struct tensor *op_dot(struct tape *t, struct tensor *a, struct tensor *b);

#endif
