/*
 * launch - how the parts of the CUDA backend put kernels into the queue
 */
#ifndef DEV_CUDA_LAUNCH_H
#define DEV_CUDA_LAUNCH_H

#include "dev/cuda/cuda.h"

enum { THREADS = 256, WARPS = THREADS / 32 };	/* as in common.cuh */

/*
 * Blocks of a launch; threads of one, 0: THREADS; bytes of dynamic shared
 * memory, and the most that any launch of the entry has, 0: as many.
 */
struct cuda_grid {
	int64_t	x, y;
	int	threads, shared, most_shared;
};

/* Queue entry of this type's kernel, for K_kernel; none where the grid has no blocks. */
void cuda_go(struct cuda *c, int kernel, enum cuda_entry entry, dtype type, struct cuda_grid g,
    const void *args);

/* Are indices in their range?  Those that are not are told by dev_wait(). */
void cuda_check_index(struct cuda *c, int kernel, int what, dptr x, struct dim t, int64_t least,
    int64_t limit);

/* to += sums of columns: entry makes those of chunks of rows, in scratch. */
void cuda_sum_columns(struct cuda *c, int kernel, enum cuda_entry entry, dtype type,
    const void *args, dptr to, struct dim t, int64_t n);
int64_t cuda_column_bytes(struct dim t, int64_t n);

/* out [+]= the parts in scratch, of n elements, one of each so many */
void cuda_add_parts(struct cuda *c, int kernel, dptr out, struct dim n, int64_t each, bool add);

/* launch_matmul.c */
void cuda_matmul(struct cuda *c, const struct k_matmul *a);
int64_t cuda_matmul_bytes(struct cuda *c, const struct k_matmul *a);

static inline int64_t
cuda_over(int64_t n, int64_t each)
{
	return (n + each - 1) / each;
}

static inline struct cuda_grid
cuda_tiles(int64_t x, int64_t y)
{
	return (struct cuda_grid){ .x = x, .y = y };
}

/* Blocks for n items, each so many to a block; the rest comes by steps. */
static inline struct cuda_grid
cuda_blocks(const struct cuda *c, int64_t n, int64_t each)
{
	int64_t most = (int64_t)c->processors * 16, want = cuda_over(n, each);

	return cuda_tiles(want < most ? want : most, 1);
}

/* Elements, of which a thread takes 16 bytes at a time. */
static inline struct cuda_grid
cuda_elements(const struct cuda *c, int64_t n)
{
	return cuda_blocks(c, n, (int64_t)THREADS * 4);
}

static inline struct cuda_grid
cuda_rows(const struct cuda *c, int64_t n)
{
	return cuda_blocks(c, n, 1);
}

static inline struct cuda_grid
cuda_warps(const struct cuda *c, int64_t n)
{
	return cuda_blocks(c, n, WARPS);
}

/* ---- of other files ---- */

typedef void cuda_launcher(struct cuda *c, int kernel, const union dev_args *a);

cuda_launcher cuda_route, cuda_route_bwd, cuda_route_sort, cuda_route_sum, cuda_balance,
    cuda_balance_bias, cuda_combine, cuda_combine_bwd, cuda_grouped;
int64_t cuda_moe_bytes(struct cuda *c, int kernel, const union dev_args *a);

/* A product of groups of floats; bytes of scratch. */
void cuda_multiply_groups(struct cuda *c, const struct k_grouped *g);
int64_t cuda_grouped_bytes(const struct k_grouped *g);

/* The list of its tiles, so tall, at the beginning of scratch; bytes of it, a multiple of 16. */
struct cuda_grouped cuda_list_tiles(struct cuda *c, const struct k_grouped *g, int tall);
int64_t cuda_tiles_bytes(const struct k_grouped *g, int tall);

cuda_launcher cuda_conv, cuda_conv_bwd, cuda_scan, cuda_scan_bwd;
int64_t cuda_scan_bytes(int kernel, const union dev_args *a);

cuda_launcher cuda_collective;

cuda_launcher cuda_adafactor;
int64_t cuda_adafactor_bytes(const struct k_adafactor *a);

cuda_launcher cuda_attention, cuda_attention_bwd;
int64_t cuda_attention_bytes(const struct k_attention *a);

/* Products with blocks: are there kernels for the type?  Bytes of scratch. */
bool cuda_has_blocks(dtype t);
int64_t cuda_qmatmul_bytes(struct cuda *c, int kernel, const struct k_grouped *g);
void cuda_qmatmul(struct cuda *c, int kernel, const struct k_grouped *g);

#endif
