/*
 * Where personal data may be, a vector at a time: marks for the rules of pii.c. All instruction
 * sets give the same marks.
 */
#include "text/pii_impl.h"

#include <string.h>

#include "base/simd/bytes.h"

/* Bits of one block, and of the next one where a mark depends on what follows. */
struct bits {
	uint64_t digit, word, sign, dash, open, a, b;
};

static inline struct bits
bits_of(const char *p)
{
	struct bits m = { 0 };

	for (int i = 0; i < BLOCK; i += VEC) {
		vec v = load(p + i), low = or8(v, set1(0x20));
		uint64_t digit = between(v, '0', '9'), dash = equal(v, '-');

		m.digit |= digit << i;
		m.dash |= dash << i;
		m.word |= (digit | dash | between(low, 'a', 'z') | equal(v, '_')) << i;
		m.sign |= (equal(v, '@') | equal(v, ':') | between(v, '=', '>')) << i;
		m.open |= (equal(v, '(') | equal(v, '[') | equal(v, '{') | equal(v, '<')) << i;
		m.a |= equal(low, 'a') << i;
		m.b |= equal(v, 'B') << i;
	}
	return m;
}

/* The block at p, of which n bytes are there. */
static inline struct bits
bits_at(const char *p, ptrdiff_t n)
{
	char block[BLOCK] = { 0 };

	if (n >= BLOCK)
		return bits_of(p);
	if (n <= 0)
		return (struct bits){ 0 };
	memcpy(block, p, (size_t)n);
	return bits_of(block);
}

static int
marks(const char *s, ptrdiff_t n, ptrdiff_t base, uint64_t *mark, int most)
{
	struct bits now = bits_at(s + base, n - base), next;
	bool digit = base > 0 && is_digit((unsigned char)s[base - 1]);
	bool word = base > 0 &&
	    (is_alnum((unsigned char)s[base - 1]) || s[base - 1] == '_' || s[base - 1] == '-');
	int i;

	for (i = 0; i < most && base < n; i++, base += BLOCK) {
		uint64_t run, w;

		next = bits_at(s + base + BLOCK, n - base - BLOCK);
		/* Where PII_LONG bits follow one another. */
		run = now.word;
		w = next.word;
		for (int k = 1; k < PII_LONG; k *= 2) {
			run &= run >> k | w << (64 - k);
			w &= w >> k;
		}
		mark[i] = now.sign | (now.digit & ~(now.digit << 1 | digit)) |
		    (run & ~(now.word << 1 | word)) | (now.dash & (now.b >> 1 | next.b << 63)) |
		    (now.open & (now.a >> 1 | next.a << 63));
		digit = now.digit >> 63;
		word = now.word >> 63;
		now = next;
	}
	return i;
}

const struct pii_simd OF_ISA(pii_simd) = { marks };
