/*
 * save_impl - a directory whose weights are not those of the model: private to lib/model
 *
 * Who changes and quantizes them is asked for each weight, in the order of the
 * files: fp32 first, then what is quantized, then the rest.
 */
#ifndef MODEL_SAVE_IMPL_H
#define MODEL_SAVE_IMPL_H

#include "model/model.h"

struct save_as {
	const dtype	*type;		/* of each weight: NONE its own, or I4_32 to I4_128 */
	bool		 ordered;	/* columns were rounded in the order of their inputs */
	/* The elements of a weight, and its blocks, as they lie in its parameter. */
	int	(*read)(void *ctx, int weight, float *y, struct err *err);
	int	(*encode)(void *ctx, int weight, void *blocks, struct err *err);
	void	*ctx;
};

/* model_save() in compressed-tensors' layout (pack-quantized). */
int model_save_as(struct model *m, const char *dir, const struct save_as *as, struct err *err);

#endif
