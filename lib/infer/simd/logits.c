/* Loops over lanes that compilers turn into vectors of any width. */
#include <math.h>
#include <string.h>

#include "infer/logits_impl.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = LOGITS_LANES, BLOCK = 64 * LANES };

INLINE float
as_float(uint32_t u)
{
	float x;

	memcpy(&x, &u, sizeof(x));
	return x;
}

INLINE uint32_t
as_bits(float x)
{
	uint32_t u;

	memcpy(&u, &x, sizeof(u));
	return u;
}

/* 2^k e^r, |r| <= ln 2 / 2, by the series of e^r; of x <= 0. */
INLINE float
exp_below(float x)
{
	/* Adding 1.5 2^23 rounds to a whole number, which is then in the low bits. */
	const float magic = 12582912.0f;
	float in = x > -86 ? x : -86, whole = in * 1.44269504f + magic, k = whole - magic;
	float r = (in - k * 0.693145752f) - k * 1.42860677e-6f, y;

	y = 1.0f / 5040;
	y = y * r + 1.0f / 720;
	y = y * r + 1.0f / 120;
	y = y * r + 1.0f / 24;
	y = y * r + 1.0f / 6;
	y = y * r + 0.5f;
	y = y * r + 1;
	y = y * r + 1;
	y = as_float(as_bits(y) + (as_bits(whole) << 23));
	return x > -85 ? y : 0;
}

/* The natural logarithm of a positive number, to 1e-7: of m in [2/3, 4/3] by atanh. */
INLINE float
log_of(float x)
{
	uint32_t u = as_bits(x) - 0x3f2aaaab;
	float k = (float)(int32_t)((int32_t)u >> 23), m = as_float((u & 0x7fffff) + 0x3f2aaaab);
	float s = (m - 1) / (m + 1), z = s * s, y;

	y = 2.0f / 9;
	y = y * z + 2.0f / 7;
	y = y * z + 2.0f / 5;
	y = y * z + 2.0f / 3;
	y = y * z + 2;
	return k * 0.693147181f + s * y;
}

static float
max_of(const float *x, int64_t n)
{
	float lane[LANES], max;
	int64_t i = 0;

	for (int k = 0; k < LANES; k++)
		lane[k] = -INFINITY;
	for (; n - i >= LANES; i += LANES)
		for (int k = 0; k < LANES; k++)
			lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
	for (; i < n; i++)
		lane[0] = x[i] > lane[0] ? x[i] : lane[0];
	max = lane[0];
	for (int k = 1; k < LANES; k++)
		max = lane[k] > max ? lane[k] : max;
	return max;
}

static double
sum_block(const float *w, int64_t n)
{
	float lane[LANES] = { 0 };
	double sum = 0;
	int64_t i = 0;

	for (; n - i >= LANES; i += LANES)
		for (int k = 0; k < LANES; k++)
			lane[k] += w[i + k];
	for (; i < n; i++)
		lane[i % LANES] += w[i];
	for (int k = 0; k < LANES; k++)
		sum += (double)lane[k];
	return sum;
}

static double
weights(float *w, const float *x, int64_t n, float max, float scale)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i += BLOCK) {
		int64_t end = n - i < BLOCK ? n : i + BLOCK;

		for (int64_t k = i; k < end; k++)
			w[k] = exp_below((x[k] - max) * scale);
		sum += sum_block(w + i, end - i);
	}
	return sum;
}

static double
sum_of(const float *x, int64_t n, float max, float scale)
{
	float w[BLOCK];
	double sum = 0;

	for (int64_t i = 0; i < n; i += BLOCK)
		sum += weights(w, x + i, n - i < BLOCK ? n - i : BLOCK, max, scale);
	return sum;
}

static int64_t
at_least(int32_t *at, const float *w, int64_t n, float low)
{
	int64_t found = 0;

	for (int64_t i = 0; i < n; i += LANES) {
		int64_t end = n - i < LANES ? n : i + LANES;
		int any = 0;

		/* Few blocks have one. */
		for (int64_t k = i; k < end; k++)
			any |= w[k] >= low;
		for (int64_t k = i; any && k < end; k++) {
			at[found] = (int32_t)k;
			found += w[k] >= low;
		}
	}
	return found;
}

/* Bits of an id, all of which depend on all bits of it and of the key. */
INLINE uint32_t
mix(uint32_t id, uint32_t low, uint32_t high)
{
	uint32_t h = id * 0x9e3779b9 ^ low;

	h = (h ^ h >> 16) * 0x7feb352d;
	h = (h ^ h >> 15) * 0x846ca68b;
	h = (h ^ h >> 16) + high;
	h = (h ^ h >> 16) * 0x7feb352d;
	h = (h ^ h >> 15) * 0x846ca68b;
	return h ^ h >> 16;
}

/*
 * -log(1 - v), v the middle of the bits' part of [0, 1): small ones, who
 * arrive early, by the series, so that they keep all their digits.
 */
INLINE float
exponential(uint32_t bits)
{
	float v = ((float)(int32_t)(bits >> 8) * 256 + ((float)(int32_t)(bits & 255) + 0.5f)) *
	    0x1p-32f;
	float rest = 1 - v + 0x1p-26f;	/* never 0 */
	float small = v * (1 + v * (0.5f + v * (1.0f / 3 + v * 0.25f)));
	uint32_t is_small = -(uint32_t)(v < 0x1p-8f);

	/* Chosen by bits, for a branch would end the vectors. */
	return as_float((as_bits(small) & is_small) | (as_bits(-log_of(rest)) & ~is_small));
}

static int64_t
race(const float *w, const int32_t *id, int64_t n, uint64_t key)
{
	uint32_t who[BLOCK], low = (uint32_t)key, high = (uint32_t)(key >> 32);
	float early[BLOCK], best = -INFINITY;
	int64_t first = -1;

	for (int64_t i = 0; i < n; i += BLOCK) {
		int64_t m = n - i < BLOCK ? n - i : BLOCK;
		float most;

		for (int32_t k = 0; k < m; k++)
			who[k] = id != NULL ? (uint32_t)id[i + k] : (uint32_t)((int32_t)i + k);
		/* How early: less than 0. */
		for (int64_t k = 0; k < m; k++)
			early[k] = -exponential(mix(who[k], low, high)) / w[i + k];
		most = max_of(early, m);
		for (int64_t k = 0; most > best && k < m; k++) {
			if (early[k] == most) {
				best = most;
				first = i + k;
			}
		}
	}
	return first;
}

const struct logits_simd OF_ISA(logits_simd) = { max_of, weights, sum_of, at_least, race };
