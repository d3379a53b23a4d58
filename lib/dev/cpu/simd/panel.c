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
	int64_t each = (pairs ? 2 : 1) * VW, end = filled(s, k);
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
	int64_t each = pairs ? 2 : 1, end = filled(s, k), n = s->n - i0, l = from;
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

/* Words of one row, as they are. */
INLINE void
pack_row(bool pairs, dtype type, const struct side *s, float *panel, int64_t i, int64_t k0,
    int64_t k, int64_t from, int64_t to)
{
	const char *row = s->p + (i * s->ld + k0) * type_bytes(type);
	int64_t each = pairs ? 2 : 1;

	for (int64_t l = from; l < to; l += VW)
		vstore_to(panel + l, words_along(pairs, type, row, l * each, k - l * each), to - l);
}

#if AMX
/* VW words of TALL rows. */
INLINE void
pack_tiles(dtype type, const struct side *s, float *panel, int64_t i0, int64_t k0, int64_t k,
    int64_t from, int64_t to)
{
	int64_t size = type_bytes(type), ld = s->ld * size, rows = s->n - i0;

	for (int64_t l = from; l < to; l += VW)
		for (int64_t g = 0; g < TALL; g += VW) {
			vf r[VW];

			for (int64_t i = 0; i < VW; i++) {
				int64_t at = k0 + 2 * l, left = k - 2 * l;

				if (s->along)
					r[i] = g + i >= rows ? (vf){ 0 } : words_along(true, type,
					    s->p + (i0 + g + i) * ld + at * size, 0, left);
				else
					r[i] = g >= rows || 2 * i >= left ? (vf){ 0 } :
					    words_across(true, type, s->p + (at + 2 * i) * ld,
						s->ld, i0 + g, rows - g, 2 * i + 1 < left);
			}
			if (!s->along)
				turn(r);
			for (int i = 0; i < VW; i++)
				vstore(panel + l * TALL + (g + i) * VW, r[i]);
		}
}
#endif

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
#define PACK_ROW(type) pack_row(false, type, s, panel, i, k0, k, from, to)
#define PACK_ROW_PAIRS(type) pack_row(true, type, s, panel, i, k0, k, from, to)
#define PACK_TILES(type) pack_tiles(type, s, panel, i, k0, k, from, to)
#define PACK_ROWS_PAIRS(type) pack_along(VW, true, type, s, panel, i, k0, k, from, to)

void
OF_ISA(pack)(const struct side *s, float *panel, int64_t i, int64_t k0, int64_t k,
    int64_t from, int64_t to)
{
#if AMX
	if (s->pairs) {
		int64_t end = filled(s, k);

		if (s->by_rows) {
			EACH_TYPE(s->type, PACK_TILES);
			return;
		}
		if (to > end) {
			memset(panel + end * s->width, 0,
			    (size_t)((to - end) * s->width) * sizeof(float));
			to = end;
		}
		if (s->width == VW)
			EACH_TYPE(s->type, PACK_ROWS_PAIRS);
		else
			EACH_TYPE(s->type, PACK_B_PAIRS);
		return;
	}
#elif PAIRS
	if (s->pairs) {
		if (s->width == 1)
			EACH_TYPE(s->type, PACK_ROW_PAIRS);
		else if (s->width == MR)
			EACH_TYPE(s->type, PACK_A_PAIRS);
		else
			EACH_TYPE(s->type, PACK_B_PAIRS);
		return;
	}
#endif
	if (s->width == 1)
		EACH_TYPE(s->type, PACK_ROW);
	else if (s->width == MR)
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

/* The same with a word of a for all lanes, which compilers would load first. */
INLINE vf
word_fma_at(bool pairs, const float *a, vf b, vf acc)
{
#ifdef __AVX512BF16__
	if (pairs) {
		__asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(b), "m"(*a));
		return acc;
	}
#endif
#if VW == 16
	if (!pairs) {
		__asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(b), "m"(*a));
		return acc;
	}
#endif
	return word_fma(pairs, vset(*a), b, acc);
}

