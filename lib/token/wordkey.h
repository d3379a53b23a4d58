/*
 * wordkey - what words are found and sorted by
 *
 * A word of at most WORD_SHORT bytes is its own key, padded with zeros; that of
 * a longer one is a hash.
 */
#ifndef TOKEN_WORDKEY_H
#define TOKEN_WORDKEY_H

#include <stdint.h>

#include "base/hash.h"
#include "base/str.h"

#define WORD_SHORT	16

struct word_key {
	uint64_t	a, b;
};

static inline uint64_t
word_load8(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t
word_load4(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Reads nothing outside the word: what is loaded twice is the same. */
static inline struct word_key
word_key(str w)
{
	const char *p = w.p;
	ptrdiff_t n = w.n;

	if (n > WORD_SHORT)
		return (struct word_key){ hash64(w), 0 };
	if (n > 8)
		return (struct word_key){ word_load8(p),
		    word_load8(p + n - 8) >> 8 * (WORD_SHORT - n) };
	if (n == 8)
		return (struct word_key){ word_load8(p), 0 };
	if (n >= 4)
		return (struct word_key){ word_load4(p) | word_load4(p + n - 4) << 8 * (n - 4),
		    0 };
	if (n == 0)
		return (struct word_key){ 0, 0 };
	return (struct word_key){ (uint64_t)(uint8_t)p[0] |
	    (uint64_t)(uint8_t)p[n / 2] << 8 * (n / 2) |
	    (uint64_t)(uint8_t)p[n - 1] << 8 * (n - 1), 0 };
}

static inline uint64_t
word_hash(struct word_key k, ptrdiff_t n)
{
	uint64_t h = k.a * 0x9e3779b97f4a7c15u ^ (k.b + (uint64_t)n) * 0xc2b2ae3d27d4eb4fu;

	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

#endif
