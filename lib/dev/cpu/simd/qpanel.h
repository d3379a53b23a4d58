/*
 * qpanel - operands of products with quantized weights, and the tile that multiplies them
 *
 * A panel is QW rows of the weights, unpacked to bytes and floats: for four
 * neighbouring k a word of each row, and for each part of k (16 or 32) a scale
 * and perhaps a least value.  A strip is up to QT rows of activations, rounded
 * to 8 bits with one scale for each 32 of k.  An element of the product is one
 * chain of multiply-adds in order of k over parts, two of 16 together, whose sums
 * are integers and exact: so its bits depend neither on the shape of tiles nor on
 * the order in which a part is summed.
 */
#ifndef DEV_SIMD_QPANEL_H
#define DEV_SIMD_QPANEL_H

#include "dev/cpu/simd/tile.h"

#ifdef __SSSE3__
#include <tmmintrin.h>
#endif

enum {
	QS = 256,			/* of k unpacked at a time: whole blocks of any type */
	QB = 32,			/* of k that activations have one scale for */
};

/*
 * How bytes are multiplied: four at once into a word; by pairs into halves of one; or
 * nothing multiplies them, and words of activations are kept 2 by 2, in two.
 */
#if defined(__AVX512VNNI__)
#define QFOURS
enum { QWORDS = 1 };
#elif VW == 8
#define QPAIRS
enum { QWORDS = 1 };
#else
enum { QWORDS = 2 };
#endif

/*
 * A panel has QW rows, and QK of k when many rows are multiplied by it: then it is in the
 * first cache with a strip.  A tile is up to QT rows of a strip, QT_16 where there are
 * twice as many sums, and QV vectors of a panel.  Where an instruction multiplies by a word
 * in memory a tile is tall and narrow: each word is used once, and nothing is to be loaded
 * for it.
 */
#ifdef QFOURS
enum { QW = 4 * VW, QK = 2 * QS, QV = 1, QT = 14, QT_16 = 10 };
#else
enum { QW = 2 * VW, QK = 3 * QS, QV = 2, QT = VW == 16 ? 5 : 4, QT_16 = QT };
#endif

/*
 * What is added to weights of 8 bits, for bytes of a panel that have no sign.  Pairs of
 * those would be too large: there bytes have one, and their magnitudes are multiplied.
 */
#ifdef QPAIRS
enum { QMIDDLE = 0 };
#else
enum { QMIDDLE = 128 };
#endif

/* What a type's integers mean: w = d (q - zero) + m. */
struct qform {
	int	zero;		/* q of a panel is not negative, but where QMIDDLE is 0 */
	int	bits;		/* of q */
	int	part;		/* elements that have one d: 16 or 32 */
	int	tall;		/* rows of a strip, at most */
	bool	least;		/* there is an m, for each part; zero is 0 then */
};
struct qform OF_ISA(qform)(dtype t);

/* A panel of k elements: q (k / 4, QW), d and m (k / part, QW). */
struct qpanel {
	uint32_t *q;
	float	*d, *m;
};

/*
 * What is needed soon: some bytes of each of some rows, ld apart.  Each line is
 * fetched once, with the row that it begins in; then it goes no further.
 */
struct qsoon {
	const uint8_t	*at, *end;	/* end: of the bytes of this row */
	int64_t		 ld, bytes, step, rows;
};

static inline void
qsoon_row(struct qsoon *s)
{
	if (--s->rows <= 0) {
		s->at -= s->step;
		s->step = 0;
		s->end = s->at + 1;
	} else {
		s->end += s->ld;
		s->at = s->end - s->bytes;
		s->at += -(uintptr_t)s->at & 63;
	}
}

static inline struct qsoon
qsoon_of(const uint8_t *p, int64_t ld, int64_t rows, int64_t bytes)
{
	const uint8_t *first = p + (-(uintptr_t)p & 63);

	return (struct qsoon){ first, p + bytes, ld, bytes, 64, rows };
}

/*
 * Unpack k elements of n <= QW rows at p, ld bytes apart; what further rows
 * have is undefined.  About as much is fetched of what is needed soon.  pad is
 * room for VW rows of k.
 */
void OF_ISA(qunpack)(dtype t, const uint8_t *p, int64_t ld, int64_t n, int64_t k,
    const struct qpanel *to, uint8_t *pad, struct qsoon *soon);

/* Words of one row of a strip of k elements. */
static inline int64_t
qwords(const struct qform *f, int64_t k)
{
	return k / QB * (8 * QWORDS + QB / f->part + 1);
}

/* Round rows [i, i + n) of a, of k elements and ld apart, to a strip. */
void OF_ISA(qround)(const struct qform *f, dtype type, const void *a, int64_t ld, int64_t i,
    int64_t n, int64_t k, uint32_t *strip);

