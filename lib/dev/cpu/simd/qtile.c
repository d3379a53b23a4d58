/* Activations of 8 bits, and their products with a panel. */
#include "dev/cpu/simd/qpanel.h"

/* ---- rounding ---- */

/* VW times QB elements of a row, a lane for each: words as dot() takes them, and the rest. */
struct rounded {
	uint32_t word[8 * QWORDS][VW];
	float	start[2][VW];		/* or words: see start_of() */
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
#if defined(QFOURS) || defined(QPAIRS)
	vi x = (q[0] & 255) | (q[1] & 255) << 8 | (q[2] & 255) << 16 | q[3] << 24;

	memcpy(to[0], &x, sizeof(x));
#else
	vi even = (q[0] & 65535) | q[2] << 16, odd = (q[1] & 65535) | q[3] << 16;

	memcpy(to[0], &even, sizeof(even));
	memcpy(to[1], &odd, sizeof(odd));
#endif
}

/*
 * What the sums of a part begin with, of those of its activations (in the lower and the
 * upper half of words, where products are summed in halves); or what its least value is
 * multiplied by.
 */
INLINE vf
start_of(const struct qform *f, vu low, vu high, vf scale)
{
	if (f->least)
		return scale * __builtin_convertvector((vi)(low + high), vf);
#ifdef QPAIRS
	low *= (uint32_t)-f->zero;
	high *= (uint32_t)-f->zero;
	return (vf)((low & 65535) | high << 16);
#else
	return (vf)((low + high) * (uint32_t)-f->zero);
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
	vi size[4] = { { 0 } };
	vu sum[2][2] = { { { 0 } } };		/* of a NaN's row they wrap */

	turned(type, a, at, n, x);
	UNROLL
	for (int e = 0; e < QB; e++)
		size[e % 4] = larger(size[e % 4], (vi)x[e] & INT32_MAX);
	most = (vf)larger(larger(size[0], size[1]), larger(size[2], size[3]));
	scale = most / 127;
	inverse = vsel(most > 0x1p-100f, 127 / most, (vf){ 0 });
	for (int e = 0; e < QB; e += 4) {
		vi q[4];

		/* To nearest: what is added leaves no place for a fraction. */
		UNROLL
		for (int j = 0; j < 4; j++) {
			q[j] = (vi)(x[e + j] * inverse + 0x1.8p23f) - 0x4b400000;
			sum[e / 16][j / 2] += (vu)q[j];
		}
		put_words(q, r->word + e / 4 * QWORDS);
	}
	for (int i = 0; i < 2 && f->part == QB; i++)
		sum[0][i] += sum[1][i];
	for (int i = 0; i < 2; i++)
		vstore(r->start[i], start_of(f, sum[i][0], sum[i][1], scale));
	vstore(r->scale, scale);
}

/* What round_some() takes next, from at on. */
INLINE void
fetch_some(dtype type, const void *a, int64_t at)
{
	int64_t size = type == DTYPE_F32 ? 4 : 2;
	const char *p = (const char *)a + at * size;

	for (int64_t i = 0; i < VW * QB * size; i += 64)
		__builtin_prefetch(p + i);
}

/*
 * A strip, for each QB of k: for each part what its sum begins with (or, where
 * there are least values, what they are multiplied by), and its words; then
 * the scales.  All of that of each row, n rows side by side.
 */
