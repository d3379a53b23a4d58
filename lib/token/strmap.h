/*
 * strmap - from a string to its index in an array of strings
 *
 * The map holds indices; the array stays the caller's and must stay where it is.
 */
#ifndef TOKEN_STRMAP_H
#define TOKEN_STRMAP_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct strmap {
	struct strmap_slot *slot;
	int64_t		 nslots;
	const str	*key;
};

/* For at most n strings of key[].  Return 0 or -1. */
int strmap_init(struct strmap *m, int64_t n, const str *key, struct err *err);
void strmap_free(struct strmap *m);

/* s is sought soon: let where it would be come from memory. */
void strmap_soon(const struct strmap *m, str s);

/* The index of s, or -1. */
int32_t strmap_find(const struct strmap *m, str s);

/* Add key[i], unless that string is there: return its index then, else i. */
int32_t strmap_add(struct strmap *m, int32_t i);

#endif
