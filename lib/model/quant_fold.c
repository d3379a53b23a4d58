/*
 * AWQ (arXiv 2306.00978): columns with large inputs are made larger before they
 * are rounded, and what comes before makes the inputs smaller by as much: the
 * norm, or the rows of the matrix whose product is taken.  The model computes
 * what it did.  How much is tried: inputs to the power of 0 to 0.95.
 *
 * SmoothQuant (arXiv 2211.10438) does the same for inputs that are rounded too,
 * by what inputs and weights reach: none is left that takes the others' levels.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/quant.h"
#include "model/quantize_impl.h"
#include "model/save_impl.h"

enum { STEPS = 20, SAMPLE_ROWS = 64, GROUP = 3 };

struct folding {
	struct export	*x;
	const struct quantize_tensor *tensor;
	const struct imatrix *im;
	struct fold	*fold;		/* one a tensor */
	float		*y;		/* a tensor's elements */
	double		 smooth;	/* a power, or 0 */
	/* of a group of matrices with the same input */
	int64_t		 cols;
	float		*mean;		/* squares of the input */
	float		*best, *s;	/* factors of columns */
	float		*row, *weight, *back;
	char		*blocks;
};

static int
find(const struct export *x, int64_t layer, const char *name)
{
	char full[2 * NN_NAME];

	snprintf(full, sizeof(full), "blk.%lld.%s", (long long)layer, name);
	for (int i = 0; i < x->n; i++)
		if (strcmp(x->tensor[i].name, full) == 0)
			return i;
	return -1;
}

static void
free_group(struct folding *a)
{
	free(a->mean);
	free(a->best);
	free(a->s);
	free(a->row);
	free(a->weight);
	free(a->back);
	free(a->blocks);
}

static int
begin_group(struct folding *a, int64_t cols, struct err *err)
{
	size_t n = (size_t)cols * sizeof(float);

	a->cols = cols;
	a->mean = malloc(n);
	a->best = malloc(n);
	a->s = malloc(n);
	a->row = malloc(n);
	a->weight = malloc(n);
	a->back = malloc(n);
	a->blocks = malloc(2 * n);
	if (a->mean && a->best && a->s && a->row && a->weight && a->back && a->blocks)
		return 0;
	return err_set(err, ERR_NOMEM, "out of memory");
}

/* Factors of the columns: the inputs' sizes to a power, around 1. */
static void
set_factors(struct folding *a, double power)
{
	double least = (double)INFINITY, most = 0, middle;

	for (int64_t k = 0; k < a->cols; k++) {
		double s = pow(fmax(sqrt((double)a->mean[k]), 1e-4), power);

		a->s[k] = (float)s;
		least = fmin(least, s);
		most = fmax(most, s);
	}
	middle = sqrt(least * most);
	for (int64_t k = 0; k < a->cols; k++)
		a->s[k] = (float)((double)a->s[k] / middle);
}

/* What some rows of a tensor lose with these factors: the squares of their outputs' errors. */
static double
lost(struct folding *a, int i, const float *y)
{
	dtype t = a->tensor[i].to;
	int64_t rows = a->tensor[i].n / a->cols, sample = rows < SAMPLE_ROWS ? rows : SAMPLE_ROWS;
	double sum = 0;

	for (int64_t k = 0; k < a->cols; k++)
		a->weight[k] = a->mean[k] / (a->s[k] * a->s[k]);
	for (int64_t r = 0; r < sample; r++) {
		const float *from = y + r * rows / sample * a->cols;

		for (int64_t k = 0; k < a->cols; k++)
			a->row[k] = from[k] * a->s[k];
		quant_encode(t, a->blocks, a->row, a->cols, a->weight);
		quant_decode(t, a->back, a->blocks, a->cols);
		for (int64_t k = 0; k < a->cols; k++) {
			double e = (double)a->back[k] / (double)a->s[k] - (double)from[k];

			sum += (double)a->mean[k] * e * e;
		}
	}
	return sum * (double)rows / (double)sample;
}

/* The factors that lose least over all tensors of the group, into a->best. */
static int
search(struct folding *a, const int *group, int n, struct err *err)
{
	double cost[STEPS] = { 0 };
	int best = 0;

	for (int i = 0; i < n; i++) {
		if (export_read(a->x, group[i], a->y, err) < 0)
			return -1;
		for (int k = 0; k < STEPS; k++) {
			set_factors(a, (double)k / STEPS);
			cost[k] += lost(a, group[i], a->y);
		}
	}
	for (int k = 1; k < STEPS; k++)
		if (cost[k] < cost[best])
			best = k;
	set_factors(a, (double)best / STEPS);
	memcpy(a->best, a->s, (size_t)a->cols * sizeof(float));
	return 0;
}

