/*
 * groups - which rows of which group a block of a product of groups has
 */
#ifndef DEV_CUDA_GROUPS_CUH
#define DEV_CUDA_GROUPS_CUH

#include "dev/cuda/common.cuh"

/* The rows of group e, no matter what the offsets are: within those that there are. */
DEVICE void
rows_of_group(const struct k_grouped &g, int64_t e, int64_t rows, int64_t *from, int64_t *to)
{
	const int32_t *offset = at<int32_t>(g.offset);

	*from = min(max((int64_t)offset[e], (int64_t)0), rows);
	*to = min(max((int64_t)offset[e + 1], *from), rows);
}

/* A group's rows, which begin with row from of all, and the first of them that a block has. */
struct share {
	int64_t	group, from, rows, i0;
};

/* That of a block of so many.  Is there such a one? */
DEVICE bool
share_of(struct share &s, const struct cuda_grouped &a, const struct cuda_run &r, int64_t block,
    int64_t blocks)
{
	const struct k_grouped &g = a.g;
	int64_t rows = rows_of(g.p.ta ? g.p.k : g.p.m, r), to;

	s.from = 0;
	s.rows = rows;
	if (g.offset.at != 0 && !g.p.ta) {
		int2 tile = at<int2>(a.tile)[block];

		s.group = tile.x;
		s.i0 = tile.y;
	} else {
		int64_t each = blocks / g.groups;

		s.group = block / each;
		s.i0 = block % each * a.tall;
	}
	if (s.group < 0)
		return false;
	if (g.offset.at != 0) {
		rows_of_group(g, s.group, rows, &s.from, &to);
		s.rows = to - s.from;
	}
	return true;
}

/* Where a group's part of each matrix begins, in elements. */
DEVICE int64_t
from_of_a(const struct k_grouped &g, const struct share &s)
{
	return s.from * g.p.lda + (g.offset.at == 0 ? s.group * g.step_a : 0);
}

DEVICE int64_t
from_of_b(const struct k_grouped &g, const struct share &s)
{
	return g.p.ta ? s.from * g.p.ldb : s.group * g.stride;
}

DEVICE int64_t
from_of_c(const struct k_grouped &g, const struct share &s)
{
	if (g.offset.at == 0)
		return s.group * g.step_c;
	return g.p.ta ? s.group * g.stride : s.from * g.p.ldc;
}

/* n elements on */
DEVICE dptr
from_on(dptr p, dtype type, int64_t n)
{
	return dptr { p.at + (uint64_t)(n * (type == DTYPE_F32 ? 4 : 2)) };
}

#endif
