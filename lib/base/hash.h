/*
 * hash - XXH3 of bytes, 64 and 128 bits, whole and in pieces
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

typedef struct {
	uint64_t	lo, hi;
} hash128;

uint64_t hash64(str s);
uint64_t hash64_seed(str s, uint64_t seed);
hash128 hash128_of(str s);

/* 32 lower-case hex digits and a NUL. */
void hash128_hex(hash128 h, char hex[33]);

/* The hash of a stream of pieces; equals hash128_of() of them joined. */
struct hasher;
struct hasher *hasher_new(struct err *err);
void hasher_add(struct hasher *h, str s);
hash128 hasher_end(struct hasher *h);
uint64_t hasher_end64(struct hasher *h);
void hasher_free(struct hasher *h);

#endif
