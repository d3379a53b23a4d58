/*
 * kernels - what a device can compute: names, arguments, shapes
 *
 * All matrices are row-major, token rows first: (T, C) is T rows of C.  A
 * count is a capacity that the memory was planned for and, where n.at != 0, a
 * device int32 that says how many rows there are this time; rows beyond it are
 * neither read nor written.  ld is the distance between rows in elements.
 *
 * "add" makes an output accumulate: out += result.  Sums run in an order that
 * depends on shapes only.
 *
 * `type' is that of the activations and of their gradients: F32, BF16 or F16;
 * dev_check() tells what a backend serves.  Arithmetic is fp32.  What is
 * marked wide is F32 whatever the type (F64 where that is F64, on a reference):
 * vectors of parameters, statistics, what is kept per token, tables, logits,
 * and the gradients of parameters.
 */
#ifndef DEV_KERNELS_H
#define DEV_KERNELS_H

#include "dev/comm.h"
#include "dev/dev.h"
#include "dev/kernels_optim.h"
#include "dev/kernels_moe.h"

enum dev_kernel {
	K_FILL, K_COPY, K_CAST, K_ADD, K_AXPBY,
	K_EMBED, K_EMBED_BWD, K_SCATTER,
	K_MATMUL, K_GROUPED, K_BIAS_BWD,
	K_RMSNORM, K_RMSNORM_BWD, K_LAYERNORM, K_LAYERNORM_BWD,
	K_ROPE, K_HADAMARD, K_ATTENTION, K_ATTENTION_BWD,
	K_ACT, K_ACT_BWD, K_GLU, K_GLU_BWD, K_DROPOUT, K_SOFTCAP,
	K_XENT, K_XENT_BWD,
	K_CONV, K_CONV_BWD, K_SCAN, K_SCAN_BWD,
	K_DOT, K_SUMSQ, K_GUARD, K_ADAMW, K_LION, K_ADAFACTOR,
	K_MOMENTUM, K_NORMALIZE, K_UPDATE, K_EMA, K_SWAP,
	K_ROUTE, K_ROUTE_BWD, K_ROUTE_SORT, K_ROUTE_SUM, K_BALANCE, K_BALANCE_BIAS,
	K_COMBINE, K_COMBINE_BWD, K_SLICE,
	K_SCALE, K_SCALE_BWD, K_FAKE_QUANT, K_COLLECTIVE,
	K_COUNT
};

enum dev_act { ACT_NONE, ACT_SILU, ACT_GELU, ACT_GELU_TANH, ACT_RELU, ACT_RELU2 };

/* y[0..n) = value */
struct k_fill { dptr y; dtype type; int64_t n; double value; };

/* y = x, bytes */
struct k_copy { dptr y, x; int64_t bytes; };

/* y = x converted, n elements of float types */
struct k_cast { dptr y, x; dtype y_type, x_type; int64_t n; };

/* y (T, C) = a + b; b may be one row (b_row, wide), y may be a or b */
struct k_add { dptr y, a, b; dtype type; struct dim t; int64_t c; bool b_row; };

/* y[0..n) = alpha * x + beta * y; beta 0 does not read y */
struct k_axpby { dptr y, x; dtype type; int64_t n; double alpha, beta; };

/*
 * y (T, C) = scale * w[id[t]] (V, C); an id outside [0, V) is an error at
 * dev_wait().  w_type NONE: type; it may be another, of blocks too.
 */
struct k_embed {
	dptr y, w, id; dtype type; struct dim t; int64_t v, c; double scale; dtype w_type;
};

/*
 * dw[id[t]] += scale * dy[t], in order of t; dw_type NONE: wide, else it is type.
 * sumsq, of a wide dw: out[0] (f64) += what the sum of squares of dw grows by; 0: none.
 */
struct k_embed_bwd {
	dptr dw, dy, id, sumsq; dtype type, dw_type; struct dim t; int64_t v, c; double scale;
};

/*
 * y[slot[t]] = x[t], rows of c elements; slot < 0 skips the row (KV cache
 * writes).  y is of y_type, Q8_0 and Q4_0 too; NONE: type.  With parts and
 * block_size, the rows of a block lie together part by part: (rows /
 * block_size, parts, block_size, c / parts), which is a paged cache's order.
 */
struct k_scatter {
	dptr y, x, slot; dtype type; struct dim t; int64_t c, ldx, rows; dtype y_type;
	int64_t parts, block_size;
};

