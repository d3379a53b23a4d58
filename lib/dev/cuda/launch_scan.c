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

int64_t
cuda_scan_bytes(int kernel, const union dev_args *a)
{
	switch (kernel) {
	case K_CONV_BWD:
		return column_bytes(&a->conv_bwd.f) +
		    a->conv_bwd.f.t.cap * (int64_t)sizeof(int32_t);
	default:
		return 0;
	}
}
