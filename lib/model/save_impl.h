/*
 * save_impl - a directory whose weights are not those of the model: private to lib/model
 *
 * Who changes and quantizes them is asked for each weight, in the order of the
 * files: fp32 first, then what is quantized, then the rest.  Of rows with a scale
 * each it is asked twice: scales come first there.
 */
#ifndef MODEL_SAVE_IMPL_H
#define MODEL_SAVE_IMPL_H

#include "model/model.h"

/*
 * Beside groups (I4_32 to I4_128) there are types with a scale a row: F8_E4M3, whose
 * scale is fp32 and takes the row's largest to 448, and I8, bf16 and 127.  A row
 * is its scale, then its elements.  What such a scale takes, bytes; 0: of no row.
 */
int channel_scale(dtype t);
void channel_encode(dtype t, void *row, const float *x, int64_t n);
void channel_decode(dtype t, float *x, const void *row, int64_t n);

/* Is it in groups, or are its rows? */
bool save_quantizes(dtype t);

struct save_as {
	const dtype	*type;		/* of each weight: NONE its own, or one of these */
	bool		 ordered;	/* columns were rounded in the order of their inputs */
	/* The elements of a weight, and its blocks, as they lie in its parameter. */
	int	(*read)(void *ctx, int weight, float *y, struct err *err);
	int	(*encode)(void *ctx, int weight, void *blocks, struct err *err);
	void	*ctx;
};

/* model_save() in compressed-tensors' layout: pack-, int- or float-quantized. */
int model_save_as(struct model *m, const char *dir, const struct save_as *as, struct err *err);

#endif