/*
 * c (M, N) = alpha * op(a) op(b) [+ c when add] [+ bias (N)]
 * op(a) is (M, K): a is (M, K), or (K, M) when ta.  op(b) is (K, N): b is
 * (K, N), or (N, K) when tb, as weights are stored.  One of m, k varies.
 * Forward y = x w^T: tb.  Input gradient dx = dy w: neither.  Weight gradient
 * dw = dy^T x: ta, with k the tokens.
 *
 * sumsq, where c is F32: out[0] (f64) += the sum of squares of c as it is then, by
 * tiles in order, each in fp32; 0: none.  K_GROUPED has none.
 *
 * loose: it need not be that a row has the same bits alone and among others, which
 * training does not ask for.  A library may make it then, and may do so at capacity:
 * rows of a, b and c beyond the count are read and written too, in memory that they have.
 *
 * b may be of a type of blocks (base/quant.h), which lie along its rows, where
 * a is not transposed and k does not vary.  With tb rows of a are then rounded
 * to 8 bits, with a scale of max / 127 for each 32 of k, and sums of products
 * with one scale are exact; without tb, b is its elements as F32, or as a's type.
 */
struct k_matmul {
	dptr	c, a, b, bias, sumsq;
	dtype	c_type, a_type, b_type;
	struct dim m, k;
	int64_t	n, lda, ldb, ldc;
	bool	ta, tb, add, loose;
	double	alpha;
};

/*
 * Products of groups of rows, as of a layer's experts: the rows that vary (m,
 * or k when ta) are sorted by group, and group e owns [offset[e], offset[e + 1])
 * of them; offset[groups] is at most their count.  Without ta (forward, dx), b
 * is one matrix a group; with ta (dw), c is.  Those lie stride elements apart.
 * A group without rows makes no rows, and a dw of zeros.  No bias.
 *
 * Without offset (0), and without ta, groups are heads: each has all rows, and of
 * their elements those from e * step_a on in a, and from e * step_c on in c.
 */
struct k_grouped { struct k_matmul p; dptr offset; int64_t groups, stride, step_a, step_c; };

/* db (C), wide, += sum over t of dy (T, C) */
struct k_bias_bwd { dptr db, dy; dtype type; struct dim t; int64_t c; };

/*
 * y = x * rstd * (w + w_plus), rstd (T) kept for backward; eq. 4 of arXiv
 * 1910.07467.  Rows of heads (q/k norm) are (T * H, d).  w and rstd are wide.
 */
struct k_rmsnorm { dptr y, x, w, rstd; dtype type; struct dim t; int64_t c; double eps, w_plus; };

/* dx [+]= ..., dw += ...; dw, w, rstd are wide */
struct k_rmsnorm_bwd {
	dptr	dx, dw, dy, x, w, rstd;	/* dw 0: frozen */
	dtype	type;
	struct dim t;
	int64_t	c;
	double	w_plus;
	bool	add;
};

/* y = (x - mean) * rstd * w + b; mean, rstd (T) kept; w, b, mean, rstd and gradients wide */
struct k_layernorm {
	dptr y, x, w, b, mean, rstd; dtype type; struct dim t; int64_t c; double eps;
};

struct k_layernorm_bwd {
	dptr	dx, dw, db, dy, x, w, mean, rstd;	/* dw, db 0: frozen */
	dtype	type;
	struct dim t;
	int64_t	c;
	bool	add;
};

/*
 * y[t, h] = x[t, h] rotated by pos[t]: the first rot of d elements, pairs
 * (i, i + rot/2), or (2i, 2i + 1) when interleaved.  table: (positions, rot),
 * wide, rot/2 cosines then rot/2 sines a row; without pos (0) x[t] has its row t.
 * inverse turns back: that is the gradient.  With to_halves pairs (2i, 2i + 1) of
 * x are (i, i + rot/2) of y, and the inverse of that; rot is at most 1024 then.
 * y may be x.
 */
struct k_rope {
	dptr	y, x, pos, table;
	dtype	type;
	struct dim t;
	int64_t	heads, d, rot, ldx, ldy, positions;
	bool	interleaved, inverse, to_halves;
};

/*
 * y (T, C) = each n elements of x turned by the Walsh-Hadamard matrix over the
 * root of n, which is its own inverse; n a power of two.  y may be x.
 */
enum { HADAMARD_MAX = 1024 };
struct k_hadamard { dptr y, x; dtype type; struct dim t; int64_t c, n; };