/* sums (n, QW) [+]= strip times panel, over k elements; from zero when first */
struct qtile {
	struct qpanel	 b;
	const uint32_t	*a;
	float		*sums;
	int64_t		 k;
	bool		 first;
};
void OF_ISA(qmultiply)(const struct qform *f, const struct qtile *t, int64_t n);

/* The scales of n <= VW rows alone. */
void OF_ISA(qscales)(dtype t, const uint8_t *p, int64_t ld, int64_t n, int64_t k,
    const struct qpanel *to, uint8_t *pad);

/*
 * Few rows: those of a are strips of one row, words apart.  sums (n, QW) of n
 * rows of b, QW at most, are the same as from a panel.
 */
#if defined(QFOURS) || defined(QPAIRS)
enum { QFEW = 12 };		/* more are worth unpacking for */
#else
enum { QFEW = 0 };		/* no such way here */
#endif
enum { QSUMS = 16 };		/* vectors of the sums of VW rows of QS elements */
struct qfew {
	dtype		 type;
	struct qform	 form;
	int64_t		 k, n, words;
	const uint32_t	*strip;
	vu		*a;	/* room for n times k bytes, in whole QS: set by qfew_order() */
	vi		*sums;	/* and for n times QSUMS vectors */
	uint8_t		*pad;
};
void OF_ISA(qfew_order)(const struct qfew *w);
void OF_ISA(qfew)(const struct qfew *w, const uint8_t *b, int64_t ld, int64_t n, float *sums);

#ifdef QPAIRS
/* Signed ones; but rows of a panel that are not there may be anything, and wrap. */
typedef uint16_t qhalves __attribute__((vector_size(4 * VW)));

/* Bytes times signed ones, no larger than 127, each two added; wide: of 8 bits, with a sign. */
INLINE qhalves
bytes_multiply(bool wide, vu w, vu a)
{
	if (wide) {
		a = (vu)_mm256_sign_epi8((__m256i)a, (__m256i)w);
		w = (vu)_mm256_abs_epi8((__m256i)w);
	}
	return (qhalves)_mm256_maddubs_epi16((__m256i)w, (__m256i)a);
}

/*
 * How many such have room in 16 bits, of so many in a part that begins with what is
 * subtracted (least: nothing is), which cuts sums in half; before the end they may wrap.
 */
INLINE int
halves_room(int bits, bool least, int most)
{
	int room = bits == 8 ? 1 : least ? 128 >> bits : 256 >> bits;

	return room < most ? room : most;
}

/* Both of each word. */
INLINE vi
halves_sum(qhalves x)
{
	return (vi)_mm256_madd_epi16((__m256i)x, _mm256_set1_epi16(1));
}
#endif

/* A word, or a float, in all lanes. */
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
load_bytes(const void *p)
{
	vu x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* f + s times the sums of two parts of 16, each times its d */
INLINE vf
halves_fma(vi first, vi second, vf d_first, vf d_second, vf s, vf f)
{
	vf x = __builtin_convertvector(first, vf) * d_first;

	return vfma(vfma(__builtin_convertvector(second, vf), d_second, x), s, f);
}

/* fp16 in the low half of each lane, or the high one. */
INLINE vf
low_half(vu x)
{
	return f16_widen(__builtin_convertvector(x & 0xffff, vh));
}

INLINE vf
high_half(vu x)
{
	return f16_widen(__builtin_convertvector(x >> 16, vh));
}

/* The 16 values of IQ4, plus QMIDDLE. */
static const uint8_t iq4_value[16] = {
#define IQ4(x) (uint8_t)((x) + QMIDDLE)
	IQ4(-127), IQ4(-104), IQ4(-83), IQ4(-65), IQ4(-49), IQ4(-35), IQ4(-22), IQ4(-10),
	IQ4(1), IQ4(13), IQ4(25), IQ4(38), IQ4(53), IQ4(69), IQ4(89), IQ4(113)
#undef IQ4
};

/* The value of each byte of x, 0 to 15. */
INLINE vu
iq4_values(vu x)
{
#if VW == 16
	return (vu)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(
	    _mm_loadu_si128((const void *)iq4_value)), (__m512i)x);
#elif VW == 8
	return (vu)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(
	    _mm_loadu_si128((const void *)iq4_value)), (__m256i)x);
#elif defined(__SSSE3__)
	return (vu)_mm_shuffle_epi8(_mm_loadu_si128((const void *)iq4_value), (__m128i)x);
#elif defined(__ARM_NEON)
	return (vu)vqtbl1q_u8(vld1q_u8(iq4_value), (uint8x16_t)x);
#else
	uint8_t b[4 * VW];

	memcpy(b, &x, sizeof(b));
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = iq4_value[b[i]];
	memcpy(&x, b, sizeof(b));
	return x;
#endif
}

/* K_MATMUL and K_GROUPED where b is of blocks. */
void OF_ISA(qmatmul)(struct cpu *c, const struct k_matmul *p);
void OF_ISA(qgrouped)(struct cpu *c, const struct k_grouped *g);

#endif
