/*
 * quantize - a model with smaller weights, as a GGUF file or a directory
 *
 * Types are chosen first, by one of llama.cpp's mixes or under a budget of
 * bits, then tensors are read, encoded and written one after the other: memory
 * is that of the largest as fp32.  Rows are encoded by all threads; the result
 * does not depend on how many.
 */
#ifndef MODEL_QUANTIZE_H
#define MODEL_QUANTIZE_H

#include "base/team.h"
#include "model/export.h"
#include "model/grams.h"
#include "model/imatrix.h"

struct quantize_options {
	const char	*type;		/* a mix of llama.cpp; of a directory, see below */
	int64_t		 group;		/* w4a16: integers that share a scale, 32 to 128 */
	bool		 pure;		/* all tensors of the type itself, not of its mix */
	bool		 again;		/* what is quantized already too */
	double		 bits;		/* a weight, on average; 0: types by the mix */
	const char	**rule;		/* "REGEX=TYPE", the first that matches counts */
	int		 n_rules;
	const struct imatrix *imatrix;	/* or NULL */
	bool		 awq;		/* inputs and columns are scaled (AWQ), with imatrix */
	double		 smooth;	/* or by SmoothQuant to this power of inputs; 0: not */
	/* These sums are for GPTQ (base/gptq.h), or to clip blocks (base/quant.h); or NULL. */
	struct grams	*grams;
	bool		 clip;
};

struct quantize_tensor {
	const char	*name;
	dtype		 from, to;
	int64_t		 n, bytes;	/* elements, and what they take */
	bool		 changed;	/* else it is copied */
	bool		 weighted;	/* by columns' importance */
	/* Of changed ones, once written: sum w (y - x)^2 / sum w x^2, w the importance. */
	double		 error;
};

struct quantize;

/*
 * x, options and team are borrowed until quantize_free().  An export of its own
 * (export_open_own()) has linear layers of "w4a16", groups of integers of four
 * bits, smaller ones than were asked for where rows are no multiple of those; or
 * of "fp8" or "w8a8", bytes with a scale a row.
 */
struct quantize *quantize_plan(struct export *x, const struct quantize_options *o,
    struct team *team, struct err *err);
int quantize_count(const struct quantize *q);
const struct quantize_tensor *quantize_at(const struct quantize *q, int i);

/* Called after each tensor was written. */
typedef void quantize_done(void *ctx, const struct quantize_tensor *t);
/* To a file, or into a directory, which is there: all but the tokenizer. */
int quantize_save(struct quantize *q, const char *path, quantize_done *done, void *ctx,
    struct err *err);
void quantize_free(struct quantize *q);

/* Is a type that of a directory? */
bool quantize_own(const char *type);

#endif
