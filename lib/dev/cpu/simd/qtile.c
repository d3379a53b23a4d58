/* Activations of 8 bits, and their products with a panel. */
#include "dev/cpu/simd/qpanel.h"

/* ---- rounding ---- */

/* VW times QB elements of a row, a lane for each: words as dot() takes them, and the rest. */
struct rounded {
	uint32_t word[8 * QWORDS][VW];
	float	start[2][VW];		/* or int32_t: see round_some() */
	float	scale[VW];
};

/* x[e] = element e of each of n <= VW times QB from at on; zeros for those that are not. */
INLINE void
turned(dtype type, const void *a, int64_t at, int64_t n, vf x[QB])
{
	UNROLL
	for (int e = 0; e < QB; e += VW) {
		for (int b = 0; b < VW; b++)
			x[e + b] = b < n ? vget(type, a, at + b * QB + e, VW) : (vf){ 0 };
		turn(x + e);
	}
}

INLINE vi
larger(vi x, vi y)
{
	return (x & (x > y)) | (y & ~(x > y));
}

INLINE void
put_words(const vi q[4], uint32_t to[QWORDS][VW])
{
#ifdef __AVX512VNNI__
	vi x = (q[0] & 255) | (q[1] & 255) << 8 | (q[2] & 255) << 16 | q[3] << 24;

	memcpy(to[0], &x, sizeof(x));
#else
	vi even = (q[0] & 65535) | q[2] << 16, odd = (q[1] & 65535) | q[3] << 16;

	memcpy(to[0], &even, sizeof(even));
	memcpy(to[1], &odd, sizeof(odd));
#endif
}

/*
 * Bits of magnitudes are compared, so a NaN is the largest, and the scale is
 * what makes a row of results NaN then.
 */
INLINE void
round_some(dtype type, const struct qform *f, const void *a, int64_t at, int64_t n,
    struct rounded *r)
{
	vf x[QB], most, inverse, scale;
	vi size = { 0 };
	vu sum[2] = { { 0 }, { 0 } };		/* of a NaN's row they wrap */

	turned(type, a, at, n, x);
	UNROLL
	for (int e = 0; e < QB; e++)
		size = larger(size, (vi)x[e] & INT32_MAX);
	most = (vf)size;
	scale = most / 127;
	inverse = vsel(most > 0x1p-100f, 127 / most, (vf){ 0 });
	for (int e = 0; e < QB; e += 4) {
		vi q[4];

		/* To nearest: what is added leaves no place for a fraction. */
		UNROLL
		for (int j = 0; j < 4; j++) {
			q[j] = (vi)(x[e + j] * inverse + 0x1.8p23f) - 0x4b400000;
			sum[e / 16] += (vu)q[j];
		}
		put_words(q, r->word + e / 4 * QWORDS);
	}
	if (f->part == QB)
		sum[0] += sum[1];
	for (int i = 0; i < 2; i++)
		vstore(r->start[i], f->least ? scale * __builtin_convertvector((vi)sum[i], vf) :
		    (vf)(sum[i] * (uint32_t)-f->zero));
	vstore(r->scale, scale);
}

/*
 * A strip, for each QB of k: for each part what its sum begins with (or, where
 * there are least values, what they are multiplied by), and its words; then
 * the scales.  All of that of each row, n rows side by side.
 */
INLINE void
round_rows(dtype type, const struct qform *f, const void *a, int64_t ld, int64_t row,
    int64_t n, int64_t k, uint32_t *strip)
{
	int64_t step = n * qwords(f, QB);
	int parts = QB / f->part, words = f->part / 4 * QWORDS;

	for (int64_t i = 0; i < n; i++) {
		uint32_t *to = strip + i;

		for (int64_t l = 0; l < k; l += VW * QB) {
			int64_t some = min64(VW, (k - l) / QB);
			struct rounded r;

			round_some(type, f, a, (row + i) * ld + l, some, &r);
			for (int b = 0; b < some; b++, to += step) {
				uint32_t *at = to;

				for (int p = 0; p < parts; p++) {
					memcpy(at, &r.start[p][b], 4);
					at += n;
					for (int w = 0; w < words; w++, at += n)
						*at = r.word[p * words + w][b];
				}
				memcpy(at, &r.scale[b], 4);
			}
		}
	}
}

void
OF_ISA(qround)(const struct qform *f, dtype type, const void *a, int64_t ld, int64_t i,
    int64_t n, int64_t k, uint32_t *strip)
{
#define ROUND(type) round_rows(type, f, a, ld, i, n, k, strip)
	EACH_TYPE(type, ROUND);
}

/* ---- multiplying ---- */

INLINE vi
load_word(const uint32_t *p)
{
	int32_t x;

	memcpy(&x, p, sizeof(x));
	return viset(x);
}

INLINE vf
load_scale(const uint32_t *p)
{
	float x;

	memcpy(&x, p, sizeof(x));
	return vset(x);
}

INLINE vu
load_panel(const uint32_t *p)
{
	vu x;

	memcpy(&x, p, sizeof(x));
	return x;
}

