/*
 * moe - mixtures of experts: what a tape records of them
 *
 * T tokens are sent to k of E experts each, none is dropped:
 *
 *	r = op_route(t, op_logits(t, x, gate), bias, &router, balance);
 *	h = op_dispatch(t, x, &r);		rows sorted by expert
 *	h = op_glu(t, op_experts(t, h, w_gate, &r), op_experts(t, h, w_up, &r), act);
 *	y = op_combine(t, op_experts(t, h, w_down, &r), &r);
 *
 * A tensor of rows of experts is (T, k C): its memory is T k rows of C, so that
 * what works element by element needs no other shape.
 */
#ifndef NN_MOE_H
#define NN_MOE_H

#include "nn/ops.h"

/* How experts are chosen and weighed: struct k_route (dev/kernels_moe.h). */
struct op_router {
	int64_t	experts, top, groups, top_groups;
	bool	sigmoid, pairs, normalize;
	double	scale;
};

/*
 * Losses and loads of all layers of a pass.  A pass of T tokens weighs T shares,
 * share (1) wide being an input that the caller uploads: 1 / tokens of the step
 * makes the gradients those of the mean over its tokens, however it is cut into
 * passes.  Over replays add up, until they are zeroed: loss (2) f64, T times the
 * losses without their factors, and count (layers, E) int32, the assignments.
 *
 * The balance loss is E sum of f_e P_e over experts (Switch, arXiv 2101.03961,
 * with f the sum over k choices), f and P being means over tokens and layers, as
 * transformers has it.  The other is the mean over tokens of the square of the
 * logits' log-sum-exp, summed over layers (ST-MoE, arXiv 2202.08906).
 */
struct op_balance {
	int64_t		 layers, experts;
	double		 aux, z;		/* their factors */
	struct tensor	*share, *loss, *count;
	struct tensor	*offset, *sum;		/* of each layer */
	int64_t		 next;			/* layer to be recorded */
};

/* Before the first layer, and in the last block, which runs once a pass. */
void op_balance_begin(struct tape *t, struct op_balance *b, int64_t layers, int64_t experts,
    double aux, double z);
void op_balance_end(struct tape *t, struct op_balance *b, const struct tensor *rows);

struct op_routing {
	struct tensor	*weight;		/* (T, k) wide */
	struct tensor	*id, *token, *row;	/* (T, k) int32: struct k_route_sort */
	struct tensor	*offset;		/* (layers, E + 1) int32 */
	int64_t		 experts, top, layer;
};

/* logits (T, E) wide; bias (E) or NULL; balance NULL: no losses and no counts. */
struct op_routing op_route(struct tape *t, struct tensor *logits, struct tensor *bias,
    const struct op_router *router, struct op_balance *balance);

/* (T, k C): row of each assignment */
struct tensor *op_dispatch(struct tape *t, struct tensor *x, const struct op_routing *r);

/* (T, k N) = rows (T, k K) times w[e]^T of their expert; w (E, N, K) */
struct tensor *op_experts(struct tape *t, struct tensor *x, struct tensor *w,
    const struct op_routing *r);

/* (T, C): weighted sum of a token's rows (T, k C) */
struct tensor *op_combine(struct tape *t, struct tensor *x, const struct op_routing *r);

#endif
