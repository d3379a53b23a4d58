#include "dev/cuda/blas.h"
#include "dev/cuda/launch.h"

/*
 * Which tile a product is made of, by its shape alone: the squares' order is
 * the tiles'.  Sums are the same bits with each, so it may change with the rows.
 */
struct choice {
	enum cuda_entry entry;
	dtype	type;		/* of the entry's name */
	int64_t	m, n;
	int	threads;
};

/* Fewer large tiles than this leave much of a GPU idle. */
enum { ENOUGH = 64 };

/* Tensor cores take two operands of their types; the rest is fp32. */
static struct choice
choose(const struct k_matmul *a)
{
	bool half = a->a_type == a->b_type && a->a_type != DTYPE_F32;
	dtype type = half ? a->a_type : DTYPE_F32;
	int64_t n = half ? LARGE : F32_LARGE;

	if (a->m.cap <= SMALL)
		return (struct choice){ E_matmul_small, type, SMALL, half ? SMALL : F32_SMALL,
			half ? 32 : 128 };
	if (a->m.cap <= MIDDLE || cuda_over(a->m.cap, LARGE) * cuda_over(a->n, n) < ENOUGH)
		return (struct choice){ E_matmul_middle, type, MIDDLE, MIDDLE, 128 };
	return (struct choice){ E_matmul_large, type, LARGE, n, half ? 256 : 128 };
}

static struct cuda_grid
grid(const struct k_matmul *a, const struct choice *c)
{
	return (struct cuda_grid){ .x = cuda_over(a->n, c->n), .y = cuda_over(a->m.cap, c->m),
		.threads = c->threads };
}

/* A product with blocks is one of a single group. */
static struct k_grouped
one_group(const struct k_matmul *a)
{
	return (struct k_grouped){ .p = *a, .groups = 1 };
}

int64_t
cuda_matmul_bytes(struct cuda *c, const struct k_matmul *a)
{
	struct choice t = choose(a);
	struct cuda_grid g = grid(a, &t);
	struct k_grouped one = one_group(a);
	int64_t squares = a->sumsq.at == 0 ? 0 : g.x * g.y * (int64_t)sizeof(double);
	int64_t library = blas_bytes(c, a);

	if (dtype_block(a->b_type) > 1)
		return cuda_qmatmul_bytes(c, K_MATMUL, &one);
	return squares > library ? squares : library;
}

void
cuda_matmul(struct cuda *c, const struct k_matmul *a)
{
	struct choice t = choose(a);
	struct cuda_grid g = grid(a, &t);
	struct k_grouped one = one_group(a);

	if (dtype_block(a->b_type) > 1) {
		cuda_qmatmul(c, K_MATMUL, &one);
		return;
	}
	if (blas_matmul(c, a))
		return;
	cuda_go(c, K_MATMUL, t.entry, t.type, g, a);
	if (a->sumsq.at != 0 && g.x * g.y > 0)
		cuda_add_parts(c, K_MATMUL, a->sumsq, (struct dim){ .cap = g.x * g.y }, 1, true);
}
