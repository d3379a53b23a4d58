/* Encoders of quantized blocks: the reference's bytes, and errors no larger than its. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../tap.h"
#include "base/quant_impl.h"
#include "base/rng.h"
#include "fmt/gguf.h"

enum { ROWS = 8, COLS = 512, N = ROWS * COLS };

static const dtype types[] = {
	DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_Q8_0, DTYPE_Q2_K, DTYPE_Q3_K,
	DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_IQ4_NL, DTYPE_IQ4_XS,
	DTYPE_I4_32, DTYPE_I4_64, DTYPE_I4_128
};

#define TYPES ((int)(sizeof(types) / sizeof(*types)))
#define OF_GGML (TYPES - 3)

static char *
encode_rows(dtype t, const float *y, const float *weight)
{
	char *x = calloc(1, (size_t)dtype_bytes(t, N));

	for (int r = 0; r < ROWS; r++)
		quant_encode(t, x + r * dtype_bytes(t, COLS), y + r * COLS, COLS, weight);
	return x;
}

/* The sum of w y (y - decoded)^2, w that of columns. */
static double
error(dtype t, const char *x, const float *y, const float *weight)
{
	float *z = malloc(N * sizeof(*z));
	double sum = 0;

	quant_decode(t, z, x, N);
	for (int i = 0; i < N; i++) {
		double e = (double)z[i] - (double)y[i];

		sum += e * e * fabs((double)y[i]) *
		    (weight != NULL ? (double)weight[i % COLS] : 1);
	}
	free(z);
	return sum;
}

static void
reference(const struct gguf *f)
{
	const float *y = gguf_find(f, "y")->data;
	const float *importance = gguf_find(f, "importance")->data;

	for (int i = 0; i < OF_GGML; i++) {
		const char *name = dtype_name(types[i]);
		const struct gguf_tensor *want = gguf_find(f, name);

		for (int weighted = 0; weighted < 2; weighted++) {
			const float *w = weighted ? importance : NULL;
			char *x = encode_rows(types[i], y, w), key[64], what[96];
			double limit = 0, e = error(types[i], x, y, w);

			snprintf(key, sizeof(key), "%s.error%s", name, w ? ".weighted" : "");
			gguf_real(gguf_find_key(f, key), &limit);
			snprintf(what, sizeof(what), "%s: %.4f of the reference's error%s", name,
			    e / limit, w ? ", weighted" : "");
			/* Another order of sums may round otherwise: a millionth. */
			ok(limit > 0 && e <= limit * (1 + 1e-6), what);
			if (!weighted && want != NULL)
				ok(memcmp(x, want->data, (size_t)want->bytes) == 0, name);
			free(x);
		}
	}
}

/* Numbers of all sizes, signs and patterns; some blocks have no or one element. */
static void
random_row(uint64_t seed, float *y, float *weight)
{
	double size = pow(10, 8 * rng_unit(seed, 1, 0) - 5);
	double zeros = seed % 4 == 0 ? 0.98 : 0, shift = seed % 3 == 0 ? 3 : 0;

	for (int i = 0; i < COLS; i++) {
		double v = size * (rng_normal(seed, 2, (uint64_t)i) + shift);

		y[i] = rng_unit(seed, 3, (uint64_t)i) < zeros ? 0 : (float)v;
		weight[i] = seed % 5 == 0 && i % 7 ? 0 : (float)rng_unit(seed, 4, (uint64_t)i);
	}
}

static bool
same(const struct quant_simd *a, const struct quant_simd *b)
{
	float y[COLS], weight[COLS], wa[COLS], wb[COLS];
	uint8_t xa[1024], xb[1024];

	for (uint64_t seed = 1; seed < 200; seed++) {
		random_row(seed, y, weight);
		a->weigh(wa, y, seed % 2 ? weight : NULL, 256);
		b->weigh(wb, y, seed % 2 ? weight : NULL, 256);
		if (memcmp(wa, wb, 256 * sizeof(*wa)) != 0)
			return false;
		for (int i = 0; i < TYPES; i++) {
			memset(xa, 0, sizeof(xa));
			memset(xb, 0, sizeof(xb));
			a->encode[types[i]](xa, y, wa);
			b->encode[types[i]](xb, y, wa);
			if (memcmp(xa, xb, sizeof(xa)) != 0)
				return false;
		}
	}
	return true;
}

