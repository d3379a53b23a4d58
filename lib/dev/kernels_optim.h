/*
 * kernels_optim - the kernels that end a training step: the guard, the optimizers
 *
 * Part of kernels.h, which says what all arguments have in common.
 */
#ifndef DEV_KERNELS_OPTIM_H
#define DEV_KERNELS_OPTIM_H

#include "base/alike.h"
#include "dev/dev.h"

/*
 * The guard of a step, all on the device.  A step is skipped when its loss (a
 * target's mean) or norm is not finite, or lies more than mads median absolute
 * deviations above the median of the last accepted ones; a deviation counts
 * as at least GUARD_MIN_MAD of the median.  Reads loss, targets and sumsq;
 * writes norm, scale, skip and skipped, and adds one to step when it accepts.
 * Only accepted steps enter the history, so a bad one never moves the rule.
 *
 * With a loss scale the gradients of activations are that much larger than they
 * should be, so that fp16 does not lose small ones.  When the norm is not finite
 * though the loss is, the scale halves, down to LOSS_SCALE_MIN, and the step is
 * skipped but not counted among the skipped; after LOSS_SCALE_STEPS accepted
 * steps it doubles.
 */
#define GUARD_MIN_MAD 1e-3
#define LOSS_SCALE_FIRST 65536.0
#define LOSS_SCALE_MIN 1.0
#define LOSS_SCALE_MAX 16777216.0
#define LOSS_SCALE_STEPS 2000

struct dev_step {		/* lives in device memory; the host uploads and downloads it */
	double	loss;		/* sum over targets of -logp, K_DOT's */
	double	sumsq;		/* of all gradients */
	double	targets;	/* target tokens of the whole step */
	double	norm;		/* out: sqrt(sumsq), over the loss scale */
	double	scale;		/* out: what gradients are multiplied by; 0 skipped */
	double	lr;		/* the schedule's rate for this step */
	int64_t	step;		/* in, out: updates applied, this one too: bias correction */
	int32_t	skip;		/* out: 0 applied, or an enum skip */
	int32_t	skipped;	/* skips in a row, this one counted */
	double	loss_scale;	/* in, out; 0: none */
	int64_t	good;		/* in, out: accepted steps since it changed */
};

enum skip { SKIP_NOT_FINITE = 1, SKIP_LOSS, SKIP_NORM, SKIP_OVERFLOW };

struct dev_history {
	double	loss[128], norm[128];	/* rings */
	int64_t	n;			/* accepted steps so far */
};

struct k_guard {
	dptr	step, history;		/* struct dev_step, struct dev_history */
	double	clip;			/* largest global norm; 0: none */
	double	mads;			/* 0: only non-finite steps are skipped */
	int64_t	least;			/* accepted steps before spikes are judged */
};

/*
 * Moments in F32, BF16 or U8.  BF16 rounds stochastically, by a function of
 * (key, step->step, element), so that small changes are kept in the mean.  U8 is
 * the block-wise dynamic quantization of arXiv 2110.02861: MOMENT_BLOCK elements
 * share a scale (f32), and a code is sign (first moments only), then 2^e + k:
 * the midpoint of cell k of the 2^e that the decade 10^(e - e_max) [0.1, 1] has.
 */
#define MOMENT_BLOCK 256

struct moment { dptr at, scale; };	/* scale: U8's, one a block; else 0 */

/* The key of a parameter's rounding at a step. */
ALIKE uint32_t
moment_key(uint64_t key, int64_t step)
{
	uint64_t x = key + (uint64_t)step * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)(x ^ x >> 29);
}

/*
 * One parameter's update with step->scale, lr and skip.  A skipped step changes
 * nothing, whatever its gradient holds.  p_out: a copy in p_type for compute
 * when the master is kept apart, or 0.
 *
 * AdamW (arXiv 1711.05101), bias-corrected, decoupled decay.
 */
struct k_adamw {
	dptr	p, g, step, p_out;
	struct moment m, v;
	dtype	p_type, moments;
	int64_t	n;
	uint64_t key;
	double	lr_scale, beta1, beta2, eps, decay;
};

/*
 * Lion (arXiv 2302.06675): p = (1 - lr decay) p - lr sign(beta1 m + (1 - beta1) g),
 * then m = beta2 m + (1 - beta2) g.
 */
struct k_lion {
	dptr	p, g, step, p_out;
	struct moment m;
	dtype	p_type, moments;
	int64_t	n;
	uint64_t key;
	double	lr_scale, beta1, beta2, decay;
};

/*
 * Adafactor (arXiv 1804.04235) with the schedule's rate, without first moment
 * and scaling by the parameter.  With b = 1 - step^power, row (R) and col (C)
 * are means of g^2 + eps over the rows and columns of g (R, C) that decay by b;
 * u = g / sqrt(row col / mean(row)), divided by max(1, rms(u) / clip), is the
 * direction.  col 0: row has the size of g, C is 1, and u = g / sqrt(row).
 */
struct k_adafactor {
	dptr	p, g, step, p_out, row, col;
	dtype	p_type;
	int64_t	rows, cols;
	double	lr_scale, power, eps, clip, decay;
};

/*
 * Nesterov momentum as Muon has it: m = beta m + (1 - beta) g, then
 * y = beta m + (1 - beta) g, with g times step->scale.  A skipped step leaves
 * m and gives y = 0.
 */
struct k_momentum {
	dptr	y, g, step;
	struct moment m;
	dtype	moments;
	int64_t	n;
	uint64_t key;
	double	beta;
};

/* y = x / (sqrt(sumsq) + eps); sumsq is a device f64, y may be x */
struct k_normalize { dptr y, x, sumsq; int64_t n; double eps; };

/* p = (1 - lr decay) p - lr lr_scale x, with step->lr; nothing when step->skip */
struct k_update { dptr p, x, step, p_out; dtype p_type; int64_t n; double lr_scale, decay; };

/* y = d y + (1 - d) x, d = min(decay, (1 + t) / (10 + t)), t = step->step; nothing when skipped */
struct k_ema { dptr y, x, step; int64_t n; double decay; };

/* a and b change places, and p_out, when not 0, becomes a copy of a in p_type */
struct k_swap { dptr a, b, p_out; dtype p_type; int64_t n; };

/* y (rows, C) = x as blocks (base/quant.h) give it back; F32 */
struct k_fake_quant { dptr y, x; dtype type, blocks; int64_t rows, c; };

#endif
