#include "dev/cuda/launch.h"

/* Scratch: sums of columns by chunks, of_col, then doubles: two sums, and the blocks' parts. */

/* Rows of a block. */
static int64_t
rows_each(const struct k_adafactor *a)
{
	return a->col.at != 0 ? FACTOR_ROWS : SUM_PART;
}

/* Where the doubles begin. */
static int64_t
float_bytes(const struct k_adafactor *a)
{
	int64_t n = a->col.at != 0 ? cuda_column_bytes((struct dim){ .cap = a->rows }, a->cols) +
	    a->cols * (int64_t)sizeof(float) : 0;

	return cuda_over(n, sizeof(double)) * (int64_t)sizeof(double);
}

int64_t
cuda_adafactor_bytes(const struct k_adafactor *a)
{
	return float_bytes(a) +
	    (2 + cuda_over(a->rows, rows_each(a))) * (int64_t)sizeof(double);
}

/* Sum which of the doubles = what the blocks have. */
static void
add_sizes(struct cuda *c, const struct cuda_adafactor *a, int which)
{
	struct cuda_parts p = { .out = dptr_add(a->sums, which * (int64_t)sizeof(double)),
		.part = a->sizes, .n = { .cap = a->f.rows }, .each = rows_each(&a->f) };

	cuda_go(c, K_ADAFACTOR, E_parts_add, DTYPE_NONE, cuda_tiles(1, 1), &p);
}

static void
matrix(struct cuda *c, const struct cuda_adafactor *a)
{
	struct cuda_grid parts = cuda_tiles(cuda_over(a->f.rows, FACTOR_ROWS), 1);
	struct cuda_grid columns = cuda_tiles(cuda_over(a->f.cols, 32),
	    cuda_over(a->f.rows, COLUMN_ROWS));

	cuda_go(c, K_ADAFACTOR, E_adafactor_rows, DTYPE_NONE, parts, a);
	add_sizes(c, a, 0);
	cuda_go(c, K_ADAFACTOR, E_adafactor_part, DTYPE_NONE, columns, a);
	cuda_go(c, K_ADAFACTOR, E_adafactor_cols, DTYPE_NONE,
	    cuda_blocks(c, a->f.cols, THREADS), a);
	cuda_go(c, K_ADAFACTOR, E_adafactor_size, DTYPE_NONE, parts, a);
	add_sizes(c, a, 1);
	cuda_go(c, K_ADAFACTOR, E_adafactor_matrix, DTYPE_NONE, cuda_warps(c, a->f.rows), a);
}

void
cuda_adafactor(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_adafactor *f = &args->adafactor;
	dptr sums = dptr_add(c->scratch, float_bytes(f));
	struct cuda_adafactor a = { .f = *f, .sums = sums,
		.sizes = dptr_add(sums, 2 * (int64_t)sizeof(double)), .of_col =
		dptr_add(c->scratch, cuda_column_bytes((struct dim){ .cap = f->rows }, f->cols)) };

	if (f->col.at != 0) {
		matrix(c, &a);
		return;
	}
	cuda_go(c, kernel, E_adafactor_vector, DTYPE_NONE,
	    cuda_tiles(cuda_over(f->rows, SUM_PART), 1), &a);
	add_sizes(c, &a, 1);
	cuda_go(c, kernel, E_adafactor_end, DTYPE_NONE, cuda_blocks(c, f->rows, THREADS), &a);
}