INLINE void
word_step(int mr, bool pairs, const float *a, const float *b, vf acc[MR][2])
{
	vf b0 = vload(b), b1 = vload(b + VW);

	UNROLL
	for (int i = 0; i < mr; i++) {
		acc[i][0] = word_fma_at(pairs, a + i, b0, acc[i][0]);
		acc[i][1] = word_fma_at(pairs, a + i, b1, acc[i][1]);
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
	float		*sums;		/* where they are kept that are not whole, or NULL */
};

/* acc (mr, NR) = the q-th chain of the panels' product, in order of k */
INLINE void
chain(int mr, bool pairs, struct tile_of *t, int q, vf acc[MR][2])
{
	const float *a = t->a + 4 * q * MR, *b = t->b + 4 * q * NR;
	const char **line = t->line, **last = t->last;
	int64_t step = 4 * t->s->chains, k = t->s->k - 4 * q, l = k / step, rest = k % step;

	UNROLL
	for (int i = 0; i < mr; i++)
		acc[i][0] = acc[i][1] = (vf){ 0 };
	for (l += rest >= 4; l > 0; l--) {
		__builtin_prefetch(*line, 0, 2);
		line += line < last;
		UNROLL
		for (int u = 0; u < 4; u++)
			word_step(mr, pairs, a + u * MR, b + u * NR, acc);
		a += step * MR;
		b += step * NR;
	}
	for (l = rest < 4 ? rest : 0; l > 0; l--, a += MR, b += NR)
		word_step(mr, pairs, a, b, acc);
	t->line = line;
}

/* acc (mr, NR) = the panels' product: its chains, added one to the other */
INLINE void
sum(int mr, bool pairs, struct tile_of *t, vf acc[MR][2])
{
	vf before[MR][2];

	for (int q = 0;; q++) {
		chain(mr, pairs, t, q, acc);
		if (q > 0) {
			UNROLL
			for (int i = 0; i < mr; i++) {
				acc[i][0] = before[i][0] + acc[i][0];
				acc[i][1] = before[i][1] + acc[i][1];
			}
		}
		if (q + 1 == t->s->chains)
			break;
		for (int i = 0; i < mr; i++) {
			before[i][0] = acc[i][0];
			before[i][1] = acc[i][1];
		}
	}
}

/* base (rows, NR) += what is there */
INLINE void
load_from(dtype type, const struct tile_of *t, vf base[][2])
{
	for (int64_t i = 0; i < t->rows; i++)
		for (int64_t v = 0; v * VW < t->n; v++)
			base[i][v] += vget(type, t->from, i * t->s->from.ld + v * VW,
			    t->n - v * VW);
}

INLINE void
store_to(dtype type, const struct tile_of *t, vf x[][2])
{
	for (int64_t i = 0; i < t->rows; i++)
		for (int64_t v = 0; v * VW < t->n; v++)
			vput(type, t->to, i * t->s->to.ld + v * VW, x[i][v], t->n - v * VW);
}

/* The sum of squares of what a tile stored: short chains in fp32, added in double. */
INLINE void
sum_squares(int rows, const struct tile_of *t, vf x[][2])
{
	vf s[2] = { { 0 }, { 0 } };
	double sum = 0;
	vd d;

	if (t->squares == NULL)
		return;
	UNROLL
	for (int i = 0; i < rows; i++) {
		s[0] = vfma(x[i][0], x[i][0], s[0]);
		s[1] = vfma(x[i][1], x[i][1], s[1]);
	}
	d = (vlow(s[0]) + vhigh(s[0])) + (vlow(s[1]) + vhigh(s[1]));
	for (int l = 0; l < VW / 2; l++)
		sum += d[l];
	*t->squares = sum;
}

/* x (rows, n) = what sums are added to, of any type and size; the rest is zeros. */
INLINE void
start(const struct tile_of *t, vf x[MOST_ROWS][2])
{
	memset(x, 0, sizeof(vf) * MOST_ROWS * 2);
#define LOAD(type) load_from(type, t, x)
	if (t->from != NULL)
		EACH_TYPE(t->s->from.type, LOAD);
	if (t->bias != NULL)
		for (int64_t i = 0; i < t->rows; i++)
			for (int64_t v = 0; v * VW < t->n; v++)
				x[i][v] += vload_to(t->bias + v * VW, t->n - v * VW);
}

INLINE void
store(const struct tile_of *t, vf x[MOST_ROWS][2])
{
#define STORE(type) store_to(type, t, x)
	EACH_TYPE(t->s->to.type, STORE);
	sum_squares(MOST_ROWS, t, x);
}

/* The result of sums in memory, in any type and of any size. */
static void
finish(const struct tile_of *t, vf acc[][2])
{
	vf x[MOST_ROWS][2];

	start(t, x);
	for (int64_t i = 0; i < t->rows; i++)
		for (int64_t v = 0; v * VW < t->n; v++)
			x[i][v] = vfma(acc[i][v], vset(t->s->alpha), x[i][v]);
	store(t, x);
}

/*
 * Whole tiles, from registers, where what is added is floats.  What a store
 * might change, for all the compiler knows, is read before the first.
 */
INLINE void
finish_whole(int rows, dtype type, const struct tile_of *t, vf acc[][2])
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
		for (int i = 0; i < rows; i++, from += from_ld, to += to_ld) {
			acc[i][0] = vfma(acc[i][0], alpha, vload(from) + b0);
			acc[i][1] = vfma(acc[i][1], alpha, vload(from + VW) + b1);
			vput(type, to, 0, acc[i][0], VW);
			vput(type, to, VW, acc[i][1], VW);
		}
	} else {
		UNROLL
		for (int i = 0; i < rows; i++, to += to_ld) {
			acc[i][0] = vfma(acc[i][0], alpha, b0);
			acc[i][1] = vfma(acc[i][1], alpha, b1);
			vput(type, to, 0, acc[i][0], VW);
			vput(type, to, VW, acc[i][1], VW);
		}
	}
	sum_squares(rows, t, acc);
}

