/*
 * One look at a whole text, a vector at a time, so that the rules of quality.c need fewer.  All
 * instruction sets see the same.
 */
#include "text/quality_impl.h"

#include <string.h>

#include "base/simd/bytes.h"

/* Controls but \n and \t; U+0085, U+2028, U+2029. */
static inline uint64_t
line_ends(vec a, vec b)
{
	return (between(a, 0, 0x1f) & ~between(a, '\t', '\n')) | (equal(a, 0xc2) & equal(b, 0x85)) |
	    (equal(a, 0x80) & between(b, 0xa8, 0xa9));
}

/* #, three full stops, the end of an ellipsis. */
static inline uint64_t
signs(vec a, vec b, vec c)
{
	return equal(a, '#') | (equal(a, '.') & equal(b, '.') & equal(c, '.')) |
	    (equal(a, 0x80) & equal(b, 0xa6));
}

/*
 * Of the phrases of c4, in any case: the "vas" of javascript, "vac" of privacy, "kie" of cookie,
 * "ms o" of terms of use, "psu" of ipsum; and a bracket.
 */
static inline uint64_t
phrases(vec a, vec b, vec c, vec d)
{
	return (equal(a, 'v') & equal(b, 'a') & (equal(c, 's') | equal(c, 'c'))) |
	    (equal(a, 'k') & equal(b, 'i') & equal(c, 'e')) |
	    (equal(a, 'm') & equal(b, 's') & equal(c, ' ') & equal(d, 'o')) |
	    (equal(a, 'p') & equal(b, 's') & equal(c, 'u')) | equal(a, '{');
}

/* What the n bytes at p have; n is a multiple of 64, and three more can be read. */
static int
see(const char *p, ptrdiff_t n)
{
	const vec low = set1(0x20);
	uint64_t end = 0, sign = 0, phrase = 0;

	for (ptrdiff_t i = 0; i < n; i += VEC) {
		vec a = load(p + i), b = load(p + i + 1), c = load(p + i + 2);

		end |= line_ends(a, b);
		sign |= signs(a, b, c);
		phrase |= phrases(or8(a, low), or8(b, low), or8(c, low), or8(load(p + i + 3), low));
	}
	return (end != 0 ? QUALITY_LINE_ENDS : 0) | (sign != 0 ? QUALITY_SIGNS : 0) |
	    (phrase != 0 ? QUALITY_PHRASES : 0);
}

static int
look(const char *p, ptrdiff_t n)
{
	ptrdiff_t whole = n >= 3 ? (n - 3) / BLOCK * BLOCK : 0;
	char rest[3 * BLOCK];

	memset(rest, 'x', sizeof(rest));
	memcpy(rest, p + whole, (size_t)(n - whole));
	return see(p, whole) | see(rest, 2 * BLOCK);
}

const struct quality_simd OF_ISA(quality_simd) = { look };
