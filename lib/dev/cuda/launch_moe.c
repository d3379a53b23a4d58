#include "dev/cuda/launch.h"

/* Launches of mixtures of experts. */

/* Blocks of ROUTE_WARPS warps, each of a token at a time. */
static struct cuda_grid
routers(const struct cuda *c, int64_t n)
{
	struct cuda_grid g = cuda_blocks(c, n, ROUTE_WARPS);

	g.threads = ROUTE_WARPS * 32;
	return g;
}

static int64_t
sort_chunks(const struct k_route_sort *a)
{
	return cuda_over(a->t.cap * a->top, sort_chunk(a->t.cap * a->top));
}

void
cuda_route(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_route *a = &args->route;

	cuda_go(c, kernel, E_route, DTYPE_NONE, routers(c, a->t.cap), a);
}

void
cuda_route_bwd(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_route_bwd *a = &args->route_bwd;

	if (a->share.at != 0)
		cuda_go(c, kernel, E_balance_grad, DTYPE_NONE, cuda_tiles(1, 1), a);
	cuda_go(c, kernel, E_route_bwd, DTYPE_NONE, routers(c, a->f.t.cap), a);
}

/* How many of an expert each chunk has, where those of an expert begin, and all to their places. */
void
cuda_route_sort(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_route_sort *a = &args->route_sort;
	struct cuda_grid chunks = cuda_tiles(cuda_over(sort_chunks(a), WARPS), 1);

	cuda_go(c, kernel, E_sort_count, DTYPE_NONE, chunks, a);
	cuda_go(c, kernel, E_sort_scan, DTYPE_NONE, cuda_tiles(1, 1), a);
	cuda_go(c, kernel, E_sort_place, DTYPE_NONE, chunks, a);
}

void
cuda_route_sum(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_route_sum *a = &args->route_sum;
	struct cuda_grid parts = { .x = cuda_over(a->t.cap, ROUTE_ROWS), .y = 1,
		.threads = ROUTE_WARPS * 32 };

	cuda_go(c, kernel, E_route_part, DTYPE_NONE, parts, a);
	cuda_go(c, kernel, E_route_add, DTYPE_NONE, cuda_blocks(c, a->experts + 1, THREADS), a);
}

void
cuda_balance(struct cuda *c, int kernel, const union dev_args *a)
{
	cuda_go(c, kernel, E_balance, DTYPE_NONE, cuda_tiles(1, 1), &a->balance);
}

void
cuda_balance_bias(struct cuda *c, int kernel, const union dev_args *a)
{
	cuda_go(c, kernel, E_balance_bias, DTYPE_NONE, cuda_tiles(1, 1), &a->balance_bias);
}

void
cuda_combine(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_combine *a = &args->combine;

	cuda_go(c, kernel, E_combine, a->type, cuda_rows(c, a->t.cap), a);
}

void
cuda_combine_bwd(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_combine_bwd *a = &args->combine_bwd;

	cuda_go(c, kernel, E_combine_bwd, a->type, cuda_warps(c, a->t.cap * a->top), a);
}

/* ---- products of groups ---- */

/* Tiles of rows of all groups: of each that shares the rows, one at most is not full. */
static int64_t
row_tiles(const struct k_grouped *g, int tall)
{
	int64_t m = g->p.m.cap, full = cuda_over(m, tall);

	if (g->offset.at == 0 || g->p.ta)
		return full * g->groups;
	return full + g->groups < m ? full + g->groups : m;
}

int64_t
cuda_tiles_bytes(const struct k_grouped *g, int tall)
{
	int64_t bytes = row_tiles(g, tall) * 2 * (int64_t)sizeof(int32_t);

	return g->offset.at == 0 || g->p.ta ? 0 : cuda_over(bytes, 16) * 16;
}

struct cuda_grouped
cuda_list_tiles(struct cuda *c, const struct k_grouped *g, int tall)
{
	const struct cuda_grouped a = { .g = *g, .tile = c->scratch, .n = row_tiles(g, tall),
		.tall = tall };

	if (g->offset.at != 0 && !g->p.ta && a.n > 0)
		cuda_go(c, K_GROUPED, E_grouped_tiles, DTYPE_NONE, cuda_tiles(1, 1), &a);
	return a;
}

/* Groups of few rows have tiles of few; a row's bits are the same in each. */
static int
tall_of(const struct k_grouped *g)
{
	return g->p.m.cap <= SMALL * (g->offset.at != 0 && !g->p.ta ? g->groups : 1) ? SMALL :
	    MIDDLE;
}

int64_t
cuda_grouped_bytes(const struct k_grouped *g)
{
	return cuda_tiles_bytes(g, tall_of(g));
}

void
cuda_multiply_groups(struct cuda *c, const struct k_grouped *g)
{
	const struct cuda_grouped a = cuda_list_tiles(c, g, tall_of(g));
	bool half = g->p.a_type == g->p.b_type && g->p.a_type != DTYPE_F32;
	bool small = a.tall == SMALL;
	int64_t wide = !small ? MIDDLE : half ? SMALL : F32_SMALL;

	cuda_go(c, K_GROUPED, small ? E_grouped_small : E_grouped_middle,
	    half ? g->p.a_type : DTYPE_F32, (struct cuda_grid){ .x = a.n,
	    .y = cuda_over(g->p.n, wide), .threads = small && half ? 32 : 128 }, &a);
}

void
cuda_grouped(struct cuda *c, int kernel, const union dev_args *a)
{
	if (dtype_block(a->grouped.p.b_type) > 1)
		cuda_qmatmul(c, kernel, &a->grouped);
	else
		cuda_multiply_groups(c, &a->grouped);
}

int64_t
cuda_moe_bytes(struct cuda *c, int kernel, const union dev_args *a)
{
	switch (kernel) {
	case K_GROUPED:
		return dtype_block(a->grouped.p.b_type) > 1 ?
		    cuda_qmatmul_bytes(c, kernel, &a->grouped) : cuda_grouped_bytes(&a->grouped);
	case K_ROUTE_BWD:
		return a->route_bwd.f.experts * (int64_t)sizeof(float);
	case K_ROUTE_SORT:
		return sort_chunks(&a->route_sort) * a->route_sort.experts *
		    (int64_t)sizeof(int32_t);
	case K_ROUTE_SUM:
		return cuda_over(a->route_sum.t.cap, ROUTE_ROWS) * (a->route_sum.experts + 1) *
		    (int64_t)sizeof(double);
	default:
		return 0;
	}
}
