/*
 * blake2 - BLAKE2b (RFC 7693), keyed or not: a hash that needs no trust in what is hashed
 *
 * For speed and for tables there is hash.h.
 */
#ifndef BASE_BLAKE2_H
#define BASE_BLAKE2_H

#include "base/str.h"

#define BLAKE2_MAX 64 /* bytes of a hash and of a key */

/* The hash of bytes, nhash long (1 to BLAKE2_MAX), under a key of at most BLAKE2_MAX bytes. */
void blake2b(unsigned char *hash, int nhash, str key, str bytes);

#endif
