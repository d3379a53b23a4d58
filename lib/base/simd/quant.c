/*
 * Encoders of blocks.  Without weights the types of 32 elements are rounded as
 * ggml's reference does it, byte for byte, and I4 so that what is farthest from
 * zero is the outermost level; all else is searched (quant_fit_impl.h).
 *
 * A block of 256 elements has parts whose d (and m) are small integers s times
 * the block's.  The parts are fitted alone, then the block's d is set so that
 * the largest has the outermost integer; then, in turns, each part takes the
 * best integers around its own, and the block the d of least squares.
 */
#include "base/quant_pack_impl.h"
#include "base/simd/quant_fit_impl.h"

#include <string.h>

enum { BLOCK = 256, PARTS = 16 };

/* Store a number as fp16 and return what was stored. */
static float
put_half(uint8_t *x, float f)
{
#if VW >= 8
	uint16_t h = _cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT);
#else
	uint16_t h = f32_to_f16(f);
#endif

	memcpy(x, &h, sizeof(h));
	return f16_to_f32(h);
}

/*
 * The same of a scale.  Where fp16 is coarse (below 2^-14) it is rounded away
 * from zero: a scale that is too small cuts elements off.
 */
static float
put_scale(uint8_t *x, float d)
{
	float stored = put_half(x, d);

	if (fabsf(d) < 0x1p-14f && fabsf(stored) < fabsf(d))
		stored = put_half(x, stored + (d > 0 ? 0x1p-24f : -0x1p-24f));
	return stored;
}

/*
 * An element's error counts as its column's importance, and the more the larger
 * it is: rare large elements carry more than their share of what a row does.
 */
static void
weigh(float *w, const float *y, const float *weight, int n)
{
	float part[16] = { 0 }, mean, little;

	for (int i = 0; i < n; i += 16)
		for (int k = 0; k < 16; k++)
			part[k] += y[i + k] * y[i + k];
	mean = fit_add(part) / (float)n;
	memset(part, 0, sizeof(part));
	for (int i = 0; i < n; i += VW) {
		vf v = vload(y + i), x = weight != NULL ? vload(weight + i) : vset(1);

		vstore(w + i, x * vsqrt(vset(mean) + v * v));
	}
	for (int i = 0; i < n; i += 16)
		for (int k = 0; k < 16; k++)
			part[k] += w[i + k];
	/* What counts nothing is still to be near. */
	little = fit_add(part) * 1e-6f;
	for (int i = 0; i < n; i++)
		w[i] += little > 0 ? little : 1;
}

/* ---- blocks of 32 ---- */

/* Levels are the whole parts of v, most at most. */
INLINE void
put_levels(uint8_t *q, vf v, int most)
{
	vstore_u8(q, __builtin_convertvector(vmin(v, vset((float)most)), vi));
}

/* The scale of the reference: what is farthest from zero is the outermost level. */
INLINE float
plain_scale(uint8_t *q, const float *y, int outermost)
{
	float d = fit_extreme(y, 32) / (float)outermost, inv = d != 0 ? 1 / d : 0;

	for (int i = 0; i < 32; i += VW)
		put_levels(q + i, vload(y + i) * inv + ((float)-outermost + 0.5f),
		    -2 * outermost - 1);
	return d;
}

/* The range of the reference: from the least element to the largest. */
INLINE struct fit
plain_range(uint8_t *q, const float *y, int steps)
{
	struct fit f;
	float lo, hi, inv;

	fit_range(y, 32, &lo, &hi);
	f = (struct fit){ (hi - lo) / (float)steps, -lo, 0 };
	inv = f.d != 0 ? 1 / f.d : 0;
	for (int i = 0; i < 32; i += VW)
		put_levels(q + i, (vload(y + i) - lo) * inv + 0.5f, steps);
	return f;
}

INLINE void
scaled_32(uint8_t *x, uint8_t *q, const float *y, const float *w, const struct fit_grid *g)
{
	if (w == NULL) {
		put_half(x, plain_scale(q, y, (int)g->lo));
	} else {
		float d = put_scale(x, fit_fine_scale(g, y, w).d);

		fit_levels(g, q, y, d, 0);
	}
}

