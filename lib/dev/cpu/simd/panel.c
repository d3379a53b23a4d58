#include "dev/cpu/simd/panel.h"

/* ---- packing ---- */

/* Words from element k of a row on, where n elements are left. */
INLINE vf
words_along(bool pairs, dtype type, const void *row, int64_t k, int64_t n)
{
	vh h[2] = { { 0 }, { 0 } };
	vf w;

	if (!pairs)
		return vget(type, row, k, n);
	if (type == DTYPE_BF16) {
		memcpy(h, (const uint16_t *)row + k, (size_t)(n < 2 * VW ? n : 2 * VW) * 2);
	} else {
		h[0] = bf16_round(vget(type, row, k, n));
		if (n > VW)
			h[1] = bf16_round(vget(type, row, k + VW, n - VW));
	}
	memcpy(&w, h, sizeof(w));
	return w;
}

/* Elements [i, i + n) of an array as bf16, in the low halves of words. */
INLINE vu
low_halves(dtype type, const void *p, int64_t i, int64_t n)
{
	const uint16_t *half = (const uint16_t *)p + i;
	vh h = { 0 };

	if (type != DTYPE_BF16)
		h = bf16_round(vget(type, p, i, n));
	else if (n >= VW)
		h = *(const vh_mem *)half;
	else
		memcpy(&h, half, (size_t)n * sizeof(*half));
	return __builtin_convertvector(h, vu);
}

/* Words of columns [j, j + n) of one row, or of two where k goes on. */
INLINE vf
words_across(bool pairs, dtype type, const void *row, int64_t ld, int64_t j, int64_t n, bool on)
{
	vu y = { 0 };

	if (!pairs)
		return vget(type, row, j, n);
	if (on)
		y = low_halves(type, row, j + ld, n);
	return (vf)(low_halves(type, row, j, n) | y << 16);
}

/*
 * A panel's width may be no multiple of VW: a word's vectors then reach into
 * the next word, which is written after it, and the last word's are cut.
 */
INLINE void
put_word(float *panel, int width, int g, vf x, bool last)
{
	if (last && (g + 1) * VW > width)
		vstore_n(panel + g * VW, x, width - g * VW);
	else
		vstore(panel + g * VW, x);
}

/* VW words of VW rows of a panel from word l on, turned; all: none is missing. */
INLINE void
turned(bool all, int width, bool pairs, dtype type, const char *row, int64_t ld, int at,
    int64_t rows, int64_t k, int64_t n, vf r[VW])
{
	UNROLL
	for (int i = 0; i < VW; i++) {
		if (at + i < width && (all || at + i < rows))
			r[i] = words_along(pairs, type, row + (at + i) * ld, k,
			    all ? 2 * VW : n);
		else
			r[i] = (vf){ 0 };
	}
	turn(r);
}

INLINE void
pack_along(int width, bool pairs, dtype type, const struct side *s, float *panel, int64_t i0,
    int64_t k0, int64_t k, int64_t from, int64_t to)
{
	/* Groups of VW rows go one after the other, if they do not overlap. */
	enum { MOST = (MR + VW - 1) / VW };
	int groups = (width + VW - 1) / VW, at_once = width % VW == 0 ? 1 : groups;
	int64_t each = (pairs ? 2 : 1) * VW, end = words(s, k);
	int64_t ld = s->ld * type_bytes(type), rows = s->n - i0;
	const char *row = s->p + (i0 * s->ld + k0) * type_bytes(type);

	for (int g0 = 0; g0 < groups; g0 += at_once)
		for (int64_t l = from; l < to; l += VW) {
			int64_t at = l / VW * each;
			bool all = rows >= width && k - at >= each;
			vf r[MOST][VW];

			UNROLL
			for (int g = 0; g < at_once; g++) {
				if (all)
					turned(true, width, pairs, type, row, ld, (g0 + g) * VW,
					    rows, at, k - at, r[g]);
				else
					turned(false, width, pairs, type, row, ld, (g0 + g) * VW,
					    rows, at, k - at, r[g]);
			}
			if (l + VW < end) {
				UNROLL
				for (int i = 0; i < VW; i++)
					UNROLL
					for (int g = 0; g < at_once; g++)
						put_word(panel + (l + i) * width, width, g0 + g,
						    r[g][i], false);
				continue;
			}
			for (int i = 0; i < VW && l + i < to; i++)
				for (int g = 0; g < at_once; g++)
					put_word(panel + (l + i) * width, width, g0 + g, r[g][i],
					    l + i + 1 == end);
		}
}

