/*
 * uclass - is a character a letter, a mark, a number, white space, a symbol?
 *
 * A table of one byte for each code point of Unicode 16.0; the pages between
 * the scripts are never touched.  The caller owns it and frees it.
 */
#ifndef TOKEN_UCLASS_H
#define TOKEN_UCLASS_H

#include <stdint.h>

#include "base/err.h"

enum {
	UC_UPPER = 1,		/* Lu, Lt */
	UC_LOWER = 2,		/* Ll */
	UC_LO = 4,		/* Lm, Lo */
	UC_L = 7,		/* \p{L} */
	UC_M = 8,		/* \p{M} */
	UC_N = 16,		/* \p{N} */
	UC_PS = 32,		/* \p{P} and \p{S} */
	UC_SPACE = 64,		/* \s: White_Space */
	UC_NL = 128,		/* \n and \r, which are UC_SPACE too */
	UC_END = 0x110000
};

uint8_t *uclass_new(struct err *err);

/* Class and length of a character that is not ASCII; a broken one has length 1. */
unsigned uclass_wide(const uint8_t *class, const char *p, const char *end, int *len);

/* The class of the character at p < end, and its length. */
static inline unsigned
uclass_at(const uint8_t *class, const char *p, const char *end, int *len)
{
	uint8_t c = (uint8_t)*p;

	*len = 1;
	return c < 0x80 ? class[c] : uclass_wide(class, p, end, len);
}

#endif
