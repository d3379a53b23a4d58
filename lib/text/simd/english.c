/*
 * What the bytes of a text are to english.c, a vector at a time.  All instruction sets give the
 * same bits.
 */
#include "text/english_impl.h"

#include <string.h>

#include "base/simd/bytes.h"

static inline struct english_bits
bits_of(const char *p)
{
	struct english_bits m = { 0 };

	for (int i = 0; i < BLOCK; i += VEC) {
		vec v = load(p + i);
		uint64_t blank = between(v, '\t', '\r') | between(v, 0x1c, ' ');
		uint64_t less = between(v, '<', '>'), up = equal(v, '^');

		m.solid |= (~blank & (UINT64_MAX >> (64 - VEC))) << i;
		m.lead |= (equal(v, 0xc2) | between(v, 0xe1, 0xe3)) << i;
		m.high |= high(v) << i;
		m.letter |= between(or8(v, set1(0x20)), 'a', 'z') << i;
		m.digit |= between(v, '0', '9') << i;
		m.symbol |= (between(v, 0, ' ') | equal(v, '$') | equal(v, '+') | less | up |
		    equal(v, '`') | equal(v, '|') | between(v, '~', 0x7f)) << i;
		m.stop |= equal(v, '.') << i;
		m.infix |= (between(v, '*', '-') | equal(v, '/') | equal(v, ':') | less | up |
		    equal(v, '~')) << i;
	}
	return m;
}

static void
bits(const char *p, ptrdiff_t n, struct english_bits *to)
{
	char block[BLOCK];

	for (; n >= BLOCK; n -= BLOCK, p += BLOCK)
		*to++ = bits_of(p);
	memset(block, ' ', sizeof(block));
	memcpy(block, p, (size_t)n);
	*to = bits_of(block);
}

const struct english_simd OF_ISA(english_simd) = { bits };
