/*
 * uclass - is a character a letter, a number, white space?
 *
 * A table of one byte for each code point of Unicode 16.0; the pages between
 * the scripts are never touched.  The caller owns it and frees it.
 */
#ifndef TOKEN_UCLASS_H
#define TOKEN_UCLASS_H

#include <stdint.h>

#include "base/err.h"

enum {
	UC_L = 1,		/* \p{L} */
	UC_N = 2,		/* \p{N} */
	UC_SPACE = 4,		/* \s: White_Space */
	UC_NL = 8,		/* \n and \r, which are UC_SPACE too */
	UC_END = 0x110000
};

uint8_t *uclass_new(struct err *err);

#endif
