/*
 * census - how many characters of each kind a text has
 *
 * One look at each byte; characters beyond ASCII are looked at once more.
 */
#ifndef TEXT_CENSUS_H
#define TEXT_CENSUS_H

#include <stdint.h>

#include "base/str.h"

struct census {
	int64_t	chars;
	int64_t	upper;		/* capitals, in any script */
	int64_t	digits;		/* decimal ones, in any script */
	int64_t	alnum;		/* letters and these */
	int64_t	ascii_digits;
	int64_t	white;		/* \t \n \v \f \r and space */
	int64_t	plain;		/* ASCII letters and digits, newlines, ? ! , . */
	int64_t	brackets;	/* ( ) [ ] { } and U+27E8 U+27E9 */
};

struct census census_of(str text);

#endif
