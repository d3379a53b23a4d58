/*
 * amx - the tiles of AMX: eight registers of 16 rows of 64 bytes
 *
 * A word is two bf16, or four bytes, of neighbouring k.  Of a product's tiles
 * 0 to 3 are sums, VW rows and columns of them; 4 and 5 are of a, VW rows of
 * so many words; 6 and 7 of b, so many words of VW columns.
 *
 * Pairs are multiplied in an order of their own: in each tile the first of
 * every pair, word after word, from zero; the second likewise; then both are
 * added, and that to the sum.  To nearest even, subnormals are zeros.
 *
 * Where there is no AMX a test has the same in C, on tiles of VW by VW.
 */
#ifndef DEV_SIMD_AMX_H
#define DEV_SIMD_AMX_H

#include <stdbool.h>

#include "base/simd/vec.h"

#ifndef AMX
#ifdef __AMX_TILE__
#define AMX 1
#else
#define AMX 0
#endif
#endif

enum { TILE_LINE = 4 * VW };	/* bytes of a row of sums, or of words of b */

#ifdef __AMX_TILE__
/* What ldtilecfg reads: Intel SDM, volume 1, chapter 18. */
struct tile_config {
	uint8_t	 palette, start, reserved[14];
	uint16_t row_bytes[16];
	uint8_t	 rows[16];
};

/* From here on tiles of a and b are so many words wide and high. */
INLINE void
tiles_begin(int words)
{
	struct tile_config c = { .palette = 1 };

	for (int i = 0; i < 8; i++) {
		bool a = i == 4 || i == 5, b = i > 5;

		c.rows[i] = (uint8_t)(b ? words : VW);
		c.row_bytes[i] = (uint16_t)(a ? 4 * words : TILE_LINE);
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
/* c += a b, of pairs of bf16, and of bytes with signs. */
#define tile_pairs(c, a, b)						\
	__asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define tile_bytes(c, a, b)						\
	__asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

#elif AMX
#include <math.h>
#include <string.h>

static _Thread_local struct {
	int	 words;
	uint32_t word[8][16][16];
} tiles;

static inline void
tiles_begin(int words)
{
	tiles.words = words;
}

static inline void
tiles_end(void)
{
}

static inline int
tile_rows(int t)
{
	return t > 5 ? tiles.words : VW;
}

static inline size_t
tile_bytes_of_row(int t)
{
	return t == 4 || t == 5 ? 4 * (size_t)tiles.words : TILE_LINE;
}

static inline void
tile_zero(int t)
{
	memset(tiles.word[t], 0, sizeof(tiles.word[t]));
}

static inline void
tile_load(int t, const void *p, int64_t stride)
{
	for (int i = 0; i < tile_rows(t); i++)
		memcpy(tiles.word[t][i], (const char *)p + i * stride, tile_bytes_of_row(t));
}

static inline void
tile_store(int t, void *p, int64_t stride)
{
	for (int i = 0; i < tile_rows(t); i++)
		memcpy((char *)p + i * stride, tiles.word[t][i], tile_bytes_of_row(t));
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

			for (int k = 0; k < tiles.words; k++) {
				uint32_t x = tiles.word[a][i][k], y = tiles.word[b][k][j];

				first = fmaf(tile_bf16(x << 16), tile_bf16(y << 16), first);
				second = fmaf(tile_bf16(x & 0xffff0000),
				    tile_bf16(y & 0xffff0000), second);
			}
			memcpy(&sum, &tiles.word[c][i][j], sizeof(sum));
			sum += first + second;
			memcpy(&tiles.word[c][i][j], &sum, sizeof(sum));
		}
}

static inline void
tile_bytes(int c, int a, int b)
{
	for (int i = 0; i < VW; i++)
		for (int j = 0; j < VW; j++)
			for (int k = 0; k < tiles.words; k++) {
				int8_t x[4], y[4];

				memcpy(x, &tiles.word[a][i][k], sizeof(x));
				memcpy(y, &tiles.word[b][k][j], sizeof(y));
				for (int l = 0; l < 4; l++)
					tiles.word[c][i][j] += (uint32_t)(x[l] * y[l]);
			}
}
#endif

#endif
