/*
 * codepages_impl - which byte a character is in encodings of one byte a character
 *
 * In this order: ISO 8859-1, CP1252, 1251, 1250, 1253, 1254, 1257, ISO 8859-2, Mac
 * Roman, CP437.
 */
#ifndef TEXT_CODEPAGES_IMPL_H
#define TEXT_CODEPAGES_IMPL_H

#include <stdint.h>

#define CODEPAGES 10

struct codepage_row {
	uint16_t	c;
	uint8_t		byte[CODEPAGES];	/* 0: it has none */
};
extern const struct codepage_row codepages[];	/* in order of c */
extern const int codepage_rows;

#endif
