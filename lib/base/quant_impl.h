/*
 * quant_impl - encoders of one block, compiled once for each instruction set
 *
 * They are plain sums and products in a fixed order, without fused
 * multiply-adds, so every instruction set makes the same bytes.
 */
#ifndef BASE_QUANT_IMPL_H
#define BASE_QUANT_IMPL_H

#include <stdbool.h>

#include "base/isa.h"
#include "base/quant.h"

/* The steps of IQ4 grow with distance from zero. */
#define IQ4_VALUES { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 }

/* One block at x of y; w[i] > 0 is what the square of element i's error counts. */
typedef void quant_encoder(uint8_t *x, const float *y, const float *w);

struct quant_simd {
	/* w of n <= QUANT_BLOCK_MAX elements from the importance of columns, or NULL. */
	void		(*weigh)(float *w, const float *y, const float *weight, int n);
	/* y[0..n) += a x, and the same of four rows. */
	void		(*axpy)(float *y, float a, const float *x, int64_t n);
	void		(*axpy_4)(float *const y[4], const float a[4], const float *x, int64_t n);
	void		(*lost)(double sum[2], const float *y, const float *back, const float *w,
			    int64_t n);		/* quant_lost() */
	void		(*widen_f16)(float *y, const uint16_t *x, int64_t n);
	quant_encoder	*encode[DTYPE_COUNT];
};

ISA_TABLE(quant_simd)

#endif