INLINE void
pack_across(int width, bool pairs, dtype type, const struct side *s, float *panel, int64_t i0,
    int64_t k0, int64_t k, int64_t from, int64_t to)
{
	int groups = (width + VW - 1) / VW;
	int64_t each = pairs ? 2 : 1, end = words(s, k), n = s->n - i0, l = from;
	int64_t ld = s->ld * type_bytes(type);
	const char *row = s->p + (k0 * s->ld + i0) * type_bytes(type) + l * each * ld;

	if (n >= groups * VW)
		for (; l < to && l + 1 < end; l++, row += each * ld) {
			UNROLL
			for (int g = 0; g < groups; g++)
				put_word(panel + l * width, width, g, words_across(pairs, type,
				    row, s->ld, g * VW, VW, true), false);
		}
	for (; l < to; l++, row += each * ld)
		for (int g = 0; g < groups; g++)
			put_word(panel + l * width, width, g, n <= g * VW ? (vf){ 0 } :
			    words_across(pairs, type, row, s->ld, g * VW, n - g * VW,
				l * each + 1 < k), l + 1 == end);
}

#define PACK(width, pairs, type) do {					\
	if (s->along)							\
		pack_along(width, pairs, type, s, panel, i, k0, k, from, to);	\
	else								\
		pack_across(width, pairs, type, s, panel, i, k0, k, from, to);	\
} while (0)
#define PACK_A(type) PACK(MR, false, type)
#define PACK_B(type) PACK(NR, false, type)
#define PACK_A_PAIRS(type) PACK(MR, true, type)
#define PACK_B_PAIRS(type) PACK(NR, true, type)

void
OF_ISA(pack)(const struct side *s, float *panel, int64_t i, int64_t k0, int64_t k,
    int64_t from, int64_t to)
{
#if PAIRS
	if (s->pairs) {
		if (s->width == MR)
			EACH_TYPE(s->type, PACK_A_PAIRS);
		else
			EACH_TYPE(s->type, PACK_B_PAIRS);
		return;
	}
#endif
	if (s->width == MR)
		EACH_TYPE(s->type, PACK_A);
	else
		EACH_TYPE(s->type, PACK_B);
}

/* ---- multiplying ---- */

/*
 * acc + a b; of pairs, both products.  In place, in words of the machine: the
 * sums fill nearly all registers, and compilers would move them to and fro.
 */