INLINE void
round_rows(dtype type, int part, const struct qform *f, const void *a, int64_t ld, int64_t row,
    int64_t n, int64_t k, uint32_t *strip)
{
	int64_t step = n * qwords(f, QB);
	const int parts = QB / part, words = part / 4 * QWORDS;

	for (int64_t i = 0; i < n; i++) {
		uint32_t *to = strip + i;

		for (int64_t l = 0; l < k; l += VW * QB) {
			int64_t some = min64(VW, (k - l) / QB);
			struct rounded r;

			fetch_some(type, a, l + VW * QB < k ? (row + i) * ld + l + VW * QB :
			    (row + i + 1) * ld);
			round_some(type, f, a, (row + i) * ld + l, some, &r);
			for (int b = 0; b < some; b++, to += step) {
				uint32_t *at = to;

				UNROLL
				for (int p = 0; p < parts; p++) {
					memcpy(at, &r.start[p][b], 4);
					at += n;
					UNROLL
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
#define ROUND_WHOLE(type) round_rows(type, QB, f, a, ld, i, n, k, strip)
#define ROUND_HALVES(type) round_rows(type, 16, f, a, ld, i, n, k, strip)
	if (f->part == QB)
		EACH_TYPE(type, ROUND_WHOLE);
	else
		EACH_TYPE(type, ROUND_HALVES);
}

/* ---- multiplying ---- */

#define EACH_VECTOR(v) UNROLL for (int v = 0; v < QV; v++)

#ifdef QPAIRS
/*
 * The integers of one part of k, from start on: halves of words hold the sums of as
 * many products as they have room for.
 */
INLINE void
part_sums(int n, int part, int bits, bool least, const uint32_t *q, const uint32_t *start,
    vi sum[QT][QV])
{
	const int words = part / 4, run = halves_room(bits, least, words);
	const uint32_t *a = start + n;
	qhalves some[QT][QV];

	UNROLL
	for (int i = 0; i < n; i++)
		EACH_VECTOR(v)
			some[i][v] = least || bits == 8 ? (qhalves){ 0 } :
			    (qhalves)load_word(start + i);
	UNROLL
	for (int k = 0; k < words; k++) {
		vu w[QV];

		EACH_VECTOR(v)
			w[v] = load_bytes(q + v * VW);
		UNROLL
		for (int i = 0; i < n; i++) {
			vu x = (vu)load_word(a + i);

			EACH_VECTOR(v) {
				some[i][v] += bytes_multiply(bits == 8, w[v], x);
				IN_PLACE(some[i][v]);
				if ((k + 1) % run != 0)
					continue;
				sum[i][v] = k < run ? halves_sum(some[i][v]) :
				    sum[i][v] + halves_sum(some[i][v]);
				IN_PLACE(sum[i][v]);
				some[i][v] = (qhalves){ 0 };
			}
		}
		q += QW;
		a += n;
	}
}
#else
#ifdef QFOURS
/* acc + four products in each lane; in place, for compilers would load the word first. */
INLINE vi
dot(vu w, const uint32_t *a, int n, vi acc)
{
	(void)n;
	__asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*a));
	return acc;
}
#else
/* acc + the products of both halves of each lane */
INLINE vi
pairs_fma(vi a, vi b, vi acc)
{
#if VW == 16
	return acc + (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__SSE2__)
	return acc + (vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
	return acc + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

/* acc + four products in each lane; a has two words of them, n apart. */
INLINE vi
dot(vu w, const uint32_t *a, int n, vi acc)
{
	acc = pairs_fma((vi)(w & 0xff00ff), load_word(a), acc);
	acc = pairs_fma((vi)(w >> 8 & 0xff00ff), load_word(a + n), acc);
	IN_PLACE(acc);
	return acc;
}
#endif

/* The integers of one part of k, from start on. */
INLINE void
part_sums(int n, int part, int bits, bool least, const uint32_t *q, const uint32_t *start,
    vi sum[QT][QV])
{
	const uint32_t *a = start + n;

	(void)bits;
	UNROLL
	for (int i = 0; i < n; i++)
		EACH_VECTOR(v)
			sum[i][v] = least ? (vi){ 0 } : load_word(start + i);
	UNROLL
	for (int k = 0; k < part / 4; k++) {
		vu w[QV];

		EACH_VECTOR(v)
			w[v] = load_bytes(q + v * VW);
		UNROLL
		for (int i = 0; i < n; i++)
			EACH_VECTOR(v)
				sum[i][v] = dot(w[v], a + i, n, sum[i][v]);
		q += QW;
		a += n * QWORDS;
	}
}
#endif

/* QB of k in one part: f += d scale sum */
INLINE void
whole_step(int n, int bits, bool least, const struct qpanel *b, const uint32_t *a, vf f[QT][QV])
{
	const uint32_t *scale = a + n * (8 * QWORDS + 1);
	vi sum[QT][QV];
	vf x[QV];

	part_sums(n, QB, bits, least, b->q, a, sum);
	EACH_VECTOR(v)
		x[v] = vload(b->d + v * VW);
	UNROLL
	for (int i = 0; i < n; i++)
		EACH_VECTOR(v)
			f[i][v] = vfma(__builtin_convertvector(sum[i][v], vf),
			    x[v] * load_scale(scale + i), f[i][v]);
}

/* QB of k in two parts: f += scale (d sum + d sum) */
INLINE void
halves_step(int n, int bits, bool least, const struct qpanel *b, const uint32_t *a, vf f[QT][QV])
{
	const uint32_t *second = a + n * (4 * QWORDS + 1), *scale = second + n * (4 * QWORDS + 1);
	vi sum[QT][QV], more[QT][QV];
	vf x[QV], y[QV];

	part_sums(n, 16, bits, least, b->q, a, sum);
	part_sums(n, 16, bits, least, b->q + 4 * QW, second, more);
	EACH_VECTOR(v) {
		x[v] = vload(b->d + v * VW);
		y[v] = vload(b->d + QW + v * VW);
	}
	UNROLL
	for (int i = 0; i < n; i++)
		EACH_VECTOR(v)
			f[i][v] = halves_fma(sum[i][v], more[i][v], x[v], y[v],
			    load_scale(scale + i), f[i][v]);
}

/* f += m times what the parts of QB begin with */
INLINE void
least_step(int n, int part, const struct qpanel *b, const uint32_t *a, vf f[QT][QV])
{
	const int parts = QB / part;

	UNROLL
	for (int p = 0; p < parts; p++) {
		EACH_VECTOR(v) {
			vf m = vload(b->m + p * QW + v * VW);

			UNROLL
			for (int i = 0; i < n; i++)
				f[i][v] = vfma(m, load_scale(a + i), f[i][v]);
		}
		a += n * (part / 4 * QWORDS + 1);
	}
}

/* A tile over all of k, in parts of so many. */
INLINE void
multiply_parts(int n, int part, int bits, bool least, const struct qtile *t)
{
	const int parts = QB / part;
	struct qpanel b = t->b;
	const uint32_t *a = t->a;
	vf f[QT][QV];

	UNROLL
	for (int i = 0; i < n; i++)
		EACH_VECTOR(v)
			f[i][v] = t->first ? (vf){ 0 } : vload(t->sums + i * QW + v * VW);
	for (int64_t k = 0; k < t->k; k += QB) {
		if (parts == 1)
			whole_step(n, bits, least, &b, a, f);
		else
			halves_step(n, bits, least, &b, a, f);
		if (least)
			least_step(n, part, &b, a, f);
		b.q += QB / 4 * QW;
		b.d += parts * QW;
		b.m += least ? parts * QW : 0;
		a += n * (8 * QWORDS + parts + 1);
	}
	UNROLL
	for (int i = 0; i < n; i++)
		EACH_VECTOR(v)
			vstore(t->sums + i * QW + v * VW, f[i][v]);
}

typedef void tile_fn(const struct qtile *t);

#define TILE(name, n, part, bits, least)				\
static void								\
name##_##n(const struct qtile *t)					\
{									\
	multiply_parts(n, part, bits, least, t);			\
}
#define WHOLE_TILES(n)							\
	TILE(whole, n, 32, 4, false)					\
	TILE(whole_least, n, 32, 4, true)				\
	MORE_TILES(n)
#define HALVES_TILES(n)							\
	TILE(halves, n, 16, 6, false)					\
	TILE(halves_least, n, 16, 2, true)
/* Where bytes are multiplied by pairs it can matter how many bits they have. */
#ifdef QPAIRS
#define MORE_TILES(n)							\
	TILE(fives_least, n, 32, 5, true)				\
	TILE(wide, n, 32, 8, false)
#define MORE_NAMES(n) fives_least_##n, wide_##n
#else
#define MORE_TILES(n)
#define MORE_NAMES(n) whole_least_##n, whole_##n
#endif
enum { WHOLE, WHOLE_LEAST, FIVES_LEAST, WIDE, WHOLE_KINDS };
#define WHOLE_NAMES(n) { whole_##n, whole_least_##n, MORE_NAMES(n) },
#define HALVES_NAMES(n) { halves_##n, halves_least_##n },
#ifdef QFOURS
#define HEIGHTS_16(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10)
#define HEIGHTS(f) HEIGHTS_16(f) f(11) f(12) f(13) f(14)
#else
#if VW == 16
#define HEIGHTS(f) f(1) f(2) f(3) f(4) f(5)
#else
#define HEIGHTS(f) f(1) f(2) f(3) f(4)
#endif
#define HEIGHTS_16(f) HEIGHTS(f)
#endif
HEIGHTS(WHOLE_TILES)
HEIGHTS_16(HALVES_TILES)

void
OF_ISA(qmultiply)(const struct qform *f, const struct qtile *t, int64_t n)
{
	static tile_fn *const whole[QT][WHOLE_KINDS] = { HEIGHTS(WHOLE_NAMES) };
	static tile_fn *const halves[QT_16][2] = { HEIGHTS_16(HALVES_NAMES) };
	int of_32 = f->bits == 8 ? WIDE : !f->least ? WHOLE : f->bits == 5 ? FIVES_LEAST :
	    WHOLE_LEAST;
	tile_fn *multiply = f->part == 16 ? halves[n - 1][f->least] : whole[n - 1][of_32];
	struct qtile some = *t;

	for (int64_t i = 0; i < QW; i += QV * VW) {
		multiply(&some);
		some.b.q += QV * VW;
		some.b.d += QV * VW;
		some.b.m += QV * VW;
		some.sums += QV * VW;
	}
}
