/* quantize_impl - how types are chosen: private to lib/model */
#ifndef MODEL_QUANTIZE_IMPL_H
#define MODEL_QUANTIZE_IMPL_H

#include "model/quantize.h"

/* What types depend on beside a tensor's name and shape. */
struct mix_model {
	int64_t	layers, experts, heads, kv_heads;
	bool	tied;		/* the embedding is the head */
	bool	weighted;	/* there is an importance matrix */
};

struct mix;

/* NULL for an unknown name. */
const struct mix *mix_find(const char *name);
const char *mix_name(int i);		/* NULL beyond the last */
dtype mix_base(const struct mix *m);
int mix_file_type(const struct mix *m);	/* llama.cpp's number of it */

/* Are the weights of this name ever quantized? */
bool mix_free(const char *name, int ndim);

/* The type of a tensor whose rows have cols elements. */
dtype mix_type(const struct mix *m, const struct mix_model *model, const char *name,
    int64_t cols, bool pure);

/* t, or what stands in for it where rows are no whole blocks of it. */
dtype mix_fitting(dtype t, int64_t cols);

/* What a tensor's columns and rows are multiplied with before anything else; NULL: nothing. */
struct fold {
	float	*cols, *rows;
};

/*
 * Fill fold, one a tensor, by the inputs' sizes; y has room for the largest.
 * smooth 0: AWQ, else the power of SmoothQuant.
 */
int fold_find(struct export *x, const struct quantize_tensor *tensor, const struct imatrix *im,
    int64_t layers, double smooth, float *y, struct fold *fold, struct err *err);

/* -1, and the message that a tensor of this name, and of this type of blocks, was quantized. */
int quantize_refuse(const char *name, dtype type, struct err *err);

/* Of a type by its name in any case, "q4_k"; NONE. */
dtype mix_dtype(str name);

#endif