INLINE vf
word_fma(bool pairs, vf a, vf b, vf acc)
{
#ifdef __AVX512BF16__
	if (pairs) {
		__asm__("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
		return acc;
	}
#else
	if (pairs) {
		acc = vfma((vf)((vu)a & 0xffff0000), (vf)((vu)b & 0xffff0000), acc);
		return vfma((vf)((vu)a << 16), (vf)((vu)b << 16), acc);
	}
#endif
#if VW >= 8
	__asm__("vfmadd231ps %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
	return acc;
#else
	return vfma(a, b, acc);
#endif
}

INLINE void
word_step(int mr, bool pairs, const float *a, const float *b, vf acc[MR][2])
{
	vf b0 = vload(b), b1 = vload(b + VW);

	UNROLL
	for (int i = 0; i < mr; i++) {
		vf x = vset(a[i]);

		acc[i][0] = word_fma(pairs, x, b0, acc[i][0]);
		acc[i][1] = word_fma(pairs, x, b1, acc[i][1]);
	}
}

/* One tile of a strip. */
struct tile_of {
	const struct strip *s;
	const float	*a, *b, *bias;
	char		*from, *to;
	const char	**line, **last;	/* to be fetched: one in 4 words, until the last */
	int64_t		 rows, n;
	double		*squares;	/* their sum, or NULL */
};

/* acc (mr, NR) = the panels' product: each element one chain in order of k */
INLINE void
sum(int mr, bool pairs, struct tile_of *t, vf acc[MR][2])
{
	const float *a = t->a, *b = t->b;
	const char **line = t->line, **last = t->last;
	int64_t l = t->s->k;

	UNROLL
	for (int i = 0; i < mr; i++)
		acc[i][0] = acc[i][1] = (vf){ 0 };
	for (; l >= 4; l -= 4) {
		__builtin_prefetch(*line, 0, 2);
		line += line < last;
		UNROLL
		for (int u = 0; u < 4; u++)
			word_step(mr, pairs, a + u * MR, b + u * NR, acc);
		a += 4 * MR;
		b += 4 * NR;
	}
	for (; l > 0; l--, a += MR, b += NR)
		word_step(mr, pairs, a, b, acc);
	t->line = line;
}

/* base (MR, NR) += what is there */
INLINE void
load_from(dtype type, const struct tile_of *t, vf base[MR][2])
{
	for (int64_t i = 0; i < t->rows; i++)
		for (int64_t v = 0; v * VW < t->n; v++)
			base[i][v] += vget(type, t->from, i * t->s->from.ld + v * VW,
			    t->n - v * VW);
}

INLINE void
store_to(dtype type, const struct tile_of *t, vf x[MR][2])
{
	for (int64_t i = 0; i < t->rows; i++)
		for (int64_t v = 0; v * VW < t->n; v++)
			vput(type, t->to, i * t->s->to.ld + v * VW, x[i][v], t->n - v * VW);
}

/* The sum of squares of what a tile stored: short chains in fp32, added in double. */
INLINE void
sum_squares(const struct tile_of *t, vf x[MR][2])
{
	vf s[2] = { { 0 }, { 0 } };
	double sum = 0;
	vd d;

	if (t->squares == NULL)
		return;
	UNROLL
	for (int i = 0; i < MR; i++) {
		s[0] = vfma(x[i][0], x[i][0], s[0]);
		s[1] = vfma(x[i][1], x[i][1], s[1]);
	}
	d = (vlow(s[0]) + vhigh(s[0])) + (vlow(s[1]) + vhigh(s[1]));
	for (int l = 0; l < VW / 2; l++)
		sum += d[l];
	*t->squares = sum;
}

/* The result of sums in memory, in any type and of any size. */
static void
finish(const struct tile_of *t, vf acc[MR][2])
{
	vf x[MR][2] = { 0 };

#define LOAD(type) load_from(type, t, x)
#define STORE(type) store_to(type, t, x)
	if (t->from != NULL)
		EACH_TYPE(t->s->from.type, LOAD);
	for (int64_t i = 0; i < t->rows; i++)
		for (int64_t v = 0; v * VW < t->n; v++) {
			if (t->bias != NULL)
				x[i][v] += vload_to(t->bias + v * VW, t->n - v * VW);
			x[i][v] = vfma(acc[i][v], vset(t->s->alpha), x[i][v]);
		}
	EACH_TYPE(t->s->to.type, STORE);
	sum_squares(t, x);
}

/*
 * Whole tiles, from registers, where what is added is floats.  What a store
 * might change, for all the compiler knows, is read before the first.
 */
INLINE void
finish_whole(dtype type, const struct tile_of *t, vf acc[MR][2])
{
	const float *from = (const float *)(const void *)t->from;
	char *to = t->to;
	int64_t from_ld = t->s->from.ld, to_ld = t->s->to.ld * type_bytes(type);
	vf b0 = { 0 }, b1 = { 0 }, alpha = vset(t->s->alpha);

	if (t->bias != NULL) {
		b0 = vload(t->bias);
		b1 = vload(t->bias + VW);
	}
	if (from != NULL) {
		UNROLL
		for (int i = 0; i < MR; i++, from += from_ld, to += to_ld) {
			acc[i][0] = vfma(acc[i][0], alpha, vload(from) + b0);
			acc[i][1] = vfma(acc[i][1], alpha, vload(from + VW) + b1);
			vput(type, to, 0, acc[i][0], VW);
			vput(type, to, VW, acc[i][1], VW);
		}
	} else {
		UNROLL
		for (int i = 0; i < MR; i++, to += to_ld) {
			acc[i][0] = vfma(acc[i][0], alpha, b0);
			acc[i][1] = vfma(acc[i][1], alpha, b1);
			vput(type, to, 0, acc[i][0], VW);
			vput(type, to, VW, acc[i][1], VW);
		}
	}
	sum_squares(t, acc);
}

/* Whole tiles that nothing is added to, past the caches. */
INLINE void
stream_whole(const struct tile_of *t, vf acc[MR][2])
{
	float *to = (float *)(void *)t->to;
	vf alpha = vset(t->s->alpha), zero = { 0 };

	UNROLL
	for (int i = 0; i < MR; i++, to += t->s->to.ld) {
		acc[i][0] = vfma(acc[i][0], alpha, zero);
		acc[i][1] = vfma(acc[i][1], alpha, zero);
		vstream(to, acc[i][0]);
		vstream(to + VW, acc[i][1]);
	}
	sum_squares(t, acc);
}

/* A cache miss of a result that is read or written is over when it is needed. */
INLINE void
fetch_result(int mr, const struct tile_of *t)
{
	const struct place *c = t->from != NULL ? &t->s->from : &t->s->to;
	const char *p = t->from != NULL ? t->from : t->to;

	UNROLL
	for (int i = 0; i < mr; i++)
		__builtin_prefetch(p + i * c->ld * type_bytes(c->type), 1);
}

static bool
is_whole(const struct tile_of *t)
{
	return t->n == NR && (t->from == NULL || t->s->from.type == DTYPE_F32);
}

#define WHOLE(type) finish_whole(type, t, acc)
#define HEIGHT(mr, pairs, name)						\
static void								\
name(struct tile_of *t)							\
{									\
	vf acc[MR][2], out[MR][2];					\
									\
	if (!t->s->stream)						\
		fetch_result(mr, t);					\
	sum(mr, pairs, t, acc);						\
	if (mr == MR && t->s->stream && t->n == NR) {			\
		stream_whole(t, acc);					\
		return;							\
	}								\
	if (mr == MR && is_whole(t)) {					\
		EACH_TYPE(t->s->to.type, WHOLE);			\
		return;							\
	}								\
	UNROLL								\
	for (int i = 0; i < mr; i++) {					\
		out[i][0] = acc[i][0];					\
		out[i][1] = acc[i][1];					\
	}								\
	finish(t, out);							\
}
#define HEIGHT_FLOAT(mr) HEIGHT(mr, false, float_##mr)
#define HEIGHT_PAIRS(mr) HEIGHT(mr, true, pairs_##mr)
#define NAME_FLOAT(mr) float_##mr,
#define NAME_PAIRS(mr) pairs_##mr,
#if MR == 6
#define HEIGHTS(f) f(1) f(2) f(3) f(4) f(5) f(6)
#elif MR == 8
#define HEIGHTS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8)
#else
#define HEIGHTS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14)
#endif
HEIGHTS(HEIGHT_FLOAT)
#if PAIRS
HEIGHTS(HEIGHT_PAIRS)
#endif

/* ---- columns that are read as they lie ---- */

/*
 * A step takes at least a line of memory of each column.  Its words are turned
 * into a desk while those of the step before are multiplied: each chain of
 * multiply-adds waits for itself, and turning fills the time.
 */
enum { STEP = 32 };		/* most words of a step */

INLINE int
step_words(bool pairs, dtype type)
{
	return pairs || type == DTYPE_F32 ? STEP / 2 : STEP;
}

/* Are words turned as halves, and widened when they are multiplied? */
INLINE bool
keeps_halves(bool pairs, dtype type)
{
	return VW == 16 && !pairs && type == DTYPE_F16;
}

#if VW == 16
/*
 * 32 halves of 16 rows, turned: vector j has the 16 of k = j and of k = j + 8,
 * and vector 8 + j those of k = j + 16 and j + 24.
 */
INLINE void
turn_halves(const char *p, int64_t ld, __m512i to[16])
{
	const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
	const __m512i high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
	__m512i x[16], y[16];

	UNROLL
	for (int i = 0; i < 16; i += 2) {
		__m512i a = _mm512_loadu_si512(p + i * ld);
		__m512i b = _mm512_loadu_si512(p + (i + 1) * ld);

		x[i] = _mm512_unpacklo_epi16(a, b);
		x[i + 1] = _mm512_unpackhi_epi16(a, b);
	}
	UNROLL
	for (int i = 0; i < 16; i += 4)
		UNROLL
		for (int h = 0; h < 2; h++) {
			y[i + 2 * h] = _mm512_unpacklo_epi32(x[i + h], x[i + 2 + h]);
			y[i + 2 * h + 1] = _mm512_unpackhi_epi32(x[i + h], x[i + 2 + h]);
		}
	UNROLL
	for (int j = 0; j < 4; j++) {
		__m512i a0 = _mm512_unpacklo_epi64(y[j], y[4 + j]);
		__m512i a1 = _mm512_unpackhi_epi64(y[j], y[4 + j]);
		__m512i b0 = _mm512_unpacklo_epi64(y[8 + j], y[12 + j]);
		__m512i b1 = _mm512_unpackhi_epi64(y[8 + j], y[12 + j]);

		to[2 * j] = _mm512_permutex2var_epi64(a0, low, b0);
		to[2 * j + 1] = _mm512_permutex2var_epi64(a1, low, b1);
		to[8 + 2 * j] = _mm512_permutex2var_epi64(a0, high, b0);
		to[8 + 2 * j + 1] = _mm512_permutex2var_epi64(a1, high, b1);
	}
}
#endif

/* Words of one step of the g-th VW columns, p the first column's. */
INLINE void
turn_step(bool pairs, dtype type, const char *p, int64_t ld, int g, float *desk)
{
	int64_t each = (pairs ? 2 : 1) * VW;
	vf r[VW];

#if VW == 16
	if (keeps_halves(pairs, type)) {
		turn_halves(p + g * VW * ld, ld, (__m512i *)(void *)(desk + g * VW * VW));
		return;
	}
#endif
	UNROLL
	for (int l = 0; l < step_words(pairs, type); l += VW, p += each * type_bytes(type)) {
		turned(true, NR, pairs, type, p, ld, g * VW, NR, 0, each, r);
		UNROLL
		for (int i = 0; i < VW; i++)
			vstore(desk + (l + i) * NR + g * VW, r[i]);
	}
}

/* Word l of the g-th VW columns. */
INLINE vf
desk_word(bool pairs, dtype type, const float *desk, int l, int g)
{
	const char *halves = (const char *)(desk + g * VW * VW);

	if (!keeps_halves(pairs, type))
		return vload(desk + l * NR + g * VW);
	return f16_widen(*(const vh_mem *)(const void *)(halves + (l / 16 * 8 + l % 8) * 64 +
	    l / 8 % 2 * 32));
}

/*
 * f (n, 2) += words [from, to) of rows of a times those of a desk.  As many
 * bytes are fetched a word: of many at once some would be dropped.
 */
INLINE void
add_words(int n, bool pairs, dtype type, const float *a, const float *desk, int from, int to,
    const char *soon, int bytes, vf f[4][2])
{
	UNROLL
	for (int l = from; l < to; l++) {
		vf w0 = desk_word(pairs, type, desk, l, 0);
		vf w1 = desk_word(pairs, type, desk, l, 1);

		UNROLL
		for (int x = 0; x < bytes; x += 64)
			__builtin_prefetch(soon + l * bytes + x);
		UNROLL
		for (int i = 0; i < n; i++) {
			vf x = vset(a[l * MR + i]);

			f[i][0] = word_fma(pairs, x, w0, f[i][0]);
			f[i][1] = word_fma(pairs, x, w1, f[i][1]);
		}
	}
}

/* acc (n, NR) += steps of a times those of whole columns */
INLINE void
add_steps(int n, bool pairs, dtype type, const struct strip *s, int64_t steps, float *acc)
{
	const int words = step_words(pairs, type);
	int64_t size = type_bytes(type), ld = s->side->ld * size;
	int64_t bytes = words * (pairs ? 2 : 1) * size;
	const char *p = s->side->p + s->j * ld + s->k0 * size;
	const float *a = s->a;
	float desks[2][STEP * NR] __attribute__((aligned(64)));
	vf f[4][2];

	UNROLL
	for (int i = 0; i < n; i++)
		f[i][0] = f[i][1] = (vf){ 0 };
	for (int g = 0; g < 2; g++)
		turn_step(pairs, type, p, ld, g, desks[0]);
	for (int64_t u = 0; u < steps; u++, a += words * MR) {
		const float *desk = desks[u % 2];

		p += bytes;
		UNROLL
		for (int g = 0; g < 2; g++) {
			add_words(n, pairs, type, a, desk, g * words / 2, (g + 1) * words / 2,
			    s->soon + u * NR * bytes, (int)(NR * bytes / words), f);
			if (u + 1 < steps)
				turn_step(pairs, type, p, ld, g, desks[(u + 1) % 2]);
		}
	}
	UNROLL
	for (int i = 0; i < n; i++) {
		vstore(acc + i * NR, f[i][0]);
		vstore(acc + i * NR + VW, f[i][1]);
	}
}

/* The same of what is no whole step: of k elements, or fewer columns. */
static void
add_rest(const struct strip *s, int64_t at, int64_t k, const float *a, float *acc)
{
	int64_t n = words(s->side, k);
	float unit[UNIT * NR];

	OF_ISA(pack)(s->side, unit, s->j, s->k0 + at, k, 0, n);
	for (int64_t l = 0; l < n; l++, a += MR)
		for (int64_t i = 0; i < s->rows; i++)
			for (int g = 0; g < NR; g += VW)
				vstore(acc + i * NR + g, word_fma(s->pairs, vset(a[i]),
				    vload(unit + l * NR + g), vload(acc + i * NR + g)));
}

/* Rows of a that are missing are zeros, so three are four. */
INLINE void
add_rows(bool pairs, dtype type, const struct strip *s, int64_t steps, float *acc)
{
	if (s->rows == 1)
		add_steps(1, pairs, type, s, steps, acc);
	else if (s->rows == 2)
		add_steps(2, pairs, type, s, steps, acc);
	else
		add_steps(4, pairs, type, s, steps, acc);
}

#define ADD_FLOATS(type) add_rows(false, type, s, steps, acc)
#define ADD_PAIRS(type) add_rows(true, type, s, steps, acc)

static void
multiply_columns(const struct strip *s)
{
	struct tile_of t = { .s = s, .bias = s->bias, .from = s->from.p, .to = s->to.p,
		.rows = s->rows, .n = s->n, .squares = s->squares };
	int64_t each = s->pairs ? 2 : 1, unit = UNIT * each, at = 0;
	int64_t step = step_words(s->pairs, s->side->type) * each, steps = s->nk / step;
	vf sums[MR][2] = { 0 };
	float *acc = (float *)(void *)sums;

	if (s->n == NR && steps > 0) {
		at = steps * step;
#if PAIRS
		if (s->pairs)
			EACH_TYPE(s->side->type, ADD_PAIRS);
		else
#endif
			EACH_TYPE(s->side->type, ADD_FLOATS);
	}
	for (; at < s->nk; at += unit)
		add_rest(s, at, min64(unit, s->nk - at), s->a + at / each * MR, acc);
	finish(&t, sums);
}

void
OF_ISA(multiply)(const struct strip *s)
{
	typedef void tile_fn(struct tile_of *t);
	static tile_fn *const of_floats[] = { HEIGHTS(NAME_FLOAT) };
#if PAIRS
	static tile_fn *const of_pairs[] = { HEIGHTS(NAME_PAIRS) };
	tile_fn *const *of = s->pairs ? of_pairs : of_floats;
#else
	tile_fn *const *of = of_floats;
#endif
	int64_t from_step = s->from.ld, to_step = s->to.ld;
	struct tile_of t = {
		.s = s, .a = s->a, .b = s->b, .bias = s->bias, .from = s->from.p, .to = s->to.p,
		.line = s->line, .last = s->line + s->lines - 1, .squares = s->squares,
	};

	if (s->side != NULL) {
		multiply_columns(s);
		return;
	}
	if (s->n > NR)
		from_step = to_step = NR;
	else
		from_step *= MR, to_step *= MR;
	from_step *= type_bytes(s->from.type);
	to_step *= type_bytes(s->to.type);
	for (int64_t i = 0, j = 0; i < s->rows && j < s->n;) {
		t.rows = min64(MR, s->rows - i);
		t.n = min64(NR, s->n - j);
		of[t.rows - 1](&t);
		t.to += to_step;
		if (t.from != NULL)
			t.from += from_step;
		if (t.squares != NULL)
			t.squares += s->n > NR ? 1 : s->squares_ld;
		if (s->n > NR) {
			t.b += s->k * NR;
			t.bias += t.bias != NULL ? NR : 0;
			j += NR;
		} else {
			t.a += s->k * MR;
			i += MR;
		}
	}
}
