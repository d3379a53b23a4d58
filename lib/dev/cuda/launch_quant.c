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

/* Rows that are rounded: whole tiles. */
static int64_t
rows_rounded(const struct k_matmul *a)
{
	return cuda_over(a->m.cap, QUANT_TILE) * QUANT_TILE;
}

int64_t
cuda_qmatmul_bytes(const struct k_matmul *a)
{
	return rows_rounded(a) * (a->k.cap + a->k.cap / QUANT_K *
	    (int64_t)sizeof(struct cuda_rounded));
}

/* Where the count of rows is the device's alone to know, both are launched, and one does it. */
void
cuda_qmatmul(struct cuda *c, const struct k_matmul *a)
{
	const struct form *f = &forms[a->b_type];
	struct cuda_qmatmul q = { *a, c->scratch,
		dptr_add(c->scratch, rows_rounded(a) * a->k.cap) };
	struct cuda_round r = { .a = a->a, .q = q.q, .to = q.to, .type = a->a_type, .m = a->m,
		.k = a->k.cap, .lda = a->lda, .part = f->part, .zero = f->zero, .least = f->least };
	struct cuda_grid few = { cuda_over(a->n, FEW_COLUMNS), 1, FEW_THREADS, 0 };
	struct cuda_grid many = { cuda_over(a->n, MANY), cuda_over(a->m.cap, MANY), MANY_THREADS,
		0 };

	cuda_go(c, K_MATMUL, E_quant_round, a->a_type,
	    cuda_blocks(c, rows_rounded(a) * a->k.cap / 4, THREADS), &r);
	if (a->m.cap <= QUANT_FEW || a->m.n.at != 0)
		cuda_go(c, K_MATMUL, E_qmatmul_few, a->b_type, few, &q);
	if (a->m.cap > QUANT_FEW)
		cuda_go(c, K_MATMUL, E_qmatmul_many, a->b_type, many, &q);
}
