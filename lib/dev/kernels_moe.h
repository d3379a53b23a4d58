/*
 * kernels_moe - what mixtures of experts and latent attention compute
 *
 * T tokens go to k of E experts each: assignment (t, j) is the j-th choice of
 * token t.  Rows of experts are the T k assignments sorted by expert.  Part of
 * dev/kernels.h, whose rules hold here.
 */
#ifndef DEV_KERNELS_MOE_H
#define DEV_KERNELS_MOE_H

#include "dev/dev.h"

#define ROUTE_MAX_EXPERTS 1024

/*
 * The top k of E experts by their logits.  Scores are softmax(logits), or
 * sigmoid(logits).  Chosen is by score + bias, first the best top_groups of
 * groups of equally many consecutive experts, a group being as good as its best
 * expert, or as the sum of its best two when pairs; then the best k in these, the
 * lower number first among equals.  weight = scale * score, where normalize says
 * so of scores over their sum + 1e-20.  All but id is wide.
 */
struct k_route {
	dptr	id, weight, logits, bias;	/* (T, k) int32, (T, k), (T, E), (E) or 0 */
	dtype	type;
	struct dim t;
	int64_t	experts, top, groups, top_groups;
	bool	sigmoid, pairs, normalize;
	double	scale;
};

/*
 * dlogits (T, E) = what comes through weight, id being as forward left it, and
 * with share, a wide number, that many times the gradients of the sums over t of
 * aux E / layers * sum over e of f_e p_te, and of z * (log-sum-exp of logits)^2.
 * f_e: assignments of e in the offsets (layers, E + 1), all layers', over
 * layers * T; p: the scores, over their sum.
 */
struct k_route_bwd {
	struct k_route f;
	dptr	dlogits, dweight, offset, share;	/* the last two may be 0 */
	int64_t	layers;
	double	aux, z;
};

/*
 * Assignments sorted by expert, and those of one expert by t and j.  Rows of e
 * are offset[e] to offset[e + 1]; token (T k): whose a row is; row (T, k): the
 * row of an assignment.
 */
struct k_route_sort {
	dptr	offset, token, row, id;		/* int32 */
	struct dim t;
	int64_t	experts, top;
};

/* sum (E + 1) f64 = sums over t of p (k_route_bwd's), and of (log-sum-exp)^2 */
struct k_route_sum {
	dptr	sum, logits;
	dtype	type;
	struct dim t;
	int64_t	experts;
	bool	sigmoid;
};

/*
 * All layers of a pass: count (layers, E) int32 += assignments by offset
 * (layers, E + 1), loss[0] (f64) += T E sum of f_e P_e, P_e the mean of p over
 * layers and tokens, loss[1] += the squares' sum, by sum (layers, E + 1).
 */
struct k_balance {
	dptr	count, loss, offset, sum;
	struct dim t;
	int64_t	experts, layers;
};

/*
 * bias (E), wide, += rate * sign(mean of count - count), then count (E) = 0; a
 * skipped step only does the latter.  arXiv 2408.15664.
 */
struct k_balance_bias { dptr bias, count, step; int64_t experts; double rate; };

/* y[t] (C) [+]= sum over j, in order, of weight[t, j] x[row[t, j]]; weight (wide) 0: ones */
struct k_combine {
	dptr y, x, row, weight; dtype type; struct dim t; int64_t top, c; bool add;
};

/* dx[row[t, j]] = weight[t, j] dy[t]; dweight[t, j] = dy[t] . x[row[t, j]], wide, or 0 */
struct k_combine_bwd {
	dptr dx, dweight, dy, x, row, weight; dtype type; struct dim t; int64_t top, c;
};

/*
 * Columns: y[t ldy + h stepy + i] [+]= x[t ldx + h stepx + i] for i < c and each
 * head h.  stepx 0 gives all heads the same, stepy 0 adds them up in order.
 */
struct k_slice {
	dptr y, x; dtype type; struct dim t; int64_t heads, c, ldy, ldx, stepy, stepx; bool add;
};

#endif