/* Factors of SmoothQuant: what inputs reach to a power, over what weights do to the rest of 1. */
static int
smooth(struct folding *a, const int *group, int n, const float *most, struct err *err)
{
	memset(a->weight, 0, (size_t)a->cols * sizeof(float));
	for (int i = 0; i < n; i++) {
		if (export_read(a->x, group[i], a->y, err) < 0)
			return -1;
		for (int64_t k = 0; k < a->tensor[group[i]].n; k++)
			a->weight[k % a->cols] = fmaxf(a->weight[k % a->cols], fabsf(a->y[k]));
	}
	for (int64_t k = 0; k < a->cols; k++)
		a->best[k] = most[k] > 0 && a->weight[k] > 0 ? (float)fmax(1e-5,
		    pow((double)most[k], a->smooth) /
		    pow((double)a->weight[k], 1 - a->smooth)) : 1;
	return 0;
}

/* Multiply what is in *f by s, or by 1 / s. */
static int
multiply(float **f, const float *s, int64_t n, bool inverse, struct err *err)
{
	if (*f == NULL && (*f = malloc((size_t)n * sizeof(float))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (int64_t k = 0; k < n; k++)
		(*f)[k] = inverse ? 1 / s[k] : s[k];
	return 0;
}

/* Matrices of one input, and the tensor (and its bias) that takes the factors back. */
static int
fold_group(struct folding *a, const int *group, int n, int before, int bias, bool rows,
    struct err *err)
{
	const struct imatrix_entry *e = imatrix_find(a->im, a->x->tensor[group[0]].name);
	const struct gguf_tensor *t = &a->x->tensor[group[0]];
	int64_t cols = t->shape[t->ndim - 1];
	int ret;

	/* What is copied, or not rounded, stays as it is. */
	for (int i = 0; i < n; i++)
		if (!save_quantizes(a->tensor[group[i]].to) || !a->tensor[group[i]].changed)
			return 0;
	if (dtype_block(a->tensor[before].from) > 1 && !a->tensor[before].changed)
		return 0;
	ret = begin_group(a, cols, err);
	if (ret == 0 && e != NULL && imatrix_mean(e, 0, 1, cols, a->mean)) {
		ret = a->smooth > 0 ? smooth(a, group, n, e->most, err) : search(a, group, n, err);
		for (int i = 0; i < n && ret == 0; i++)
			ret = multiply(&a->fold[group[i]].cols, a->best, cols, false, err);
		if (ret == 0)
			ret = multiply(rows ? &a->fold[before].rows : &a->fold[before].cols,
			    a->best, cols, true, err);
		if (ret == 0 && bias >= 0)
			ret = multiply(&a->fold[bias].cols, a->best, cols, true, err);
	}
	free_group(a);
	return ret;
}

/* What a norm feeds: all of these, or it is left alone. */
static int
fold_norm(struct folding *a, int64_t layer, const char *norm, const char *const *names,
    struct err *err)
{
	char bias[NN_NAME];
	int before, group[GROUP], n = 0;

	snprintf(bias, sizeof(bias), "%s.bias", norm);
	for (; n < GROUP && names[n] != NULL; n++)
		if ((group[n] = find(a->x, layer, names[n])) < 0)
			return 0;
	snprintf(bias, sizeof(bias), "%s.weight", norm);
	if ((before = find(a->x, layer, bias)) < 0)
		return 0;
	snprintf(bias, sizeof(bias), "%s.bias", norm);
	return fold_group(a, group, n, before, find(a->x, layer, bias), false, err);
}

static int
fold_layer(struct folding *a, int64_t layer, struct err *err)
{
	static const char *const apart[] = { "attn_q.weight", "attn_k.weight", "attn_v.weight" };
	static const char *const joined[] = { "attn_qkv.weight", NULL };
	static const char *const gated[] = { "ffn_gate.weight", "ffn_up.weight", NULL };
	int up = find(a->x, layer, "ffn_up.weight"), down = find(a->x, layer, "ffn_down.weight");

	if (fold_norm(a, layer, "attn_norm", apart, err) < 0 ||
	    fold_norm(a, layer, "attn_norm", joined, err) < 0)
		return -1;
	if (find(a->x, layer, "ffn_gate.weight") < 0)
		return 0;
	/* A router takes the norm's output too. */
	if (find(a->x, layer, "ffn_gate_inp.weight") < 0 &&
	    fold_norm(a, layer, "ffn_norm", gated, err) < 0)
		return -1;
	if (up < 0 || down < 0)
		return 0;
	return fold_group(a, &down, 1, up, find(a->x, layer, "ffn_up.bias"), true, err);
}

int
fold_find(struct export *x, const struct quantize_tensor *tensor, const struct imatrix *im,
    int64_t layers, double smooth_power, float *y, struct fold *fold, struct err *err)
{
	struct folding a = { .x = x, .tensor = tensor, .im = im, .fold = fold, .y = y,
	    .smooth = smooth_power };

	for (int64_t layer = 0; layer < layers; layer++)
		if (fold_layer(&a, layer, err) < 0)
			return -1;
	return 0;
}
