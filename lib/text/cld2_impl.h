/*
 * cld2_impl - what lang.c asks of CLD2, a C++ library: its shim's functions
 *
 * cld2.cc has them where CLD2 is, nocld2.c where it is not (see GNUmakefile).
 * No exception passes them.
 */
#ifndef TEXT_CLD2_IMPL_H
#define TEXT_CLD2_IMPL_H

#ifdef __cplusplus
extern "C" {
#else
#include <stdbool.h>
#endif

#define CLD2_TOP	3

struct cld2_found {
	int	number[CLD2_TOP], percent[CLD2_TOP];
	double	density[CLD2_TOP];
	int	letters;
	bool	reliable;
};

/* 0, or -1 when memory was short or CLD2 is not there. */
int cld2_detect(const char *text, int n, bool guess, int hint, struct cld2_found *found);

const char *cld2_code(int number);
const char *cld2_name(int number);
int cld2_group(int number);
const char *cld2_version(void);		/* NULL: it is not there */

#ifdef __cplusplus
}
#endif

#endif
