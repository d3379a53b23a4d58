/*
 * packing_impl - weights in safetensors that other programs have quantized
 *
 * A weight is several tensors then: integers or FP8, scales, and perhaps zeros
 * and an order of columns.  All are checked before they are used.
 */
#ifndef MODEL_PACKING_IMPL_H
#define MODEL_PACKING_IMPL_H

#include "model/model_impl.h"

/* What quantization_config says of all weights. */
struct packing {
	int64_t	bits;
	int64_t	block[2];	/* rows and columns of one scale, 0: by the tensors */
	bool	less_one;	/* zeros are stored less one: GPTQ's first format */
	bool	symmetric, interleaved;
};

/* Nothing where config.json has none; an error for what is not supported. */
int packing_read(struct packing *p, const json_t *config, struct err *err);

struct st_tensor;

struct packed {
	enum { PACKED_PLAIN, PACKED_ROWS, PACKED_GPTQ, PACKED_AWQ } kind;
	char		 module[NN_NAME];
	int64_t		 n, k;			/* of the weight */
	int64_t		 bits, groups, block[2];
	bool		 less_one;
	const struct st_tensor *q, *scale, *zero, *order;
};

/* The tensor of a name, which is then a part of the model, or NULL. */
typedef const struct st_tensor *packing_find(void *ctx, const char *name);

/* Find the parts of weight name (n, k): 1, 0 when it is not quantized, or -1. */
int packing_match(struct packed *w, const struct packing *p, const char *name, int64_t n,
    int64_t k, packing_find *find, void *ctx, struct err *err);

/*
 * Element (i, j) is an integer less a zero, times a scale: those of the group of
 * its column.  packed_scale() is where in w->scale that is; packed_integers()
 * are n of a row, from column j on, not of FP8.
 */
int64_t packed_group(const struct packed *w, int64_t j);
int64_t packed_scale(const struct packed *w, int64_t i, int64_t g);
int packed_zero(const struct packed *w, int64_t i, int64_t g);
void packed_integers(const struct packed *w, int64_t i, int64_t j, int n, int *to);

/* FP8: e4m3fn, whose exponent is 120 less than that of fp32, or e5m2, the upper half of fp16. */
static inline float
f8_to_f32(uint8_t b, bool e5m2)
{
	uint32_t u = (b & 0x7fu) << 20;
	float x;

	if (e5m2)
		return f16_to_f32((uint16_t)(b << 8));
	memcpy(&x, &u, sizeof(x));
	x = u == 0x7f << 20 ? __builtin_nanf("") : x * 0x1p120f;
	return b & 0x80 ? -x : x;
}

/* All of its n k elements. */
int packing_decode(const struct packed *w, float *y, struct err *err);

/*
 * The same numbers as blocks that kernels read: Q4_0, Q5_0 where zeros differ, or
 * Q8_0.  1, with *blocks the caller's to free; 0 when they have no such form, for
 * columns out of order, scales that fp16 does not have, or FP8; or -1.  blocks NULL:
 * only their type is asked for.
 */
int packing_blocks(const struct packed *w, dtype *type, void **blocks, struct err *err);

#endif
