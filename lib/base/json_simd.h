/*
 * json_simd - the inner loops of json.c, compiled once for each instruction set
 *
 * The functions read bytes [0, n) of s only.  json.c picks a table by what the
 * processor has; tests run them all.
 */
#ifndef BASE_JSON_SIMD_H
#define BASE_JSON_SIMD_H

#include "base/isa.h"
#include "base/str.h"

struct json_fault {
	ptrdiff_t	 at;
	const char	*why;
};

struct json_simd {
	/* Check the value that starts at s[i]; return its end, or -1 and *f. */
	ptrdiff_t (*value)(const char *s, ptrdiff_t i, ptrdiff_t n, struct json_fault *f);
	/* The first byte from i on that is no part of well-formed UTF-8, or n. */
	ptrdiff_t (*utf8)(const char *s, ptrdiff_t i, ptrdiff_t n);
	/*
	 * Copy a checked string's n bytes, escapes of one letter resolved, up to a
	 * \u; *to has n bytes and moves on.  Return how many bytes were read.
	 */
	ptrdiff_t (*unescape)(char **to, const char *s, ptrdiff_t n);
	/* Copy at most n bytes up to one that JSON must escape.  Return how many. */
	ptrdiff_t (*plain)(char *to, const char *s, ptrdiff_t n);
	/* How many newlines are there? */
	int64_t (*lines)(const char *s, ptrdiff_t n);
};

ISA_TABLE(json_simd)

#endif
