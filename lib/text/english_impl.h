/*
 * english_impl - what the parts of english share: affixes, and pieces with a cut
 * of their own
 */
#ifndef TEXT_ENGLISH_IMPL_H
#define TEXT_ENGLISH_IMPL_H

#include <stdbool.h>

#include "base/hash.h"
#include "base/isa.h"
#include "text/unicode.h"
#include "text/english.h"

#define SPECIAL_MAX	31	/* bytes of a special piece */
#define SPECIAL_SLOTS	4096
#define SPECIAL_POOL	16384
#define SPECIAL_BLOOM	65536	/* bits */

/* A piece that is cut as its entry says and in no other way. */
struct special {
	uint16_t	at;		/* its bytes in the pool */
	uint8_t		n;		/* 0: an empty slot */
	uint32_t	cuts;		/* bit i: a word ends behind byte i */
	uint32_t	plain;		/* its cuts if it were no special; 0 when one word */
};

struct english {
	struct special	slot[SPECIAL_SLOTS];
	uint64_t	bloom[SPECIAL_BLOOM / 64];
	/* Lengths (as bits) of the specials that start with a byte and have plain cuts. */
	uint32_t	joined[256];
	char		pool[SPECIAL_POOL];
	int		used;
	int		n;
};

static inline unsigned
special_bit(const char *p, ptrdiff_t n)
{
	uint32_t x = (uint32_t)(unsigned char)p[0] | (uint32_t)(unsigned char)p[n - 1] << 8 |
	    (uint32_t)(unsigned char)p[n / 2] << 16 | (uint32_t)n << 24;

	return (x * 0x9e3779b1u >> 16) % SPECIAL_BLOOM;
}

const struct special *special_slot(const struct english *r, const char *p, ptrdiff_t n);

/* The special that is the whole of p, or NULL, as without r. */
static inline const struct special *
special_find(const struct english *r, const char *p, ptrdiff_t n)
{
	unsigned bit;

	if (r == NULL || n < 1 || n > SPECIAL_MAX)
		return NULL;
	bit = special_bit(p, n);
	if ((r->bloom[bit / 64] >> bit % 64 & 1) == 0)
		return NULL;
	return special_slot(r, p, n);
}

/* Fill the table with English.  Return 0, or -1 when it is too small. */
int english_specials(struct english *r, struct err *err);

/* Bytes of what is taken off the start and the end of a piece; 0: nothing. */
ptrdiff_t affix_prefix(const char *p, const char *end);
ptrdiff_t affix_suffix(const char *p, const char *end);

/* Is the piece a URL, with or without a scheme? */
bool affix_is_url(const char *p, const char *end);

/* Of 64 bytes, one bit each. */
struct english_bits {
	uint64_t	solid;			/* no ASCII white space */
	uint64_t	high, lead;		/* no ASCII; perhaps the start of white space */
	uint64_t	letter, digit;		/* of ASCII */
	uint64_t	symbol;			/* ASCII that is none of these, nor punctuation */
	uint64_t	stop, infix;		/* a full stop; other ASCII that may cut inside */
};

/* Those of n bytes, and of white space behind them: n / 64 + 1 blocks. */
struct english_simd {
	void (*bits)(const char *p, ptrdiff_t n, struct english_bits *to);
};

ISA_TABLE(english_simd)

/* A piece of text without white space. */
struct english_piece {
	const char *p, *end;
	bool	    gap;		/* more than one space was before it */
	bool	    marked;		/* ASCII of at most 63 bytes, and this is known of it */
	int	    shift;		/* the bit of *p in bits[0] */
	const struct english_bits *bits;
	uint64_t    letter;		/* as in bits, and bit 0 is *p */
	uint64_t    digit, symbol, infix;	/* when english_piece() needed them */
};

/* The 64 bits from shift on, which is below 64. */
static inline uint64_t
english_ahead(uint64_t bits, uint64_t next, int shift)
{
	return bits >> shift | next << 1 << (63 - shift);
}

/*
 * The next cut inside the part [p, end) of a piece at or behind *at: its start, and *at moves
 * behind it; NULL when there is none.
 */
const char *affix_infix(const struct english_piece *x, const char *p, const char *end,
    const char **at);

/* Add the words of a piece; without r there are no specials.  Return 0, or -1: no memory. */
int english_piece(const struct english *r, const char *text, struct english_piece *x,
    struct english_words *w);

#endif