/* Whole tiles that nothing is added to, past the caches. */
INLINE void
stream_whole(int rows, const struct tile_of *t, vf acc[][2])
{
	float *to = (float *)(void *)t->to;
	vf alpha = vset(t->s->alpha), zero = { 0 };

	UNROLL
	for (int i = 0; i < rows; i++, to += t->s->to.ld) {
		acc[i][0] = vfma(acc[i][0], alpha, zero);
		acc[i][1] = vfma(acc[i][1], alpha, zero);
		vstream(to, acc[i][0]);
		vstream(to + VW, acc[i][1]);
	}
	sum_squares(rows, t, acc);
}

/* A cache miss of a result that is read or written is over when it is needed. */
INLINE void
fetch_result(int mr, const struct tile_of *t)
{
	const struct place *c = t->from != NULL ? &t->s->from : &t->s->to;
	const char *p = t->from != NULL ? t->from : t->to;
	int64_t ld = c->ld * type_bytes(c->type);

	UNROLL
	for (int i = 0; i < mr; i++) {
		__builtin_prefetch(p + i * ld, 1);
		if (mr > MR)
			__builtin_prefetch(p + i * ld + LINE, 1);
	}
}

static bool
is_whole(const struct tile_of *t)
{
	return t->n == NR && (t->from == NULL || t->s->from.type == DTYPE_F32);
}

#define WHOLE(type) finish_whole(MR, type, t, acc)
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
		stream_whole(MR, t, acc);				\
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
#if AMX
#include "dev/cpu/simd/amx_pairs.h"
#elif PAIRS
HEIGHTS(HEIGHT_PAIRS)
#endif

/* ---- columns that are read as they lie ---- */

/*
 * Columns go four by four, so many fours together that their chains need not wait
 * for themselves, nor memory for them.
 */
enum {
	FOURS = VW >= 8 ? 4 : 2,
	TOGETHER = 4 * FOURS,
	SOON = 8,		/* lines of each of the next columns that are fetched, */
	SPREAD = 2,		/* one while so many are multiplied */
};

/* Columns that go together: their sums with all of a strip's k. */
struct columns {
	const struct strip *s;
	const char	*p, *soon;	/* soon: the next columns, or NULL */
	int64_t		 ld;		/* bytes from one to the next */
};

/* Word i of each lane everywhere in the lane. */
INLINE void
spread(vf x, vf to[4])
{
#if VW == 16
#define IN_LANES(i) i, i, i, i, 4 + i, 4 + i, 4 + i, 4 + i, 8 + i, 8 + i, 8 + i, 8 + i,	\
    12 + i, 12 + i, 12 + i, 12 + i
#elif VW == 8
#define IN_LANES(i) i, i, i, i, 4 + i, 4 + i, 4 + i, 4 + i
#else
#define IN_LANES(i) i, i, i, i
#endif
	to[0] = SHUFFLE(x, x, IN_LANES(0));
	to[1] = SHUFFLE(x, x, IN_LANES(1));
	to[2] = SHUFFLE(x, x, IN_LANES(2));
	to[3] = SHUFFLE(x, x, IN_LANES(3));
}

