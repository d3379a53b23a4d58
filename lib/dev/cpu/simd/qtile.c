/* Activations of 8 bits, and their products with a panel. */
#include "dev/cpu/simd/qpanel.h"

/* ---- rounding ---- */

/* The largest lane. */
INLINE int32_t
top(vi x)
{
	int32_t m;

#define FOLD(w) do {							\
	vi y = __builtin_shuffle(x, viota() ^ (w));			\
	x = (x & (x > y)) | (y & ~(x > y));				\
} while (0)
#if VW >= 16
	FOLD(8);
#endif
#if VW >= 8
	FOLD(4);
#endif
	FOLD(2);
	FOLD(1);
	m = x[0];
	return m;
}

/* A part of a row: its integers and their sums, by 16. */
struct rounded {
	int8_t	q[QB];
	int32_t	sum[2];
	float	scale;
};

/*
 * Bits of magnitudes are compared, so a NaN is the largest, and the scale is
 * what makes a row of results NaN then.
 */
INLINE void
round_part(dtype type, const void *a, int64_t at, struct rounded *r)
{
	enum { N = QB / VW };
	vf x[N], inverse;
	vi most = { 0 };
	int32_t bits;
	float m;

	UNROLL
	for (int i = 0; i < N; i++) {
		vi size;

		x[i] = vget(type, a, at + i * VW, VW);
		size = (vi)x[i] & INT32_MAX;
		most = (most & (most > size)) | (size & ~(most > size));
	}
	bits = top(most);
	memcpy(&m, &bits, sizeof(m));
	r->scale = m / 127;
	inverse = vset(m > 0x1p-100f ? 127 / m : 0);
	UNROLL
	for (int i = 0; i < N; i++) {
		/* To nearest: what is added leaves no place for a fraction. */
		vi q = (vi)(x[i] * inverse + 0x1.8p23f) - 0x4b400000;

		for (int j = 0; j < VW; j++)
			r->q[i * VW + j] = (int8_t)q[j];
	}
	r->sum[0] = r->sum[1] = 0;
	for (int i = 0; i < QB; i++)
		r->sum[i / 16] += r->q[i];
}

/* A word of four bytes, as dot() takes it. */
INLINE void
put_bytes(uint32_t *to, int64_t stride, const int8_t *q)
{
#ifdef __AVX512VNNI__
	(void)stride;
	memcpy(to, q, sizeof(*to));
#else
	to[0] = (uint16_t)q[0] | (uint32_t)(uint16_t)q[2] << 16;
	to[stride] = (uint16_t)q[1] | (uint32_t)(uint16_t)q[3] << 16;
#endif
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
	int64_t step = n * qwords(f, QB), words = f->part / 4 * QWORDS;

	for (int64_t i = 0; i < n; i++) {
		uint32_t *to = strip + i;

		for (int64_t l = 0; l < k; l += QB, to += step) {
			struct rounded r;
			uint32_t *at = to;

			round_part(type, a, (row + i) * ld + l, &r);
			for (int part = 0; part < QB / f->part; part++) {
				int32_t sum = f->part == QB ? r.sum[0] + r.sum[1] : r.sum[part];
				int32_t start = -f->zero * sum;
				float times = r.scale * (float)sum;

				memcpy(at, f->least ? (void *)&times : (void *)&start, 4);
				for (int j = 0; j < f->part / 4; j++)
					put_bytes(at + (1 + j * QWORDS) * n, n,
					    r.q + part * f->part + 4 * j);
				at += (1 + words) * n;
			}
			memcpy(at, &r.scale, 4);
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