/*
 * Attention over flat tokens.  Sequence s owns queries cu_seqlens[s] to
 * cu_seqlens[s + 1]; its keys are those rows of k and v too, or, with
 * block_table (S, max_blocks), key_len[s] rows of a paged cache: key j is row j
 * % block_size of block block_table[s][j / block_size], in K_SCATTER's order
 * with kv_heads parts of ldk / kv_heads elements, of which the first are taken.
 * Where the table has a negative number no key is, and none may be seen.
 * bias (wide), 0 or one number a key in the same order, is added to scores.
 * Query i of s stands at position key_len - q_len + i.  Query head h reads key head
 * h * kv_heads / heads.  A key j is seen when j <= position (causal) and
 * position - j < window (0: no window) or j < sinks.  softcap c > 0: scores
 * become c tanh(score / c).  Keys are taken in blocks at absolute positions,
 * so chunked and whole prefill give the same bits.
 * o (T, heads, d_v), q (T, heads, d_qk) of type; k, v (.., kv_heads, d) of
 * kv_type, in a paged cache Q8_0 and Q4_0 too; lse (T, heads) wide.
 */
struct k_attention {
	dptr	o, lse, q, k, v, bias;
	dptr	cu_seqlens, key_len, block_table;	/* int32; the last two may be 0 */
	dtype	type, kv_type;
	struct dim t, seqs;
	int64_t	heads, kv_heads, d_qk, d_v, ldq, ldk, ldv, ldo;
	int64_t	window, sinks, max_blocks, block_size;
	bool	causal;
	double	scale, softcap;
};

/* dq, dk, dv = (not +=) gradients, dk and dv of kv_type; delta (T, heads), wide, is scratch */
struct k_attention_bwd {
	struct k_attention f;		/* o, lse as forward left them; no cache */
	dptr	d_o, dq, dk, dv, delta;	/* ld as o, q, k, v */
};

/* y = act(x), n = t * c; dx [+]= dy * act'(x).  y may be x, dx may be x or dy. */
struct k_act { dptr y, x; dtype type; enum dev_act act; struct dim t; int64_t c; };
struct k_act_bwd {
	dptr dx, dy, x; dtype type; enum dev_act act; struct dim t; int64_t c; bool add;
};

/* y = cap tanh(x / cap), n = t * c; y may be x */
struct k_softcap { dptr y, x; dtype type; struct dim t; int64_t c; double cap; };

/*
 * y (T, C) = act(gate) * up, gate and up rows of ld elements (two halves of one
 * matrix, or two).  y may be gate when ld is c; dgate may be gate and dup up.
 */
struct k_glu { dptr y, gate, up; dtype type; enum dev_act act; struct dim t; int64_t c, ld; };
struct k_glu_bwd {
	dptr dgate, dup, dy, gate, up; dtype type; enum dev_act act; struct dim t;
	int64_t c, ld;
};

/*
 * y [+]= x / (1 - p) where an element stays, 0 where it is dropped; y may be x.
 * Element i = t * C + c is dropped when dropout_bits(key, i) < p 2^31, with
 * key = rng_u64(seed, op, *step), step a device int64: so a pass that is
 * replayed, and the gradient, drop the same ones.  At most 2^32 elements.
 */
struct k_dropout {
	dptr y, x, step; dtype type; struct dim t; int64_t c; double p; uint64_t seed, op; bool add;
};

/* 31 bits: two keyed rounds of a bijection that mixes well. */
ALIKE uint32_t
dropout_bits(uint64_t key, uint32_t i)
{
	for (int round = 0; round < 2; round++, key >>= 32) {
		i += (uint32_t)key;
		i = (i ^ i >> 16) * 0x7feb352du;
		i = (i ^ i >> 15) * 0x846ca68bu;
		i ^= i >> 16;
	}
	return i >> 1;
}

/*
 * One chunk of the head: rows [row0, row0 + rows) of the t tokens, logits
 * (rows, V); all wide.  For each row: lse, logp = logits[target] - lse, and entropy
 * when its pointer is not 0.  target < 0: no target, logp = 0.  softcap as in
 * attention.  Pointers lse, logp, entropy, target are of row 0 of the tokens.
 */
struct k_xent {
	dptr	logits, target, lse, logp, entropy;
	struct dim t;
	int64_t	row0, rows, v, ld;
	dtype	type;
	double	softcap;
};

/*
 * dlogits = d loss / d logits, given dlogp and dlse (0: none) per token:
 * dlogp * (onehot(target) - p) + dlse * p, through softcap.  dlse is less by
 * 2 z lse dlogp: z lse^2 joins -logp in what is minimised.  dlogits, of type, ld
 * from row to row, may take the place of logits if their rows begin together.
 */
struct k_xent_bwd { struct k_xent f; dptr dlogits, dlogp, dlse; int64_t ld; dtype type; double z; };

/*
 * Recurrences.  Sequence s owns tokens cu_seqlens[s] to cu_seqlens[s + 1].  In
 * generation it goes on from row slot[s] of state, unless pos of its first
 * token is 0, and leaves its state there; in training state is 0.  However a
 * sequence is cut into passes, the bits are the same.
 *
 * Causal convolution of each channel: y[t, c] = bias[c] + sum over j < width
 * of w[c, j] x[t - width + 1 + j, c].  y (T, C), x of ldx, w (C, width), state
 * (slots, width - 1, C): the last inputs.  bias may be 0.
 */
