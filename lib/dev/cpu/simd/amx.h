/*
 * amx - the tiles of AMX: eight registers of 16 rows of 64 bytes
 *
 * A word is two bf16 of neighbouring k.  Of a product's tiles 0 to 3 are sums,
 * VW rows and columns of them; 4 and 5 are of a, VW rows of VW words; 6 and 7
 * of b, VW words of VW columns.
 *
 * Pairs are multiplied in an order of their own: in each tile the first of
 * every pair, word after word, from zero; the second likewise; then both are
 * added, and that to the sum.  To nearest even, subnormals are zeros.
 *
 * Quantized weights are left to VNNI.  They have a scale for each 32 of k at
 * most, and tiles of sums that are stored so often are no faster; and to make
 * them bf16 takes twice as long as their bytes take from memory, which is what
 * few rows wait for.
 *
 * Where there is no AMX a test has the same in C, on tiles of VW by VW.
 */
#ifndef DEV_SIMD_AMX_H
#define DEV_SIMD_AMX_H

#include "base/simd/vec.h"

/* gcc's name, and clang's. */
#if defined(__AMX_TILE__) || defined(__AMXTILE__)
#define AMX_HERE
#endif

#ifndef AMX
#ifdef AMX_HERE
#define AMX 1
#else
#define AMX 0
#endif
#endif

enum { TILE_LINE = 4 * VW };	/* bytes of a row */

#ifdef AMX_HERE
/* What ldtilecfg reads: Intel SDM, volume 1, chapter 18. */
struct tile_config {
	uint8_t	 palette, start, reserved[14];
	uint16_t row_bytes[16];
	uint8_t	 rows[16];
};

INLINE void
tiles_begin(void)
{
	struct tile_config c = { .palette = 1 };

	for (int i = 0; i < 8; i++) {
		c.rows[i] = VW;
		c.row_bytes[i] = TILE_LINE;
	}
	__asm__ volatile("ldtilecfg %0" : : "m"(c));
}

/* The machine need not keep them any longer. */
INLINE void
tiles_end(void)
{
	__asm__ volatile("tilerelease");
}

#define tile_zero(t) __asm__ volatile("tilezero %%tmm" #t : :)
/* Rows from p on, stride bytes apart. */
#define tile_load(t, p, stride)						\
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : :		\
	    "r"((const void *)(p)), "r"((int64_t)(stride)) : "memory")
#define tile_store(t, p, stride)					\
	__asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : :	\
	    "r"((void *)(p)), "r"((int64_t)(stride)) : "memory")
/* c += a b */
#define tile_pairs(c, a, b)						\
	__asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

#else
static inline void
tiles_begin(void)
{
}

static inline void
tiles_end(void)
{
}
#endif

#if AMX && !defined(AMX_HERE)
#include <math.h>
#include <string.h>

static _Thread_local uint32_t tile[8][VW][VW];

static inline void
tile_zero(int t)
{
	memset(tile[t], 0, sizeof(tile[t]));
}

static inline void
tile_load(int t, const void *p, int64_t stride)
{
	for (int i = 0; i < VW; i++)
		memcpy(tile[t][i], (const char *)p + i * stride, TILE_LINE);
}

static inline void
tile_store(int t, void *p, int64_t stride)
{
	for (int i = 0; i < VW; i++)
		memcpy((char *)p + i * stride, tile[t][i], TILE_LINE);
}

static inline float
tile_bf16(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static inline void
tile_pairs(int c, int a, int b)
{
	for (int i = 0; i < VW; i++)
		for (int j = 0; j < VW; j++) {
			float first = 0, second = 0, sum;

			for (int k = 0; k < VW; k++) {
				uint32_t x = tile[a][i][k], y = tile[b][k][j];

				first = fmaf(tile_bf16(x << 16), tile_bf16(y << 16), first);
				second = fmaf(tile_bf16(x & 0xffff0000),
				    tile_bf16(y & 0xffff0000), second);
			}
			memcpy(&sum, &tile[c][i][j], sizeof(sum));
			sum += first + second;
			memcpy(&tile[c][i][j], &sum, sizeof(sum));
		}
}
#endif

#endif
