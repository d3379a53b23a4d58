/*
 * run - what host and kernels of the CUDA backend both know
 *
 * A kernel takes the arguments of dev/kernels.h, or one of the structs below,
 * and a struct cuda_run.
 */
#ifndef DEV_CUDA_RUN_H
#define DEV_CUDA_RUN_H

#include "dev/kernels.h"

/* The first thing that went wrong in a kernel; read by dev_wait(). */
enum { NOTE_NONE, NOTE_ROWS, NOTE_ID, NOTE_SLOT, NOTE_POSITION, NOTE_TARGET, NOTE_EXPERT,
	NOTE_ROW, NOTE_OFFSETS };

struct cuda_note {
	int32_t	what, kernel;
	int64_t	row, value, limit;	/* NOTE_ROWS: value where limit were planned */
};

struct cuda_run {
	dptr	note, scratch;
	int32_t	kernel;
};

/* Rows of partial sums of columns, and elements of partial sums of all. */
enum { COLUMN_ROWS = 256, SUM_PART = 4096 };

/* Rows and columns of a product's tiles, and columns of those in fp32 where they are others. */
enum { LARGE = 128, MIDDLE = 64, SMALL = 16, F32_LARGE = 64, F32_SMALL = 32 };

/* Are rows [from, from + rows) of x in [least, limit)? */
struct cuda_index { dptr x; struct dim t; int64_t from, rows, least, limit; int32_t what; };

/* Rows of x[i] beyond those that there are become zeros: bytes of them, ld bytes apart. */
struct cuda_tails { dptr x[2]; int64_t bytes[2], ld[2]; struct dim t; };

/* to[0..c) += sums over the chunks of part (chunks, c), of COLUMN_ROWS rows of t each */
struct cuda_columns { dptr to, part; struct dim t; int64_t c; };

/* out[0] (f64) [+]= sum of n parts (f64), or as many as n.cap elements have of SUM_PART */
struct cuda_parts { dptr out, part; struct dim n; int64_t each; int32_t add; };

/*
 * Adafactor: sums (2, f64) are those of row and of the update's squares; sizes are
 * what blocks have of them.
 */
struct cuda_adafactor { struct k_adafactor f; dptr sums, sizes, of_col; };
enum { FACTOR_ROWS = 32 };

/* Convolution: tokens of a block; end (T) int32 is where the sequence of each ends. */
struct cuda_conv_bwd { struct k_conv_bwd b; dptr end; };
enum { CONV_TOKENS = 16 };

/*
 * Parts of the scan's gradients: of_tokens (blocks of channels, T, 2 N) are db's and
 * dc's; of_rates (.., C, N) and of_skips (.., C) da_log's and dd's of so many blocks
 * of sequences.
 */
struct cuda_scan_bwd { struct k_scan_bwd b; dptr of_tokens, of_rates, of_skips; };

/*
 * Products of groups: tile (n, 2) int32 is the group and its first row that a block
 * has, or -1: none.  A tile is tall rows.
 */
struct cuda_grouped { struct k_grouped g; dptr tile; int64_t n; int32_t tall; };

/* Warps of a block that route, and tokens of a partial sum of scores. */
enum { ROUTE_WARPS = 4, ROUTE_ROWS = 64 };

/* How many of n assignments a warp sorts: so that there are few chunks to add up. */
ALIKE int64_t
sort_chunk(int64_t n)
{
	int64_t each = (n + 63) / 64;

	return each < 256 ? 256 : (each + 31) / 32 * 32;
}

/*
 * Attention sums FLASH_SEGMENT keys apart.  Sequences of at most
 * FLASH_SPLIT rows that end within the first tokens leave each of the segments'
 * sums in scratch, to be merged; 0: none do.
 */
enum { FLASH_SEGMENT = 256, FLASH_SPLIT = 128 };
struct cuda_flash { struct k_attention a; int64_t tokens, segments; };

/* Elements of a row's sums there: an even number. */
ALIKE int64_t
flash_row(int64_t d_v)
{
	return (d_v + 1) / 2 * 2;
}

/*
 * Activations rounded for products with blocks (launch_quant.c).  Groups of eight
 * rows lie together: of each 32 of k they have 8 times 32 bytes, words i and
 * i + 4 side by side, as a lane multiplies them; and in another place one of these
 * for each row.  start is what the integers of a part of 16 begin with (of 32:
 * the first), or where there are least values what those are multiplied by.
 */
enum { QUANT_K = 32, QUANT_ROWS = 8 };
struct cuda_rounded { float scale; int32_t start[2], none; };

/*
 * q and to = a (M, heads, K) of type, heads step elements apart; w = d (level -
 * zero) + m in parts of so many.  Many rows are followed by so many spare ones of
 * zeros, and by those that make tiles whole.
 */
struct cuda_round {
	dptr a, q, to; dtype type; struct dim m; int64_t k, lda, heads, step;
	int32_t part, zero, least, spare;
};

/* Products with blocks: those of groups, of which a product alone is one; rounded activations. */
struct cuda_qmatmul { struct cuda_grouped g; dptr q, to; };

/* to (groups, K, N) of type = elements of blocks, of rows ldb elements apart and groups stride */
struct cuda_decode { dptr to, b; dtype type; int64_t groups, k, n, ldb, stride; };
enum { DECODED = 2048 };	/* elements that a warp decodes at once */

/*
 * Up to QUANT_FEW rows are few; many are multiplied QUANT_TILE at a time.  Sums
 * are of so many segments of k, which are whole units.
 */
enum { QUANT_FEW = 32, QUANT_TILE = 32, QUANT_UNIT = 256, SEGMENTS = 4 };

#endif