/* f (rows, FOURS) += VW words of rows times those of the g-th four columns: n elements from k on */
INLINE void
add_words(int rows, bool pairs, dtype type, const float *const a[4], const char *p, int64_t ld,
    int64_t k, int64_t n, int g, vf f[4][FOURS])
{
	vf y[4];

	UNROLL
	for (int j = 0; j < 4; j++)
		y[j] = words_along(pairs, type, p + (4 * g + j) * ld, k, n);
	turn_in_lanes(y);
	UNROLL
	for (int i = 0; i < rows; i++) {
		vf x[4];

		spread(vload_to(a[i] + (pairs ? k / 2 : k), pairs ? (n + 1) / 2 : n), x);
		UNROLL
		for (int j = 0; j < 4; j++)
			f[i][g] = word_fma(pairs, x[j], y[j], f[i][g]);
	}
}

/*
 * f (rows, FOURS) = the chains of a block of k.  A line of four columns is multiplied, then
 * of the next: those of many may have one place in a cache.  Along a column the machine
 * reads ahead; of the next columns it is told in time.
 */
INLINE void
add_block(int rows, bool pairs, dtype type, const struct columns *c, int64_t at, int64_t k,
    vf f[4][FOURS])
{
	const int64_t size = type_bytes(type), step = pairs ? 2 * VW : VW;
	const int64_t line = LINE / size < step ? step : LINE / size;
	int64_t last = c->s->rows - 1;
	const float *first = c->s->a + words(c->s->side, at) * c->s->rows, *a[4];
	const char *p = c->p + at * size, *soon = c->soon;

	UNROLL
	for (int i = 0; i < rows; i++) {
		a[i] = first + min64(i, last) * words(c->s->side, k);
		UNROLL
		for (int g = 0; g < FOURS; g++)
			f[i][g] = (vf){ 0 };
	}
	if (at + k < c->s->nk)
		soon = NULL;
	for (; k >= line; k -= line, p += line * size) {
		int64_t left = k * size / LINE;

		if (soon != NULL && left <= SOON * SPREAD && left % SPREAD == 0) {
			UNROLL
			for (int i = 0; i < TOGETHER; i++)
				__builtin_prefetch(soon + i * c->ld);
			soon += LINE;
		}
		UNROLL
		for (int g = 0; g < FOURS; g++)
			UNROLL
			for (int64_t l = 0; l < line; l += step)
				add_words(rows, pairs, type, a, p, c->ld, l, step, g, f);
		UNROLL
		for (int i = 0; i < rows; i++)
			a[i] += line / step * VW;
	}
	for (int64_t l = 0; l < k; l += step)
		UNROLL
		for (int g = 0; g < FOURS; g++)
			add_words(rows, pairs, type, a, p, c->ld, l, min64(step, k - l), g, f);
}

/* x (rows, TOGETHER) += rows times columns, block by block, the lanes of each added in order */
INLINE void
add_blocks(int rows, bool pairs, dtype type, const struct columns *c, vf x[4][FOURS / LANES])
{
	vf f[4][FOURS], alpha = vset(c->s->alpha);

	for (int64_t at = 0; at < c->s->nk; at += KC) {
		add_block(rows, pairs, type, c, at, min64(KC, c->s->nk - at), f);
		UNROLL
		for (int i = 0; i < rows; i++)
			UNROLL
			for (int g = 0; g < FOURS; g += LANES) {
				turn_by_lanes(f[i] + g, 1);
				UNROLL
				for (int q = 1; q < LANES; q++)
					f[i][g] += f[i][g + q];
				x[i][g / LANES] = vfma(f[i][g], alpha, x[i][g / LANES]);
			}
	}
}

/* Rows that are missing are the last again, so three are four. */
INLINE void
add_rows(bool pairs, dtype type, const struct columns *c, vf x[4][FOURS / LANES])
{
	if (c->s->rows == 1)
		add_blocks(1, pairs, type, c, x);
	else if (c->s->rows == 2)
		add_blocks(2, pairs, type, c, x);
	else
		add_blocks(4, pairs, type, c, x);
}

#define ADD_FLOATS(type) add_rows(false, type, c, x)
#define ADD_PAIRS(type) add_rows(true, type, c, x)