INLINE void
affine_32(uint8_t *x, uint8_t *q, const float *y, const float *w, float hi)
{
	const struct fit_grid g = { 32, 0, hi, .affine = true };

	if (w == NULL) {
		struct fit f = plain_range(q, y, (int)hi);

		put_half(x, f.d);
		put_half(x + 2, -f.m);
	} else {
		struct fit_sums s = fit_sum(y, w, 32);
		struct fit f = fit_affine(&g, y, w, &s, true);
		float d = put_scale(x, f.d), m = put_half(x + 2, -f.m);

		fit_levels(&g, q, y, d, -m);
	}
}

static void
encode_q4_0(uint8_t *x, const float *y, const float *w)
{
	const struct fit_grid g = { 32, -8, 7 };
	uint8_t q[32];

	scaled_32(x, q, y, w, &g);
	pack_q4_0(x, q);
}

static void
encode_q4_1(uint8_t *x, const float *y, const float *w)
{
	uint8_t q[32];

	affine_32(x, q, y, w, 15);
	pack_q4_1(x, q);
}

static void
encode_q5_0(uint8_t *x, const float *y, const float *w)
{
	const struct fit_grid g = { 32, -16, 15 };
	uint8_t q[32];

	scaled_32(x, q, y, w, &g);
	pack_q5_0(x, q);
}

static void
encode_q5_1(uint8_t *x, const float *y, const float *w)
{
	uint8_t q[32];

	affine_32(x, q, y, w, 31);
	pack_q5_1(x, q);
}

static void
encode_q8_0(uint8_t *x, const float *y, const float *w)
{
	float d = fabsf(fit_extreme(y, 32)) / 127, inv = d != 0 ? 1 / d : 0;

	(void)w;	/* at eight bits there is nothing to gain */
	put_half(x, d);
	for (int i = 0; i < 32; i += VW) {
		vf v = vload(y + i);

		vstore_u8(x + 2 + i, __builtin_convertvector(v * inv + vsign(vset(0.5f), v), vi) &
		    255);
	}
}

static void
encode_iq4_nl(uint8_t *x, const float *y, const float *w)
{
	const struct fit_grid g = { 32, -127, 113, .iq4 = true };
	uint8_t q[32];
	float d = put_scale(x, fit_fine_scale(&g, y, w).d);

	fit_levels(&g, q, y, d, 0);
	pack_q4_0(x, q);
}

/* ---- blocks of 32, 64 or 128 integers ---- */

INLINE void
encode_i4(uint8_t *x, const float *y, const float *w, int n)
{
	const struct fit_grid whole = { n, -8, 7 }, part = { FIT_PART, -8, 7 };
	float d = w != NULL ? fit_fine_scale(&whole, y, w).d : fit_extreme(y, n) / -8;
	uint16_t h = f32_to_bf16(d);
	uint8_t q[128];

	memcpy(x, &h, sizeof(h));
	for (int i = 0; i < n; i += FIT_PART)
		fit_levels(&part, q + i, y + i, bf16_to_f32(h), 0);
	pack_i4(x, q, n);
}

static void
encode_i4_32(uint8_t *x, const float *y, const float *w)
{
	encode_i4(x, y, w, 32);
}

static void
encode_i4_64(uint8_t *x, const float *y, const float *w)
{
	encode_i4(x, y, w, 64);
}

static void
encode_i4_128(uint8_t *x, const float *y, const float *w)
{
	encode_i4(x, y, w, 128);
}

/* ---- blocks of 256: a scale ---- */

