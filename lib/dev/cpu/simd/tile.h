/*
 * tile - what products of matrices and attention share
 *
 * A tile is MR rows by NR columns of the result, kept in registers.  Each of
 * its elements is one chain of multiply-adds in order of k, whatever the
 * tile's height and wherever in it the element lies: that is what makes a
 * row's result the same in any batch.
 */
#ifndef DEV_SIMD_TILE_H
#define DEV_SIMD_TILE_H

#include <stdbool.h>

#include "dev/cpu/simd/simd.h"

#if VW == 16
#define MR 14
#elif defined(__ARM_NEON)
#define MR 8
#else
#define MR 6
#endif
#define NR (2 * VW)

static inline int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Turn 4 rows within each lane of 4 floats. */
INLINE void
turn_in_lanes(vf r[4])
{
#define SHUFFLE __builtin_shufflevector
	vf t[4];

	UNROLL
	for (int i = 0; i < 4; i += 2) {
#if VW == 16
		t[i] = SHUFFLE(r[i], r[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25,
		    12, 28, 13, 29);
		t[i + 1] = SHUFFLE(r[i], r[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27,
		    14, 30, 15, 31);
#elif VW == 8
		t[i] = SHUFFLE(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
		t[i + 1] = SHUFFLE(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
#else
		t[i] = SHUFFLE(r[i], r[i + 1], 0, 4, 1, 5);
		t[i + 1] = SHUFFLE(r[i], r[i + 1], 2, 6, 3, 7);
#endif
	}
	UNROLL
	for (int i = 0; i < 4; i += 2) {
		vf x = t[i / 2], y = t[i / 2 + 2];

#if VW == 16
		r[i] = SHUFFLE(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
		r[i + 1] = SHUFFLE(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15,
		    30, 31);
#elif VW == 8
		r[i] = SHUFFLE(x, y, 0, 1, 8, 9, 4, 5, 12, 13);
		r[i + 1] = SHUFFLE(x, y, 2, 3, 10, 11, 6, 7, 14, 15);
#else
		r[i] = SHUFFLE(x, y, 0, 1, 4, 5);
		r[i + 1] = SHUFFLE(x, y, 2, 3, 6, 7);
#endif
	}
}

/* Turn VW / 4 rows of lanes of 4 floats, step apart. */
INLINE void
turn_by_lanes(vf *r, int step)
{
#if VW == 16
#define EVEN_LANES 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define ODD_LANES 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
	vf lo0 = SHUFFLE(r[0], r[step], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
	vf lo1 = SHUFFLE(r[2 * step], r[3 * step], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20,
	    21, 22, 23);
	vf hi0 = SHUFFLE(r[0], r[step], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29,
	    30, 31);
	vf hi1 = SHUFFLE(r[2 * step], r[3 * step], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26,
	    27, 28, 29, 30, 31);

	r[0] = SHUFFLE(lo0, lo1, EVEN_LANES);
	r[step] = SHUFFLE(lo0, lo1, ODD_LANES);
	r[2 * step] = SHUFFLE(hi0, hi1, EVEN_LANES);
	r[3 * step] = SHUFFLE(hi0, hi1, ODD_LANES);
#elif VW == 8
	vf x = r[0], y = r[step];

	r[0] = SHUFFLE(x, y, 0, 1, 2, 3, 8, 9, 10, 11);
	r[step] = SHUFFLE(x, y, 4, 5, 6, 7, 12, 13, 14, 15);
#else
	(void)r;
	(void)step;
#endif
}

/* Turn VW rows, r[i] the i-th, into VW columns. */
INLINE void
turn(vf r[VW])
{
	UNROLL
	for (int g = 0; g < VW; g += 4)
		turn_in_lanes(r + g);
	/* Now lane l of r[4 g + c] holds column 4 l + c of rows 4 g and on. */
	UNROLL
	for (int c = 0; c < 4; c++)
		turn_by_lanes(r + c, 4);
}

/*
 * Pack n <= NR rows of k floats, ld apart, as the columns of a panel:
 * panel[l * NR + j] = b[j * ld + l], zeros for j >= n.  What is `ahead' of it
 * (0: nothing) is fetched into the second cache.
 */
INLINE void
pack_columns(float *panel, const float *b, int64_t ld, int64_t n, int64_t k, int64_t ahead)
{
	for (int64_t j0 = 0; j0 < NR; j0 += VW) {
		int64_t rows = n - j0 < VW ? n - j0 : VW, l = 0;
		const float *src = b + j0 * ld;

		for (; l + VW <= k; l += VW) {
			vf r[VW];

			if (rows == VW) {
				UNROLL
				for (int j = 0; j < VW; j++)
					r[j] = vload(src + j * ld + l);
				if (ahead > 0 && l % 16 == 0) {
					UNROLL
					for (int j = 0; j < VW; j++)
						__builtin_prefetch(src + j * ld + l + ahead, 0, 2);
				}
			} else {
				UNROLL
				for (int j = 0; j < VW; j++)
					r[j] = j < rows ? vload(src + j * ld + l) : (vf){ 0 };
			}
			turn(r);
			UNROLL
			for (int j = 0; j < VW; j++)
				vstore(panel + (l + j) * NR + j0, r[j]);
		}
		for (; l < k; l++)
			for (int64_t j = 0; j < VW; j++)
				panel[l * NR + j0 + j] = j < rows ? src[j * ld + l] : 0;
	}
}

/* Pack k rows of n <= NR floats: panel[l * NR + j] = b[l * ld + j], zeros for j >= n. */
INLINE void
pack_rows(float *panel, const float *b, int64_t ld, int64_t n, int64_t k)
{
	if (n >= NR) {
		for (int64_t l = 0; l < k; l++) {
			vstore(panel + l * NR, vload(b + l * ld));
			vstore(panel + l * NR + VW, vload(b + l * ld + VW));
		}
		return;
	}
	for (int64_t l = 0; l < k; l++) {
		const float *row = b + l * ld;

		vstore(panel + l * NR, vload_to(row, n));
		vstore(panel + l * NR + VW, n > VW ? vload_n(row + VW, n - VW) : (vf){ 0 });
	}
}

#endif
