/*
 * english_impl - what the parts of english share: affixes, and pieces with a cut
 * of their own
 */
#ifndef TEXT_ENGLISH_IMPL_H
#define TEXT_ENGLISH_IMPL_H

#include <stdbool.h>

#include "base/hash.h"
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

/* The special that is the whole of p, or NULL. */
static inline const struct special *
special_find(const struct english *r, const char *p, ptrdiff_t n)
{
	unsigned bit;

	if (n < 1 || n > SPECIAL_MAX)
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

/*
 * The next cut inside a piece at or behind *at: its start, and *at moves
 * behind it; NULL when there is none.
 */
const char *affix_infix(const char *p, const char *end, const char **at);

/* Is the piece a URL, with or without a scheme? */
bool affix_is_url(const char *p, const char *end);

/* The words of one piece without white space; use: whether specials count. */
int english_piece(const struct english *r, bool use, const char *text, const char *p,
    const char *end, struct english_words *w);

#endif
