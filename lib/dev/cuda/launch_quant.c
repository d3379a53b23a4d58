#include "base/quant_block.h"
#include "dev/cuda/launch.h"

/* Products with types of blocks: activations are rounded, then multiplied. */

struct form {
	int	part, zero;
	bool	least;
};
#define FORM(type, name, block, bytes, part, zero, least) [DTYPE_##type] = { part, zero, least },
static const struct form forms[DTYPE_COUNT] = { QUANT_BLOCKS(FORM) };

enum { FEW_COLUMNS = 8, FEW_THREADS = 128, MANY = 64, MANY_THREADS = 128 };	/* qmatmul.cu */

bool
cuda_has_blocks(dtype t)
{
	return forms[t].part != 0;
}

/* ---- in the stored direction: activations are rounded, then multiplied ---- */

/* Do groups begin within tiles?  Then one that begins with the last row has rows beyond it. */
static int32_t
spare_of(const struct k_grouped *g)
{
	return g->offset.at != 0 ? QUANT_TILE - 1 : 0;
}

static int64_t
heads_of(const struct k_grouped *g)
{
	return g->offset.at != 0 ? 1 : g->groups;
}

/* Rows that are rounded: whole tiles. */
static int64_t
rows_rounded(const struct k_grouped *g)
{
	return cuda_over(g->p.m.cap + spare_of(g), QUANT_TILE) * QUANT_TILE;
}

/* Elements of these. */
static int64_t
rounded(const struct k_grouped *g)
{
	return rows_rounded(g) * heads_of(g) * g->p.k.cap;
}

static void
round_rows(struct cuda *c, int kernel, const struct k_grouped *g, const struct cuda_qmatmul *q)
{
	const struct form *f = &forms[g->p.b_type];
	struct cuda_round r = { .a = g->p.a, .q = q->q, .to = q->to, .type = g->p.a_type,
		.m = g->p.m, .k = g->p.k.cap, .lda = g->p.lda, .heads = heads_of(g),
		.step = g->step_a, .part = f->part, .zero = f->zero, .least = f->least,
		.spare = spare_of(g) };

	cuda_go(c, kernel, E_quant_round, g->p.a_type, cuda_blocks(c, rounded(g) / 4, THREADS), &r);
}

/*
 * Where the count of rows is the device's alone to know, kernels for few and for
 * many are launched, and one does it.
 */
static void
multiply(struct cuda *c, int kernel, const struct k_grouped *g)
{
	dptr at = dptr_add(c->scratch, cuda_tiles_bytes(g, MANY));
	const struct cuda_qmatmul q = { cuda_list_tiles(c, g, MANY), at,
		dptr_add(at, rounded(g)) };
	int64_t tiles = q.g.n, m = g->p.m.cap;
	struct cuda_grid few = { cuda_over(g->p.n, FEW_COLUMNS), g->offset.at != 0 ? tiles :
		g->groups, FEW_THREADS, 0 };
	struct cuda_grid many = { cuda_over(g->p.n, MANY), tiles, MANY_THREADS, 0 };

	round_rows(c, kernel, g, &q);
	if (m <= QUANT_FEW || g->p.m.n.at != 0 || g->offset.at != 0)
		cuda_go(c, kernel, E_qmatmul_few, g->p.b_type, few, &q);
	if (m > QUANT_FEW)
		cuda_go(c, kernel, E_qmatmul_many, g->p.b_type, many, &q);
}

/* ---- against it: columns become floats of a's type, and are multiplied as such ---- */

/* Weights at a time, for each processor: the second cache keeps them until they are read. */
enum { FLOATS = 1 << 16 };

static int64_t
columns_at_once(const struct cuda *c, const struct k_grouped *g)
{
	int64_t block = dtype_block(g->p.b_type), rows = g->groups * g->p.k.cap;
	int64_t n = c->processors * (int64_t)FLOATS / (rows + 1) / block * block;

	n = n > block ? n : block;
	return n < g->p.n ? n : g->p.n;
}

static int64_t
floats_bytes(const struct cuda *c, const struct k_grouped *g)
{
	return g->groups * g->p.k.cap * columns_at_once(c, g) * dtype_size(g->p.a_type);
}

/* The product of n columns from j on, which are at b. */
static struct k_grouped
part_of(const struct k_grouped *g, int64_t j, int64_t n, dptr b)
{
	struct k_grouped part = *g;

	part.p.c = dptr_add(g->p.c, j * dtype_size(g->p.c_type));
	if (g->p.bias.at != 0)
		part.p.bias = dptr_add(g->p.bias, j * (int64_t)sizeof(float));
	part.p.b = b;
	part.p.b_type = g->p.a_type;
	part.p.n = part.p.ldb = n;
	part.stride = g->p.k.cap * n;
	return part;
}

/* Bytes that their product takes of scratch, before the floats; the first piece is the largest. */
static int64_t
product_bytes(struct cuda *c, int kernel, const struct k_grouped *g)
{
	struct k_grouped part = part_of(g, 0, columns_at_once(c, g), (dptr){ 0 });
	int64_t bytes = kernel == K_MATMUL ? cuda_matmul_bytes(c, &part.p) :
	    cuda_grouped_bytes(&part);

	return cuda_over(bytes, 256) * 256;
}

static void
multiply_floats(struct cuda *c, int kernel, const struct k_grouped *g)
{
	int64_t step = columns_at_once(c, g), rows = g->groups * g->p.k.cap;
	dptr floats = dptr_add(c->scratch, product_bytes(c, kernel, g));

	for (int64_t j = 0; j < g->p.n; j += step) {
		int64_t n = step < g->p.n - j ? step : g->p.n - j;
		struct cuda_decode d = { floats, dptr_add(g->p.b, dtype_bytes(g->p.b_type, j)),
			g->p.a_type, g->groups, g->p.k.cap, n, g->p.ldb, g->stride };
		struct k_grouped part = part_of(g, j, n, floats);

		cuda_go(c, kernel, E_quant_decode, g->p.b_type,
		    cuda_warps(c, rows * cuda_over(n, DECODED)), &d);
		if (kernel == K_MATMUL)
			cuda_matmul(c, &part.p);
		else
			cuda_multiply_groups(c, &part);
	}
}

/* ---- both ---- */

int64_t
cuda_qmatmul_bytes(struct cuda *c, int kernel, const struct k_grouped *g)
{
	if (!g->p.tb)
		return product_bytes(c, kernel, g) + floats_bytes(c, g);
	return cuda_tiles_bytes(g, MANY) + rounded(g) +
	    rounded(g) / QUANT_K * (int64_t)sizeof(struct cuda_rounded);
}

void
cuda_qmatmul(struct cuda *c, int kernel, const struct k_grouped *g)
{
	if (g->p.tb)
		multiply(c, kernel, g);
	else
		multiply_floats(c, kernel, g);
}