/* The integer near want / d in [lo, hi] that is best with d; its sums too. */
INLINE int
scaled_part(const struct fit_grid *g, const float *y, const float *w, float d, float *want,
    int lo, int hi, float *yq, float *qq, int sums)
{
	struct fit_tries t;
	float middle = d != 0 ? roundf(*want / d) : 0;
	int first, best, s;

	middle = middle > (float)(hi - 7) ? (float)(hi - 7) : middle;
	middle = middle < (float)(lo + 8) ? (float)(lo + 8) : middle;
	first = (int)middle - 8;
	for (int k = 0; k < FIT_TRIES; k++)
		t.d[k] = d * (float)(first + k);
	fit_try(g, y, w, &t, FIT_ERRORS | sums);
	best = fit_least(&t);
	s = first + best;
	*want = t.d[best];
	*yq += (float)s * t.yq[best];
	*qq += (float)(s * s) * t.qq[best];
	return s;
}

/* The block's d, stored at x, and integers s in [lo, hi] and levels q of its parts. */
INLINE void
scaled_256(uint8_t *x, int *s, uint8_t *q, const float *y, const float *w,
    const struct fit_grid *g, int lo, int hi)
{
	const int parts = BLOCK / g->n;
	float want[PARTS], d, yq = 0, qq = 0;

	for (int j = 0; j < PARTS; j++)
		want[j] = j < parts ? fit_scale(g, y + j * g->n, w + j * g->n).d : 0;
	d = put_scale(x, fit_extreme(want, PARTS) / (float)lo);
	for (int j = 0; j < parts; j++)
		s[j] = scaled_part(g, y + j * g->n, w + j * g->n, d, &want[j], lo, hi, &yq, &qq,
		    FIT_SUMS);
	if (qq > 0)
		d = put_scale(x, yq / qq);
	for (int j = 0; j < parts; j++)
		s[j] = scaled_part(g, y + j * g->n, w + j * g->n, d, &want[j], lo, hi, &yq, &qq,
		    0);
	for (int j = 0; j < parts; j++)
		fit_levels(g, q + j * g->n, y + j * g->n, d * (float)s[j], 0);
}

static void
encode_q3_k(uint8_t *x, const float *y, const float *w)
{
	const struct fit_grid g = { 16, -4, 3 };
	uint8_t q[BLOCK], *scale = x + 96;
	int s[PARTS];

	memset(x + 96, 0, 12);
	scaled_256(x + 108, s, q, y, w, &g, -32, 31);
	pack_q3_k(x, q);
	for (int j = 0; j < 16; j++) {
		int v = s[j] + 32;

		scale[j % 8] |= (uint8_t)((v & 15) << j / 8 * 4);
		scale[8 + j % 4] |= (uint8_t)(v >> 4 << j / 4 * 2);
	}
}

static void
encode_q6_k(uint8_t *x, const float *y, const float *w)
{
	const struct fit_grid g = { 16, -32, 31 };
	uint8_t q[BLOCK];
	int s[PARTS];

	scaled_256(x + 208, s, q, y, w, &g, -128, 127);
	pack_q6_k(x, q);
	for (int j = 0; j < 16; j++)
		x[192 + j] = (uint8_t)(int8_t)s[j];
}

static void
encode_iq4_xs(uint8_t *x, const float *y, const float *w)
{
	const struct fit_grid g = { 32, -127, 113, .iq4 = true };
	uint8_t q[BLOCK];
	int s[PARTS];

	memset(x, 0, 8);
	scaled_256(x, s, q, y, w, &g, -32, 31);
	for (int j = 0; j < 8; j++) {
		int v = s[j] + 32;

		x[4 + j / 2] |= (uint8_t)((v & 15) << j % 2 * 4);
		x[2 + j / 4] |= (uint8_t)(v >> 4 << j % 4 * 2);
	}
	pack_iq4_xs(x, q);
}

/* ---- blocks of 256: a scale and a least value ---- */

/* Sums over a block for its d and m where parts have the integers s and l. */
struct affine_sums {
	double	qq, q, w, yq, y;	/* of s s qq, s l q, l l w, s yq, l y */
};

INLINE void
affine_part(const struct fit_grid *g, const float *y, const float *w,
    const struct fit_sums *sum, float d, float m, int most, int *s, int *l,
    struct affine_sums *a, int sums)
{
	struct fit_tries t;
	int s0, l0, best;

