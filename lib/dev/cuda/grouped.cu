/*
 * Products of groups of rows, by the tiles of products.  Blocks are (tiles of
 * rows of all groups, tiles of columns).  Which group's rows a block has is told
 * by the offsets, which are on the device: a list of the tiles is made of them
 * first, so that a group takes as many blocks as it has rows.
 */
#include "dev/cuda/groups.cuh"
#include "dev/cuda/tile.cuh"
#include "dev/cuda/tile_f32.cuh"

DEVICE void
check_offsets(const struct k_grouped &g, int64_t rows, const struct cuda_run &r)
{
	const int32_t *offset = at<int32_t>(g.offset);

	for (int64_t e = threadIdx.x; e < g.groups; e += THREADS)
		/* sectors: those of neighbours do not begin with one */
		if (offset[e] < 0 || offset[e] > offset[e + 1] || offset[e + 1] > rows)
			note(r, NOTE_OFFSETS, e, offset[e + 1], rows);
}

/* The list of tiles, in the order of their rows.  One block, of which a warp adds up. */
ONE(grouped_tiles, cuda_grouped)
{
	int64_t rows = rows_of(a.g.p.m, r), done = 0;
	int2 *tile = at<int2>(a.tile);

	check_offsets(a.g, rows, r);
	if (threadIdx.x >= 32)
		return;
	for (int64_t e0 = 0; e0 < a.g.groups; e0 += 32) {
		int64_t e = e0 + lane(), from = 0, to = 0;
		int n, upto;

		if (e < a.g.groups)
			/* sectors: as above */
			rows_of_group(a.g, e, rows, &from, &to);
		n = (int)((to - from + a.tall - 1) / a.tall);
		upto = warp_upto(n);
		for (int i = 0; i < n && done + upto - n + i < a.n; i++)
			tile[done + upto - n + i] = make_int2((int)e, i * a.tall);
		done += __shfl_sync(~0u, upto, 31);
	}
	for (int64_t i = done + lane(); i < a.n; i += 32)
		tile[i] = make_int2(-1, 0);
}

/* A group's product, and the first of a block's rows. */
struct part {
	struct k_matmul p;
	int64_t	m, k, i0;
};

/* Is there such a one? */
DEVICE bool
part_of(struct part &t, const struct cuda_grouped &a, const struct cuda_run &r)
{
	const struct k_grouped &g = a.g;
	struct share s;

	if (!share_of(s, a, r, blockIdx.x, gridDim.x))
		return false;
	t.p = g.p;
	t.m = g.p.ta ? g.p.m.cap : s.rows;
	t.k = g.p.ta ? s.rows : g.p.k.cap;
	t.i0 = s.i0;
	t.p.a = from_on(t.p.a, t.p.a_type, from_of_a(g, s));
	t.p.b = from_on(t.p.b, t.p.b_type, from_of_b(g, s));
	t.p.c = from_on(t.p.c, t.p.c_type, from_of_c(g, s));
	return true;
}

template <typename T, typename S> DEVICE void
grouped(const struct cuda_grouped &a, const struct cuda_run &r)
{
	__shared__ alignas(128) char memory[S::BYTES];
	struct part t;

	if (part_of(t, a, r))
		tile_product<T, S>(t.p, memory, t.m, t.k, t.i0, (int64_t)blockIdx.y * S::N);
}

template <typename S> DEVICE void
grouped_f32(const struct cuda_grouped &a, const struct cuda_run &r)
{
	__shared__ alignas(128) char memory[S::BYTES];
	struct part t;

	if (part_of(t, a, r))
		tile_f32_product<S>(t.p, memory, t.m, t.k, t.i0, (int64_t)blockIdx.y * S::N);
}

#define GROUPED(size)								\
ENTRY(grouped_##size##_f32, cuda_grouped, tile_f32_##size::THREADS, 3)		\
{ grouped_f32<tile_f32_##size>(a, r); }						\
ENTRY(grouped_##size##_bf16, cuda_grouped, tile_##size::THREADS, 4)		\
{ grouped<bf16, tile_##size>(a, r); }						\
ENTRY(grouped_##size##_f16, cuda_grouped, tile_##size::THREADS, 4)		\
{ grouped<f16, tile_##size>(a, r); }

GROUPED(middle)
GROUPED(small)
