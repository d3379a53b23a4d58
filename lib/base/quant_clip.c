/* Blocks whose largest elements are cut off, where all others gain more by it. */
#include <math.h>

#include "base/quant_impl.h"

enum { STEPS = 10, BYTES = 256 };

/* e^T h e, for the e = back - y of a block; h has rows of QUANT_BLOCK_MAX. */
static double
lost(const struct quant_simd *simd, const float *y, const float *back, int block,
    const float *h)
{
	float e[QUANT_BLOCK_MAX], sum[QUANT_BLOCK_MAX] = { 0 };
	double all = 0;

	for (int i = 0; i < block; i++)
		e[i] = back[i] - y[i];
	for (int i = 0; i < block; i++)
		simd->axpy(sum, e[i], h + i * QUANT_BLOCK_MAX, block);
	for (int i = 0; i < block; i++)
		all += (double)(sum[i] * e[i]);
	return all;
}

static float
largest(const float *y, int n)
{
	float most = 0;

	for (int i = 0; i < n; i++)
		most = fabsf(y[i]) > most ? fabsf(y[i]) : most;
	return most;
}

static void
clip(float *to, const float *y, int n, float limit)
{
	for (int i = 0; i < n; i++)
		to[i] = y[i] < -limit ? -limit : y[i] > limit ? limit : y[i];
}

void
quant_within(float *within, const float *h, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		int64_t from = i / QUANT_BLOCK_MAX * QUANT_BLOCK_MAX, left = n - from;

		memcpy(within + i * QUANT_BLOCK_MAX, h + i * n + from, sizeof(*h) *
		    (size_t)(left < QUANT_BLOCK_MAX ? left : QUANT_BLOCK_MAX));
	}
}

void
quant_encode_clipped(dtype t, void *x, const float *y, int64_t n, const float *weight,
    const float *within)
{
	const struct quant_simd *simd = quant_simd();
	const int block = dtype_block(t);
	const int64_t bytes = dtype_bytes(t, block);
	float w[QUANT_BLOCK_MAX], cut[QUANT_BLOCK_MAX], back[QUANT_BLOCK_MAX];
	uint8_t *to = x, other[BYTES];

	for (int64_t i = 0; i < n; i += block, to += bytes) {
		const float *h = within + i * QUANT_BLOCK_MAX + i % QUANT_BLOCK_MAX;
		float most = largest(y + i, block);
		double best = (double)INFINITY;

		simd->weigh(w, y + i, weight + i, block);
		for (int k = 0; k < STEPS; k++) {
			double loss;

			clip(cut, y + i, block, most * (1 - 0.05f * (float)k));
			simd->encode[t](other, cut, w);
			quant_decode(t, back, other, block);
			loss = lost(simd, y + i, back, block, h);
			if (k == 0 || loss < best) {
				best = loss;
				memcpy(to, other, (size_t)bytes);
			}
		}
	}
}