	/* From one below to two above, where that can be stored. */
	s0 = *s - 1 < 0 ? 0 : *s - 1 > most - 3 ? most - 3 : *s - 1;
	l0 = *l - 1 < 0 ? 0 : *l - 1 > most - 3 ? most - 3 : *l - 1;
	for (int k = 0; k < FIT_TRIES; k++) {
		t.d[k] = d * (float)(s0 + k % 4);
		t.m[k] = m * (float)(l0 + k / 4);
	}
	fit_try(g, y, w, &t, FIT_ERRORS | sums);
	best = fit_least(&t);
	*s = s0 + best % 4;
	*l = l0 + best / 4;
	a->qq += (double)(*s * *s) * (double)t.qq[best];
	a->q += (double)(*s * *l) * (double)t.q[best];
	a->w += (double)(*l * *l) * (double)sum->w;
	a->yq += (double)*s * (double)t.yq[best];
	a->y += (double)*l * (double)sum->y;
}

/* d and m of least squares for the whole block, where they are determined and not negative. */
static void
affine_solve(const struct affine_sums *a, float *d, float *m)
{
	double det = a->qq * a->w - a->q * a->q;
	double nd = (a->yq * a->w - a->y * a->q) / det, nm = (a->yq * a->q - a->y * a->qq) / det;

	if (det > 1e-5 * a->qq * a->w && nd > 0 && nm >= 0) {
		*d = (float)nd;
		*m = (float)nm;
	} else if (a->qq > 0 && a->yq > 0 && a->w == 0) {
		*d = (float)(a->yq / a->qq);
	}
}

static int
whole(float v, float unit, int most)
{
	float n = unit > 0 ? roundf(v / unit) : 0;

	return n > 0 ? n < (float)most ? (int)n : most : 0;
}

/* d at x, m behind it, integers s and l up to most of the parts, and levels q. */
INLINE void
affine_256(uint8_t *x, int *s, int *l, uint8_t *q, const float *y, const float *w,
    const struct fit_grid *g, int most)
{
	const int parts = BLOCK / g->n;
	struct fit_sums sum[PARTS];
	struct fit f[PARTS];
	float d = 0, m = 0;

	for (int j = 0; j < parts; j++) {
		sum[j] = fit_sum(y + j * g->n, w + j * g->n, g->n);
		f[j] = fit_affine(g, y + j * g->n, w + j * g->n, &sum[j], false);
		d = f[j].d > d ? f[j].d : d;
		m = f[j].m > m ? f[j].m : m;
	}
	d = put_scale(x, d / (float)most);
	m = put_scale(x + 2, m / (float)most);
	for (int j = 0; j < parts; j++) {
		s[j] = whole(f[j].d, d, most);
		l[j] = whole(f[j].m, m, most);
	}
	for (int round = 0; round < 3; round++) {
		struct affine_sums a = { 0 };

		for (int j = 0; j < parts; j++)
			affine_part(g, y + j * g->n, w + j * g->n, &sum[j], d, m, most, &s[j],
			    &l[j], &a, round < 2 ? FIT_SUMS : 0);
		if (round == 2)
			break;
		affine_solve(&a, &d, &m);
		d = put_scale(x, d);
		m = put_scale(x + 2, m);
	}
	for (int j = 0; j < parts; j++)
		fit_levels(g, q + j * g->n, y + j * g->n, d * (float)s[j], m * (float)l[j]);
}

static void
encode_q2_k(uint8_t *x, const float *y, const float *w)
{
	const struct fit_grid g = { 16, 0, 3, .affine = true };
	uint8_t q[BLOCK];
	int s[PARTS], l[PARTS];

	affine_256(x + 80, s, l, q, y, w, &g, 15);
	for (int j = 0; j < 16; j++)
		x[j] = (uint8_t)(s[j] | l[j] << 4);
	pack_q2_k(x, q);
}

