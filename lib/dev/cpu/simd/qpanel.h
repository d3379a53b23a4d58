/*
 * qpanel - operands of products with quantized weights, and the tile that multiplies them
 *
 * A panel is QW rows of the weights, unpacked to bytes and floats: for four
 * neighbouring k a word of each row, and for each part of k (16 or 32) a scale
 * and perhaps a least value.  A strip is up to QT rows of activations, rounded
 * to 8 bits with one scale for each 32 of k.  An element of the product is one
 * chain of multiply-adds in order of k over parts, whose sums are integers and
 * exact: so its bits depend neither on the shape of tiles nor on the order in
 * which a part is summed.
 */
#ifndef DEV_SIMD_QPANEL_H
#define DEV_SIMD_QPANEL_H

#include "dev/cpu/simd/tile.h"

enum {
	QW = 2 * VW,			/* rows of a panel */
	QT = VW == 16 ? 6 : 4,		/* most rows of a strip */
	QK = 768,			/* of k unpacked at a time: whole blocks of any type */
	QB = 32,			/* of k that activations have one scale for */
};

/* How words of activations are kept: four bytes, or where nothing multiplies those, 2 by 2. */
#ifdef __AVX512VNNI__
enum { QWORDS = 1 };
#else
enum { QWORDS = 2 };
#endif

/* What a type's integers mean: w = d (q - zero) + m. */
struct qform {
	int	zero;		/* q of a panel is not negative */
	int	part;		/* elements that have one d: 16 or 32 */
	bool	least;		/* there is an m, for each part; zero is 0 then */
};
struct qform OF_ISA(qform)(dtype t);

/* A panel of k elements: q (k / 4, QW), d and m (k / part, QW). */
struct qpanel {
	uint32_t *q;
	float	*d, *m;
};

/*
 * Unpack k elements of n <= QW rows at p, ld bytes apart; what further rows
 * have is undefined.  pad is room for VW rows; the bytes from ahead on are
 * fetched, as many as are unpacked.
 */
void OF_ISA(qunpack)(dtype t, const uint8_t *p, int64_t ld, int64_t n, int64_t k,
    const struct qpanel *to, uint8_t *pad, const uint8_t *ahead);

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

/* K_MATMUL and K_GROUPED where b is of blocks. */
void OF_ISA(qmatmul)(struct cpu *c, const struct k_matmul *p);
void OF_ISA(qgrouped)(struct cpu *c, const struct k_grouped *g);

#endif