static void
add_together(const struct columns *c, vf x[4][FOURS / LANES])
{
	dtype type = c->s->side->type;

#if PAIRS && !AMX
	if (c->s->pairs) {
		EACH_TYPE(type, ADD_PAIRS);
		return;
	}
#endif
	EACH_TYPE(type, ADD_FLOATS);
}

/* The same of n columns; fewer than go together go one by one. */
static void
add_columns(struct columns c, int64_t n, vf x[4][FOURS / LANES])
{
	vf alone[4][FOURS / LANES] = { 0 };
	int64_t ld = c.ld;

	if (n == TOGETHER) {
		add_together(&c, x);
		return;
	}
	c.ld = 0;
	c.soon = NULL;
	for (int64_t j = 0; j < n; j++, c.p += ld) {
		for (int64_t i = 0; i < c.s->rows; i++)
			alone[i][0] = vset(x[i][j / VW][j % VW]);
		add_together(&c, alone);
		for (int64_t i = 0; i < c.s->rows; i++)
			x[i][j / VW][j % VW] = alone[i][0][0];
	}
}

/* All of k of some columns, then of the next: so memory is read in its order. */
static void
multiply_columns(const struct strip *s)
{
	const struct side *b = s->side;
	struct tile_of t = { .s = s, .bias = s->bias, .from = s->from.p, .to = s->to.p,
		.rows = s->rows, .n = s->n, .squares = s->squares };
	struct columns c = { .s = s, .ld = b->ld * type_bytes(b->type) };
	vf x[MOST_ROWS][2], sums[4][FOURS / LANES] = { 0 };

	c.p = b->p + s->j * c.ld + s->k0 * type_bytes(b->type);
	start(&t, x);
	for (int64_t j = 0; j < s->n; j += TOGETHER, c.p += TOGETHER * c.ld) {
		for (int64_t i = 0; i < s->rows; i++)
			memcpy(sums[i], &x[i][j / VW], sizeof(sums[i]));
		c.soon = j + 2 * TOGETHER <= s->n ? c.p + TOGETHER * c.ld : s->soon;
		add_columns(c, min64(TOGETHER, s->n - j), sums);
		for (int64_t i = 0; i < s->rows; i++)
			memcpy(&x[i][j / VW], sums[i], sizeof(sums[i]));
	}
	store(&t, x);
}

/* What multiplies a tile of so many rows. */
typedef void tile_fn(struct tile_of *t);

static tile_fn *
tile_fn_of(bool pairs, int64_t rows)
{
	static tile_fn *const of_floats[] = { HEIGHTS(NAME_FLOAT) };
#if AMX
	if (pairs)
		return multiply_tiles;
#elif PAIRS
	static tile_fn *const of_pairs[] = { HEIGHTS(NAME_PAIRS) };

	if (pairs)
		return of_pairs[rows - 1];
#endif
	(void)pairs;
	return of_floats[rows - 1];
}

void
OF_ISA(multiply)(const struct strip *s)
{
	int64_t from_step = s->from.ld, to_step = s->to.ld, height = tall(s->pairs);
	struct tile_of t = {
		.s = s, .a = s->a, .b = s->b, .bias = s->bias, .from = s->from.p, .to = s->to.p,
		.line = s->line, .last = s->line + s->lines - 1, .squares = s->squares,
		.sums = s->sums,
	};

#if AMX
	if (s->side != NULL && s->pairs) {
		multiply_columns_by_tiles(s);
		return;
	}
#endif
	if (s->side != NULL) {
		multiply_columns(s);
		return;
	}
	if (s->n > NR)
		from_step = to_step = NR;
	else
		from_step *= height, to_step *= height;
	from_step *= type_bytes(s->from.type);
	to_step *= type_bytes(s->to.type);
	for (int64_t i = 0, j = 0; i < s->rows && j < s->n;) {
		t.rows = min64(height, s->rows - i);
		t.n = min64(NR, s->n - j);
		tile_fn_of(s->pairs, t.rows)(&t);
		t.to += to_step;
		if (t.from != NULL)
			t.from += from_step;
		if (t.squares != NULL)
			t.squares += s->n > NR ? 1 : s->squares_ld;
		if (t.sums != NULL)
			t.sums += s->n > NR ? NR : height * s->sums_ld;
		if (s->n > NR) {
			t.b += s->k * NR;
			t.bias += t.bias != NULL ? NR : 0;
			j += NR;
		} else {
			t.a += s->k * height;
			i += height;
		}
	}
}