enum { CONV_WIDTH = 8, SCAN_STATES = 128, SCAN_PIECE = 32 };	/* limits; tokens of a piece */

struct k_conv {
	dptr	y, x, w, bias, cu_seqlens, pos, state, slot;
	dtype	type;
	struct dim t, seqs;
	int64_t	c, width, ldx;
};

/* dx (of ldx) = (not +=), dw, dbias += gradients; any of the last two may be 0 */
struct k_conv_bwd { struct k_conv f; dptr dx, dw, dbias, dy; };

/*
 * The selective scan of Mamba (arXiv 2312.00752), per channel c with N states:
 *	d = softplus(dt[t, c])
 *	h[n] = exp(-exp(a_log[c, n]) d) h[n] + d x[t, c] b[t, n]
 *	y[t, c] = (sum over n of c_in[t, n] h[n] + d[c] x[t, c]) silu(z[t, c])
 * x and z are of ldx and ldz, b and c_in (T, N); a_log (C, N), d (C), state
 * (slots, N, C) and saved (T / SCAN_PIECE rounded up, N, C) are wide; saved
 * keeps the states that backward starts its pieces from, 0 without.
 */
struct k_scan {
	dptr	y, x, dt, z, a_log, b, c_in, d, cu_seqlens, pos, state, slot, saved;
	dtype	type;
	struct dim t, seqs;
	int64_t	c, n, ldx, ldz;
};

/* dx, dz (of ldx, ldz), ddt, db, dc = (not +=), da_log, dd += gradients; the last two may be 0 */
struct k_scan_bwd { struct k_scan f; dptr dx, ddt, dz, db, dc, da_log, dd, dy; };

/* out[0] (f64) [+]= sum a[i] * b[i]; b 0: sum of a; type is that of a and b */
struct k_dot { dptr out, a, b; dtype type; struct dim n; bool add; };

/* out[0] (f64) += sum of squares of x, by blocks of 4096 in order */
struct k_sumsq { dptr out, x; dtype type; int64_t n; };

/*
 * Columns by numbers of their own, all wide: y (T, C) = alpha x w r + bias; w, r
 * and bias (C) may each be 0, which is ones, or no bias.
 */
struct k_scale { dptr y, x, w, r, bias; dtype type; struct dim t; int64_t c; double alpha; };

/* dx [+]= alpha dy w r, dw += alpha r times the sum over t of dy x; either may be 0 */
struct k_scale_bwd { struct k_scale f; dptr dx, dw, dy; bool add; };

union dev_args {
	struct k_fill fill;
	struct k_copy copy;
	struct k_cast cast;
	struct k_add add;
	struct k_axpby axpby;
	struct k_embed embed;
	struct k_embed_bwd embed_bwd;
	struct k_scatter scatter;
	struct k_matmul matmul;
	struct k_grouped grouped;
	struct k_bias_bwd bias_bwd;
	struct k_rmsnorm rmsnorm;
	struct k_rmsnorm_bwd rmsnorm_bwd;
	struct k_layernorm layernorm;
	struct k_layernorm_bwd layernorm_bwd;
	struct k_rope rope;
	struct k_hadamard hadamard;
	struct k_attention attention;
	struct k_attention_bwd attention_bwd;
	struct k_act act;
	struct k_act_bwd act_bwd;
	struct k_softcap softcap;
	struct k_glu glu;
	struct k_glu_bwd glu_bwd;
	struct k_dropout dropout;
	struct k_xent xent;
	struct k_xent_bwd xent_bwd;
	struct k_conv conv;
	struct k_conv_bwd conv_bwd;
	struct k_scan scan;
	struct k_scan_bwd scan_bwd;
	struct k_dot dot;
	struct k_sumsq sumsq;
	struct k_guard guard;
	struct k_adamw adamw;
	struct k_lion lion;
	struct k_adafactor adafactor;
	struct k_momentum momentum;
	struct k_normalize normalize;
	struct k_update update;
	struct k_ema ema;
	struct k_swap swap;
	struct k_route route;
	struct k_route_bwd route_bwd;
	struct k_route_sort route_sort;
	struct k_route_sum route_sum;
	struct k_balance balance;
	struct k_balance_bias balance_bias;
	struct k_combine combine;
	struct k_combine_bwd combine_bwd;
	struct k_slice slice;
	struct k_scale scale;
	struct k_scale_bwd scale_bwd;
	struct k_fake_quant fake_quant;
	struct k_collective collective;
};

/* "matmul", for messages and profiles. */
const char *dev_kernel_name(int kernel);

#endif
