/*
 * panel - packed operands of matrix products, and the tile that multiplies them
 *
 * An operand is packed into panels: MR rows of a, or NR columns of b, word by
 * word along k: panel[l * width + i].  A word is a float, or, where PAIRS, two
 * bf16 of neighbouring k for the instructions that multiply and add pairs.
 * Packing converts, so what multiplies knows one form, and storing converts
 * back.
 */
#ifndef DEV_SIMD_PANEL_H
#define DEV_SIMD_PANEL_H

#include "dev/cpu/simd/amx.h"
#include "dev/cpu/simd/tile.h"

/*
 * Are words pairs where an operand is bf16?  So it is with AVX-512 BF16 and AMX,
 * and in the tests that let every machine go that way.
 */
#ifndef PAIRS
#if defined(__AVX512BF16__) || AMX
#define PAIRS 1
#else
#define PAIRS 0
#endif
#endif

/* Of F32, BF16 or F16. */
static inline int64_t
type_bytes(dtype t)
{
	return t == DTYPE_F32 ? 4 : 2;
}

/*
 * Of k, what is summed before it is added to the result, in order: part of what a
 * product is.  Where columns lie along k, so that few rows can read them as they
 * lie, in vectors, word l is the l / 4 % LANES-th chain's, and these are added.
 * (The chains of AMX's tiles are their own: amx.h.)
 */
enum {
	KC = VW == 16 ? 768 : 384,
	LANES = VW / 4,
	TALL = 2 * VW,		/* rows of a panel of a that tiles multiply */
	MOST_ROWS = AMX && TALL > MR ? TALL : MR,
};

enum { LINE = 64 };	/* bytes that memory is read by */

/* One operand, its rows ld elements apart. */
struct side {
	const char *p;
	dtype	 type;
	int64_t	 ld, n;		/* n: how many rows of a, columns of b */
	bool	 along;		/* k runs along its rows; else across them */
	bool	 pairs;
	int	 width;		/* of a panel: tall(), NR, or 1 or VW rows of a */
	bool	 by_rows;	/* VW words of a row, then of the next: tiles have a so */
};

/* Words that k elements fill. */
static inline int64_t
filled(const struct side *s, int64_t k)
{
	return s->pairs ? (k + 1) / 2 : k;
}

/* Words of a panel of k: whole tiles, where those are. */
static inline int64_t
words(const struct side *s, int64_t k)
{
	int64_t n = filled(s, k);

	return AMX && s->pairs ? (n + VW - 1) / VW * VW : n;
}

/* Rows of a panel of a. */
static inline int
tall(bool pairs)
{
	return AMX && pairs ? TALL : MR;
}

/*
 * Pack words [from, to) of the panel at i for [k0, k0 + k); what the operand
 * lacks is zeros.  from is a multiple of UNIT, and to too or the last.
 */
enum { UNIT = 16 };
void OF_ISA(pack)(const struct side *s, float *panel, int64_t i, int64_t k0, int64_t k,
    int64_t from, int64_t to);

/* Elements of a matrix in memory: of type, rows ld apart. */
struct place {
	char	*p;		/* NULL: none */
	dtype	 type;
	int64_t	 ld;
};

static inline char *
place_at(const struct place *c, int64_t i, int64_t j)
{
	return c->p + (i * c->ld + j) * type_bytes(c->type);
}

/*
 * to = alpha a b + from + bias, rows by n elements over k words: one panel of
 * a and several of b, or one of b and several of a, each after the other.
 * Instead of a panel, b may be columns of a side that are read as they lie, over
 * any number of blocks of k, of which a then has all rows, each width 1.
 */
struct strip {
	const float	*a, *b, *bias;	/* bias (n) or NULL */
	const char	**line;		/* lines of memory that are needed soon; one at least */
	struct place	 from, to;	/* from may be none, or to */
	int64_t		 k, rows, n, lines;
	float		 alpha;
	int		 chains;	/* of a block */
	bool		 pairs, stream;	/* stream: floats, aligned, not read soon; from is none */
	const struct side *side;	/* b's, along its rows; NULL: b is packed */
	int64_t		 j, k0, nk;	/* the columns, up to NR, and their elements of k */
	const char	*soon;		/* columns that are likely read next, or NULL */
	double		*squares;	/* of each tile of `to' their sum; NULL: not wanted */
	int64_t		 squares_ld;	/* of the tiles below one another */
	/* Tiles of pairs are added to sums of the k before, and to the rest with the last. */
	float		*sums;
	int64_t		 sums_ld;
	bool		 first, last;
};
void OF_ISA(multiply)(const struct strip *s);

/* Do the offsets of groups rise within the count of rows? */
bool OF_ISA(offsets_rise)(const int32_t *offset, int64_t groups, int64_t rows);

#endif
