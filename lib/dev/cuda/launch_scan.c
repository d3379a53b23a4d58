#include "dev/cuda/launch.h"

/* Launches of recurrences. */

enum { SEQS_MOST = 65535 };	/* of a grid's y; the rest comes by steps */

static int64_t
seqs_of(struct dim seqs)
{
	return seqs.cap < SEQS_MOST ? seqs.cap : SEQS_MOST;
}

/* ---- convolution ---- */

static struct cuda_grid
conv_grid(const struct k_conv *a)
{
	return cuda_tiles(cuda_over(a->t.cap, CONV_TOKENS), cuda_over(a->c, THREADS));
}

void
cuda_conv(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_conv *a = &args->conv;

	cuda_go(c, kernel, E_conv, a->type, conv_grid(a), a);
	if (a->state.at != 0)
		cuda_go(c, kernel, E_conv_state, a->type,
		    cuda_tiles(cuda_over(a->c, THREADS), seqs_of(a->seqs)), a);
}

/* Scratch: sums of columns, then the ends of sequences. */
static int64_t
column_bytes(const struct k_conv *a)
{
	return cuda_over(cuda_column_bytes(a->t, a->c * a->width), 8) * 8;
}

void
cuda_conv_bwd(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_conv *f = &args->conv_bwd.f;
	const struct cuda_conv_bwd a = { .b = args->conv_bwd,
		.end = dptr_add(c->scratch, column_bytes(f)) };
	const struct k_bias_bwd bias = { a.b.dbias, a.b.dy, f->type, f->t, f->c };

	cuda_go(c, kernel, E_seq_ends, DTYPE_NONE, cuda_blocks(c, f->t.cap, THREADS), &a);
	cuda_go(c, kernel, E_conv_dx, f->type, conv_grid(f), &a);
	cuda_sum_columns(c, kernel, E_conv_dw, f->type, &a, a.b.dw, f->t, f->c * f->width);
	cuda_sum_columns(c, kernel, E_bias_part, f->type, &bias, a.b.dbias, f->t, f->c);
}

/* ---- the scan ---- */

void
cuda_scan(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_scan *a = &args->scan;

	cuda_go(c, kernel, E_scan, a->type, cuda_tiles(cuda_over(a->c, 32), seqs_of(a->seqs)), a);
}

/* Sequences go to so many blocks: each has sums of parameters of its own. */
static int64_t
seq_blocks(const struct k_scan *a)
{
	return a->seqs.cap < 32 ? a->seqs.cap : 32;
}

/* Elements of the parts. */
static int64_t
part_of_tokens(const struct k_scan *a)
{
	return cuda_over(a->c, 32) * a->t.cap * 2 * a->n;
}

static int64_t
part_of_rates(const struct k_scan *a)
{
	return seq_blocks(a) * a->c * a->n;
}

/* to (n) += the blocks' parts. */
static void
add_params(struct cuda *c, dptr to, dptr part, int64_t blocks, int64_t n)
{
	struct cuda_columns add = { to, part, { .cap = blocks * COLUMN_ROWS }, n };

	if (to.at != 0)
		cuda_go(c, K_SCAN_BWD, E_columns_add, DTYPE_NONE, cuda_blocks(c, n, THREADS), &add);
}

void
cuda_scan_bwd(struct cuda *c, int kernel, const union dev_args *args)
{
	const struct k_scan_bwd *b = &args->scan_bwd;
	const struct k_scan *f = &b->f;
	int64_t size = (int64_t)sizeof(float), blocks = seq_blocks(f);
	struct cuda_scan_bwd a = { .b = *b, .of_tokens = c->scratch };
	enum cuda_entry entry = f->n <= 4 * WARPS ? E_scan_back : E_scan_back_many;

	a.of_rates = dptr_add(a.of_tokens, part_of_tokens(f) * size);
	a.of_skips = dptr_add(a.of_rates, part_of_rates(f) * size);
	cuda_go(c, kernel, entry, f->type, cuda_tiles(cuda_over(f->c, 32), blocks), &a);
	cuda_go(c, kernel, E_scan_bc, f->type, cuda_blocks(c, f->t.cap * 2 * f->n, THREADS), &a);
	add_params(c, b->da_log, a.of_rates, blocks, f->c * f->n);
	add_params(c, b->dd, a.of_skips, blocks, f->c);
}

int64_t
cuda_scan_bytes(int kernel, const union dev_args *a)
{
	switch (kernel) {
	case K_CONV_BWD:
		return column_bytes(&a->conv_bwd.f) +
		    a->conv_bwd.f.t.cap * (int64_t)sizeof(int32_t);
	case K_SCAN_BWD:
		return (part_of_tokens(&a->scan_bwd.f) + part_of_rates(&a->scan_bwd.f) +
		    seq_blocks(&a->scan_bwd.f) * a->scan_bwd.f.c) * (int64_t)sizeof(float);
	default:
		return 0;
	}
}
