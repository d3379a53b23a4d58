/*
 * Words by masks of 64 bytes, where a character is as many bits as it has bytes.
 * A block begins where a word begins, so that nothing is carried from one to the
 * next; only cuts that no byte behind the block could undo are made, and the next
 * block begins at the last.
 */
#include "token/scan_impl.h"

#include "base/simd/bytes.h"
#include "token/uclass.h"

#define INLINE static inline __attribute__((always_inline))

#define AHEAD	4		/* a cut is certain when so many bytes from it on are known */

/* Classes of the bytes of a block; rest: of a character, those behind its first. */
struct masks {
	uint64_t	letter, upper, number, space, blank, line, slash, apostrophe, odd, rest;
};

/* Bits below n, which is 64 at most. */
INLINE uint64_t
below(int n)
{
	return n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
}

/* The bits of runs of any from those of from on, which are in any. */
INLINE uint64_t
flood(uint64_t from, uint64_t any)
{
	return any & (~(any + from) | from);
}

INLINE void
classify(struct rule r, const char *p, struct masks *m)
{
	*m = (struct masks){ 0 };
	for (int i = 0; i < BLOCK; i += VEC) {
		vec v = load(p + i);
		uint64_t blank = equal(v, ' '), odd = high(v);

		m->letter |= between(or8(v, set1(0x20)), 'a', 'z') << i;
		m->number |= between(v, '0', '9') << i;
		m->blank |= blank << i;
		m->space |= (blank | between(v, '\t', '\r')) << i;
		if (r.contraction != CONTRACTION_NONE)
			m->apostrophe |= equal(v, '\'') << i;
		if (r.cased)
			m->upper |= between(v, 'A', 'Z') << i;
		if (r.lines)
			m->line |= (equal(v, '\n') | equal(v, '\r')) << i;
		if (r.slash)
			m->slash |= equal(v, '/') << i;
		if (r.strict)
			odd |= between(v, 0, 8) | between(v, 14, 31) | equal(v, 127);
		m->odd |= odd << i;
	}
}

/*
 * Of what is not ASCII make letters, or what is neither that nor a number nor white
 * space; the first that is something else, or not whole here, stays odd.
 */
INLINE void
widen(struct rule r, const uint8_t *class, const char *p, struct masks *m)
{
	/* Marks are letters at times, and with others have both cases or none. */
	const unsigned more = UC_N | UC_SPACE | (r.cased ? UC_LO | UC_M : r.marks ? UC_M : 0);
	uint64_t rest = 0, three = 0, four = 0, letter = 0, upper = 0, odd = 0, first;
	int last;

	for (int i = 0; i < BLOCK; i += VEC) {
		vec v = load(p + i);

		rest |= between(v, 0x80, 0xbf) << i;
		three |= between(v, 0xe0, 0xff) << i;
		four |= between(v, 0xf0, 0xff) << i;
		/* All characters that begin so are letters. */
		if (!r.cased)
			letter |= (between(v, 0xc4, 0xca) | between(v, 0xd0, 0xd1) |
			    between(v, 0xe5, 0xe9) | between(v, 0xeb, 0xec)) << i;
	}
	first = m->odd & ~rest;
	if (first == 0 || (first << 1 | three << 2 | four << 3) != rest)
		return;
	for (uint64_t other = first & ~letter; other != 0; other &= other - 1) {
		int i = __builtin_ctzll(other), len;
		unsigned kind = uclass_wide(class, p + i, p + BLOCK, &len);
		uint64_t bit = (uint64_t)1 << i;

		if (len == 1 || (kind & more) != 0) {
			odd = bit;
			break;
		}
		letter |= (kind & UC_L) != 0 ? bit : 0;
		upper |= (kind & UC_UPPER) != 0 ? bit : 0;
	}
	last = 63 - __builtin_clzll(first);
	if (last + 2 + (int)(three >> last & 1) + (int)(four >> last & 1) > BLOCK)
		odd |= (uint64_t)1 << last;
	m->odd = odd;
	m->rest = rest;
	m->letter |= letter | flood(letter << 1 & rest, rest);
	if (r.cased)
		m->upper |= upper | flood(upper << 1 & rest, rest);
}

/* White space behind the last end of a line in its run: where it begins. */
INLINE uint64_t
behind_lines(uint64_t space, uint64_t line)
{
	uint64_t rest = space & ~line, first = rest & line << 1;
	uint64_t between = (rest + first) & ~rest & line;

	/* Rarely: it is followed by another end of a line. */
	for (; between != 0; between &= between - 1) {
		uint64_t before = first & below(__builtin_ctzll(between));

		if (before != 0)
			first &= ~((uint64_t)1 << (63 - __builtin_clzll(before)));
	}
	return first;
}

/* Number i of each run of numbers with i % 3 == 0. */
INLINE uint64_t
threes(uint64_t number)
{
	uint64_t at = number & ~(number << 1), all = at;
	uint64_t inside = number & number << 1 & number << 2;

	while ((at = at << 3 & inside) != 0)
		all |= at;
	return all;
}