#ifndef __AVX512VNNI__
/* acc + the products of both halves of each lane */
INLINE vi
pairs_fma(vi a, vi b, vi acc)
{
#if VW == 16
	return acc + (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif VW == 8
	return acc + (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
	return acc + (vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
	return acc + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}
#endif

/* A word of each row of a panel, as dot() takes it. */
struct quad {
	vi	w[QWORDS];
};

INLINE struct quad
load_quad(const uint32_t *p)
{
	vu x = load_panel(p);
#ifdef __AVX512VNNI__
	return (struct quad){ { (vi)x } };
#else
	return (struct quad){ { (vi)(x & 0xff00ff), (vi)(x >> 8 & 0xff00ff) } };
#endif
}

/* acc + four products in each lane, exactly; a at stride from word to word */
INLINE vi
dot(const struct quad *w, const uint32_t *a, int64_t stride, vi acc)
{
#ifdef __AVX512VNNI__
	(void)stride;
	return (vi)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w->w[0], (__m512i)load_word(a));
#else
	acc = pairs_fma(w->w[0], load_word(a), acc);
	return pairs_fma(w->w[1], load_word(a + stride), acc);
#endif
}

/* One part of k: its integers, then f += d scale sum (+ m times). */
INLINE void
part_step(int n, int part, bool least, const uint32_t *q, const float *d, const float *m,
    const uint32_t *a, const uint32_t *scale, vf f[QT][2])
{
	const uint32_t *start = a;
	vi sum[QT][2];
	vf d0, d1;

	UNROLL
	for (int i = 0; i < n; i++)
		sum[i][0] = sum[i][1] = least ? (vi){ 0 } : load_word(start + i);
	a += n;
	UNROLL
	for (int k = 0; k < part / 4; k++) {
		struct quad w0 = load_quad(q), w1 = load_quad(q + VW);

		UNROLL
		for (int i = 0; i < n; i++) {
			sum[i][0] = dot(&w0, a + i, n, sum[i][0]);
			sum[i][1] = dot(&w1, a + i, n, sum[i][1]);
		}
		q += QW;
		a += n * QWORDS;
	}
	d0 = vload(d);
	d1 = vload(d + VW);
	UNROLL
	for (int i = 0; i < n; i++) {
		vf s = load_scale(scale + i);

		f[i][0] = vfma(__builtin_convertvector(sum[i][0], vf), d0 * s, f[i][0]);
		f[i][1] = vfma(__builtin_convertvector(sum[i][1], vf), d1 * s, f[i][1]);
	}
	if (!least)
		return;
	d0 = vload(m);
	d1 = vload(m + VW);
	UNROLL
	for (int i = 0; i < n; i++) {
		f[i][0] = vfma(d0, load_scale(start + i), f[i][0]);
		f[i][1] = vfma(d1, load_scale(start + i), f[i][1]);
	}
}

INLINE void
tile_of(int n, int part, bool least, const struct qtile *t)
{
	enum { ALL = 8 * QWORDS };
	const uint32_t *q = t->b.q, *a = t->a;
	const float *d = t->b.d, *m = t->b.m;
	int parts = QB / part, words = part / 4 * QWORDS + 1;
	vf f[QT][2];

	UNROLL
	for (int i = 0; i < n; i++)
		for (int v = 0; v < 2; v++)
			f[i][v] = t->first ? (vf){ 0 } : vload(t->sums + i * QW + v * VW);
	for (int64_t k = 0; k < t->k; k += QB) {
		const uint32_t *scale = a + (ALL + parts) * n;

		UNROLL
		for (int p = 0; p < parts; p++) {
			part_step(n, part, least, q, d, m, a, scale, f);
			q += part / 4 * QW;
			a += words * n;
			d += QW;
			m += least ? QW : 0;
		}
		a += n;
	}
	UNROLL
	for (int i = 0; i < n; i++)
		for (int v = 0; v < 2; v++)
			vstore(t->sums + i * QW + v * VW, f[i][v]);
}

#define TILE(n, part, least, name)					\
static void								\
name(const struct qtile *t)						\
{									\
	tile_of(n, part, least, t);					\
}
#define TILES(n)							\
	TILE(n, 32, false, whole_##n)					\
	TILE(n, 32, true, whole_least_##n)				\
	TILE(n, 16, false, half_##n)					\
	TILE(n, 16, true, half_least_##n)
#define NAMES(n) { { whole_##n, whole_least_##n }, { half_##n, half_least_##n } },
#if VW == 16
#define HEIGHTS(f) f(1) f(2) f(3) f(4) f(5) f(6)
#else
#define HEIGHTS(f) f(1) f(2) f(3) f(4)
#endif
HEIGHTS(TILES)

void
OF_ISA(qmultiply)(const struct qform *f, const struct qtile *t, int64_t n)
{
	static void (*const tile[QT][2][2])(const struct qtile *) = { HEIGHTS(NAMES) };

	tile[n - 1][f->part == 16][f->least](t);
}
