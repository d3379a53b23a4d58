/*
 * bpe_row - the distinct words of a training as rows of symbols
 *
 * All words lie in one row of cells, in memory up to a limit and in a file
 * beyond it.  Before each word, and behind the last, are two walls, with its
 * count.  A symbol covers the cells of what it was merged from: its id is in
 * the first, and the number of cells in the second and in the last, so that
 * both neighbours are found at once.
 */
#ifndef TOKEN_BPE_ROW_H
#define TOKEN_BPE_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/spill.h"
#include "token/words.h"

/* The upper bits of a cell that is not the first of a symbol: covered or wall. */
#define CELL_SPAN	0x80000000u
#define CELL_WALL	0xc0000000u
#define CELL_BITS	0x3fffffffu

struct row {
	struct spill	 spill;
	uint32_t	*cell;
	int64_t		 n;
	/* Long words: where each begins, and its count. */
	struct far_word {
		int64_t	at, count;
	}		*far;
	int64_t		 nfar;
	int64_t		 alone;		/* symbols of words that are one, and not here any more */
};

/* The words with the ids of their bytes.  Return 0 or -1; row_free() in both cases. */
int row_init(struct row *r, struct words *words, const int32_t id[256], const char *dir,
    int64_t memory, struct err *err);
void row_free(struct row *r);

/* One cell a symbol again, without the words that are one symbol; return how many symbols. */
int64_t row_close(struct row *r);

/* How often the word was seen that has a symbol at this cell. */
int64_t row_count(const struct row *r, int64_t at);

static inline bool
cell_is_wall(uint32_t cell)
{
	return cell >= CELL_WALL;
}

static inline bool
cell_is_span(uint32_t cell)
{
	return cell >> 30 == CELL_SPAN >> 30;
}

/* Where the next symbol begins, or a wall. */
static inline int64_t
row_after(const struct row *r, int64_t at)
{
	uint32_t c = r->cell[at + 1];

	return at + (cell_is_span(c) ? (int64_t)(c & CELL_BITS) : 1);
}

/* Where the symbol before begins, or a wall. */
static inline int64_t
row_before(const struct row *r, int64_t at)
{
	uint32_t c = r->cell[at - 1];

	return at - (cell_is_span(c) ? (int64_t)(c & CELL_BITS) : 1);
}

/* The symbols at `at' and at right become one, id, that ends before end. */
static inline void
row_join(struct row *r, int64_t at, int64_t right, int64_t end, int32_t id)
{
	r->cell[right] = CELL_SPAN;
	r->cell[at] = (uint32_t)id;
	r->cell[at + 1] = r->cell[end - 1] = CELL_SPAN | (uint32_t)(end - at);
}

/* The count that the walls before a word's first cell have. */
static inline int64_t
row_wall(const struct row *r, int64_t first)
{
	return (int64_t)(r->cell[first - 2] & CELL_BITS) << 30 |
	    (int64_t)(r->cell[first - 1] & CELL_BITS);
}

#endif
