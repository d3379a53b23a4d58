#include "dev/cpu/simd/tile.h"

INLINE void
tile_store(int mr, const struct tile *t, vf acc[MR][2])
{
	bool whole = t->n == NR;

	UNROLL
	for (int i = 0; i < mr; i++) {
		float *c = t->c + i * t->ldc;

		UNROLL
		for (int v = 0; v < 2; v++) {
			int64_t n = whole ? VW : t->n - v * VW;
			vf base = { 0 };

			if (n <= 0)
				continue;
			if (t->load)
				base = vload_to(c + v * VW, n);
			if (t->row_scale != NULL)
				base *= t->row_scale[i];
			if (t->bias != NULL)
				base += vload_to(t->bias + v * VW, n);
			vstore_to(c + v * VW, vfma(acc[i][v], vset(t->alpha), base), n);
		}
	}
}

#define TILE(mr)							\
static void								\
tile_##mr(const struct tile *t)						\
{									\
	vf acc[MR][2];							\
									\
	tile_sum(mr, t->k, t->a, t->rs, t->cs, t->b, t->ldb, acc);	\
	tile_store(mr, t, acc);						\
}
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if MR > 6
TILE(7) TILE(8)
#endif
#if MR > 8
TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14)
#endif

/* A whole tile of packed operands: their strides are constants. */
static void
tile_packed(const struct tile *t)
{
	vf acc[MR][2];

	tile_sum(MR, t->k, t->a, 1, MR, t->b, NR, acc);
	tile_store(MR, t, acc);
}

void
OF_ISA(tile_run)(const struct tile *t, int64_t rows)
{
	static void (*const of_height[])(const struct tile *) = {
		tile_1, tile_2, tile_3, tile_4, tile_5, tile_6,
#if MR > 6
		tile_7, tile_8,
#endif
#if MR > 8
		tile_9, tile_10, tile_11, tile_12, tile_13, tile_14,
#endif
	};

	if (rows == MR && t->rs == 1 && t->cs == MR && t->ldb == NR)
		tile_packed(t);
	else
		of_height[rows - 1](t);
}