/* Contractions, at bits of where: words of their own, or the end of the word before. */
INLINE uint64_t
contract(struct rule r, const char *p, uint64_t where, uint64_t start)
{
	bool last = r.contraction == CONTRACTION_LAST;
	int after = -1;

	for (where &= below(BLOCK - AHEAD + 1); where != 0; where &= where - 1) {
		int i = __builtin_ctzll(where);
		int len = contraction(p + i, BLOCK - i, r.contraction != CONTRACTION_WORD);

		if (len == 0 || (last && i == after))
			continue;
		after = i + len;
		start &= ~(below(after) & ~below(i + !last));
		start |= (uint64_t)1 << after;
	}
	return start;
}

/* Where words start, given that one does at byte 0. */
INLINE uint64_t
starts(struct rule r, const char *p, const struct masks *m)
{
	uint64_t letter = m->letter, number = m->number, space = m->space, line = m->line;
	uint64_t other = ~(letter | number | space), edge, taken, start, with, first, one;

	if (r.lines) {
		/* Ends of lines behind symbols belong to them. */
		uint64_t tail = flood(line & other << 1, line | m->slash);

		space &= ~tail;
		line &= ~tail;
		other &= ~tail;
	}
	/* The last of white space, before what is none, goes with that or is left alone. */
	edge = space & ~line & ~(space >> 1) & ~((uint64_t)1 << 63);
	if (r.apart)
		edge &= ~(number >> 1);
	start = (space & ~(space << 1)) | edge;
	if (r.lines)
		start |= behind_lines(space, line) | (line << 1 & ~space);
	first = other & ~(other << 1);
	with = (edge & m->blank) << 1;
	taken = with & (r.space ? letter | number | other : other);
	if (!r.space) {
		/* One symbol, if no space has it, goes with letters. */
		one = first & ~with;
		one |= flood(one << 1 & m->rest, m->rest);
		taken |= letter & (edge | (one & ~(other >> 1))) << 1;
	}
	start |= (first | (letter & ~(letter << 1))) & ~taken;
	if (r.cased)
		start |= m->upper & (letter & ~m->upper) << 1;
	if (r.digits == 1)
		start |= number;
	else if (r.digits == 3)
		start |= threes(number);
	else
		start |= number & ~(number << 1) & ~taken;
	if (r.contraction == CONTRACTION_LAST)
		return contract(r, p, m->apostrophe & letter << 1, start);
	if (r.contraction != CONTRACTION_NONE)
		return contract(r, p, m->apostrophe & first & ~taken, start);
	return start;
}

/* The cuts that are certain when bytes from n on are not known. */
INLINE uint64_t
certain(uint64_t space, int n)
{
	uint64_t known, word;

	if (n < AHEAD)
		return 0;
	known = below(n - AHEAD + 1);
	word = ~space & below(n);
	/* White space at the end may go on, and that decides where it is cut. */
	if (word == 0)
		return 0;
	if ((space >> (n - 1) & 1) != 0)
		known &= below(63 - __builtin_clzll(word) + 2);
	return known;
}

/* Write the bits as cuts; up to 64 are written, whatever there are. */
INLINE int
put(uint64_t bits, int32_t base, int32_t *cut)
{
	int n = 0;

#ifdef __AVX512F__
	__m512i at = _mm512_add_epi32(_mm512_set1_epi32(base),
	    _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));

	for (int i = 0; i < BLOCK; i += 16) {
		__mmask16 m = (__mmask16)(bits >> i);

		_mm512_storeu_si512(cut + n, _mm512_maskz_compress_epi32(m, at));
		at = _mm512_add_epi32(at, _mm512_set1_epi32(16));
		n += __builtin_popcount(m);
	}
#else
	n = __builtin_popcountll(bits);
	for (int i = 0; i < n; i += 4)
		for (int k = 0; k < 4; k++) {
			cut[i + k] = base + (bits != 0 ? __builtin_ctzll(bits) : 0);
			bits &= bits - 1;
		}
#endif
	return n;
}

INLINE int
words(struct rule r, const uint8_t *class, const char *p, int32_t at, const char *end,
    int32_t *cut, int max)
{
	int n = 0;

	while (max - n >= BLOCK) {
		ptrdiff_t left = end - p - at;
		int known = BLOCK;
		const char *block = p + at;
		char last[BLOCK];
		struct masks m;
		uint64_t bits;

		if (left < BLOCK) {
			memset(last, ' ', sizeof(last));
			memcpy(last, block, (size_t)left);
			block = last;
			known = (int)left;
		}
		classify(r, block, &m);
		if (m.odd != 0 && !r.strict)
			widen(r, class, block, &m);
		bits = starts(r, block, &m) & ~(uint64_t)1;
		if (m.odd == 0 && left <= BLOCK - AHEAD && !r.tail) {
			/* All is known: nothing follows. */
			n += put(bits & below((int)left), at, cut + n);
			cut[n++] = at + (int32_t)left;
			break;
		}
		if (m.odd != 0)
			known = __builtin_ctzll(m.odd);
		bits &= certain(m.space, known);
		if (bits == 0)
			break;
		n += put(bits, at, cut + n);
		at += 63 - __builtin_clzll(bits);
		if (at == end - p || at > 1 << 29)
			break;
	}
	return n;
}

static int
scan(enum scan kind, const uint8_t *class, const char *p, int32_t at, const char *end,
    int32_t *cut, int max)
{
#define WORDS(rule) return words(rule, class, p, at, end, cut, max)
	SCAN_KINDS(kind, WORDS)
	return 0;
}

const struct scan_simd OF_ISA(scan_simd) = { scan };