/* Eight pairs of 6 bits in 12 bytes. */
static void
put_sixes(uint8_t *x, const int *s, const int *l)
{
	for (int j = 0; j < 4; j++) {
		x[j] = (uint8_t)(s[j] | s[j + 4] >> 4 << 6);
		x[j + 4] = (uint8_t)(l[j] | l[j + 4] >> 4 << 6);
		x[j + 8] = (uint8_t)((s[j + 4] & 15) | (l[j + 4] & 15) << 4);
	}
}

static void
encode_q4_k(uint8_t *x, const float *y, const float *w)
{
	const struct fit_grid g = { 32, 0, 15, .affine = true };
	uint8_t q[BLOCK];
	int s[PARTS], l[PARTS];

	affine_256(x, s, l, q, y, w, &g, 63);
	put_sixes(x + 4, s, l);
	pack_q4_k(x, q);
}

static void
encode_q5_k(uint8_t *x, const float *y, const float *w)
{
	const struct fit_grid g = { 32, 0, 31, .affine = true };
	uint8_t q[BLOCK];
	int s[PARTS], l[PARTS];

	affine_256(x, s, l, q, y, w, &g, 63);
	put_sixes(x + 4, s, l);
	pack_q5_k(x, q);
}

static void
axpy(float *y, float a, const float *x, int64_t n)
{
	int64_t i = 0;

	for (; i + VW <= n; i += VW)
		vstore(y + i, vload(y + i) + vset(a) * vload(x + i));
	for (; i < n; i++)
		y[i] += a * x[i];
}

static void
axpy_4(float *const y[4], const float a[4], const float *x, int64_t n)
{
	int64_t i = 0;

	for (; i + VW <= n; i += VW) {
		vf v = vload(x + i);

		for (int r = 0; r < 4; r++)
			vstore(y[r] + i, vload(y[r] + i) + vset(a[r]) * v);
	}
	for (; i < n; i++)
		for (int r = 0; r < 4; r++)
			y[r][i] += a[r] * x[i];
}

/* ---- of rows ---- */

/* In eight sums each, whatever the vectors are. */
static void
lost(double sum[2], const float *y, const float *back, const float *w, int64_t n)
{
	double error[8] = { 0 }, size[8] = { 0 };

	for (int64_t i = 0; i < n; i += 8)
		for (int k = 0; k < 8 && i + k < n; k++) {
			double a = (double)y[i + k], d = (double)back[i + k] - a;
			double weight = w != NULL ? (double)w[i + k] : 1;

			error[k] += weight * d * d;
			size[k] += weight * a * a;
		}
	for (int k = 0; k < 8; k++) {
		sum[0] += error[k];
		sum[1] += size[k];
	}
}

static void
widen_f16(float *y, const uint16_t *x, int64_t n)
{
	int64_t i = 0;

#if VW == 16
	for (; i + VW <= n; i += VW)
		_mm512_storeu_ps(y + i, _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(x + i))));
#elif VW == 8
	for (; i + VW <= n; i += VW)
		_mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(x + i))));
#endif
	for (; i < n; i++)
		y[i] = f16_to_f32(x[i]);
}

const struct quant_simd OF_ISA(quant_simd) = { weigh, axpy, axpy_4, lost, widen_f16, {
	[DTYPE_Q4_0] = encode_q4_0, [DTYPE_Q4_1] = encode_q4_1, [DTYPE_Q5_0] = encode_q5_0,
	[DTYPE_Q5_1] = encode_q5_1, [DTYPE_Q8_0] = encode_q8_0, [DTYPE_Q2_K] = encode_q2_k,
	[DTYPE_Q3_K] = encode_q3_k, [DTYPE_Q4_K] = encode_q4_k, [DTYPE_Q5_K] = encode_q5_k,
	[DTYPE_Q6_K] = encode_q6_k, [DTYPE_IQ4_NL] = encode_iq4_nl,
	[DTYPE_IQ4_XS] = encode_iq4_xs, [DTYPE_I4_32] = encode_i4_32,
	[DTYPE_I4_64] = encode_i4_64, [DTYPE_I4_128] = encode_i4_128,
} };