/* What is decoded is finite and no farther than a step of the outermost levels. */
static void
robust(void)
{
	/* Half a step of the levels, where the range is taken whole, and some for cutting it. */
	static const double most[] = { 0.13, 0.07, 0.07, 0.04, 0.005, 0.75, 0.3, 0.15, 0.08, 0.04,
	    0.2, 0.2, 0.13, 0.13, 0.13 };
	float y[COLS], weight[COLS], z[COLS];
	char x[4096];
	int bad = 0;

	for (uint64_t seed = 1; seed < 400; seed++) {
		random_row(seed, y, weight);
		for (int i = 0; i < TYPES; i++)
			for (int block = 0; block < COLS; block += 256) {
				float far = 0, off = 0;

				quant_encode(types[i], x, y + block, 256, NULL);
				quant_decode(types[i], z, x, 256);
				for (int k = 0; k < 256; k++) {
					far = fmaxf(far, fabsf(y[block + k]));
					off = fmaxf(off, fabsf(y[block + k] - z[k]));
					bad += !isfinite(z[k]);
				}
				/* fp16 scales end at 6e-8. */
				if (!(off <= (float)most[i] * far + 1e-5f)) {
					printf("# %s seed %d: %g of %g\n", dtype_name(types[i]),
					    (int)seed, (double)off, (double)far);
					bad++;
				}
			}
	}
	ok(bad == 0, "elements of all sizes come back");
	memset(y, 0, sizeof(y));
	bad = 0;
	for (int i = 0; i < TYPES; i++) {
		quant_encode(types[i], x, y, COLS, weight);
		quant_decode(types[i], z, x, COLS);
		for (int k = 0; k < COLS; k++)
			bad += z[k] != 0;
	}
	ok(bad == 0, "zeros stay zeros");
}

/* The integers of a group with scale d, to nearest, and the share of it that is lost. */
static double
round_group(const float *y, const float *w, int n, float d, int *q)
{
	double error = 0, size = 0;

	for (int i = 0; i < n; i++) {
		double v = d != 0 ? rint((double)y[i] / (double)d) : 0, e;

		q[i] = (int)fmin(fmax(v, -8), 7);
		e = (double)y[i] - (double)d * q[i];
		error += (double)w[i] * e * e;
		size += (double)w[i] * (double)y[i] * (double)y[i];
	}
	return size > 0 ? error / size : 0;
}

/* The least that any scale loses, of a fine grid of them; and with the plain one, in q. */
static double
best_group(const float *y, const float *w, int n, int *q)
{
	double least = INFINITY;
	float far = 0;

	for (int i = 0; i < n; i++)
		far = fabsf(y[i]) > fabsf(far) ? y[i] : far;
	for (int k = -600; k <= 600; k++)
		least = fmin(least, round_group(y, w, n, (float)k / 500 * far / 8, q));
	round_group(y, w, n, bf16_to_f32(f32_to_bf16(far / -8)), q);
	return least;
}

/* Groups of integers: rounded as they are said to be, and scales as good as any. */
static void
groups(dtype t)
{
	int n = dtype_block(t), bad = 0, q[128];
	float y[COLS], weight[COLS], w[128], d;
	double found = 0, best = 0;
	uint8_t x[1024];
	uint16_t h;
	char what[80];

	for (uint64_t seed = 1; seed < 60; seed += 2) {
		random_row(seed, y, weight);
		quant_simd()->weigh(w, y, weight, n);
		best += best_group(y, w, n, q);
		quant_encode(t, x, y, COLS, NULL);
		for (int i = 0; i < n; i++)
			bad += (x[2 + i / 2] >> 4 * (i % 2) & 15) != q[i] + 8;
		quant_encode(t, x, y, COLS, weight);
		memcpy(&h, x, sizeof(h));
		d = bf16_to_f32(h);
		found += round_group(y, w, n, d, q);
		for (int i = 0; i < n; i++)
			bad += (x[2 + i / 2] >> 4 * (i % 2) & 15) != q[i] + 8;
	}
	snprintf(what, sizeof(what), "%s: rounded to nearest", dtype_name(t));
	ok(bad == 0, what);
	snprintf(what, sizeof(what), "%s: %.3f of the least error there is", dtype_name(t),
	    found / best);
	ok(found < 1.03 * best, what);
}

int
main(void)
{
	struct err e = { 0 };
	struct gguf *f = gguf_open("tests/data/quant/rows.gguf", &e);

	ok(f != NULL && gguf_find(f, "y") != NULL && gguf_find(f, "importance") != NULL,
	    "golden data");
	if (f != NULL)
		reference(f);
	gguf_close(f);
#ifdef __x86_64__
	if (isa_best() >= ISA_LEVEL_AVX2)
		ok(same(&quant_simd_base, &quant_simd_avx2), "base and avx2 make the same bytes");
	if (isa_best() >= ISA_LEVEL_AVX512)
		ok(same(&quant_simd_base, &quant_simd_avx512),
		    "base and avx512 make the same bytes");
#endif
	robust();
	for (int i = OF_GGML; i < TYPES; i++)
		groups(types[i]);
	return tap_done();
}
